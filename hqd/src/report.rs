//! Reports: what each store took, per store, day or item, straight from the views of its books.
//!
//! The same views, the same keys and the same figures as `hubctl sales`, so that one reader serves both. Money and
//! quantities are decimal text; returns and write-offs are zero or less, and net is the sum.
//!
//! Pure but for the views that are handed in. Absent on purpose: sums over stores of different currencies.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use thiserror::Error;
use toko_crdt::{KvError, KvRead};
use toko_retail::currency::Currency;
use toko_retail::day::Day;
use toko_retail::money::{Money, MoneyError};
use toko_retail::qty::{Qty, QtyError};
use toko_retail::views::{self, DayItem, DayTotals};

use crate::cli::By;

/// Which business days a report covers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Days {
    from: Option<Day>,
    to: Option<Day>,
}

/// Why there is no report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The views could not be read.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A sum of quantities that no quantity holds.
    #[error("the sum of the quantities is too large")]
    Qty(#[from] QtyError),
    /// A sum of money that no amount holds.
    #[error("the sum of the money is too large")]
    Money(#[from] MoneyError),
}

impl Days {
    /// Reads what was asked for.
    ///
    /// Errors: a text that is no day, with the name of its parameter; a range that ends before it begins.
    pub fn parse(day: Option<&str>, from: Option<&str>, to: Option<&str>) -> Result<Self, String> {
        let read = |name: &str, text: Option<&str>| {
            text.map(Day::parse).transpose().map_err(|problem| format!("{name}: {problem}"))
        };
        if let Some(day) = read("day", day)? {
            return Ok(Self { from: Some(day), to: Some(day) });
        }
        let days = Self { from: read("from", from)?, to: read("to", to)? };
        match days {
            Self { from: Some(from), to: Some(to) } if from > to => {
                Err(format!("from {from} to {to} ends before it begins"))
            }
            days => Ok(days),
        }
    }

    /// The one day, where it is one.
    fn single(self) -> Option<Day> {
        self.from.filter(|from| Some(*from) == self.to)
    }

    /// The days to look at: the one that was asked for, with or without business; else those with business.
    fn in_books(self, kv: &dyn KvRead) -> Result<Vec<Day>, KvError> {
        if let Some(day) = self.single() {
            return Ok(vec![day]);
        }
        let covers =
            |day: &Day| self.from.is_none_or(|from| from <= *day) && self.to.is_none_or(|to| *day <= to);
        Ok(views::days(kv)?.into_iter().filter(covers).collect())
    }
}

/// The key of the list in the answer: `days` as in `hubctl sales`.
#[must_use]
pub fn list_key(by: By) -> &'static str {
    match by {
        By::Store => "stores",
        By::Day => "days",
        By::Item | By::ItemDay => "items",
    }
}

/// The rows of one store.
pub fn rows(kv: &dyn KvRead, store: &str, days: Days, by: By) -> Result<Vec<Value>, ReportError> {
    let days = days.in_books(kv)?;
    match by {
        By::Day => {
            let mut rows = Vec::new();
            for day in days {
                rows.extend(day_rows(store, day, &views::day_totals(kv, day)?));
            }
            Ok(rows)
        }
        By::Store => store_rows(kv, store, &days),
        By::Item => item_rows(kv, store, &days),
        By::ItemDay => {
            let mut rows = Vec::new();
            for day in days {
                for item in views::day_items(kv, day)? {
                    rows.push(item_row(store, Some(day), &item)?);
                }
            }
            Ok(rows)
        }
    }
}

/// One row per currency; one without money for a day that took none.
fn day_rows(store: &str, day: Day, totals: &DayTotals) -> Vec<Value> {
    let counts = json!({
        "store": store,
        "day": day.to_string(),
        "sales": totals.sales,
        "returns": totals.returns,
        "write_off_lines": totals.write_off_lines,
        "lines": totals.sale_lines.saturating_add(totals.return_lines),
        "drawer_without_sale": totals.drawers.without_sale,
        "drawer_forced": totals.drawers.forced,
    });
    let money = totals.money.iter().map(|money| [money.sales, money.returns, money.net]);
    with_money(counts, money.collect())
}

