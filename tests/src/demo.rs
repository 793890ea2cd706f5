//! The demo: a hub, three terminals and headquarters trade one real day while boxes die, and the books agree to the penny.
//!
//! In reading order: [`cast`] turns this executable into each daemon; [`stage`] holds processes and cables; [`opening`] makes
//! a shop of them; [`script`] says what dies when; [`replay`] is what cashiers do, over [`counter`], paid from [`purse`],
//! with [`errand`]s between scans on the [`floor`]; [`agree`] waits until all say the same; [`books`] asks each what it says
//! and [`verdict`] compares that with the sheet. [`keep`] leaves the shop open.
//!
//! Invariants: the product has no switch for the demo: it is told by settings, cut by relays, killed by signals, and asked
//! at its own doors; whatever ends the demo ends its daemons.

pub mod agree;
pub mod books;
pub mod cast;
pub mod counter;
pub mod errand;
pub mod floor;
pub mod keep;
pub mod opening;
pub mod purse;
pub mod replay;
pub mod script;
pub mod stage;
pub mod stop;
pub mod trouble;
pub mod verdict;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::assortment::assortment;
use crate::day::{Day, Days, bundled_week};
use crate::oracle::{Expected, foretell};
use crate::report::Report;
use crate::sheet::{Date, read_text};
use crate::usage;
use stage::Stage;
use stop::{INTERRUPTED, StopSign};
use trouble::Trouble;

const EXAMPLES: &str = "\
Examples:
  demo                                            the first day of the bundled week
  demo --day 2010-12-03                           a day with 28 write-offs
  demo --input sales.csv.zst --json               another sheet; the report on standard output
  demo --keep                                     then ring up a sale by curl, as it says

Columns of a sheet: line_no,invoice_no,stock_code,description,quantity,invoice_datetime,unit_price,customer_id,country
(others are left alone). A day of less than a dozen sales may be too short for all that has to die, and is told so.
DIR/report.json is the report, DIR/logs what each daemon said, DIR/printer/paper the receipts.

Exit codes: 0 everything holds, 1 it does not, or something failed (the directory is kept), 64 usage, 130 interrupted.";

/// A hub, three terminals and headquarters trade one real day while boxes die; then their books are compared with the sheet.
#[derive(Debug, Parser)]
#[command(name = "demo", version, after_help = EXAMPLES)]
struct Args {
    /// Sheet of sales, CSV or CSV.zst [default: one real week that comes with the source]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The day to replay [default: the first of the sheet]
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<Date>,
    /// Work in this directory, which must be empty or new, and leave it [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The day lasts at least this long, so that outages last longer than it takes to notice them
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    seconds: u64,
    /// Print the report as JSON on standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// Leave the store running and say how to ring up a sale by curl
    #[arg(long)]
    keep: bool,
}

/// Runs the demo, or the daemon that `--as` names.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = cast::play(&args) {
        return code;
    }
    let args: Args = match usage::read(args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match play(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Trouble::Interrupted) => {
            say("demo: interrupted");
            ExitCode::from(INTERRUPTED)
        }
        Err(trouble) => {
            say(&format!("demo: {}", trouble.in_full()));
            ExitCode::FAILURE
        }
    }
}

/// Plays the day. True if everything holds.
fn play(args: &Args) -> Result<bool, Trouble> {
    let stop = StopSign::raised_by_signals().map_err(Trouble::system("cannot wait for signals"))?;
    let sheet = Sheet::read(args)?;
    let place = Place::make(args.dir.as_deref(), args.keep)?;
    let mut stage = Stage::in_dir(place.path(), stop)?;
    let said = |words: &str| say(&format!("demo: {words}"));
    said(&format!("{}, {} lines, in {}", sheet.day.date, sheet.day.lines(), stage.dir().display()));
    let played = perform(args, &mut stage, &sheet, &said);
    let is_fine = match &played {
        Ok(report) => report.holds(),
        Err(trouble) => matches!(trouble, Trouble::Interrupted),
    };
    // What they said last, if somebody has to know; then all are dead, and nobody writes into the directory any more.
    let tails = if is_fine { String::new() } else { stage.tails() };
    drop(stage);
    if is_fine {
        place.done();
    } else {
        say(&tails);
        said(&format!("look into {}", place.leave().display()));
    }
    played.map(|report| report.holds())
}

