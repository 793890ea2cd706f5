//! What the tills promised: every answer that acknowledged a sale, written down outside of the shop, and what was refused.
//!
//! Invariants: a sale stands here only if its answer came; it shares no code with the product beyond reading that answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::failure::{Failure, must};

/// One acknowledged sale.
#[derive(Clone, Debug)]
pub struct Ack {
    /// Which till answered.
    pub till: &'static str,
    /// Its id.
    pub sale: String,
    /// What stands on the receipt.
    pub number: String,
    /// The receipt's series.
    pub series: u64,
    /// The receipt's number in it.
    pub counter: u64,
    /// What tells two receipts of one number apart.
    pub tag: String,
    /// In pence.
    pub pence: i64,
    /// Pieces, by code.
    pub pieces: BTreeMap<&'static str, i64>,
}

/// A sale that a till refused for now.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Which till.
    pub till: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The error's code.
    pub code: String,
    /// What the screen shows.
    pub screen: String,
    /// What the log has.
    pub log: String,
}

/// All that was answered so far.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    acks: Vec<Ack>,
    refusals: Vec<Refusal>,
    /// How often a till gave no answer.
    silences: BTreeMap<&'static str, u64>,
    /// Money that went back to customers.
    given_back: i64,
    /// Number, series and counter of each of their receipts.
    returns: Vec<(String, u64, u64)>,
    /// The longest that a sale took which was neither refused nor unanswered on its way.
    slowest: BTreeMap<&'static str, Duration>,
}

/// A place in the ledger.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    acks: usize,
    refusals: usize,
    silences: BTreeMap<&'static str, u64>,
}

/// Sums of all acknowledged sales.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many.
    pub sales: i64,
    /// In pence.
    pub pence: i64,
    /// Pieces, by code.
    pub pieces: BTreeMap<&'static str, i64>,
}

impl Ledger {
    /// Writes an acknowledged sale down.
    pub fn acknowledge(&self, ack: Ack, took: Option<Duration>) {
        let mut pages = self.pages();
        if let Some(took) = took {
            let slowest = pages.slowest.entry(ack.till).or_default();
            *slowest = took.max(*slowest);
        }
        pages.acks.push(ack);
    }

    /// Writes an acknowledged return down: so much money, and a number like any receipt.
    pub fn give_back(&self, pence: i64, answer: &Value) {
        let mut pages = self.pages();
        pages.given_back += pence;
        let number = answer["number"].as_str().unwrap_or_default().to_owned();
        let part = |key: &str| answer[key].as_u64().unwrap_or(0);
        pages.returns.push((number, part("series"), part("counter")));
    }

    /// Writes a refusal down.
    pub fn refuse(&self, till: &'static str, status: u16, body: &Value) {
        let words = |key: &str| body["error"][key].as_str().unwrap_or_default().to_owned();
        let refusal =
            Refusal { till, status, code: words("code"), screen: words("screen"), log: words("log") };
        self.pages().refusals.push(refusal);
    }

    /// Writes down that no answer came.
    pub fn silence(&self, till: &'static str) {
        *self.pages().silences.entry(till).or_default() += 1;
    }

    /// From here on.
    pub fn mark(&self) -> Mark {
        let mut pages = self.pages();
        pages.slowest.clear();
        Mark { acks: pages.acks.len(), refusals: pages.refusals.len(), silences: pages.silences.clone() }
    }

    /// What was acknowledged since.
    pub fn acks_since(&self, mark: &Mark) -> Vec<Ack> {
        self.pages().acks[mark.acks..].to_vec()
    }

    /// What one till acknowledged since.
    pub fn sold_since(&self, mark: &Mark, till: &str) -> usize {
        self.pages().acks[mark.acks..].iter().filter(|ack| ack.till == till).count()
    }

    /// What was refused since.
    pub fn refusals_since(&self, mark: &Mark) -> Vec<Refusal> {
        self.pages().refusals[mark.refusals..].to_vec()
    }

