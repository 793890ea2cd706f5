//! An item by its code, in memory: the catalogue beside a hash map.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use super::goods::{ITEMS, gtin, pick};
use super::table::{Figure, Row, percentiles_to_p999, ratio};
use super::trouble::Trouble;
use super::turns::Turns;
use super::{Bench, LOOKUP};

/// Finds items by GTIN.
pub fn lookup(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let catalogue = &bench.goods.catalogue;
    let map: HashMap<String, u64> = (0..ITEMS).map(|item| (gtin(item), item)).collect();
    let (mut ours, mut raw) = (Turns::default(), Turns::default());
    let lasting = bench.pace.stretch / 6;
    let mut nth = 0;
    let mut code = || {
        nth += 1;
        gtin(pick(nth, 6) % ITEMS)
    };
    for _ in 0..bench.pace.turns {
        ours.stretch(lasting, || Ok(timed(&code(), |code| catalogue.lookup(code).is_some())))?;
        raw.stretch(lasting, || Ok(timed(&code(), |code| map.contains_key(code))))?;
    }
    let (Some(ours), Some(raw)) = (ours.typical(), raw.typical()) else { return Ok(Vec::new()) };
    let times = ratio(Figure::Took(ours.p50), Figure::Took(raw.p50));
    Ok(vec![
        Row::new(LOOKUP, "code → item in memory, 100 000 items; hash map", percentiles_to_p999(&ours))
            .beside(percentiles_to_p999(&raw), Some(times)),
    ])
}

fn timed(code: &str, find: impl Fn(&str) -> bool) -> Duration {
    let started = Instant::now();
    let found = black_box(find(black_box(code)));
    let took = started.elapsed();
    assert!(found, "{code} is in the assortment");
    took
}
