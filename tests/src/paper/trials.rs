//! What is broken while receipts are promised, and what the paper says afterwards.

use std::time::{Duration, Instant};

use toko_devices::virtual_printer::Faults;

use super::Side;
use super::spooler::{Job, Said};
use crate::bench::trouble::Trouble;
use crate::process::{LOOK_EVERY, wait_until};

/// How long after a promise the spooler loses its power while the paper is out.
const DARK_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];
/// Receipts that were promised by then.
const PROMISED: usize = 5;
/// How long after a promise the spooler loses its power while it prints, in milliseconds.
const CUT_AFTER_MS: [u64; 12] = [0, 2, 5, 10, 15, 20, 30, 50, 80, 160, 320, 640];
/// Of a receipt's bytes, after how many per cent the printer's link breaks.
const BREAKS_AT: [u64; 4] = [30, 60, 90, 100];
/// How long a spooler is given to call a receipt printed that is not. CUPS does after 90 s.
const BELIEF: Duration = Duration::from_secs(100);
/// How long all that was promised may take once nothing is wrong any more.
const SETTLED_WITHIN: Duration = Duration::from_secs(45);
/// How long the printer is still, when nothing more will come.
const STILL: Duration = Duration::from_secs(2);
/// The first line of every receipt.
const HEAD: &str = "Bench";

/// What went wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Receipts that were promised while something broke.
    pub promised: u64,
    /// Neither on paper, nor waiting, nor said to be in doubt or given up.
    pub lost: u64,
    /// Copies beyond the first that do not say that they may be copies.
    pub doubled: u64,
    /// Copies that say so. Right if nobody could know.
    pub marked: u64,
    /// Said to be printed while they were not.
    pub falsely_printed: u64,
    /// In how many trials that could be so.
    pub beliefs: u64,
    /// Pieces of paper with more than one receipt on them.
    pub leftovers: u64,
    /// How long after the promise the spooler says that the paper is out; nothing if it never did.
    pub noticed: Option<Duration>,
}

impl Tally {
    /// Whether nothing happened that must never happen.
    pub fn promises_kept(&self) -> bool {
        let wrong = [self.lost, self.doubled, self.falsely_printed, self.leftovers];
        wrong.iter().all(|wrong| *wrong == 0) && self.noticed.is_some()
    }
}

/// Everything, one after the other.
pub fn all(side: &mut Side) -> Result<(), Trouble> {
    let before = side.counter.log()?.last().map_or(0, |piece| piece.n);
    power_cuts_while_out_of_paper(side)?;
    power_cuts_while_printing(side)?;
    broken_links(side)?;
    if side.spooler.is_timed() {
        beliefs(side)?;
    }
    for piece in side.counter.log()?.iter().filter(|piece| piece.n > before) {
        let heads = side.counter.text(piece.n)?.lines().filter(|row| row.trim() == HEAD).count();
        side.tally.leftovers += u64::from(heads > 1);
    }
    Ok(())
}

fn power_cuts_while_out_of_paper(side: &mut Side) -> Result<(), Trouble> {
    for after in DARK_AFTER {
        told(side, &format!("no paper, then no power after {after:?}"));
        side.counter.printer.set_faults(|faults| faults.paper_out = true);
        let jobs = (0..PROMISED).map(|_| side.spooler.ask()).collect::<Result<Vec<_>, _>>()?;
        std::thread::sleep(after);
        side.spooler.cut_power()?;
        side.spooler.start()?;
        settle(side, &jobs)?;
    }
    Ok(())
}

fn power_cuts_while_printing(side: &mut Side) -> Result<(), Trouble> {
    for after in CUT_AFTER_MS {
        told(side, &format!("no power {after} ms after a promise"));
        let job = side.spooler.ask()?;
        std::thread::sleep(Duration::from_millis(after));
        side.spooler.cut_power()?;
        side.spooler.start()?;
        settle(side, &[job])?;
    }
    Ok(())
}

