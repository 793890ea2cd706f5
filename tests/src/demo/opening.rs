//! Opening the shop: a printer, headquarters, a hub and three terminals, from nothing to the first customer.
//!
//! It does what a person would: `hqd init`, `hqd add-store`, `hubd init`, `hubctl join-hq`, `hubctl enrol`, `terminal-agent
//! enrol`, `hqd publish`, and opens the business day on one terminal.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;

use serde_json::json;

use super::counter::Counter;
use super::stage::{HQ, HUB, PRINTER, Stage, TILLS, number, text};
use super::trouble::Trouble;
use crate::assortment::Item;
use crate::process::{free_tcp_port, free_udp_port};
use crate::sheet::Date;

/// What people call the store.
pub const STORE: &str = "Demo shop";
/// What the sheet is priced in.
pub const CURRENCY: &str = "GBP";
const CATALOGUE: &str = "the day's assortment";

/// Opens the shop for a day and returns a counter for each terminal.
pub fn open(stage: &mut Stage, items: &[Item], date: &Date) -> Result<Vec<Counter>, Trouble> {
    let printer = printer(stage)?;
    let hq = headquarters(stage)?;
    let hub = hub(stage, printer, hq)?;
    let counters = terminals(stage, hub)?;
    stock_up(stage, items, &counters)?;
    meet(stage, &counters)?;
    open_day(stage, &counters, date)?;
    Ok(counters)
}

fn printer(stage: &mut Stage) -> Result<SocketAddr, Trouble> {
    let door = tcp()?;
    let out = stage.data(PRINTER).display().to_string();
    stage.cast(PRINTER, &["virtual-printer", "--listen", &door.to_string(), "--out", &out], Some(door));
    stage.start(PRINTER)?;
    stage.wait_up(PRINTER)?;
    Ok(door)
}

/// Returns the address at which the hub finds headquarters.
fn headquarters(stage: &mut Stage) -> Result<SocketAddr, Trouble> {
    let (listen, front) = cable(stage, HQ)?;
    let settings = stage.settle(HQ, &format!("[links]\nlisten = \"{listen}\"\n"))?;
    let data = stage.data(HQ).display().to_string();
    stage.order(&["hqd", "init", "--name", "Head office", "--data", &data])?;
    stage.cast(HQ, &["hqd", "run", "--data", &data, "--config", &settings], None);
    stage.start(HQ)?;
    stage.wait_up(HQ)?;
    Ok(front)
}

/// Returns the address at which terminals find the hub.
fn hub(stage: &mut Stage, printer: SocketAddr, hq: SocketAddr) -> Result<SocketAddr, Trouble> {
    let (listen, front) = cable(stage, HUB)?;
    let settings = stage.settle(
        HUB,
        &format!(
            "[shop]\nname = \"{STORE}\"\ncurrency = \"{CURRENCY}\"\n\n\
             [links]\nlisten = \"{listen}\"\nadvertise = [\"{front}\"]\nmdns = false\n\n\
             [printer]\naddress = \"{printer}\"\n"
        ),
    )?;
    let data = stage.data(HUB).display().to_string();
    let place = ["--data", &data, "--config", &settings];
    let init = stage
        .ask(&[&["hubd", "init", "--json", "--name", STORE, "--currency", CURRENCY], &place[..2]].concat())?;
    let recovery = keep_recovery_code(stage, text("hubd init", &init, "/recovery_code")?)?;
    stage.cast(HUB, &[&["hubd", "run"], &place[..]].concat(), None);
    stage.start(HUB)?;
    stage.wait_up(HUB)?;
    let code = stage.hqd(&["add-store", STORE, "--currency", CURRENCY])?;
    let code = text("hqd add-store", &code, "/code")?;
    stage.hubctl(&["join-hq", code, "--hq", &hq.to_string(), "--recovery-code", &recovery])?;
    Ok(front)
}

/// The recovery code is for a safe; the demo's safe is a file that only its owner reads.
fn keep_recovery_code(stage: &Stage, code: &str) -> Result<String, Trouble> {
    let path = stage.dir().join("recovery-code");
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, code.as_bytes()));
    written.map_err(Trouble::system(format!("cannot write {}", path.display())))?;
    Ok(path.display().to_string())
}

