//! Addresses that change, go or come twice, and multicast that is filtered: F14, F28, F29, F31.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::failure::{Failure, must};
use super::super::shop::{HUB, Shop, TILLS};
use super::super::wire::address;
use super::Seen;
use super::cable::{RELINK, agree_meanwhile};

/// Until a hub at a new address is found by all: those who dial it do not know it, so it dials them after 3 s.
const FOUND: Duration = Duration::from_secs(5);
/// Multicast DNS, both ways.
const NO_MDNS: &str = "udp dport 5353 drop";

/// F28: a till roams: another address while it is linked, then again with a gap.
pub fn till_roams(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, others @ ..] = TILLS;
    let home = shop.machine(till).last;
    let moved = Instant::now();
    move_to(shop, till, 21)?;
    heard_at(shop, till, 21)?;
    seen.within("at a new address in mid-link, heard there", moved.elapsed(), RELINK)?;
    shop.all_sell(&TILLS, 2)?;
    shop.wire.cable(till, false)?;
    shop.all_sell(&others, 2)?;
    move_to(shop, till, home)?;
    shop.wire.cable(till, true)?;
    let back = Instant::now();
    heard_at(shop, till, home)?;
    seen.within("after a gap and another address", back.elapsed(), RELINK)?;
    shop.meet()
}

/// F29: the hub loses its lease in mid-link and gets another one; nobody was told.
pub fn hub_moves(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let home = shop.machine(HUB).last;
    shop.wire.flush_addresses(HUB)?;
    shop.wait("every till to see that the hub is gone", |shop| {
        shop.each_till(|status| status["hub"]["linked"] == false)
    })?;
    shop.all_sell(&TILLS, 2)?;
    let moved = Instant::now();
    move_to(shop, HUB, 50)?;
    shop.meet()?;
    seen.within("all found the hub at its new address", moved.elapsed(), FOUND)?;
    seen.note(format!("by {}", rungs_to(shop, HUB)?));
    shop.all_sell(&TILLS, 1)?;
    move_to(shop, HUB, home)?;
    shop.meet()
}

/// F31: multicast is filtered; a till that starts, and a hub that moved, are found all the same.
pub fn filtered(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, ..] = TILLS;
    seen.excused.push(till);
    let home = shop.machine(HUB).last;
    for name in TILLS.into_iter().chain([HUB]) {
        shop.wire.rules_in(name, &[NO_MDNS])?;
        shop.wire.rules_out(name, &[NO_MDNS])?;
    }
    shop.kill(till)?;
    shop.start(till)?;
    let up = Instant::now();
    shop.meet()?;
    let rungs = rungs_of(shop, till)?;
    must(!rungs.contains("mdns"), || format!("{till} says it found somebody by {rungs}"))?;
    seen.note(format!(
        "{till} started and was linked to all after {} ms by {rungs}",
        up.elapsed().as_millis()
    ));
    let moved = Instant::now();
    move_to(shop, HUB, 51)?;
    shop.wait("every till to be linked to the hub at its new address", |shop| at_hub(shop, 51))?;
    seen.within("the hub moved and all were linked", moved.elapsed(), FOUND)?;
    shop.all_sell(&TILLS, 1)?;
    move_to(shop, HUB, home)?;
    shop.wait("every till to be linked to the hub at its old address", |shop| at_hub(shop, home))?;
    for name in TILLS.into_iter().chain([HUB]) {
        shop.wire.clear(name)?;
    }
    shop.meet()
}

/// F14: two tills have one address; the network serves one of them at a time, and both sell.
pub fn twice(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [one, two, third] = TILLS;
    let (double, home) = (shop.machine(one).last, shop.machine(two).last);
    move_to(shop, two, double)?;
    shop.all_sell(&TILLS, 6)?;
    let states = shop.hubctl(&["terminals"])?["terminals"].clone();
    let state = |name: &str| {
        let row = states.as_array().into_iter().flatten().find(|row| row["name"] == name);
        row.map_or(Value::Null, |row| row["state"].clone())
    };
    seen.note(format!("{one} {}, {two} {}, {third} {}", state(one), state(two), state(third)));
    move_to(shop, two, home)?;
    let healed = Instant::now();
    shop.meet()?;
    seen.note(format!("all linked {} ms after each had its own", healed.elapsed().as_millis()));
    agree_meanwhile(shop, seen)
}

/// Takes a box's address away and gives it another one at once.
fn move_to(shop: &mut Shop, name: &str, last: u8) -> Result<(), Failure> {
    shop.wire.flush_addresses(name)?;
    shop.wire.add_address(name, last)?;
    shop.machine_mut(name).last = last;
    Ok(())
}

/// Waits until the hub has a link with a till at this address.
fn heard_at(shop: &mut Shop, till: &str, last: u8) -> Result<(), Failure> {
    let at = format!("{}:", address(last));
    shop.wait(&format!("the hub to hear {till} at {at}"), |shop| {
        let rows = shop.hubctl(&["terminals"]).map_err(|silent| silent.to_string())?;
        let row = rows["terminals"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == till));
        let is_there = row.is_some_and(|row| {
            row["state"] == "linked" && row["address"].as_str().is_some_and(|said| said.starts_with(&at))
        });
        if is_there { Ok(()) } else { Err(format!("{row:?}")) }
    })
}

/// Whether every till that runs is linked to the hub at this address.
fn at_hub(shop: &Shop, last: u8) -> Result<(), String> {
    let at = format!("{}:", address(last));
    shop.each_till(|status| {
        let links = status["links"].as_array().map_or(&[][..], Vec::as_slice);
        let hub = links.iter().find(|link| link["node"] == status["hub"]["node"]);
        let is_there = |link: &Value| {
            link["settled"] == true && link["address"].as_str().is_some_and(|said| said.starts_with(&at))
        };
        hub.is_some_and(is_there)
    })
}

/// By which rungs of the ladder all tills reach a box.
fn rungs_to(shop: &Shop, name: &str) -> Result<String, Failure> {
    let node = shop.status(name).map_err(Failure::Wrong)?["hub"]["node"].clone();
    let mut rungs = Vec::new();
    for till in TILLS {
        let status = shop.status(till).map_err(Failure::Wrong)?;
        let link =
            status["links"].as_array().and_then(|links| links.iter().find(|link| link["node"] == node));
        rungs.push(link.map_or("none", |link| link["rung"].as_str().unwrap_or_default()).to_owned());
    }
    Ok(rungs.join(", "))
}

/// By which rungs a till reaches everybody.
fn rungs_of(shop: &Shop, till: &str) -> Result<String, Failure> {
    let status = shop.status(till).map_err(Failure::Wrong)?;
    let links = status["links"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(links.iter().filter_map(|link| link["rung"].as_str()).collect::<Vec<_>>().join(", "))
}
