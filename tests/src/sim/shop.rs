//! The simulated shop: hub, terminals and headquarters, each the real node code on a box of its own.
//!
//! A terminal is what `terminal-agent` starts, without its HTTP door: node, catalogue, till. The hub is its node and the task
//! that makes published catalogues count. Headquarters is a node that listens; what it publishes, it publishes as `hqd` does.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hubd::shelf;
use terminal_agent::config::{File, Receipt};
use terminal_agent::desk::Desk;
use terminal_agent::follow;
use terminal_agent::ledger::Ledger as Book;
use terminal_agent::service::meaning;
use terminal_agent::shelf::Shelf;
use terminal_agent::till::{Clerk, ClerkSetup, Till};
use terminal_agent::wall::Wall;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use toko_crdt::clock::UnixMicros;
use toko_crdt::sign::SecretKey;
use toko_mesh::enrol::RecoveryCode;
use toko_mesh::identity::Role;
use toko_mesh::log::LogConfig;
use toko_mesh::node::setup::{Founded, PendingStore, Spot, enrol_terminal, found_store, take_in_store};
use toko_mesh::node::{History, Node, NodeConfig};
use toko_mesh::sim_net::SimNet;
use toko_mesh::store::StoreConfig;
use toko_retail::currency::Currency;

use super::Setting;
use super::goods::Goods;
use super::hand::Hand;
use super::host::Host;
use super::ledger::Ledger;
use super::printer::Printer;
use super::swaps;

/// Boxes that stand in a corner: for copies of terminals, and for a hub that takes the place of another.
const SPARE_BOXES: usize = 3;
/// What prices are in.
pub const CURRENCY: &str = "GBP";
/// The midnight over which shops are open: 2026-11-24T00:00:00Z.
const MIDNIGHT: UnixMicros = UnixMicros(1_795_478_400_000_000);
/// How long anything may take while nothing goes wrong yet.
const SOON: Duration = Duration::from_secs(60);
/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A shop.
#[derive(Debug)]
pub struct Shop {
    /// Its network.
    pub net: SimNet,
    /// What it sells.
    pub goods: Arc<Goods>,
    /// Hub, terminals, headquarters, in this order, and then boxes that nobody has used yet.
    pub stations: Vec<Station>,
    /// Where receipts come out.
    pub printer: Arc<Printer>,
    /// How many terminals it opened with.
    count: usize,
    /// How far back history is kept here.
    history: History,
    /// When it is midnight, where the shop is open then.
    midnight: Option<Instant>,
    /// The recovery code, on paper.
    pub(super) recovery: Option<RecoveryCode>,
    ledger: Mutex<Ledger>,
}

/// A box and what runs on it.
#[derive(Debug)]
pub struct Station {
    /// The box.
    pub host: Host,
    /// Whoever stands at it: held from a customer's first word to the last.
    pub counter: tokio::sync::Mutex<()>,
    slot: Mutex<Slot>,
}

/// What a box is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Part {
    /// The store's hub.
    Hub,
    /// A terminal.
    Till,
    /// Headquarters.
    Headquarters,
    /// Nothing: it is new, or scrap.
    #[default]
    Nothing,
}

#[derive(Debug, Default)]
struct Slot {
    part: Part,
    /// How often its disk went back to an earlier state.
    went_back: u64,
    /// How often it was started.
    life: u64,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    node: Node,
    till: Option<(Till, Book)>,
    tasks: JoinSet<()>,
}

/// A terminal while it runs, as its cashier knows it.
#[derive(Clone, Debug)]
pub struct Counter {
    /// The till.
    pub till: Till,
    /// Its books.
    pub book: Book,
    /// Which start of it this is.
    pub life: u64,
}

/// The opening failed, which no fault explains.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Closed(pub String);

