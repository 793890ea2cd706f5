//! The second mode: bare sessions and stores, without QUIC, without tills and without an async runtime; much faster.
//!
//! Each node is the product's store on a simulated disk and one session for each link; streams between them delay, stall and
//! break at any byte. Time is a number and a heap of what is to happen. Plans, goods and the ledger are those of the first
//! mode; of a plan counts what touches disks, power and cables.
//!
//! Invariants: a node acknowledges a peer only what it holds; what was acknowledged to a customer is there after every power
//! cut; what somebody else has of a node is on that node's own disk, however badly its power goes; afterwards all hold the same,
//! and it is what the ledger says. Absent on purpose: clocks and carts.

mod copies;
mod links;
mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use toko_crdt::Lane;
use toko_mesh::sim_disk::{Dice, Faults};
use toko_mesh::sim_net;
use toko_retail::catalogue::Catalogue;
use toko_retail::currency::Currency;

use super::felt::Felt;
use super::goods::Goods;
use super::ledger::{Ledger, Sums};
use super::plan::{Fault, Kind};
use super::shop::CURRENCY;
use super::{Outcome, Setting, Upkeep};
use links::Links;
use node::{Death, Node};

/// *Units* of this mode's time: microseconds.
const MS: i64 = 1_000;
const SECOND: i64 = 1_000 * MS;
/// How long everything may take to agree once all is well.
const AGREE: i64 = 60 * SECOND;
/// How long a process takes to come back.
const RESTART: i64 = 300 * MS;
/// How often a box that sells nothing else writes down a count of its shelf.
const FLOOR_EVERY: u64 = 3;

struct Bare {
    links: Links,
    tills: usize,
    goods: Arc<Goods>,
    catalogue: Catalogue,
    ledger: Ledger,
    dice: Dice,
    /// What happens next: a customer at a till, a fault that begins or ends, a box that comes back.
    agenda: BTreeMap<(i64, u64), Next>,
    noted: u64,
    done: BTreeMap<Kind, u64>,
    going_on: Vec<Fault>,
    open_until: i64,
    gap: i64,
    /// Boxes whose power goes with the next answer, or with the next thing that another has of them.
    aimed: BTreeMap<usize, Death>,
    /// Boxes whose disk went back: what is missing there comes from others.
    went_back: BTreeSet<usize>,
    violations: Vec<String>,
}

enum Next {
    Customer { till: usize, left: u64 },
    Begin(Fault),
    End(Fault),
    Back(usize),
}

/// Plays one run to its end.
///
/// Errors: the goods are none that the product takes.
pub fn play(setting: &Setting, goods: &Arc<Goods>) -> Result<Outcome, String> {
    let planned = setting.plan();
    let mut bare = Bare::open(setting, goods)?;
    for fault in planned.clone() {
        let at = micros(fault.at);
        bare.note(at, Next::Begin(fault));
    }
    bare.trade();
    let healed_in = bare.heal();
    let traffic = bare.links.traffic();
    let mut violations = bare.violations;
    violations.extend(bare.links.violations.iter().cloned());
    violations.extend(bare.ledger.wrong().iter().cloned());
    Ok(Outcome {
        trace: bare.links.trace,
        violations,
        faults: bare.done,
        felt: Felt::new(),
        woke_in_1970: 0,
        slow_disks: 0,
        planned,
        tally: bare.ledger.tally,
        receipts: super::receipts::Tally::default(),
        packets: sim_net::Tally { sent: traffic.0, bytes: traffic.1, ..sim_net::Tally::default() },
        simulated: duration(bare.links.now),
        healed_in: healed_in.map(duration),
        looks: 1,
        upkeep: Upkeep::default(),
    })
}

impl Bare {
    fn open(setting: &Setting, goods: &Arc<Goods>) -> Result<Self, String> {
        let currency = Currency::parse(CURRENCY).map_err(|problem| problem.to_string())?;
        let catalogue = Catalogue::import(goods.csv.as_bytes(), currency, &[]);
        let catalogue = catalogue.map_err(|problem| problem.to_string())?;
        let nodes = node::found(setting)?;
        let gap = micros(setting.gap).max(1);
        let mut bare = Self {
            links: Links::new(setting.seed, nodes),
            tills: setting.tills,
            goods: Arc::clone(goods),
            catalogue,
            ledger: Ledger::default(),
            dice: Dice::new(setting.seed ^ 0xba_4e),
            agenda: BTreeMap::new(),
            noted: 0,
            done: BTreeMap::new(),
            going_on: Vec::new(),
            open_until: micros(setting.open),
            gap,
            aimed: BTreeMap::new(),
            went_back: BTreeSet::new(),
            violations: Vec::new(),
        };
        for till in 1..=setting.tills {
            let first = bare.pause();
            bare.note(first, Next::Customer { till, left: setting.customers });
        }
        bare.links.connect_all();
        Ok(bare)
    }

