//! The command: so many seeds, one line each, sums at the end, and for a failure the one command that plays it again.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};

use super::plan::{Kind, Mode};
use super::shrink::{replay, shrink};
use super::{Outcome, Setting, goods, herd, play, receipts};

/// Plays a whole shop in memory, with everything that goes wrong in one.
#[derive(Debug, Parser)]
#[command(name = "sim", about)]
struct Args {
    /// How many seeds to play.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// This seed only.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// How many terminals: 1 to 64. Drawn from the seed, 1 to 6, where nothing is said.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    terminals: Option<u8>,
    /// How long the shop is open.
    #[arg(long, default_value_t = 0.25)]
    hours: f64,
    /// The mean time between two customers of a terminal, in seconds.
    #[arg(long, default_value_t = 20.0)]
    gap: f64,
    /// The kinds of faults to draw from, with commas between; `all` that have a part in what is played (but `fork`) or `none`.
    #[arg(long, default_value = "all")]
    faults: String,
    /// Only these faults of the plan, by number, with commas between; `none` for none of them.
    #[arg(long)]
    only: Option<String>,
    /// At most so many customers at each terminal.
    #[arg(long)]
    steps: Option<u64>,
    /// Sessions and stores only, without QUIC and tills: much faster.
    #[arg(long)]
    bare: bool,
    /// Open over midnight, and nothing is kept of the day before but what it came to.
    #[arg(long, conflicts_with = "bare")]
    late: bool,
    /// So many stores and one headquarters instead: it is dark and comes back, then all hubs start at the same moment.
    #[arg(long, value_name = "STORES", value_parser = clap::value_parser!(u16).range(1..=20_000), conflicts_with_all = ["terminals", "hours", "gap", "faults", "only", "steps", "bare", "late", "lying_disks"])]
    herd: Option<u16>,
    /// Every disk says that it has synced and never has, which must not go unnoticed: a test of the oracle
    #[arg(long)]
    lying_disks: bool,
    /// End at the first seed that fails.
    #[arg(long)]
    until_failure: bool,
    /// Report a failure as it is, without making it small.
    #[arg(long)]
    no_shrink: bool,
    /// One JSON object per run, and one at the end.
    #[arg(long)]
    json: bool,
}

#[derive(Default)]
struct Sums {
    runs: u64,
    failed: Vec<u64>,
    simulated: Duration,
    open: Duration,
    faults: BTreeMap<Kind, u64>,
    felt: BTreeMap<Kind, u64>,
    sales: u64,
    lines: u64,
    receipts: receipts::Tally,
    slowest_heal: Duration,
}

/// Runs the command.
#[must_use]
pub fn run() -> ExitCode {
    let args = Args::parse();
    match work(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("sim: {problem}");
            ExitCode::from(64)
        }
    }
}

fn work(args: &Args) -> Result<bool, String> {
    if let Some(stores) = args.herd {
        return gather(args, usize::from(stores));
    }
    let kinds = kinds(&args.faults, Mode::of(args.bare, args.late))?;
    let only = args.only.as_deref().map(numbers).transpose()?;
    let goods = goods().map_err(|problem| problem.to_string())?;
    let (began, mut sums) = (Instant::now(), Sums::default());
    for seed in seeds(args) {
        let setting = Setting {
            seed,
            tills: args.terminals.map_or_else(|| tills_of(seed), usize::from),
            open: seconds(args.hours * 3_600.0)?,
            gap: seconds(args.gap)?,
            customers: args.steps.unwrap_or(u64::MAX),
            kinds: kinds.clone(),
            only: only.clone(),
            bare: args.bare,
            late: args.late,
            lying_disks: args.lying_disks,
        };
        let one = Instant::now();
        let outcome = play(&setting, &goods).map_err(|problem| problem.to_string())?;
        sums.add(&setting, &outcome);
        say(args.json, &setting, &outcome, one.elapsed());
        if !outcome.violations.is_empty() {
            let smallest = if args.no_shrink {
                (setting, outcome)
            } else {
                shrink(&setting, outcome, &goods).map_err(|problem| problem.to_string())?
            };
            say_failure(args.json, &smallest.0, &smallest.1);
            if args.until_failure {
                break;
            }
        }
    }
    say_sums(args.json, &sums, began.elapsed());
    Ok(sums.failed.is_empty())
}