impl Shop {
    /// Founds a store with so many terminals, lets headquarters join and the catalogue arrive everywhere.
    pub async fn open(setting: &Setting, goods: Arc<Goods>, posts: &mut JoinSet<()>) -> Result<Self, Closed> {
        let (seed, tills) = (setting.seed, setting.tills);
        let net = SimNet::new(seed);
        posts.spawn(net.clone().deliver());
        let station = |nth: usize| Station {
            host: {
                let host = Host::new(&net, seed, u8::try_from(nth).unwrap_or(u8::MAX));
                let host = if setting.late { host.opened(before_midnight(setting.open)) } else { host };
                if setting.lying_disks { host.on_a_disk_that_lies() } else { host }
            },
            counter: tokio::sync::Mutex::default(),
            slot: Mutex::default(),
        };
        let stations = (0..tills + 2 + SPARE_BOXES).map(station).collect();
        // Every other shop keeps its log for as long as it must, and no longer.
        let history = match (setting.late, seed % 2) {
            (true, _) => History { floor_days: 0, books_days: 0 },
            (false, 1) => History { floor_days: 0, ..History::default() },
            (false, _) => History::default(),
        };
        let midnight = setting.late.then(|| Instant::now() + till_midnight(setting.open));
        let printer = Arc::new(Printer::new(&net, seed));
        let (recovery, ledger) = (None, Mutex::default());
        let mut shop =
            Self { net, goods, stations, printer, count: tills, history, midnight, recovery, ledger };
        shop.set_part(0, Part::Hub);
        (1..=tills).for_each(|nth| shop.set_part(nth, Part::Till));
        shop.set_part(shop.office(), Part::Headquarters);
        let founded = found_store(spot(shop.hub()), &meaning()).map_err(closed)?;
        shop.recovery = Some(founded.recovery.clone());
        shop.start(0).await?;
        shop.join_headquarters(&founded).await?;
        shop.start(tills + 1).await?;
        for nth in 1..=tills {
            let code = shop.node(0)?.open_code(&format!("Till {nth}")).map_err(closed)?;
            let at = spot(&shop.stations[nth]);
            let hub = [shop.hub().host.listen()];
            enrol_terminal(at, &code, &hub, None, &meaning()).await.map_err(closed)?;
            shop.start(nth).await?;
        }
        shop.publish().await?;
        shop.until("the catalogue on every terminal", |shop| {
            shop.tills().all(|till| shop.counter(till).is_some_and(|counter| counter.book.hub_alive()))
                && shop.tills().all(|till| shop.stocked(till))
        })
        .await?;
        Ok(shop)
    }

    /// Whether it was midnight by now, in a shop that is open over it.
    #[must_use]
    pub fn is_past_midnight(&self) -> bool {
        self.midnight.is_some_and(|midnight| Instant::now() >= midnight)
    }

    /// The hub.
    #[must_use]
    pub fn hub(&self) -> &Station {
        &self.stations[0]
    }

    /// The places of the terminals that it opened with.
    pub fn tills(&self) -> impl Iterator<Item = usize> + use<> {
        1..=self.count
    }

    /// The place of headquarters.
    #[must_use]
    pub fn office(&self) -> usize {
        self.count + 1
    }

