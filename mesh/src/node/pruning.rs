//! History that goes: below the newest seal that came out equal here and at another node, and that headquarters holds.
//!
//! Ages count from the seal's own time, as the hub wrote it, against the time in each entry: no clock of this machine has a
//! say. A seal that is dated later than anything that a terminal wrote counts from that: what went does not come back. What is read and kept happens on a thread that may wait; the store's own thread only changes rows, a few at a time,
//! and removes files.

use crate::node::shared::Shared;
use crate::store::{ArchivedLog, Cut, PruneError, SaveError, SealError, SealedViews, Verdict};
use std::sync::{Arc, PoisonError};
use thiserror::Error;
use toko_crdt::book::rows;
use toko_crdt::clock::UnixMicros;
use toko_crdt::member::Members;
use toko_crdt::{Entry, KvError, Lane};
use tracing::info;

const DAY_MICROS: i64 = 86_400_000_000;
/// Segments that go between two looks at the rest of the work.
const SEGMENTS_AT_ONCE: usize = 1;

/// Why history was not pruned. Nothing is lost; it is tried again at the next seal.
#[derive(Debug, Error)]
pub(super) enum PruningError {
    #[error(transparent)]
    Plan(#[from] PruneError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Kv(#[from] KvError),
    #[error(transparent)]
    Save(#[from] SaveError),
    #[error("{0}")]
    Other(String),
}

/// Prunes what may go, segment by segment.
pub(super) async fn prune(shared: &Arc<Shared>) -> Result<(), PruningError> {
    let on_thread = Arc::clone(shared);
    let aside = |error: tokio::task::JoinError| PruningError::Other(error.to_string());
    let Some(cut) = shared.config.machine.aside(move || cut(&on_thread)).await.map_err(aside)?? else {
        return Ok(());
    };
    let mut went = 0;
    loop {
        let (reader, up_to) = (shared.store.reader().clone(), cut.clone());
        let plan = move || ArchivedLog::open(&reader)?.plan(&reader, &up_to, SEGMENTS_AT_ONCE);
        let plan = shared.config.machine.aside(plan).await.map_err(aside)??;
        if plan.is_empty() {
            break;
        }
        shared.store.prune(plan).await?;
        went += 1;
    }
    let (reader, up_to) = (shared.store.reader().clone(), cut);
    let plan = move || ArchivedLog::open(&reader)?.plan_archive(&reader, &up_to);
    let plan = shared.config.machine.aside(plan).await.map_err(aside)??;
    if let Some(below) = plan.below() {
        shared.store.prune_archive(plan).await?;
        let reader = shared.store.reader().clone();
        let drop_them = move || {
            let mut archive = ArchivedLog::open(&reader)?;
            Ok::<_, PruneError>(archive.drop_below(below)?)
        };
        shared.config.machine.aside(drop_them).await.map_err(aside)??;
    }
    if went > 0 {
        info!(segments = went, "pruned history below the last seal");
    }
    Ok(())
}

/// The newest seal that came out equal here, and the views there. Have the lock of the file.
pub(super) fn newest_equal(shared: &Shared) -> Result<Option<(Entry, SealedViews)>, PruningError> {
    let newest = shared.seals().newest;
    let Some(newest) = newest.filter(|newest| newest.verdict == Verdict::Equal) else { return Ok(None) };
    let reader = shared.store.reader();
    let Ok(Some(entry)) = reader.entry_by_hash(newest.seal) else { return Ok(None) };
    Ok(Some((entry, SealedViews::open(reader)?)))
}

/// So many days before a seal, as the hub's clock had it.
pub(super) fn before_seal(at: UnixMicros, days: u32) -> UnixMicros {
    UnixMicros(at.0.saturating_sub(i64::from(days).saturating_mul(DAY_MICROS)))
}

/// From when ages count: the seal's time, or the newest that a terminal wrote, where the hub's clock is ahead of all.
pub(super) fn time_of(sealed_at: UnixMicros, newest: Option<UnixMicros>) -> UnixMicros {
    if toko_crdt::mutant!("age-by-the-hubs-clock-alone") {
        return sealed_at;
    }
    newest.map_or(sealed_at, |newest| sealed_at.min(newest))
}

/// When any terminal wrote last, by its own clock; the beginning of time where none wrote anything, `None` where there is none.
fn newest_of_terminals(members: &Members, sealed: &SealedViews) -> Result<Option<UnixMicros>, KvError> {
    let mut newest = None;
    for node in members.nodes() {
        if members.roles_of(&node).is_terminal() {
            for lane in Lane::ALL {
                newest = newest.max(Some(sealed.heard_at(&node, lane)?.unwrap_or_default()));
            }
        }
    }
    Ok(newest)
}

/// Up to where history may go; `None` where nothing may.
fn cut(shared: &Shared) -> Result<Option<Cut>, PruningError> {
    let _one_at_a_time = shared.sealed_file.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((entry, sealed)) = newest_equal(shared)? else { return Ok(None) };
    let reader = shared.store.reader();
    let members = reader.members();
    let newest = newest_of_terminals(&members, &sealed)?;
    let sealed = sealed.frontier().clone();
    let told = reader.read(|kv| rows::watermark_union(kv))?;
    let theirs = members.headquarters();
    let headquarters = (!theirs.is_empty()).then(|| {
        let mut held = told.of_lanes(&[Lane::Books]);
        // What it wrote itself it holds, and never tells.
        let own = sealed.lines().filter(|(journal, _)| theirs.contains(&journal.node));
        if !toko_crdt::mutant!("wait-for-headquarters-own-word") {
            own.for_each(|(journal, head)| held.set(*journal, *head));
        }
        held
    });
    let before = |days: u32| before_seal(time_of(entry.at().wall(), newest), days);
    let history = shared.config.history;
    Ok(Some(Cut {
        sealed,
        headquarters,
        log_before: before(history.floor_days),
        books_before: before(history.books_days.max(history.floor_days)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hubs_clock_that_runs_ahead_of_all_terminals_makes_nothing_older() {
        let (day, of) = (DAY_MICROS, |days: i64| UnixMicros(days * DAY_MICROS));
        assert_eq!(time_of(of(400), Some(of(30))), of(30), "a year ahead");
        assert_eq!(time_of(of(30), Some(of(31))), of(30), "a terminal ahead of the hub");
        assert_eq!(time_of(of(30), None), of(30), "a hub without terminals");
        assert_eq!(before_seal(time_of(of(400), Some(of(30))), 7), UnixMicros(23 * day));
    }
}