fn broken_links(side: &mut Side) -> Result<(), Trouble> {
    let whole = side.counter.log()?.last().map_or(1_000, |piece| piece.bytes);
    for per_cent in BREAKS_AT {
        for reset in [false, true] {
            told(side, &format!("the link breaks after {per_cent} % of a receipt"));
            let after = (whole * per_cent / 100).max(1);
            match reset {
                false => side.counter.printer.cut_link_after(after),
                true => side.counter.printer.reset_link_after(after),
            }
            let broken = side.spooler.ask()?;
            let next = side.spooler.ask()?;
            settle(side, &[broken, next])?;
        }
    }
    Ok(())
}

/// Trials in which nothing comes out, whatever the spooler believes.
fn beliefs(side: &mut Side) -> Result<(), Trouble> {
    type Break = fn(&mut Faults);
    let faults: [(&str, Break); 3] = [
        ("no paper, then the printer is switched off and on", |faults| faults.paper_out = true),
        ("a printer that takes all and prints nothing", |faults| faults.swallow = true),
        ("a printer that takes the call and is deaf", |faults| faults.hang = true),
    ];
    for (what, fault) in faults {
        told(side, what);
        side.counter.printer.set_faults(fault);
        let job = side.spooler.ask()?;
        let mut noticed = None;
        while job.promised.elapsed() < BELIEF && side.spooler.said(&job)? != Said::Printed {
            if noticed.is_none() && side.spooler.tells_paper_out()? {
                noticed = Some(job.promised.elapsed());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        believed(side, &job)?;
        if what.starts_with("no paper") {
            side.tally.noticed = noticed;
            side.counter.power_cycle();
        }
        settle(side, &[job])?;
    }
    told(side, "a printer that loses its power in the middle of a receipt");
    side.counter.printer.power_cycle_after(200);
    let job = side.spooler.ask()?;
    // Not for a verdict: until it has made up its mind.
    let decided = || match side.spooler.said(&job) {
        Ok(Said::Waits) => Err("it waits".to_owned()),
        said => Ok(said),
    };
    drop(wait_until("a verdict", SETTLED_WITHIN, decided));
    believed(side, &job)?;
    settle(side, &[job])
}

fn believed(side: &mut Side, job: &Job) -> Result<(), Trouble> {
    let said = side.spooler.said(job)?;
    let copies = side.counter.copies(&job.on_paper)?;
    side.tally.beliefs += 1;
    side.tally.falsely_printed += u64::from(said == Said::Printed && copies.plain + copies.marked == 0);
    Ok(())
}

/// Mends the printer, waits until nothing more will come, and counts.
fn settle(side: &mut Side, jobs: &[Job]) -> Result<(), Trouble> {
    side.counter.mend();
    let until = Instant::now() + SETTLED_WITHIN;
    let waits = |job: &Job| Ok::<_, Trouble>(side.spooler.said(job)? == Said::Waits);
    while Instant::now() < until {
        let waiting = jobs.iter().map(waits).collect::<Result<Vec<_>, _>>()?;
        if !waiting.contains(&true) {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let mut last = (side.counter.counts().bytes, Instant::now());
    while last.1.elapsed() < STILL {
        std::thread::sleep(LOOK_EVERY);
        let bytes = side.counter.counts().bytes;
        if bytes != last.0 {
            last = (bytes, Instant::now());
        }
        if Instant::now() > until + SETTLED_WITHIN {
            break;
        }
    }
    for job in jobs {
        let copies = side.counter.copies(&job.on_paper)?;
        let said = side.spooler.said(job)?;
        let nobody_knows = copies.plain + copies.marked == 0 && matches!(said, Said::Printed | Said::Unknown);
        let tally = &mut side.tally;
        tally.promised += 1;
        tally.lost += u64::from(nobody_knows);
        tally.doubled += u64::from(copies.plain.saturating_sub(1));
        tally.marked += u64::from(copies.marked);
    }
    Ok(())
}

fn told(side: &Side, what: &str) {
    super::say(&format!("{}: {what}", side.spooler.name()));
}
