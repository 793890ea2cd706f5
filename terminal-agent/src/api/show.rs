//! From what the till answered to JSON. Money and quantities are decimal strings.

use serde_json::{Value, json};
use toko_crdt::hash::hex;
use toko_crdt::{EffectId, NodeId};
use toko_retail::currency::Currency;
use toko_retail::line::{PriceReason, PricedLine};
use toko_retail::money::{Money, Price};
use toko_retail::ops::{
    MoveReason, PriceReasonV1, SaleKind, SaleLineV1, SaleV1, TaxTotalV1, TenderKindV1, TenderV1,
};
use toko_retail::qty::Qty;
use toko_retail::sale::receipt_tag;
use toko_retail::views::{CartState, Custody, SaleSummary};

use crate::ledger::Ledger;
use crate::till::{Answer, CartSeen, DaySeen, SaleSeen};
use crate::wall::utc;

/// Shows things with the names that the store gave to nodes.
pub(super) struct Shown<'a> {
    pub(super) ledger: &'a Ledger,
}

impl Shown<'_> {
    pub(super) fn answer(&self, answer: &Answer) -> Value {
        match answer {
            Answer::Cart(cart) => self.cart(cart),
            Answer::Line(seen) => json!({
                "line": line(&seen.line), "cart": seen.cart.to_string(), "lines": seen.lines,
                "subtotal": seen.subtotal.amount(), "currency": seen.subtotal.currency().code(),
            }),
            Answer::Removed(seen) => json!({
                "line": seen.line.to_string(), "cart": seen.cart.to_string(), "lines": seen.lines,
                "subtotal": seen.subtotal.amount(), "currency": seen.subtotal.currency().code(),
            }),
            Answer::Sale(seen) => {
                let mut shown = sale_head(seen);
                // What was so at the commit point: a repeat says the same. `GET /v1/sales/{sale}` says how it is now.
                shown["holders"] = json!({ "this_till": true, "devices": 0, "hq": false });
                shown
            }
            Answer::Moved(seen) => json!({
                "movement": seen.id.to_string(), "reason": move_reason(seen.reason), "day": seen.day.to_string(),
                "lines": seen.lines.iter().map(|(sku, by, counted)| json!({
                    "sku": sku, "qty": qty(*by), "counted": counted.map(qty),
                })).collect::<Vec<_>>(),
            }),
            Answer::Print { sale, job } => json!({ "sale": sale.to_string(), "job": hex(job) }),
            Answer::Drawer { id, drawer, reason } => {
                json!({ "opening": id.to_string(), "drawer": drawer, "reason": reason.word() })
            }
            Answer::Day(seen) => day(seen),
            Answer::Nothing => json!({}),
        }
    }

    pub(super) fn cart(&self, seen: &CartSeen) -> Value {
        let taken: Vec<Value> =
            seen.tenders.iter().map(|(id, given)| tender(given, seen.currency, Some(*id))).collect();
        let tendered =
            seen.tenders.iter().fold(0_i64, |sum, (_, given)| sum.saturating_add(given.amount_minor));
        let due = seen.total.minor_units().saturating_sub(tendered).max(0);
        let (state, sale) = match &seen.state {
            CartState::Open => ("open", None),
            CartState::Parked => ("parked", None),
            CartState::Closed(sales) => match sales.first() {
                Some(sale) => ("sold", Some(sale.to_string())),
                None => ("voided", None),
            },
        };
        json!({
            "cart": seen.cart.to_string(), "name": seen.name, "state": state, "turn": seen.turn,
            "holder": self.holder(&seen.holder), "currency": seen.currency.code(),
            "lines": seen.lines.iter().map(line).collect::<Vec<_>>(),
            "subtotal": seen.subtotal.amount(), "tax": seen.tax.amount(), "total": seen.total.amount(),
            "tenders": taken, "tendered": Money::minor(tendered, seen.currency).amount(),
            "due": Money::minor(due, seen.currency).amount(), "sale": sale,
        })
    }

    pub(super) fn summary(&self, custody: &Custody) -> Value {
        let state = if custody.state == CartState::Parked { "parked" } else { "open" };
        json!({
            "cart": custody.cart.to_string(), "name": custody.name, "state": state, "turn": custody.turn,
            "holder": self.holder(&custody.holder), "lines": custody.lines,
            "total": custody.total.amount(), "currency": custody.total.currency().code(),
        })
    }

    fn holder(&self, node: &NodeId) -> Value {
        json!({
            "node": node.to_string(), "name": self.ledger.name_of(node), "here": *node == self.ledger.me(),
        })
    }
}

