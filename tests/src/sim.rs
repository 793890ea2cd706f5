//! A whole shop in one process, deterministic: the real nodes on simulated boxes, and everything that goes wrong in a shop.
//!
//! Purpose: months of bad luck in minutes, each day of it repeatable. Hub, terminals and headquarters are the product's own
//! code (QUIC, log, redb, the till); the network, the disks and the clocks are in memory ([`toko_mesh::sim_net`],
//! [`toko_mesh::sim_disk`], [`host`]), and time passes only when nobody has anything left to do.
//!
//! In reading order: [`mod@goods`] is what customers bring, [`plan`] what goes wrong, [`host`] a box, [`shop`] what runs on the
//! boxes, [`cashier`] who uses it, [`trouble`] who breaks it, [`swaps`] what becomes of whole
//! boxes, [`printer`] where receipts come out, [`hand`] the hub's work at it, [`felt`] who noticed, [`ledger`] what must have come of it, [`judge`] whether it
//! did and [`receipts`] whether the paper says so too; [`shrink`] makes a failure small, [`cli`] is the command. [`bare`] is a second, faster mode: sessions and stores only;
//! [`herd`] is many stores that call one headquarters at the same moment.
//!
//! Invariants: one seed decides everything; the trace of a run is the same in another process. The trace covers times, ends,
//! lengths and fates of packets, answers and digests, and not bytes: each handshake draws keys of its own.
//!
//! Absent on purpose: the HTTP doors, mDNS and printers' cables and tongues, which the process tests have.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic;
use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use toko_mesh::node::AlertCode;

use crate::day::DaysError;

pub mod bare;
pub mod cashier;
pub mod cli;
pub mod felt;
pub mod goods;
pub mod hand;
pub mod herd;
pub mod host;
pub mod judge;
pub mod ledger;
pub mod plan;
pub mod printer;
pub mod receipts;
pub mod shop;
pub mod shrink;
pub mod swaps;
pub mod trouble;

use cashier::Cashier;
use felt::Felt;
use goods::Goods;
use judge::Judge;
use ledger::Tally;
use plan::{Draft, Fault, Kind, Mode};
use shop::Shop;
use trouble::{Done, Pace, Trouble};

/// How often the judge looks while things go wrong.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long cashiers may take to finish what is in hand after everything is well.
const FINISH: Duration = Duration::from_secs(120);
/// How long the printer may take for what waits then: the longest pause of a hub, and so much for each receipt.
const PRINT: Duration = Duration::from_secs(90);
const PRINT_EACH: Duration = Duration::from_secs(5);
/// How long all nodes may take to agree after that: the longest pause between two dials, and an hour's entries.
const AGREE: Duration = Duration::from_secs(90);

/// One run, before it is played.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Everything follows from it.
    pub seed: u64,
    /// How many terminals.
    pub tills: usize,
    /// How long the shop is open.
    pub open: Duration,
    /// The mean time between two customers of a terminal.
    pub gap: Duration,
    /// How many customers each terminal serves at most.
    pub customers: u64,
    /// The kinds of faults to draw from.
    pub kinds: Vec<Kind>,
    /// The faults of the plan that happen; all where nothing is said.
    pub only: Option<Vec<usize>>,
    /// Whether sessions and stores run alone, without QUIC and tills.
    pub bare: bool,
    /// Whether it is open over midnight, and keeps nothing of the day before that it need not.
    pub late: bool,
    /// Whether every disk says that it has synced and never has: the oracle's own test.
    pub lying_disks: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A hash over all that happened.
    pub trace: u64,
    /// What does not hold, each beginning with the invariant's number.
    pub violations: Vec<String>,
    /// Faults by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// What was felt of them: packets, writes, readings of clocks. Not counted for sessions and stores alone.
    pub felt: Felt,
    /// Boxes that woke up in 1970.
    pub woke_in_1970: u64,
    /// Nodes that said at the end that their disk keeps people waiting.
    pub slow_disks: u64,
    /// The faults that were planned.
    pub planned: Vec<Fault>,
    /// What cashiers did.
    pub tally: Tally,
    /// What came out of the printer. Nothing for sessions and stores alone.
    pub receipts: receipts::Tally,
    /// What became of packets.
    pub packets: toko_mesh::sim_net::Tally,
    /// How long the shop was simulated, opening and healing included.
    pub simulated: Duration,
    /// How long all nodes took to agree, once everything was well.
    pub healed_in: Option<Duration>,
    /// How often the judge looked.
    pub looks: u64,
    /// What nodes did with what is long done.
    pub upkeep: Upkeep,
}

