//! One day of history more or less: what a month behind it costs a terminal, and a day more on top.
//!
//! Three stores take turns: one without a past, one with a month but a day, one with the month. So whatever else the machine
//! does hits all three.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use toko_crdt::sign::SecretKey;
use toko_mesh::disk::RealDisk;
use toko_mesh::store::{Reply, Request};

use super::past::Past;
use super::store::{Lone, counted, sale};
use super::table::{Figure, Row, percentiles, ratio};
use super::trouble::Trouble;
use super::turns::{Turns, median};
use super::{Bench, HISTORY};
use crate::machine::Spread;

/// Times that each store is opened.
const OPENINGS: usize = 5;
/// How much a day may change: as much as two runs of one thing differ.
const CHANGE_MAX: u64 = 110;

/// Sales and starting again with and without a day more.
pub fn history(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let days = if bench.pace.short { 3 } else { 30 };
    let shops = [0, days - 1, days].map(|days| (days, bench.fresh(&format!("history-{days}"))));
    let mut stores = Vec::new();
    for (days, dir) in shops {
        stores.push((days, dir?));
    }
    std::thread::scope(|scope| {
        let fill = |(days, dir): &(u64, PathBuf)| {
            let (days, dir) = (*days, dir.clone());
            scope.spawn(move || fill(bench, &dir, days))
        };
        let all: Vec<_> = stores.iter().map(fill).collect();
        all.into_iter().try_for_each(|done| {
            done.join().map_err(|_| Trouble::product("a month of history")("it panicked"))?
        })
    })?;
    let mut openings = vec![Vec::new(); stores.len()];
    for _ in 0..OPENINGS {
        for ((_, dir), took) in stores.iter().zip(&mut openings) {
            let disk = Arc::new(RealDisk::open(dir)?);
            let started = Instant::now();
            let shop = Lone::open(disk)?;
            took.push(started.elapsed());
            shop.close()?;
        }
    }
    let open = |(_, dir): &(u64, PathBuf)| Lone::open(Arc::new(RealDisk::open(dir)?));
    let shops = stores.iter().map(open).collect::<Result<Vec<_>, Trouble>>()?;
    let mut turns: Vec<Turns> = stores.iter().map(|_| Turns::default()).collect();
    let mut nth = 10_000_000;
    for _ in 0..bench.pace.turns {
        for (shop, turns) in shops.iter().zip(&mut turns) {
            turns.stretch(bench.pace.stretch, || {
                nth += 1;
                let append = sale(&bench.goods, nth)?;
                let started = Instant::now();
                let sold = shop.handle.append_blocking(append).map_err(Trouble::product("a sale"))?;
                let took = started.elapsed();
                counted(sold).map(|_| took)
            })?;
            shop.settle()?;
        }
    }
    for shop in shops {
        shop.close()?;
    }
    let spreads: Vec<Spread> = turns.iter().filter_map(Turns::typical).collect();
    let opened: Vec<Duration> = openings.into_iter().filter_map(median).collect();
    let ([none, less, more], [none_open, less_open, more_open]) = (&spreads[..], &opened[..]) else {
        return Ok(Vec::new());
    };
    let row = |what: String, ours: &Spread, theirs: &Spread| {
        let times = ratio(Figure::Took(ours.p50), Figure::Took(theirs.p50));
        (Row::new(HISTORY, what, percentiles(ours)).beside(percentiles(theirs), Some(times)), times)
    };
    let open = |what: String, ours: Duration, theirs: Duration| {
        let times = ratio(Figure::Took(ours), Figure::Took(theirs));
        let row = Row::new(HISTORY, what, vec![("median", Figure::Took(ours))]);
        (row.beside(vec![("median", Figure::Took(theirs))], Some(times)), times)
    };
    let to_reach = |(row, times): (Row, u64)| row.to_reach("p50 ≤ 1.1 ×", times <= CHANGE_MAX);
    let before = days - 1;
    Ok(vec![
        to_reach(row(
            format!("durable sale with {days} busy days of 24 terminals behind it; with {before}"),
            more,
            less,
        )),
        to_reach(open(format!("opening the store with {days} days; with {before}"), *more_open, *less_open)),
        row(format!("  durable sale with {days} days; with none"), more, none).0,
        open(format!("  opening the store with {days} days; with none"), *more_open, *none_open).0,
    ])
}

/// Takes so many days in.
fn fill(bench: &Bench, dir: &Path, days: u64) -> Result<(), Trouble> {
    let failed = "taking a month in";
    let shop = Lone::open(Arc::new(RealDisk::open(dir)?))?;
    let mut past = Past::of(shop.handle.reader().store());
    let hub = SecretKey::from_seed(Lone::HUB_SEED);
    let told = shop.handle.request_blocking(Request::Statements(past.statements(&hub)));
    told.map_err(Trouble::product(failed))?;
    for _ in 0..days {
        for stretch in past.day(&bench.goods)? {
            match shop.handle.request_blocking(Request::Ingest(stretch)).map_err(Trouble::product(failed))? {
                Reply::Ingested(Ok(_)) => {}
                other => return Err(Trouble::product(failed)(format!("{other:?}"))),
            }
        }
    }
    shop.close()
}
