//! Asking for paper, and answering: asked by a terminal, answered by whoever owns the printer.

use toko_crdt::EffectId;

use crate::ops::{PrintAskV1, PrintAskedV1, PrintOutcome, PrintOutcomeV1, PrintStartedV1, limits};
use crate::text::{TextError, check_given};
use crate::views::PrintJob;

/// Why nothing was asked or answered. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PaperError {
    /// None, or too many.
    #[error("{0} copies; 1 to {COPIES_MAX} are possible")]
    Copies(u8),
    /// The job is done.
    #[error("the job is done: it was printed or given up; ask for a copy under a new job")]
    Done,
    /// A level that does not exist.
    #[error("level {0}; 0 to 3 are possible")]
    Level(u8),
    /// A printer without a name, or one that may not be kept.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// Most copies of one receipt.
pub const COPIES_MAX: u8 = 9;

/// The name that a terminal asks for when it prints by itself. Whoever wrote the ask prints it, and nobody else ever does, so two
/// who cannot see each other never print the same receipt.
pub const OWN_PRINTER: &str = "@till";

/// What a person says of a receipt that was in doubt. It stands first in the outcome's detail, where a printer that prints says
/// nothing.
pub const FOUND_ON_PAPER: &str = "a person found it on paper";

/// From this level on it is the printer that speaks of the paper.
pub(crate) const PROCESSED: u8 = 2;

/// Whether an outcome that reads printed says that there is paper. Without the printer's word or a person's all of it was sent,
/// and no more is known.
#[must_use]
pub fn is_on_paper(level: u8, detail: &str) -> bool {
    level >= PROCESSED || was_found(level, detail) || toko_crdt::mutant!("call-what-was-sent-printed")
}

/// Whether it is a person who says so.
#[must_use]
pub fn was_found(level: u8, detail: &str) -> bool {
    level < PROCESSED && detail.starts_with(FOUND_ON_PAPER)
}

/// A receipt to print with its sale. `job` is drawn at random, once.
pub fn ask(job: [u8; 16], printer: &str, ttl_s: u32, copies: u8) -> Result<PrintAskV1, PaperError> {
    check_given("the printer", printer, limits::WORD_CHARS_MAX)?;
    if !(1..=COPIES_MAX).contains(&copies) {
        return Err(PaperError::Copies(copies));
    }
    Ok(PrintAskV1 { job, printer: printer.to_string(), ttl_s, copies })
}

/// A copy of a receipt, under a job of its own.
pub fn ask_again(sale: EffectId, ask: PrintAskV1) -> PrintAskedV1 {
    PrintAskedV1 { sale: sale.0, ask }
}

/// The next attempt at a job; durable before its first byte leaves.
pub fn start(job: &PrintJob, printer: &str) -> Result<PrintStartedV1, PaperError> {
    check_given("the printer", printer, limits::WORD_CHARS_MAX)?;
    if !job.open {
        return Err(PaperError::Done);
    }
    let last = job.attempts.iter().map(|attempt| attempt.attempt).max().unwrap_or(0);
    Ok(PrintStartedV1 { job: job.job, attempt: last.saturating_add(1), printer: printer.to_string() })
}

/// What came of an attempt. What the printer said is cut to what is kept, without its control characters.
pub fn end(
    job: [u8; 16],
    attempt: u32,
    outcome: PrintOutcome,
    level: u8,
    detail: &str,
) -> Result<PrintOutcomeV1, PaperError> {
    if level > 3 {
        return Err(PaperError::Level(level));
    }
    let detail = detail.chars().filter(|c| !c.is_control()).take(limits::TEXT_CHARS_MAX).collect();
    Ok(PrintOutcomeV1 { job, attempt, outcome, level, detail })
}
