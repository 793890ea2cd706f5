//! Print jobs: who asked, what was tried, what came of it.

use serde::{Deserialize, Serialize};
use toko_crdt::clock::UnixMicros;
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};
use toko_crdt::{EffectId, NodeId};

use super::table::{
    Key, PRINT_ASK, PRINT_EVENT, PRINT_OPEN, Parts, any_below, mark_if, rows_below, value, write,
};
use crate::ops::{PrintAskV1, PrintOutcome, PrintOutcomeV1, PrintStartedV1};

/// A receipt that somebody wants on paper.
///
/// Shape: a job that was asked for twice (by a cloned terminal) shows the ask with the lowest effect id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintJob {
    /// Its id, also on the paper.
    pub job: [u8; 16],
    /// The sale whose receipt it is.
    pub sale: EffectId,
    /// Which printer.
    pub printer: String,
    /// Seconds after `asked_at` when nobody wants it any more; 0 for never.
    pub ttl_s: u32,
    /// How many.
    pub copies: u8,
    /// Whether it is a copy of a receipt that was asked for before.
    pub is_copy: bool,
    /// Who asked.
    pub asked_by: NodeId,
    /// When, as the author's clock had it.
    pub asked_at: UnixMicros,
    /// What was tried, by number.
    pub attempts: Vec<PrintAttempt>,
    /// Whether it still waits: neither printed nor given up.
    pub open: bool,
}

/// One attempt at a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintAttempt {
    /// Which, from 1; 0 for a job that was given up without one.
    pub attempt: u32,
    /// Whose printer.
    pub owner: NodeId,
    /// Which printer; empty where only the outcome is known.
    pub printer: String,
    /// What came of it, with the level of certainty and the printer's words; nothing while it runs or after a crash.
    pub outcome: Option<(PrintOutcome, u8, String)>,
}

#[derive(Serialize, Deserialize)]
struct AskRow {
    sale: [u8; 32],
    printer: String,
    ttl_s: u32,
    copies: u8,
    is_copy: bool,
    by: [u8; 32],
    at: i64,
}

#[derive(Serialize, Deserialize)]
enum EventRow {
    Started { by: [u8; 32], printer: String },
    Ended { by: [u8; 32], outcome: PrintOutcome, level: u8, detail: String },
}

/// A job; nothing while only attempts of it are known.
pub fn job(kv: &dyn KvRead, job: [u8; 16]) -> Result<Option<PrintJob>, KvError> {
    let asks = rows_below(kv, &Key::of(PRINT_ASK).bytes(&job).done())?;
    let Some((_, row)) = asks.first() else { return Ok(None) };
    let ask: AskRow = value(row)?;
    Ok(Some(PrintJob {
        job,
        sale: EffectId(ask.sale),
        printer: ask.printer,
        ttl_s: ask.ttl_s,
        copies: ask.copies,
        is_copy: ask.is_copy,
        asked_by: NodeId(ask.by),
        asked_at: UnixMicros(ask.at),
        attempts: attempts(kv, job)?,
        open: kv.get(&open_key(job))?.is_some(),
    }))
}

/// Jobs that wait for paper, oldest first.
pub fn jobs_open(kv: &dyn KvRead) -> Result<Vec<PrintJob>, KvError> {
    let mut open = Vec::new();
    for (key, _) in rows_below(kv, &[PRINT_OPEN])? {
        open.extend(job(kv, Parts::of(&key).take()?)?);
    }
    open.sort_by_key(|job| (job.asked_at, job.job));
    Ok(open)
}

pub(super) fn fold_asked(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    sale: EffectId,
    ask: &PrintAskV1,
    is_copy: bool,
) -> Result<(), KvError> {
    let row = AskRow {
        sale: sale.0,
        printer: ask.printer.clone(),
        ttl_s: ask.ttl_s,
        copies: ask.copies,
        is_copy,
        by: effect.author().0,
        at: effect.entry.at().wall().0,
    };
    write(kv, &Key::of(PRINT_ASK).bytes(&ask.job).bytes(&effect.id.0).done(), &row)?;
    settle(kv, ask.job)
}

pub(super) fn fold_started(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    started: &PrintStartedV1,
) -> Result<(), KvError> {
    let row = EventRow::Started { by: effect.author().0, printer: started.printer.clone() };
    write(kv, &event_key(started.job, started.attempt, STARTED, effect.id), &row)
}

pub(super) fn fold_outcome(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    ended: &PrintOutcomeV1,
) -> Result<(), KvError> {
    let row = EventRow::Ended {
        by: effect.author().0,
        outcome: ended.outcome,
        level: ended.level,
        detail: ended.detail.clone(),
    };
    write(kv, &event_key(ended.job, ended.attempt, ENDED, effect.id), &row)?;
    settle(kv, ended.job)
}

const STARTED: u8 = 0;
const ENDED: u8 = 1;

/// The open mark is there exactly while the job was asked for and has no final outcome, whichever of these came first.
fn settle(kv: &mut dyn Kv, job: [u8; 16]) -> Result<(), KvError> {
    let asked = any_below(kv, &Key::of(PRINT_ASK).bytes(&job).done())?;
    let ended = attempts(kv, job)?.iter().any(|attempt| {
        matches!(attempt.outcome, Some((PrintOutcome::Printed | PrintOutcome::GivenUp, _, _)))
            && !toko_crdt::mutant!("printed-job-stays-open")
    });
    mark_if(kv, &open_key(job), asked && !ended)
}

/// Starts and outcomes joined by attempt and owner, since two hubs may have tried the same number.
fn attempts(kv: &dyn KvRead, job: [u8; 16]) -> Result<Vec<PrintAttempt>, KvError> {
    let mut found: Vec<PrintAttempt> = Vec::new();
    for (key, row) in rows_below(kv, &Key::of(PRINT_EVENT).bytes(&job).done())? {
        let mut parts = Parts::of(&key);
        parts.take::<16>()?;
        let attempt = parts.u32()?;
        match value(&row)? {
            EventRow::Started { by, printer } => {
                found.push(PrintAttempt { attempt, owner: NodeId(by), printer, outcome: None });
            }
            EventRow::Ended { by, outcome, level, detail } => {
                let ended = Some((outcome, level, detail));
                let mine =
                    |a: &&mut PrintAttempt| a.attempt == attempt && a.owner.0 == by && a.outcome.is_none();
                match found.iter_mut().find(mine) {
                    Some(running) => running.outcome = ended,
                    None => {
                        let (owner, printer) = (NodeId(by), String::new());
                        found.push(PrintAttempt { attempt, owner, printer, outcome: ended });
                    }
                }
            }
        }
    }
    Ok(found)
}

fn event_key(job: [u8; 16], attempt: u32, kind: u8, effect: EffectId) -> Vec<u8> {
    Key::of(PRINT_EVENT).bytes(&job).u32(attempt).byte(kind).bytes(&effect.0).done()
}

fn open_key(job: [u8; 16]) -> Vec<u8> {
    Key::of(PRINT_OPEN).bytes(&job).done()
}
