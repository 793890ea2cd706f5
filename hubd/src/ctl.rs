//! `hubctl`: a thin hand on the hub's control socket. It asks, prints a table or JSON, and says by its exit code how it went.

mod alerts;
mod drawers;
mod jobs;
mod labels;
mod printers;
mod quarantine;
mod recovery;
mod show;

use crate::config;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use thiserror::Error;
use toko_daemon::ask::{Ask, AskError, with_query};
use toko_daemon::exit;

/// Administers a Toko hub.
#[derive(Debug, Parser)]
#[command(
    name = "hubctl",
    version,
    after_help = "Examples:\n  hubctl status\n  hubctl enrol \"Till 3\"\n  hubctl catalogue import items.csv\n  hubctl sales --day 2026-11-20 --json\n\nExit codes: 0 done, 1 refused, 64 usage, 74 file not readable, 76 the hub does not answer."
)]
struct Args {
    /// The hub's data directory, in which its control socket is.
    #[arg(long, global = true, value_name = "DIR", env = "TOKO_HUB_DATA", default_value = config::DATA_DEFAULT)]
    data: PathBuf,
    /// The control socket itself, where it is elsewhere.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How the hub is: links, books, catalogue, printer, alerts.
    Status,
    /// Why a node is not linked, and whatever else can be mended: each finding with what to do.
    #[command(after_help = "Examples:\n  hubctl doctor\n  hubctl doctor --json")]
    Doctor,
    /// What a person should know, and what to do about it.
    Alerts(alerts::Alerts),
    /// The store's recovery code: what it is for, and whether a copy on paper is right.
    RecoveryCode(recovery::Check),
    /// The terminals: who they are, whether they are linked, and what they lack.
    Terminals,
    /// Opens a place for a new terminal and prints its one-time code (15 minutes, 5 tries).
    Enrol {
        /// What people call the terminal, such as "Till 3".
        name: String,
    },
    /// Closes the door to a terminal. What it sold stays in the books.
    Revoke {
        /// Its number, name or node id; "old hub", or its node id, for a hub that was succeeded.
        terminal: String,
    },
    /// Items and prices.
    #[command(subcommand)]
    Catalogue(Catalogue),
    /// Opens a business day, where a terminal has not.
    Day {
        /// Such as 2026-11-20; shows the open day when left out.
        date: Option<String>,
    },
    /// What is there of each item.
    Stock {
        /// One code; all when left out.
        code: Option<String>,
    },
    /// Totals of a business day, or of all days.
    Sales {
        /// Such as 2026-11-20.
        #[arg(long)]
        day: Option<String>,
    },
    /// Parked carts, and entries that were set aside with a code.
    Parked,
    /// Entries that are kept and not in the books: what they are, why, and what a person may do.
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// Receipts on their way to paper, and a person's word about those in doubt.
    Jobs(jobs::Jobs),
    /// Shelf labels.
    #[command(subcommand)]
    Labels(labels::Labels),
    /// The cash drawers: how they are, and who opened them when and why.
    Drawers(drawers::Drawers),
    /// The receipt printers: how each is, what it confirms, what waits for it.
    Printers(printers::Printers),
    /// Seals the books as they are now, for every node to go over. Happens daily by itself.
    Seal,
    /// The seals, newest first: what came out here, at the terminals and at headquarters.
    Seals,
    /// Joins a headquarters by the code of `hqd add-store`. Asks for the store's recovery code.
    JoinHq {
        /// The code.
        code: String,
        /// Where headquarters listens, such as hq.example.com:7430.
        #[arg(long)]
        hq: String,
        /// File with the recovery code; `-` for standard input; asked for on a terminal when left out.
        #[arg(long, value_name = "FILE")]
        recovery_code: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum Catalogue {
    /// Imports a CSV of items, publishes it and makes it count at once.
    Import {
        /// Columns: see the README, § Set up a shop.
        file: PathBuf,
        /// What to call it; the file's name when left out.
        #[arg(long)]
        name: Option<String>,
        /// CSV of tax codes that the items name: code,name,percent and optionally part,included.
        #[arg(long, value_name = "FILE")]
        taxes: Option<PathBuf>,
    },
    /// Which catalogue counts.
    Show,
}

/// The command line of `hubctl`, for its manual page.
#[must_use]
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// Runs `hubctl` with these arguments.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(problem) => {
            let _ = problem.print();
            return ExitCode::from(if problem.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    let socket = args.socket.clone().unwrap_or_else(|| args.data.join("hubctl.sock"));
    match ask_hub(&Ask::new("hubd", socket), &args.command) {
        Ok((answer, show)) => {
            let text = if args.json { format!("{answer:#}\n") } else { show(&answer) };
            match io::stdout().write_all(text.as_bytes()) {
                Ok(()) => ExitCode::from(exit::OK),
                Err(_) => ExitCode::from(exit::FAILED),
            }
        }
        Err(problem) => {
            let _ = writeln!(io::stderr(), "hubctl: {problem}");
            ExitCode::from(problem.exit_code())
        }
    }
}

/// Why a command came to nothing.
#[derive(Debug, Error)]
enum CtlError {
    /// The hub is silent, or said no.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A file of the person's could not be read.
    #[error("{path}: {problem}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// The command line lacks something.
    #[error("{0}")]
    Usage(String),
}

impl CtlError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Ask(problem) => problem.exit_code(),
            Self::File { .. } => exit::STORE,
            Self::Usage(_) => exit::USAGE,
        }
    }
}

