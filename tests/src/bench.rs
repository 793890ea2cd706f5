//! The bench: how fast Toko is on this machine, beside what the machine does bare, in one run.
//!
//! In reading order: [`goods`] is what is sold; [`turns`] lets product and bare machine take turns; [`store`] sells at the
//! store alone, [`till`] through a terminal's API in a [`shop`] of real processes, over a [`wire`]; [`lookup`] finds items;
//! [`catch_up`] is a terminal that was away; [`syncs`] sells on disks of other speeds; a [`crowd`] is a large shop in one
//! process, in which sales become [`visible`], links [`reconnect`] and partitions [`heal`]; a [`past`] is what [`history`] and the hub's
//! [`month`] have behind them; [`dark`], [`cold`] and [`rest`] are moments of real processes; [`upkeep`] is what all that costs; [`table`] shows it, [`place`] says where.
//!
//! Invariants: nothing is asserted, because a slow machine is no fault: a row that misses its target is marked. Only ratios
//! travel between machines. The whole run has a known length, whatever the machine does.

pub mod bare_api;
pub mod catch_up;
pub mod cold;
pub mod crowd;
pub mod dark;
pub mod goods;
pub mod heal;
pub mod history;
pub mod lookup;
pub mod month;
pub mod past;
pub mod place;
pub mod reconnect;
pub mod rest;
pub mod shop;
pub mod slow_disk;
pub mod store;
pub mod syncs;
pub mod table;
pub mod till;
pub mod trouble;
pub mod turns;
pub mod upkeep;
pub mod visible;
pub mod wire;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use serde_json::json;

use crate::demo::cast;
use crate::usage;
use goods::Goods;
use place::Place;
use shop::Shop;
use table::{Figure, Row};
use till::{Cashier, Company};
use trouble::Trouble;
use upkeep::Written;

/// A sale at the store.
pub const STORE: &str = "store";
/// Many sales at the store at once.
pub const GROUP: &str = "group";
/// Sales at the store on disks of other speeds.
pub const SYNCS: &str = "syncs";
/// A sale on every terminal.
pub const VISIBLE: &str = "visible";
/// An hour without a network.
pub const HEAL: &str = "heal";
/// A day without one.
pub const HEAL_DAY: &str = "heal-day";
/// A link that comes back without news.
pub const RECONNECT: &str = "reconnect";
/// A terminal at rest in a large shop.
pub const REST: &str = "rest";
/// The hub's memory after a month.
pub const MONTH: &str = "month";
/// A day of history more or less.
pub const HISTORY: &str = "history";
/// Scans when boxes are dark.
pub const DARK: &str = "dark";
/// A terminal in the morning.
pub const COLD: &str = "cold";
/// An item by its code.
pub const LOOKUP: &str = "lookup";
/// A sale at the hub.
pub const NEWS: &str = "news";
/// A terminal that was away.
pub const CATCH_UP: &str = "catch-up";
/// A sale through the API.
pub const SALE: &str = "sale";
/// A line through the API.
pub const SCAN: &str = "scan";
/// A catalogue on its way to every terminal.
pub const CATALOGUE: &str = "catalogue";
/// Memory after a day.
pub const MEMORY: &str = "memory";
/// Processor time at rest.
pub const IDLE: &str = "idle";
/// Bytes written.
pub const WRITTEN: &str = "written";
/// Selling again after a power cut.
pub const RESTART: &str = "restart";

const ALL: [&str; 22] = [
    STORE, GROUP, SYNCS, LOOKUP, NEWS, CATCH_UP, VISIBLE, RECONNECT, HEAL, HEAL_DAY, HISTORY, REST, MONTH,
    CATALOGUE, SALE, SCAN, DARK, MEMORY, IDLE, WRITTEN, RESTART, COLD,
];
const EXAMPLES: &str = "\
Examples:
  bench                          everything, about ten minutes
  bench --quick --only sale      one figure, roughly
  bench --json > figures.json    for programs; the words go to standard error
  bench --dir /var/lib/toko      on the disk that the shop will use

Each figure stands beside what this machine does bare in the same run; only the ratios mean anything elsewhere. Percentiles
are those of the median stretch. Exit codes: 0 it ran, whatever the figures; 1 a figure did not come about; 64 usage.";

