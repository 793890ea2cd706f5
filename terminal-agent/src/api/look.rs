//! Looking: what the till has, sold and knows. Changes nothing, waits for nobody.

use axum::http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use toko_crdt::EffectId;
use toko_crdt::hash::hex;
use toko_retail::day::Day;
use toko_retail::item::ItemRef;
use toko_retail::views::{self, CartState, DayTotals, PrintFate, PrintJob};

use super::body::{PROGRAM, check_code, parse_day, parse_hash};
use super::error::ApiError;
use super::read::{cart_of, sale};
use super::routes::Operation;
use super::show::{self, day_text, percent, qty, sale_head, sale_head_of_rows, sale_whole};
use super::{Api, Asked, OPENAPI, drawer, no_query};
use crate::till::{Refusal, SaleSeen};

/// Rows of a page, unless the caller says otherwise, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

type Answered = Result<(StatusCode, Value), ApiError>;

impl Api {
    pub(super) async fn look(&self, operation: Operation, asked: Asked<'_>) -> Answered {
        use Operation as Op;
        let known: &[&str] = match operation {
            Op::Carts => &["state"],
            Op::Sales => &["day", "after", "limit"],
            Op::Stock => &["after", "limit"],
            Op::Totals => &["day"],
            Op::Scans => &["after"],
            _ => &[],
        };
        no_query(&asked.query, known)?;
        let shown = match operation {
            Op::Status => self.status().await?,
            Op::Openapi => serde_json::from_str(OPENAPI).map_err(|error| {
                ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", PROGRAM, error.to_string())
            })?,
            Op::Item => self.item(&asked)?,
            Op::Weigh => self.setup.weigher.weigh().await?,
            Op::Drawer => self.drawer().await?,
            Op::Scans => self.scans(&asked).await?,
            Op::Day => show::day(&self.setup.till.day().await?),
            Op::Carts => self.carts(&asked).await?,
            Op::Cart => self.shown().cart(&self.setup.till.cart(cart_of(&asked.params)?).await?),
            Op::Sales => self.sales(&asked).await?,
            Op::Sale => self.sale(sale(&asked.params)?).await?,
            Op::Receipt => self.receipt(sale(&asked.params)?).await?,
            Op::Stock => self.stock(&asked)?,
            Op::StockOf => self.stock_of(&asked)?,
            Op::Totals => self.totals(&asked).await?,
            _ => {
                let log = format!("{operation:?} is no question");
                return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", PROGRAM, log));
            }
        };
        Ok((StatusCode::OK, shown))
    }

    fn item(&self, asked: &Asked<'_>) -> Result<Value, ApiError> {
        let code = code_of(asked)?;
        let stocked = self.setup.shelf.now();
        let found = stocked.as_ref().and_then(|stocked| Some((stocked.lookup(code)?, stocked.bundle)));
        let Some((item, bundle)) = found else {
            return Err(Refusal::NoSuchItem { code: code.to_owned() }.into());
        };
        Ok(item_shown(&item, &bundle.to_string()))
    }

    async fn scans(&self, asked: &Asked<'_>) -> Result<Value, ApiError> {
        let after = match asked.query.get("after") {
            None => None,
            Some(text) => Some(text.parse::<u64>().map_err(|_| {
                ApiError::field("bad-number", PROGRAM, "after", "after must be the number of a scan, or 0")
            })?),
        };
        // Answered before the door gives up on it.
        self.setup.scans.after(after, self.setup.patience * 3 / 4).await
    }

    async fn carts(&self, asked: &Asked<'_>) -> Result<Value, ApiError> {
        let only = match asked.query.get("state").map(String::as_str) {
            None => None,
            Some("open") => Some(CartState::Open),
            Some("parked") => Some(CartState::Parked),
            Some(other) => {
                let log = format!("{other:?} is neither open nor parked");
                return Err(ApiError::field("bad-state", PROGRAM, "state", log));
            }
        };
        let mut carts = self.setup.till.carts().await?;
        carts.retain(|custody| only.as_ref().is_none_or(|state| custody.state == *state));
        let shown = self.shown();
        Ok(json!({ "carts": carts.iter().map(|custody| shown.summary(custody)).collect::<Vec<_>>() }))
    }

