//! A shop of 24 real terminals at rest: what links cost while nobody does anything.

use std::time::{Duration, Instant};

use super::shop::{Node, Shop};
use super::table::{Figure, Row, ratio};
use super::trouble::Trouble;
use super::{Bench, REST};
use crate::machine;

/// Terminals.
const TILLS: usize = 24;
/// What a node may take, in hundredths of a percent of a core.
const SHARE_MAX: u64 = 50;
/// A clock tick of the kernel's accounting, in hundredths of a percent of a second.
const TICK: u64 = 100;
/// The most links of a terminal in such a shop: to the hub, to four others, and from four.
const AGENT_LINKS: usize = 9;
/// A second's word on a link, with everything around it.
const DATAGRAM: usize = 113;
/// How long the bare machine is watched.
const BARE: Duration = Duration::from_secs(5);
/// Until what was said at the beginning is done with.
const CALM: Duration = Duration::from_secs(4);

/// Processor time of the hub and of the busiest terminal.
pub fn rest(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let shop = Shop::found(bench, "rest", TILLS)?;
    std::thread::sleep(CALM);
    let nodes: Vec<&Node> =
        std::iter::once(&shop.hub).chain(shop.tills.iter().map(|(till, _)| till)).collect();
    let ticks = || nodes.iter().map(|node| Ok(node.cost()?.cpu_ticks)).collect::<Result<Vec<u64>, Trouble>>();
    let (before, started) = (ticks()?, Instant::now());
    std::thread::sleep(bench.pace.idle);
    let (after, millis) = (ticks()?, u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1));
    let share = |(before, after): (&u64, &u64)| after.saturating_sub(*before) * TICK * 1_000 / millis;
    let shares: Vec<u64> = before.iter().zip(&after).map(share).collect();
    let [hub, agents @ ..] = shares.as_slice() else { return Ok(Vec::new()) };
    let agent = agents.iter().max().copied().unwrap_or_default();
    let row = |who: &str, share: u64, links: usize| -> Result<Row, Trouble> {
        let what = format!("processor time of {who} at rest, {TILLS} terminals linked, {} s", millis / 1_000);
        Ok(beside_bare(Row::new(REST, what, vec![("of a core", Figure::Share(share))]), share, links)?
            .to_reach("≤ 0.5 %", share <= SHARE_MAX))
    };
    Ok(vec![row("the hub", *hub, TILLS)?, row("the busiest agent", agent, AGENT_LINKS)?])
}

/// The row with what the bare machine takes for as many datagrams: each second brings one of the peer's and the word that
/// ours came, on each link.
pub fn beside_bare(row: Row, share: u64, links: usize) -> Result<Row, Trouble> {
    let answers = u32::try_from(2 * links).unwrap_or(u32::MAX);
    let spent = machine::udp_rest(DATAGRAM, answers, BARE)?;
    let bare = u64::try_from(spent.as_micros() * 10_000 / BARE.as_micros()).unwrap_or(u64::MAX);
    let times = ratio(Figure::Share(share), Figure::Share(bare));
    Ok(row.beside(vec![("as many datagrams", Figure::Share(bare))], Some(times)))
}
