//! `hubctl jobs`: receipts on their way to paper, and a person's word about those that are in doubt.

use super::{CtlError, Show, show};
use clap::Subcommand;
use serde_json::{Value, json};
use toko_daemon::ask::Ask;
use toko_daemon::table::cell;

/// What to do about receipts.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "States: accepted, sending, failed_unsent (tried again by itself), in_doubt (nobody knows whether it is on paper).\n\nExamples:\n  hubctl jobs\n  hubctl jobs printed 3f9c --why \"lay on the counter\"\n  hubctl jobs reprint 3f9c\n  hubctl jobs abandon 3f9c --why \"customer left\""
)]
pub(super) struct Jobs {
    #[command(subcommand)]
    word: Option<Word>,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// It is on paper: a person has seen it.
    Printed(Which),
    /// Print it again, under the banner of a possible duplicate.
    Reprint(Which),
    /// Nobody wants it any more.
    Abandon(Which),
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
        let (word, which) = match &self.word {
            None => return Ok((ask.get("/jobs")?, show::jobs)),
            Some(Word::Printed(which)) => ("printed", which),
            Some(Word::Reprint(which)) => ("reprint", which),
            Some(Word::Abandon(which)) => ("abandon", which),
        };
        let Which { job, why } = which;
        let body = json!({ "job": job, "word": word, "why": why });
        Ok((ask.post("/jobs", &body)?, said))
    }
}

fn said(answer: &Value) -> String {
    format!("{}: {}\n", cell(answer.pointer("/job")), cell(answer.pointer("/said")))
}
