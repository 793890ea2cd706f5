//! One print job: read from the books, decided upon, and answered there.
//!
//! Everything is written by entries, so a job survives whoever prints it, and whoever comes after prints nothing old twice.

use toko_crdt::clock::UnixMicros;
use toko_crdt::{Body, EffectId, Hash, Lane};
use toko_devices::spool::{self, Attempt, End, Facts, Next, Policy, Word};
use toko_devices::{Level, Outcome, Page, Picture};
use toko_mesh::node::Node;
use toko_mesh::store::Wait;
use toko_retail::ops::{OpV1, PrintOutcome, SaleV1, What};
use toko_retail::paper;
use toko_retail::receipt::{Dress, Receipt};
use toko_retail::views::{self, PrintJob};

use std::time::Duration;

use crate::receipt;

/// Whether the terminal that asked for a job prints it by itself, and nobody else ever does.
#[must_use]
pub fn printed_at_its_till(job: &PrintJob) -> bool {
    job.printer == paper::OWN_PRINTER
}

/// The attempts at a job as the spool counts them; `started` is when the last one began, as far as is known here.
#[must_use]
pub fn attempts(job: &PrintJob, started: UnixMicros) -> Vec<Attempt> {
    let made = job.attempts.iter().filter(|attempt| attempt.attempt > 0);
    made.map(|attempt| Attempt {
        number: attempt.attempt,
        started: micros(started),
        end: attempt.outcome.as_ref().map(|(outcome, level, detail)| match outcome {
            PrintOutcome::Printed if paper::is_on_paper(*level, detail) => End::Printed,
            PrintOutcome::Printed => End::Sent,
            PrintOutcome::NotPrinted => End::NotSent,
            PrintOutcome::InDoubt | PrintOutcome::GivenUp => End::InDoubt,
        }),
    })
    .collect()
}

/// What is to be done about a job; `started` is when its last attempt began, if that was here. What began elsewhere, or by a
/// clock that was ahead, is not waited for: it could be years.
#[must_use]
pub fn next(
    job: &PrintJob,
    started: Option<UnixMicros>,
    word: Option<Word>,
    policy: Policy,
    now: UnixMicros,
) -> Next {
    let started = started.filter(|started| *started <= now).unwrap_or(UnixMicros(0));
    let attempts = attempts(job, started);
    let ttl = match job.ttl_s {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds.into()),
    };
    let facts = Facts { asked_at: micros(job.asked_at), ttl, attempts: &attempts, word };
    spool::next(&facts, policy, micros(now))
}

/// What a job is to whoever asks; `printing` says that the printer has it now.
#[must_use]
pub fn state(job: &PrintJob, printing: bool) -> spool::State {
    spool::State::of(&attempts(job, UnixMicros(0)), printing)
}

/// Keeps that an attempt begins.
///
/// Errors: the job is done, or the store did not take it; then nothing may be sent.
pub async fn start(node: &Node, job: &PrintJob, printer: &str) -> Result<(), String> {
    let start = paper::start(job, printer).map_err(|problem| problem.to_string())?;
    if toko_crdt::mutant!("print-before-the-start-is-kept") {
        return Ok(());
    }
    append(node, What::PrintStarted(start)).await
}

/// Keeps what came of an attempt.
///
/// Errors: the store did not take it; then the attempt reads as doubt.
pub async fn end(
    node: &Node,
    job: &PrintJob,
    attempt: u32,
    (outcome, level, detail): (PrintOutcome, u8, &str),
) -> Result<(), String> {
    let end = paper::end(job.job, attempt, outcome, level, detail).map_err(|problem| problem.to_string())?;
    append(node, What::PrintOutcome(end)).await
}

/// One attempt at a job, in the order that keeps a receipt from passing for the first twice: that it begins is kept, then
/// `send` sends it, then what came of it is kept. Nothing of `send` happens before.
///
/// Errors: the job is done, or the store did not take it. Where that was the start, nothing was sent; where it was the end,
/// the attempt reads as doubt.
pub async fn attempt(
    node: &Node,
    job: &PrintJob,
    (number, printer): (u32, &str),
    send: impl Future<Output = Outcome>,
) -> Result<(), String> {
    start(node, job, printer).await?;
    let outcome = send.await;
    let (what, level, detail) = told(&outcome);
    end(node, job, number, (what, level, &detail)).await
}

/// Why a job is given up: it is older than whoever asked wants it.
pub const OLD: &str = "nobody wants it any more";

/// Keeps that a job is given up, and why.
///
/// Errors: the store did not take it.
pub async fn give_up(node: &Node, job: &PrintJob, attempt: u32, why: &str) -> Result<(), String> {
    end(node, job, attempt, (PrintOutcome::GivenUp, 0, why)).await
}

/// Gives a job of which nothing was sent since its last attempt to another printer, by entries: an attempt that sent nothing,
/// and that it was at the other one. In this order, since an attempt without an end would be doubt.
///
/// Errors: the store did not take it.
pub async fn hand_over(node: &Node, job: &PrintJob, to: &str, why: &str) -> Result<(), String> {
    let start = paper::start(job, to).map_err(|problem| problem.to_string())?;
    end(node, job, start.attempt, (PrintOutcome::NotPrinted, 0, why)).await?;
    append(node, What::PrintStarted(start)).await
}