pub(super) fn day(seen: &DaySeen) -> Value {
    json!({
        "date": seen.day.map(|day| day.to_string()), "closed": seen.closed, "time_verified": seen.time_verified,
    })
}

/// A quantity with its three decimals.
pub(super) fn qty(qty: Qty) -> String {
    qty.in_thousandths()
}

fn line(line: &PricedLine) -> Value {
    let (price_reason, reason) = match &line.price_reason {
        PriceReason::Given(why) => ("given", why.as_str()),
        _ => ("catalogue", ""),
    };
    let value = line.value().unwrap_or(Money::zero(line.unit_price.currency()));
    json!({
        "line": line.line.map(|id| id.to_string()), "code": line.code, "sku": line.sku, "name": line.name,
        "unit": line.unit, "qty": qty(line.qty), "unit_price": line.unit_price.amount(),
        "list_price": line.list_price.map(Price::amount), "price_reason": price_reason, "reason": reason,
        "value": value.amount(), "memo": line.memo,
    })
}

/// A sale without its lines.
pub(super) fn sale_head(SaleSeen { id, sale }: &SaleSeen) -> Value {
    let money = |minor| amount(minor, sale);
    let tendered = sale.tenders.iter().fold(0_i64, |sum, given| sum.saturating_add(given.amount_minor));
    json!({
        "sale": id.to_string(), "number": sale.number().to_string(), "tag": receipt_tag(*id),
        "terminal": sale.terminal, "series": sale.series, "counter": sale.counter, "kind": kind(sale.kind),
        "day": day_text(sale.day), "at": utc(toko_crdt::clock::UnixMicros(sale.at_unix_micros)),
        "time_verified": sale.time_verified, "currency": currency_code(sale),
        "subtotal": money(sale.subtotal_minor), "total": money(sale.total_minor),
        "rounding": money(sale.rounding_minor), "tendered": money(tendered), "change": money(sale.change_minor),
        "line_count": sale.lines.len(), "cart": sale.cart.as_ref().map(|cart| hex(&cart.cart)),
        "job": sale.print.as_ref().map(|ask| hex(&ask.job)), "external": sale.external,
    })
}

/// Likewise, where its entry is kept elsewhere: what the rows do not say is null.
pub(super) fn sale_head_of_rows(sale: &SaleSummary) -> Value {
    let number = sale.number;
    let tendered = sale.payable.plus(sale.change).ok();
    let rounding = sale.payable.minus(sale.total).ok();
    json!({
        "sale": sale.id.to_string(), "number": number.to_string(), "tag": receipt_tag(sale.id),
        "terminal": number.terminal, "series": number.series, "counter": number.counter, "kind": kind(sale.kind),
        "day": sale.day.to_string(), "at": utc(sale.at),
        "time_verified": Value::Null, "currency": sale.total.currency().code(),
        "subtotal": Value::Null, "total": sale.total.amount(),
        "rounding": rounding.map(Money::amount), "tendered": tendered.map(Money::amount),
        "change": sale.change.amount(),
        "line_count": sale.line_qty.len(), "cart": sale.cart.map(|cart| hex(&cart.0)),
        "job": sale.job.map(|job| hex(&job)), "external": sale.external,
    })
}

fn kind(kind: SaleKind) -> &'static str {
    match kind {
        SaleKind::Sale => "sale",
        SaleKind::Return => "return",
        SaleKind::Void => "void",
    }
}

