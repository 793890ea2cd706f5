//! A person's word about a receipt: it is there, print it again, or let it be.
//!
//! A person who looked at the paper knows more than the printer said. Each word is an entry with the reason beside it, so the
//! books tell who settled what; only the wish for another copy is kept in memory as well, because a hub that died may
//! have printed it. Invariants: nothing is said of a receipt that is being printed; only what is in doubt is printed again.

use crate::desk::{Answer, Refusal, Shared};
use crate::paper::{self, SharedState};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::json;
use std::sync::PoisonError;
use toko_crdt::hash::hex;
use toko_crdt::{Body, Lane};
use toko_devices::spool;
use toko_mesh::store::Wait;
use toko_retail::ops::{OpV1, PrintOutcome, What};
use toko_retail::views::{self, PrintJob};

/// What a person says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spoken {
    /// The job, or its first letters.
    job: String,
    word: Word,
    /// For whoever reads the books.
    why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Printed,
    Reprint,
    Abandon,
}

/// Takes a person's word about one job.
pub(crate) async fn say(State(desk): Shared, body: Result<Json<Spoken>, JsonRejection>) -> Answer {
    let Json(Spoken { job, word, why }) = body?;
    desk.must_be_hub()?;
    let job = named(&desk.node.read(views::jobs_open)?, &job)?;
    allowed(&job, word, &desk.printer)?;
    let (outcome, said) = match word {
        Word::Printed => (PrintOutcome::Printed, "a person found it on paper"),
        Word::Reprint => (PrintOutcome::InDoubt, "a person wants it again"),
        Word::Abandon => (PrintOutcome::GivenUp, "a person gave it up"),
    };
    let detail = if why.is_empty() { said.to_owned() } else { format!("{said}: {why}") };
    let attempt = job.attempts.iter().map(|attempt| attempt.attempt).max().unwrap_or(0);
    let end = toko_retail::paper::end(job.job, attempt, outcome, 0, &detail)
        .map_err(|problem| Refusal::bad("jobs", problem))?;
    // Before the entry, which wakes the printer's owner.
    wish(&desk.printer, job.job, word == Word::Reprint);
    let body = Body::Op(OpV1::new(What::PrintOutcome(end)).encode());
    desk.node.append(Lane::Books, body, None, Wait::Synced).await.map_err(|problem| {
        wish(&desk.printer, job.job, false);
        Refusal::store(&problem)
    })?;
    Ok(Json(json!({ "job": hex(&job.job), "said": said })))
}

/// The one job that is meant.
fn named(jobs: &[PrintJob], name: &str) -> Result<PrintJob, Refusal> {
    let meant: Vec<&PrintJob> = jobs.iter().filter(|job| hex(&job.job).starts_with(name)).collect();
    match meant.as_slice() {
        [job] if !name.is_empty() => Ok((*job).clone()),
        [] => Err(Refusal::bad("no-such-job", format!("no receipt waits under {name:?}; see hubctl jobs"))),
        _ => Err(Refusal::bad("which-job", format!("several jobs begin with {name:?}; write more of it"))),
    }
}

fn allowed(job: &PrintJob, word: Word, printer: &SharedState) -> Result<(), Refusal> {
    let busy = printer.lock().unwrap_or_else(PoisonError::into_inner).printing == Some(job.job);
    match (word, paper::state(job, busy)) {
        (_, spool::State::Sending) => {
            Err(Refusal::bad("printing", "the printer has it and has not answered yet; wait for its word"))
        }
        (Word::Printed | Word::Reprint, spool::State::InDoubt) | (Word::Abandon, _) => Ok(()),
        _ => {
            let words = "nothing of it was sent: it is printed as soon as the printer is ready, or given up with abandon";
            Err(Refusal::bad("not-in-doubt", words))
        }
    }
}

fn wish(printer: &SharedState, job: [u8; 16], wished: bool) {
    let again = &mut printer.lock().unwrap_or_else(PoisonError::into_inner).again;
    if wished {
        again.insert(job);
    } else {
        again.remove(&job);
    }
}