/// How an answer looks to a person.
type Show = fn(&Value) -> String;

fn ask_hub(ask: &Ask, command: &Command) -> Result<(Value, Show), CtlError> {
    Ok(match command {
        Command::Status => (ask.get("/status")?, show::status),
        Command::Doctor => (ask.get("/doctor")?, show::doctor),
        Command::Alerts(alerts) => alerts.ask(ask)?,
        Command::RecoveryCode(check) => check.ask(ask)?,
        Command::Terminals => (ask.get("/terminals")?, show::terminals),
        Command::Enrol { name } => (ask.post("/enrol", &json!({ "name": name }))?, show::enrol),
        Command::Revoke { terminal } => {
            (ask.post("/revoke", &json!({ "terminal": terminal }))?, show::revoke)
        }
        Command::Catalogue(Catalogue::Show) => (ask.get("/catalogue")?, show::catalogue),
        Command::Catalogue(Catalogue::Import { file, name, taxes }) => {
            let text = read(file)?;
            let stem = || {
                file.file_stem()
                    .map_or_else(|| "catalogue".into(), |stem| stem.to_string_lossy().into_owned())
            };
            let name = name.clone().unwrap_or_else(stem);
            let taxes = taxes.as_deref().map(read).transpose()?;
            (ask.post("/catalogue", &json!({ "name": name, "csv": text, "taxes": taxes }))?, show::catalogue)
        }
        Command::Day { date: Some(date) } => (ask.post("/day", &json!({ "date": date }))?, show::day),
        Command::Day { date: None } => (ask.get("/day")?, show::day),
        Command::Stock { code } => {
            (ask.get(&with_query("/stock", &[("code", code.as_deref())]))?, show::stock)
        }
        Command::Sales { day } => (ask.get(&with_query("/sales", &[("day", day.as_deref())]))?, show::sales),
        Command::Parked => (ask.get("/parked")?, show::parked),
        Command::Quarantine(what) => what.ask(ask)?,
        Command::Jobs(jobs) => jobs.ask(ask)?,
        Command::Drawers(drawers) => drawers.ask(ask)?,
        Command::Labels(labels) => labels.ask(ask)?,
        Command::Printers(printers) => printers.ask(ask)?,
        Command::Seal => (ask.post("/seal", &json!({}))?, show::sealed),
        Command::Seals => (ask.get("/seals")?, show::seals),
        Command::JoinHq { code, hq, recovery_code } => {
            let recovery = recovery(recovery_code.as_deref())?;
            let body = json!({ "code": code, "hq": hq, "recovery_code": recovery });
            (ask.post("/join-hq", &body)?, show::joined)
        }
    })
}

fn read(file: &Path) -> Result<String, CtlError> {
    let unread = |problem: &dyn std::fmt::Display| CtlError::File {
        path: file.display().to_string(),
        problem: problem.to_string(),
    };
    let bytes = std::fs::read(file).map_err(|problem| unread(&problem))?;
    String::from_utf8(bytes).map_err(|problem| unread(&format!("not UTF-8: {problem}")))
}

/// The recovery code: from a file, or one line that a person types. It goes to the hub over the socket and is kept nowhere.
fn recovery(file: Option<&Path>) -> Result<String, CtlError> {
    let text = match file {
        Some(path) if path != Path::new("-") => read(path)?,
        given => {
            if given.is_none() && io::stdin().is_terminal() {
                let _ = write!(io::stderr(), "Recovery code of this store: ");
            } else if given.is_none() {
                return Err(CtlError::Usage(
                    "name the recovery code's file with --recovery-code FILE".into(),
                ));
            }
            let mut line = String::new();
            let unread = |problem: io::Error| CtlError::File {
                path: "standard input".into(),
                problem: problem.to_string(),
            };
            io::stdin().lock().take(4096).read_line(&mut line).map_err(unread)?;
            line
        }
    };
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
