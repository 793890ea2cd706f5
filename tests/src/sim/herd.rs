//! Many stores and one headquarters, all of it in memory: what happens when everybody calls at the same moment (F48).
//!
//! Each store is its hub alone, on a box of its own; headquarters is as `hqd` is, one port with a node for each store behind
//! it. First headquarters loses its power while hubs write on, then every hub loses its own at once; each time the clock runs
//! from the moment when all may call again.
//!
//! Invariants: as of the whole simulation; the figures follow from the seed. Absent on purpose: terminals, which do not call
//! headquarters, and what a processor takes, since time stands still while anybody computes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use terminal_agent::service::meaning;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Lane};
use toko_mesh::endpoint::Endpoint;
use toko_mesh::identity::Role;
use toko_mesh::log::LogConfig;
use toko_mesh::node::setup::{PendingStore, Spot, found_store, take_in_store};
use toko_mesh::node::{Node, NodeConfig};
use toko_mesh::sim_net::{SimNet, Weather};
use toko_mesh::store::{StoreConfig, Wait};
use toko_retail::ops::{MoveReason, MovedLineV1, OpV1, StockMovedV1, What};

use super::host::{Host, PORT};
use super::shop::{Closed, closed, dir};

/// Between a store and headquarters.
const INTERNET: Weather = Weather {
    loss: 5,
    double: 0,
    delay: Duration::from_millis(15),
    jitter: Duration::from_millis(10),
    bytes_max: 1_500,
};
/// For how long headquarters is dark: hubs dial as seldom by then as they ever do.
const DARK: Duration = Duration::from_secs(120);
/// Of so many hubs, one writes while headquarters is dark.
const WRITER_OF: usize = 10;
/// How long all may take to be linked and to agree: three of the longest pauses between two dials, since whoever comes while
/// too many do is sent away once or twice.
const BOUND: Duration = Duration::from_secs(90);
/// How often the clock is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long one store may take to join while nothing goes wrong.
const SOON: Duration = Duration::from_secs(60);
/// Where headquarters is.
const OFFICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 255, 0, 1));
/// What a hub writes in the dark, a kilobyte and a half of notes in all.
const NOTES: usize = 3;

/// What came of one moment when all called.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rush {
    /// When half of the stores were linked again, in milliseconds.
    pub half_ms: u64,
    /// When the last was.
    pub all_ms: u64,
    /// When headquarters held what every hub held.
    pub agreed_ms: u64,
    /// Packets that headquarters heard in the busiest second, of those that were not lost on the way.
    pub packets_a_second: u64,
    /// Bytes on the wire for each store until all agreed, both ways.
    pub bytes_a_store: u64,
}

/// What came of a herd.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// How many stores.
    pub stores: usize,
    /// A hash over all that happened.
    pub trace: u64,
    /// Headquarters was dark, and came back.
    pub after_dark: Option<Rush>,
    /// Every hub started at the same moment.
    pub after_power: Option<Rush>,
    /// Bytes on the wire for each store and second when nothing happens.
    pub idle_bytes_a_second: u64,
    /// What does not hold.
    pub violations: Vec<String>,
}

struct Herd {
    net: SimNet,
    stores: Vec<Store>,
    office: Option<Office>,
    writes: u64,
}

struct Store {
    hub: Host,
    hub_node: Option<Node>,
    /// Headquarters' disks for this store.
    books: Host,
    books_node: Option<Node>,
}

struct Office {
    endpoint: Endpoint,
    serving: JoinSet<()>,
}

/// Plays a herd of so many stores.
///
/// Errors: the runtime does not start.
pub fn play(seed: u64, stores: usize) -> std::io::Result<Outcome> {
    super::count_panics();
    super::PANICS.set(0);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let mut outcome = runtime.block_on(run(seed, stores));
    drop(runtime);
    if super::PANICS.get() > 0 {
        outcome.violations.push(format!("I10: {} parts panicked", super::PANICS.get()));
    }
    Ok(outcome)
}

async fn run(seed: u64, stores: usize) -> Outcome {
    let mut outcome = Outcome {
        stores,
        trace: 0,
        after_dark: None,
        after_power: None,
        idle_bytes_a_second: 0,
        violations: Vec::new(),
    };
    let net = SimNet::new(seed);
    let mut posts = JoinSet::new();
    posts.spawn(net.clone().deliver());
    if let Err(problem) = days(&net, seed, &mut outcome).await {
        outcome.violations.push(problem.0);
    }
    outcome.trace = net.trace();
    outcome
}

