//! A partition of a busy day, and how long it takes until all books are equal again: whole nodes in this process, each behind
//! a cable of its own.
//!
//! All cables are pulled. Every terminal sells its share of the time, alone. Then all cables but one are plugged in again: the
//! switch is back. Then the last: a single terminal that was away. The clock runs from the cable to equal frontiers and equal
//! view digests everywhere; dialling again is part of it. All 25 nodes share this machine's cores, which no shop has: beside
//! each row stands how much processor time one node's share of the work was.

use std::time::{Duration, Instant};

use toko_crdt::frontier::Frontier;
use toko_mesh::node::Node;

use super::crowd::{Crowd, entries, name, until, until_links};
use super::table::{Figure, Row};
use super::trouble::Trouble;
use super::{Bench, HEAL, HEAL_DAY};
use crate::process::Cost;

/// Terminals of a busy day.
const TILLS: usize = 24;
/// Sales of a busy day, and of an hour of it, where it has eight.
const DAY: u64 = 5_000;
const HOUR: u64 = DAY / 8;
/// How soon all is to be equal.
const HOUR_MAX: Duration = Duration::from_secs(1);
const DAY_MAX: Duration = Duration::from_secs(5);
/// The kernel counts processor time in hundredths of a second.
const TICK_MILLIS: u64 = 10;
/// A cable that was pulled stays so for so long at least: until nobody dials at once any more.
const DARK: Duration = Duration::from_secs(4);

/// An hour's partition.
pub fn hour(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    partition(bench, HEAL, "an hour", HOUR, ("≤ 1 s", HOUR_MAX))
}

/// A whole day's.
pub fn day(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    // A short run shows the way there, not the figure: it has a tenth of the day, and says so.
    if bench.pace.short {
        return partition(bench, HEAL_DAY, "a tenth of a day", DAY / 10, ("≤ 5 s", DAY_MAX));
    }
    partition(bench, HEAL_DAY, "a whole day", DAY, ("≤ 5 s", DAY_MAX))
}

fn partition(
    bench: &Bench,
    of: &'static str,
    span: &str,
    sales: u64,
    (words, max): (&'static str, Duration),
) -> Result<Vec<Row>, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = bench.fresh(of)?;
    let (all, one) = runtime.block_on(healed(bench, &dir, sales))?;
    let row = |healed: &Healed, what: String| {
        let measured = vec![
            ("from the cable", Figure::Took(healed.took)),
            ("from the first entry", Figure::Took(healed.since_first)),
        ];
        let beside = vec![("processor, each node", Figure::Took(healed.processor))];
        Row::new(of, what, measured).beside(beside, None).to_reach(words, healed.took <= max)
    };
    Ok(vec![
        row(
            &one,
            format!(
                "one of {TILLS} terminals back after {span} of a busy day, {sales} sales: all books equal"
            ),
        ),
        row(
            &all,
            format!("no network for {span}, {TILLS} terminals alone, {sales} sales: all but one equal"),
        ),
    ])
}

struct Healed {
    took: Duration,
    since_first: Duration,
    processor: Duration,
}

async fn healed(bench: &Bench, dir: &std::path::Path, sales: u64) -> Result<(Healed, Healed), Trouble> {
    let shop = Crowd::open(dir, TILLS, true).await?;
    // One sale each, so that nobody begins with the journal's beginning.
    shop.sell(&bench.goods, TILLS as u64, &[]).await?;
    shop.until_equal(&shop.all()).await?;
    let away = TILLS - 1;
    let names: Vec<String> = std::iter::once("hub".to_owned()).chain((0..TILLS).map(name)).collect();
    names.iter().for_each(|name| shop.cut(name, true));
    let cut = Instant::now();
    for node in shop.all() {
        until_links("silence to be noticed", node, <[_]>::is_empty).await?;
    }
    shop.sell(&bench.goods, sales, &[]).await?;
    tokio::time::sleep(DARK.saturating_sub(cut.elapsed())).await;

    let others: Vec<&Node> = shop.all().into_iter().take(TILLS).collect();
    let back = || names.iter().take(TILLS).for_each(|name| shop.cut(name, false));
    let all = watch(&shop, &others, &shop.hub, back).await?;
    // What follows is about one terminal: nothing of the others' is left to do.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let one = watch(&shop, &shop.all(), &shop.tills[away], || shop.cut(&name(away), false)).await?;
    shop.stop().await?;
    Ok((all, one))
}

/// From the cable until these nodes hold the same; the first entry is seen at `first`.
async fn watch(shop: &Crowd, nodes: &[&Node], first: &Node, plug: impl Fn()) -> Result<Healed, Trouble> {
    let (held, worked) = (entries(&first.frontier()), processor());
    let begun = Instant::now();
    plug();
    let more = || first.store().reader().with_frontier(|frontier: &Frontier| entries(frontier) > held);
    until("the first entry", first, more).await?;
    let first_at = begun.elapsed();
    shop.until_equal(nodes).await?;
    let took = begun.elapsed();
    let worked = processor().saturating_sub(worked);
    let each = u32::try_from(nodes.len()).map_or(worked, |count| worked / count.max(1));
    Ok(Healed { took, since_first: took.saturating_sub(first_at), processor: each })
}

/// Processor time of this process so far, relays included.
fn processor() -> Duration {
    let ticks = Cost::of(std::process::id()).map_or(0, |cost| cost.cpu_ticks);
    Duration::from_millis(ticks * TICK_MILLIS)
}
