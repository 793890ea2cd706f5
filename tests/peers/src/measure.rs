//! One measurement for all columns: whoever can be a [`Peer`] does the same work in the same order and is timed the same way.
//!
//! Invariants: times are taken here, around the same calls, never inside a peer; a sale's clock begins before it is made; all
//! bytes on the wire are counted by the kernel, headers included; memory is that of the terminals' process beyond what it
//! held before there was any, by the number of terminals. The script for Node does the same, step for step.

use std::fs::read_to_string;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use toko_tests::machine::Spread;

use crate::trouble::Trouble;
use crate::work::{Work, bytes};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many sell at once where only the end is timed.
const AT_ONCE: usize = 8;

/// A figure, or why there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cell {
    /// Nanoseconds.
    Took(u64),
    /// Nanoseconds: half took no longer, 99 of 100 took no longer.
    Spread(u64, u64),
    /// Bytes.
    Bytes(u64),
    /// It cannot.
    Cannot(String),
}

/// A column.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    /// A sale, until it is safe.
    pub(crate) durable: Cell,
    /// A sale, until all other terminals show it.
    pub(crate) shown: Cell,
    /// A sale on the terminal that is cut off, until it is safe.
    pub(crate) alone: Cell,
    /// From the cable until all are equal.
    pub(crate) catch_up: Cell,
    /// A terminal without anything joins, gets all and sells.
    pub(crate) blank: Cell,
    /// On the loopback, for the day.
    pub(crate) wire: Cell,
    /// Of one terminal.
    pub(crate) memory_till: Cell,
    /// Of the server.
    pub(crate) memory_hub: Cell,
}

/// Somebody who can run the shop's terminals. All methods wait, and fail rather than wait for ever.
pub(crate) trait Peer: Sized {
    /// What names a sale everywhere.
    type Id: Clone;

    /// Starts server and terminals with nothing in them; returns when all are linked. With `cables`, the last terminal can
    /// be cut off.
    async fn open(dir: &Path, tills: usize, cables: bool) -> Result<Self, Trouble>;

    /// Sells; returns when the sale is safe.
    async fn sell(&self, till: usize, sale: Vec<u8>) -> Result<Self::Id, Trouble>;

    /// Returns when a terminal shows a sale.
    async fn shown(&self, till: usize, id: &Self::Id) -> Result<(), Trouble>;

    /// Cuts the last terminal off, or lets it in again. Returns, where it is cut off, when it has noticed.
    async fn cut(&mut self, cut: bool) -> Result<(), Trouble>;

    /// Why a terminal cannot sell while it is cut off.
    fn alone() -> Result<(), &'static str>;

    /// Starts another terminal with nothing in it; returns its place.
    async fn join(&mut self) -> Result<usize, Trouble>;

    /// The server's process.
    fn hub(&self) -> u32;

    /// Ends all.
    async fn stop(self) -> Result<(), Trouble>;
}

/// Does the work.
pub(crate) async fn column<P: Peer>(work: &Work, dir: &Path) -> Result<Column, Trouble> {
    let (day_dir, cut_dir) = (dir.join("day"), dir.join("cut"));
    for dir in [&day_dir, &cut_dir] {
        std::fs::create_dir_all(dir)?;
    }
    let before = resident(std::process::id())?;
    let mut shop = in_time("opening the shop", P::open(&day_dir, work.tills, false)).await?;
    let day = day(work, &shop).await?;
    let held = resident(std::process::id())?.saturating_sub(before) / work.tills as u64;
    let of_hub = resident(shop.hub())?;

    let started = Instant::now();
    let blank = in_time("a blank terminal", shop.join()).await?;
    for id in &day.ids {
        in_time("a blank terminal", shop.shown(blank, id)).await?;
    }
    in_time("a blank terminal's first sale", shop.sell(blank, bytes(&work.hour[0]))).await?;
    let joined = started.elapsed();
    in_time("closing the shop", shop.stop()).await?;

    let (alone, catch_up) = partition::<P>(work, &cut_dir).await?;
    Ok(Column {
        durable: spread(day.durable),
        shown: spread(day.shown),
        alone,
        catch_up: Cell::Took(nanos(catch_up)),
        blank: Cell::Took(nanos(joined)),
        wire: Cell::Bytes(day.wire),
        memory_till: Cell::Bytes(held),
        memory_hub: Cell::Bytes(of_hub),
    })
}

