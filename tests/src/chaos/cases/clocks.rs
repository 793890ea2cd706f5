//! Clocks that woke up in 1970 or are ten years ahead: F10, F11.

use serde_json::{Value, json};

use super::super::failure::{Failure, must};
use super::super::shop::{DAY, HUB, Shop, TILLS, has_alert};
use super::{Seen, faketime};

/// A dead battery.
const IN_1970: &str = "@1970-01-02 03:04:05";
/// Ten years ahead.
const AHEAD: &str = "+3652d";

/// F10: a till and the hub wake up in 1970; the till says so, and everybody sells on in the open day.
pub fn in_1970(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, ..] = TILLS;
    seen.excused.push(till);
    restart(shop, till, Some(IN_1970))?;
    restart(shop, HUB, Some(IN_1970))?;
    shop.until(till, "the wrong clock", |status| has_alert(status, "clock-not-verified"))?;
    let mark = shop.ledger.mark();
    shop.all_sell(&TILLS, 3)?;
    let Some(ack) = shop.ledger.acks_since(&mark).into_iter().rfind(|ack| ack.till == till) else {
        return Err(Failure::wrong("no sale was made"));
    };
    let sale = shop.get(till, &format!("/v1/sales/{}", ack.sale)).map_err(Failure::Wrong)?;
    must(sale["time_verified"] == false, || {
        format!("a sale of 1970 says that its time is verified: {sale}")
    })?;
    let receipt = shop.call(till, "GET", &format!("/v1/sales/{}/receipt", ack.sale), None, None)?;
    let receipt = receipt.granted()?.to_string();
    must(receipt.contains("time unverified"), || format!("the receipt does not say so: {receipt}"))?;
    let day = shop.status(till).map_err(Failure::Wrong)?["business_day"].clone();
    must(day == DAY, || format!("the business day became {day}"))?;
    seen.note(format!("{till} and the hub sold in 1970, the receipt says so, the day stays {DAY}"));
    restart(shop, HUB, None)?;
    restart(shop, till, None)?;
    shop.until(till, "the right clock", |status| !has_alert(status, "clock-not-verified"))?;
    shop.meet()
}

/// F11: a till is ten years ahead and then back; whoever comes later is right, whatever the clocks say.
pub fn ten_years_ahead(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let [till, other, _] = TILLS;
    seen.excused.push(till);
    // Fifteen minutes on the monotonic clock, whatever the wall says.
    let before = run_of(shop, till)?;
    restart(shop, till, Some(AHEAD))?;
    shop.until(till, "the hub", |status| status["hub"]["linked"] == true)?;
    shop.all_sell(&TILLS, 2)?;
    let cart = park(shop, till)?;
    // The other till is ten years younger, and comes later.
    shop.wait("the parked cart at the other till", |shop| {
        let seen = shop.get(other, &format!("/v1/carts/{cart}"))?;
        if seen["state"] == "parked" { Ok(()) } else { Err(seen.to_string()) }
    })?;
    shop.call(
        other,
        "POST",
        &format!("/v1/carts/{cart}/take"),
        Some(&format!("take {cart}")),
        Some(&json!({})),
    )?
    .granted()?;
    shop.wait("the later hand to win at the till in the future", |shop| {
        let seen = shop.get(till, &format!("/v1/carts/{cart}"))?;
        let is_won = seen["holder"]["here"] == false && seen["holder"]["name"] == other;
        if is_won { Ok(()) } else { Err(seen["holder"].to_string()) }
    })?;
    shop.call(
        other,
        "POST",
        &format!("/v1/carts/{cart}/void"),
        Some(&format!("void {cart}")),
        Some(&json!({})),
    )?
    .granted()?;
    let ahead = run_of(shop, till)?;
    restart(shop, till, None)?;
    shop.sells(till, 2)?;
    let believed =
        shop.until(till, "its clock and the others' to agree", |status| status["clock"]["verified"] == true)?;
    seen.note(format!("time verified again {} ms after it was right", believed.as_millis()));
    let after = run_of(shop, till)?;
    must(before != ahead && ahead != after, || format!("runs {before}, {ahead}, {after}"))?;
    seen.note(format!("{till} sold in the future and back in a new run; {other} took its cart over although ten years earlier"));
    shop.meet()
}

/// F11: the hub's clock jumps while it runs; a code that it gave out before is good afterwards, and the shop goes on.
pub fn hub_jumps(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let dial = shop.dir().join("hub.clock");
    let turn =
        |to: &str| std::fs::write(&dial, to).map_err(|e| Failure::system("cannot turn the hub's clock", e));
    turn("+0d\n")?;
    let file = dial.display().to_string();
    shop.kill(HUB)?;
    let live = ("FAKETIME_TIMESTAMP_FILE", file.as_str());
    shop.start_with(HUB, &with_clock(&[live, ("FAKETIME_NO_CACHE", "1")]))?;
    let code = shop.hubctl(&["enrol", "A till of ten years ago"])?;
    turn("+3652d\n")?;
    shop.meet()?;
    shop.all_sell(&TILLS, 3)?;
    let guest = shop.dir().join(format!("guest-{}", shop.ledger.sums().sales)).display().to_string();
    let (code, at) = (code["code"].as_str().unwrap_or_default().to_owned(), shop.address(HUB));
    shop.order_in(TILLS[0], &["terminal-agent", "enrol", &code, "--hub", &at, "--data", &guest])?;
    turn("-400d\n")?;
    shop.all_sell(&TILLS, 3)?;
    shop.hubctl(&["revoke", "A till of ten years ago"])?;
    seen.note(
        "the hub's clock went ten years on and eleven back while it ran; links stayed, its code was good",
    );
    restart(shop, HUB, None)?;
    shop.meet()
}

fn restart(shop: &mut Shop, name: &'static str, clock: Option<&str>) -> Result<(), Failure> {
    shop.kill(name)?;
    match clock {
        Some(clock) => shop.start_with(name, &with_clock(&[("FAKETIME", clock)])),
        None => shop.start(name),
    }
}

/// The environment that shifts a process's wall clock, and leaves its monotonic one.
fn with_clock<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let library = faketime().unwrap_or_default();
    [&[("LD_PRELOAD", library), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")], more].concat()
}

fn run_of(shop: &Shop, till: &str) -> Result<Value, Failure> {
    Ok(shop.status(till).map_err(Failure::Wrong)?["run"].clone())
}

/// A cart with one lantern, parked.
fn park(shop: &Shop, till: &str) -> Result<String, Failure> {
    let key = format!("ahead-{}", shop.ledger.sums().sales);
    let post = |path: &str, step: &str, body: &Value| {
        Ok::<_, Failure>(
            shop.call(till, "POST", path, Some(&format!("{key}-{step}")), Some(body))?.granted()?,
        )
    };
    let cart = post("/v1/carts", "cart", &json!({}))?["cart"].as_str().unwrap_or_default().to_owned();
    post(&format!("/v1/carts/{cart}/lines"), "line", &json!({ "code": "71053", "qty": "1" }))?;
    post(&format!("/v1/carts/{cart}/park"), "park", &json!({}))?;
    Ok(cart)
}
