//! Strangers on the network: a rogue hub and forged mDNS, a flood, another store: F20, F27, F32.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::failure::{Failure, must};
use super::super::opening::text;
use super::super::shop::{DAY, HUB, Shop, TILLS, has_alert};
use super::super::wire::address;
use super::Seen;

/// Another store's hub.
const ROGUE: &str = "rogue";
const ROGUE_LAST: u8 = 66;
/// Lines about a stranger in one till's log: rate-limited, whatever he does.
const LINES_MAX: usize = 5;
/// Who floods.
const FLOODER: &str = "flooder";
const FLOODER_LAST: u8 = 68;
/// Datagrams in one go, and between two goes. More would only measure how fast this machine makes them.
const BURST: usize = 40;
const BREATH: Duration = Duration::from_millis(10);
/// How much a node's memory may grow while it is flooded.
const GROWN_KIB_MAX: u64 = 64 << 10;

/// F32: another store's hub answers where forged mDNS says that ours is, while ours is dark.
pub fn rogue_hub(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, ..] = TILLS;
    shop.found_apart(ROGUE, ROGUE_LAST)?;
    shop.start(ROGUE)?;
    let (ours, theirs) = (shop.status(HUB).map_err(Failure::Wrong)?, entries(shop, ROGUE)?);
    let (store, hub) = (text(&ours, "/store/id")?, text(&ours, "/hub/node")?);
    let forger = shop.tool(ROGUE, "forger", &[&store, &hub, "7420"])?;
    shop.all_sell(&TILLS, 2)?;
    must(shop.each_till(|status| status["hub"]["linked"] == true).is_ok(), || {
        "a forged hint alone broke a link".into()
    })?;
    let lines = strangers_in(&shop.log(till));
    shop.kill(HUB)?;
    shop.until(till, "the wrong hub", |status| has_alert(status, "wrong-peer"))?;
    shop.all_sell(&TILLS, 3)?;
    shop.start(HUB)?;
    let back = Instant::now();
    shop.meet()?;
    seen.note(format!("the right hub was found {} ms after it was back", back.elapsed().as_millis()));
    shop.wait("the alert to go", |shop| shop.each_till(|status| !has_alert(status, "wrong-peer")))?;
    let told = strangers_in(&shop.log(till)) - lines;
    must(told <= LINES_MAX, || format!("{till} wrote {told} lines about one stranger"))?;
    let got = entries(shop, ROGUE)?;
    must(got == theirs, || format!("the rogue had {theirs} entries and has {got}"))?;
    seen.note(format!("the rogue got nothing and cost {told} lines and an alert"));
    forger.kill()?;
    shop.stop(ROGUE)?;
    shop.remove(ROGUE);
    Ok(())
}

fn entries(shop: &Shop, hub: &str) -> Result<u64, Failure> {
    Ok(shop.status(hub).map_err(Failure::Wrong)?["entries"].as_u64().unwrap_or(0))
}

fn strangers_in(log: &str) -> usize {
    log.lines().filter(|line| line.contains("is not who was expected")).count()
}

/// F27: a stranger floods every port with noise and multicast with names; the tills do not notice.
pub fn flood(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    shop.wire.plug(FLOODER, FLOODER_LAST)?;
    shop.wire.route_multicast(FLOODER)?;
    let boxes: Vec<&str> = TILLS.into_iter().chain([HUB]).collect();
    let targets = boxes.iter().map(|name| (address(shop.machine(name).last), port_of(name))).collect();
    let before = boxes.iter().map(|name| shop.cost(name)).collect::<Result<Vec<_>, _>>()?;
    let (flood, began) = (Flood::start(shop, targets)?, Instant::now());
    shop.all_sell(&TILLS, 8)?;
    let (sent, took) = (flood.stop(), began.elapsed());
    let (mut cpu, mut grown) = (0, 0);
    for (name, before) in boxes.iter().zip(before) {
        let now = shop.cost(name)?;
        // Ticks are hundredths of a second, so a share of a core in per cent.
        let ticks = u128::from(now.cpu_ticks - before.cpu_ticks) * 1_000;
        cpu = cpu.max(ticks / took.as_millis().max(1));
        grown = grown.max(now.resident_kib.saturating_sub(before.resident_kib));
    }
    seen.note(format!(
        "{sent} datagrams in {} ms; the busiest node took {cpu} % of a core and grew by {grown} KiB",
        took.as_millis()
    ));
    must(cpu <= 110, || format!("a node took {cpu} % of a core"))?;
    must(grown <= GROWN_KIB_MAX, || format!("a node grew by {grown} KiB"))?;
    shop.wire.unplug(FLOODER);
    shop.meet()
}

fn port_of(name: &str) -> u16 {
    if name == HUB { 7_420 } else { 7_421 }
}

