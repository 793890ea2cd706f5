//! Business days: counts, takings, tenders, taxes and items, as plain sums.

use serde::{Deserialize, Serialize};
use toko_crdt::fold::{Kv, KvError, KvRead};

use super::drawers::{DrawerCounts, drawer_counts};
use super::table::{
    DAY_COUNTS, DAY_EVENT, DAY_ITEM, DAY_MONEY, DAY_TAX, DAY_TENDER, Key, Parts, add, currency, money, qty,
    read, rows_below, update, value,
};
use crate::currency::Currency;
use crate::day::Day;
use crate::money::Money;
use crate::ops::{CurrencyV1, MoveReason, SaleKind, SaleV1, StockMovedV1, TakingsV1, TenderKindV1};
use crate::qty::Qty;

/// What a day came to, so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayTotals {
    /// Sales.
    pub sales: u64,
    /// Returns.
    pub returns: u64,
    /// Voids.
    pub voids: u64,
    /// Lines of sales.
    pub sale_lines: u64,
    /// Lines of returns and voids.
    pub return_lines: u64,
    /// Lines of sales that cost nothing.
    pub free_lines: u64,
    /// Lines of write-offs and damage.
    pub write_off_lines: u64,
    /// Lines of receipts, transfers and counts.
    pub other_move_lines: u64,
    /// Takings, per currency.
    pub money: Vec<DayMoney>,
    /// What was taken and refunded, per currency and kind of tender; cash is less its change.
    pub tenders: Vec<DayTender>,
    /// Taxes, per currency and rate.
    pub taxes: Vec<DayTax>,
    /// How often drawers were opened.
    pub drawers: DrawerCounts,
}

/// Takings of a day in one currency. Returns and voids are zero or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayMoney {
    /// Value of all sales, with taxes.
    pub sales: Money,
    /// Value of all returns.
    pub returns: Money,
    /// Value of all voids.
    pub voids: Money,
    /// Rounding to coins.
    pub rounding: Money,
    /// Sales + returns + voids.
    pub net: Money,
}

/// One kind of tender on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayTender {
    /// `cash`, `card`, or the name of another kind.
    pub name: String,
    /// How often.
    pub count: u64,
    /// How much.
    pub amount: Money,
}

/// One tax on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayTax {
    /// Its name.
    pub name: String,
    /// Rate in millionths.
    pub rate_ppm: u32,
    /// Part of the net value that is taxed: numerator and denominator.
    pub base: (u16, u16),
    /// Whether prices contain it.
    pub included: bool,
    /// Net value.
    pub net: Money,
    /// The tax.
    pub amount: Money,
}

/// One item on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayItem {
    /// The item.
    pub sku: String,
    /// Sold.
    pub sold: Qty,
    /// Came back; zero or less.
    pub returned: Qty,
    /// Moved by write-offs and damage; usually zero or less.
    pub written_off: Qty,
    /// Moved by receipts, transfers and counts.
    pub moved: Qty,
    /// Value of its sales and returns after discounts, before taxes on top, per currency.
    pub value: Vec<Money>,
}

#[derive(Serialize, Deserialize, Default)]
struct Counts {
    sales: u64,
    returns: u64,
    voids: u64,
    sale_lines: u64,
    return_lines: u64,
    free_lines: u64,
    write_off_lines: u64,
    other_move_lines: u64,
}

#[derive(Serialize, Deserialize, Default)]
struct MoneyRow {
    sales: i128,
    returns: i128,
    voids: i128,
    rounding: i128,
}

#[derive(Serialize, Deserialize, Default)]
struct Pair {
    first: i128,
    second: i128,
}

#[derive(Serialize, Deserialize, Default)]
struct ItemRow {
    sold: i128,
    returned: i128,
    written_off: i128,
    moved: i128,
    /// By currency, in the order of the codes.
    value: Vec<(CurrencyV1, i128)>,
}

