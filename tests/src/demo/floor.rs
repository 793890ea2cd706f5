//! The sales floor while the day is on: how far it is, who is dark, and what the cashiers have to say.
//!
//! Invariants: the share of lines done is the only clock of the script; a cashier who is ahead of the day waits, one who is
//! behind does not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::stop::StopSign;
use super::trouble::Trouble;
use crate::process::LOOK_EVERY;

/// When nothing was rung up for so long, whoever waits for others waits in vain.
const STANDSTILL: Duration = Duration::from_secs(3);

/// What a terminal acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sale.
    Sale,
    /// A return.
    Return,
    /// A write-off.
    WriteOff,
}

/// One acknowledgement, with what was dark when it came.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// The sale or movement, as the API names it.
    pub id: String,
    /// What it was.
    pub kind: Kind,
    /// The invoice of the sheet.
    pub invoice: String,
    /// The print job, if paper was asked for.
    pub job: Option<String>,
    /// Who acknowledged it.
    pub till: &'static str,
    /// Whether the hub was dead.
    pub hub_dark: bool,
    /// Whether HQ was stopped.
    pub hq_dark: bool,
    /// Whether the terminal was cut from all others.
    pub cut: bool,
}

/// What a cashier has to say.
#[derive(Debug)]
pub enum News {
    /// So many lines are rung up.
    Lines(u64),
    /// A terminal acknowledged something.
    Acknowledged(Acknowledged),
    /// Something worth telling a person.
    Said(String),
    /// A promise was broken.
    Broken(String),
    /// The terminal is in the middle of a cart: now its power may be cut. Answered when it is gone.
    InTheMiddle {
        /// Which.
        till: &'static str,
        /// Of which, in words.
        cart: String,
        /// Told when it is dead.
        gone: Sender<()>,
    },
    /// The cashier cannot go on.
    Failed(Trouble),
}

/// What all cashiers and the script share.
#[derive(Debug)]
pub struct Floor {
    lines: u64,
    lasts: Duration,
    opened: Instant,
    begun: AtomicU64,
    done: AtomicU64,
    stop: StopSign,
    /// Whether the hub is dead.
    pub hub_dark: AtomicBool,
    /// Whether HQ is stopped.
    pub hq_dark: AtomicBool,
    /// Whether one terminal is cut from all others.
    pub cut: AtomicBool,
    /// Whether the parked cart is finished, or given up.
    pub handed_over: AtomicBool,
}

impl Floor {
    /// Opens the floor for a day of `lines`, which lasts at least `lasts`.
    pub fn open(lines: u64, lasts: Duration, stop: StopSign) -> Self {
        let (begun, done) = Default::default();
        let (hub_dark, hq_dark, cut, handed_over) = Default::default();
        Self { lines, lasts, opened: Instant::now(), begun, done, stop, hub_dark, hq_dark, cut, handed_over }
    }

    /// How much of the day is done, in percent.
    pub fn percent(&self) -> u64 {
        (self.done.load(Ordering::Relaxed) * 100).checked_div(self.lines).unwrap_or(100)
    }

    /// So many lines are rung up.
    pub fn add(&self, lines: u64) {
        self.done.fetch_add(lines, Ordering::Relaxed);
    }

    /// Waits until the day has come to the next `lines`.
    ///
    /// Errors: the stop sign.
    pub fn turn(&self, lines: u64) -> Result<(), Trouble> {
        let before = self.begun.fetch_add(lines, Ordering::Relaxed);
        let share = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
        let due = self.lasts.saturating_mul(share(before)) / share(self.lines.max(1));
        while let Some(early) = due.checked_sub(self.opened.elapsed()) {
            self.check()?;
            std::thread::sleep(early.min(LOOK_EVERY));
        }
        self.check()
    }

    /// Waits until so much of the day is done, or until nothing more is done for a moment.
    ///
    /// Errors: the stop sign.
    pub fn wait_for(&self, percent: u64) -> Result<(), Trouble> {
        let mut last = (self.percent(), Instant::now());
        while self.percent() < percent && last.1.elapsed() < STANDSTILL {
            self.check()?;
            std::thread::sleep(LOOK_EVERY);
            if self.percent() != last.0 {
                last = (self.percent(), Instant::now());
            }
        }
        self.check()
    }

    /// Errors: the stop sign is up.
    pub fn check(&self) -> Result<(), Trouble> {
        if self.stop.is_up() { Err(Trouble::Interrupted) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_counted_in_lines() {
        let floor = Floor::open(40, Duration::ZERO, StopSign::default());
        floor.add(13);
        assert_eq!(floor.percent(), 32);
        floor.add(27);
        assert_eq!(floor.percent(), 100);
        assert_eq!(Floor::open(0, Duration::ZERO, StopSign::default()).percent(), 100);
    }

    #[test]
    fn whoever_waits_for_a_turn_leaves_when_the_sign_is_up() {
        let stop = StopSign::default();
        let floor = Floor::open(2, Duration::from_secs(600), stop.clone());
        assert!(floor.turn(1).is_ok(), "the first line is due at once");
        stop.raise();
        assert!(matches!(floor.turn(1), Err(Trouble::Interrupted)));
    }
}
