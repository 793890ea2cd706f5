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
use toko_crdt::sign::SecretKey;
use toko_mesh::identity::Role;
use toko_mesh::log::LogConfig;
use toko_mesh::node::setup::{Founded, PendingStore, Spot, enrol_terminal, found_store, take_in_store};
use toko_mesh::node::{Node, NodeConfig};
use toko_mesh::sim_net::SimNet;
use toko_mesh::store::StoreConfig;
use toko_retail::currency::Currency;

use super::Setting;
use super::goods::Goods;
use super::host::Host;
use super::ledger::Ledger;

/// What prices are in.
pub const CURRENCY: &str = "GBP";
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
    /// Hub, terminals, headquarters, in this order.
    pub stations: Vec<Station>,
    ledger: Mutex<Ledger>,
}

/// A box and what runs on it.
#[derive(Debug)]
pub struct Station {
    /// The box.
    pub host: Host,
    /// What it is for.
    pub part: Part,
    slot: Mutex<Slot>,
}

/// What a box is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The store's hub.
    Hub,
    /// A terminal.
    Till,
    /// Headquarters.
    Headquarters,
}

#[derive(Debug, Default)]
struct Slot {
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
        let station = |nth: usize, part| Station {
            host: {
                let host = Host::new(&net, seed, u8::try_from(nth).unwrap_or(u8::MAX));
                if setting.lying_disks { host.on_a_disk_that_lies() } else { host }
            },
            part,
            slot: Mutex::default(),
        };
        let mut stations = vec![station(0, Part::Hub)];
        stations.extend((1..=tills).map(|nth| station(nth, Part::Till)));
        stations.push(station(tills + 1, Part::Headquarters));
        let shop = Self { net, goods, stations, ledger: Mutex::default() };
        let founded = found_store(spot(shop.hub()), &meaning()).map_err(closed)?;
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

    /// The hub.
    #[must_use]
    pub fn hub(&self) -> &Station {
        &self.stations[0]
    }

    /// The places of terminals.
    pub fn tills(&self) -> impl Iterator<Item = usize> + use<> {
        1..self.stations.len() - 1
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
        let means = meaning();
        let node = Node::open(self.config(nth), means.fold, means.scope).await.map_err(closed)?;
        let mut tasks = JoinSet::new();
        let till = match station.part {
            Part::Till => Some(till(&node, &mut tasks).await?),
            Part::Hub => {
                tasks.spawn(shelf::follow(node.clone(), CancellationToken::new()));
                None
            }
            Part::Headquarters => None,
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
        let (role, hq) = match station.part {
            Part::Hub => (Role::Hub, vec![listen(self.stations.len() - 1)]),
            Part::Till => (Role::Terminal, Vec::new()),
            Part::Headquarters => (Role::Headquarters, Vec::new()),
        };
        let mut config = NodeConfig::new(dir().to_owned(), role, station.host.listen());
        config.machine = station.host.machine();
        config.headquarters = hq;
        if station.part == Part::Till {
            config.hub = vec![listen(0)];
            config.peers = self.tills().filter(|till| *till != nth).map(listen).collect();
        }
        // Small files: a disk in memory has each byte twice.
        let log = LogConfig { segment_bytes: 2 << 20, reserve_bytes: 256 << 10, ..LogConfig::default() };
        config.store = StoreConfig { log, views_cache_bytes: 4 << 20, ..StoreConfig::default() };
        config
    }

    async fn join_headquarters(&self, founded: &Founded) -> Result<(), Closed> {
        let Some(office) = self.stations.last() else { return Ok(()) };
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
        let office = self.node(self.stations.len() - 1)?;
        office.blob_put(blob).await.map_err(closed)?;
        let body = toko_crdt::Body::Op(OpV1::new(What::BundlePublished(op)).encode());
        let wait = toko_mesh::store::Wait::Synced;
        office.append(toko_crdt::Lane::Books, body, None, wait).await.map_err(closed)?;
        Ok(())
    }
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

fn spot(station: &Station) -> Spot {
    Spot { machine: station.host.machine(), dir: dir().to_owned() }
}

/// Where a node's directory is: it has a box to itself.
fn dir() -> &'static Path {
    Path::new("/data")
}

fn closed(problem: impl fmt::Display) -> Closed {
    Closed(problem.to_string())
}
