//! When a peer that says nothing counts as gone.
//!
//! A dead peer sends no packets, so 2 s are enough. On a line that loses and delays, packets still come while none of its words
//! is whole: then it has 6 s, since giving the link up would only begin it anew on the same line. Only packets that the peer
//! alone can have sent count. Pure: time and counts come in as values.

use quinn::Connection;
use std::time::Duration;
use tokio::time::Instant;

/// Whoever is silent for so long is gone.
pub const SILENCE: Duration = Duration::from_secs(2);
/// Whoever says nothing whole for so long is gone, although packets of it come.
const STALLED: Duration = Duration::from_secs(6);
/// From when on somebody quiet is looked at, and how often: do packets of it come?
const LOOK_AFTER: Duration = Duration::from_millis(1_100);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is seen of a peer that says nothing whole.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Quiet {
    /// When it was looked at last, and how many packets had come by then.
    looked: Option<(Instant, u64)>,
    /// When it was first seen that more had come.
    moved_at: Option<Instant>,
}

impl Quiet {
    /// When a peer that was heard last at `heard_at` counts as gone, and when it is to be looked at.
    pub(super) fn ends(&self, heard_at: Instant) -> (Instant, Instant) {
        let since = |at: Option<Instant>| at.filter(|at| *at > heard_at);
        let moved_at = since(self.moved_at).unwrap_or(heard_at);
        if toko_crdt::mutant!("wait-for-the-silent") {
            return (heard_at + 100 * STALLED, heard_at + 100 * STALLED);
        }
        let silent_at = (moved_at + SILENCE).min(heard_at + STALLED);
        let looked_at = since(self.looked.map(|(at, _)| at));
        let look_at = looked_at.map_or(heard_at + LOOK_AFTER, |at| at + LOOK_EVERY);
        (silent_at, look_at.min(silent_at))
    }

    /// The first look since the peer was heard tells what had come by then; a later one, whether more has.
    pub(super) fn look(&mut self, now: Instant, heard_at: Instant, packets: u64) {
        if self.looked.is_some_and(|(at, before)| at > heard_at && packets > before) {
            self.moved_at = Some(now);
        }
        self.looked = Some((now, packets));
    }
}

/// How much has come from the peer that only the peer can have sent.
pub(super) fn packets_of(connection: &Connection) -> u64 {
    let came = connection.stats().frame_rx;
    came.acks + came.stream + came.ping
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_gone_after_two_seconds_and_a_stuttering_one_after_six() {
        let heard_at = Instant::now();
        let at = |ms: u64| heard_at + Duration::from_millis(ms);
        let mut quiet = Quiet { looked: Some((heard_at - SILENCE, 3)), moved_at: None };
        assert_eq!(quiet.ends(heard_at), (at(2_000), at(1_100)));
        // What came before it was heard is no sign of life after it.
        quiet.look(at(1_100), heard_at, 9);
        assert_eq!(quiet.ends(heard_at), (at(2_000), at(1_200)));
        quiet.look(at(1_200), heard_at, 9);
        assert_eq!(quiet.ends(heard_at).0, at(2_000));
        quiet.look(at(1_300), heard_at, 10);
        assert_eq!(quiet.ends(heard_at), (at(3_300), at(1_400)));
        quiet.look(at(5_900), heard_at, 11);
        assert_eq!(quiet.ends(heard_at), (at(6_000), at(6_000)));
        // Heard again, it is as if nothing had been.
        assert_eq!(quiet.ends(at(5_950)), (at(7_950), at(7_050)));
    }
}
