//! A person's word about a receipt: it is there, print it again, try it now, move it, or let it be.
//!
//! A person who looked at the paper knows more than the printer said. Each word that changes what becomes of a receipt is an entry
//! with the reason beside it, so the books tell who settled what; only the wish for another copy or for haste is kept in memory as
//! well, because a hub that died may have printed it. Invariants: nothing is said of a receipt that is being printed; only what is
//! in doubt is printed again, marked; of what a terminal prints by itself nothing can be said here but that nobody wants it.

use crate::desk::{Answer, Desk, Refusal, Shared};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::json;
use toko_crdt::hash::hex;
use toko_crdt::{Body, Lane};
use toko_devices::spool;
use toko_mesh::store::Wait;
use toko_paper::job::{self, hand_over};
use toko_retail::ops::{OpV1, PrintOutcome, What};
use toko_retail::paper::FOUND_ON_PAPER;
use toko_retail::views::{self, PrintJob};

/// What a person says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spoken {
    /// The job, or its first letters.
    job: String,
    word: Word,
    /// For whoever reads the books.
    #[serde(default)]
    why: String,
    /// The printer that a job is moved to.
    to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Printed,
    Reprint,
    Release,
    Move,
    Cancel,
}

/// Takes a person's word about one job.
pub(crate) async fn say(State(desk): Shared, body: Result<Json<Spoken>, JsonRejection>) -> Answer {
    let Json(Spoken { job, word, why, to }) = body?;
    desk.must_be_hub()?;
    // Before anybody else takes the job: what is looked at below stays true until it is said.
    let _turn = desk.printers.turn.lock().await;
    let job = named(&desk.node.read(views::jobs_open)?, &job)?;
    if job::printed_at_its_till(&job) && word != Word::Cancel {
        let who = crate::answers::name_of(&desk.node.members(), &job.asked_by);
        let words = format!(
            "{who} prints it on its own printer, and only {who} knows how far it is; ask there for a copy, or cancel it"
        );
        return Err(Refusal::bad("at-its-till", words));
    }
    let in_doubt = allowed(&desk, &job, word)?;
    let said = match word {
        Word::Printed => end(&desk, &job, PrintOutcome::Printed, FOUND_ON_PAPER, &why).await?,
        Word::Cancel if why.trim().is_empty() => {
            return Err(Refusal::bad("why", "nobody will have this receipt: say why, with --why"));
        }
        Word::Cancel => end(&desk, &job, PrintOutcome::GivenUp, "a person cancelled it", &why).await?,
        Word::Move => move_to(&desk, &job, in_doubt, &why, to.as_deref().unwrap_or_default()).await?,
        Word::Reprint | Word::Release if in_doubt => again(&desk, &job, &why).await?,
        Word::Reprint | Word::Release => {
            // No entry tells the printer's task.
            desk.printers.wishes().soon.insert(job.job);
            wake(&desk, &job);
            "it is tried now".to_owned()
        }
    };
    Ok(Json(json!({ "job": hex(&job.job), "said": said })))
}

/// A person's word as the outcome of the last attempt.
async fn end(
    desk: &Desk,
    job: &PrintJob,
    outcome: PrintOutcome,
    said: &str,
    why: &str,
) -> Result<String, Refusal> {
    let detail = if why.is_empty() { said.to_owned() } else { format!("{said}: {why}") };
    let attempt = job.attempts.iter().map(|attempt| attempt.attempt).max().unwrap_or(0);
    let end = toko_retail::paper::end(job.job, attempt, outcome, 0, &detail)
        .map_err(|problem| Refusal::bad("jobs", problem))?;
    let body = Body::Op(OpV1::new(What::PrintOutcome(end)).encode());
    let appended = desk.node.append(Lane::Books, body, None, Wait::Synced).await;
    appended.map_err(|problem| Refusal::store(&problem))?;
    Ok(said.to_owned())
}

/// A job in doubt, once more.
async fn again(desk: &Desk, job: &PrintJob, why: &str) -> Result<String, Refusal> {
    // Before the entry, which wakes the printer's owner.
    desk.printers.wishes().again.insert(job.job);
    let said = end(desk, job, PrintOutcome::InDoubt, "a person wants it again", why).await;
    if said.is_err() {
        desk.printers.wishes().again.remove(&job.job);
    }
    said
}

async fn move_to(
    desk: &Desk,
    job: &PrintJob,
    in_doubt: bool,
    why: &str,
    to: &str,
) -> Result<String, Refusal> {
    let Some(station) = desk.printers.named(to) else {
        let names: Vec<&str> = desk.printers.all().iter().map(|s| s.config.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let words = format!("no printer is called {to:?}; there are: {names}");
        return Err(Refusal::bad("no-such-printer", words));
    };
    let to = &station.config.name;
    if desk.printers.place(job, &desk.node.members()).is_some_and(|at| at.config.name == *to) {
        return Err(Refusal::bad("there-already", format!("it is at {to} already; to try it now: release")));
    }
    let said = format!("a person moved it to {to}");
    let detail = if why.is_empty() { said.clone() } else { format!("{said}: {why}") };
    if in_doubt {
        desk.printers.wishes().again.insert(job.job);
    }
    hand_over(&desk.node, job, to, &detail).await.map_err(|problem| {
        desk.printers.wishes().again.remove(&job.job);
        Refusal::store(&problem)
    })?;
    Ok(said)
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

/// Whether the job is in doubt, if that may be said of it.
fn allowed(desk: &Desk, job: &PrintJob, word: Word) -> Result<bool, Refusal> {
    let busy = desk.printers.printing(&job.job).is_some();
    let state = job::state(job, busy);
    match (word, state) {
        (_, spool::State::Sending) => {
            Err(Refusal::bad("printing", "the printer has it and has not answered yet; wait for its word"))
        }
        (_, spool::State::InDoubt) | (Word::Cancel | Word::Move | Word::Release, _) => {
            Ok(state == spool::State::InDoubt)
        }
        _ => {
            let words = "nothing of it was sent: it is printed as soon as the printer is ready; release tries now, cancel gives it up";
            Err(Refusal::bad("not-in-doubt", words))
        }
    }
}

fn wake(desk: &Desk, job: &PrintJob) {
    if let Some(station) = desk.printers.place(job, &desk.node.members()) {
        station.wake.notify_one();
    }
}
