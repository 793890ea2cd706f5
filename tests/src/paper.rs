//! Paper: what really came out, by Toko's hub and by CUPS 2.4 beside it, on the same virtual printer with the same faults.
//!
//! In reading order: a [`spooler`] is what both are to whoever wants a receipt; [`hub`] is ours, real processes behind a
//! till's API, [`cups`] the other; a [`counter`] is the printer and its paper; [`trials`] break things and count what came of
//! it, [`pace`] is how fast all is well; [`table`] shows them.
//!
//! Invariants: every spooler prints rows of the same text, and is asked as its users ask it: CUPS by `lp`, ours by a sale. What
//! counts is the paper, which neither of them sees. A power cut takes the spooler and all that it started.
//!
//! Absent on purpose: any wish that a figure be good. Only our own promises decide the exit code.

pub mod counter;
pub mod cups;
pub mod hub;
pub mod pace;
pub mod spooler;
pub mod table;
pub mod trials;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use clap::Parser;

use crate::bench::place::Place;
use crate::bench::trouble::Trouble;
use crate::demo::cast;
use crate::usage;
use counter::Counter;
use cups::{Cups, Keeping};
use hub::Hub;
use pace::Paces;
use spooler::Spooler;
use trials::Tally;

const EXAMPLES: &str = "\
Examples:
  tests/paper.sh --install       gets CUPS first; about ten minutes, most of them CUPS's own 90 s
  paper --json > paper.json      for programs; the words go to standard error
  paper --alone                  without CUPS

Exit codes: 0 Toko kept its promises; 1 it did not, or something did not come about; 64 usage.";

/// Prints receipts by Toko's hub and by CUPS, breaks the printer and the spoolers, and counts what is on paper.
#[derive(Debug, Parser)]
#[command(name = "paper", version, after_help = EXAMPLES)]
struct Args {
    /// Work on the disk that this directory is on
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    dir: PathBuf,
    /// Toko alone, without CUPS
    #[arg(long)]
    alone: bool,
    /// Print JSON on standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

/// A spooler, its printer, and what came of it.
#[derive(Debug)]
pub struct Side {
    /// Who prints.
    pub spooler: Box<dyn Spooler>,
    /// On what.
    pub counter: Counter,
    /// What went wrong.
    pub tally: Tally,
    /// How fast it was.
    pub paces: Option<Paces>,
}

/// Prints, or plays the daemon that `--as` names.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = cast::play(&args) {
        return code;
    }
    let args: Args = match usage::read(args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match compare(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            say(&trouble.in_full());
            ExitCode::FAILURE
        }
    }
}

/// Prints on all sides and shows it. True if ours kept its promises.
fn compare(args: &Args) -> Result<bool, Trouble> {
    let dir = tempfile::Builder::new().prefix("toko-paper-").tempdir_in(&args.dir)?;
    // CUPS reads what it prints as another user.
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755))?;
    let place = Place::of(dir.path());
    let mut sides = sides(dir.path(), args.alone)?;
    let bare = pace::bare(dir.path(), &sides[0].counter)?;
    for side in sides.iter_mut().filter(|side| side.spooler.is_timed()) {
        say(&format!("{}: how fast it is", side.spooler.name()));
        side.paces = Some(pace::of(side)?);
    }
    thread::scope(|scope| {
        let trials: Vec<_> = sides.iter_mut().map(|side| scope.spawn(|| trials::all(side))).collect();
        trials.into_iter().try_for_each(|trial| match trial.join() {
            Ok(done) => done,
            Err(_) => Err(Trouble::product("the trials")("a thread ended in the middle")),
        })
    })?;
    let text = if args.json {
        format!("{:#}\n", table::json(&place, &sides, bare))
    } else {
        format!("{}\n{}", place.words(), table::text(&sides, bare))
    };
    io::stdout().write_all(text.as_bytes())?;
    let kept = sides[0].tally.promises_kept();
    drop(sides);
    dir.close()?;
    Ok(kept)
}

/// Ours first, since the others print what it printed.
fn sides(dir: &Path, alone: bool) -> Result<Vec<Side>, Trouble> {
    let side = |spooler, counter| Side { spooler, counter, tally: Tally::default(), paces: None };
    let counter = Counter::open(&dir.join("paper-of-toko"))?;
    say("a hub and a till");
    let mut hub = Hub::open(dir, &counter)?;
    let model = pace::first_receipt(&mut hub, &counter)?;
    let mut sides = vec![side(Box::new(hub), counter)];
    if !alone {
        for (name, keeping) in [("cups", Keeping::AsDelivered), ("cups-careful", Keeping::AtOnce)] {
            say(&format!("CUPS, {}", keeping.words()));
            let counter = Counter::open(&dir.join(format!("paper-of-{name}")))?;
            let cups = Cups::open(&dir.join(name), keeping, &counter, &model)?;
            sides.push(side(Box::new(cups), counter));
        }
    }
    Ok(sides)
}

fn say(words: &str) {
    // Progress is a courtesy: a closed standard error stops nothing.
    let _ = writeln!(io::stderr(), "paper: {words}");
}