    fn note(&mut self, at: i64, next: Next) {
        self.noted += 1;
        self.agenda.insert((at, self.noted), next);
    }

    fn pause(&mut self) -> i64 {
        let spread = self.dice.below(u64::try_from(self.gap * 9 / 5 + 1).unwrap_or(1));
        self.gap / 10 + i64::try_from(spread).unwrap_or(0)
    }

    fn trade(&mut self) {
        while let Some(((at, _), next)) = self.agenda.pop_first() {
            if at > self.open_until || !self.violations.is_empty() {
                break;
            }
            self.run_until(at);
            match next {
                Next::Customer { till, left } => self.customer(till, left),
                Next::Begin(fault) => self.begin(fault),
                Next::End(fault) => self.end(&fault),
                Next::Back(nth) => self.back(nth),
            }
        }
        self.run_until(self.open_until.max(self.links.now));
    }

    /// Lets time go by. Whoever is aimed at loses power the moment that another has something of it.
    fn run_until(&mut self, end: i64) {
        loop {
            self.links.run_until(end);
            let hit = self.links.hit();
            if hit.is_empty() {
                return;
            }
            hit.into_iter().for_each(|nth| self.cut(nth, Death::Worst));
        }
    }

    fn cut(&mut self, nth: usize, how: Death) {
        self.aimed.remove(&nth);
        self.links.spare(nth);
        if self.links.is_up(nth) {
            self.links.kill(nth);
            self.links.nodes[nth].die(how);
            let at = self.links.now + RESTART;
            self.note(at, Next::Back(nth));
        }
    }

    fn customer(&mut self, till: usize, left: u64) {
        if left == 0 {
            return;
        }
        let later = self.links.now + self.pause();
        self.note(later, Next::Customer { till, left: left - 1 });
        if !self.links.is_up(till) {
            return;
        }
        let basket = self.goods.basket(&mut self.dice);
        let now = self.links.now;
        let node = &mut self.links.nodes[till];
        let mut sold_one = false;
        match node.sell(now, &self.catalogue, &self.goods, &basket) {
            Ok(Some(sold)) => {
                let key = format!("till {till} sale {}", self.noted);
                self.ledger.done(&key, None, sold.id, sold.effect(till));
                self.ledger.tally.sales += 1;
                self.ledger.tally.lines += basket.len() as u64;
                sold_one = true;
            }
            Ok(None) => self.ledger.tally.repeated += 1,
            Err(wrong) => self.violations.push(wrong),
        }
        if self.dice.below(FLOOR_EVERY) == 0 {
            let name = format!("cart {}", self.noted);
            self.ledger.tally.parked += u64::from(self.links.nodes[till].park(now, &name));
        }
        if sold_one && let Some(how) = self.aimed.get(&till).copied() {
            // Nothing later can make up for a sync that was skipped.
            return self.cut(till, how);
        }
        self.links.spread(till);
        self.restart_broken(till);
    }

    fn begin(&mut self, fault: Fault) {
        let (host, now) = (fault.host, self.links.now);
        let how = match fault.kind {
            Kind::Power | Kind::Kill if !self.links.is_up(host) => return,
            Kind::Power if fault.much % 3 == 1 => {
                self.aimed.insert(host, Death::Power(fault.much));
                return self.goes_on(fault);
            }
            Kind::Power if fault.much % 3 == 2 => {
                self.links.aim(host);
                return self.goes_on(fault);
            }
            Kind::Power => Death::Power(fault.much),
            Kind::Kill => Death::Killed,
            Kind::Clone | Kind::Fork => return self.copy(fault),
            Kind::Restore | Kind::HqRestored => return self.back_up(fault),
            Kind::Full => {
                let disk = self.links.nodes[host].disk();
                let capacity = Some(disk.bytes_held() + fault.much % (256 << 10));
                disk.set_faults(Faults { capacity, ..Faults::default() });
                return self.goes_on(fault);
            }
            Kind::Eio => {
                let nth = Some(fault.much % 30);
                let faults = match fault.much % 2 {
                    0 => Faults { fail_sync: nth, ..Faults::default() },
                    _ => Faults { fail_write: nth, ..Faults::default() },
                };
                self.links.nodes[host].disk().set_faults(faults);
                return self.goes_on(fault);
            }
            Kind::Loss | Kind::Delay | Kind::Reorder | Kind::Partition | Kind::OneWay | Kind::Partial => {
                return self.goes_on(fault);
            }
            _ => return,
        };
        *self.done.entry(fault.kind).or_default() += 1;
        self.links.kill(host);
        self.links.nodes[host].die(how);
        let soon = matches!(how, Death::Power(_)) || fault.much.is_multiple_of(2);
        let back = if soon { RESTART } else { micros(fault.lasts) };
        self.note(now + back, Next::Back(host));
    }

