//! Boxes and cables that are dark: F21, F22, F23.

use std::time::{Duration, Instant};

use super::super::failure::Failure;
use super::super::shop::{HUB, Shop, TILLS, settled};
use super::Seen;

/// After a cable is plugged in or a box is back.
pub(super) const RELINK: Duration = Duration::from_secs(1);
/// Until a peer that does not answer is taken for gone.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// F21: nothing changes for the tills, and they keep each other up to date.
pub fn hub_dark(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    shop.kill(HUB)?;
    shop.wait("every till to see that the hub is dark", |shop| {
        shop.each_till(|status| status["hub"]["linked"] == false)
    })?;
    shop.all_sell(&TILLS, 3)?;
    tills_agree(shop, seen, "without a hub all tills hold the same")?;
    let back = Instant::now();
    shop.start(HUB)?;
    shop.meet()?;
    seen.within("all linked again", back.elapsed(), RELINK)
}

/// F21: the till without a network sells on, and is back within a second.
pub fn till_unplugged(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, ..] = TILLS;
    shop.wire.cable(till, false)?;
    let pulled = Instant::now();
    shop.until(till, "the hub to be dark", |status| status["hub"]["linked"] == false)?;
    seen.within("the till saw it", pulled.elapsed(), SILENCE)?;
    shop.until(till, "no link", |status| settled(status) == 0)?;
    shop.all_sell(&TILLS, 3)?;
    shop.wire.cable(till, true)?;
    relinks(shop, seen, till)
}

/// F22: half a link is none; what the till sells reaches the hub by the others.
pub fn one_way(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, ..] = TILLS;
    shop.wire.deaf_to(till, shop.machine(HUB).last)?;
    let deaf = Instant::now();
    shop.until(till, "the hub to be dark", |status| status["hub"]["linked"] == false)?;
    seen.within("half a link was dropped", deaf.elapsed(), SILENCE)?;
    shop.all_sell(&TILLS, 2)?;
    agree_meanwhile(shop, seen)?;
    shop.wire.clear(till)?;
    relinks(shop, seen, till)
}

/// F23: what a till sells reaches the hub by whoever reaches both, and counts once at headquarters.
pub fn partial(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, bridge, other] = TILLS;
    let drop_from = |last: u8| format!("ip saddr 10.99.0.{last} drop");
    let drop_to = |last: u8| format!("ip daddr 10.99.0.{last} drop");
    let (hub, third) = (shop.machine(HUB).last, shop.machine(other).last);
    shop.wire.rules_in(till, &[&drop_from(hub)])?;
    shop.wire.rules_out(till, &[&drop_to(hub)])?;
    shop.until(till, "the hub to be dark", |status| status["hub"]["linked"] == false)?;
    shop.all_sell(&TILLS, 2)?;
    agree_meanwhile(shop, seen)?;
    shop.wire.rules_in(till, &[&drop_from(hub), &drop_from(third)])?;
    shop.wire.rules_out(till, &[&drop_to(hub), &drop_to(third)])?;
    shop.until(till, "one neighbour only", |status| settled(status) == 1)?;
    shop.all_sell(&TILLS, 2)?;
    agree_meanwhile(shop, seen)?;
    seen.note(format!("{bridge} relayed both ways"));
    shop.wire.clear(till)?;
    relinks(shop, seen, till)
}

/// With the fault still there, and nobody selling, everybody comes to hold the same.
pub(super) fn agree_meanwhile(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    shop.rest()?;
    let took = shop.agree()?;
    seen.note(format!("all agreed in spite of it after {} ms", took.as_millis()));
    shop.go_on();
    Ok(())
}

/// The fault has ended: how long until the till is linked to the hub again.
pub(super) fn relinks(shop: &mut Shop, seen: &mut Seen, till: &str) -> Result<(), Failure> {
    let healed = Instant::now();
    shop.until(till, "the hub", |status| status["hub"]["linked"] == true)?;
    seen.within("linked to the hub again", healed.elapsed(), RELINK)?;
    shop.meet()
}

/// The tills hold the same while nobody sells and there is no hub to ask.
fn tills_agree(shop: &mut Shop, seen: &mut Seen, what: &str) -> Result<(), Failure> {
    shop.rest()?;
    let started = Instant::now();
    shop.wait(what, |shop| {
        let mut said = Vec::new();
        for till in shop.tills() {
            said.push(shop.status(till)?["digests"].to_string());
        }
        said.dedup();
        if said.len() == 1 { Ok(()) } else { Err(said.join(" ")) }
    })?;
    seen.note(format!("{what} after {} ms", started.elapsed().as_millis()));
    shop.go_on();
    Ok(())
}