/// Plays herds, one for each seed.
#[expect(clippy::print_stdout, reason = "a command's answer")]
fn gather(args: &Args, stores: usize) -> Result<bool, String> {
    let mut good = true;
    for seed in seeds(args) {
        let one = Instant::now();
        let outcome = herd::play(seed, stores).map_err(|problem| problem.to_string())?;
        good &= outcome.violations.is_empty();
        if args.json {
            println!("{}", json!({ "seed": seed, "herd": outcome, "took_s": one.elapsed().as_secs_f64() }));
            continue;
        }
        println!(
            "seed {seed} trace {:016x} stores {stores} took {:.1} s",
            outcome.trace,
            one.elapsed().as_secs_f64()
        );
        let rushes = [
            ("headquarters was dark", outcome.after_dark),
            ("every hub lost its power", outcome.after_power),
        ];
        for (after, rush) in rushes.iter().filter_map(|(after, rush)| Some((after, (*rush)?))) {
            println!("  {after}: {rush}");
        }
        println!("  idle: {} bytes a store and second", outcome.idle_bytes_a_second);
        outcome.violations.iter().for_each(|words| println!("  FAILED: {words}"));
    }
    Ok(good)
}

fn seeds(args: &Args) -> std::ops::Range<u64> {
    match args.seed {
        Some(seed) => seed..seed.saturating_add(1),
        None => args.from..args.from.saturating_add(args.seeds),
    }
}

impl Sums {
    fn add(&mut self, setting: &Setting, outcome: &Outcome) {
        self.runs += 1;
        if !outcome.violations.is_empty() {
            self.failed.push(setting.seed);
        }
        self.simulated += outcome.simulated;
        self.open += setting.open;
        for (kind, count) in &outcome.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        for (kind, count) in &outcome.felt {
            *self.felt.entry(*kind).or_default() += count;
        }
        self.sales += outcome.tally.sales;
        self.lines += outcome.tally.lines;
        self.receipts.add(&outcome.receipts);
        self.slowest_heal = self.slowest_heal.max(outcome.healed_in.unwrap_or_default());
    }
}

#[expect(clippy::print_stdout, reason = "a command's answer")]
fn say(as_json: bool, setting: &Setting, outcome: &Outcome, took: Duration) {
    if as_json {
        println!("{}", shown(setting, outcome, took));
        return;
    }
    let tally = &outcome.tally;
    let healed = outcome.healed_in.map_or("-".to_owned(), |took| format!("{:.2} s", took.as_secs_f64()));
    println!(
        "seed {} trace {:016x} terminals {} sales {} lines {} parked {} taken over {} returns {} repeated {} seals {} pruned {} settled {} summed {} receipts {} marked {} faults {} healed in {healed} speed {:.0}x{}",
        setting.seed,
        outcome.trace,
        setting.tills,
        tally.sales,
        tally.lines,
        tally.parked,
        tally.taken_over,
        tally.returns,
        tally.repeated,
        outcome.upkeep.seals,
        outcome.upkeep.pruned,
        outcome.upkeep.settled,
        outcome.upkeep.summed,
        outcome.receipts.printed,
        outcome.receipts.marked,
        outcome.faults.values().sum::<u64>(),
        ratio(outcome.simulated, took),
        if outcome.violations.is_empty() { "" } else { " FAILED" },
    );
}

#[expect(clippy::print_stdout, reason = "a command's answer")]
fn say_failure(as_json: bool, setting: &Setting, outcome: &Outcome) {
    if as_json {
        let faults: Vec<String> = outcome.planned.iter().map(ToString::to_string).collect();
        let failure = json!({ "seed": setting.seed, "replay": replay(setting), "violations": outcome.violations, "faults": faults });
        println!("{}", json!({ "failure": failure }));
        return;
    }
    println!("  SEED={} fails; play it again with:", setting.seed);
    println!("    {}", replay(setting));
    for fault in &outcome.planned {
        println!("    fault {fault}");
    }
    for words in outcome.violations.iter().take(12) {
        println!("    {words}");
    }
}

