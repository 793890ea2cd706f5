//! Carts that go: the hub settles what was done before the time that the floor is kept, in steps that nobody waits for.
//!
//! The time counts from the seal, as pruning does, and no clock of this machine has a say. What is open stays, and so does
//! what somebody may still bring who was not heard since: a terminal that was dark for longer than the floor is kept may hold
//! carts that nobody else knows. It is waited for, up to [`SILENT_DAYS_MAX`]; revoking it ends that sooner.
//!
//! Absent on purpose: settling by anybody but the hub of the last term, and any look at what a cart is.

use crate::node::pruning::{PruningError, before_seal, newest_equal};
use crate::node::shared::Shared;
use crate::store::{Append, SealError, SealedViews, Wait};
use std::sync::{Arc, PoisonError};
use toko_crdt::clock::UnixMicros;
use toko_crdt::entry::Saw;
use toko_crdt::settling::Settling;
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
    let Some((seal, due)) = due.map_err(|error| PruningError::Other(error.to_string()))?? else {
        return Ok(());
    };
    let written = due.len();
    for settling in due {
        // Another may have become hub meanwhile.
        if !shared.is_hub() {
            return Ok(());
        }
        let body = Body::Settled(settling);
        let saw = Some(Saw::Entries(vec![seal]));
        shared.store.append(Append { lane: Lane::Floor, body, saw, wait: Wait::Synced }).await?;
    }
    if written > 0 {
        info!(entries = written, "settled carts that are done");
    }
    Ok(())
}

fn due(shared: &Shared) -> Result<Option<(Hash, Vec<Settling>)>, PruningError> {
    let (entry, before) = {
        let _one_at_a_time = shared.sealed_file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((entry, sealed)) = newest_equal(shared)? else { return Ok(None) };
        let before = before(shared, &sealed, entry.at().wall())?;
        (entry, before)
    };
    Ok(Some((entry.hash(), shared.store.reader().settlings_due(before)?)))
}

/// Up to when carts may be settled.
fn before(shared: &Shared, sealed: &SealedViews, at: UnixMicros) -> Result<UnixMicros, SealError> {
    let days = shared.config.history.floor_days;
    let wanted = before_seal(at, days);
    let members = shared.store.reader().members();
    let mut heard = wanted;
    for node in members.nodes() {
        if members.is_member(&node) && members.roles_of(&node).is_terminal() {
            heard = heard.min(sealed.heard_at(&node)?.unwrap_or_default());
        }
    }
    Ok(heard.max(before_seal(at, days.max(SILENT_DAYS_MAX))))
}
