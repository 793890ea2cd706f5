//! Commits where a sync takes as long as a shop's disk needs: a good drive, a cheap one, flash that is worn.
//!
//! The sync is simulated: it takes exactly so long and reaches no disk, so that these figures do not depend on the disk of
//! the machine that measures. Beside one writer stands a bare write and the same sync; beside 64, one commit for each sale.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use toko_mesh::disk::RealDisk;

use super::slow_disk::SlowDisk;
use super::store::{Lone, WRITERS, counted, rate_of, sale};
use super::table::{Figure, Row, percentiles, ratio};
use super::trouble::Trouble;
use super::turns::Turns;
use super::{Bench, SYNCS};

const SYNCS_OF: [(&str, Duration); 3] = [
    ("0.9", Duration::from_micros(900)),
    ("3.5", Duration::from_micros(3_500)),
    ("10", Duration::from_millis(10)),
];

/// One writer and 64, at each sync.
pub fn syncs(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    for (name, sync) in SYNCS_OF {
        rows.extend(at(bench, name, sync)?);
    }
    Ok(rows)
}

fn at(bench: &Bench, name: &str, sync: Duration) -> Result<Vec<Row>, Trouble> {
    let (goods, pace) = (&bench.goods, &bench.pace);
    let dir = bench.fresh(&format!("sync-{name}"))?;
    let shop = Lone::open(Arc::new(SlowDisk::simulated(Arc::new(RealDisk::open(&dir)?), sync)))?;
    let mut bare = Bare {
        file: OpenOptions::new().create_new(true).append(true).open(dir.join("bare"))?,
        record: vec![0xa5; goods.record_bytes()?],
        sync,
    };
    let (mut sales, mut raw, mut nth) = (Turns::default(), Turns::default(), 0);
    let mut sell = || {
        nth += 1;
        let append = sale(goods, nth)?;
        let started = Instant::now();
        let sold = shop.handle.append_blocking(append).map_err(Trouble::product("a sale"))?;
        let took = started.elapsed();
        counted(sold).map(|_| took)
    };
    for _ in 0..pace.turns {
        sales.stretch(pace.stretch, &mut sell)?;
        raw.stretch(pace.stretch / 3, || bare.round())?;
    }
    let one = rate_of(&shop.handle, goods, 1, pace.stretch)?;
    let many = rate_of(&shop.handle, goods, WRITERS, pace.stretch)?;
    shop.close()?;
    let (one, many) = (Figure::PerSecond(one), Figure::PerSecond(many));
    let times = ratio(many, one);
    let mut group = Row::new(
        SYNCS,
        format!("64 writers beside one, a simulated sync of {name} ms"),
        vec![("sales", many)],
    )
    .beside(vec![("one writer", one)], Some(times));
    if name == "3.5" {
        group = group.to_reach("≥ 20 ×", times >= 2_000);
    }
    let (Some(ours), Some(raw)) = (sales.typical(), raw.typical()) else { return Ok(vec![group]) };
    let times = ratio(Figure::Took(ours.p99), Figure::Took(raw.p99));
    let alone = Row::new(
        SYNCS,
        format!("durable sale at the store, a simulated sync of {name} ms; append + that sync"),
        percentiles(&ours),
    )
    .beside(percentiles(&raw), Some(times))
    .to_reach("p99 ≤ 1.5 ×", times <= 150);
    Ok(vec![alone, group])
}

/// What the bare machine does with such a disk.
struct Bare {
    file: File,
    record: Vec<u8>,
    sync: Duration,
}

impl Bare {
    fn round(&mut self) -> Result<Duration, Trouble> {
        let started = Instant::now();
        self.file.write_all(&self.record)?;
        std::thread::sleep(self.sync);
        Ok(started.elapsed())
    }
}