#[expect(clippy::print_stdout, reason = "a command's answer")]
fn say_sums(as_json: bool, sums: &Sums, took: Duration) {
    let hours = sums.open.as_secs_f64() / 3_600.0;
    let (faults, felt) = (by_word(&sums.faults), by_word(&sums.felt));
    if as_json {
        let all = json!({
            "runs": sums.runs, "store_hours": hours, "sales": sums.sales, "lines": sums.lines, "receipts": sums.receipts.by_word(), "faults": faults, "felt": felt,
            "failed": sums.failed, "slowest_heal_s": sums.slowest_heal.as_secs_f64(),
            "speed": ratio(sums.simulated, took), "took_s": took.as_secs_f64(),
        });
        println!("{}", json!({ "sum": all }));
        return;
    }
    let listed = |counts: &BTreeMap<&str, u64>| match counts.is_empty() {
        true => "none".to_owned(),
        false => counts.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", "),
    };
    println!("{} runs, {hours:.2} store-hours, {} sales, {} lines", sums.runs, sums.sales, sums.lines);
    let paper = &sums.receipts;
    println!(
        "receipts: {} asked for, {} sheets whole, {} torn, {} marked as possible copies, {} twice where nobody could know",
        paper.asked, paper.printed, paper.torn, paper.marked, paper.doubled
    );
    println!("faults: {}", listed(&faults));
    // Packets, writes, readings of clocks, boxes: what fared otherwise for it.
    println!("felt: {}", listed(&felt));
    println!("slowest to agree: {:.2} s", sums.slowest_heal.as_secs_f64());
    println!("violations: {} runs of {} {:?}", sums.failed.len(), sums.runs, sums.failed);
    println!("speed: {:.0} x real time, {:.1} s in all", ratio(sums.simulated, took), took.as_secs_f64());
}

fn shown(setting: &Setting, outcome: &Outcome, took: Duration) -> Value {
    let (faults, felt) = (by_word(&outcome.faults), by_word(&outcome.felt));
    json!({
        "seed": setting.seed,
        "trace": format!("{:016x}", outcome.trace),
        "terminals": setting.tills,
        "sales": outcome.tally.sales,
        "lines": outcome.tally.lines,
        "receipts": outcome.receipts.by_word(),
        "faults": faults,
        "felt": felt,
        "seals": outcome.upkeep.seals,
        "pruned_nodes": outcome.upkeep.pruned,
        "settled_carts": outcome.upkeep.settled,
        "summed_sales": outcome.upkeep.summed,
        "packets": outcome.packets.sent,
        "healed_in_s": outcome.healed_in.map(|took| took.as_secs_f64()),
        "violations": outcome.violations,
        "speed": ratio(outcome.simulated, took),
    })
}

fn by_word(counts: &BTreeMap<Kind, u64>) -> BTreeMap<&'static str, u64> {
    counts.iter().map(|(kind, count)| (kind.word(), *count)).collect()
}

/// Between 1 and 6 terminals, by seed.
#[must_use]
pub fn tills_of(seed: u64) -> usize {
    let drawn = toko_mesh::sim_disk::Dice::new(seed ^ 0x7111).below(6);
    1 + usize::try_from(drawn).unwrap_or(0)
}

fn kinds(list: &str, mode: Mode) -> Result<Vec<Kind>, String> {
    match list {
        "all" => Ok(Kind::usual()),
        "none" => Ok(Vec::new()),
        list => list.split(',').map(|word| kind(word.trim(), mode)).collect(),
    }
}

/// The kind of fault with this word, if it does anything in what is played.
fn kind(word: &str, mode: Mode) -> Result<Kind, String> {
    let there_are = || {
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.has_part_in(mode));
        kinds.map(Kind::word).collect::<Vec<_>>().join(", ")
    };
    let Some(kind) = Kind::parse(word) else {
        return Err(format!("no fault is called {word:?}: there are {}", there_are()));
    };
    if kind.has_part_in(mode) {
        return Ok(kind);
    }
    let played = match mode {
        Mode::Day => "a whole shop",
        Mode::Late => "a shop that is open over midnight (--late)",
        Mode::Bare => "bare sessions and stores (--bare)",
    };
    Err(format!("the fault {kind} has no part in {played}: there are {}", there_are()))
}

fn numbers(list: &str) -> Result<Vec<usize>, String> {
    if list == "none" {
        return Ok(Vec::new());
    }
    list.split(',').map(|word| word.trim().parse().map_err(|_| format!("{word:?} is no number"))).collect()
}

fn seconds(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|problem| problem.to_string())
}

fn ratio(simulated: Duration, took: Duration) -> f64 {
    simulated.as_secs_f64() / took.as_secs_f64().max(1e-9)
}
