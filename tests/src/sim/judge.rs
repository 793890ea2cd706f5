//! The judge: holds what nodes show against the oracle's ledger.
//!
//! While things go wrong: what a terminal acknowledged it still shows (I1), nothing is counted that nobody did or that was
//! counted before (I2), stock and drawer are what the sales shown come to (I6), numbers have no gaps (I5), nothing that was
//! shown vanishes (I11), nothing is set aside (I10), queues and files are bounded (I9). Afterwards: all of it everywhere, and
//! equal digests (I4).
//!
//! A sale of a day that a hub settled need not be shown any more, if it came: then it is in the sums.

use std::collections::{BTreeMap, BTreeSet};

use toko_crdt::book::{rows, settled};
use toko_crdt::digest::Digests;
use toko_crdt::ids::{CartId, EntryRef};
use toko_crdt::{EffectId, KvError, KvRead, Lane};
use toko_mesh::node::Node;
use toko_mesh::store::Verdict;
use toko_retail::views::{self, SaleSummary};

use super::Upkeep;
use super::ledger::{Effect, Ledger, Number, Sums};
use super::shop::{Part, Shop};

/// How many sales are read at once.
const PAGE: usize = 256;
/// Bytes that a disk may hold beside its entries: segments that are made ready, the database's own room.
const DISK_BYTES: u64 = 48 << 20;
/// And for each entry.
const DISK_BYTES_PER_ENTRY: u64 = 24 << 10;

/// What was shown by each box so far.
#[derive(Debug, Default)]
pub struct Judge {
    /// By box, and by how often its disk went back.
    shown: BTreeMap<(usize, u64), BTreeSet<EffectId>>,
    /// How often it looked.
    pub looks: u64,
}

/// What a node shows.
struct Shown {
    sales: BTreeMap<EffectId, SaleSummary>,
    shelf: BTreeMap<String, i64>,
    sums: Sums,
    closed: BTreeSet<u32>,
    /// The first day of which no sale is settled, where any is.
    first_open: Option<u32>,
    parked: usize,
}

impl Shown {
    fn is_settled(&self, day: u32) -> bool {
        self.first_open.is_some_and(|first| day < first)
    }
}

impl Judge {
    /// Looks at every node that runs.
    pub fn look(&mut self, shop: &Shop, at_the_end: bool) -> Vec<String> {
        self.looks += 1;
        let mut wrong = shop.ledger().wrong().to_vec();
        for nth in shop.used() {
            let Some(node) = shop.running(nth) else {
                if at_the_end {
                    wrong.push(format!("I4: box {nth} does not run"));
                }
                continue;
            };
            match shown(&node) {
                Ok(shown) => {
                    let mut found = self.weigh(shop, nth, &node, &shown, at_the_end);
                    found.truncate(5);
                    wrong.extend(
                        found.into_iter().map(|words| format!("{words} (box {nth}, {:?})", shop.part(nth))),
                    );
                }
                Err(problem) => wrong.push(format!("I10: the views of box {nth} cannot be read: {problem}")),
            }
        }
        wrong
    }

