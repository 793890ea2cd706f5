//! Chaos: a shop of real processes in network namespaces is broken on purpose, case by case, while its tills go on selling.
//!
//! In reading order: [`wire`] is the network, [`shop`] the boxes on it, [`opening`] makes a shop of them; [`cashier`]s sell
//! and write into the [`ledger`] what was acknowledged; [`books`] waits until all agree and holds them against the ledger;
//! [`mod@cases`] has what is done to the shop, by fault code; [`stage`] runs them, [`table`] shows what was seen.
//!
//! Invariants: the product has no switch for any of this; every case runs alone or after any other; whatever ends the run
//! ends its processes, namespaces and mounts, and `tests/chaos.sh` sweeps up after a run that was killed. Traffic stays in
//! the namespaces. A verdict hangs on time only where a bound is named, and then only when it is far exceeded.

pub mod books;
pub mod cases;
pub mod cashier;
pub mod failure;
pub mod ledger;
pub mod opening;
pub mod shop;
pub mod stage;
pub mod table;
pub mod tools;
pub mod wire;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::demo::cast;
use crate::demo::stop::{INTERRUPTED, StopSign};
use crate::usage::{self, USAGE};
use cases::{ALL, Case};
use stage::Stage;
use table::{Outcome, Verdict};

const EXAMPLES: &str = "\
Examples:
  tests/chaos.sh                    every case
  tests/chaos.sh F21 F24            all cases of these faults
  tests/chaos.sh F21-cable --keep   one case; its directory with all logs stays

Needs root, iproute2 and nftables; single cases need faketime or loop devices and are skipped aloud without.
Exit codes: 0 every case held (or was skipped), 1 one did not, 64 usage, 130 interrupted.";

/// Breaks a shop of real processes in network namespaces, case by case, while its tills go on selling.
#[derive(Debug, Parser)]
#[command(name = "chaos", version, after_help = EXAMPLES)]
struct Args {
    /// A fault code, or one case as --list names it [default: all]
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// Print the cases and what each does
    #[arg(long)]
    list: bool,
    /// Leave the directory with all logs, and say where it is
    #[arg(long)]
    keep: bool,
    /// Print the table as JSON on standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// Work in this directory [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// What the names of all namespaces begin with [default: toko and the process number]
    #[arg(long, value_name = "NAME")]
    prefix: Option<String>,
}

/// Runs the cases, or the daemon or tool that `--as` names.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = tools::play(&args).or_else(|| cast::play(&args)) {
        return code;
    }
    let args: Args = match usage::read(args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    if args.list {
        print(&table::list(ALL));
        return ExitCode::SUCCESS;
    }
    let chosen = match choose(&args.cases) {
        Ok(chosen) => chosen,
        Err(unknown) => {
            say(&format!("chaos: there is no case {unknown:?}; --list names them all"));
            return ExitCode::from(USAGE);
        }
    };
    match perform(&args, &chosen) {
        Ok(outcomes) => {
            print(&if args.json { table::json(&outcomes) } else { table::draw(&outcomes) });
            let failed = outcomes.iter().any(|outcome| outcome.verdict == Verdict::Failed);
            if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(failure) if failure.is_interruption() => {
            say("chaos: interrupted");
            ExitCode::from(INTERRUPTED)
        }
        Err(failure) => {
            say(&format!("chaos: {}", failure.in_full()));
            ExitCode::FAILURE
        }
    }
}

fn choose(wanted: &[String]) -> Result<Vec<&'static Case>, String> {
    let fits = |case: &Case, word: &str| {
        case.code.split('/').any(|code| code.eq_ignore_ascii_case(word))
            || case.id().eq_ignore_ascii_case(word)
    };
    if let Some(unknown) = wanted.iter().find(|word| !ALL.iter().any(|case| fits(case, word))) {
        return Err(unknown.clone());
    }
    let chosen = |case: &&Case| wanted.is_empty() || wanted.iter().any(|word| fits(case, word));
    Ok(ALL.iter().filter(chosen).collect())
}

fn perform(args: &Args, chosen: &[&'static Case]) -> Result<Vec<Outcome>, failure::Failure> {
    let stop =
        StopSign::raised_by_signals().map_err(|e| failure::Failure::system("cannot wait for signals", e))?;
    let prefix = args.prefix.clone().unwrap_or_else(|| format!("toko{}", std::process::id()));
    let mut stage = Stage::set(args.dir.as_deref(), prefix, args.keep, stop)?;
    let mut outcomes = Vec::new();
    for case in chosen {
        say(&format!("chaos: {} {} …", case.id(), case.what));
        let outcome = stage.play(case)?;
        say(&format!("chaos: {}", table::line(&outcome)));
        outcomes.push(outcome);
    }
    if let Some(kept) = stage.end().filter(|_| args.dir.is_none()) {
        say(&format!("chaos: all logs are in {}", kept.display()));
    }
    Ok(outcomes)
}

fn print(words: &str) {
    // Nobody reads any more: no reason for another exit code.
    let _ = writeln!(io::stdout(), "{words}");
}

/// Tells whoever watches.
fn say(words: &str) {
    // Nobody reads any more: no reason to stop.
    let _ = writeln!(io::stderr(), "{words}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_chosen_by_code_or_by_name() {
        let chosen =
            |words: &[&str]| choose(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(chosen(&[]).unwrap().len(), ALL.len());
        assert!(chosen(&["f21"]).unwrap().iter().all(|case| case.code.contains("F21")));
        assert_eq!(chosen(&["F21-cable"]).unwrap().len(), 1);
        assert_eq!(chosen(&["F21", "nonsense"]).unwrap_err(), "nonsense");
    }

    #[test]
    fn no_two_cases_have_one_name() {
        let mut ids: Vec<String> = ALL.iter().map(Case::id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
    }
}
