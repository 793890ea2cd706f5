//! `hubctl quarantine`: what is kept and not in the books, in words.

use super::{CtlError, Show};
use clap::Subcommand;
use serde_json::Value;
use std::fmt::Write;
use toko_daemon::ask::{Ask, with_query};
use toko_daemon::table::{cell, list, table};

/// What to do about parked entries.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "A parked entry is whole and safe, travels to every other machine, and keeps nothing else waiting.\n\nExamples:\n  hubctl quarantine list\n  hubctl quarantine show 3f9c"
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
}

impl Quarantine {
    pub(super) fn ask(&self, ask: &Ask) -> Result<(Value, Show), CtlError> {
        Ok(match self {
            Self::List => (ask.get("/quarantine")?, show_list),
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
    table(list(answer, "/quarantine"), &columns)
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