/// Measures Toko beside the bare machine: sales, scans, catching up, memory, processor time.
#[derive(Debug, Parser)]
#[command(name = "bench", version, after_help = EXAMPLES)]
struct Args {
    /// Write to the disk that this directory is on [default: where this executable is]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A short run, for a look
    #[arg(long)]
    quick: bool,
    /// Begin a sale every so many milliseconds at most, and the bare machine's writes too [default: one after another]
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    every: u64,
    /// Only this measurement; may be repeated
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(ALL))]
    only: Vec<String>,
    /// Print JSON on standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Turns that product and bare machine take.
    pub turns: usize,
    /// How long the product's turn is.
    pub stretch: Duration,
    /// How far apart sales begin at least.
    pub every: Duration,
    /// How long nothing counts.
    pub warm_up: Duration,
    /// Until a terminal's views have moved.
    pub rest: Duration,
    /// Sales whose way to the hub is timed.
    pub news: usize,
    /// Sales to catch up on.
    pub catch_up: u64,
    /// Sales of the day, and the longest that it may take to make them.
    pub day: u64,
    /// See [`Pace::day`].
    pub rush: Duration,
    /// How long rest is watched.
    pub idle: Duration,
    /// Power cuts.
    pub restarts: usize,
    /// Sales whose written bytes are counted.
    pub written: u64,
    /// Whether this is a short run, for a look.
    pub short: bool,
}

impl Pace {
    fn of(quick: bool, every: Duration) -> Self {
        let (millis, seconds) = (Duration::from_millis, Duration::from_secs);
        let full = Self {
            turns: 5,
            stretch: millis(1_300),
            every,
            warm_up: millis(700),
            rest: millis(1_100),
            news: 500,
            catch_up: 20_000,
            day: 5_000,
            rush: seconds(12),
            idle: seconds(20),
            restarts: 5,
            written: 3_000,
            short: quick,
        };
        if !quick {
            return full;
        }
        Self {
            turns: 3,
            news: 150,
            catch_up: 4_000,
            day: 600,
            rush: seconds(4),
            idle: seconds(5),
            restarts: 3,
            written: 400,
            ..full
        }
    }
}

/// What every measurement needs.
#[derive(Debug)]
pub struct Bench {
    /// What is sold.
    pub goods: Arc<Goods>,
    /// How long and how often.
    pub pace: Pace,
    dir: PathBuf,
    only: Vec<String>,
}

impl Bench {
    /// A new directory on the disk that is measured.
    pub fn fresh(&self, name: &str) -> io::Result<PathBuf> {
        let dir = self.dir.join(name);
        std::fs::create_dir(&dir)?;
        Ok(dir)
    }

    /// Whether a measurement was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }
}

