//! What a spooler is to whoever wants a receipt: it promises one, and says what became of it.

use std::fmt::Debug;
use std::time::Instant;

use crate::bench::trouble::Trouble;

/// A receipt that was promised.
#[derive(Clone, Debug)]
pub struct Job {
    /// How its paper names it.
    pub on_paper: String,
    /// How the spooler is asked for it.
    pub asked_by: String,
    /// When the promise came.
    pub promised: Instant,
}

/// What a spooler says of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is on its way, or waits for something.
    Waits,
    /// It is on paper.
    Printed,
    /// Nobody knows.
    InDoubt,
    /// It will not be printed.
    GivenUp,
    /// It knows no such job.
    Unknown,
}

/// Whoever prints receipts. A [`Debug`] of one is for failures.
pub trait Spooler: Debug + Send {
    /// What the table calls it.
    fn name(&self) -> &str;

    /// Whether its speed is shown: it is not, if it is another's in all that matters there.
    fn is_timed(&self) -> bool {
        true
    }

    /// Asks for a receipt; returns once it is promised.
    fn ask(&mut self) -> Result<Job, Trouble>;

    /// What it says of a job now.
    fn said(&self, job: &Job) -> Result<Said, Trouble>;

    /// Whether it says now, to whoever looks, that the paper is out.
    fn tells_paper_out(&self) -> Result<bool, Trouble>;

    /// Ends it and all that it started, as a power cut would.
    fn cut_power(&mut self) -> Result<(), Trouble>;

    /// Starts it and waits until it answers.
    fn start(&mut self) -> Result<(), Trouble>;
}