    async fn sales(&self, asked: &Asked<'_>) -> Result<Value, ApiError> {
        let (day, limit) = (self.day_of(asked).await?, limit_of(&asked.query)?);
        let after = match asked.query.get("after") {
            Some(id) => Some(EffectId(parse_hash(id, "after")?)),
            None => None,
        };
        let ledger = &self.setup.ledger;
        let found = ledger.read(|kv| {
            let after = after.map(|id| views::sale(kv, id)).transpose()?.flatten();
            views::sales_of_day(kv, day, after.as_ref(), limit + 1)
        })?;
        let next =
            if found.len() > limit { found.get(limit - 1).map(|last| last.id.to_string()) } else { None };
        let mut sales = Vec::new();
        for summary in found.into_iter().take(limit) {
            sales.push(match ledger.sale_if_here(summary.id)? {
                Some(sale) => sale_head(&SaleSeen { id: summary.id, sale }),
                None => sale_head_of_rows(&summary),
            });
        }
        Ok(json!({ "day": day.to_string(), "sales": sales, "next": next }))
    }

    async fn sale(&self, id: EffectId) -> Result<Value, ApiError> {
        let ledger = &self.setup.ledger;
        ledger.fetch(id).await;
        let summary = ledger.read(|kv| views::sale(kv, id))?;
        let summary = summary.ok_or_else(|| Refusal::NoSuchSale(id.to_string()))?;
        let seen = SaleSeen { id, sale: ledger.sale(id)? };
        let mut shown = sale_whole(&seen, &summary.place.journal.node);
        let jobs = match summary.job {
            Some(job) => ledger.read(|kv| views::job(kv, job))?.into_iter().collect(),
            None => Vec::new(),
        };
        shown["print"] = jobs.iter().map(print_shown).collect();
        let holders = ledger.holders(summary.place)?;
        shown["holders"] =
            json!({ "this_till": holders.here, "devices": holders.devices, "hq": holders.headquarters });
        Ok(shown)
    }

    async fn receipt(&self, id: EffectId) -> Result<Value, ApiError> {
        let ledger = &self.setup.ledger;
        ledger.fetch(id).await;
        ledger.read(|kv| views::sale(kv, id))?.ok_or_else(|| Refusal::NoSuchSale(id.to_string()))?;
        let seen = SaleSeen { id, sale: ledger.sale(id)? };
        let columns = usize::from(self.setup.receipt.columns);
        let text = crate::paper::text(&seen, &self.setup.receipt, columns)?;
        Ok(json!({
            "sale": id.to_string(), "number": seen.sale.number().to_string(), "width": columns, "text": text,
        }))
    }

    fn stock(&self, asked: &Asked<'_>) -> Result<Value, ApiError> {
        let limit = limit_of(&asked.query)?;
        let after = asked.query.get("after").map(String::as_str);
        let mut rows = self.setup.ledger.read(|kv| views::stock_all(kv, after, limit + 1))?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.sku.clone());
        let items: Vec<Value> =
            rows.iter().map(|row| json!({ "sku": row.sku, "qty": qty(row.on_hand) })).collect();
        Ok(json!({ "items": items, "next": next }))
    }

    fn stock_of(&self, asked: &Asked<'_>) -> Result<Value, ApiError> {
        let code = code_of(asked)?;
        let stocked = self.setup.shelf.now();
        let item = stocked.as_ref().and_then(|stocked| stocked.lookup(code));
        let sku = item.map_or(code, |item| item.sku);
        let row = self.setup.ledger.read(|kv| views::stock_row(kv, sku))?;
        match row {
            Some(row) => Ok(json!({ "sku": sku, "qty": qty(row.on_hand) })),
            None if item.is_some() => Ok(json!({ "sku": sku, "qty": "0.000" })),
            None => Err(Refusal::NoSuchItem { code: code.to_owned() }.into()),
        }
    }

    async fn totals(&self, asked: &Asked<'_>) -> Result<Value, ApiError> {
        let day = self.day_of(asked).await?;
        let (totals, state) =
            self.setup.ledger.read(|kv| Ok((views::day_totals(kv, day)?, views::day_state(kv, day)?)))?;
        Ok(totals_shown(day, !state.closings.is_empty(), &totals))
    }

    /// The day that the query names, or the one that is open.
    async fn day_of(&self, asked: &Asked<'_>) -> Result<Day, ApiError> {
        match asked.query.get("day") {
            Some(text) => parse_day(text, "day"),
            None => Ok(self.setup.till.day().await?.day.ok_or(Refusal::NoDay)?),
        }
    }
}