/// A thread in a namespace of its own that sends until told to stop.
struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn start(shop: &Shop, targets: Vec<(Ipv4Addr, u16)>) -> Result<Self, Failure> {
        let cannot = |e| Failure::system("cannot flood", e);
        let socket = shop.wire.door(FLOODER).run(|| UdpSocket::bind((address(FLOODER_LAST), 5_353)))?;
        let socket = socket.map_err(cannot)?;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let spawned = std::thread::Builder::new().name("flood".into()).spawn(move || {
            let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
            while !told.load(Ordering::Relaxed) {
                for _ in 0..BURST {
                    dice =
                        dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let (bytes, to) = datagram(dice, &targets);
                    // A full queue drops it, as a network would.
                    let _ = socket.send_to(&bytes, to);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::park_timeout(BREATH);
            }
        });
        Ok(Self { stop, sent, thread: Some(spawned.map_err(cannot)?) })
    }

    fn stop(self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

/// Noise that begins like QUIC, noise by multicast, or a hub by a name that nobody has.
fn datagram(dice: u64, targets: &[(Ipv4Addr, u16)]) -> (Vec<u8>, (Ipv4Addr, u16)) {
    const MDNS: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5_353);
    let noise = |length: usize| -> Vec<u8> { dice.to_be_bytes().into_iter().cycle().take(length).collect() };
    match dice >> 61 {
        0 => (noise(200), MDNS),
        1 => (named(&format!("{dice:020}")), MDNS),
        nth => {
            let mut bytes = noise(1_200);
            // A long header of version 1: what a handshake begins with.
            bytes[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
            let target = usize::try_from(nth).unwrap_or(0) % targets.len().max(1);
            (bytes, targets.get(target).copied().unwrap_or(MDNS))
        }
    }
}

/// An answer by mDNS: there is a hub of this name. Source: RFC 1035 § 4, RFC 6763 § 4.
fn named(name: &str) -> Vec<u8> {
    let label = |text: &str| [&[u8::try_from(text.len()).unwrap_or(63)], text.as_bytes()].concat();
    let service = [label("_toko-hub"), label("_udp"), label("local"), vec![0]].concat();
    let target = [label(name), service.clone()].concat();
    let length = u16::try_from(target.len()).unwrap_or(0).to_be_bytes();
    let header = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    // PTR, IN, two minutes.
    let record = [&service[..], &[0, 12, 0, 1, 0, 0, 0, 120], &length, &target].concat();
    [&header[..], &record].concat()
}

/// F20: a till is carried into another store: nothing flows, its sales wait for its own; enrolled there it begins anew.
pub fn other_store(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [.., till] = TILLS;
    shop.found_apart(ROGUE, ROGUE_LAST)?;
    shop.start(ROGUE)?;
    let theirs = entries(shop, ROGUE)?;
    let own: Vec<String> = TILLS[..2].iter().chain(&[HUB]).map(|name| last_of(shop, name)).collect();
    let deaf: Vec<String> = own.iter().map(|last| format!("ip saddr {last} drop")).collect();
    shop.wire.rules_in(till, &deaf.iter().map(String::as_str).collect::<Vec<_>>())?;
    shop.kill(till)?;
    seen.excused.push(till);
    let at = shop.address(ROGUE);
    shop.machine_mut(till).settings.push(format!("links.hub={at}"));
    shop.start(till)?;
    shop.until(till, "the wrong hub", |status| has_alert(status, "wrong-peer"))?;
    shop.sells(till, 3)?;
    let got = entries(shop, ROGUE)?;
    must(got == theirs, || format!("the other store had {theirs} entries and has {got}"))?;
    // Enrolled there with a directory of its own it is another terminal.
    shop.rest()?;
    shop.send_home(till);
    shop.stop(till)?;
    let home = shop.machine(till).data.clone();
    shop.machine_mut(till).data = shop.dir().join("till-3-there");
    shop.enrol(till, ROGUE)?;
    shop.start(till)?;
    shop.until(till, "the other store's hub", |status| status["hub"]["linked"] == true)?;
    sell_a_tin(shop, till)?;
    shop.wait("the other store to have sold a tin", |shop| {
        let stock = shop.hubctl_of(ROGUE, &["stock", "TIN"]).map_err(|silent| silent.to_string())?;
        if stock["stock"][0]["qty"] == "-1.000" { Ok(()) } else { Err(stock.to_string()) }
    })?;
    seen.note(
        "at another store's hub it said so and gave and got nothing; enrolled there anew it sold there",
    );
    shop.stop(till)?;
    shop.machine_mut(till).settings.pop();
    shop.machine_mut(till).data = home;
    shop.wire.clear(till)?;
    shop.start(till)?;
    shop.sell_on(till)?;
    shop.go_on();
    shop.stop(ROGUE)?;
    shop.remove(ROGUE);
    shop.meet()
}

fn last_of(shop: &Shop, name: &str) -> String {
    address(shop.machine(name).last).to_string()
}

/// A sale of something that no catalogue has, outside of the ledger: it is the other store's.
fn sell_a_tin(shop: &Shop, till: &str) -> Result<(), Failure> {
    let post = |path: &str, key: &str, body| {
        Ok::<_, Failure>(shop.call(till, "POST", path, Some(key), Some(&body))?.granted()?)
    };
    post("/v1/day", "day", json!({ "date": DAY }))?;
    let cart = text(&post("/v1/carts", "cart", json!({}))?, "/cart")?;
    let line = json!({ "code": "TIN", "name": "TIN", "qty": "1", "unit_price": "1.00", "price_reason": "no catalogue" });
    post(&format!("/v1/carts/{cart}/lines"), "line", line)?;
    let money = json!({ "tenders": [{ "kind": "cash", "amount": "1.00" }] });
    post(&format!("/v1/carts/{cart}/sale"), "sale", money)?;
    Ok(())
}
