//! `hubctl jobs`: receipts on their way to paper, and a person's word about those that are in doubt.

use super::{CtlError, Show, show};
use clap::Subcommand;
use serde_json::{Value, json};
use toko_daemon::ask::Ask;
use toko_daemon::table::cell;

/// What to do about receipts.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "States: accepted, sending, failed_unsent (tried again by itself), in_doubt (nobody knows whether it is on paper). One that leaves the list was printed, or only sent where the printer confirms nothing: hubctl printers tells which.\n\nExamples:\n  hubctl jobs\n  hubctl jobs printed 3f9c --why \"lay on the counter\"\n  hubctl jobs reprint 3f9c\n  hubctl jobs release 3f9c\n  hubctl jobs move 3f9c --to back\n  hubctl jobs cancel 3f9c --why \"customer left\""
)]
pub(super) struct Jobs {
    #[command(subcommand)]
    word: Option<Word>,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// It is on paper: a person has seen it.
    Printed(Which),
    /// One in doubt is printed again, under the banner of a possible duplicate.
    Reprint(Which),
    /// It is tried now instead of at its next turn; one in doubt is printed again, marked.
    Release(Which),
    /// It comes out of another printer, under a banner that says so; one in doubt under that of a possible duplicate too.
    Move {
        #[command(flatten)]
        which: Which,
        /// The printer, as hubctl printers names it.
        #[arg(long, value_name = "PRINTER")]
        to: String,
    },
    /// Nobody gets it any more.
    #[command(visible_alias = "abandon")]
    Cancel {
        /// The job, as the list names it; its first letters do.
        job: String,
        /// For whoever reads the books and asks where the receipt is.
        #[arg(long)]
        why: String,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The job, as the list names it; its first letters do.
    job: String,
    /// For whoever reads the books.
    #[arg(long, default_value = "")]
    why: String,
}

impl Jobs {
    pub(super) fn ask(&self, ask: &Ask) -> Result<(Value, Show), CtlError> {
        let (word, job, why, to) = match &self.word {
            None => return Ok((ask.get("/jobs")?, show::jobs)),
            Some(Word::Printed(Which { job, why })) => ("printed", job, why, None),
            Some(Word::Reprint(Which { job, why })) => ("reprint", job, why, None),
            Some(Word::Release(Which { job, why })) => ("release", job, why, None),
            Some(Word::Move { which: Which { job, why }, to }) => ("move", job, why, Some(to)),
            Some(Word::Cancel { job, why }) => ("cancel", job, why, None),
        };
        let body = json!({ "job": job, "word": word, "why": why, "to": to });
        Ok((ask.post("/jobs", &body)?, said))
    }
}

fn said(answer: &Value) -> String {
    format!("{}: {}\n", cell(answer.pointer("/job")), cell(answer.pointer("/said")))
}