fn code_of<'a>(asked: &'a Asked<'_>) -> Result<&'a str, ApiError> {
    let code = asked.params.get("code").map_or("", String::as_str);
    check_code(code, "code")?;
    Ok(code)
}

fn limit_of(query: &BTreeMap<String, String>) -> Result<usize, ApiError> {
    let Some(text) = query.get("limit") else { return Ok(PAGE) };
    let limit = text.parse::<usize>().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
    limit.ok_or_else(|| {
        ApiError::field("bad-limit", PROGRAM, "limit", format!("limit must be a number from 1 to {PAGE_MAX}"))
    })
}

fn item_shown(item: &ItemRef<'_>, bundle: &str) -> Value {
    let taxes = item.tax.map(|group| {
        let rate = |rate: &toko_retail::tax::TaxRate| {
            json!({ "name": rate.name(), "rate": rate.percent_text(), "included": group.included() })
        };
        group.rates().iter().map(rate).collect::<Vec<_>>()
    });
    json!({
        "sku": item.sku, "name": item.name, "unit": item.unit, "qty_decimals": item.decimals,
        "price": item.price.amount(), "currency": item.price.currency().code(),
        "moves_stock": !item.is_service, "taxes": taxes.unwrap_or_default(), "bundle": bundle,
    })
}

fn print_shown(job: &PrintJob) -> Value {
    let fate = job.fate();
    let by = match fate {
        PrintFate::Found => Some("person"),
        _ => fate.level().map(|_| "printer"),
    };
    json!({ "job": hex(&job.job), "state": fate.word(), "level": fate.level(), "by": by })
}

fn totals_shown(day: Day, closed: bool, totals: &DayTotals) -> Value {
    json!({
        "day": day_text(day.number()), "closed": closed,
        "sales": totals.sales, "returns": totals.returns, "voids": totals.voids,
        "sale_lines": totals.sale_lines, "return_lines": totals.return_lines, "free_lines": totals.free_lines,
        "write_off_lines": totals.write_off_lines, "other_move_lines": totals.other_move_lines,
        "drawer": drawer::counts_shown(&totals.drawers),
        "money": totals.money.iter().map(|money| json!({
            "currency": money.net.currency().code(), "sales": money.sales.amount(),
            "returns": money.returns.amount(), "voids": money.voids.amount(),
            "rounding": money.rounding.amount(), "net": money.net.amount(),
        })).collect::<Vec<_>>(),
        "tenders": totals.tenders.iter().map(|tender| json!({
            "name": tender.name, "currency": tender.amount.currency().code(), "count": tender.count,
            "amount": tender.amount.amount(),
        })).collect::<Vec<_>>(),
        "taxes": totals.taxes.iter().map(|tax| json!({
            "name": tax.name, "rate": percent(tax.rate_ppm), "included": tax.included,
            "currency": tax.amount.currency().code(), "net": tax.net.amount(), "amount": tax.amount.amount(),
        })).collect::<Vec<_>>(),
    })
}