    fn weigh(&mut self, shop: &Shop, nth: usize, node: &Node, shown: &Shown, end: bool) -> Vec<String> {
        let ledger = shop.ledger();
        let mut wrong = Vec::new();
        let mut unknown = 0;
        for (id, sale) in &shown.sales {
            match ledger.effects().get(id) {
                Some(effect) => wrong.extend(differs(*id, sale, effect)),
                None if !end && (ledger.is_selling(sale.cart) || sale.cart.is_none()) => unknown += 1,
                None => wrong.push(format!("I2: sale {} was never answered to anybody", id.short())),
            }
        }
        let (mut here, mut summed) = (Vec::new(), BTreeMap::new());
        for (id, effect) in ledger.effects() {
            let is_here = match effect.what.receipt() {
                None => came(node, &ledger, id),
                Some(_) if shown.sales.contains_key(id) => true,
                Some((number, day)) => {
                    let is_summed = shown.is_settled(day) && came(node, &ledger, id);
                    if is_summed {
                        summed.insert(*id, number);
                    }
                    is_summed
                }
            };
            let must = match end {
                true => !ledger.is_doubtful(id),
                false => effect.till == nth && !ledger.is_not_there(id),
            };
            if is_here {
                here.push(effect);
            } else if must {
                wrong.push(format!(
                    "I1: {} was acknowledged by till {} and is not here",
                    id.short(),
                    effect.till
                ));
            }
        }
        let before = self.shown.entry((nth, shop.went_back(nth))).or_default();
        for id in before.iter().filter(|id| !shown.sales.contains_key(id) && !summed.contains_key(id)) {
            wrong.push(format!("I11: {} was shown before and is gone", id.short()));
        }
        before.extend(shown.sales.keys());
        // What somebody is just being answered counts already, and the oracle does not know yet what it is.
        if unknown == 0 && ledger.is_settled() {
            wrong.extend(sums(shown, &Sums::of(here)));
        }
        let all = shown.sales.values().map(|sale| (sale.id, number_of(sale))).chain(summed);
        wrong.extend(numbers(shop, nth, &ledger, &all.collect(), end));
        if end {
            let lost = ledger.closed_days().difference(&shown.closed);
            wrong.extend(lost.map(|day| format!("I1: the close of day {day} is not here")));
        }
        if shown.parked > 0 {
            wrong.push(format!("I10: {} entries are set aside", shown.parked));
        }
        wrong.extend(bounds(shop, nth, node));
        if end {
            wrong.extend(seals(node));
        }
        drop(ledger);
        wrong
    }
}

/// Whether an effect ever came to a node, also where its entry and its rows are gone since.
#[must_use]
pub fn came(node: &Node, ledger: &Ledger, id: &EffectId) -> bool {
    let frontier = node.frontier();
    let went = |kv: &dyn KvRead, at: EntryRef| {
        let was_here = frontier.head(&at.journal).is_some_and(|head| head.seq >= at.seq);
        // What stands above the end of a journal counts only where it is carried, and then has a place.
        let counts = || Ok(rows::closed(kv, &at.journal)?.is_none_or(|end| at.seq <= end.at));
        Ok::<_, KvError>(was_here && counts()?)
    };
    let came = node.read(|kv| {
        if rows::place_of(kv, *id)?.is_some() {
            return Ok(true);
        }
        ledger.places(id).try_fold(false, |came, at| Ok(came || went(kv, at)?))
    });
    came.unwrap_or_default()
}

/// Whether all nodes hold the same and show the same, and the digests for the trace.
#[must_use]
pub fn agreed(shop: &Shop) -> Option<[u64; 2]> {
    let mut all = Vec::new();
    let mut offices = Vec::new();
    for nth in shop.used() {
        let node = shop.running(nth)?;
        let digests = node.read(|kv| Digests::of(kv)).ok()?;
        let frontier = node.frontier();
        let books = frontier.of_lanes(&[Lane::Books]).root();
        match shop.part(nth) {
            Part::Headquarters => offices.push((books, digests.books)),
            _ => all.push((frontier.root(), digests.books, digests.floor, books)),
        }
    }
    let first = all.first()?;
    let same = all.iter().all(|other| other == first);
    let office = offices.iter().all(|(books, digest)| *books == first.3 && *digest == first.1);
    let word =
        |bytes: &[u8; 32]| bytes.iter().take(8).fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
    (same && office).then(|| [word(&first.1.0), word(&first.2.0)])
}

