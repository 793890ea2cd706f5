//! Sales at the store alone: one terminal's log and views, with the shop's fold and scope, and nobody else.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use toko_crdt::member::{Claim, Statement};
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Lane, Run, StoreId};
use toko_mesh::disk::{Disk, RealDisk};
use toko_mesh::store::{Append, Appended, Store, StoreConfig, StoreHandle, StoreSetup, StoreThread, Wait};
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;

use super::goods::Goods;
use super::place::now;
use super::slow_disk::SlowDisk;
use super::table::{Figure, Row, percentiles, ratio};
use super::trouble::Trouble;
use super::turns::Turns;
use super::{Bench, GROUP, STORE};
use crate::machine::{RawLog, Room, Spread};

/// Writers of the group.
pub const WRITERS: u64 = 64;

/// A durable sale beside a bare write and sync of the same bytes.
pub fn durable(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let (goods, dir, pace) = (&bench.goods, bench.fresh("store")?, &bench.pace);
    let shop = Lone::open(Arc::new(RealDisk::open(&dir)?))?;
    let (mut sales, mut raw) = (Turns::every(pace.every), Bare::beside(&dir, goods, pace.every)?);
    let mut nth = 0;
    let mut sell = || {
        nth += 1;
        let append = sale(goods, nth)?;
        let started = Instant::now();
        let written = shop.handle.append_blocking(append);
        let took = started.elapsed();
        counted(written.map_err(Trouble::product("a sale"))?)?;
        Ok(took)
    };
    Turns::default().stretch(pace.warm_up, &mut sell)?;
    for _ in 0..pace.turns {
        // Longer than the second after which views move, so that every stretch pays for that.
        sales.stretch(pace.stretch, &mut sell)?;
        shop.settle()?;
        raw.stretch(pace.stretch / 3)?;
    }
    shop.close()?;
    let what = format!("durable sale at the store, 8 lines, {} bytes", raw.bytes);
    Ok(raw.rows(STORE, &what, &sales))
}

/// 64 writers beside one, where a sync takes 3.5 ms.
pub fn group(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let mut rates = [0; 2];
    for (rate, writers) in rates.iter_mut().zip([1, WRITERS]) {
        let dir = bench.fresh(&format!("group-{writers}"))?;
        let shop = Lone::open(Arc::new(SlowDisk::slower(Arc::new(RealDisk::open(&dir)?))))?;
        *rate = rate_of(&shop.handle, &bench.goods, writers, bench.pace.stretch)?;
        shop.close()?;
    }
    let [one, many] = rates.map(Figure::PerSecond);
    let times = ratio(many, one);
    Ok(vec![
        Row::new(GROUP, "64 writers beside one, a sync of 3.5 ms", vec![("sales", many)])
            .beside(vec![("one writer", one)], Some(times))
            .to_reach("≥ 20 ×", times >= 2_000),
    ])
}

/// Sales a second of so many writers at once.
pub fn rate_of(handle: &StoreHandle, goods: &Goods, writers: u64, lasting: Duration) -> Result<u64, Trouble> {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    let write = || {
        while started.elapsed() < lasting {
            let append = sale(goods, next.fetch_add(1, Ordering::Relaxed))?;
            counted(handle.append_blocking(append).map_err(Trouble::product("a sale in a group"))?)?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<_, Trouble>(())
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        all.into_iter().try_for_each(|writer| {
            writer.join().map_err(|_| Trouble::product("a sale in a group")("a writer panicked"))?
        })
    })?;
    let micros = started.elapsed().as_micros().max(1);
    Ok(u64::try_from(u128::from(done.into_inner()) * 1_000_000 / micros).unwrap_or(u64::MAX))
}

/// A sale as the store is given it.
pub fn sale(goods: &Goods, nth: u64) -> Result<Append, Trouble> {
    let body = Body::Op(goods.sale(nth)?.encode());
    Ok(Append { lane: Lane::Books, body, saw: None, wait: Wait::Synced })
}

/// A sale that was parked would be measured without its fold.
pub fn counted(written: Appended) -> Result<Appended, Trouble> {
    match written.parked {
        None => Ok(written),
        Some(code) => Err(Trouble::product("a sale")(format!("it was parked: {code}"))),
    }
}

