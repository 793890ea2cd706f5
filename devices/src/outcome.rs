//! What became of a print or a pulse: the three ends, how sure each is, and why.
//!
//! Invariants: `NotSent` is held only if no byte of the job left, so repeating is safe; `Doubt` never means "failed"; nothing is
//! called printed of which the printer said nothing.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::link::Cut;
use crate::status::PrinterStatus;

/// How much the printer confirmed. Only the last two speak of the printer's own doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// L0: handed to the network.
    Sent,
    /// L1: the printer took all bytes and closed the session in order. On USB, which has no sessions: the kernel's queue took them.
    Drained,
    /// L2: the printer reached the end of the job (`GS r`).
    Processed,
    /// L3: the printer finished printing (`GS ( H`).
    Printed,
}

/// What became of a print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It came out: the printer said so.
    Printed {
        /// What it confirmed, [`Level::Processed`] or [`Level::Printed`].
        level: Level,
    },
    /// All of it was sent, and this printer confirms no more: whether it came out nobody knows. Its owner chose to believe it.
    Sent {
        /// How far it was followed, [`Level::Sent`] or [`Level::Drained`].
        level: Level,
    },
    /// It did not come out and will not: no byte of it was sent.
    NotPrinted {
        /// Why.
        why: NotSent,
    },
    /// It may have come out, wholly, partly or not; it may still.
    InDoubt {
        /// Why nobody knows.
        why: Doubt,
    },
}

/// What became of a drawer's pulse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The drawer's sensor moved within a second of the pulse: it is open.
    Opened {
        /// How long after the pulse it was heard.
        after: Duration,
    },
    /// One pulse was sent, and nobody knows whether the drawer moved. It is not sent again.
    NotConfirmed {
        /// What the sensor said, or why it said nothing.
        why: NoEdge,
    },
    /// Nothing was sent: the printer did not answer while the pulse was wanted. It will not open later.
    Expired,
    /// Nothing was sent.
    NotSent {
        /// Why.
        why: NotSent,
    },
}

/// Why an opening is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoEdge {
    /// The sensor told nothing new: there is none, no drawer, or it is stuck.
    #[error("the drawer's sensor did not move within a second")]
    Still,
    /// The sensor said before the pulse that the drawer was open.
    #[error("the drawer stood open already")]
    StoodOpen,
    /// The link broke before the sensor could tell.
    #[error("the link broke right after the pulse: {error}")]
    LinkLost {
        /// What the network said.
        error: String,
    },
}

/// Why nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotSent {
    /// No session with the printer: off, elsewhere, or busy with another host.
    #[error("printer {address} cannot be reached: {error}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What the network said.
        error: String,
    },
    /// A session, but no answer: another host's turn, or not a printer that answers.
    #[error("printer {address} does not answer")]
    Silent {
        /// Where it is.
        address: String,
    },
    /// It said that it cannot print now.
    #[error("printer is not ready: {status}")]
    NotReady {
        /// What it said; [`PrinterStatus::what_to_do`] is for the person.
        status: PrinterStatus,
    },
    /// Too many wait for it already.
    #[error("too many wait for the printer already")]
    Busy,
    /// We were told to stop first.
    #[error("stopped before anything was sent")]
    Stopped,
}

/// Why nobody knows whether it is on paper.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Doubt {
    /// The link broke while bytes were out.
    #[error("link broke with {sent} of {bytes} bytes sent: {error}")]
    LinkLost {
        /// Bytes of the job handed to the network.
        sent: usize,
        /// Bytes of the whole job.
        bytes: usize,
        /// What the network said.
        error: String,
    },
    /// The printer stopped taking bytes.
    #[error("printer stopped taking bytes after {sent} of {bytes}")]
    Stalled {
        /// Bytes of the job handed to the network.
        sent: usize,
        /// Bytes of the whole job.
        bytes: usize,
    },
    /// All was sent, and the printer did not confirm enough in time.
    #[error("printer confirmed no more than {reached}{}", .status.map(|s| format!(" and is {s}")).unwrap_or_default())]
    Unconfirmed {
        /// How far it came.
        reached: Level,
        /// What it says of itself now, if it says anything.
        status: Option<PrinterStatus>,
    },
    /// We were told to stop while bytes were out.
    #[error("stopped before the printer confirmed")]
    Stopped,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Sent => "L0 (sent)",
            Level::Drained => "L1 (drained)",
            Level::Processed => "L2 (processed)",
            Level::Printed => "L3 (printed)",
        })
    }
}

impl Outcome {
    /// The end of a job that reached a level, where no more was to be expected.
    #[must_use]
    pub fn at(level: Level) -> Outcome {
        if level >= Level::Processed { Outcome::Printed { level } } else { Outcome::Sent { level } }
    }
}

impl Doubt {
    /// The doubt that a wait leaves once `sent` of `bytes` are out.
    pub(crate) fn after(sent: usize, bytes: usize, cut: Cut) -> Doubt {
        match cut {
            Cut::Stopped => Doubt::Stopped,
            Cut::Late => Doubt::Stalled { sent, bytes },
            Cut::Lost(error) => Doubt::LinkLost { sent, bytes, error: error.to_string() },
        }
    }
}