    /// The places of boxes that are in use, up or down.
    pub fn used(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.stations.len()).filter(|nth| self.part(*nth) != Part::Nothing)
    }

    /// A box that nobody has used.
    pub fn spare(&self) -> Option<usize> {
        let new =
            |nth: &usize| self.part(*nth) == Part::Nothing && self.stations[*nth].host.found().is_none();
        (0..self.stations.len()).find(new)
    }

    /// What a box is for.
    #[must_use]
    pub fn part(&self, nth: usize) -> Part {
        self.slot(nth).part
    }

    /// A box is for this from now on.
    pub(super) fn set_part(&self, nth: usize, part: Part) {
        self.slot(nth).part = part;
    }

    /// How often the disk of a box went back.
    #[must_use]
    pub fn went_back(&self, nth: usize) -> u64 {
        self.slot(nth).went_back
    }

    pub(super) fn goes_back(&self, nth: usize) {
        self.slot(nth).went_back += 1;
    }

    /// The oracle's ledger. Never held across a wait.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node on a box, while it runs.
    pub fn running(&self, nth: usize) -> Option<Node> {
        self.slot(nth).running.as_ref().map(|running| running.node.clone())
    }

    /// The terminal on a box, while it runs.
    pub fn counter(&self, nth: usize) -> Option<Counter> {
        let slot = self.slot(nth);
        let (till, book) = slot.running.as_ref()?.till.clone()?;
        Some(Counter { till, book, life: slot.life })
    }

    /// Starts what belongs on a box.
    ///
    /// Errors: the node does not open; nothing runs there then.
    pub async fn start(&self, nth: usize) -> Result<(), Closed> {
        let station = &self.stations[nth];
        if station.host.is_down() {
            station.host.switch_on();
        }
        let (means, part) = (meaning(), self.part(nth));
        let mut tasks = JoinSet::new();
        let node = if part == Part::Headquarters {
            // As hqd does: one port for all stores, which serves whichever store a caller names.
            let endpoint = station.host.machine().bind(station.host.listen(), None).map_err(closed)?;
            let node =
                Node::open_on(&endpoint, self.config(nth), means.fold, means.scope).await.map_err(closed)?;
            tasks.spawn(async move { endpoint.serve(CancellationToken::new()).await });
            node
        } else {
            Node::open(self.config(nth), means.fold, means.scope).await.map_err(closed)?
        };
        let till = match part {
            Part::Till => Some(till(&node, &mut tasks).await?),
            Part::Hub => {
                tasks.spawn(shelf::follow(node.clone(), CancellationToken::new()));
                let hand = Hand::new(&self.printer, node.clone(), (nth, self.went_back(nth)));
                let node = node.clone();
                tasks.spawn(async move {
                    // No hub prints before it has its books back.
                    if swaps::get_back(node).await {
                        hand.run().await;
                    }
                });
                None
            }
            Part::Headquarters | Part::Nothing => None,
        };
        let mut slot = self.slot(nth);
        slot.life += 1;
        slot.running = Some(Running { node, till, tasks });
        Ok(())
    }

    /// Whatever runs on a box is gone, from one instruction to the next. Whether anything ran.
    pub async fn drop_dead(&self, nth: usize) -> bool {
        let Some(mut running) = self.slot(nth).running.take() else { return false };
        running.tasks.shutdown().await;
        true
    }

    /// Waits until something holds, while nothing goes wrong.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<(), Closed> {
        let began = Instant::now();
        while !holds(self) {
            if began.elapsed() > SOON {
                return Err(Closed(format!("not within {SOON:?}: {what}")));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn stocked(&self, till: usize) -> bool {
        let active = |node: &Node| {
            node.read(|kv| toko_retail::views::bundle_active(kv, toko_retail::ops::BundleKind::Catalogue))
        };
        let Some(node) = self.running(till) else { return false };
        active(&node).is_ok_and(|active| active.is_some_and(|active| node.blobs().has(active.blob)))
    }

    fn node(&self, nth: usize) -> Result<Node, Closed> {
        self.running(nth).ok_or_else(|| Closed(format!("box {nth} does not run")))
    }

    fn slot(&self, nth: usize) -> MutexGuard<'_, Slot> {
        self.stations[nth].slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self, nth: usize) -> NodeConfig {
        let station = &self.stations[nth];
        let listen = |nth: usize| self.stations[nth].host.listen();
        let part = self.part(nth);
        let (role, hq) = match part {
            Part::Hub => (Role::Hub, vec![listen(self.office())]),
            Part::Till | Part::Nothing => (Role::Terminal, Vec::new()),
            Part::Headquarters => (Role::Headquarters, Vec::new()),
        };
        let mut config = NodeConfig::new(dir().to_owned(), role, station.host.listen());
        config.machine = station.host.machine();
        config.headquarters = hq;
        if part == Part::Till {
            // Where a hub may come to be, as the LAN would tell by mDNS.
            let corners = self.office() + 1..self.stations.len();
            config.hub = std::iter::once(0).chain(corners).map(listen).collect();
            config.peers = self.tills().filter(|till| *till != nth).map(listen).collect();
        }
        config.history = self.history;
        config.store = store_config();
        if self.history.floor_days == 0 {
            // Only a segment that is full can go, and a day here has few sales.
            config.store.log =
                LogConfig { segment_bytes: 64 << 10, payload_bytes_max: 48 << 10, ..config.store.log };
        }
        config
    }

    async fn join_headquarters(&self, founded: &Founded) -> Result<(), Closed> {
        let office = &self.stations[self.office()];
        let machine = office.host.machine();
        let key = SecretKey::from_seed(machine.random().map_err(closed)?);
        let endpoint = machine.bind(office.host.listen(), None).map_err(closed)?;
        let (stop, mut serving) = (CancellationToken::new(), JoinSet::new());
        serving.spawn({
            let (endpoint, stop) = (endpoint.clone(), stop.clone());
            async move { endpoint.serve(stop).await }
        });
        let pending = PendingStore::open(&endpoint, &key).map_err(closed)?;
        let code = pending.code().map_err(closed)?;
        let at = spot(office);
        let waiting = pending.wait(|joining| {
            let taken = take_in_store(at.clone(), &key, &joining, &meaning());
            async move { taken.map_err(|error| error.to_string()) }
        });
        let hub = self.node(0)?;
        let (office_at, recovery) = ([office.host.listen()], founded.recovery.clone());
        let joining = async {
            let joined = hub.join_headquarters(&code, &office_at, &recovery).await;
            joined.map(drop).map_err(closed)
        };
        let both = async { tokio::join!(joining, waiting) };
        let (joined, taken) = timeout(SOON, both).await.map_err(closed)?;
        joined?;
        taken.ok_or_else(|| Closed("headquarters let nobody in".to_owned()))?;
        stop.cancel();
        endpoint.close(toko_mesh::endpoint::CloseCode::Stopping).await;
        serving.shutdown().await;
        drop(endpoint);
        // The socket goes with the task that drove it.
        self.until("the office's socket is free", |_| true).await?;
        sleep(Duration::from_secs(3)).await;
        Ok(())
    }

    /// Headquarters publishes what the shop sells; the hub makes it count.
    async fn publish(&self) -> Result<(), Closed> {
        use toko_retail::catalogue::Catalogue;
        use toko_retail::ops::{OpV1, What};
        let currency = Currency::parse(CURRENCY).map_err(closed)?;
        let catalogue = Catalogue::import(self.goods.csv.as_bytes(), currency, &[]).map_err(closed)?;
        let (op, blob) =
            toko_retail::bundle::publish_catalogue(&catalogue, "the real week", &[]).map_err(closed)?;
        let office = self.node(self.office())?;
        office.blob_put(blob).await.map_err(closed)?;
        let body = toko_crdt::Body::Op(OpV1::new(What::BundlePublished(op)).encode());
        let wait = toko_mesh::store::Wait::Synced;
        office.append(toko_crdt::Lane::Books, body, None, wait).await.map_err(closed)?;
        Ok(())
    }
}