/// The bare machine's part of a turn: records of the same size, to a file that grows and to one that does not.
#[derive(Debug)]
pub struct Bare {
    /// Bytes of a record.
    pub bytes: usize,
    logs: [RawLog; 2],
    turns: [Turns; 2],
}

impl Bare {
    /// Beside the product's files in `dir`, with records as long as a sale's, so far apart at least.
    pub fn beside(dir: &Path, goods: &Goods, every: Duration) -> Result<Self, Trouble> {
        let bytes = goods.record_bytes()?;
        let log = |room| RawLog::create(dir, bytes, room);
        let mut bare = Self {
            bytes,
            logs: [log(Room::Growing)?, log(Room::Reserved)?],
            turns: [Turns::every(every), Turns::every(every)],
        };
        for log in &mut bare.logs {
            Turns::default().stretch(Duration::from_millis(50), || Ok(log.round()?))?;
        }
        Ok(bare)
    }

    /// One stretch of each kind.
    pub fn stretch(&mut self, lasting: Duration) -> Result<(), Trouble> {
        for (log, turns) in self.logs.iter_mut().zip(&mut self.turns) {
            turns.stretch(lasting, || Ok(log.round()?))?;
        }
        Ok(())
    }

    /// A row for each kind of file; only the first has something to reach.
    pub fn rows(&self, of: &'static str, what: &str, sales: &Turns) -> Vec<Row> {
        let Some(ours) = sales.typical() else { return Vec::new() };
        let row = |turns: &Turns, what: String| {
            let raw = turns.typical()?;
            let times = |of: fn(&Spread) -> Duration| ratio(Figure::Took(of(&ours)), Figure::Took(of(&raw)));
            let row = Row::new(of, what, percentiles(&ours));
            Some((
                row.beside(percentiles(&raw), Some(times(|spread| spread.p99))),
                times(|spread| spread.p99),
            ))
        };
        let [growing, reserved] = &self.turns;
        let target = row(growing, format!("{what}; append + fdatasync"))
            .map(|(row, times)| row.to_reach("p99 ≤ 2 ×", times <= 200));
        let other = row(reserved, "  the same; write + fdatasync in a file reserved before".into());
        target.into_iter().chain(other.map(|(row, _)| row)).collect()
    }
}

/// A terminal's store on its thread, without a node around it.
#[derive(Debug)]
pub struct Lone {
    thread: StoreThread,
    /// For writing and reading.
    pub handle: StoreHandle,
    runtime: tokio::runtime::Runtime,
}

impl Lone {
    /// What the key of its hub is drawn from.
    pub const HUB_SEED: [u8; 32] = [2; 32];

    /// Begins one on a disk.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, Trouble> {
        let failed = "opening a store";
        let [root, hub, till] = [[1; 32], Self::HUB_SEED, [3; 32]].map(SecretKey::from_seed);
        let id = StoreId::of(&root.public());
        let setup = StoreSetup {
            disk,
            root: root.public(),
            key: till.clone(),
            mint_run: Box::new(|| Run(1)),
            fold: Arc::new(ShopFold),
            scope: Arc::new(ShopScope),
            config: StoreConfig::default(),
        };
        let store = Store::open(setup).map_err(Trouble::product(failed))?;
        let thread = StoreThread::start(store, Arc::new(now))?;
        let handle = thread.handle();
        let name = "Till 1".to_owned();
        let claims = [
            Statement::sign(&id, &root, Claim::Hub { term: 1, key: hub.public() }),
            Statement::sign(&id, &hub, Claim::Terminal { term: 1, key: till.public(), number: 1, name }),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let taken = runtime.block_on(handle.statements(claims.to_vec()));
        let new = taken.map_err(Trouble::product(failed))?.into_iter().collect::<Result<Vec<bool>, _>>();
        new.map_err(Trouble::product(failed))?;
        Ok(Self { thread, handle, runtime })
    }

    /// Waits until its views have moved, so that the bare machine is measured without them.
    pub fn settle(&self) -> Result<(), Trouble> {
        self.runtime.block_on(self.handle.checkpoint()).map_err(Trouble::product("a checkpoint"))
    }

    /// Saves all and stops.
    pub fn close(self) -> Result<(), Trouble> {
        drop(self.handle);
        self.runtime.block_on(self.thread.stop()).map_err(Trouble::product("closing a store"))
    }
}
