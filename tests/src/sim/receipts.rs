//! The judge of paper: holds what came out of the printer against what was asked for, and the books against the paper.
//!
//! Afterwards, when all is well: every receipt of a sale that counts is on paper, or in a state that a person sees (in doubt, given
//! up with its reason). Nothing is on paper that nobody asked for. What the books call printed is there as a whole. Of two
//! sheets of one receipt the later says that it may be a second copy, and none says so without a reason. Nobody prints what by
//! his own clock nobody wants any more.
//!
//! Two sheets without the banner are allowed only where whoever printed the later could not know of the earlier: another box
//! printed it and died, or was cut off, before anybody heard (a hub that was replaced, or that returned), or his own
//! disk went back behind it. So one disk never prints a receipt twice as if it were the first, and nobody does whose books
//! hold the earlier attempt.
//!
//! A job whose time a clock that was wrong made up is given up as old, and one of a day that is settled is in nobody's books any
//! more: both is what the product promises.

use std::collections::{BTreeMap, BTreeSet};

use toko_crdt::EffectId;
use toko_crdt::hash::hex;
use toko_crdt::ids::dated_at;
use toko_devices::spool::Next;
use toko_mesh::node::Node;
use toko_paper::job;
use toko_retail::ops::PrintOutcome;
use toko_retail::paper;
use toko_retail::views::{self, PrintJob};

use super::printer::Sheet;
use super::shop::{Part, Shop};

/// What was asked for, by job as it stands on paper.
pub type Wanted = BTreeMap<[u8; 16], EffectId>;

/// What came of the receipts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Receipts that were asked for.
    pub asked: u64,
    /// Sheets that came out whole.
    pub printed: u64,
    /// Sheets under the banner of a possible duplicate.
    pub marked: u64,
    /// Sheets that broke off.
    pub torn: u64,
    /// Receipts that came out whole without the banner more than once, where nobody could know.
    pub doubled: u64,
}

impl Tally {
    /// Counts another run's too.
    pub fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.printed += other.printed;
        self.marked += other.marked;
        self.torn += other.torn;
        self.doubled += other.doubled;
    }

    /// By name.
    #[must_use]
    pub fn by_word(&self) -> BTreeMap<&'static str, u64> {
        let Self { asked, printed, marked, torn, doubled } = *self;
        [("asked", asked), ("printed", printed), ("marked", marked), ("torn", torn), ("doubled", doubled)]
            .into()
    }
}

/// What came of the receipts so far.
#[must_use]
pub fn tally(shop: &Shop) -> Tally {
    let sheets = shop.printer.paper();
    let count = |of: fn(&Sheet) -> bool| sheets.iter().filter(|sheet| of(sheet)).count() as u64;
    let first = |sheet: &&Sheet| sheet.whole && !sheet.marked;
    let jobs: BTreeSet<&str> = sheets.iter().filter(first).map(|sheet| sheet.job.as_str()).collect();
    Tally {
        asked: shop.ledger().wanted().len() as u64,
        printed: count(|sheet| sheet.whole),
        marked: count(|sheet| sheet.marked),
        torn: count(|sheet| !sheet.whole),
        doubled: (sheets.iter().filter(first).count() - jobs.len()) as u64,
    }
}

/// What the hub still has to do about receipts, in words; nothing once only people can do more.
#[must_use]
pub fn waits(shop: &Shop) -> Option<String> {
    let Some(hub) = hub(shop) else { return Some("no hub".to_owned()) };
    let Ok(jobs) = hub.read(views::jobs_open) else { return Some("the views cannot be read".to_owned()) };
    if shop.printer.is_busy() {
        return Some("a page is under way".to_owned());
    }
    let now = hub.machine().wall();
    let next = |job: &PrintJob| job::next(job, None, None, shop.printer.policy, now);
    let waiting: Vec<String> = jobs
        .iter()
        .filter(|job| next(job) != Next::Hold)
        .map(|job| format!("{}: {:?}, {:?}", hex(&job.job), next(job), job.attempts))
        .collect();
    (!waiting.is_empty()).then(|| format!("{} receipts wait, such as {}", waiting.len(), waiting[0]))
}

/// What does not hold, when all is well and nothing waits.
#[must_use]
pub fn weigh(shop: &Shop) -> Vec<String> {
    let Some(hub) = hub(shop) else { return vec!["I4: no box is the hub".to_owned()] };
    let sheets = shop.printer.paper();
    let ledger = shop.ledger();
    let mut by_job: BTreeMap<&str, Vec<&Sheet>> = BTreeMap::new();
    sheets.iter().for_each(|sheet| by_job.entry(&sheet.job).or_default().push(sheet));
    let wanted: BTreeMap<String, EffectId> =
        ledger.wanted().iter().map(|(job, id)| (hex(job), *id)).collect();
    let mut wrong: Vec<String> = Vec::new();
    for (job, sheets) in &by_job {
        if !wanted.contains_key(*job) {
            wrong.push(format!("I2: a receipt is on paper that nobody asked for: job {job:?}"));
        }
        wrong.extend(copies(job, sheets));
    }
    let clocks_were_wrong = shop.stations.iter().any(|station| {
        let felt = station.host.felt();
        felt.jumped + felt.long_ago > 0
    });
    for (id, sale) in ledger.wanted() {
        let (words, whole) = (hex(id), |sheet: &&Sheet| sheet.whole);
        let is_there = by_job.get(words.as_str()).is_some_and(|sheets| sheets.iter().any(whole));
        let told = match hub.read(|kv| Ok((views::job(kv, *id)?, views::first_open_job(kv)?))) {
            Ok((Some(job), _)) => told(&job, is_there, clocks_were_wrong),
            Ok((None, Some(first))) if dated_at(id) < first => None,
            Ok((None, _)) if ledger.is_doubtful(sale) => None,
            Ok((None, _)) => Some("is in nobody's books".to_owned()),
            Err(problem) => Some(format!("cannot be read: {problem}")),
        };
        wrong.extend(told.map(|told| format!("I10: receipt {words} of sale {} {told}", sale.short())));
    }
    wrong.truncate(8);
    wrong
}