/// Every day on which anything was booked, in the order of the calendar.
pub fn days(kv: &dyn KvRead) -> Result<Vec<Day>, KvError> {
    let mut found =
        rows_below(kv, &[DAY_COUNTS])?.iter().map(|(key, _)| day_of(key)).collect::<Result<Vec<_>, _>>()?;
    found.extend(
        rows_below(kv, &[DAY_EVENT])?.iter().map(|(key, _)| day_of(key)).collect::<Result<Vec<_>, _>>()?,
    );
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// What a day came to, so far; all zero for a day without business.
pub fn day_totals(kv: &dyn KvRead, day: Day) -> Result<DayTotals, KvError> {
    let counts: Counts = read(kv, &Key::of(DAY_COUNTS).u32(day.number()).done())?.unwrap_or_default();
    Ok(DayTotals {
        sales: counts.sales,
        returns: counts.returns,
        voids: counts.voids,
        sale_lines: counts.sale_lines,
        return_lines: counts.return_lines,
        free_lines: counts.free_lines,
        write_off_lines: counts.write_off_lines,
        other_move_lines: counts.other_move_lines,
        money: day_money(kv, day)?,
        tenders: day_tenders(kv, day)?,
        taxes: day_taxes(kv, day)?,
        drawers: drawer_counts(kv, day)?,
    })
}

/// Every item that moved on a day, by sku.
pub fn day_items(kv: &dyn KvRead, day: Day) -> Result<Vec<DayItem>, KvError> {
    let rows = rows_below(kv, &Key::of(DAY_ITEM).u32(day.number()).done())?;
    rows.iter()
        .map(|(key, row)| {
            let mut parts = Parts::of(key);
            parts.u32()?;
            item(parts.text()?, value(row)?)
        })
        .collect()
}

/// One item on a day; nothing if it did not move.
pub fn day_item(kv: &dyn KvRead, day: Day, sku: &str) -> Result<Option<DayItem>, KvError> {
    read::<ItemRow>(kv, &item_key(day.number(), sku))?.map(|row| item(sku.to_string(), row)).transpose()
}

impl DayTotals {
    /// What a closing of the day would claim.
    pub fn takings(&self) -> Vec<TakingsV1> {
        let cash = |currency: Currency| {
            let found = self.tenders.iter().find(|t| t.name == CASH && t.amount.currency() == currency);
            found.map_or(0, |tender| tender.amount.minor_units())
        };
        let takings = |money: &DayMoney| {
            let currency = money.net.currency();
            TakingsV1 {
                currency: CurrencyV1 { code: currency.code_bytes(), exponent: currency.exponent() },
                sales_minor: money.sales.minor_units(),
                returns_minor: money.returns.minor_units(),
                voids_minor: money.voids.minor_units(),
                cash_minor: cash(currency),
            }
        };
        self.money.iter().map(takings).collect()
    }
}

pub(super) fn fold_sale(kv: &mut dyn Kv, sale: &SaleV1) -> Result<(), KvError> {
    count_sale(kv, sale)?;
    update(kv, &Key::of(DAY_MONEY).u32(sale.day).currency(sale.currency).done(), |row: &mut MoneyRow| {
        let sum = match sale.kind {
            SaleKind::Sale => &mut row.sales,
            SaleKind::Return => &mut row.returns,
            SaleKind::Void => &mut row.voids,
        };
        add(sum, sale.total_minor);
        add(&mut row.rounding, sale.rounding_minor);
    })?;
    fold_tenders(kv, sale)?;
    for tax in &sale.taxes {
        let key = Key::of(DAY_TAX).u32(sale.day).currency(sale.currency).u32(tax.rate_ppm);
        let key = key.u16(tax.base_numerator).u16(tax.base_denominator).byte(u8::from(tax.included));
        update(kv, &key.bytes(tax.name.as_bytes()).done(), |row: &mut Pair| {
            add(&mut row.first, tax.net_minor);
            add(&mut row.second, tax.amount_minor);
        })?;
    }
    Ok(())
}

/// What each item did.
pub(super) fn fold_sale_items(kv: &mut dyn Kv, sale: &SaleV1) -> Result<(), KvError> {
    for line in &sale.lines {
        update(kv, &item_key(sale.day, &line.sku), |row: &mut ItemRow| {
            match sale.kind {
                SaleKind::Sale => add(&mut row.sold, line.qty_milli),
                SaleKind::Return | SaleKind::Void => add(&mut row.returned, line.qty_milli),
            }
            let sum = value_in(&mut row.value, sale.currency);
            add(sum, line.value_minor);
            line.discounts.iter().for_each(|discount| add(sum, discount.amount_minor.saturating_neg()));
        })?;
    }
    Ok(())
}

pub(super) fn fold_moved(kv: &mut dyn Kv, moved: &StockMovedV1) -> Result<(), KvError> {
    let lost = is_lost(moved);
    update(kv, &Key::of(DAY_COUNTS).u32(moved.day).done(), |row: &mut Counts| {
        let lines = moved.lines.len() as u64;
        if lost { row.write_off_lines += lines } else { row.other_move_lines += lines }
    })
}

/// What each item did.
pub(super) fn fold_moved_items(kv: &mut dyn Kv, moved: &StockMovedV1) -> Result<(), KvError> {
    for line in &moved.lines {
        update(kv, &item_key(moved.day, &line.sku), |row: &mut ItemRow| {
            let lost = is_lost(moved);
            add(if lost { &mut row.written_off } else { &mut row.moved }, line.qty_milli);
        })?;
    }
    Ok(())
}

fn is_lost(moved: &StockMovedV1) -> bool {
    matches!(moved.reason, MoveReason::WriteOff | MoveReason::Damage)
}

fn count_sale(kv: &mut dyn Kv, sale: &SaleV1) -> Result<(), KvError> {
    let lines = sale.lines.len() as u64;
    let free = sale.lines.iter().filter(|line| line.unit_price_micros == 0).count() as u64;
    update(kv, &Key::of(DAY_COUNTS).u32(sale.day).done(), |row: &mut Counts| match sale.kind {
        SaleKind::Sale => {
            row.sales += 1;
            row.sale_lines += lines;
            row.free_lines += free;
        }
        SaleKind::Return => {
            row.returns += 1;
            row.return_lines += lines;
        }
        SaleKind::Void => {
            row.voids += 1;
            row.return_lines += lines;
        }
    })
}

/// The name under which cash is summed; no other kind may take it, see the kind byte in the key.
const CASH: &str = "cash";
const CARD: &str = "card";

fn fold_tenders(kv: &mut dyn Kv, sale: &SaleV1) -> Result<(), KvError> {
    let key = |kind: u8, name: &str| {
        Key::of(DAY_TENDER).u32(sale.day).currency(sale.currency).byte(kind).bytes(name.as_bytes()).done()
    };
    for tender in &sale.tenders {
        let key = match &tender.kind {
            TenderKindV1::Cash => key(0, CASH),
            TenderKindV1::Card { .. } => key(1, CARD),
            TenderKindV1::Other { name, .. } => key(2, name),
        };
        update(kv, &key, |row: &mut Pair| {
            add(&mut row.first, 1);
            add(&mut row.second, tender.amount_minor);
        })?;
    }
    if sale.change_minor != 0 {
        update(kv, &key(0, CASH), |row: &mut Pair| add(&mut row.second, sale.change_minor.saturating_neg()))?;
    }
    Ok(())
}

fn day_money(kv: &dyn KvRead, day: Day) -> Result<Vec<DayMoney>, KvError> {
    let rows = rows_below(kv, &Key::of(DAY_MONEY).u32(day.number()).done())?;
    rows.iter()
        .map(|(key, row)| {
            let (_, currency) = after_day(key)?;
            let row: MoneyRow = value(row)?;
            let returns = if toko_crdt::mutant!("day-forgets-returns") { 0 } else { row.returns };
            let net = row.sales.wrapping_add(returns).wrapping_add(row.voids);
            Ok(DayMoney {
                sales: money(row.sales, currency),
                returns: money(row.returns, currency),
                voids: money(row.voids, currency),
                rounding: money(row.rounding, currency),
                net: money(net, currency),
            })
        })
        .collect()
}

fn day_tenders(kv: &dyn KvRead, day: Day) -> Result<Vec<DayTender>, KvError> {
    let rows = rows_below(kv, &Key::of(DAY_TENDER).u32(day.number()).done())?;
    rows.iter()
        .map(|(key, row)| {
            let (mut parts, currency) = after_day(key)?;
            parts.take::<1>()?;
            let Pair { first, second } = value(row)?;
            let count = u64::try_from(first).unwrap_or(0);
            Ok(DayTender { name: parts.text()?, count, amount: money(second, currency) })
        })
        .collect()
}

fn day_taxes(kv: &dyn KvRead, day: Day) -> Result<Vec<DayTax>, KvError> {
    let rows = rows_below(kv, &Key::of(DAY_TAX).u32(day.number()).done())?;
    rows.iter()
        .map(|(key, row)| {
            let (mut parts, currency) = after_day(key)?;
            let rate_ppm = parts.u32()?;
            let base = (parts.u16()?, parts.u16()?);
            let [included] = parts.take()?;
            let Pair { first, second } = value(row)?;
            Ok(DayTax {
                rate_ppm,
                base,
                included: included != 0,
                net: money(first, currency),
                amount: money(second, currency),
                name: parts.text()?,
            })
        })
        .collect()
}

fn after_day(key: &[u8]) -> Result<(Parts<'_>, Currency), KvError> {
    let mut parts = Parts::of(key);
    parts.u32()?;
    let currency = parts.currency()?;
    Ok((parts, currency))
}

fn day_of(key: &[u8]) -> Result<Day, KvError> {
    Day::stored(Parts::of(key).u32()?).map_err(KvError::corrupt)
}

fn item_key(day: u32, sku: &str) -> Vec<u8> {
    Key::of(DAY_ITEM).u32(day).bytes(sku.as_bytes()).done()
}

fn item(sku: String, row: ItemRow) -> Result<DayItem, KvError> {
    let value = row.value.iter().map(|(stored, sum)| Ok(money(*sum, currency(*stored)?)));
    Ok(DayItem {
        sku,
        sold: qty(row.sold),
        returned: qty(row.returned),
        written_off: qty(row.written_off),
        moved: qty(row.moved),
        value: value.collect::<Result<_, KvError>>()?,
    })
}

/// The sum of one currency, kept in the order of the codes so that the row does not tell who came first.
fn value_in(sums: &mut Vec<(CurrencyV1, i128)>, currency: CurrencyV1) -> &mut i128 {
    let at = match sums.binary_search_by_key(&currency, |(found, _)| *found) {
        Ok(at) => at,
        Err(at) => {
            sums.insert(at, (currency, 0));
            at
        }
    };
    &mut sums[at].1
}
