//! What a shop costs while nobody looks: memory after a day, processor time at rest, bytes written, and coming back from a
//! power cut.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use toko_crdt::Run;
use toko_mesh::identity::{DataDir, Role};
use toko_mesh::store::{Store, StoreConfig, StoreSetup};

use super::rest::beside_bare;
use super::shop::{Shop, TILLS};
use super::table::{Figure, Row, ratio};
use super::till::Cashier;
use super::trouble::Trouble;
use super::turns::median;
use super::{Bench, IDLE, MEMORY, RESTART, WRITTEN};
use crate::process::{Cost, wait_until};

/// What an agent may hold.
const AGENT_BYTES_MAX: u64 = 64 << 20;
/// What a hub may hold.
const HUB_BYTES_MAX: u64 = 128 << 20;
/// What a node at rest may take, in hundredths of a percent of a core.
const IDLE_MAX: u64 = 100;
/// How long a terminal may take to sell again.
const RESTART_MAX: Duration = Duration::from_millis(300);
/// Of written bytes by those of entries, in hundredths.
const WRITTEN_MAX: u64 = 400;
/// How long a killed terminal may take at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// A clock tick of the kernel's accounting, in hundredths of a percent of a second.
const TICK: u64 = 100;

/// Sells on all terminals at once until the day has had enough sales, or it took too long. Returns all that were sold.
pub fn rush(bench: &Bench, shop: &Shop, sold: u64) -> Result<u64, Trouble> {
    let (started, each) = (Instant::now(), bench.pace.day.saturating_sub(sold).div_ceil(TILLS as u64));
    let day = |at: usize| {
        let mut cashier = Cashier::at(shop, at, "day")?;
        while cashier.sold < each && started.elapsed() < bench.pace.rush {
            cashier.sell()?;
        }
        Ok::<_, Trouble>(cashier.sold)
    };
    let counts = std::thread::scope(|scope| {
        let all: Vec<_> = (0..TILLS).map(|at| scope.spawn(move || day(at))).collect();
        let join = |ended: std::thread::ScopedJoinHandle<'_, _>| {
            ended.join().map_err(|_| Trouble::product("a day's sales")("a cashier panicked"))?
        };
        all.into_iter().map(join).collect::<Result<Vec<u64>, Trouble>>()
    })?;
    Ok(sold + counts.iter().sum::<u64>())
}

/// Resident memory of hub and agents, now and at most.
pub fn memory(shop: &Shop, sold: u64) -> Result<Vec<Row>, Trouble> {
    // A node that was started again since has forgotten its peak.
    let figures = |at: usize, cost: Cost| {
        let loaded = shop.loaded[at];
        let most = cost.resident_kib_max.max(loaded.resident_kib_max);
        let [loaded, now, most] = [loaded.resident_kib, cost.resident_kib, most].map(|kib| kib << 10);
        let named = [("loaded", loaded), ("after the day", now), ("peak", most)];
        (now, named.map(|(name, bytes)| (name, Figure::Bytes(bytes))).to_vec())
    };
    let hub = figures(0, cost(shop, None)?);
    let agents = (0..TILLS)
        .map(|at| Ok(figures(at + 1, cost(shop, Some(at))?)))
        .collect::<Result<Vec<_>, Trouble>>()?;
    let Some(agent) = agents.into_iter().max_by_key(|(now, _)| *now) else { return Ok(Vec::new()) };
    let what = |who: &str| format!("memory of {who}, 100 000 items, {sold} sales of 8 lines");
    Ok(vec![
        Row::new(MEMORY, what("the largest agent"), agent.1).to_reach("≤ 64 MiB", agent.0 <= AGENT_BYTES_MAX),
        Row::new(MEMORY, what("the hub"), hub.1).to_reach("≤ 128 MiB", hub.0 <= HUB_BYTES_MAX),
    ])
}

/// Processor time of nodes that are linked and have nothing to do.
pub fn idle(bench: &Bench, shop: &Shop) -> Result<Vec<Row>, Trouble> {
    let nodes: Vec<Option<usize>> = std::iter::once(None).chain((0..TILLS).map(Some)).collect();
    let ticks =
        || nodes.iter().map(|node| Ok(cost(shop, *node)?.cpu_ticks)).collect::<Result<Vec<u64>, Trouble>>();
    let (before, started) = (ticks()?, Instant::now());
    std::thread::sleep(bench.pace.idle);
    let (after, millis) = (ticks()?, u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1));
    let shares: Vec<u64> =
        before.iter().zip(&after).map(|(before, after)| (after - before) * TICK * 1_000 / millis).collect();
    let [hub, agents @ ..] = shares.as_slice() else { return Ok(Vec::new()) };
    let agent = agents.iter().max().copied().unwrap_or_default();
    let row = |who: &str, share: u64| -> Result<Row, Trouble> {
        let what = format!("processor time of {who} at rest, 3 terminals linked, {} s", millis / 1_000);
        let row = Row::new(IDLE, what, vec![("of a core", Figure::Share(share))]);
        Ok(beside_bare(row, share, TILLS)?.to_reach("≤ 1 %", share <= IDLE_MAX))
    };
    Ok(vec![row("the busiest agent", agent)?, row("the hub", *hub)?])
}

fn cost(shop: &Shop, till: Option<usize>) -> Result<Cost, Trouble> {
    till.map_or(&shop.hub, |at| &shop.tills[at].0).cost()
}

