//! The hub's memory with 100 000 items, a month of 24 terminals behind it, and those 24 linked.
//!
//! The hub is a real process. The month is taken into its directory before it starts; the terminals are links of this
//! process that speak as a terminal does that holds all of it: a greeting, a root each second, and an acknowledgement of
//! whatever is new.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;
use toko_crdt::clock::UnixMicros;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::sign::SecretKey;
use toko_crdt::{NodeId, Run, StoreId};
use toko_mesh::endpoint::{Dial, Endpoint};
use toko_mesh::identity::{DataDir, Role};
use toko_mesh::proto::frame::Lanes;
use toko_mesh::proto::session::Roster;
use toko_mesh::proto::{Claims, Config, Input, Outcome, Output, Reader, Session};
use toko_mesh::store::{Reply, Request, Store, StoreConfig, StoreSetup};
use toko_mesh::tls::TlsKey;

use super::past::{DAY, Past, TILLS};
use super::place::now;
use super::shop::Shop;
use super::table::{Figure, Row};
use super::trouble::Trouble;
use super::{Bench, MONTH};

/// What a hub may hold.
const HUB_BYTES_MAX: u64 = 128 << 20;
/// How long all links may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much is read at once.
const READ_BYTES: usize = 64 << 10;
/// Stretches of journals that are taken in at once.
const AT_ONCE: usize = 16;

/// What the hub holds.
pub fn month(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let days = if bench.pace.short { 3 } else { 30 };
    let mut shop = Shop::found(bench, "month", 0)?;
    shop.hub.stop()?;
    let past = fill(bench, &shop, days)?;
    let started = Instant::now();
    shop.hub.start()?;
    shop.until_hub()?;
    let up = started.elapsed();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let linked = runtime.block_on(link(&past, shop.hub_at))?;
    std::thread::sleep(bench.pace.idle);
    let cost = shop.hub.cost()?;
    drop(linked);
    shop.hub.stop()?;
    let [held, most] = [cost.resident_kib << 10, cost.resident_kib_max << 10];
    let what =
        format!("memory of the hub, 100 000 items, {TILLS} terminals linked, {days} days of {DAY} sales");
    let figures = vec![
        ("resident", Figure::Bytes(held)),
        ("peak", Figure::Bytes(most)),
        ("up after", Figure::Took(up)),
    ];
    Ok(vec![Row::new(MONTH, what, figures).to_reach("≤ 128 MiB", held <= HUB_BYTES_MAX)])
}

/// What the terminals need to link.
struct Linking {
    store: StoreId,
    hub: NodeId,
    keys: Vec<SecretKey>,
    frontier: Arc<Frontier>,
    roster: Arc<Roster>,
}

/// Takes the days into the directory of the hub, which is stopped.
fn fill(bench: &Bench, shop: &Shop, days: u64) -> Result<Linking, Trouble> {
    let failed = "taking a month in";
    let dir = DataDir::open(&shop.hub.data, Role::Hub).map_err(Trouble::product(failed))?;
    let meaning = terminal_agent::service::meaning();
    let mut store = Store::open(StoreSetup {
        disk: dir.journal_disk()?,
        root: dir.sentinel().root,
        key: dir.key().clone(),
        mint_run: Box::new(|| Run(1)),
        fold: meaning.fold,
        scope: meaning.scope,
        config: StoreConfig::default(),
    })
    .map_err(Trouble::product(failed))?;
    let id = store.reader().store();
    let mut past = Past::of(id);
    let mut requests = vec![Request::Statements(past.statements(dir.key()))];
    for _ in 0..days {
        let mut stretches = past.day(&bench.goods)?.into_iter().map(Request::Ingest);
        loop {
            for reply in store.step(now(), std::mem::take(&mut requests)) {
                if !matches!(reply, Reply::Ingested(Ok(_)) | Reply::Statements(Ok(_))) {
                    return Err(Trouble::product(failed)(format!("{reply:?}")));
                }
            }
            if store.wants_checkpoint() {
                store.checkpoint().map_err(Trouble::product(failed))?;
            }
            requests = stretches.by_ref().take(AT_ONCE).collect();
            if requests.is_empty() {
                break;
            }
        }
    }
    store.checkpoint().map_err(Trouble::product(failed))?;
    let reader = store.reader();
    Ok(Linking {
        store: id,
        hub: dir.key().node(),
        keys: past.keys().to_vec(),
        frontier: Arc::new(reader.frontier()),
        roster: Arc::new(Roster::of(&reader.members())),
    })
}

