//! What time others have it: how a terminal that doubts its own clock comes to believe it again.
//!
//! A terminal that was years ahead has dated its own entries there, and doubts every clock that is behind them. When an entry of
//! another node arrives that was dated a moment ago by this clock too, both agree, and what this terminal wrote in the future is
//! what was wrong. From then on the other's time runs on by the monotonic clock: whoever sets this clock wrong again is doubted.
//!
//! Invariants: order, identity and numbers never come from here; only whether a time is shown as verified. An entry that was
//! here before the doubt began says nothing about now. Cost: nothing, as long as the clock is not doubted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toko_crdt::JournalId;
use toko_crdt::clock::UnixMicros;
use toko_crdt::ids::EntryRef;
use tracing::{info, warn};

use crate::ledger::Ledger;
use crate::wall::Wall;

/// How far two clocks may be apart that agree. An entry is on its way for a moment, and clocks of a shop drift by minutes.
const APART: Duration = Duration::from_secs(5 * 60);
/// How often a clock that is doubted is compared.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was heard of the time. Clones hear together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// A doubt has begun: what comes from now on tells something.
    doubt: Notify,
}

#[derive(Debug, Default)]
struct State {
    doubted: bool,
    /// A time on which another node and this clock agreed, and when that was.
    agreed: Option<(UnixMicros, Instant)>,
}

impl Heard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a time that this terminal would doubt agrees with what others have. Notes that it is doubted, if not.
    pub(crate) fn agrees(&self, at: UnixMicros) -> bool {
        let mut state = self.state();
        let agrees = state.agreed.is_some_and(|(theirs, since)| are_near(at, theirs, since.elapsed()));
        if !std::mem::replace(&mut state.doubted, !agrees) && !agrees {
            self.shared.doubt.notify_one();
        }
        agrees
    }

    /// Another node dated an entry like this, which has just arrived, and our clock says `ours`. Whether they agree.
    pub(crate) fn hear(&self, theirs: UnixMicros, ours: UnixMicros) -> bool {
        let agree = are_near(ours, theirs, Duration::ZERO);
        if agree {
            *self.state() = State { doubted: false, agreed: Some((theirs, Instant::now())) };
        }
        agree
    }

    fn is_doubted(&self) -> bool {
        self.state().doubted
    }

    /// Waits until a doubt begins; one that began and nobody waited for counts.
    async fn doubt(&self) {
        self.shared.doubt.notified().await;
    }
}

/// Whether two clocks are near each other, one of which was read a while ago.
fn are_near(ours: UnixMicros, theirs: UnixMicros, since: Duration) -> bool {
    let since = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    let apart = ours.0.saturating_sub(theirs.0.saturating_add(since)).unsigned_abs();
    u128::from(apart) <= APART.as_micros()
}

/// Compares a clock that is doubted with what others write, until `stop`.
pub(crate) async fn compare(ledger: Ledger, wall: Wall, stop: CancellationToken) {
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<BTreeMap<JournalId, u64>> = None;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = wall.heard().doubt() => {}
            _ = tick.tick() => {}
        }
        if !wall.heard().is_doubted() {
            before = None;
            continue;
        }
        let now = heads_of_others(&ledger);
        if let Some(before) = before.replace(now.clone()) {
            let mut news = now.into_iter().filter(|(journal, seq)| before.get(journal) != Some(seq));
            if news.any(|(journal, seq)| agrees_with(&ledger, &wall, &EntryRef { journal, seq })) {
                info!("this machine's clock agrees with the others' again");
            }
        }
    }
}

fn heads_of_others(ledger: &Ledger) -> BTreeMap<JournalId, u64> {
    let frontier = ledger.frontier();
    let others = frontier.lines().filter(|(journal, _)| journal.node != ledger.me());
    others.map(|(journal, head)| (*journal, head.seq)).collect()
}

fn agrees_with(ledger: &Ledger, wall: &Wall, place: &EntryRef) -> bool {
    match ledger.entry_at(place) {
        Ok(entry) => entry.is_some_and(|entry| wall.hear(entry.at().wall())),
        Err(err) => {
            warn!(%err, "an entry could not be read; the clock stays unverified for now");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixMicros = UnixMicros(1_795_305_600_000_000);

    fn later(minutes: i64) -> UnixMicros {
        UnixMicros(NOON.0 + minutes * 60_000_000)
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_is_believed_while_it_runs_on_with_what_was_heard() {
        let heard = Heard::default();
        assert!(!heard.agrees(NOON) && heard.is_doubted());
        assert!(!heard.hear(later(-60), NOON), "an hour old: that was caught up, and says nothing about now");
        assert!(!heard.hear(later(5_000_000), NOON), "somebody else is years ahead");
        assert!(heard.is_doubted());
        assert!(heard.hear(later(-1), NOON));
        assert!(heard.agrees(NOON) && !heard.is_doubted());
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert!(heard.agrees(later(60)), "an hour later by both clocks");
        assert!(!heard.agrees(NOON), "the wall was set back by an hour");
        assert!(!heard.agrees(later(60 * 24)), "or ahead by a day");
    }
}
