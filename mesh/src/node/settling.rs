//! What goes from the views: the hub settles carts that were done before the time that the floor is kept, and books from before
//! the time that books are kept, in steps that nobody waits for.
//!
//! The time counts from the seal, as pruning does, and no clock of this machine has a say: a seal that is dated later than
//! anything that a terminal wrote counts from that, since a settling cannot be taken back. What is open stays, and so does what
//! somebody may still bring who was not heard since: a terminal that was dark for longer than the floor is kept may hold carts
//! that nobody else knows. It is waited for, up to [`SILENT_DAYS_MAX`]; revoking it ends that sooner.
//!
//! For books nobody is waited for: what a settling leaves of them are sums, which whatever still comes moves as before.
//!
//! Absent on purpose: settling by anybody but the hub of the last term, and any look at what a cart or a sale is.

use crate::node::pruning::{PruningError, before_seal, newest_equal, time_of};
use crate::node::shared::Shared;
use crate::store::{Append, SealError, SealedViews, Wait};
use std::sync::{Arc, PoisonError};
use toko_crdt::clock::UnixMicros;
use toko_crdt::entry::Saw;
use toko_crdt::{Body, Hash, Lane};
use tracing::info;

/// Days for which carts wait for a terminal that is not heard of.
const SILENT_DAYS_MAX: u32 = 30;

/// Writes what is to be settled, one entry after the other.
///
/// Errors: what was not written is found again at the next seal.
pub(super) async fn settle(shared: &Arc<Shared>) -> Result<(), PruningError> {
    if !shared.is_hub() {
        return Ok(());
    }
    let on_thread = Arc::clone(shared);
    let due = shared.config.machine.aside(move || due(&on_thread)).await;
    let Some(Due { seal, words }) = due.map_err(|error| PruningError::Other(error.to_string()))?? else {
        return Ok(());
    };
    let written = words.len();
    for (lane, body) in words {
        // Another may have become hub meanwhile.
        if !shared.is_hub() {
            return Ok(());
        }
        let saw = Some(Saw::Entries(vec![seal]));
        shared.store.append(Append { lane, body, saw, wait: Wait::Synced }).await?;
    }
    if written > 0 {
        info!(entries = written, "settled what is long done");
    }
    Ok(())
}

/// What is to be written after the newest seal: carts first.
struct Due {
    seal: Hash,
    words: Vec<(Lane, Body)>,
}

fn due(shared: &Shared) -> Result<Option<Due>, PruningError> {
    let (entry, carts_before, books_before) = {
        let _one_at_a_time = shared.sealed_file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((entry, sealed)) = newest_equal(shared)? else { return Ok(None) };
        let heard = heard(shared, &sealed)?;
        let history = shared.config.history;
        let carts_before = before(entry.at().wall(), &heard, history.floor_days);
        let books_days = history.books_days.max(history.floor_days);
        (
            entry.clone(),
            carts_before,
            before_seal(time_of(entry.at().wall(), heard.iter().max().copied()), books_days),
        )
    };
    let reader = shared.store.reader();
    let carts = reader.settlings_due(carts_before)?.into_iter();
    let books = reader.books_due(books_before)?.into_iter();
    let carts = carts.map(|settling| (Lane::Floor, Body::Settled(settling)));
    let words = carts.chain(books.map(|op| (Lane::Books, Body::Op(op)))).collect();
    Ok(Some(Due { seal: entry.hash(), words }))
}

/// When each terminal wrote what is sealed of it last, on the floor, where carts come from, by its own clock; the beginning of
/// time for one that wrote nothing.
fn heard(shared: &Shared, sealed: &SealedViews) -> Result<Vec<UnixMicros>, SealError> {
    let members = shared.store.reader().members();
    let mut heard = Vec::new();
    for node in members.nodes() {
        if members.is_member(&node) && members.roles_of(&node).is_terminal() {
            heard.push(sealed.heard_at(&node, Lane::Floor)?.unwrap_or_default());
        }
    }
    Ok(heard)
}

/// Up to when carts may be settled after a seal.
fn before(sealed_at: UnixMicros, heard: &[UnixMicros], days: u32) -> UnixMicros {
    let at = time_of(sealed_at, heard.iter().max().copied());
    let wanted = before_seal(at, days);
    if toko_crdt::mutant!("forget-silent-tills") {
        return wanted;
    }
    let silent = heard.iter().min().map_or(wanted, |oldest| wanted.min(*oldest));
    silent.max(before_seal(at, days.max(SILENT_DAYS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days, since the beginning of time.
    fn until(sealed_at: i64, heard: &[i64]) -> i64 {
        let day = |day: i64| UnixMicros(day * 86_400_000_000);
        let heard: Vec<UnixMicros> = heard.iter().map(|at| day(*at)).collect();
        before(day(sealed_at), &heard, 7).0 / 86_400_000_000
    }

    #[test]
    fn a_terminal_that_is_silent_is_waited_for_and_no_clock_ahead_settles_what_is_new() {
        assert_eq!(until(1_000, &[999, 1_000]), 993, "everybody was here");
        assert_eq!(until(1_000, &[980, 1_000]), 980, "it may still bring what it did since");
        assert_eq!(until(1_000, &[0, 1_000]), 970, "at some time it is waited for no longer");
        assert_eq!(until(70_000, &[999, 1_000]), 993, "the hub is ahead by decades");
        assert_eq!(until(1_000, &[999, 70_000]), 993, "so is a terminal");
        assert_eq!(until(0, &[999, 1_000]), -7, "the hub woke up in 1970: nothing is older");
    }
}
