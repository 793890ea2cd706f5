//! Copied, restored and replaced machines: F13, F15, F16, F17, F43.

use std::path::Path;
use std::time::{Duration, Instant};

use super::super::failure::{Failure, must};
use super::super::opening::catalogue_of;
use super::super::shop::{HQ, HUB, Part, Shop, TILLS, has_alert};
use super::super::wire::run;
use super::Seen;

/// A second machine with a till's directory.
const TWIN: &str = "twin";
/// The machine that takes the hub's place.
const HEIR: &str = "heir";
/// Until a blank machine is the hub.
const RECOVERED: Duration = Duration::from_secs(60);

/// F13: a till's directory runs on two machines; both sell, the hub names it.
pub fn cloned(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, ..] = TILLS;
    seen.excused.push(till);
    seen.numbers_twice = true;
    shop.kill(till)?;
    shop.place(TWIN, Part::Till, 24, &["till.currency=GBP"])?;
    copy(&shop.machine(till).data, &shop.machine(TWIN).data)?;
    shop.start(till)?;
    shop.start(TWIN)?;
    let both = Instant::now();
    shop.sell_on(TWIN)?;
    shop.all_sell(&[till, TWIN], 3)?;
    shop.until(HUB, "the clone", |status| has_alert(status, "clone-seen"))?;
    seen.note(format!("the hub named the clone {} ms after both ran", both.elapsed().as_millis()));
    let mark = shop.ledger.mark();
    shop.wait("two series", |shop| {
        let acks = shop.ledger.acks_since(&mark);
        let of = |name: &str| acks.iter().rfind(|ack| ack.till == name).map(|ack| ack.series);
        match (of(till), of(TWIN)) {
            (Some(one), Some(other)) if one != other => Ok(()),
            both => Err(format!("{both:?}")),
        }
    })?;
    seen.note("each numbers in a series of its own");
    shop.all_sell(&[till, TWIN], 2)
}

/// F16: a till's directory is put back from a backup; its own tail comes back from the others.
pub fn restored(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, ..] = TILLS;
    seen.excused.push(till);
    seen.numbers_twice = true;
    let backup = shop.dir().join("till-1.backup");
    shop.stop(till)?;
    copy(&shop.machine(till).data, &backup)?;
    shop.start(till)?;
    let mark = shop.ledger.mark();
    shop.sells(till, 3)?;
    shop.rest()?;
    shop.agree()?;
    let lost: Vec<_> = shop.ledger.acks_since(&mark).into_iter().filter(|ack| ack.till == till).collect();
    shop.stop(till)?;
    put_back(shop, till, &backup)?;
    shop.start(till)?;
    let back = Instant::now();
    for ack in &lost {
        shop.wait("its own sales to come back", |shop| {
            let sale = shop.get(till, &format!("/v1/sales/{}", ack.sale))?;
            if sale["number"] == ack.number.as_str() { Ok(()) } else { Err(sale.to_string()) }
        })?;
    }
    seen.note(format!("{} sales came back after {} ms", lost.len(), back.elapsed().as_millis()));
    shop.go_on();
    shop.until(HUB, "the restore", |status| has_alert(status, "restore-seen"))?;
    let mark = shop.ledger.mark();
    shop.wait("a series of its own", |shop| {
        let acks = shop.ledger.acks_since(&mark);
        let last = acks.iter().rfind(|ack| ack.till == till).map(|ack| ack.series);
        if last.is_some_and(|series| series != 1) { Ok(()) } else { Err(format!("{last:?}")) }
    })
}

/// F43: headquarters is put back from an old backup; the store sends what it lacks, prices go on from where they were.
pub fn headquarters_restored(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let backup = shop.dir().join("hq.backup");
    shop.stop(HQ)?;
    copy(&shop.machine(HQ).data, &backup)?;
    shop.start(HQ)?;
    shop.publish("after the backup", &catalogue_of(10))?;
    shop.all_sell(&TILLS, 3)?;
    shop.rest()?;
    shop.agree()?;
    shop.stop(HQ)?;
    shop.go_on();
    shop.all_sell(&TILLS, 2)?;
    put_back(shop, HQ, &backup)?;
    shop.start(HQ)?;
    shop.rest()?;
    let back = Instant::now();
    shop.agree()?;
    seen.note(format!("headquarters has all books again after {} ms", back.elapsed().as_millis()));
    shop.books_hold()?;
    shop.publish("after the restore", &catalogue_of(20))?;
    let items = shop.status(TILLS[0]).map_err(Failure::Wrong)?["catalogue"]["items"].clone();
    must(items == 22, || format!("the tills have {items} items"))?;
    seen.note("and its next catalogue counts");
    shop.go_on();
    Ok(())
}

/// F15, F17: the hub burns; a blank machine becomes the hub from the tills; then the old one comes back.
pub fn hub_replaced(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    shop.kill(HUB)?;
    shop.all_sell(&TILLS, 3)?;
    let code_file = shop.recovery_code(HUB);
    let code = std::fs::read_to_string(&code_file)
        .map_err(|e| Failure::system(format!("cannot read {code_file}"), e))?;
    let hq = format!("headquarters.addresses={}", shop.address(HQ));
    shop.place(HEIR, Part::Hub, 40, &["shop.currency=GBP", &hq])?;
    let (peer, data) = (shop.address(TILLS[0]), shop.data(HEIR));
    let began = Instant::now();
    shop.order_in(HEIR, &["hubd", "recover", code.trim(), "--peer", &peer, "--data", &data])?;
    shop.start(HEIR)?;
    shop.hub = HEIR;
    shop.wait("every till to follow the new hub", |shop| {
        shop.each_till(|status| status["hub"]["linked"] == true)
    })?;
    seen.within("a blank machine is the hub", began.elapsed(), RECOVERED)?;
    shop.all_sell(&TILLS, 2)?;
    // The old hub is found in the cellar and plugged in.
    shop.start(HUB)?;
    shop.wait("the old hub to see that it is not the hub", |shop| {
        let old = shop.status(HUB)?;
        if old["hub"]["is_hub"] == false { Ok(()) } else { Err(old["hub"].to_string()) }
    })?;
    let refused = shop.hubctl_of(HUB, &["enrol", "Till 9"]);
    must(refused.is_err(), || format!("the old hub gave out a code: {refused:?}"))?;
    shop.rest()?;
    shop.wait("both hubs to hold the same", |shop| {
        let (old, new) = (shop.status(HUB)?, shop.status(HEIR)?);
        if old["frontier"] == new["frontier"] {
            Ok(())
        } else {
            Err(format!("{} {}", old["frontier"], new["frontier"]))
        }
    })?;
    shop.go_on();
    must(shop.each_till(|status| status["hub"]["linked"] == true).is_ok(), || {
        "a till left the new hub".into()
    })?;
    seen.note("the old hub came back, followed, carries the books and enrols nobody");
    Ok(())
}

fn put_back(shop: &Shop, name: &str, backup: &Path) -> Result<(), Failure> {
    let data = shop.machine(name).data.display().to_string();
    run(&["rm", "-rf", &data])?;
    run(&["mv", &backup.display().to_string(), &data])
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    run(&["cp", "-a", &from.display().to_string(), &to.display().to_string()])
}
