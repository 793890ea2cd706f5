//! Catching up: whole nodes in this process, over real QUIC on the loopback.
//!
//! A hub holds a terminal's sales; another terminal, enrolled and switched off all the while, comes back. The clock of the
//! rate runs from the first entry that it takes in to the last; the row beside it says how long it all took from its start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use terminal_agent::service::meaning;
use tokio::task::JoinSet;
use toko_crdt::frontier::Frontier;
use toko_mesh::identity::Role;
use toko_mesh::node::setup::{enrol_terminal, found_store};
use toko_mesh::node::{Node, NodeConfig};

use super::goods::Goods;
use super::store::{counted, sale};
use super::table::{Figure, Row, percentiles, ratio};
use super::trouble::Trouble;
use super::turns::Turns;
use super::{Bench, CATCH_UP, NEWS};
use crate::machine::{Rate, redb_insert, redb_insert_rows, udp_echo};
use crate::process::TooLate;

/// Writers that fill the hub.
const WRITERS: usize = 64;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rows of a commit of the bare database.
const ROWS_A_COMMIT: u64 = 1_000;
/// Sales whose rows the bare database takes in one commit.
const SALES_A_COMMIT: u64 = 1_000;
/// The largest datagram that a link sends.
const DATAGRAM_BYTES: usize = 1_200;
/// How much of a journal is read at once.
const READ_BYTES: usize = 1 << 20;

/// News from a terminal at its hub, and a terminal that was away.
pub fn catch_up(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = bench.fresh("catch-up")?;
    let done = runtime.block_on(shop(bench, &dir))?;
    let echo = udp_echo(DATAGRAM_BYTES, bench.pace.news)?;
    let rows = done.entries;
    let row_bytes = usize::try_from(done.bytes / rows.max(1)).unwrap_or(1);
    let [one, two] = [
        redb_insert(&dir, rows, row_bytes, ROWS_A_COMMIT)?,
        redb_insert(&dir, rows, row_bytes, ROWS_A_COMMIT)?,
    ];
    let raw = if one.elapsed < two.elapsed { one } else { two };
    let ours = Rate { rows: done.counted, bytes: 0, elapsed: done.elapsed };
    let (ours, raw) = (ours.rows_per_second(), raw.rows_per_second());
    let rates = |rate: u64| {
        vec![("entries", Figure::PerSecond(rate)), ("bytes", Figure::BytesPerSecond(rate * row_bytes as u64))]
    };
    let times = ratio(Figure::PerSecond(ours), Figure::PerSecond(raw));
    let mut out = Vec::new();
    if let (Some(news), true) = (done.news.typical(), bench.wants(NEWS)) {
        let what = "sold on a terminal → held by the hub; UDP there and back";
        out.push(Row::new(NEWS, what, percentiles(&news)).beside(percentiles(&echo), None));
    }
    if bench.wants(CATCH_UP) {
        let what = format!("catching up on {rows} sales of {row_bytes} bytes; redb, 1 000 rows a commit");
        out.push(
            Row::new(CATCH_UP, what, rates(ours))
                .beside(rates(raw), Some(times))
                .to_reach("≥ 0.5 ×", times >= 50),
        );
        let same = redb_insert_rows(&dir, &done.rows, usize::try_from(rows / SALES_A_COMMIT).unwrap_or(1))?;
        let bare = Rate { rows, bytes: 0, elapsed: same.elapsed }.rows_per_second();
        let what = format!(
            "  the same; redb, the {} rows that a sale leaves in views, nothing else",
            same.rows / rows.max(1)
        );
        let times = ratio(Figure::PerSecond(ours), Figure::PerSecond(bare));
        let per_second = |rate| vec![("sales", Figure::PerSecond(rate))];
        out.push(Row::new(CATCH_UP, what, per_second(ours)).beside(per_second(bare), Some(times)));
        let whole = vec![("whole", Figure::Took(done.whole))];
        out.push(Row::new(CATCH_UP, "  the same from the terminal's start until its frontier equals", whole));
    }
    Ok(out)
}

struct Done {
    news: Turns,
    /// All that was to be caught up, and the bytes of it.
    entries: u64,
    bytes: u64,
    /// What came after the first look, and how long it took.
    counted: u64,
    elapsed: Duration,
    whole: Duration,
    /// What all of it left in the views.
    rows: Vec<(Vec<u8>, Vec<u8>)>,
}