async fn days(net: &SimNet, seed: u64, outcome: &mut Outcome) -> Result<(), Closed> {
    let mut herd = Herd::found(net, seed, outcome.stores).await?;
    herd.watch("after all had joined").await?;
    net.set_weather(INTERNET);
    let (quiet, before) = (Duration::from_secs(10), net.tally().bytes);
    sleep(quiet).await;
    outcome.idle_bytes_a_second = (net.tally().bytes - before) / quiet.as_secs() / outcome.stores as u64;

    herd.darken();
    sleep(DARK / 2).await;
    herd.write().await?;
    sleep(DARK / 2).await;
    herd.open_office().await?;
    outcome.after_dark = Some(herd.watch("after headquarters was dark").await?);

    herd.hubs_lose_power();
    sleep(Duration::from_secs(30)).await;
    herd.start_hubs().await?;
    outcome.after_power = Some(herd.watch("after every hub lost its power").await?);
    Ok(())
}

impl Herd {
    /// Founds every store, and lets each join headquarters by a code, as people do.
    async fn found(net: &SimNet, seed: u64, count: usize) -> Result<Self, Closed> {
        let boxes = |nth: usize| Store {
            hub: Host::at(net, seed, address(nth)),
            hub_node: None,
            books: Host::at(net, seed ^ ((nth as u64 + 1) << 32), OFFICE),
            books_node: None,
        };
        let stores = (0..count).map(boxes).collect();
        let mut herd = Self { net: net.clone(), stores, office: None, writes: 0 };
        herd.open_office().await?;
        for nth in 0..count {
            herd.join(nth).await.map_err(|problem| closed(format!("store {nth}: {problem}")))?;
        }
        Ok(herd)
    }

    async fn join(&mut self, nth: usize) -> Result<(), Closed> {
        let endpoint = self.office.as_ref().map(|office| office.endpoint.clone());
        let endpoint = endpoint.ok_or_else(|| closed("headquarters is dark"))?;
        let store = &mut self.stores[nth];
        let founded = found_store(spot(&store.hub), &meaning()).map_err(closed)?;
        let hub = open(&store.hub, Role::Hub, None).await?;
        let key = SecretKey::from_seed(store.books.machine().random().map_err(closed)?);
        let pending = PendingStore::open(&endpoint, &key).map_err(closed)?;
        let code = pending.code().map_err(closed)?;
        let at = spot(&store.books);
        let waiting = pending.wait(|joining| {
            let taken = take_in_store(at.clone(), &key, &joining, &meaning());
            async move { taken.map_err(|error| error.to_string()) }
        });
        let office = [SocketAddr::new(OFFICE, PORT)];
        let joining = hub.join_headquarters(&code, &office, &founded.recovery);
        let (joined, taken) =
            timeout(SOON, async { tokio::join!(joining, waiting) }).await.map_err(closed)?;
        joined.map_err(closed)?;
        taken.ok_or_else(|| closed("headquarters let nobody in"))?;
        store.hub_node = Some(hub);
        store.books_node = Some(open(&store.books, Role::Headquarters, Some(&endpoint)).await?);
        Ok(())
    }

    /// Headquarters starts: every store's books first, then the port.
    async fn open_office(&mut self) -> Result<(), Closed> {
        let Some(first) = self.stores.first() else { return Ok(()) };
        first.books.switch_on();
        let listen = SocketAddr::new(OFFICE, PORT);
        let endpoint = first.books.machine().bind(listen, None).map_err(closed)?.far();
        for store in self.stores.iter_mut().filter(|store| store.books.found().is_some()) {
            store.books.switch_on();
            store.books_node = Some(open(&store.books, Role::Headquarters, Some(&endpoint)).await?);
        }
        let mut serving = JoinSet::new();
        let served = endpoint.clone();
        serving.spawn(async move { served.serve(CancellationToken::new()).await });
        self.office = Some(Office { endpoint, serving });
        Ok(())
    }

    /// Headquarters' power goes.
    fn darken(&mut self) {
        for (nth, store) in self.stores.iter_mut().enumerate() {
            store.books_node = None;
            store.books.cut_power(nth as u64);
        }
        if let Some(mut office) = self.office.take() {
            office.serving.abort_all();
        }
    }

    fn hubs_lose_power(&mut self) {
        for (nth, store) in self.stores.iter_mut().enumerate() {
            store.hub_node = None;
            store.hub.cut_power(nth as u64);
        }
    }

    async fn start_hubs(&mut self) -> Result<(), Closed> {
        for store in &mut self.stores {
            store.hub.switch_on();
            store.hub_node = Some(open(&store.hub, Role::Hub, None).await?);
        }
        Ok(())
    }