/// Runs the bench, or the daemon that `--as` names.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = cast::play(&args) {
        return code;
    }
    let args: Args = match usage::read(args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match measure(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            say(&trouble.in_full());
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints. True if every figure came about.
fn measure(args: &Args) -> Result<bool, Trouble> {
    let beside = crate::process::this_binary()?;
    let disk = args.dir.as_deref().or(beside.parent()).unwrap_or(Path::new("."));
    let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(disk)?;
    end_with_ctrl_c(dir.path().to_owned())?;
    let place = Place::of(dir.path());
    say(&format!("in {}", dir.path().display()));
    let bench = Bench {
        goods: Arc::new(Goods::make()?),
        pace: Pace::of(args.quick, Duration::from_millis(args.every)),
        dir: dir.path().to_owned(),
        only: args.only.clone(),
    };
    let mut found = Found::default();
    found.take(&bench, &[LOOKUP], "finding items", lookup::lookup);
    found.take(&bench, &[STORE], "sales at the store", store::durable);
    found.take(&bench, &[GROUP], "a group of writers", store::group);
    found.take(&bench, &[SYNCS], "syncs of other disks", syncs::syncs);
    found.take(&bench, &[NEWS, CATCH_UP], "a terminal that was away", catch_up::catch_up);
    found.take(&bench, &[VISIBLE], "a sale on every terminal", visible::visible);
    found.take(&bench, &[RECONNECT], "a link that comes back", reconnect::reconnect);
    found.take(&bench, &[HEAL], "an hour without a network", heal::hour);
    found.take(&bench, &[HEAL_DAY], "a day without a network", heal::day);
    found.take(&bench, &[HISTORY], "a month behind a terminal", history::history);
    found.take(&bench, &[REST], "24 real terminals at rest", rest::rest);
    found.take(&bench, &[MONTH], "a month behind the hub", month::month);
    found.take(
        &bench,
        &[CATALOGUE, SALE, SCAN, DARK, MEMORY, IDLE, WRITTEN, RESTART, COLD],
        "a shop of real processes",
        processes,
    );
    let text = if args.json {
        format!(
            "{:#}\n",
            json!({ "machine": place.json(), "quick": args.quick, "rows": table::json(&found.rows) })
        )
    } else {
        format!("{}\n{}", place.words(), table::text(&found.rows))
    };
    io::stdout().write_all(text.as_bytes())?;
    dir.close()?;
    Ok(found.whole)
}

/// Rows so far, and whether all came about.
#[derive(Debug)]
struct Found {
    rows: Vec<Row>,
    whole: bool,
}

impl Default for Found {
    fn default() -> Self {
        Self { rows: Vec::new(), whole: true }
    }
}

impl Found {
    fn take(
        &mut self,
        bench: &Bench,
        names: &[&str],
        what: &str,
        measure: impl FnOnce(&Bench) -> Result<Vec<Row>, Trouble>,
    ) {
        if !bench.wants_any(names) {
            return;
        }
        say(what);
        match measure(bench) {
            Ok(rows) => self.rows.extend(rows),
            Err(trouble) => {
                say(&format!("{what} did not come about: {}", trouble.in_full()));
                self.whole = false;
            }
        }
    }
}

/// Everything that needs daemons, in one shop: each figure with what the ones before left behind, as in a real day.
fn processes(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let mut shop = Shop::open(bench)?;
    let what = "100 000 items: from hubctl catalogue import until 3 terminals price from them";
    let mut rows = vec![Row::new(CATALOGUE, what, vec![("took", Figure::Took(shop.stocked))])];
    let mut sold = 0;
    if bench.wants_any(&[SALE, SCAN]) {
        say("sales and scans through the API");
        for company in [Company::Alone, Company::Followed] {
            shop.others(company == Company::Followed)?;
            let mut cashier = Cashier::at(&shop, 0, &format!("{company:?}"))?;
            rows.extend(till::till(bench, &mut cashier, company)?);
            sold += cashier.sold;
        }
    }
    if bench.wants(DARK) {
        say("scans when boxes are dark");
        rows.extend(dark::dark(bench, &mut shop)?);
    }
    let mut written = Written::default();
    if bench.wants(WRITTEN) {
        say("bytes written");
        // What the disk is counted to have written must be this terminal's.
        shop.others(false)?;
        written.sell(&shop, bench.pace.written)?;
        shop.others(true)?;
    }
    if bench.wants_any(&[MEMORY, IDLE]) {
        say("a day's sales on three terminals");
        let sold = upkeep::rush(bench, &shop, sold)?;
        upkeep::calm(&mut shop)?;
        rows.extend(upkeep::memory(&shop, sold)?);
    }
    if bench.wants(IDLE) {
        say("a rest");
        rows.extend(upkeep::idle(bench, &shop)?);
    }
    if bench.wants(RESTART) {
        say("power cuts");
        rows.extend(upkeep::restart(bench, &mut shop)?);
    }
    if bench.wants(COLD) {
        say("mornings");
        rows.extend(cold::cold(bench, &mut shop)?);
    }
    if bench.wants(WRITTEN) {
        rows.extend(written.rows(&mut shop)?);
    }
    rows.retain(|row| bench.wants(row.of));
    Ok(rows)
}

/// An interrupted run leaves nothing behind; its daemons end with it.
fn end_with_ctrl_c(dir: PathBuf) -> io::Result<()> {
    const INTERRUPTED: i32 = 130;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("ctrl-c".into()).spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            // What a daemon writes meanwhile stays; it lies where the build's files lie.
            let _ = std::fs::remove_dir_all(dir);
            std::process::exit(INTERRUPTED);
        }
    })?;
    Ok(())
}

fn say(words: &str) {
    // Progress is a courtesy: a closed standard error stops nothing.
    let _ = writeln!(io::stderr(), "bench: {words}");
}