struct Day<I> {
    ids: Vec<I>,
    durable: Vec<Duration>,
    shown: Vec<Duration>,
    wire: u64,
}

async fn day<P: Peer>(work: &Work, shop: &P) -> Result<Day<P::Id>, Trouble> {
    let mut day = Day { ids: Vec::new(), durable: Vec::new(), shown: Vec::new(), wire: 0 };
    let before = loopback()?;
    for (nth, sale) in work.day.iter().enumerate() {
        let (till, sale) = (nth % work.tills, bytes(sale));
        let started = Instant::now();
        let id = in_time("a sale", shop.sell(till, sale)).await?;
        day.durable.push(started.elapsed());
        for other in (0..work.tills).filter(|other| *other != till) {
            in_time("a sale to be shown", shop.shown(other, &id)).await?;
        }
        day.shown.push(started.elapsed());
        day.ids.push(id);
        tokio::time::sleep(Duration::from_millis(work.pause_ms)).await;
    }
    day.wire = loopback()? - before;
    Ok(day)
}

async fn partition<P: Peer>(work: &Work, dir: &Path) -> Result<(Cell, Duration), Trouble> {
    let mut shop = in_time("opening the shop", P::open(dir, work.tills, true)).await?;
    let (away, others) = (work.tills - 1, work.tills - 1);
    // One sale each, so that nobody is measured beginning.
    for (till, sale) in (0..work.tills).zip(&work.day) {
        let id = in_time("a sale", shop.sell(till, bytes(sale))).await?;
        for other in 0..work.tills {
            in_time("a sale to be shown", shop.shown(other, &id)).await?;
        }
    }
    let dark = Instant::now();
    in_time("cutting a terminal off", shop.cut(true)).await?;
    let own = work.hour.len() / work.tills;
    let (of_away, of_others) = work.hour.split_at(own);
    let shop_ref = &shop;
    let selling = of_others
        .iter()
        .enumerate()
        .map(|(nth, sale)| async move { in_time("a sale", shop_ref.sell(nth % others, bytes(sale))).await });
    let theirs: Vec<P::Id> = stream::iter(selling).buffered(AT_ONCE).try_collect().await?;
    // The others come to rest first: in a shop they have processors of their own.
    for other in 0..others {
        for id in &theirs {
            in_time("a sale to be shown", shop.shown(other, id)).await?;
        }
    }
    let (mut ours, mut took) = (Vec::new(), Vec::new());
    if P::alone().is_ok() {
        for sale in of_away {
            let started = Instant::now();
            ours.push(in_time("a sale while cut off", shop.sell(away, bytes(sale))).await?);
            took.push(started.elapsed());
        }
    }
    tokio::time::sleep(Duration::from_millis(work.dark_ms).saturating_sub(dark.elapsed())).await;
    let started = Instant::now();
    in_time("letting a terminal in again", shop.cut(false)).await?;
    for id in &theirs {
        in_time("a sale to be caught up", shop.shown(away, id)).await?;
    }
    for other in 0..others {
        for id in &ours {
            in_time("a sale of the cut terminal to be shown", shop.shown(other, id)).await?;
        }
    }
    let healed = started.elapsed();
    in_time("closing the shop", shop.stop()).await?;
    let alone = match P::alone() {
        Ok(()) => spread(took),
        Err(why) => Cell::Cannot(why.to_owned()),
    };
    Ok((alone, healed))
}

async fn in_time<T>(what: &str, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let late = |_| Trouble::new(what, format!("not within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, work).await.map_err(late)?
}

/// Percentiles; a column without samples says so.
pub(crate) fn spread(samples: Vec<Duration>) -> Cell {
    let Some(spread) = Spread::of(samples) else { return Cell::Cannot("no samples".to_owned()) };
    Cell::Spread(nanos(spread.p50), nanos(spread.p99))
}

/// Whole nanoseconds.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Bytes that a process holds in memory.
fn resident(pid: u32) -> Result<u64, Trouble> {
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib << 10)
        .ok_or_else(|| Trouble::new("reading a process's memory", "it does not say VmRSS"))
}

/// Bytes that went over the loopback so far, everybody's.
fn loopback() -> Result<u64, Trouble> {
    let devices = read_to_string("/proc/net/dev")?;
    let received = devices
        .lines()
        .find_map(|line| line.trim().strip_prefix("lo:")?.split_whitespace().next()?.parse().ok());
    received.ok_or_else(|| Trouble::new("reading what went over the loopback", "there is none"))
}
