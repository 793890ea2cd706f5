//! Names that do not resolve, or resolve to somebody else: F30.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::super::failure::{Failure, must};
use super::super::shop::{HQ, HUB, Shop, TILLS};
use super::super::wire::address;
use super::Seen;
use crate::process::Daemon;

/// How the hub's settings name headquarters.
const NAME: &str = "hq.toko.test:7430";
/// The last number of the name server's address: the bridge's own.
const SERVER: u8 = 254;
/// Where the captive portal is, which speaks no QUIC.
const PORTAL: u8 = 13;
/// Lines that a hub may write about all this.
const LINES_MAX: usize = 60;

/// F30: headquarters moved and is known by its name; nobody answers for names, then a captive portal answers with itself, then
/// names are right. The shop sells, says why headquarters is dark, and writes no storm of lines.
pub fn no_names(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let home = shop.machine(HQ).last;
    let settings = shop.machine(HUB).settings.clone();
    shop.wire.ask_names_of(HUB, address(SERVER))?;
    shop.machine_mut(HUB).settings.push(format!("headquarters.addresses={NAME}"));
    shop.kill(HQ)?;
    shop.kill(HUB)?;
    move_headquarters(shop, 31)?;
    // Nobody answers, and nobody says so either.
    shop.wire.rules_out(HUB, &["udp dport 53 drop"])?;
    let lines = shop.log(HUB).lines().count();
    shop.start(HUB)?;
    shop.start(HQ)?;
    shop.all_sell(&TILLS, 2)?;
    let why = until_dark(shop, "does not resolve")?;
    seen.note(format!("without a resolver: {why}"));

    shop.wire.clear(HUB)?;
    let portal = name_server(shop, PORTAL)?;
    let at_portal = format!("{}:7430", address(PORTAL));
    let why = until_dark(shop, &at_portal)?;
    seen.note(format!("behind a captive portal: {why}"));
    shop.all_sell(&TILLS, 2)?;
    portal.kill()?;

    let right = name_server(shop, 31)?;
    let back =
        shop.until(HUB, "headquarters by its name", |status| status["headquarters"]["alive"] == true)?;
    let status = shop.status(HUB).map_err(Failure::Wrong)?;
    must(status["headquarters"]["unreachable"] == Value::Null, || format!("still dark: {status}"))?;
    let written = shop.log(HUB).lines().count() - lines;
    must(written < LINES_MAX, || format!("the hub wrote {written} lines about it"))?;
    seen.note(format!(
        "reached {} ms after names were right; {written} lines in the hub's log",
        back.as_millis()
    ));
    right.kill()?;

    shop.kill(HQ)?;
    shop.kill(HUB)?;
    move_headquarters(shop, home)?;
    shop.wire.forget_names(HUB);
    // It is remembered where it was last, and moved back: once more somebody has to say so.
    let at = format!("headquarters.addresses={}", shop.address(HQ));
    shop.machine_mut(HUB).settings = [settings, vec![at]].concat();
    shop.start(HQ)?;
    shop.start(HUB)?;
    shop.meet()
}

fn move_headquarters(shop: &mut Shop, last: u8) -> Result<(), Failure> {
    shop.wire.flush_addresses(HQ)?;
    shop.wire.add_address(HQ, last)?;
    shop.machine_mut(HQ).last = last;
    Ok(())
}

/// Answers every name with one address, from the bridge.
fn name_server(shop: &Shop, last: u8) -> Result<Daemon, Failure> {
    let (listen, answer): (Ipv4Addr, Ipv4Addr) = (address(SERVER), address(last));
    shop.tool("lan", "names", &[&format!("{listen}:53"), &answer.to_string()])
}

/// Waits until the hub says that headquarters is not reached, for this reason, and returns its words.
fn until_dark(shop: &mut Shop, reason: &str) -> Result<String, Failure> {
    shop.wait(&format!("the hub to say of headquarters: {reason}"), |shop| {
        let status = shop.status(HUB)?;
        let why = status["headquarters"]["unreachable"].as_str().unwrap_or_default();
        if why.contains(reason) { Ok(why.to_owned()) } else { Err(status["headquarters"].to_string()) }
    })
}
