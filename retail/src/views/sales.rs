//! Sales, their numbers, and what came back of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use toko_crdt::clock::UnixMicros;
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};
use toko_crdt::ids::{EntryRef, JournalId};
use toko_crdt::{CartId, EffectId, Lane, NodeId, Run};

use super::flags::{self, Flag};
use super::idem;
use super::settled::Sweep;
use super::table::{
    CART_SALE, DAY_SALE, Key, NUMBER, Parts, RETURNED, SALE, SERIES, add, currency, mark, qty, read,
    rows_below, rows_up_to, update, value, write,
};
use crate::day::Day;
use crate::money::Money;
use crate::ops::{CurrencyV1, SaleKind, SaleV1};
use crate::qty::Qty;
use crate::sale::ReceiptNumber;

/// What lists and look-ups need of a sale; its lines are in its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleSummary {
    /// Its id: the effect of its entry.
    pub id: EffectId,
    /// Where the entry that carried it first stands.
    pub place: EntryRef,
    /// Sale, return or void.
    pub kind: SaleKind,
    /// Business day.
    pub day: Day,
    /// Receipt number.
    pub number: ReceiptNumber,
    /// When its terminal says it was.
    pub at: UnixMicros,
    /// What the goods cost with all taxes; negative for a return.
    pub total: Money,
    /// What the customer paid: total + rounding.
    pub payable: Money,
    /// Cash handed back.
    pub change: Money,
    /// Quantity of each line.
    pub line_qty: Vec<Qty>,
    /// The cart it came from.
    pub cart: Option<CartId>,
    /// The shift it belongs to.
    pub shift: Option<EffectId>,
    /// The original sale of a return or void.
    pub original: Option<EffectId>,
    /// The job that prints its receipt.
    pub job: Option<[u8; 16]>,
    /// Its number in another system; may be empty.
    pub external: String,
}

#[derive(Serialize, Deserialize)]
struct SaleRow {
    node: [u8; 32],
    run: u64,
    seq: u64,
    kind: SaleKind,
    day: u32,
    terminal: u16,
    series: u32,
    counter: u64,
    at: i64,
    currency: CurrencyV1,
    total: i64,
    rounding: i64,
    change: i64,
    line_qty: Vec<i64>,
    cart: Option<[u8; 16]>,
    shift: Option<[u8; 32]>,
    original: Option<[u8; 32]>,
    job: Option<[u8; 16]>,
    external: String,
    /// The idempotency key that it used.
    idem: Option<[u8; 16]>,
    /// The lines of other sales that came back with it, each once, in order.
    returns: Vec<([u8; 32], u16)>,
}

/// A sale by its id.
pub fn sale(kv: &dyn KvRead, id: EffectId) -> Result<Option<SaleSummary>, KvError> {
    read::<SaleRow>(kv, &sale_key(id))?.map(|row| summary(id, row)).transpose()
}

/// Whether there is a row of a sale.
pub(super) fn stands(kv: &dyn KvRead, id: EffectId) -> Result<bool, KvError> {
    Ok(kv.get(&sale_key(id))?.is_some())
}

/// The sales that carry a number: one, or more where a terminal was cloned.
pub fn sales_by_number(kv: &dyn KvRead, number: ReceiptNumber) -> Result<Vec<EffectId>, KvError> {
    last_ids(&rows_below(kv, &number_key(number).done())?)
}

/// The highest counter of a terminal's series; 0 before its first receipt.
pub fn series_high(kv: &dyn KvRead, terminal: u16, series: u32) -> Result<u64, KvError> {
    Ok(read(kv, &Key::of(SERIES).u16(terminal).u32(series).done())?.unwrap_or(0))
}

/// The highest series that a terminal ever printed in.
pub fn series_last(kv: &dyn KvRead, terminal: u16) -> Result<Option<u32>, KvError> {
    let rows = rows_below(kv, &Key::of(SERIES).u16(terminal).done())?;
    rows.last().map(|(key, _)| Parts::of(key.get(2..).unwrap_or_default()).u32()).transpose()
}

