//! Answers as people read them: short tables, nothing that JSON does not say too.

use serde_json::Value;
use std::fmt::Write;
use toko_daemon::table::{cell, list, table};

pub(super) fn status(answer: &Value) -> String {
    let mut out = String::new();
    let rows = [
        ("store", "/store/id"),
        ("hub", "/hub/node"),
        ("term", "/hub/term"),
        ("listening", "/hub/listen"),
        ("business day", "/business_day"),
        ("catalogue", "/catalogue/name"),
        ("items", "/catalogue/items"),
        ("headquarters", "/headquarters/node"),
        ("HQ lacks", "/headquarters/behind"),
        ("printer", "/printer/state"),
        ("books digest", "/digests/books"),
        ("floor digest", "/digests/floor"),
        ("set aside", "/parked"),
    ];
    for (name, pointer) in rows {
        let _ = writeln!(out, "{name:<14} {}", cell(answer.pointer(pointer)));
    }
    if let Some(why) = answer.pointer("/headquarters/unreachable").and_then(Value::as_str) {
        let _ = writeln!(out, "{:<14} {why}", "HQ unreachable");
    }
    out.push('\n');
    out.push_str(&table(
        list(answer, "/links"),
        &[
            ("LINK", "/name"),
            ("ADDRESS", "/address"),
            ("FOUND BY", "/rung"),
            ("RTT US", "/rtt_us"),
            ("LACKS", "/lacks"),
        ],
    ));
    for alert in list(answer, "/alerts") {
        let _ = writeln!(out, "! {}: {}", cell(alert.pointer("/code")), cell(alert.pointer("/screen")));
    }
    out
}

pub(super) fn doctor(answer: &Value) -> String {
    let mut out = String::new();
    for finding in list(answer, "/findings") {
        let text = |at: &str| cell(finding.pointer(at));
        let _ = writeln!(out, "! {}: {}\n  {}", text("/about"), text("/what"), text("/advice"));
    }
    if out.is_empty() {
        out.push_str("nothing to mend\n");
    }
    let columns = [
        ("NODE", "/name"),
        ("ADDRESS", "/address"),
        ("FOUND BY", "/rung"),
        ("WORKED", "/worked"),
        ("ERROR", "/error"),
    ];
    out.push('\n');
    out.push_str(&table(list(answer, "/places"), &columns));
    out
}

pub(super) fn terminals(answer: &Value) -> String {
    let columns = [
        ("NO", "/number"),
        ("NAME", "/name"),
        ("STATE", "/state"),
        ("ADDRESS", "/address"),
        ("LACKS", "/lacks"),
        ("LATE", "/late"),
        ("NODE", "/node"),
    ];
    table(list(answer, "/terminals"), &columns)
}

pub(super) fn enrol(answer: &Value) -> String {
    let code = cell(answer.pointer("/code"));
    let slip = match answer.pointer("/slip").and_then(Value::as_str) {
        Some(words) => format!("\nOn paper, with a code for its scanner: {words}\n"),
        None => String::new(),
    };
    format!("{code}\n\nOn the terminal, within 15 minutes:\n  terminal-agent enrol {code}\n{slip}")
}

pub(super) fn revoke(answer: &Value) -> String {
    format!("{} is out. What it sold stays in the books.\n", cell(answer.pointer("/name")))
}

pub(super) fn catalogue(answer: &Value) -> String {
    let name = cell(answer.pointer("/name"));
    format!("{name}: {} items, bundle {}\n", cell(answer.pointer("/items")), cell(answer.pointer("/bundle")))
}

pub(super) fn day(answer: &Value) -> String {
    format!("business day {}\n", cell(answer.pointer("/business_day")))
}

pub(super) fn stock(answer: &Value) -> String {
    table(list(answer, "/stock"), &[("CODE", "/code"), ("QUANTITY", "/qty")])
}

pub(super) fn sales(answer: &Value) -> String {
    let columns = [
        ("DAY", "/day"),
        ("SALES", "/sales"),
        ("RETURNS", "/returns"),
        ("WRITE-OFF LINES", "/write_off_lines"),
        ("GROSS", "/gross"),
        ("RETURNED", "/returned"),
        ("NET", "/net"),
        ("CURRENCY", "/currency"),
        ("NO SALE", "/drawer_without_sale"),
        ("FORCED", "/drawer_forced"),
    ];
    table(list(answer, "/days"), &columns)
}

pub(super) fn parked(answer: &Value) -> String {
    let carts = table(
        list(answer, "/carts"),
        &[
            ("CART", "/cart"),
            ("NAME", "/name"),
            ("LINES", "/lines"),
            ("TOTAL", "/total"),
            ("HELD BY", "/holder"),
        ],
    );
    let entries =
        table(list(answer, "/entries"), &[("ENTRY", "/entry"), ("AUTHOR", "/author"), ("CODE", "/code")]);
    format!("Parked carts\n{carts}\nEntries set aside\n{entries}")
}

pub(super) fn jobs(answer: &Value) -> String {
    let columns = [
        ("JOB", "/job"),
        ("SALE", "/sale"),
        ("STATE", "/state"),
        ("PRINTER", "/printer"),
        ("ATTEMPTS", "/attempts"),
        ("LEVEL", "/level"),
        ("DETAIL", "/detail"),
    ];
    table(list(answer, "/jobs"), &columns)
}

pub(super) fn joined(answer: &Value) -> String {
    format!("joined headquarters {}\n", cell(answer.pointer("/headquarters")))
}

pub(super) fn sealed(answer: &Value) -> String {
    format!(
        "sealed: {}\nEvery node goes over it as soon as it holds as much; see hubctl seals.\n",
        cell(answer.pointer("/seal"))
    )
}

pub(super) fn seals(answer: &Value) -> String {
    let mut out = String::new();
    for seal in list(answer, "/seals") {
        let equal = seal.pointer("/equal_at").and_then(Value::as_array).map_or(0, Vec::len);
        let differs: Vec<String> = list(seal, "/differs_at").iter().map(|name| cell(Some(name))).collect();
        let _ = writeln!(
            out,
            "{}  {} entries, books {}, floor {}",
            short(seal, "/seal"),
            cell(seal.pointer("/entries")),
            short(seal, "/books"),
            short(seal, "/floor"),
        );
        let _ = writeln!(
            out,
            "          here: {}, headquarters: {}, equal at {equal} linked nodes{}{}",
            cell(seal.pointer("/here")),
            cell(seal.pointer("/headquarters")),
            if differs.is_empty() { "" } else { ", differs at " },
            differs.join(", "),
        );
    }
    if out.is_empty() { "no seal yet\n".to_owned() } else { out }
}

/// The beginning of a hash.
fn short(value: &Value, pointer: &str) -> String {
    cell(value.pointer(pointer)).chars().take(8).collect()
}
