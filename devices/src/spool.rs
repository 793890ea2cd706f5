//! The life of a print job, decided from what is known of it. Pure: the caller keeps the facts and tells the time.
//!
//! A job is `asked → sending → printed | sent, to a printer that confirms nothing | not sent | in doubt`, and from doubt `found
//! printed | reprinted, marked | abandoned`. Here lives "none lost, none doubled". Invariants: at most one unmarked copy is ever sent towards paper;
//! a start without an end is doubt, because a hub that dies between the two cannot know; a job that is printed, or was sent
//! whole to a printer that confirms nothing, is never sent again. Absent on purpose: where facts are kept (entries, of hub or
//! terminal) and receipt numbers, which printing never makes.

use std::time::Duration;

use crate::outcome::Outcome;

/// A moment, in microseconds of the Unix epoch. Whoever calls chooses the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMicros(pub u64);

/// All that is known of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// When it was asked for.
    pub asked_at: UnixMicros,
    /// How long after that it may still be sent for the first time.
    pub ttl: Duration,
    /// Each attempt that was started, by whichever hub, in any order.
    pub attempts: &'a [Attempt],
    /// What a person said last, if nothing of the job was sent since.
    pub word: Option<Word>,
}

/// One attempt to print. Its start is kept before a byte leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its ordinal, from 1.
    pub number: u32,
    /// When it was started.
    pub started: UnixMicros,
    /// How it ended; `None` if whoever started it did not live to tell.
    pub end: Option<End>,
}

/// How an attempt ended, as far as the decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// It is on paper.
    Printed,
    /// All of it was sent to a printer that confirms nothing.
    Sent,
    /// No byte of it was sent.
    NotSent,
    /// Nobody knows.
    InDoubt,
}

/// What a person decided about a job in doubt, after looking at the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// The paper is there.
    Printed,
    /// Print it again, marked.
    Reprint,
    /// Let it be.
    Abandon,
}

/// What to do with jobs in doubt without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Hold them until a person has looked.
    Hold,
    /// Print them again under the banner, until so many attempts are in doubt; then hold.
    ReprintMarked {
        /// Attempts in doubt at which it is held instead; below 2 nothing is reprinted.
        doubts_max: u32,
    },
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Keep the start of attempt `attempt`, then send it.
    Send {
        /// The ordinal of the attempt.
        attempt: u32,
        /// Whether the page goes under the banner of a possible duplicate.
        banner: bool,
    },
    /// The printer took nothing lately. Look again at `until`, or when its state changes.
    Wait {
        /// When to look again.
        until: UnixMicros,
    },
    /// In doubt: a person has to look.
    Hold,
    /// Too old to be printed; no byte of it was ever sent.
    Expired,
    /// Nothing more to do.
    Done,
}

/// What a job is to whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It is kept, and nothing was tried yet.
    Accepted,
    /// The printer has it, or some of it.
    Sending,
    /// No byte of it left; it is tried again by itself, here or at another printer.
    FailedUnsent,
    /// Nobody knows whether it is on paper.
    InDoubt,
    /// It is on paper.
    Printed,
    /// All of it was sent to a printer that confirms nothing: nobody hears of it any more.
    Sent,
    /// It is on paper, and an earlier copy may be too; this one says so.
    Reprinted,
}

impl State {
    /// The state of a job with these attempts; `sending` says that one of them is under way here.
    #[must_use]
    pub fn of(attempts: &[Attempt], sending: bool) -> State {
        let doubt = attempts.iter().any(|attempt| matches!(attempt.end, None | Some(End::InDoubt)));
        let printed = attempts.iter().any(|attempt| attempt.end == Some(End::Printed));
        let sent = attempts.iter().any(|attempt| attempt.end == Some(End::Sent));
        match (printed, sending, doubt) {
            (true, _, true) => State::Reprinted,
            (true, _, false) => State::Printed,
            _ if sent => State::Sent,
            (_, true, _) => State::Sending,
            (_, _, true) => State::InDoubt,
            _ if attempts.is_empty() => State::Accepted,
            _ => State::FailedUnsent,
        }
    }

    /// Its name, in lists and for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Accepted => "accepted",
            State::Sending => "sending",
            State::FailedUnsent => "failed_unsent",
            State::InDoubt => "in_doubt",
            State::Printed => "printed",
            State::Sent => "sent",
            State::Reprinted => "reprinted",
        }
    }
}

