//! `hubctl printers`: which there are, how each is, and the test strip that tells what one can do.

use super::{CtlError, Show};
use clap::Subcommand;
use serde_json::{Value, json};
use std::fmt::Write;
use toko_daemon::ask::Ask;
use toko_daemon::table::{cell, list, table};

/// What to do about printers.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "States: idle, processing, stopped, as IPP has them; conditions as UnifiedPOS names them. A level says what the printer confirms: L3 (printed), L2 (processed), L1 (drained), L0 (sent); it is learnt by a probe.\n\nExamples:\n  hubctl printers\n  hubctl printers probe receipts\n  hubctl printers --json"
)]
pub(super) struct Printers {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints a test strip and learns what the printer confirms; kept by this hub until it is probed again.
    Probe {
        /// The printer, as the list names it.
        printer: String,
    },
}

impl Printers {
    pub(super) fn ask(&self, ask: &Ask) -> Result<(Value, Show), CtlError> {
        match &self.what {
            None => Ok((ask.get("/printers")?, show)),
            Some(What::Probe { printer }) => {
                Ok((ask.post("/printers/probe", &json!({ "printer": printer }))?, probed))
            }
        }
    }
}

fn show(answer: &Value) -> String {
    let columns = [
        ("NAME", "/name"),
        ("STATE", "/state"),
        ("REASONS", "/reasons"),
        ("CONFIRMS", "/learnt/level"),
        ("LAST", "/level"),
        ("QUEUE", "/queued"),
        ("HELD", "/held"),
        ("TAKES OVER", "/fall_back"),
        ("ADDRESS", "/address"),
    ];
    let mut out = table(list(answer, "/printers"), &columns);
    for printer in list(answer, "/printers") {
        let name = cell(printer.pointer("/name"));
        if let Some(trouble) = printer["trouble"].as_str() {
            let _ = writeln!(out, "! {name}: {trouble}");
        }
        if let Some(what) = printer["what_to_do"].as_str() {
            let _ = writeln!(out, "  {what}");
        }
        if printer["learnt"].is_null() {
            let _ = writeln!(out, "  {name} was never probed: hubctl printers probe {name}");
        }
    }
    out
}

fn probed(answer: &Value) -> String {
    let text = |at: &str| cell(answer.pointer(at));
    let mut out = format!(
        "{} confirms {}: {}.\nIt {} changes of its state by itself.\n",
        text("/name"),
        text("/learnt/level"),
        text("/learnt/means"),
        if answer["learnt"]["reports_changes"] == true { "reports" } else { "does not report" },
    );
    let pages = answer["code_pages"].as_array().map_or(&[][..], Vec::as_slice);
    let pages: Vec<&str> = pages.iter().filter_map(Value::as_str).collect();
    let _ = writeln!(
        out,
        "\nOn the strip: the digits go from edge to edge (else `columns` or `model` is wrong); each line of a code page\n\
         ({}) ends in letters (else the model's pages are others: choose another `model`);\n\
         the last line stands whole above the cut (else the model's feed is too short).",
        pages.join(", ")
    );
    out
}