/// What a printer did, as the books keep it: what was only sent is known there by its level.
#[must_use]
pub fn told(outcome: &Outcome) -> (PrintOutcome, u8, String) {
    match outcome {
        Outcome::Printed { level } | Outcome::Sent { level } => {
            (PrintOutcome::Printed, level_number(*level), String::new())
        }
        Outcome::NotPrinted { why } => (PrintOutcome::NotPrinted, 0, why.to_string()),
        Outcome::InDoubt { why } => (PrintOutcome::InDoubt, 0, why.to_string()),
    }
}

/// A level of confirmation as its number, 0 to 3.
#[must_use]
pub fn level_number(level: Level) -> u8 {
    match level {
        Level::Sent => 0,
        Level::Drained => 1,
        Level::Processed => 2,
        Level::Printed => 3,
    }
}

/// What stands above and below all receipts.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// A picture on top.
    pub sign: Option<&'a Picture>,
    /// Lines below it: the shop's name first.
    pub header: &'a [String],
    /// Lines at the end.
    pub footer: &'a [String],
}

/// The page of a job's receipt; nothing while the sale's entry is neither here nor at anybody who is linked.
///
/// Errors: the store could not be read, or the sale has no receipt.
pub async fn page(node: &Node, job: &PrintJob, frame: Frame<'_>) -> Result<Option<Page>, String> {
    let Some(sale) = sale(node, job.sale).await? else { return Ok(None) };
    let original = match sale.original {
        Some(original) => node
            .read(|kv| views::sale(kv, EffectId(original)))
            .map_err(|problem| problem.to_string())?
            .map(|summary| summary.number),
        None => None,
    };
    let dress = Dress {
        header: frame.header.to_vec(),
        footer: frame.footer.to_vec(),
        time: receipt::time_of(&sale),
        original,
        is_copy: job.is_copy,
    };
    let content = Receipt::of(&sale, job.sale, &dress).map_err(|problem| problem.to_string())?;
    Ok(Some(receipt::page(&content, job.job, frame.sign).times(job.copies.min(paper::COPIES_MAX))))
}

/// A page as an attempt sends it: under the banner of a possible duplicate, where it needs one.
#[must_use]
pub fn under_banner(page: Page, banner: bool) -> Page {
    if banner && !toko_crdt::mutant!("leave-the-banner-off") {
        page.marked_possible_duplicate()
    } else {
        page
    }
}

async fn sale(node: &Node, id: EffectId) -> Result<Option<SaleV1>, String> {
    let entry = node.fetch_entry(&Hash(id.0)).await.map_err(|problem| problem.to_string())?;
    let Some(bytes) = entry.as_ref().and_then(|entry| entry.body()) else { return Ok(None) };
    let Ok(Body::Op(op)) = Body::decode(&node.store_id(), bytes) else { return Ok(None) };
    match OpV1::decode(&op) {
        Ok(OpV1 { what: What::Sale(sale), .. }) => Ok(Some(*sale)),
        _ => Ok(None),
    }
}

async fn append(node: &Node, what: What) -> Result<(), String> {
    let body = Body::Op(OpV1::new(what).encode());
    let appended = node.append(Lane::Books, body, None, Wait::Synced).await;
    appended.map(drop).map_err(|err| err.to_string())
}

fn micros(at: UnixMicros) -> spool::UnixMicros {
    spool::UnixMicros(u64::try_from(at.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::NodeId;
    use toko_retail::views::PrintAttempt;

    /// A hub that was started again knows of no start; its clock, or the till's, may have been ahead by then.
    #[test]
    fn a_job_that_was_tried_by_a_clock_that_was_ahead_waits_for_no_other_year() {
        const YEAR: i64 = 365 * 86_400_000_000;
        let (now, owner) = (UnixMicros(50 * YEAR), NodeId([1; 32]));
        let tried = PrintAttempt {
            attempt: 1,
            owner,
            printer: "receipts".into(),
            outcome: Some((PrintOutcome::NotPrinted, 0, String::new())),
        };
        let job = |asked_at| PrintJob {
            job: [1; 16],
            sale: EffectId([1; 32]),
            printer: "receipts".into(),
            ttl_s: 0,
            copies: 1,
            is_copy: false,
            asked_by: owner,
            asked_at,
            attempts: vec![tried.clone()],
            open: true,
        };
        let next = |job: &PrintJob, started| next(job, started, None, Policy::Hold, now);
        let ahead = UnixMicros(now.0 + YEAR);
        let send = Next::Send { attempt: 2, banner: false };
        assert_eq!(next(&job(ahead), None), send, "the till's");
        assert_eq!(next(&job(now), Some(ahead)), send, "the hub's");
        assert!(matches!(next(&job(now), Some(now)), Next::Wait { .. }), "its pause is kept");
    }
}
