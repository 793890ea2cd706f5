//! The tests, tested: faults on purpose, one at a time, and which test notices each.
//!
//! In reading order: [`list`] names every mutant and where it stands; [`suite`] builds the test programs once, with all
//! mutants asleep in them; [`trial`] runs one program with one mutant awake; [`table`] shows what came out.
//!
//! Invariants: a suite counts for nothing before it has passed without a mutant in the same run; a mutant is tried with the
//! suites that should see it, then with every other one, and the first failing test ends it; a suite that hangs has seen it.
//!
//! Absent on purpose: an opinion on why a mutant got away. The suite is made better, not the list shorter.

pub mod list;
pub mod suite;
pub mod table;
pub mod trial;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;

use crate::demo::stop::{INTERRUPTED, StopSign};
use crate::usage::{self, USAGE};
use list::{Mutant, starts_daemons};
use suite::Suites;
use table::{Verdict, seconds};
use trial::{Outcome, Plan, Trial};

/// Suites that no mutant is tried with: they read the source or try the runner itself.
const LEFT_OUT: [&str; 2] = ["tests/tidy", "tests/lib"];
/// How long a suite may take without a mutant.
const CONTROL_DEADLINE: Duration = Duration::from_secs(900);
/// How long a mutant may make it hang at least; see [`Run::deadline`].
const HANG_AFTER: Duration = Duration::from_secs(60);
const EXAMPLES: &str = "\
Examples:
  mutants                        all of them, half an hour
  mutants --quick                those that no daemon has to be started for, with the suites that should see them
  mutants --only skip-sync       one; may be repeated
  mutants --by 'tests/sim seeds::'   all of them, with the simulated shop alone
  mutants --list                 what there is, without running anything

The suites are built once, unoptimised, with the feature `mutants`; no release can be. Each is first run without a mutant.
Exit codes: 0 all are caught, 1 one is not, or a suite fails without a mutant, 64 usage, 130 interrupted.";