    /// How often a till gave no answer since.
    pub fn silences_since(&self, mark: &Mark, till: &str) -> u64 {
        let before = mark.silences.get(till).copied().unwrap_or(0);
        self.pages().silences.get(till).copied().unwrap_or(0) - before
    }

    /// The longest that an undisturbed sale took since the last mark.
    pub fn slowest(&self) -> Duration {
        self.pages().slowest.values().max().copied().unwrap_or_default()
    }

    /// Sums of everything.
    pub fn sums(&self) -> Sums {
        let pages = self.pages();
        let mut sums = Sums { pence: -pages.given_back, ..Sums::default() };
        for ack in &pages.acks {
            sums.sales += 1;
            sums.pence += ack.pence;
            for (code, pieces) in &ack.pieces {
                *sums.pieces.entry(code).or_default() += pieces;
            }
        }
        sums
    }

    /// I5 and I2 as far as answers show them: no id was given twice, and each series counts 1, 2, 3 without a gap.
    ///
    /// *Shape*: `twice` says which numbers may have been given twice: a copied or restored directory cannot know better
    /// until it hears of its other self.
    pub fn numbers_hold(&self, twice: bool) -> Result<(), Failure> {
        let pages = self.pages();
        let mut ids = BTreeMap::new();
        let mut series: BTreeMap<(String, u64), Vec<u64>> = BTreeMap::new();
        for ack in &pages.acks {
            if let Some(before) = ids.insert(ack.sale.clone(), ack.number.clone()) {
                return Err(Failure::wrong(format!("sale {} was answered twice: {before}", ack.sale)));
            }
        }
        let sold = pages.acks.iter().map(|ack| (&ack.number, ack.series, ack.counter));
        let returned = pages.returns.iter().map(|(number, of, counter)| (number, *of, *counter));
        for (number, of, counter) in sold.chain(returned) {
            let terminal = number.split('-').next().unwrap_or_default().to_owned();
            series.entry((terminal, of)).or_default().push(counter);
        }
        for ((terminal, of), mut counters) in series {
            counters.sort_unstable();
            if twice {
                counters.dedup();
            }
            let whole = counters.iter().copied().eq(1..=u64::try_from(counters.len()).unwrap_or(0));
            must(whole, || format!("I5: terminal {terminal}, series {of} numbered {counters:?}"))?;
        }
        Ok(())
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Pages are plain values: whoever panicked left them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(sale: &str, counter: u64) -> Ack {
        let number = format!("1-1-{counter:06}");
        let pieces = BTreeMap::from([("71053", 2)]);
        Ack {
            till: "till-1",
            sale: sale.into(),
            number,
            series: 1,
            counter,
            tag: "t".into(),
            pence: 678,
            pieces,
        }
    }

    #[test]
    fn a_gap_and_an_id_that_comes_twice_are_seen() {
        let ledger = Ledger::default();
        ledger.acknowledge(ack("a", 2), None);
        assert!(ledger.numbers_hold(false).unwrap_err().in_full().contains("[2]"));
        ledger.acknowledge(ack("b", 1), None);
        ledger.numbers_hold(false).unwrap();
        ledger.acknowledge(ack("c", 2), None);
        assert!(ledger.numbers_hold(false).is_err());
        ledger.numbers_hold(true).unwrap();
        ledger.acknowledge(ack("c", 3), None);
        assert!(ledger.numbers_hold(true).unwrap_err().in_full().contains("twice"));
    }

    #[test]
    fn sums_and_marks_count_what_was_answered() {
        let ledger = Ledger::default();
        ledger.acknowledge(ack("a", 1), None);
        let mark = ledger.mark();
        ledger.acknowledge(ack("b", 2), Some(Duration::from_millis(7)));
        ledger.silence("till-1");
        assert_eq!((ledger.sold_since(&mark, "till-1"), ledger.silences_since(&mark, "till-1")), (1, 1));
        assert_eq!((ledger.sums().sales, ledger.sums().pence, ledger.sums().pieces["71053"]), (2, 1_356, 4));
        assert_eq!(ledger.slowest(), Duration::from_millis(7));
    }
}
