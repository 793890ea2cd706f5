//! `hubctl drawers`: how drawers are, who opened them and why, and what their sensors mean.

use super::{CtlError, Show};
use clap::Subcommand;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write as _};
use toko_daemon::ask::{Ask, with_query};
use toko_daemon::table::{cell, list, table};

/// What to do about drawers.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "States: open, closed, unknown (its printer does not answer, or nobody has taught what its sensor means).\nOutcomes: opened (the sensor said so), not_confirmed (the pulse was sent, the sensor said nothing), not_sent, expired (too late, so it was not opened), forced (by key or by force).\n\nExamples:\n  hubctl drawers\n  hubctl drawers --day 2026-11-20 --json\n  hubctl drawers learn left"
)]
pub(super) struct Drawers {
    /// The business day whose openings are shown; the open one, or the last, when left out.
    #[arg(long)]
    day: Option<String>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Teaches what a drawer's sensor means: it asks to shut the drawer, then to open it.
    Learn {
        /// The drawer.
        drawer: String,
        /// How the drawer stands now, for scripts: first `shut`, then `open`.
        #[arg(long, value_name = "shut|open")]
        stands: Option<String>,
    },
}

impl Drawers {
    pub(super) fn ask(&self, ask: &Ask) -> Result<(Value, Show), CtlError> {
        let Some(What::Learn { drawer, stands }) = &self.what else {
            return Ok((ask.get(&with_query("/drawers", &[("day", self.day.as_deref())]))?, show));
        };
        let lesson =
            |stands: &str| ask.post("/drawers/learn", &json!({ "drawer": drawer, "stands": stands }));
        match stands.as_deref() {
            Some(stands @ ("shut" | "open")) => Ok((lesson(stands)?, learnt)),
            Some(other) => Err(CtlError::Usage(format!("a drawer stands shut or open, not \"{other}\""))),
            None => {
                wait_for("Shut the drawer")?;
                lesson("shut")?;
                wait_for("Open the drawer, with its key if need be")?;
                Ok((lesson("open")?, learnt))
            }
        }
    }
}

/// Waits until a person has done it.
fn wait_for(what: &str) -> Result<(), CtlError> {
    if !io::stdin().is_terminal() {
        let words =
            "nobody is here to move the drawer; say how it stands with --stands shut, then --stands open";
        return Err(CtlError::Usage(words.into()));
    }
    let _ = write!(io::stderr(), "{what}, then press Enter. ");
    let mut line = String::new();
    let unread =
        |problem: io::Error| CtlError::File { path: "standard input".into(), problem: problem.to_string() };
    io::stdin().lock().read_line(&mut line).map_err(unread)?;
    Ok(())
}

fn show(answer: &Value) -> String {
    let drawers = [
        ("DRAWER", "/drawer"),
        ("STATE", "/state"),
        ("OPEN S", "/open_for_s"),
        ("SENSOR", "/sensor"),
        ("PRINTER", "/printer"),
        ("TERMINALS", "/terminals"),
        ("TROUBLE", "/trouble"),
    ];
    let openings = [
        ("AT", "/at"),
        ("DRAWER", "/drawer"),
        ("TILL", "/till"),
        ("WHY", "/reason"),
        ("WHO", "/who"),
        ("OUTCOME", "/outcome"),
        ("DETAIL", "/detail"),
    ];
    let mut out = table(list(answer, "/drawers"), &drawers);
    let count = |name: &str| cell(answer.pointer(&format!("/counts/{name}")));
    let _ = writeln!(
        out,
        "\nOpenings of {}: {} with a sale, {} without one, {} by key or by force; {} came to nothing",
        cell(answer.pointer("/day")),
        count("for_sales"),
        count("without_sale"),
        count("forced"),
        count("not_opened"),
    );
    out.push_str(&table(list(answer, "/openings"), &openings));
    out
}

fn learnt(answer: &Value) -> String {
    let drawer = cell(answer.pointer("/drawer"));
    match answer["sensor"].as_str() {
        Some(sensor) => format!("{drawer}: {sensor}\n"),
        None => format!("{drawer}: noted; now open it, and say so with --stands open\n"),
    }
}
