//! What `hubctl` is told about the books: views as JSON, with money and quantities as decimal text.
//!
//! The same keys as headquarters' reports, so that one reader serves both.

use crate::printers::Printers;
use serde_json::{Value, json};
use toko_crdt::book::rows;
use toko_crdt::hash::hex;
use toko_crdt::member::Members;
use toko_crdt::{KvError, KvRead, NodeId};
use toko_paper::job;
use toko_retail::day::Day;
use toko_retail::views::{self, CartState, DayTotals};

/// How many rows of stock are read at a time.
const STOCK_PAGE: usize = 1_000;

/// Quantities of one code, or of all.
pub(crate) fn stock(kv: &dyn KvRead, code: Option<&str>) -> Result<Value, KvError> {
    if let Some(code) = code {
        let qty = views::stock(kv, code)?;
        return Ok(json!({ "stock": [{ "code": code, "qty": qty.in_thousandths() }] }));
    }
    let mut rows = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = views::stock_all(kv, after.as_deref(), STOCK_PAGE)?;
        let last = page.last().map(|row| row.sku.clone());
        rows.extend(page.iter().map(|row| json!({ "code": row.sku, "qty": row.on_hand.in_thousandths() })));
        match last {
            Some(sku) if page.len() == STOCK_PAGE => after = Some(sku),
            _ => return Ok(json!({ "stock": rows })),
        }
    }
}

/// Totals of one day, or of all days with business.
pub(crate) fn sales(kv: &dyn KvRead, day: Option<Day>) -> Result<Value, KvError> {
    let days = match day {
        Some(day) => vec![day],
        None => views::days(kv)?,
    };
    let mut rows = Vec::new();
    for day in days {
        rows.extend(day_rows(day, &views::day_totals(kv, day)?));
    }
    Ok(json!({ "days": rows }))
}

/// One row per currency; one without money for a day that took none.
fn day_rows(day: Day, totals: &DayTotals) -> Vec<Value> {
    let counts = json!({
        "day": day.to_string(),
        "sales": totals.sales,
        "returns": totals.returns,
        "write_off_lines": totals.write_off_lines,
        "lines": totals.sale_lines + totals.return_lines,
        "drawer_without_sale": totals.drawers.without_sale,
        "drawer_forced": totals.drawers.forced,
    });
    if totals.money.is_empty() {
        return vec![counts];
    }
    let with_money = totals.money.iter().map(|money| {
        let mut row = counts.clone();
        row["gross"] = json!(money.sales.amount());
        row["returned"] = json!(money.returns.amount());
        row["net"] = json!(money.net.amount());
        row["currency"] = json!(money.net.currency().code());
        row
    });
    with_money.collect()
}

/// Parked carts, and entries that were set aside with a code.
pub(crate) fn parked(kv: &dyn KvRead, members: &Members) -> Result<Value, KvError> {
    let carts = views::carts_open(kv)?;
    let carts: Vec<Value> = carts
        .iter()
        .filter(|cart| cart.state == CartState::Parked)
        .map(|cart| {
            json!({
                "cart": cart.cart.to_string(),
                "name": cart.name,
                "lines": cart.lines,
                "total": cart.total.amount(),
                "currency": cart.total.currency().code(),
                "holder": name_of(members, &cart.holder),
            })
        })
        .collect();
    let entries: Vec<Value> = rows::parked_all(kv)?
        .iter()
        .map(|parked| {
            json!({
                "entry": parked.effect.to_string(),
                "author": name_of(members, &parked.place.journal.node),
                "seq": parked.place.seq,
                "code": parked.code.word(),
            })
        })
        .collect();
    Ok(json!({ "carts": carts, "entries": entries }))
}

/// Receipts on their way to paper.
pub(crate) fn jobs(kv: &dyn KvRead, printers: &Printers, members: &Members) -> Result<Value, KvError> {
    let jobs: Vec<Value> = views::jobs_open(kv)?
        .iter()
        .map(|job| {
            let last = job.attempts.iter().max_by_key(|attempt| attempt.attempt);
            let outcome = last.and_then(|attempt| attempt.outcome.as_ref());
            let busy = printers.printing(&job.job).is_some();
            json!({
                "job": hex(&job.job),
                "sale": job.sale.to_string(),
                "asked_by": name_of(members, &job.asked_by),
                "asked": job.printer,
                "printer": printers.place(job, members).map(|station| &station.config.name),
                "attempts": job.attempts.len(),
                "state": job::state(job, busy).word(),
                "level": outcome.map(|(_, level, _)| level),
                "detail": outcome.map(|(_, _, detail)| detail.clone()),
            })
        })
        .collect();
    Ok(json!({ "jobs": jobs }))
}

/// What people call a node: its terminal's name, its role, or the beginning of its id.
pub(crate) fn name_of(members: &Members, node: &NodeId) -> String {
    let roles = members.roles(node);
    match roles.terminal.first() {
        Some((_, name)) => name.clone(),
        None if members.hub().is_some_and(|(_, hub)| hub == *node) => "hub".into(),
        None if roles.is_hub() => "old hub".into(),
        None if roles.headquarters => "headquarters".into(),
        None => node.short(),
    }
}
