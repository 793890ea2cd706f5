//! `hubctl quarantine`: what is kept and not in the books, in words.

use super::{CtlError, Show};
use clap::Subcommand;
use serde_json::{Value, json};
use std::fmt::Write;
use toko_daemon::ask::{Ask, with_query};
use toko_daemon::table::{cell, list, table};

/// What to do about parked entries.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "A parked entry is whole and safe, travels to every other machine, and keeps nothing else waiting.\n\nExamples:\n  hubctl quarantine list\n  hubctl quarantine show 3f9c\n  hubctl quarantine admit 3f9c --why \"the owner asked till 2 to set the price\"\n  hubctl quarantine retry --all"
)]
pub(super) enum Quarantine {
    /// Every parked entry: why, whose, when, how large, and what a person may do.
    List,
    /// One parked entry: its envelope, the reason in words, and what it says as far as this version can read it.
    Show {
        /// The entry, as the list names it; its first letters do.
        #[arg(value_name = "ID")]
        entry: String,
    },
    /// Tries parked entries again on this hub, and says what came of each. One that kills the hub is parked again.
    Retry {
        /// Entries, as the list names them.
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        entries: Vec<String>,
        /// Every parked entry.
        #[arg(long)]
        all: bool,
    },
    /// Lets in what its author may not write: it counts from now on, in the whole store and at headquarters, and there is no way
    /// back but to undo it by another sale, price or movement.
    ///
    /// Only ops of the shop that are out of scope can be let in. What cannot be read, is badly signed or says who belongs to the
    /// store never is: nobody can vouch for bytes that mean nothing, for a hand that is not its owner's, or for a role that
    /// nobody gave.
    Admit {
        /// The entry, as the list names it; its first letters do.
        #[arg(value_name = "ID")]
        entry: String,
        /// Why. It stands in the books beside the entry, for good.
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

impl Quarantine {
    pub(super) fn ask(&self, ask: &Ask) -> Result<(Value, Show), CtlError> {
        Ok(match self {
            Self::List => (ask.get("/quarantine")?, show_list),
            Self::Retry { entries, all: _ } => {
                (ask.post("/quarantine/retry", &json!({ "entries": entries }))?, show_retried)
            }
            Self::Admit { entry, why } => {
                (ask.post("/quarantine/admit", &json!({ "entry": entry, "why": why }))?, show_admitted)
            }
            Self::Show { entry } => {
                (ask.get(&with_query("/quarantine/entry", &[("entry", Some(entry))]))?, show_one)
            }
        })
    }
}

fn show_list(answer: &Value) -> String {
    let columns = [
        ("ENTRY", "/short"),
        ("CODE", "/code"),
        ("AUTHOR", "/author"),
        ("SAYS", "/kind"),
        ("PLACE", "/place"),
        ("WHEN", "/at"),
        ("BYTES", "/bytes"),
        ("YOU MAY", "/may"),
    ];
    let parked = table(list(answer, "/quarantine"), &columns);
    match list(answer, "/flagged") {
        [] => parked,
        flagged => {
            format!(
                "{parked}\nIn the books, of revoked terminals; look at each\n{}",
                table(flagged, &columns)
            )
        }
    }
}

fn show_one(answer: &Value) -> String {
    let mut out = String::new();
    let rows = [
        ("entry", "/entry"),
        ("code", "/code"),
        ("why", "/reason"),
        ("in detail", "/detail"),
        ("you may", "/may"),
        ("that is", "/advice"),
        ("author", "/author"),
        ("author's id", "/envelope/node"),
        ("brought by", "/carrier"),
        ("run", "/envelope/run"),
        ("lane", "/envelope/lane"),
        ("number", "/envelope/seq"),
        ("after", "/envelope/prev"),
        ("when", "/at"),
        ("signed", "/envelope/signature_holds"),
        ("bytes", "/bytes"),
        ("says", "/kind"),
    ];
    for (name, pointer) in rows {
        if let Some(value) = answer.pointer(pointer).filter(|value| !value.is_null()) {
            let _ = writeln!(out, "{name:<12} {}", cell(Some(value)));
        }
    }
    match answer.get("op").filter(|op| !op.is_null()) {
        Some(op) => {
            let _ = writeln!(out, "\n{op:#}");
        }
        None => {
            let _ = writeln!(out, "\n{}", cell(answer.get("body")));
        }
    }
    out
}

fn show_retried(answer: &Value) -> String {
    let columns = [("ENTRY", "/short"), ("NOW", "/state"), ("CODE", "/code"), ("WHY", "/reason")];
    table(list(answer, "/retried"), &columns)
}

fn show_admitted(answer: &Value) -> String {
    let entry = cell(answer.get("short"));
    match answer.get("reason").filter(|reason| !reason.is_null()) {
        None => format!("{entry} counts now, here at once and elsewhere as soon as the others hear of it.\n"),
        Some(reason) => format!("{entry} may count now, and still does not: {}.\n", cell(Some(reason))),
    }
}