/// Breaks the shop on purpose, one fault at a time, and prints which test notices.
#[derive(Debug, Parser)]
#[command(name = "mutants", version, after_help = EXAMPLES)]
struct Args {
    /// Leave out mutants that need whole daemons, and suites that are not named for a mutant
    #[arg(long)]
    quick: bool,
    /// Only this mutant; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Try no suite but this one, with words that narrow it to some of its tests, or none
    #[arg(long, value_name = "SUITE", conflicts_with = "quick")]
    by: Option<String>,
    /// Print all mutants and run nothing
    #[arg(long)]
    list: bool,
    /// Print JSON on standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

/// Why it came to no end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum Trouble {
    #[error("{0}")]
    Build(#[from] suite::BuildError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("there is no suite {0:?}; it is named for a mutant")]
    NoSuite(String),
    #[error("{suite} does not pass without a mutant ({outcome:?}); the end of what it said:\n{said}")]
    Control { suite: String, outcome: Outcome, said: String },
    #[error("interrupted")]
    Stopped,
}

/// Runs it from a command line.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Args = match usage::read(args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let mutants = list::all();
    if let Some(unknown) = args.only.iter().find(|name| !mutants.iter().any(|mutant| mutant.name == **name)) {
        say(&format!("no mutant is called {unknown}; --list names them"));
        return ExitCode::from(USAGE);
    }
    let chosen: Vec<Mutant> = mutants
        .into_iter()
        .filter(|mutant| args.only.is_empty() || args.only.iter().any(|name| name == mutant.name))
        .filter(|mutant| !args.quick || mutant.is_quick())
        .collect();
    match if args.list { show(&chosen) } else { try_all(&args, &chosen) } {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            say(&trouble.to_string());
            if matches!(trouble, Trouble::Stopped) { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}

fn show(mutants: &[Mutant]) -> Result<bool, Trouble> {
    let mut out = io::stdout();
    for mutant in mutants {
        writeln!(out, "{:<34} {:<40} {}", mutant.name, mutant.place, mutant.breaks)?;
    }
    Ok(true)
}

fn try_all(args: &Args, mutants: &[Mutant]) -> Result<bool, Trouble> {
    let began = Instant::now();
    let mut suites = suite::build()?;
    suites.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
    say(&format!("{} suites built in {}", suites.len(), seconds(began.elapsed())));
    let (passed, stop) = (BTreeMap::new(), StopSign::raised_by_signals()?);
    let mut run = Run { suites, passed, stop, thorough: !args.quick, by: args.by.clone() };
    let mut out = io::stdout();
    let mut verdicts = Vec::new();
    for mutant in mutants {
        let verdict = run.judge(mutant)?;
        if args.json {
            say(&verdict.line())
        } else {
            writeln!(out, "{}", verdict.line())?
        }
        verdicts.push(verdict);
    }
    let missed = verdicts.iter().filter(|verdict| verdict.caught.is_none()).count();
    let took = began.elapsed();
    if args.json {
        let mutants: Vec<_> = verdicts.iter().map(Verdict::json).collect();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let report = json!({ "quick": args.quick, "missed": missed, "took_ms": took_ms, "mutants": mutants });
        writeln!(out, "{report:#}")?;
    } else {
        let all = verdicts.len();
        writeln!(out, "\n{} of {all} caught, {missed} NOT, in {}", all - missed, seconds(took))?;
    }
    Ok(missed == 0)
}

/// The suites, and what is known of them.
struct Run {
    suites: Suites,
    /// How long a suite, or a part of it, takes without a mutant.
    passed: BTreeMap<String, Duration>,
    stop: StopSign,
    thorough: bool,
    /// The one suite to try.
    by: Option<String>,
}

impl Run {
    fn judge(&mut self, mutant: &Mutant) -> Result<Verdict, Trouble> {
        let (mut took, thorough) = (Duration::ZERO, self.thorough);
        if let Some(by) = self.by.clone() {
            let caught = self.meets(&by, mutant, &mut took)?;
            return Ok(Verdict { mutant: *mutant, caught, took });
        }
        let named = mutant.seen_by.iter().filter(|spec| thorough || !starts_daemons(spec));
        for spec in named {
            if let Some(caught) = self.meets(spec, mutant, &mut took)? {
                return Ok(Verdict { mutant: *mutant, caught: Some(caught), took });
            }
        }
        if self.thorough {
            for spec in self.others(mutant)? {
                if let Some(caught) = self.meets(&spec, mutant, &mut took)? {
                    return Ok(Verdict { mutant: *mutant, caught: Some(caught), took });
                }
            }
        }
        Ok(Verdict { mutant: *mutant, caught: None, took })
    }

    /// Every suite that the mutant has not met as a whole, the quickest first.
    fn others(&mut self, mutant: &Mutant) -> Result<Vec<String>, Trouble> {
        let names = self.suites.keys().filter(|name| !mutant.seen_by.contains(&name.as_str()));
        let mut names: Vec<String> = names.cloned().collect();
        for name in &names {
            self.control(name)?;
        }
        names.sort_by_key(|name| self.passed.get(name).copied());
        Ok(names)
    }

    /// The suite must pass by itself before it can speak against a mutant. Its time sets the deadline.
    fn control(&mut self, spec: &str) -> Result<(), Trouble> {
        if self.passed.contains_key(spec) {
            return Ok(());
        }
        let trial = self.try_one(spec, None, CONTROL_DEADLINE)?;
        if trial.outcome != Outcome::Passed {
            return Err(Trouble::Control {
                suite: spec.to_owned(),
                outcome: trial.outcome,
                said: trial.said,
            });
        }
        say(&format!("{spec} passes without a mutant in {}", seconds(trial.took)));
        self.passed.insert(spec.to_owned(), trial.took);
        Ok(())
    }

    /// The suite and how it saw the mutant, if it did.
    fn meets(
        &mut self,
        spec: &str,
        mutant: &Mutant,
        took: &mut Duration,
    ) -> Result<Option<(String, Outcome)>, Trouble> {
        self.control(spec)?;
        let trial = self.try_one(spec, Some(mutant.name), self.deadline(spec))?;
        *took += trial.took;
        let suite = spec.split(' ').next().unwrap_or(spec).to_owned();
        Ok((trial.outcome != Outcome::Passed).then_some((suite, trial.outcome)))
    }

    /// Much longer than the suite takes by itself, so that a busy machine is no mutant.
    fn deadline(&self, spec: &str) -> Duration {
        HANG_AFTER + self.passed.get(spec).copied().unwrap_or_default() * 5
    }

    fn try_one(&self, spec: &str, mutant: Option<&str>, deadline: Duration) -> Result<Trial, Trouble> {
        let mut words = spec.split(' ');
        let name = words.next().unwrap_or(spec);
        let words: Vec<&str> = words.collect();
        let suite = self.suites.get(name).ok_or_else(|| Trouble::NoSuite(name.to_owned()))?;
        let trial = Plan { suite, words: &words, mutant, deadline }.run(&self.stop)?;
        if trial.outcome == Outcome::Stopped { Err(Trouble::Stopped) } else { Ok(trial) }
    }
}

fn say(words: &str) {
    // Nobody is left to tell where standard error is gone.
    let _ = writeln!(io::stderr(), "mutants: {words}");
}