/// A sale with everything that is in its entry.
pub(super) fn sale_whole(seen: &SaleSeen, node: &NodeId) -> Value {
    let sale = &seen.sale;
    let mut shown = sale_head(seen);
    let currency = sale.currency().ok();
    shown["lines"] = sale.lines.iter().map(|line| sale_line(line, sale)).collect();
    shown["taxes"] = sale.taxes.iter().map(|tax| tax_total(tax, sale)).collect();
    shown["tenders"] = match currency {
        Some(currency) => sale.tenders.iter().map(|given| tender(given, currency, given.taken)).collect(),
        None => json!([]),
    };
    shown["customer"] = json!(sale.customer.as_ref().map(|bytes| match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => hex(bytes),
    }));
    shown["cashier"] = json!(sale.cashier);
    shown["memo"] = json!(sale.memo);
    shown["reason"] = json!(sale.reason);
    shown["original"] = json!(sale.original.map(|id| EffectId(id).to_string()));
    shown["node"] = json!(node.to_string());
    shown
}

fn sale_line(line: &SaleLineV1, sale: &SaleV1) -> Value {
    let (price_reason, reason) = match &line.price_reason {
        PriceReasonV1::Catalogue => ("catalogue", ""),
        PriceReasonV1::Given(why) => ("given", why.as_str()),
        PriceReasonV1::Original => ("original", ""),
    };
    let price = |micros| {
        let price = sale.currency().ok().and_then(|currency| Price::micros(micros, currency).ok());
        price.map(Price::amount)
    };
    json!({
        "code": line.code, "sku": line.sku, "name": line.name, "unit": line.unit,
        "qty": qty(Qty::milli(line.qty_milli)), "unit_price": price(line.unit_price_micros),
        "list_price": line.list_price_micros.and_then(price), "price_reason": price_reason, "reason": reason,
        "value": amount(line.value_minor, sale), "bundle": line.bundle.map(|hash| hex(&hash)),
        "moves_stock": line.moves_stock, "memo": line.memo,
    })
}

fn tax_total(tax: &TaxTotalV1, sale: &SaleV1) -> Value {
    json!({
        "name": tax.name, "rate": percent(tax.rate_ppm), "included": tax.included,
        "net": amount(tax.net_minor, sale), "amount": amount(tax.amount_minor, sale),
    })
}

/// A rate in per cent: `20`, `8.875`.
pub(super) fn percent(ppm: u32) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn tender(given: &TenderV1, currency: Currency, id: Option<[u8; 16]>) -> Value {
    let amount = Money::minor(given.amount_minor, currency).amount();
    let mut shown = match &given.kind {
        TenderKindV1::Cash => json!({ "kind": "cash", "amount": amount }),
        TenderKindV1::Card { approval, terminal, last4 } => json!({
            "kind": "card", "amount": amount, "approval_code": approval, "terminal_id": terminal, "last_four": last4,
        }),
        TenderKindV1::Other { name, reference } => {
            json!({ "kind": "other", "amount": amount, "name": name, "reference": reference })
        }
    };
    shown["tender"] = json!(id.map(|id| hex(&id)));
    shown
}

fn amount(minor: i64, sale: &SaleV1) -> Option<String> {
    sale.currency().ok().map(|currency| Money::minor(minor, currency).amount())
}

fn currency_code(sale: &SaleV1) -> Option<String> {
    sale.currency().ok().map(|currency| currency.code().to_owned())
}

/// A stored day as `2010-12-01`.
pub(super) fn day_text(number: u32) -> String {
    toko_retail::day::Day::stored(number).map_or_else(|_| number.to_string(), |day| day.to_string())
}

fn move_reason(reason: MoveReason) -> &'static str {
    match reason {
        MoveReason::WriteOff => "write_off",
        MoveReason::Receipt => "receipt",
        MoveReason::Transfer => "transfer",
        MoveReason::Count => "count",
        MoveReason::Damage => "damage",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_always_show_three_decimals_and_rates_none_too_many() {
        assert_eq!(qty(Qty::milli(-1_250)), "-1.250");
        assert_eq!(qty(Qty::milli(5)), "0.005");
        assert_eq!([percent(200_000), percent(88_750), percent(0)], ["20", "8.875", "0"]);
    }
}