fn terminals(stage: &mut Stage, hub: SocketAddr) -> Result<Vec<Counter>, Trouble> {
    let mut cables = Vec::new();
    for name in TILLS {
        cables.push((name, cable(stage, name)?));
    }
    let mut counters = Vec::new();
    for (at, (name, (listen, front))) in cables.iter().enumerate() {
        let others = cables.iter().filter(|(other, _)| other != name).map(|(_, (_, front))| *front);
        let peers: Vec<String> = std::iter::once(hub).chain(others).map(|peer| peer.to_string()).collect();
        let door = tcp()?;
        let settings = stage.settle(
            name,
            &format!(
                "[api]\nlisten = \"{door}\"\n\n\
                 [links]\nlisten = \"{listen}\"\nadvertise = [\"{front}\"]\npeers = {peers:?}\nmdns = false\n\n\
                 [till]\ncurrency = \"{CURRENCY}\"\n\n[receipt]\nheader = [\"{STORE}\"]\n"
            ),
        )?;
        let data = stage.data(name).display().to_string();
        let place = ["--data", &data, "--config", &settings];
        let code = stage.hubctl(&["enrol", &format!("Till {}", at + 1)])?;
        let code = text("hubctl enrol", &code, "/code")?;
        stage.order(&[&["terminal-agent", "enrol", code, "--hub", &hub.to_string()], &place[..]].concat())?;
        stage.cast(name, &[&["terminal-agent", "run"], &place[..]].concat(), Some(door));
        stage.start(name)?;
        stage.wait_up(name)?;
        counters.push(Counter::of(stage, name)?);
    }
    Ok(counters)
}

/// HQ publishes what the day sells; every terminal must price from it before the first customer comes.
fn stock_up(stage: &mut Stage, items: &[Item], counters: &[Counter]) -> Result<(), Trouble> {
    let file = stage.dir().join("assortment.csv");
    let sheet = sheet_of(items).map_err(Trouble::system("cannot write the assortment as CSV"))?;
    fs::write(&file, sheet).map_err(Trouble::system(format!("cannot write {}", file.display())))?;
    stage.hqd(&["publish", &file.display().to_string(), "--all", "--name", CATALOGUE])?;
    let wanted = u64::try_from(items.len()).unwrap_or(u64::MAX);
    stage.wait("the catalogue on every terminal", |_| {
        for counter in counters {
            let status = counter.ask("/v1/status")?;
            let has = status.pointer("/catalogue/items").is_some();
            if !has || number(counter.name(), &status, "/catalogue/items")? != wanted {
                return Ok(Err(format!("{}: {}", counter.name(), status["catalogue"])));
            }
        }
        Ok(Ok(()))
    })
}

fn sheet_of(items: &[Item]) -> std::io::Result<Vec<u8>> {
    let mut sheet = csv::Writer::from_writer(Vec::new());
    sheet.write_record(["sku", "name", "price", "service"])?;
    for item in items {
        let service = if item.service { "yes" } else { "no" };
        sheet.write_record([&item.code, &item.name, item.price.as_str(), service])?;
    }
    sheet.into_inner().map_err(|unwritten| unwritten.into_error())
}

/// Waits until everybody sees everybody, so that what is cut later was there before.
fn meet(stage: &mut Stage, counters: &[Counter]) -> Result<(), Trouble> {
    stage.wait("all links of all terminals", |_| {
        for counter in counters {
            let status = counter.ask("/v1/status")?;
            let links = status["links"].as_array().map_or(&[][..], Vec::as_slice);
            if links.iter().filter(|link| link["settled"] == true).count() < TILLS.len() {
                return Ok(Err(format!("{}: {}", counter.name(), status["links"])));
            }
        }
        Ok(Ok(()))
    })
}

fn open_day(stage: &mut Stage, counters: &[Counter], date: &Date) -> Result<(), Trouble> {
    let Some(first) = counters.first() else { return Ok(()) };
    first.tell("/v1/day", "open the day", Some(&json!({ "date": date.as_str() })))?;
    stage.wait("the business day on every terminal", |_| {
        for counter in counters {
            let status = counter.ask("/v1/status")?;
            if status["business_day"] != date.as_str() {
                return Ok(Err(format!("{}: {}", counter.name(), status["business_day"])));
            }
        }
        Ok(Ok(()))
    })
}

/// A UDP port for a box, and the relay in front of it.
fn cable(stage: &mut Stage, name: &str) -> Result<(SocketAddr, SocketAddr), Trouble> {
    let port = free_udp_port().map_err(Trouble::system("there is no free UDP port"))?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let front = stage.lan.front(name, listen).map_err(Trouble::system("there is no socket for a relay"))?;
    Ok((listen, front))
}

fn tcp() -> Result<SocketAddr, Trouble> {
    let port = free_tcp_port().map_err(Trouble::system("there is no free TCP port"))?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Price;

    #[test]
    fn names_with_commas_and_inch_signs_go_into_the_catalogue_whole() {
        let item = Item {
            code: "85123A".into(),
            name: "FRAME 7\", WHITE".into(),
            price: Price::parse("2.55").unwrap(),
            service: false,
        };
        let sheet = String::from_utf8(sheet_of(&[item]).unwrap()).unwrap();
        assert_eq!(sheet, "sku,name,price,service\n85123A,\"FRAME 7\"\", WHITE\",2.55,no\n");
    }
}