/// Who does not agree yet, in words.
#[must_use]
pub fn disagreement(shop: &Shop) -> String {
    let mut words = Vec::new();
    for nth in shop.used() {
        let Some(node) = shop.running(nth) else {
            words.push(format!("{nth} is down"));
            continue;
        };
        let frontier = node.frontier();
        let entries: u64 = frontier.lines().map(|(_, head)| head.seq).sum();
        let digests = node.read(|kv| Digests::of(kv));
        let short = |bytes: &[u8; 32]| toko_crdt::hash::hex(bytes).chars().take(6).collect::<String>();
        let digests = digests.map_or_else(
            |problem| problem.to_string(),
            |digests| format!("{}/{}", short(&digests.books.0), short(&digests.floor.0)),
        );
        words
            .push(format!("{nth}: {entries} entries, root {}, digests {digests}", short(&frontier.root().0)));
    }
    words.join("; ")
}

fn shown(node: &Node) -> Result<Shown, KvError> {
    node.read(|kv| {
        let (mut sales, mut sums, mut closed) = (BTreeMap::new(), Sums::default(), BTreeSet::new());
        for day in views::days(kv)? {
            let mut last: Option<SaleSummary> = None;
            loop {
                let page = views::sales_of_day(kv, day, last.as_ref(), PAGE)?;
                let is_last = page.len() < PAGE;
                last = page.last().cloned();
                sales.extend(page.into_iter().map(|sale| (sale.id, sale)));
                if is_last {
                    break;
                }
            }
            if !views::day_state(kv, day)?.closings.is_empty() {
                closed.insert(day.number());
            }
            let totals = views::day_totals(kv, day)?;
            sums.sales += totals.sales;
            sums.returns += totals.returns;
            for tender in totals.tenders {
                let drawer = if tender.name == "cash" { &mut sums.cash } else { &mut sums.card };
                *drawer += tender.amount.minor_units();
            }
        }
        let parked = rows::parked_all(kv)?.len();
        let first_open = views::first_open_day(kv)?.map(|day| day.number());
        Ok(Shown { sales, shelf: shelf(kv)?, sums, closed, first_open, parked })
    })
}

fn shelf(kv: &dyn KvRead) -> Result<BTreeMap<String, i64>, KvError> {
    let mut shelf = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = views::stock_all(kv, after.as_deref(), PAGE)?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|row| row.sku.clone());
        let rows = page.into_iter().map(|row| (row.sku, row.on_hand.milli_units() / 1_000));
        shelf.extend(rows.filter(|(_, pieces)| *pieces != 0));
        if is_last {
            return Ok(shelf);
        }
    }
}

fn number_of(sale: &SaleSummary) -> Number {
    (sale.number.terminal, sale.number.series, sale.number.counter)
}

fn differs(id: EffectId, sale: &SaleSummary, effect: &Effect) -> Option<String> {
    let number = number_of(sale);
    let known = effect.what.receipt().map(|(number, _)| number);
    let paid = effect.cash + effect.card;
    (known != Some(number) || sale.payable.minor_units() != paid).then(|| {
        format!(
            "I2: {} is {number:?} for {} here, {known:?} for {paid} was answered",
            id.short(),
            sale.payable
        )
    })
}

fn sums(shown: &Shown, expected: &Sums) -> Vec<String> {
    let mut wrong = Vec::new();
    for code in shown.shelf.keys().chain(expected.shelf.keys()).collect::<BTreeSet<_>>() {
        let [here, there] =
            [&shown.shelf, &expected.shelf].map(|shelf| shelf.get(code).copied().unwrap_or(0));
        if here != there {
            wrong.push(format!("I6: {here} of {code} on the shelf, {there} by the ledger"));
        }
    }
    let money = |sums: &Sums| (sums.cash, sums.card, sums.sales, sums.returns);
    if money(&shown.sums) != money(expected) {
        let words = format!("{:?} by the days, {:?} by the ledger", money(&shown.sums), money(expected));
        wrong.push(format!("I6: cash, cards, sales, returns are {words}"));
    }
    wrong
}

