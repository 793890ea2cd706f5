//! Stock: the sum of all movements, whatever they came from. Below zero is shown, never hidden.

use serde::{Deserialize, Serialize};
use toko_crdt::fold::{Kv, KvError, KvRead};

use super::table::{Key, Parts, STOCK, add, qty, read, rows_up_to, update, value};
use crate::ops::{MoveReason, SaleKind, SaleV1, StockMovedV1};
use crate::qty::Qty;

/// What happened to one item, and what that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockRow {
    /// The item.
    pub sku: String,
    /// What should be there: the sum of everything below.
    pub on_hand: Qty,
    /// By sales; zero or less.
    pub sold: Qty,
    /// By returns and voids; zero or more.
    pub returned: Qty,
    /// By write-offs.
    pub written_off: Qty,
    /// From suppliers.
    pub received: Qty,
    /// To and from other places.
    pub transferred: Qty,
    /// By counts.
    pub counted: Qty,
    /// By damage.
    pub damaged: Qty,
}

#[derive(Serialize, Deserialize, Default)]
struct Row {
    sold: i128,
    returned: i128,
    written_off: i128,
    received: i128,
    transferred: i128,
    counted: i128,
    damaged: i128,
}

/// What should be there of an item; zero for one that never moved.
pub fn stock(kv: &dyn KvRead, sku: &str) -> Result<Qty, KvError> {
    Ok(stock_row(kv, sku)?.map_or(Qty::ZERO, |row| row.on_hand))
}

/// What happened to an item.
pub fn stock_row(kv: &dyn KvRead, sku: &str) -> Result<Option<StockRow>, KvError> {
    Ok(read::<Row>(kv, &key(sku))?.map(|row| shown(sku.to_string(), &row)))
}

/// Items that ever moved, by sku, at most `limit`, behind `after` where given.
pub fn stock_all(kv: &dyn KvRead, after: Option<&str>, limit: usize) -> Result<Vec<StockRow>, KvError> {
    let from = after.map_or(vec![STOCK], |sku| Key::of(STOCK).bytes(sku.as_bytes()).byte(0).done());
    let rows = rows_up_to(kv, &[STOCK], &from, limit)?;
    rows.iter().map(|(key, row)| Ok(shown(Parts::of(key).text()?, &value(row)?))).collect()
}

pub(super) fn fold_sale(kv: &mut dyn Kv, sale: &SaleV1) -> Result<(), KvError> {
    for line in sale.lines.iter().filter(|line| line.moves_stock) {
        let out = line.qty_milli.saturating_neg();
        let moved = if toko_crdt::mutant!("return-takes-stock-out") { -out.saturating_abs() } else { out };
        update(kv, &key(&line.sku), |row: &mut Row| match sale.kind {
            SaleKind::Sale => add(&mut row.sold, moved),
            SaleKind::Return | SaleKind::Void => add(&mut row.returned, moved),
        })?;
    }
    Ok(())
}

pub(super) fn fold_moved(kv: &mut dyn Kv, moved: &StockMovedV1) -> Result<(), KvError> {
    for line in &moved.lines {
        update(kv, &key(&line.sku), |row: &mut Row| {
            let sum = match moved.reason {
                MoveReason::WriteOff => &mut row.written_off,
                MoveReason::Receipt => &mut row.received,
                MoveReason::Transfer => &mut row.transferred,
                MoveReason::Count => &mut row.counted,
                MoveReason::Damage => &mut row.damaged,
            };
            add(sum, line.qty_milli);
        })?;
    }
    Ok(())
}

fn key(sku: &str) -> Vec<u8> {
    Key::of(STOCK).bytes(sku.as_bytes()).done()
}

fn shown(sku: String, row: &Row) -> StockRow {
    let parts =
        [row.sold, row.returned, row.written_off, row.received, row.transferred, row.counted, row.damaged];
    StockRow {
        sku,
        on_hand: qty(parts.into_iter().fold(0, i128::wrapping_add)),
        sold: qty(row.sold),
        returned: qty(row.returned),
        written_off: qty(row.written_off),
        received: qty(row.received),
        transferred: qty(row.transferred),
        counted: qty(row.counted),
        damaged: qty(row.damaged),
    }
}