/// Sales of a day by terminal and number, at most `limit`, behind `after` where given.
pub fn sales_of_day(
    kv: &dyn KvRead,
    day: Day,
    after: Option<&SaleSummary>,
    limit: usize,
) -> Result<Vec<SaleSummary>, KvError> {
    let prefix = Key::of(DAY_SALE).u32(day.number()).done();
    let from = match after {
        // A zero byte behind a key is the least key above it.
        Some(last) => {
            Key::of(0).bytes(&day_sale_key(day.number(), last.number, last.id)).byte(0).done().split_off(1)
        }
        None => prefix.clone(),
    };
    let ids = last_ids(&rows_up_to(kv, &prefix, &from, limit)?)?;
    let found = ids.into_iter().map(|id| sale(kv, id)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// The sales that a cart became: none, one, or more where two terminals finished it.
pub fn sales_of_cart(kv: &dyn KvRead, cart: CartId) -> Result<Vec<EffectId>, KvError> {
    last_ids(&rows_below(kv, &Key::of(CART_SALE).bytes(&cart.0).done())?)
}

/// How much of each line of a sale came back, by line; lines of which nothing did are left out.
pub fn returned_of(kv: &dyn KvRead, sale: EffectId) -> Result<Vec<(u16, Qty)>, KvError> {
    let mut sums: Vec<(u16, i128)> = Vec::new();
    for (key, row) in rows_below(kv, &Key::of(RETURNED).bytes(&sale.0).done())? {
        let (line, part) = (returned_line(&key)?, value::<i128>(&row)?);
        match sums.last_mut().filter(|(last, _)| *last == line) {
            Some((_, sum)) => *sum = sum.wrapping_add(part),
            None => sums.push((line, part)),
        }
    }
    Ok(sums.into_iter().map(|(line, sum)| (line, qty(sum))).collect())
}

/// The highest number of its series, which outlives the rows of the sale.
pub(super) fn fold_number(kv: &mut dyn Kv, sale: &SaleV1) -> Result<(), KvError> {
    update(kv, &Key::of(SERIES).u16(sale.terminal).u32(sale.series).done(), |high: &mut u64| {
        let before = if toko_crdt::mutant!("last-number-seen-counts") { 0 } else { *high };
        *high = before.max(sale.counter);
    })
}

/// The rows of the sale itself, which go when it is settled.
pub(super) fn fold(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    sale: &SaleV1,
    idem: Option<[u8; 16]>,
) -> Result<(), KvError> {
    let number = ReceiptNumber { terminal: sale.terminal, series: sale.series, counter: sale.counter };
    write(kv, &sale_key(effect.id), &row_of(effect, sale, idem))?;
    mark(kv, &number_key(number).bytes(&effect.id.0).done())?;
    let twice = is_used_twice(kv, number)? && !toko_crdt::mutant!("hide-a-number-used-twice");
    flags::set(kv, Flag::NumberTwice(number), twice)?;
    mark(kv, &day_sale_key(sale.day, number, effect.id))?;
    if let Some(cart) = &sale.cart {
        mark(kv, &Key::of(CART_SALE).bytes(&cart.cart).bytes(&effect.id.0).done())?;
        let cart = CartId(cart.cart);
        let sold = sales_of_cart(kv, cart)?.len();
        flags::set(kv, Flag::CartSoldTwice(cart), sold > 1)?;
    }
    for line in &sale.lines {
        if let Some(of) = line.return_of {
            let key = returned_key(EffectId(of.sale), of.line).bytes(&effect.id.0).done();
            update(kv, &key, |sum: &mut i128| add(sum, line.qty_milli.saturating_neg()))?;
            let flag = Flag::OverReturned { sale: EffectId(of.sale), line: of.line };
            let over = is_over_returned(kv, EffectId(of.sale), of.line)?;
            flags::set(kv, flag, over)?;
        }
    }
    // Returns of this sale may have been folded before it.
    for (line, _) in returned_of(kv, effect.id)? {
        let over = is_over_returned(kv, effect.id, line)?;
        flags::set(kv, Flag::OverReturned { sale: effect.id, line }, over)?;
    }
    Ok(())
}

/// Takes the rows of a sale away, and looks at the flags again that it was a cause of.
pub(super) fn settle(sweep: &mut Sweep<'_>, id: EffectId) -> Result<(), KvError> {
    let Some(row) = read::<SaleRow>(sweep.kv, &sale_key(id))? else { return Ok(()) };
    let number = ReceiptNumber { terminal: row.terminal, series: row.series, counter: row.counter };
    sweep.take(&sale_key(id))?;
    sweep.take(&day_sale_key(row.day, number, id))?;
    sweep.take(&number_key(number).bytes(&id.0).done())?;
    let twice = is_used_twice(sweep.kv, number)?;
    sweep.judge(Flag::NumberTwice(number), twice)?;
    if let Some(key) = row.idem {
        sweep.take(&idem::key_in_books(NodeId(row.node), key, id))?;
    }
    if let Some(cart) = row.cart.map(CartId) {
        sweep.take(&Key::of(CART_SALE).bytes(&cart.0).bytes(&id.0).done())?;
        let sold = sales_of_cart(sweep.kv, cart)?.len();
        sweep.judge(Flag::CartSoldTwice(cart), sold > 1)?;
    }
    for (line, _) in returned_of(sweep.kv, id)? {
        sweep.judge(Flag::OverReturned { sale: id, line }, false)?;
    }
    for (sale, line) in row.returns {
        let sale = EffectId(sale);
        sweep.take(&returned_key(sale, line).bytes(&id.0).done())?;
        let over = is_over_returned(sweep.kv, sale, line)?;
        sweep.judge(Flag::OverReturned { sale, line }, over)?;
    }
    Ok(())
}

fn is_used_twice(kv: &dyn KvRead, number: ReceiptNumber) -> Result<bool, KvError> {
    let prefix = number_key(number).done();
    Ok(rows_up_to(kv, &prefix, &prefix, 2)?.len() > 1)
}

/// Whether more came back of a line than was sold: a function of the sale and of what came back, whichever is folded last.
fn is_over_returned(kv: &dyn KvRead, sale_id: EffectId, line: u16) -> Result<bool, KvError> {
    let Some(row) = read::<SaleRow>(kv, &sale_key(sale_id))? else { return Ok(false) };
    let sold = row.line_qty.get(usize::from(line)).copied().unwrap_or(0);
    let parts = rows_below(kv, &returned_key(sale_id, line).done())?;
    let mut returned: i128 = 0;
    for (_, part) in &parts {
        returned = returned.wrapping_add(value(part)?);
    }
    Ok(!parts.is_empty() && returned > i128::from(sold))
}

fn row_of(effect: &Effect<'_>, sale: &SaleV1, idem: Option<[u8; 16]>) -> SaleRow {
    let place = effect.entry.place();
    let returns: BTreeSet<([u8; 32], u16)> =
        sale.lines.iter().filter_map(|line| line.return_of).map(|of| (of.sale, of.line)).collect();
    SaleRow {
        node: place.journal.node.0,
        run: place.journal.run.0,
        seq: place.seq,
        kind: sale.kind,
        day: sale.day,
        terminal: sale.terminal,
        series: sale.series,
        counter: sale.counter,
        at: sale.at_unix_micros,
        currency: sale.currency,
        total: sale.total_minor,
        rounding: sale.rounding_minor,
        change: sale.change_minor,
        line_qty: sale.lines.iter().map(|line| line.qty_milli).collect(),
        cart: sale.cart.as_ref().map(|cart| cart.cart),
        shift: sale.shift,
        original: sale.original,
        job: sale.print.as_ref().map(|ask| ask.job),
        external: sale.external.clone(),
        idem,
        returns: returns.into_iter().collect(),
    }
}

fn summary(id: EffectId, row: SaleRow) -> Result<SaleSummary, KvError> {
    let currency = currency(row.currency)?;
    let journal = JournalId { node: NodeId(row.node), run: Run(row.run), lane: Lane::Books };
    Ok(SaleSummary {
        id,
        place: EntryRef { journal, seq: row.seq },
        kind: row.kind,
        day: Day::stored(row.day).map_err(KvError::corrupt)?,
        number: ReceiptNumber { terminal: row.terminal, series: row.series, counter: row.counter },
        at: UnixMicros(row.at),
        total: Money::minor(row.total, currency),
        payable: Money::minor(row.total.saturating_add(row.rounding), currency),
        change: Money::minor(row.change, currency),
        line_qty: row.line_qty.into_iter().map(Qty::milli).collect(),
        cart: row.cart.map(CartId),
        shift: row.shift.map(EffectId),
        original: row.original.map(EffectId),
        job: row.job,
        external: row.external,
    })
}

fn sale_key(id: EffectId) -> Vec<u8> {
    Key::of(SALE).bytes(&id.0).done()
}

fn number_key(number: ReceiptNumber) -> Key {
    Key::of(NUMBER).u16(number.terminal).u32(number.series).u64(number.counter)
}

fn day_sale_key(day: u32, number: ReceiptNumber, id: EffectId) -> Vec<u8> {
    let ReceiptNumber { terminal, series, counter } = number;
    Key::of(DAY_SALE).u32(day).u16(terminal).u32(series).u64(counter).bytes(&id.0).done()
}

fn returned_key(sale: EffectId, line: u16) -> Key {
    Key::of(RETURNED).bytes(&sale.0).u16(line)
}

fn returned_line(key: &[u8]) -> Result<u16, KvError> {
    let mut parts = Parts::of(key);
    parts.take::<32>()?;
    parts.u16()
}

/// The id at the end of each key.
fn last_ids(rows: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<EffectId>, KvError> {
    rows.iter()
        .map(|(key, _)| match key.last_chunk::<32>() {
            Some(id) => Ok(EffectId(*id)),
            None => Err(KvError::corrupt("a key without an id at its end")),
        })
        .collect()
}