fn perform(args: &Args, stage: &mut Stage, sheet: &Sheet, said: &dyn Fn(&str)) -> Result<Report, Trouble> {
    let started = Instant::now();
    let items = assortment(sheet.day.each_line());
    let counters = opening::open(stage, &items, &sheet.day.date)?;
    said(&format!(
        "open after {} ms: headquarters, a hub, {} terminals, {} items",
        started.elapsed().as_millis(),
        counters.len(),
        items.len()
    ));
    let prices = items.iter().map(|item| (item.code.as_str(), &item.price)).collect();
    let lasts = Duration::from_secs(args.seconds);
    let played = script::perform(stage, &sheet.day, &prices, &counters, lasts)?;
    let over = played.over.unwrap_or_else(Instant::now);
    let agreement = agree::wait(stage, &counters, over)?;
    let date = sheet.day.date.as_str();
    let report = verdict::judge(stage, &counters, date, &sheet.expected, &played, &agreement)?;
    publish(args, stage, &report, started)?;
    if args.keep {
        let exe = crate::process::this_binary().map_err(Trouble::system("cannot find this executable"))?;
        if let Some(counter) = counters.first() {
            say(&keep::invitation(stage, counter, &items, &exe.display().to_string()));
        }
        keep::until_told(stage);
        stage.stop_all()?;
    }
    Ok(report)
}

fn publish(args: &Args, stage: &Stage, report: &Report, started: Instant) -> Result<(), Trouble> {
    let path = stage.dir().join("report.json");
    let written = std::fs::write(&path, report.to_json());
    written.map_err(Trouble::system(format!("cannot write {}", path.display())))?;
    let stays = args.dir.is_some() || args.keep || !report.holds();
    let fate = if stays { "" } else { " (removed with its directory; --dir DIR keeps it)" };
    let took = format!("{} s in all; {}{fate}", started.elapsed().as_secs(), path.display());
    let mut out = io::stdout().lock();
    let printed = if args.json {
        say(&format!("{}\n{took}", report.table()));
        out.write_all(report.to_json().as_bytes())
    } else {
        writeln!(out, "\n{}\n{took}", report.table())
    };
    printed.map_err(Trouble::system("cannot print the report"))
}

/// What is replayed, and what it must come to.
struct Sheet {
    day: Day,
    expected: Expected,
}

impl Sheet {
    fn read(args: &Args) -> Result<Self, Trouble> {
        let text = read_text(&args.input.clone().unwrap_or_else(bundled_week))?;
        let day = Days::parse(&text)?.select(args.day.as_ref())?.clone();
        let expected = foretell(&text)?.remove(day.date.as_str()).unwrap_or_default();
        Ok(Self { day, expected })
    }
}

/// The directory: given and kept, or made and removed unless something failed.
enum Place {
    Given(PathBuf),
    Made(tempfile::TempDir),
}

impl Place {
    fn make(dir: Option<&Path>, keep: bool) -> Result<Self, Trouble> {
        if let Some(dir) = dir {
            let made = std::fs::create_dir_all(dir);
            made.map_err(Trouble::system(format!("cannot make {}", dir.display())))?;
            return Ok(Self::Given(dir.to_owned()));
        }
        let made = tempfile::Builder::new().prefix("toko-demo-").tempdir();
        let made = made.map_err(Trouble::system("cannot make a temporary directory"))?;
        Ok(if keep { Self::Given(made.keep()) } else { Self::Made(made) })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Made(made) => made.path(),
        }
    }

    /// Leaves it for whoever wants to know why.
    fn leave(self) -> PathBuf {
        match self {
            Self::Given(path) => path,
            Self::Made(made) => made.keep(),
        }
    }

    fn done(self) {
        if let Self::Made(made) = self {
            // Temporary: what cannot be removed goes with the next reboot.
            let _ = made.close();
        }
    }
}

fn say(words: &str) {
    // Nobody reads any more: no reason to end the shop's day.
    let _ = writeln!(io::stderr(), "{words}");
}
