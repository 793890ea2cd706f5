//! the store's hub: relays, owns devices, enrols terminals, talks to HQ, is administered.
//!
//! Two programs share this library: `hubd`, the daemon, and `hubctl`, the hand on its control socket. In reading order:
//! [`config`] is every knob; `begin` makes a store where there was none, `recover` a hub where there was none; `hub` is the
//! daemon from start to stop; `desk` answers `hubctl`, from `answers` where it is about the books; `shelf` publishes and
//! activates catalogues; `names` looks headquarters up; `quarantine` shows what is parked, `care` what a person should know;
//! `printers` are the shop's printers, `paper` prints receipts on one, `word` is what a person says of a receipt, `slip` prints what
//! stands in no book; [`drawers`] opens drawers, [`labels`] prints shelf labels; [`ctl`] is `hubctl`.
//!
//! ```
//! use std::process::ExitCode;
//! // What a shop's IT types first: what is there to configure, and where does each value come from?
//! let code = hubd::run(["hubd", "--help"]);
//! assert_eq!(code, ExitCode::SUCCESS);
//! ```

mod answers;
mod begin;
mod care;
pub mod config;
pub mod ctl;
mod desk;
mod doctor;
pub mod drawers;
mod hub;
pub mod labels;
mod metrics;
mod names;
mod paper;
mod printers;
mod quarantine;
mod recover;
mod seals;
pub mod shelf;
mod slip;
mod word;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use toko_daemon::{exit, log};

/// The hub of a Toko store.
#[derive(Debug, Parser)]
#[command(
    name = "hubd",
    version,
    after_help = "Examples:\n  hubd init --name \"Corner shop\" --currency GBP\n  hubd run\n  hubd config check --set links.listen=0.0.0.0:7421\n\nExit codes: 0 stopped in order, 1 failed, 64 usage, 74 store or disk, 76 network, 78 configuration."
)]
struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where the hub keeps its store and finds its settings.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The data directory.
    #[arg(long, global = true, value_name = "DIR", env = "TOKO_HUB_DATA", default_value = config::DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// Settings file; `hubd.toml` in the data directory when left out, if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Sets one knob, such as `--set links.listen=0.0.0.0:7421`. May be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a new store in an empty directory and prints its recovery code, once.
    Init(begin::Init),
    /// Makes this blank machine the hub of a store that has lost its hub, by the store's recovery code.
    Recover(recover::Recover),
    /// Runs the hub until SIGTERM.
    Run,
    /// Looks at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints each value and where it comes from.
    Check,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err("write KEY=VALUE, such as links.mdns=false".into()),
    }
}

/// The command line of `hubd`, for its manual page.
#[must_use]
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// Runs `hubd` with these arguments.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(problem) => {
            let _ = problem.print();
            return ExitCode::from(if problem.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    let done = match &args.command {
        Command::Init(init) => begin::init(&args.place, init),
        Command::Recover(asked) => recover::recover(&args.place, asked),
        Command::Run => hub::run(&args.place),
        Command::Config(ConfigCommand::Check) => check(&args.place),
    };
    match done {
        Ok(()) => ExitCode::from(exit::OK),
        Err(Failure { code, message }) => {
            let _ = writeln!(io::stderr(), "hubd: {message}");
            ExitCode::from(code)
        }
    }
}

/// Why `hubd` ends with another code than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One of [`exit`].
    pub(crate) code: u8,
    /// What happened and what to do.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl std::fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// With all causes.
    pub(crate) fn caused(code: u8, error: &dyn std::error::Error) -> Self {
        Self { code, message: log::with_causes(error) }
    }
}

fn check(place: &Place) -> Result<(), Failure> {
    let loaded = config::load(&place.data, place.config.as_deref(), &place.set);
    let (_, settings) = loaded.map_err(|problems| Failure::new(exit::CONFIG, problems))?;
    let mut out = io::stdout().lock();
    for (key, value, origin) in settings.origins() {
        writeln!(out, "{key} = {value}  # {origin}")
            .map_err(|problem| Failure::new(exit::FAILED, problem))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn a_knob_without_a_value_is_a_usage_error() {
        assert!(Args::try_parse_from(["hubd", "run", "--set", "links.mdns"]).is_err());
    }
}
