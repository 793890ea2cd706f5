//! Paper: asked for by a terminal, answered by whoever owns the printer.

use serde::{Deserialize, Serialize};

/// A print that travels with its sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintAskV1 {
    /// The job: made with the sale, never changed, printed on the paper.
    pub job: [u8; 16],
    /// Which printer, by the name its owner gave it.
    pub printer: String,
    /// Seconds after which nobody wants it any more; 0 for never.
    pub ttl_s: u32,
    /// How many.
    pub copies: u8,
}

/// A print that is asked for by itself: a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintAskedV1 {
    /// Effect id of the sale.
    pub sale: [u8; 32],
    /// What to print and where.
    pub ask: PrintAskV1,
}

/// The first byte is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintStartedV1 {
    /// Which job.
    pub job: [u8; 16],
    /// Which attempt, from 1.
    pub attempt: u32,
    /// On which printer.
    pub printer: String,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintOutcomeV1 {
    /// Which job.
    pub job: [u8; 16],
    /// Which attempt; 0 where none was made.
    pub attempt: u32,
    /// What is on the paper.
    pub outcome: PrintOutcome,
    /// How sure: 0 nothing, 1 drained, 2 processed, 3 printed.
    pub level: u8,
    /// What the printer said, for people.
    pub detail: String,
}

/// What is on the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PrintOutcome {
    /// The whole receipt, if its level is 2 or more or a person says so; below that it was sent, and nobody will try again. See
    /// [`crate::paper::is_on_paper`].
    Printed,
    /// Nothing; trying again is safe.
    NotPrinted,
    /// Nobody knows.
    InDoubt,
    /// Nobody will try again: its time ran out, or a person said so.
    GivenUp,
}