impl Policy {
    /// Reprint once without being asked; hold if that is in doubt as well.
    pub const REPRINT_ONCE: Policy = Policy::ReprintMarked { doubts_max: 2 };
}

impl From<&Outcome> for End {
    fn from(outcome: &Outcome) -> End {
        match outcome {
            Outcome::Printed { .. } => End::Printed,
            Outcome::Sent { .. } => End::Sent,
            Outcome::NotPrinted { .. } => End::NotSent,
            Outcome::InDoubt { .. } => End::InDoubt,
        }
    }
}

impl Attempt {
    fn in_doubt(&self) -> bool {
        matches!(self.end, None | Some(End::InDoubt)) && !crate::mutant!("retry-what-is-in-doubt")
    }
}

/// What to do next with a job. Do not ask while an attempt of your own is under way: it would read as doubt.
///
/// ```
/// use std::time::Duration;
/// use toko_devices::spool::{Attempt, Facts, Next, Policy, UnixMicros, next};
///
/// let (asked_at, ttl) = (UnixMicros(1_000), Duration::from_secs(3_600));
/// let fresh = Facts { asked_at, ttl, attempts: &[], word: None };
/// assert_eq!(next(&fresh, Policy::REPRINT_ONCE, asked_at), Next::Send { attempt: 1, banner: false });
///
/// // The hub died while it printed: nobody knows, so the second copy says so.
/// let died = [Attempt { number: 1, started: asked_at, end: None }];
/// let facts = Facts { attempts: &died, ..fresh };
/// assert_eq!(next(&facts, Policy::REPRINT_ONCE, asked_at), Next::Send { attempt: 2, banner: true });
/// assert_eq!(next(&facts, Policy::Hold, asked_at), Next::Hold);
/// ```
#[must_use]
pub fn next(facts: &Facts<'_>, policy: Policy, now: UnixMicros) -> Next {
    let attempts = facts.attempts;
    let out = attempts.iter().any(|a| matches!(a.end, Some(End::Printed | End::Sent)));
    let out = out && !crate::mutant!("print-what-is-printed");
    if out || matches!(facts.word, Some(Word::Printed | Word::Abandon)) {
        return Next::Done;
    }
    let doubts = attempts.iter().filter(|a| a.in_doubt()).count();
    let old = micros_since(facts.asked_at, now) > facts.ttl.as_micros();
    let old = old && !crate::mutant!("print-yesterdays-receipts");
    let asked_again = facts.word == Some(Word::Reprint);
    if !asked_again {
        match policy {
            _ if doubts == 0 && old => return Next::Expired,
            _ if doubts == 0 => {}
            Policy::Hold => return Next::Hold,
            Policy::ReprintMarked { doubts_max } => {
                let many = u32::try_from(doubts).unwrap_or(u32::MAX) >= doubts_max;
                if many || old {
                    return Next::Hold;
                }
            }
        }
    }
    if let Some(until) = pause_after(attempts).filter(|until| now < *until) {
        return Next::Wait { until };
    }
    let attempt = attempts.iter().map(|a| a.number).max().unwrap_or(0).saturating_add(1);
    // A person who asks for it again may hold a copy that we do not know of.
    Next::Send { attempt, banner: (doubts > 0 || asked_again) && !crate::mutant!("reprint-without-banner") }
}

/// When to try again after attempts that sent nothing: after 1, 2, 4 … 30 seconds.
fn pause_after(attempts: &[Attempt]) -> Option<UnixMicros> {
    let last = attempts.iter().max_by_key(|a| a.number).filter(|a| a.end == Some(End::NotSent))?;
    let unsent = attempts.iter().filter(|a| a.end == Some(End::NotSent)).count();
    let doublings = u32::try_from(unsent.saturating_sub(1)).unwrap_or(u32::MAX).min(5);
    let pause = (PAUSE_MICROS << doublings).min(PAUSE_MICROS_MAX);
    Some(UnixMicros(last.started.0.saturating_add(pause)))
}

/// Zero if `then` lies ahead: two machines' clocks differ.
fn micros_since(then: UnixMicros, now: UnixMicros) -> u128 {
    u128::from(now.0.saturating_sub(then.0))
}

const PAUSE_MICROS: u64 = 1_000_000;
const PAUSE_MICROS_MAX: u64 = 30_000_000;

#[cfg(test)]
mod tests;
