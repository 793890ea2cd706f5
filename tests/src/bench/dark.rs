//! Scans when boxes are dark: with everybody linked, with the hub killed, with nobody else there. No headquarters is asked by
//! a terminal in any of them.

use std::time::Duration;

use super::shop::Shop;
use super::table::{Figure, Row, percentiles_to_p999, ratio};
use super::till::Cashier;
use super::trouble::Trouble;
use super::turns::Turns;
use super::{Bench, DARK};

/// How much slower the slowest of a thousand may be.
const SLOWER_MAX: u64 = 110;

/// Lines through the API of one terminal.
pub fn dark(bench: &Bench, shop: &mut Shop) -> Result<Vec<Row>, Trouble> {
    let (mut all, mut no_hub, mut alone) = (Turns::default(), Turns::default(), Turns::default());
    for nth in 0..bench.pace.turns.min(3) {
        shop.others(true)?;
        scan(bench, shop, &mut all, &format!("linked-{nth}"))?;
        shop.hub.kill()?;
        scan(bench, shop, &mut no_hub, &format!("hub-dark-{nth}"))?;
        shop.others(false)?;
        scan(bench, shop, &mut alone, &format!("all-dark-{nth}"))?;
    }
    shop.others(true)?;
    let Some(all) = all.pooled() else { return Ok(Vec::new()) };
    let row = |turns: &Turns, what: &str| {
        let ours = turns.pooled()?;
        let times = ratio(Figure::Took(ours.p999), Figure::Took(all.p999));
        let row = Row::new(
            DARK,
            format!("scan → priced line, 100 000 items, API, {what}; all linked"),
            percentiles_to_p999(&ours),
        );
        Some(
            row.beside(percentiles_to_p999(&all), Some(times)).to_reach("p99.9 ≤ 1.1 ×", times <= SLOWER_MAX),
        )
    };
    Ok([row(&no_hub, "the hub killed"), row(&alone, "nobody else there")].into_iter().flatten().collect())
}

fn scan(bench: &Bench, shop: &Shop, turns: &mut Turns, shift: &str) -> Result<(), Trouble> {
    let mut cashier = Cashier::at(shop, 0, shift)?;
    Turns::default().stretch(Duration::from_millis(200), || cashier.sell())?;
    cashier.lines.clear();
    Turns::default().stretch(2 * bench.pace.stretch, || cashier.sell())?;
    turns.add(std::mem::take(&mut cashier.lines));
    Ok(())
}