fn store_rows(kv: &dyn KvRead, store: &str, days: &[Day]) -> Result<Vec<Value>, ReportError> {
    let mut sum = DayTotals::default();
    let mut money: BTreeMap<String, [Money; 3]> = BTreeMap::new();
    let mut traded: u64 = 0;
    for day in days {
        let totals = views::day_totals(kv, *day)?;
        traded += u64::from(totals != DayTotals::default());
        sum.sales = sum.sales.saturating_add(totals.sales);
        sum.returns = sum.returns.saturating_add(totals.returns);
        sum.write_off_lines = sum.write_off_lines.saturating_add(totals.write_off_lines);
        let lines = totals.sale_lines.saturating_add(totals.return_lines);
        sum.sale_lines = sum.sale_lines.saturating_add(lines);
        for taken in &totals.money {
            let currency = taken.net.currency();
            let sums = money.entry(currency.code().to_owned()).or_insert([Money::zero(currency); 3]);
            for (sum, part) in sums.iter_mut().zip([taken.sales, taken.returns, taken.net]) {
                *sum = sum.plus(part)?;
            }
        }
    }
    let counts = json!({
        "store": store,
        "days": traded,
        "sales": sum.sales,
        "returns": sum.returns,
        "write_off_lines": sum.write_off_lines,
        "lines": sum.sale_lines,
    });
    Ok(with_money(counts, money.into_values().collect()))
}

fn with_money(counts: Value, money: Vec<[Money; 3]>) -> Vec<Value> {
    if money.is_empty() {
        return vec![counts];
    }
    let row = |[gross, returned, net]: [Money; 3]| {
        let mut row = counts.clone();
        row["gross"] = json!(gross.amount());
        row["returned"] = json!(returned.amount());
        row["net"] = json!(net.amount());
        row["currency"] = json!(net.currency().code());
        row
    };
    money.into_iter().map(row).collect()
}

fn item_rows(kv: &dyn KvRead, store: &str, days: &[Day]) -> Result<Vec<Value>, ReportError> {
    let mut sums: BTreeMap<String, DayItem> = BTreeMap::new();
    for day in days {
        for item in views::day_items(kv, *day)? {
            match sums.get_mut(&item.sku) {
                Some(sum) => add_item(sum, &item)?,
                None => {
                    sums.insert(item.sku.clone(), item);
                }
            }
        }
    }
    sums.values().map(|item| item_row(store, None, item)).collect()
}

fn add_item(sum: &mut DayItem, item: &DayItem) -> Result<(), ReportError> {
    sum.sold = sum.sold.plus(item.sold)?;
    sum.returned = sum.returned.plus(item.returned)?;
    sum.written_off = sum.written_off.plus(item.written_off)?;
    for value in &item.value {
        let same = |known: &&mut Money| known.currency() == value.currency();
        match sum.value.iter_mut().find(same) {
            Some(known) => *known = known.plus(*value)?,
            None => sum.value.push(*value),
        }
    }
    Ok(())
}

/// One item. *Shape*: `value` is in `currency`; further currencies, which hardly any shop has, stand in `also`.
fn item_row(store: &str, day: Option<Day>, item: &DayItem) -> Result<Value, ReportError> {
    let net: Qty = item.sold.plus(item.returned)?.plus(item.written_off)?;
    let mut row = json!({
        "store": store,
        "sku": item.sku,
        "sold": item.sold.to_string(),
        "returned": item.returned.to_string(),
        "written_off": item.written_off.to_string(),
        "qty": net.to_string(),
    });
    if let Some(day) = day {
        row["day"] = json!(day.to_string());
    }
    if let [first, rest @ ..] = item.value.as_slice() {
        row["value"] = json!(first.amount());
        row["currency"] = json!(first.currency().code());
        if !rest.is_empty() {
            let amount =
                |money: &Money| json!({ "value": money.amount(), "currency": code(money.currency()) });
            row["also"] = rest.iter().map(amount).collect();
        }
    }
    Ok(row)
}

fn code(currency: Currency) -> String {
    currency.code().to_owned()
}
