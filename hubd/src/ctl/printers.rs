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
    after_help = "States: idle, processing, stopped, as IPP has them; conditions as UnifiedPOS names them. A level says what the printer confirms: L3 (printed), L2 (processed), L1 (drained), L0 (sent); it is learnt by a probe. Receipts are counted since the hub started: at L3 and L2 as printed, at L1 and L0 only as sent, since nobody knows whether they are on paper.\n\nExamples:\n  hubctl printers\n  hubctl printers probe receipts\n  hubctl printers learn receipts --wrong-pages 16,18 --last-row 3\n  hubctl printers --json"
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
    /// Takes what you read off the test strip: from then on wrong code pages are not used, and the cutter spares the last row.
    Learn {
        /// The printer, as the list names it.
        printer: String,
        /// Numbers of the code pages whose letters are others than their name says; none of them, if it is empty.
        #[arg(long, value_name = "N,N…", value_delimiter = ',', num_args = 0.., required_unless_present = "last_row")]
        wrong_pages: Option<Vec<u8>>,
        /// The lowest row that stands whole above the cut: 1 if all do.
        #[arg(long, value_name = "ROW")]
        last_row: Option<u8>,
    },
}

impl Printers {
    pub(super) fn ask(&self, ask: &Ask) -> Result<(Value, Show), CtlError> {
        match &self.what {
            None => Ok((ask.get("/printers")?, show)),
            Some(What::Probe { printer }) => {
                Ok((ask.post("/printers/probe", &json!({ "printer": printer }))?, probed))
            }
            Some(What::Learn { printer, wrong_pages, last_row }) => {
                let lesson = json!({ "printer": printer, "wrong_pages": wrong_pages, "last_row": last_row });
                Ok((ask.post("/printers/learn", &lesson)?, lesson_learnt))
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
        ("PRINTED", "/prints/printed"),
        ("SENT", "/prints/sent"),
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

fn lesson_learnt(answer: &Value) -> String {
    let pages = answer["learnt"]["wrong_pages"].as_array().map_or(&[][..], Vec::as_slice);
    let pages: Vec<String> = pages.iter().map(Value::to_string).collect();
    format!(
        "{}: {}; {} rows more are fed before the cut.\n",
        cell(answer.pointer("/name")),
        if pages.is_empty() {
            "all its code pages are used".to_owned()
        } else {
            format!("code pages {} are used for ASCII only", pages.join(", "))
        },
        cell(answer.pointer("/learnt/more_feed")),
    )
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
         ({}) ends in letters that it has, and row 1 stands whole above the cut. What does not, it learns:\n\
         hubctl printers learn {} --wrong-pages 16,18 --last-row 3",
        pages.join(", "),
        text("/name"),
    );
    out
}