/// How long before midnight a shop is built that is open over it: it opens some seconds later, and sells two fifths of the
/// time on the day before.
fn till_midnight(open: Duration) -> Duration {
    Duration::from_secs(20) + open * 2 / 5
}

fn before_midnight(open: Duration) -> UnixMicros {
    let before = i64::try_from(till_midnight(open).as_micros()).unwrap_or(i64::MAX);
    UnixMicros(MIDNIGHT.0.saturating_sub(before))
}

/// What `terminal-agent` starts, without its door.
async fn till(node: &Node, tasks: &mut JoinSet<()>) -> Result<(Till, Book), Closed> {
    let book = Book::new(node.clone());
    let (terminal, _) = book.terminal().ok_or_else(|| Closed("nobody enrolled it".to_owned()))?;
    let shelf = Shelf::new(Currency::parse(CURRENCY).map_err(closed)?);
    let clerk = Clerk::start(ClerkSetup {
        ledger: book.clone(),
        shelf: shelf.clone(),
        wall: Wall::in_zone("UTC").map_err(Closed)?.on(node.machine()),
        desk: Desk::lent(node.own_disk().map_err(closed)?),
        own_printer: None,
        drawer: None,
        customer: terminal_agent::customer::Customer::default(),
        receipt: receipt()?,
        terminal,
    })
    .map_err(closed)?;
    let (till, work) = Till::new(clerk);
    let never = CancellationToken::new();
    tasks.spawn(work.run(never.clone()));
    tasks.spawn(follow::keep_stocked(book.clone(), shelf, never));
    Ok((till, book))
}

fn receipt() -> Result<Receipt, Closed> {
    Ok(File::default().parse().map_err(|problems| Closed(problems.to_string()))?.receipt)
}

/// Small files: a disk in memory has each byte twice, and a segment that is full can go.
pub(super) fn store_config() -> StoreConfig {
    let log = LogConfig {
        segment_bytes: 256 << 10,
        payload_bytes_max: 128 << 10,
        reserve_bytes: 256 << 10,
        ..LogConfig::default()
    };
    StoreConfig { log, views_cache_bytes: 4 << 20, ..StoreConfig::default() }
}

pub(super) fn spot(station: &Station) -> Spot {
    Spot { machine: station.host.machine(), dir: dir().to_owned(), store: store_config() }
}

/// Where a node's directory is: it has a box to itself.
pub(super) fn dir() -> &'static Path {
    Path::new("/data")
}

pub(super) fn closed(problem: impl fmt::Display) -> Closed {
    Closed(problem.to_string())
}
