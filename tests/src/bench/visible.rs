//! From a sale that is safe on one terminal until 24 other terminals show it, with a hub and without.
//!
//! All 26 nodes share this machine's cores and its one disk, which no shop has: each of them syncs its own log before it
//! shows the sale. What the bare machine needs for that stands beside.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::crowd::{Crowd, holds, until, until_links};
use super::goods::pick;
use super::store::{counted, sale};
use super::table::{Figure, Row, percentiles, ratio};
use super::trouble::Trouble;
use super::turns::Turns;
use super::{Bench, VISIBLE};
use crate::machine::{MachineError, RawLog, Room, Spread, udp_echo};

/// Terminals: one sells, 24 look.
const TILLS: usize = 25;
/// How soon the slowest of a hundred is to be seen where there is a hub, and where there is none.
const WITH_HUB: Duration = Duration::from_millis(25);
const WITHOUT: Duration = Duration::from_millis(250);
/// Sales are so far apart at least, and up to as much again, so that they meet every moment of a second.
const PAUSE_MS: u64 = 25;

/// A sale on its way to everybody's views.
pub fn visible(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = bench.fresh("visible")?;
    let [with, without] = runtime.block_on(both(bench, &dir))?;
    let echo = udp_echo(1_200, bench.pace.news)?;
    let mut bare = Many::start(&bench.fresh("visible-beside")?, bench.goods.record_bytes()?)?;
    let mut raw = Turns::default();
    raw.stretch(bench.pace.stretch, || bare.round())?;
    let (Some(with), Some(without), Some(raw)) = (with, without, raw.pooled()) else { return Ok(Vec::new()) };
    let row = |spread: &Spread, what: &str, words: &'static str, max: Duration| {
        let times = ratio(Figure::Took(spread.p99), Figure::Took(raw.p99));
        let beside = [percentiles(&raw), vec![("UDP echo", Figure::Took(echo.p50))]].concat();
        Row::new(
            VISIBLE,
            format!("safe on one terminal → shown on 24 others, {what}; 24 files synced at once"),
            percentiles(spread),
        )
        .beside(beside, Some(times))
        .to_reach(words, spread.p99 <= max)
    };
    Ok(vec![
        row(&with, "with the hub", "p99 ≤ 25 ms", WITH_HUB),
        row(&without, "without it", "p99 ≤ 250 ms", WITHOUT),
    ])
}

async fn both(bench: &Bench, dir: &Path) -> Result<[Option<Spread>; 2], Trouble> {
    let shop = Crowd::open(dir, TILLS, false).await?;
    let with = rounds(bench, &shop, 0).await?;
    shop.hub.shutdown().await.map_err(Trouble::product("closing a node"))?;
    for till in &shop.tills {
        until_links("the hub to be missed", till, |_| !till.hub_alive()).await?;
    }
    let without = rounds(bench, &shop, bench.pace.news as u64).await?;
    shop.stop().await?;
    Ok([with, without])
}

async fn rounds(bench: &Bench, shop: &Crowd, from: u64) -> Result<Option<Spread>, Trouble> {
    let mut samples = Vec::new();
    for nth in from..from + bench.pace.news as u64 {
        let author = usize::try_from(nth).unwrap_or(0) % TILLS;
        let append = sale(&bench.goods, nth)?;
        let sold = shop.tills[author].store().append(append).await;
        let place = counted(sold.map_err(Trouble::product("a sale"))?)?.place;
        let started = Instant::now();
        for till in &shop.tills {
            until("a sale to be seen", till, || holds(till, &place)).await?;
        }
        // The first of each terminal pays for its journal's beginning.
        if nth - from >= TILLS as u64 {
            samples.push(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(PAUSE_MS + pick(nth, 9) % PAUSE_MS)).await;
    }
    Ok(Spread::of(samples))
}

/// The bare machine's part: 24 threads, each with a file of its own, write a record and sync it when told.
struct Many {
    go: Vec<Sender<()>>,
    done: Receiver<Result<(), MachineError>>,
}

impl Many {
    fn start(dir: &Path, bytes: usize) -> Result<Self, Trouble> {
        let (said, done) = channel();
        let mut go = Vec::new();
        for nth in 1..TILLS {
            let place = dir.join(nth.to_string());
            std::fs::create_dir(&place)?;
            let mut log = RawLog::create(&place, bytes, Room::Growing)?;
            let (tell, told) = channel();
            let said = said.clone();
            std::thread::Builder::new().name(format!("sync {nth}")).spawn(move || {
                // It ends with the one who tells it.
                while told.recv().is_ok() && said.send(log.round().map(drop)).is_ok() {}
            })?;
            go.push(tell);
        }
        Ok(Self { go, done })
    }

    fn round(&mut self) -> Result<Duration, Trouble> {
        let started = Instant::now();
        for tell in &self.go {
            let _ = tell.send(());
        }
        for _ in &self.go {
            self.done.recv().map_err(Trouble::product("the bare machine's syncs"))??;
        }
        Ok(started.elapsed())
    }
}
