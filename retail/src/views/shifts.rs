//! Shifts: what is in a drawer by the books, and what was counted.

use serde::{Deserialize, Serialize};
use toko_crdt::clock::UnixMicros;
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};
use toko_crdt::{EffectId, NodeId};

use super::table::{
    Key, Parts, SHIFT, SHIFT_CASH, SHIFT_CLOSED, SHIFT_OPEN, add, any_below, mark_if, money, read,
    rows_below, update, value, write,
};
use crate::money::Money;
use crate::ops::{CashMovedV1, CurrencyV1, SaleV1, ShiftClosedV1, ShiftOpenedV1, TenderKindV1};

/// A shift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Its id: the effect of its opening.
    pub id: EffectId,
    /// Who opened it, when, as the author's clock had it.
    pub author: NodeId,
    /// When.
    pub at: UnixMicros,
    /// Its opening.
    pub opened: ShiftOpenedV1,
    /// Cash that should be in the drawer, per currency: float, sales, refunds, and what was put in or taken out.
    pub cash: Vec<Money>,
    /// What was counted. Empty while it is open.
    pub closings: Vec<ShiftClosing>,
}

/// A count of a drawer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftClosing {
    /// The closing.
    pub effect: EffectId,
    /// When, as the author's clock had it.
    pub at: UnixMicros,
    /// What was counted.
    pub closed: ShiftClosedV1,
}

#[derive(Serialize, Deserialize)]
struct OpenedRow {
    author: [u8; 32],
    at: i64,
    opened: ShiftOpenedV1,
}

#[derive(Serialize, Deserialize)]
struct ClosedRow {
    at: i64,
    closed: ShiftClosedV1,
}

/// A shift by its id; nothing while its opening is not known.
pub fn shift(kv: &dyn KvRead, id: EffectId) -> Result<Option<Shift>, KvError> {
    let Some(row) = read::<OpenedRow>(kv, &Key::of(SHIFT).bytes(&id.0).done())? else { return Ok(None) };
    let mut closings = Vec::new();
    for (key, row) in rows_below(kv, &Key::of(SHIFT_CLOSED).bytes(&id.0).done())? {
        let mut parts = Parts::of(&key);
        parts.take::<32>()?;
        let ClosedRow { at, closed } = value(&row)?;
        closings.push(ShiftClosing { effect: EffectId(parts.take()?), at: UnixMicros(at), closed });
    }
    closings.sort_by_key(|closing| (closing.at, closing.effect));
    let (author, at) = (NodeId(row.author), UnixMicros(row.at));
    Ok(Some(Shift { id, author, at, opened: row.opened, cash: cash(kv, id)?, closings }))
}

/// Shifts without a closing, of one terminal or of all.
pub fn shifts_open(kv: &dyn KvRead, terminal: Option<u16>) -> Result<Vec<Shift>, KvError> {
    let prefix = match terminal {
        Some(terminal) => Key::of(SHIFT_OPEN).u16(terminal).done(),
        None => vec![SHIFT_OPEN],
    };
    let mut open = Vec::new();
    for (key, _) in rows_below(kv, &prefix)? {
        let mut parts = Parts::of(&key);
        parts.u16()?;
        open.extend(shift(kv, EffectId(parts.take()?))?);
    }
    Ok(open)
}

pub(super) fn fold_opened(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    opened: &ShiftOpenedV1,
) -> Result<(), KvError> {
    let row = OpenedRow { author: effect.author().0, at: effect.entry.at().wall().0, opened: opened.clone() };
    write(kv, &Key::of(SHIFT).bytes(&effect.id.0).done(), &row)?;
    move_cash(kv, effect.id.0, opened.currency, opened.float_minor)?;
    settle(kv, effect.id, opened.terminal)
}

pub(super) fn fold_closed(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    closed: &ShiftClosedV1,
) -> Result<(), KvError> {
    let row = ClosedRow { at: effect.entry.at().wall().0, closed: closed.clone() };
    write(kv, &Key::of(SHIFT_CLOSED).bytes(&closed.shift).bytes(&effect.id.0).done(), &row)?;
    match read::<OpenedRow>(kv, &Key::of(SHIFT).bytes(&closed.shift).done())? {
        Some(row) => settle(kv, EffectId(closed.shift), row.opened.terminal),
        None => Ok(()),
    }
}

pub(super) fn fold_cash(kv: &mut dyn Kv, moved: &CashMovedV1) -> Result<(), KvError> {
    move_cash(kv, moved.shift, moved.currency, moved.amount_minor)
}

pub(super) fn fold_sale(kv: &mut dyn Kv, sale: &SaleV1) -> Result<(), KvError> {
    let Some(shift) = sale.shift else { return Ok(()) };
    for tender in sale.tenders.iter().filter(|tender| tender.kind == TenderKindV1::Cash) {
        move_cash(kv, shift, sale.currency, tender.amount_minor)?;
    }
    if sale.change_minor != 0 && !toko_crdt::mutant!("drawer-forgets-change") {
        move_cash(kv, shift, sale.currency, sale.change_minor.saturating_neg())?;
    }
    Ok(())
}

fn move_cash(kv: &mut dyn Kv, shift: [u8; 32], currency: CurrencyV1, minor: i64) -> Result<(), KvError> {
    update(kv, &Key::of(SHIFT_CASH).bytes(&shift).currency(currency).done(), |sum: &mut i128| add(sum, minor))
}

/// The open mark is there exactly while an opening is known and no closing is.
fn settle(kv: &mut dyn Kv, shift: EffectId, terminal: u16) -> Result<(), KvError> {
    let closed = any_below(kv, &Key::of(SHIFT_CLOSED).bytes(&shift.0).done())?;
    mark_if(kv, &Key::of(SHIFT_OPEN).u16(terminal).bytes(&shift.0).done(), !closed)
}

fn cash(kv: &dyn KvRead, shift: EffectId) -> Result<Vec<Money>, KvError> {
    let rows = rows_below(kv, &Key::of(SHIFT_CASH).bytes(&shift.0).done())?;
    rows.iter()
        .map(|(key, row)| {
            let mut parts = Parts::of(key);
            parts.take::<32>()?;
            Ok(money(value(row)?, parts.currency()?))
        })
        .collect()
}