async fn shop(bench: &Bench, dir: &Path) -> Result<Done, Trouble> {
    let goods = &bench.goods;
    let failed = "a shop in this process";
    found_store(&dir.join("hub"), &meaning()).map_err(Trouble::product(failed))?;
    let hub = open(&dir.join("hub"), Role::Hub, Vec::new()).await?;
    let at = vec![hub.listen_addr()];
    for name in ["till-1", "till-2"] {
        let code = hub.open_code(name).map_err(Trouble::product(failed))?;
        let enrolled = enrol_terminal(&dir.join(name), &code, &at, None, &meaning()).await;
        enrolled.map_err(Trouble::product(failed))?;
    }
    let till = open(&dir.join("till-1"), Role::Terminal, at.clone()).await?;
    let (mut news, mut samples) = (Turns::default(), Vec::new());
    until("the first terminal to be linked", &till, || covers(&till, &hub.frontier())).await?;
    for nth in 0..bench.pace.news as u64 {
        let sold = till.store().append(sale(goods, nth)?).await;
        let place = counted(sold.map_err(Trouble::product("a sale"))?)?.place;
        let started = Instant::now();
        let has =
            |frontier: &Frontier| frontier.head(&place.journal).is_some_and(|head| head.seq >= place.seq);
        until("a sale at the hub", &hub, || hub.store().reader().with_frontier(has)).await?;
        // The first ones pay for the link's beginnings.
        if nth >= 20 {
            samples.push(started.elapsed());
        }
    }
    news.add(samples);
    if !bench.wants(CATCH_UP) {
        stop([till, hub]).await?;
        let rows = Vec::new();
        return Ok(Done {
            news,
            entries: 1,
            bytes: 1_000,
            counted: 1,
            elapsed: PATIENCE,
            whole: PATIENCE,
            rows,
        });
    }
    sell_many(&till, Arc::clone(goods), bench.pace.news as u64, bench.pace.catch_up).await?;
    until("all sales at the hub", &hub, || covers(&hub, &till.frontier())).await?;
    stop([till]).await?;

    let wanted = hub.frontier();
    let started = Instant::now();
    let back = open(&dir.join("till-2"), Role::Terminal, at).await?;
    let had = back.frontier();
    until("the first entries", &back, || back.frontier() != had).await?;
    let (first, seen) = (Instant::now(), entries(&back.frontier()));
    until("the last entries", &back, || covers(&back, &wanted)).await?;
    let (elapsed, whole) = (first.elapsed(), started.elapsed());
    let counted = entries(&wanted).saturating_sub(seen);
    let (entries, bytes) = (entries(&wanted) - entries(&had), bytes_above(&hub, &wanted, &had)?);
    let mut rows = Vec::new();
    let read = back.store().reader().read(|kv| {
        kv.scan(&[], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            true
        })
    });
    read.map_err(Trouble::product("reading views"))?;
    stop([back, hub]).await?;
    Ok(Done { news, entries, bytes, counted, elapsed, whole, rows })
}

async fn open(dir: &Path, role: Role, hub: Vec<SocketAddr>) -> Result<Node, Trouble> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = NodeConfig { hub, ..NodeConfig::new(dir.to_owned(), role, here) };
    let meaning = meaning();
    Node::open(config, meaning.fold, meaning.scope).await.map_err(Trouble::product("opening a node"))
}

async fn stop(nodes: impl IntoIterator<Item = Node>) -> Result<(), Trouble> {
    for node in nodes {
        node.shutdown().await.map_err(Trouble::product("closing a node"))?;
    }
    Ok(())
}

async fn sell_many(node: &Node, goods: Arc<Goods>, from: u64, count: u64) -> Result<(), Trouble> {
    let next = Arc::new(AtomicU64::new(from));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, goods, next) = (node.store().clone(), Arc::clone(&goods), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= from + count {
                    return Ok::<_, Trouble>(());
                }
                counted(store.append(sale(&goods, nth)?).await.map_err(Trouble::product("a sale"))?)?;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.map_err(Trouble::product("a writer"))??;
    }
    Ok(())
}

/// Looks whenever the node's store changes.
async fn until(what: &'static str, node: &Node, holds: impl Fn() -> bool) -> Result<(), Trouble> {
    let mut changed = node.changed();
    let wait = async {
        while !holds() {
            if changed.changed().await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.map_err(|_| {
        let last = format!("{} entries", entries(&node.frontier()));
        TooLate { what: what.to_owned(), waited_ms: PATIENCE.as_millis(), last }.into()
    })
}

fn covers(node: &Node, wanted: &Frontier) -> bool {
    node.store().reader().with_frontier(|frontier| frontier.covers(wanted))
}

fn entries(frontier: &Frontier) -> u64 {
    frontier.lines().map(|(_, head)| head.seq).sum()
}

/// Bytes of the entries up to `wanted` that are above `had`.
fn bytes_above(node: &Node, wanted: &Frontier, had: &Frontier) -> Result<u64, Trouble> {
    let mut bytes = 0;
    for (journal, head) in wanted.lines() {
        let mut next = had.head(journal).map_or(0, |head| head.seq) + 1;
        while next <= head.seq {
            let read = node.store().reader().entries(*journal, next, READ_BYTES);
            let read = read.map_err(Trouble::product("reading entries"))?;
            let Some(last) = read.last() else { break };
            next = last.seq() + 1;
            bytes += read.iter().map(|entry| entry.encode().len() as u64).sum::<u64>();
        }
    }
    Ok(bytes)
}