/// What is wrong with the sheets of one receipt.
fn copies(job: &str, sheets: &[&Sheet]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (nth, later) in sheets.iter().enumerate() {
        if later.marked && later.by.known.is_empty() {
            wrong.push(format!("I2: receipt {job} says that it may be a copy, and nobody knew of another"));
        }
        if later.by.too_late {
            wrong.push(format!("I2: receipt {job} came out when nobody wanted it any more: {:?}", later.by));
        }
        for earlier in sheets[..nth].iter().filter(|_| !later.marked) {
            let (disk, knew) = (earlier.by.disk, later.by.known.contains(&earlier.by.attempt));
            if disk == later.by.disk || knew {
                wrong.push(format!(
                    "I2: receipt {job} came out again without the banner: {:?}, then {:?}",
                    earlier.by, later.by
                ));
            }
        }
    }
    wrong
}

/// What the books say that the paper does not, or what nobody is told of a receipt.
fn told(job: &PrintJob, is_there: bool, clocks_were_wrong: bool) -> Option<String> {
    let ends = || job.attempts.iter().filter_map(|attempt| attempt.outcome.as_ref());
    let printed = ends().any(|(outcome, level, detail)| {
        *outcome == PrintOutcome::Printed && paper::is_on_paper(*level, detail)
    });
    if is_there {
        return None;
    }
    if printed {
        return Some(format!("is printed by the books, and not on paper: {:?}", job.attempts));
    }
    // In doubt, a person sees it.
    if job.open {
        return None;
    }
    let old = ends().any(|(outcome, _, why)| *outcome == PrintOutcome::GivenUp && why == job::OLD);
    (!(old && clocks_were_wrong)).then(|| format!("was given up: {:?}", job.attempts))
}

/// The box that is hub now, as far as it knows.
fn hub(shop: &Shop) -> Option<Node> {
    let hubs = shop.used().filter(|nth| shop.part(*nth) == Part::Hub);
    hubs.filter_map(|nth| shop.running(nth)).find(Node::is_hub)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::printer::By;
    use toko_crdt::NodeId;
    use toko_crdt::clock::UnixMicros;
    use toko_retail::views::PrintAttempt;

    fn sheet(disk: (usize, u64), attempt: u32, known: &[u32], marked: bool) -> Sheet {
        let at = |attempt| (NodeId([1; 32]), attempt);
        let known = known.iter().copied().map(at).collect();
        Sheet {
            job: "j".into(),
            marked,
            whole: true,
            by: By { disk, attempt: at(attempt), known, too_late: false },
        }
    }

    fn wrong(sheets: &[Sheet]) -> usize {
        copies("j", &sheets.iter().collect::<Vec<_>>()).len()
    }

    #[test]
    fn a_second_sheet_without_the_banner_is_wrong_unless_nobody_could_know() {
        let first = sheet((0, 0), 1, &[], false);
        assert_eq!(wrong(&[first.clone(), sheet((0, 0), 2, &[1], true)]), 0);
        assert_eq!(wrong(&[first.clone(), sheet((0, 0), 2, &[1], false)]), 1, "the banner is left off");
        assert_eq!(wrong(&[first.clone(), sheet((0, 0), 1, &[], false)]), 1, "its start was not kept");
        assert_eq!(wrong(&[first.clone(), sheet((4, 0), 2, &[1], false)]), 1, "the next hub knew");
        assert_eq!(wrong(&[first.clone(), sheet((4, 0), 1, &[], false)]), 0, "the next hub could not know");
        assert_eq!(wrong(&[first, sheet((0, 1), 1, &[], false)]), 0, "its disk went back");
        assert_eq!(wrong(&[sheet((0, 0), 1, &[], true)]), 1, "a banner without a reason");
        let mut late = sheet((0, 0), 1, &[], false);
        late.by.too_late = true;
        assert_eq!(wrong(&[late]), 1, "nobody waits for it");
    }

    #[test]
    fn what_the_books_call_printed_is_on_paper_and_what_is_not_is_in_doubt() {
        let job = |outcome, level, why: &str, open| PrintJob {
            job: [1; 16],
            sale: EffectId([1; 32]),
            printer: String::new(),
            ttl_s: 0,
            copies: 1,
            is_copy: false,
            asked_by: NodeId([1; 32]),
            asked_at: UnixMicros(0),
            attempts: vec![PrintAttempt {
                attempt: 1,
                owner: NodeId([1; 32]),
                printer: String::new(),
                outcome: Some((outcome, level, why.to_owned())),
            }],
            open,
        };
        let printed = job(PrintOutcome::Printed, 3, "", false);
        assert!(told(&printed, true, false).is_none() && told(&printed, false, false).is_some());
        assert!(told(&job(PrintOutcome::InDoubt, 0, "", true), false, false).is_none());
        let old = job(PrintOutcome::GivenUp, 0, super::job::OLD, false);
        assert!(told(&old, false, true).is_none() && told(&old, false, false).is_some());
    }
}