    /// One hub of ten writes.
    async fn write(&mut self) -> Result<(), Closed> {
        for store in self.stores.iter().step_by(WRITER_OF) {
            let Some(hub) = &store.hub_node else { continue };
            for note in 0..NOTES {
                let body = Body::Op(OpV1::new(moved(note)).encode());
                hub.append(Lane::Books, body, None, Wait::Synced).await.map_err(closed)?;
                self.writes += 1;
            }
        }
        Ok(())
    }

    /// Waits until all are linked and headquarters holds what hubs hold.
    async fn watch(&self, when: &str) -> Result<Rush, Closed> {
        let (began, before) = (Instant::now(), self.net.tally());
        let (mut half, mut all, mut agreed) = (None, None, None);
        let (mut second, mut busiest) = ((Instant::now(), before.sent - before.lost), 0);
        while agreed.is_none() {
            let linked = self.stores.iter().filter(|store| store.is_linked()).count();
            let now = ms(began.elapsed());
            if linked * 2 >= self.stores.len() {
                half = half.or(Some(now));
            }
            if linked == self.stores.len() {
                all = all.or(Some(now));
            }
            if all.is_some() && self.stores.iter().all(Store::is_agreed) {
                agreed = Some(now);
            }
            if second.0.elapsed() >= Duration::from_secs(1) {
                let tally = self.net.tally();
                busiest = busiest.max(tally.sent - tally.lost - second.1);
                second = (Instant::now(), tally.sent - tally.lost);
            }
            if began.elapsed() > BOUND {
                let agreed = self.stores.iter().filter(|store| store.is_agreed()).count();
                return Err(closed(format!(
                    "I4: {when}, {BOUND:?} later, {linked} of {} stores are linked and {agreed} agree",
                    self.stores.len()
                )));
            }
            sleep(LOOK).await;
        }
        let tally = self.net.tally();
        busiest = busiest.max(tally.sent - tally.lost - second.1);
        Ok(Rush {
            half_ms: half.unwrap_or_default(),
            all_ms: all.unwrap_or_default(),
            agreed_ms: agreed.unwrap_or_default(),
            packets_a_second: busiest,
            bytes_a_store: (tally.bytes - before.bytes) / self.stores.len() as u64,
        })
    }
}

impl Store {
    fn is_linked(&self) -> bool {
        self.hub_node.as_ref().is_some_and(Node::headquarters_alive)
    }

    /// Whether headquarters holds every entry of the books that the hub holds, and the other way round.
    fn is_agreed(&self) -> bool {
        let books = |node: &Node| node.frontier().of_lanes(&[Lane::Books]).root();
        let (Some(hub), Some(office)) = (&self.hub_node, &self.books_node) else { return false };
        books(hub) == books(office)
    }
}

impl fmt::Display for Rush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "half after {:.2} s, all after {:.2} s, agreed after {:.2} s, {} packets in the busiest second, {} bytes a store",
            self.half_ms as f64 / 1e3,
            self.all_ms as f64 / 1e3,
            self.agreed_ms as f64 / 1e3,
            self.packets_a_second,
            self.bytes_a_store
        )
    }
}

async fn open(host: &Host, role: Role, endpoint: Option<&Endpoint>) -> Result<Node, Closed> {
    let mut config = NodeConfig::new(dir().to_owned(), role, host.listen());
    config.machine = host.machine();
    config.headquarters = vec![SocketAddr::new(OFFICE, PORT)];
    config.store = store_config();
    let means = meaning();
    let opened = match endpoint {
        Some(endpoint) => Node::open_on(endpoint, config, means.fold, means.scope).await,
        None => Node::open(config, means.fold, means.scope).await,
    };
    opened.map_err(closed)
}

/// As small as can be: there are thousands, in memory.
fn store_config() -> StoreConfig {
    let log = LogConfig {
        segment_bytes: 64 << 10,
        payload_bytes_max: 32 << 10,
        reserve_bytes: 16 << 10,
        ..LogConfig::default()
    };
    StoreConfig { log, views_cache_bytes: 256 << 10, ..StoreConfig::default() }
}

fn spot(host: &Host) -> Spot {
    Spot { machine: host.machine(), dir: dir().to_owned(), store: store_config() }
}

/// Where the hub of store `nth` is.
fn address(nth: usize) -> IpAddr {
    let [_, high, middle, low] = u32::try_from(nth).unwrap_or(u32::MAX).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, high, middle, low))
}

fn moved(note: usize) -> What {
    What::StockMoved(StockMovedV1 {
        reason: MoveReason::WriteOff,
        day: 20_261_123,
        by: None,
        lines: vec![MovedLineV1 {
            sku: format!("{note}"),
            name: "lantern".to_owned(),
            qty_milli: -1_000,
            counted_milli: None,
        }],
        counterpart: String::new(),
        note: "x".repeat(500),
        external: String::new(),
    })
}

fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