/// What nodes did with what is long done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upkeep {
    /// Seals that hubs wrote.
    pub seals: u64,
    /// Nodes whose log no longer has its beginning.
    pub pruned: u64,
    /// Carts that were sold and are settled: nothing is kept of them.
    pub settled: u64,
    /// Sales of which nothing is left but what their day came to.
    pub summed: u64,
}

impl Setting {
    /// What is played of a shop.
    #[must_use]
    pub fn mode(&self) -> Mode {
        Mode::of(self.bare, self.late)
    }

    /// The plan of this run.
    #[must_use]
    pub fn plan(&self) -> Vec<Fault> {
        let (hosts, mut kinds) = (self.tills + 2, self.kinds.clone());
        kinds.retain(|kind| kind.has_part_in(self.mode()));
        let mut plan = plan::draw(&Draft { seed: self.seed, hosts, open: self.open, kinds: &kinds });
        if let Some(only) = &self.only {
            plan.retain(|fault| only.contains(&fault.number));
        }
        plan
    }
}

/// Loads what the shop sells, once for many runs.
pub fn goods() -> Result<Arc<Goods>, DaysError> {
    Ok(Arc::new(Goods::load()?))
}

/// Plays one run to its end.
///
/// Errors: the runtime does not start.
pub fn play(setting: &Setting, goods: &Arc<Goods>) -> std::io::Result<Outcome> {
    count_panics();
    PANICS.set(0);
    if setting.bare {
        return bare::play(setting, goods).map_err(std::io::Error::other);
    }
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let mut outcome = runtime.block_on(run(setting, Arc::clone(goods)));
    drop(runtime);
    if PANICS.get() > 0 {
        outcome.violations.push(format!("I10: {} parts panicked", PANICS.get()));
    }
    Ok(outcome)
}

async fn run(setting: &Setting, goods: Arc<Goods>) -> Outcome {
    let began = Instant::now();
    let mut posts = JoinSet::new();
    let planned = setting.plan();
    let mut outcome = Outcome {
        trace: 0,
        violations: Vec::new(),
        faults: BTreeMap::new(),
        felt: Felt::new(),
        woke_in_1970: 0,
        slow_disks: 0,
        planned: planned.clone(),
        tally: Tally::default(),
        receipts: receipts::Tally::default(),
        packets: toko_mesh::sim_net::Tally::default(),
        simulated: Duration::ZERO,
        healed_in: None,
        looks: 0,
        upkeep: Upkeep::default(),
    };
    let shop = match Shop::open(setting, goods, &mut posts).await {
        Ok(shop) => Arc::new(shop),
        Err(closed) => {
            outcome.violations.push(format!("the shop did not open: {closed}"));
            return outcome;
        }
    };
    let mut judge = Judge::default();
    outcome.faults = trade(setting, &shop, planned, &mut judge, &mut outcome.violations).await;
    if outcome.violations.is_empty() {
        outcome.healed_in = heal(&shop, &mut judge, &mut outcome.violations).await;
    }
    outcome.felt = felt::felt(&shop);
    outcome.woke_in_1970 = shop.stations.iter().map(|station| station.host.felt().woke_in_1970).sum();
    outcome.slow_disks = slow_disks(&shop).await;
    outcome.looks = judge.looks;
    outcome.upkeep = judge::upkeep(&shop);
    outcome.tally = shop.ledger().tally;
    outcome.receipts = receipts::tally(&shop);
    outcome.packets = shop.net.tally();
    outcome.trace = shop.net.trace();
    outcome.simulated = began.elapsed();
    outcome
}