/// Numbers of each series: each once, none missing. Of other terminals some may still be on their way. Where a terminal was
/// copied or its disk went back, a number may stand on two receipts, and some may be gone with the disk.
fn numbers(
    shop: &Shop,
    nth: usize,
    ledger: &Ledger,
    sales: &BTreeMap<EffectId, Number>,
    end: bool,
) -> Vec<String> {
    let own = shop.running(nth).and_then(|node| node.members().roles(&node.id()).terminal.pop());
    let mut series: BTreeMap<(u16, u32), Vec<u64>> = BTreeMap::new();
    let copied = |id| ledger.effects().get(id).is_some_and(|effect| ledger.is_copied(effect.till));
    let unsure: BTreeSet<u16> =
        sales.iter().filter(|(id, _)| copied(*id)).map(|(_, (terminal, ..))| *terminal).collect();
    for (terminal, nth, counter) in sales.values().filter(|(terminal, ..)| !unsure.contains(terminal)) {
        series.entry((*terminal, *nth)).or_default().push(*counter);
    }
    let mut wrong = Vec::new();
    for ((terminal, series), mut counters) in series {
        counters.sort_unstable();
        let gaps = counters.iter().zip(1..).any(|(counter, expected)| *counter != expected);
        let twice = counters.windows(2).any(|two| two[0] == two[1]);
        let complete = end || own.as_ref().is_some_and(|(number, _)| *number == terminal);
        if twice || complete && gaps {
            let count = counters.len();
            wrong.push(format!(
                "I5: series {series} of terminal {terminal} has {count} numbers, not 1 to {count}"
            ));
        }
    }
    wrong
}

/// What came out otherwise here, or at headquarters, than at the hub that sealed it.
fn seals(node: &Node) -> Vec<String> {
    let Ok(seals) = node.seals() else { return vec!["I10: its seals cannot be read".to_owned()] };
    let differs = seals.iter().filter(|seal| {
        seal.verdict == Some(Verdict::Differs)
            || seal.countersigned == Some(false)
            || !seal.differs_at.is_empty()
    });
    differs.map(|seal| format!("I4: seal {} did not come out equal", seal.entry.short())).collect()
}

/// What nodes did with what is long done.
#[must_use]
pub fn upkeep(shop: &Shop) -> Upkeep {
    let mut upkeep = Upkeep::default();
    for node in shop.used().filter_map(|nth| shop.running(nth)) {
        upkeep.seals = upkeep.seals.max(node.seals().map_or(0, |seals| seals.len() as u64));
        upkeep.pruned += u64::from(!node.store().reader().is_whole());
        upkeep.settled = upkeep.settled.max(settled(&node).unwrap_or_default());
        upkeep.summed = upkeep.summed.max(summed(&node, &shop.ledger()).unwrap_or_default());
    }
    upkeep
}

/// How many sales are in a node's sums and nowhere else any more.
fn summed(node: &Node, ledger: &Ledger) -> Result<u64, KvError> {
    let shown = shown(node)?;
    let is_gone =
        |id: &EffectId, day| shown.is_settled(day) && !shown.sales.contains_key(id) && came(node, ledger, id);
    let receipts = ledger.effects().iter().filter_map(|(id, effect)| Some((id, effect.what.receipt()?.1)));
    Ok(receipts.filter(|(id, day)| is_gone(id, *day)).count() as u64)
}

/// How many of the carts that a node shows as sold are settled there.
fn settled(node: &Node) -> Result<u64, KvError> {
    let sold = shown(node)?.sales.into_values().filter_map(|sale| sale.cart);
    let carts: BTreeSet<CartId> = sold.collect();
    node.read(|kv| {
        carts.iter().try_fold(0, |count, cart| Ok(count + u64::from(settled::is_settled(kv, cart)?)))
    })
}

fn bounds(shop: &Shop, nth: usize, node: &Node) -> Option<String> {
    let entries: u64 = node.frontier().lines().map(|(_, head)| head.seq).sum();
    let held = shop.stations[nth].host.disk().bytes_held();
    (held > DISK_BYTES + entries * DISK_BYTES_PER_ENTRY)
        .then(|| format!("I9: {held} bytes on the disk for {entries} entries"))
}