/// Links all terminals; they stay so as long as the value lives.
async fn link(past: &Linking, at: SocketAddr) -> Result<JoinSet<Result<(), Trouble>>, Trouble> {
    let mut links = JoinSet::new();
    let (settled, mut all) = channel(past.keys.len().max(1));
    for key in &past.keys {
        let (key, settled) =
            (TlsKey::new(key).map_err(Trouble::product("a terminal's key"))?, settled.clone());
        let endpoint = Endpoint::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let endpoint = endpoint.map_err(Trouble::product("a terminal's socket"))?;
        let config = Config {
            store: past.store,
            peer: past.hub,
            headquarters: false,
            push: true,
            lanes: Lanes::All,
            incarnation: 1,
            addrs: Vec::new(),
            jitter_micros: 0,
            claims: Claims::default(),
        };
        let opened = Input::Opened {
            frontier: Arc::clone(&past.frontier),
            roster: Arc::clone(&past.roster),
            hub_alive: true,
            bases: Vec::new(),
        };
        let hub = past.hub;
        links.spawn(
            async move { speak(&endpoint, &key, Dial::member(at, hub), config, opened, settled).await },
        );
    }
    let every = async {
        for _ in &past.keys {
            tokio::select! {
                heard = all.recv() => heard.ok_or_else(|| Trouble::product("links")("they ended"))?,
                Some(ended) = links.join_next() => {
                    let why = ended.map_err(Trouble::product("a link"))?;
                    return Err(why.err().unwrap_or_else(|| Trouble::product("a link")("the hub ended it")));
                }
            }
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, every).await.map_err(Trouble::product("linking 24 terminals"))??;
    Ok(links)
}

/// One terminal's side of a link, until the hub ends it.
async fn speak(
    endpoint: &Endpoint,
    key: &TlsKey,
    dial: Dial,
    config: Config,
    opened: Input,
    settled: Sender<()>,
) -> Result<(), Trouble> {
    let failed = "a link";
    let connection = endpoint.dial(&dial, key).await.map_err(Trouble::product(failed))?;
    let (mut to, mut from) = connection.open_bi().await.map_err(Trouble::product(failed))?;
    let begun = Instant::now();
    let at = || UnixMicros(i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX));
    let (mut session, mut reader, mut told) = (Session::new(config), Reader::default(), false);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut inputs = vec![opened];
    loop {
        for input in std::mem::take(&mut inputs) {
            session.handle(at(), input).map_err(Trouble::product(failed))?;
            while let Some(output) = session.poll() {
                match output {
                    Output::Send(frame) => {
                        to.write_all(&frame.encode()).await.map_err(Trouble::product(failed))?
                    }
                    Output::Ingest { ticket, entries, .. } => {
                        let Some(last) = entries.last() else { continue };
                        let head = Head { seq: last.seq(), hash: last.hash() };
                        let mut delta = Frontier::default();
                        delta.set(*last.journal(), head);
                        inputs.push(Input::Ingested { ticket, outcome: Outcome::Held(head) });
                        inputs.push(Input::News { delta: Arc::new(delta), fresh: Arc::new([]) });
                    }
                    Output::Close { .. } => return Ok(()),
                    _ => {}
                }
            }
        }
        if session.is_settled() && !told {
            told = settled.send(()).await.is_ok();
        }
        if !inputs.is_empty() {
            continue;
        }
        tokio::select! {
            _ = tick.tick() => inputs.extend([Input::Tick, Input::Wake]),
            read = from.read_chunk(READ_BYTES, true) => {
                let Ok(Some(chunk)) = read else { return Ok(()) };
                let mut bytes = &chunk.bytes[..];
                while let Some(frame) = reader.read(&mut bytes).map_err(Trouble::product(failed))? {
                    inputs.push(Input::Frame(frame));
                }
            }
        }
    }
}
