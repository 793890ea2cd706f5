//! Processes that hang or are killed, again and again: F26, F40.

use std::time::{Duration, Instant};

use super::super::failure::Failure;
use super::super::shop::{HUB, Shop, TILLS};
use super::Seen;
use super::cable::{RELINK, SILENCE, relinks};

/// How often a box is killed in a row.
const KILLS: usize = 4;
/// From a start to the first answer.
const UP: Duration = Duration::from_millis(300);

/// F26: a hub that hangs with its sockets open is dark within two seconds.
pub fn hub_hangs(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    shop.freeze(HUB)?;
    let frozen = Instant::now();
    shop.wait("every till to see that the hub hangs", |shop| {
        shop.each_till(|status| status["hub"]["linked"] == false)
    })?;
    seen.within("all tills saw it", frozen.elapsed(), SILENCE)?;
    shop.all_sell(&TILLS, 3)?;
    shop.thaw(HUB)?;
    let thawed = Instant::now();
    shop.wait("every till to be linked", |shop| shop.each_till(|status| status["hub"]["linked"] == true))?;
    seen.within("all linked again", thawed.elapsed(), RELINK)?;
    shop.meet()
}

/// F26: a till that hangs is dark for the others, who sell on; it goes on where it was.
pub fn till_hangs(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, others @ ..] = TILLS;
    seen.excused.push(till);
    shop.freeze(till)?;
    let frozen = Instant::now();
    shop.wait("the hub to see that the till hangs", |shop| {
        let rows = shop.hubctl(&["terminals"]).map_err(|silent| silent.to_string())?;
        let rows = rows["terminals"].as_array().cloned().unwrap_or_default();
        let is_dark = rows.iter().any(|row| row["name"] == till && row["state"] == "dark");
        if is_dark { Ok(()) } else { Err(format!("{rows:?}")) }
    })?;
    seen.within("the hub saw it", frozen.elapsed(), SILENCE)?;
    shop.all_sell(&others, 3)?;
    shop.thaw(till)?;
    relinks(shop, seen, till)
}

/// F40: power cut after power cut at the hub, each as soon as it is back.
pub fn hub_killed(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let mut slowest = Duration::ZERO;
    for _ in 0..KILLS {
        shop.kill(HUB)?;
        shop.all_sell(&TILLS, 1)?;
        let started = Instant::now();
        shop.start(HUB)?;
        slowest = slowest.max(started.elapsed());
        shop.wait("a till to be linked", |shop| {
            let status = shop.status(TILLS[0])?;
            if status["hub"]["linked"] == true { Ok(()) } else { Err(status["hub"].to_string()) }
        })?;
    }
    seen.within(&format!("killed {KILLS} times, up"), slowest, UP)?;
    shop.meet()
}

/// F40: power cut after power cut at a till in the middle of its sales.
pub fn till_killed(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, ..] = TILLS;
    seen.excused.push(till);
    let mut slowest = Duration::ZERO;
    for nth in 0..KILLS {
        shop.kill(till)?;
        let started = Instant::now();
        shop.start(till)?;
        slowest = slowest.max(started.elapsed());
        // Once at the first sale, later in the middle of one.
        shop.sells(till, 1 + nth % 2)?;
    }
    seen.within(&format!("killed {KILLS} times, answering"), slowest, UP)?;
    shop.meet()
}