/// From `exec` after a SIGKILL until the next sale is safe.
pub fn restart(bench: &Bench, shop: &mut Shop) -> Result<Vec<Row>, Trouble> {
    let mut samples = Vec::new();
    for nth in 0..bench.pace.restarts {
        shop.tills[0].0.kill()?;
        let started = Instant::now();
        shop.tills[0].0.start()?;
        let mut cashier = loop {
            match Cashier::at(shop, 0, &format!("again-{nth}")) {
                Ok(cashier) => break cashier,
                Err(trouble) if started.elapsed() > PATIENCE => return Err(trouble),
                // Its door is still closed; a foreign process offers nothing to wait on but another look.
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        cashier.sell()?;
        samples.push(started.elapsed());
    }
    let Some(median) = median(samples) else { return Ok(Vec::new()) };
    let what = "kill -9 → a cart of 8 lines sold again, 100 000 items";
    let row = Row::new(RESTART, what, vec![("median", Figure::Took(median))]);
    Ok(vec![row.to_reach("≤ 300 ms", median <= RESTART_MAX)])
}

/// Bytes that a terminal wrote for its sales, by the bytes of their entries.
#[derive(Debug, Default)]
pub struct Written {
    sales: u64,
    bytes: u64,
}

impl Written {
    /// Sells one cart after another and looks what was written. Enough of them, so that segments which are filled ahead and
    /// checkpoints, which come once in hundreds of sales, are paid for by those that cause them.
    pub fn sell(&mut self, shop: &Shop, sales: u64) -> Result<(), Trouble> {
        let mut cashier = Cashier::at(shop, 0, "written")?;
        let before = self::written(shop)?;
        for _ in 0..sales {
            cashier.sell()?;
        }
        (self.sales, self.bytes) = (sales, self::written(shop)? - before);
        Ok(())
    }

    /// Stops the terminal and reads what its entries come to.
    pub fn rows(&self, shop: &mut Shop) -> Result<Vec<Row>, Trouble> {
        shop.tills[0].0.stop()?;
        let per_sale = Figure::Bytes(entry_bytes_per_sale(&shop.tills[0].0.data)?);
        let written = Figure::Bytes(self.bytes / self.sales.max(1));
        let times = ratio(written, per_sale);
        let what = format!("written by an agent for a sale of 8 lines, over {} sales", self.sales);
        let row =
            Row::new(WRITTEN, what, vec![("disk", written)]).beside(vec![("entries", per_sale)], Some(times));
        Ok(vec![row.to_reach("≤ 4 ×", times <= WRITTEN_MAX)])
    }
}

/// Bytes that the device below the first terminal's directory has written, for whomever: what a process is said to have
/// written counts a whole folio of the page cache for each byte that is changed in it.
fn written(shop: &Shop) -> Result<u64, Trouble> {
    const SECTOR: u64 = 512;
    rustix::fs::sync();
    let device = fs::metadata(&shop.tills[0].0.data)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let path = format!("/sys/dev/block/{major}:{minor}/stat");
    let stat = fs::read_to_string(&path)?;
    let sectors = stat.split_whitespace().nth(6).and_then(|sectors| sectors.parse::<u64>().ok());
    sectors
        .map(|sectors| sectors * SECTOR)
        .ok_or_else(|| Trouble::product("counting bytes")(format!("{path} says {stat:?}")))
}

/// Bytes of all entries of the terminal that was stopped, for each sale of eight lines among them: all its carts are alike.
fn entry_bytes_per_sale(data: &Path) -> Result<u64, Trouble> {
    let failed = "reading a terminal's store";
    let dir = DataDir::open(data, Role::Terminal).map_err(Trouble::product(failed))?;
    let meaning = terminal_agent::service::meaning();
    let me = dir.key().node();
    let store = Store::open(StoreSetup {
        disk: dir.journal_disk()?,
        root: dir.sentinel().root,
        key: dir.key().clone(),
        mint_run: Box::new(|| Run(0)),
        fold: meaning.fold,
        scope: meaning.scope,
        config: StoreConfig::default(),
    });
    let reader = store.map_err(Trouble::product(failed))?.reader();
    let (mut bytes, mut books) = (0, 0);
    for (journal, head) in reader.frontier().lines().filter(|(journal, _)| journal.node == me) {
        let mut next = 1;
        while next <= head.seq {
            let read = reader.entries(*journal, next, 1 << 20).map_err(Trouble::product(failed))?;
            let Some(last) = read.last() else { break };
            next = last.seq() + 1;
            bytes += read.iter().map(|entry| entry.encode().len() as u64).sum::<u64>();
        }
        if journal.lane == toko_crdt::Lane::Books {
            // The first entry of a journal only says what it continues.
            books += head.seq - 1;
        }
    }
    Ok(bytes / books.max(1))
}

/// Waits until a terminal has no more news for the others.
pub fn calm(shop: &mut Shop) -> Result<(), Trouble> {
    shop.until_agreed()?;
    let mut last = 0;
    Ok(wait_until("the terminals to come to rest", PATIENCE, || {
        let now =
            (0..TILLS).filter_map(|at| cost(shop, Some(at)).ok()).map(|cost| cost.cpu_ticks).sum::<u64>();
        std::thread::sleep(Duration::from_millis(500));
        let before = std::mem::replace(&mut last, now);
        if now - before <= 4 { Ok(()) } else { Err(format!("{} ticks in half a second", now - before)) }
    })?)
}
