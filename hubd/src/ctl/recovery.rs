//! `hubctl recovery-code`: the code is on paper only, so what can be done here is to tell whether a copy is right.
//!
//! The code goes nowhere: this process works out the public half of what was typed and compares it with the hub's answer.

use super::{CtlError, Show, recovery};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use toko_crdt::hash::hex;
use toko_daemon::ask::Ask;
use toko_daemon::table::cell;
use toko_mesh::enrol::RecoveryCode;

/// What to do about the recovery code.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The code is printed once by hubd init and kept nowhere. It cannot be shown again, and it cannot be changed: it is the store's root key, and the store is named by it.\n\nExamples:\n  hubctl recovery-code\n  hubctl recovery-code --check -\n  hubctl recovery-code --check /media/safe/code.txt\n\nExit codes: 0 the copy is right, 64 it is not."
)]
pub(super) struct Check {
    /// File with a copy of the code, to be checked; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

impl Check {
    pub(super) fn ask(&self, ask: &Ask) -> Result<(Value, Show), CtlError> {
        let mut answer = ask.get("/recovery-code")?;
        let Some(file) = self.check.as_deref() else { return Ok((answer, show_about)) };
        let text = recovery(Some(file))?;
        check(&text, &answer, file)?;
        answer["right"] = json!(true);
        Ok((answer, show_right))
    }
}

fn check(text: &str, answer: &Value, file: &Path) -> Result<(), CtlError> {
    let wrong = |why: String| CtlError::Usage(format!("the code in {}: {why}", file.display()));
    let code = RecoveryCode::parse(text).map_err(|problem| wrong(problem.to_string()))?;
    if answer["root"] == hex(&code.0.public().0) {
        return Ok(());
    }
    Err(wrong("it is sound, and another store's".into()))
}

fn show_about(answer: &Value) -> String {
    format!(
        "The recovery code of store {} is on paper only: hubd init showed it once, and no machine has it.\n\n         With it, hubd recover makes any blank machine the hub (this one is hub in term {}), and hubctl join-hq names\n         headquarters. Without it the shop sells on, but a hub that is lost stays lost. It cannot be shown or changed here.\n\n         To see whether a copy is right: hubctl recovery-code --check FILE, or - to type it.\n",
        cell(answer.pointer("/store")),
        cell(answer.pointer("/term")),
    )
}

fn show_right(answer: &Value) -> String {
    format!("This is the recovery code of store {}.\n", cell(answer.pointer("/store")))
}
