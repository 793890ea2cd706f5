//! Lines that lose, delay, reorder, swallow what is large, or are narrow: F24, F25, F34.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::super::failure::{Failure, must};
use super::super::opening::catalogue_of;
use super::super::shop::{HQ, HUB, Shop, TILLS};
use super::super::wire::address;
use super::Seen;
use super::cable::agree_meanwhile;
use crate::relay::{Relay, Weather};

/// What a bad line does to each datagram, beside losing 30 of a hundred.
const STORM: Weather = Weather { delay_ms_max: 500, doubled_percent: 10 };
const LOSS: &str = "meta l4proto udp numgen random mod 100 < 30 drop";
/// QUIC's smallest datagram, with the headers of UDP and IPv4.
const HOLE: &str = "meta length > 1228 drop";
const BOXES: [&str; 4] = [TILLS[0], TILLS[1], TILLS[2], HUB];
/// Sales of each till whose bytes are counted.
const COUNTED: usize = 6;
/// Bytes on the wire in a storm, against a calm day.
const BYTES_FACTOR_MAX: u64 = 3;

/// F24: a third is lost, the rest comes late, out of order and twice; all arrive at the same books.
pub fn storm(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let calm = bytes_of_a_sale(shop)?;
    let relays = detours(shop)?;
    for name in BOXES {
        shop.wire.rules_in(name, &[LOSS])?;
    }
    shop.all_sell(&TILLS, 2)?;
    let stormy = bytes_of_a_sale(shop)?;
    let through: u64 = relays.iter().map(|relay| relay.counts().up + relay.counts().down).sum();
    must(through > 100, || format!("only {through} datagrams went through the storm"))?;
    seen.note(format!(
        "{through} datagrams in the storm; {stormy} bytes a sale, calm {calm} (≤ {BYTES_FACTOR_MAX} × wanted)"
    ));
    must(stormy <= calm * BYTES_FACTOR_MAX * 2, || {
        format!("{stormy} bytes a sale in the storm, calm {calm}")
    })?;
    for name in BOXES {
        shop.wire.clear(name)?;
    }
    shop.meet()
}

/// Bytes on the wire until everybody holds what all tills sold, for each sale.
fn bytes_of_a_sale(shop: &mut Shop) -> Result<u64, Failure> {
    shop.rest()?;
    shop.agree()?;
    let (before, mark) = (shop.wire.bytes_sent()?, shop.ledger.mark());
    shop.go_on();
    shop.all_sell(&TILLS, COUNTED)?;
    shop.rest()?;
    shop.agree()?;
    let (bytes, sales) = (shop.wire.bytes_sent()? - before, shop.ledger.acks_since(&mark).len());
    shop.go_on();
    Ok(bytes / u64::try_from(sales.max(1)).unwrap_or(u64::MAX))
}

/// A relay in bad weather before the hub and before each till; every box sends through them without knowing.
fn detours(shop: &Shop) -> Result<Vec<Relay>, Failure> {
    let mut relays = Vec::new();
    for target in BOXES {
        let at: SocketAddr = shop.address(target).parse().map_err(|odd| Failure::wrong(format!("{odd}")))?;
        let relay = shop.wire.switch_door().run(|| Relay::start_on(IpAddr::V4(address(254)), at))?;
        let relay = relay.map_err(|e| Failure::system("cannot start a relay", e))?;
        relay.disturb(STORM, 24);
        for name in BOXES.into_iter().filter(|name| *name != target) {
            shop.wire.divert(
                name,
                (address(shop.machine(target).last), at.port()),
                relay.address().port(),
            )?;
        }
        relays.push(relay);
    }
    Ok(relays)
}

/// F25: whatever is larger than QUIC's smallest packet vanishes; nothing that a shop does needs more.
pub fn hole(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    for name in BOXES.into_iter().chain([HQ]) {
        shop.wire.rules_in(name, &[HOLE])?;
    }
    let [.., away] = TILLS;
    seen.excused.push(away);
    shop.kill(away)?;
    shop.all_sell(&TILLS[..2], 3)?;
    shop.start(away)?;
    shop.until(away, "the hub", |status| status["hub"]["linked"] == true)?;
    let sent = Instant::now();
    shop.publish("through the hole", &catalogue_of(2_000))?;
    seen.note(format!("2 002 items on all tills after {} ms", sent.elapsed().as_millis()));
    agree_meanwhile(shop, seen)?;
    for name in BOXES.into_iter().chain([HQ]) {
        shop.wire.clear(name)?;
    }
    shop.meet()
}

/// F34: the line to headquarters is full; the shop does not notice, and sales go before the catalogue.
pub fn narrow(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    shop.wire.throttle(HQ, "64kbit")?;
    let sent = Instant::now();
    shop.send_out("through the straw", &catalogue_of(1_500))?;
    let [till, ..] = TILLS;
    let mark = shop.ledger.mark();
    shop.all_sell(&TILLS, 3)?;
    shop.rest()?;
    let Some(sale) = shop.ledger.acks_since(&mark).into_iter().rfind(|ack| ack.till == till) else {
        return Err(Failure::wrong("no sale was made"));
    };
    let path = format!("/v1/sales/{}", sale.sale);
    shop.wait("headquarters to hold a sale although the line is full", |shop| {
        let seen = shop.get(till, &path)?;
        if seen["holders"]["hq"] == true { Ok(()) } else { Err(seen["holders"].to_string()) }
    })?;
    let held = sent.elapsed();
    let has_catalogue =
        shop.status(till).map_err(Failure::Wrong)?["catalogue"]["name"] == "through the straw";
    let order = if has_catalogue { "after" } else { "before" };
    seen.note(format!(
        "headquarters held a sale {} ms on, {order} the catalogue was through",
        held.as_millis()
    ));
    shop.go_on();
    shop.all_sell(&TILLS, 3)?;
    shop.wire.unthrottle(HQ)?;
    shop.wait_for("the catalogue on every till", Duration::from_secs(60), |shop| {
        shop.each_till(|status| status["catalogue"]["name"] == "through the straw")
    })?;
    seen.note(format!("the catalogue came {} ms on", sent.elapsed().as_millis()));
    Ok(())
}