    fn goes_on(&mut self, fault: Fault) {
        *self.done.entry(fault.kind).or_default() += 1;
        let ends = self.links.now + micros(fault.lasts);
        self.note(ends, Next::End(fault.clone()));
        self.going_on.push(fault);
        self.links.set_weather(&self.going_on);
    }

    fn end(&mut self, fault: &Fault) {
        self.going_on.retain(|other| other.number != fault.number);
        if matches!(fault.kind, Kind::Full | Kind::Eio) {
            self.links.nodes[fault.host].disk().set_faults(Faults::default());
            self.restart_broken(fault.host);
        }
        match fault.kind {
            Kind::Power => {
                self.aimed.remove(&fault.host);
                self.links.spare(fault.host);
            }
            Kind::Restore | Kind::HqRestored => self.restore(fault.host),
            _ => {}
        }
        self.links.set_weather(&self.going_on);
    }

    fn restart_broken(&mut self, nth: usize) {
        if self.links.is_up(nth) && self.links.nodes[nth].is_broken() {
            self.links.kill(nth);
            self.links.nodes[nth].die(Death::Killed);
            let at = self.links.now + RESTART;
            self.note(at, Next::Back(nth));
        }
    }

    fn back(&mut self, nth: usize) {
        let now = self.links.now;
        if self.links.is_up(nth) {
            return;
        }
        if self.links.nodes[nth].start().is_err() {
            // Its disk does not let it: again and again.
            return self.note(now + RESTART, Next::Back(nth));
        }
        if let Some(lost) = self.links.nodes[nth].lost() {
            self.violations.push(format!("I1: the disk of {nth} does not have {lost}"));
        }
        for sold in self.links.nodes[nth].settled() {
            self.noted += 1;
            let key = format!("till {nth} sale {}", self.noted);
            self.ledger.done(&key, None, sold.id, sold.effect(nth));
        }
        for (id, effect) in self.ledger.effects() {
            let gone = effect.till == nth && !self.links.nodes[nth].has(*id);
            if gone && !self.went_back.contains(&nth) {
                self.violations.push(format!("I1: {} was acknowledged by {nth} and is gone", id.short()));
            }
        }
        self.links.revive(nth);
    }

    fn heal(&mut self) -> Option<i64> {
        self.aimed.clear();
        (0..self.links.nodes.len()).for_each(|nth| self.links.spare(nth));
        self.going_on.clear();
        self.links.set_weather(&[]);
        for nth in 0..self.links.nodes.len() {
            self.links.nodes[nth].disk().set_faults(Faults::default());
            self.restart_broken(nth);
            self.back(nth);
        }
        let began = self.links.now;
        while !self.links.agree() {
            if self.links.now - began > AGREE {
                let who = self.links.disagreement();
                self.violations.push(format!("I4: not agreed after {} s: {who}", AGREE / SECOND));
                return None;
            }
            self.links.run_until(self.links.now + 10 * MS);
            for nth in 0..self.links.nodes.len() {
                self.restart_broken(nth);
                self.back(nth);
            }
        }
        let hub = &self.links.nodes[0];
        let all = self.ledger.effects().iter();
        let stands = all.filter(|(id, _)| !self.ledger.is_doubtful(id) || hub.has(**id));
        let expected = Sums::of(stands.map(|(_, effect)| effect));
        for (nth, node) in self.links.nodes.iter().enumerate() {
            self.violations.extend(node.weigh(nth, &self.ledger, &expected));
        }
        Some(self.links.now - began)
    }
}

fn lanes(node: &Node) -> &'static [Lane] {
    if node.headquarters { &[Lane::Books] } else { &Lane::ALL }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
