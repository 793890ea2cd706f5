//! How long groups take until they are safe: a disk that stalls is told while it still works.
//!
//! A sale waits for its sync, whatever that takes, so a slow disk makes no error and no gap: only a queue. Cards and disks that
//! are worn stall for seconds now and then, long before they fail (F05).
//!
//! Invariants: durations are the monotonic clock's; what was is forgotten after two windows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longer than this nobody should wait for a disk.
const SLOW: Duration = Duration::from_secs(1);
/// How long groups are counted together; the window before counts too.
const WINDOW: Duration = Duration::from_secs(300);
/// Of so many groups one may be slow: it is the 99th percentile that is watched.
const ONE_IN: u64 = 100;
/// Fewer are an accident.
const FEW: u64 = 3;

/// Counts groups. Clones are handles of the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    windows: Arc<Mutex<Windows>>,
}

#[derive(Debug, Default)]
struct Windows {
    now: Groups,
    before: Groups,
    /// When the window of now began; nothing was counted before the first group.
    began: Option<Instant>,
}

/// Groups of one window.
#[derive(Clone, Copy, Debug, Default)]
struct Groups {
    all: u64,
    slow: u64,
    worst: Duration,
}

/// A disk that keeps people waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlowDisk {
    /// Groups of the last minutes.
    pub groups: u64,
    /// Of which took more than a second.
    pub slow: u64,
    /// The longest.
    pub worst: Duration,
}

impl Pace {
    /// A group took so long. Whether it is the first slow one for a while.
    pub(super) fn note(&self, now: Instant, took: Duration) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.turn(now);
        let is_slow = took > SLOW;
        let is_first = is_slow && windows.now.slow + windows.before.slow == 0;
        windows.now.all += 1;
        windows.now.slow += u64::from(is_slow);
        windows.now.worst = windows.now.worst.max(took);
        is_first
    }

    /// Whether more than one group in a hundred was slow of late, and not just once or twice.
    pub(super) fn slow(&self, now: Instant) -> Option<SlowDisk> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.turn(now);
        let (one, other) = (windows.now, windows.before);
        let (groups, slow) = (one.all + other.all, one.slow + other.slow);
        (slow >= FEW && slow * ONE_IN > groups).then(|| SlowDisk {
            groups,
            slow,
            worst: one.worst.max(other.worst),
        })
    }
}

impl Windows {
    fn turn(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed >= WINDOW {
            // Whoever was away for longer has nothing of late.
            let of_late = passed < 2 * WINDOW;
            self.before = if of_late { self.now } else { Groups::default() };
            self.now = Groups::default();
            self.began = Some(if of_late { began + WINDOW } else { now });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_millis(4);

    #[test]
    fn one_stall_in_a_busy_hour_is_no_news_and_a_disk_that_stalls_again_and_again_is() {
        let (pace, began) = (Pace::default(), Instant::now());
        assert_eq!(pace.slow(began), None);
        for nth in 0..250 {
            assert!(!pace.note(began + nth * USUAL, USUAL));
        }
        let at = began + Duration::from_secs(10);
        assert!(pace.note(at, Duration::from_secs(3)), "the first is logged");
        assert!(!pace.note(at, Duration::from_secs(2)));
        assert_eq!(pace.slow(at), None);
        assert!(!pace.note(at, Duration::from_secs(2)));
        let told = SlowDisk { groups: 253, slow: 3, worst: Duration::from_secs(3) };
        assert_eq!(pace.slow(at), Some(told));
    }

    #[test]
    fn what_was_is_forgotten_after_two_windows() {
        let (pace, began) = (Pace::default(), Instant::now());
        let news = [(); 3].map(|()| pace.note(began, 3 * SLOW));
        assert_eq!(news, [true, false, false]);
        let told = Some(SlowDisk { groups: 3, slow: 3, worst: 3 * SLOW });
        assert_eq!(pace.slow(began + WINDOW), told);
        assert_eq!(pace.slow(began + 2 * WINDOW), None);
        assert!(pace.note(began + 2 * WINDOW, 2 * SLOW), "and the next is news again");
        assert_eq!(pace.slow(began + 20 * WINDOW), None);
    }
}