/// The shop is open, and things go wrong.
async fn trade(
    setting: &Setting,
    shop: &Arc<Shop>,
    planned: Vec<Fault>,
    judge: &mut Judge,
    violations: &mut Vec<String>,
) -> BTreeMap<Kind, u64> {
    let closing = CancellationToken::new();
    let mut cashiers = JoinSet::new();
    let pace = Pace { seed: setting.seed, customers: (setting.gap, setting.customers) };
    for at in shop.tills() {
        let cashier = Cashier::new(Arc::clone(shop), at, pace.seed, pace.customers, closing.clone());
        cashiers.spawn(cashier.work());
    }
    let mut breaking = JoinSet::new();
    breaking.spawn(Trouble::new(Arc::clone(shop), planned, pace, closing.clone()).work());
    let closes = Instant::now() + setting.open;
    while Instant::now() < closes && violations.is_empty() {
        sleep(LOOK_EVERY.min(closes - Instant::now())).await;
        violations.extend(judge.look(shop, false));
    }
    // Whoever is told finishes what is in hand.
    closing.cancel();
    let Some(Ok(Done { faults, cashiers: mut others })) = breaking.join_next().await else {
        violations.push("I10: whoever breaks things broke".to_owned());
        return BTreeMap::new();
    };
    let finished = tokio::time::timeout(FINISH, async {
        while cashiers.join_next().await.is_some() {}
        while others.join_next().await.is_some() {}
    });
    if finished.await.is_err() && violations.is_empty() {
        violations.push(format!(
            "I3: {} cashiers got no answer {FINISH:?} after all was well",
            cashiers.len() + others.len()
        ));
    }
    cashiers.shutdown().await;
    others.shutdown().await;
    faults
}

/// Everything is well: all nodes must agree within the bound, on what the ledger says, and what waits is printed.
async fn heal(shop: &Shop, judge: &mut Judge, violations: &mut Vec<String>) -> Option<Duration> {
    let well = Instant::now();
    agree(shop, violations).await?;
    let took = well.elapsed();
    while let Some(unseen) = shop.unseen_copy().await {
        if well.elapsed() > AGREE {
            violations.push(unseen);
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    let asked = u32::try_from(shop.ledger().wanted().len()).unwrap_or(u32::MAX);
    while let Some(waiting) = receipts::waits(shop) {
        if well.elapsed() > PRINT + PRINT_EACH * asked {
            violations.push(format!("I10: {waiting}"));
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    let agreed = agree(shop, violations).await?;
    shop.net.note(&agreed);
    violations.extend(judge.look(shop, true));
    violations.extend(receipts::weigh(shop));
    Some(took)
}

async fn agree(shop: &Shop, violations: &mut Vec<String>) -> Option<[u64; 2]> {
    let began = Instant::now();
    loop {
        if let Some(digests) = judge::agreed(shop) {
            return Some(digests);
        }
        if began.elapsed() > AGREE {
            violations.push(format!("I4: not agreed after {AGREE:?}: {}", judge::disagreement(shop)));
            return None;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn slow_disks(shop: &Shop) -> u64 {
    let mut told = 0;
    for node in shop.used().filter_map(|nth| shop.running(nth)) {
        let alerts = node.status().await.map(|status| status.alerts).unwrap_or_default();
        told += u64::from(alerts.iter().any(|alert| alert.code == AlertCode::DiskSlow));
    }
    told
}

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// A part that panics is a violation, wherever the panic is caught: a run has one thread, and counts its own.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
}
