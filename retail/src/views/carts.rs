//! Carts on the floor: who holds them, what was paid so far, which are done.
//!
//! Rows of this table come from floor ops alone; whether a cart was sold is a row of the books, and the readers join the two.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toko_crdt::book::settled::{carts_before, rows_settled};
use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};
use toko_crdt::settling::Settling;
use toko_crdt::{CartId, EffectId, NodeId};

use super::sales::sales_of_cart;
use super::table::{
    CART_CLOSED, CART_OPEN, CART_SALE, CUSTODY, Key, Parts, TENDER, any_below, currency, mark_if, read,
    rows_below, value, write,
};
use crate::money::Money;
use crate::ops::{CartClosedV1, CurrencyV1, CustodyState, CustodyV1, TenderStage, TenderTakenV1, TenderV1};

/// Where a cart is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custody {
    /// Which cart.
    pub cart: CartId,
    /// The turn; whoever takes it writes one above.
    pub turn: u64,
    /// Open, parked, or done.
    pub state: CartState,
    /// Who holds it, or parked it.
    pub holder: NodeId,
    /// What people call it.
    pub name: String,
    /// How many lines it had when this was written.
    pub lines: u32,
    /// What it came to when this was written.
    pub total: Money,
    /// When, as the author's clock had it.
    pub at: UnixMicros,
}

/// What can be done with a cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CartState {
    /// Its holder is working on it.
    Open,
    /// Anybody may take it.
    Parked,
    /// It became these sales; none if it was given up.
    Closed(Vec<EffectId>),
}

/// Money that was taken for a cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenTender {
    /// Its id.
    pub id: [u8; 16],
    /// How far it is.
    pub stage: TenderStage,
    /// How and how much.
    pub tender: TenderV1,
    /// How much, as money.
    pub amount: Money,
    /// Who took it.
    pub by: NodeId,
}

/// Who holds a cart, as a register.
#[derive(Serialize, Deserialize)]
struct CustodyRow {
    turn: u64,
    hash: [u8; 32],
    state: CustodyState,
    holder: [u8; 32],
    name: String,
    lines: u32,
    total: i64,
    currency: CurrencyV1,
    micros: u64,
    tick: u16,
}

#[derive(Serialize, Deserialize)]
struct TenderRow {
    tender: TenderV1,
    currency: CurrencyV1,
    by: [u8; 32],
}

/// Where a cart is; nothing while nobody said who holds it.
pub fn cart(kv: &dyn KvRead, cart: CartId) -> Result<Option<Custody>, KvError> {
    let Some(row) = read::<CustodyRow>(kv, &Key::of(CUSTODY).bytes(&cart.0).done())? else { return Ok(None) };
    let sales = sales_of_cart(kv, cart)?;
    let closed = any_below(kv, &Key::of(CART_CLOSED).bytes(&cart.0).done())?;
    let state = match row.state {
        CustodyState::Open if toko_crdt::mutant!("sold-cart-stays-open") => CartState::Open,
        _ if closed || !sales.is_empty() => CartState::Closed(sales),
        CustodyState::Open => CartState::Open,
        CustodyState::Parked => CartState::Parked,
    };
    Ok(Some(Custody {
        cart,
        turn: row.turn,
        state,
        holder: NodeId(row.holder),
        name: row.name,
        lines: row.lines,
        total: Money::minor(row.total, currency(row.currency)?),
        at: Hlc { micros: row.micros, tick: row.tick }.wall(),
    }))
}

/// Carts that are open or parked, oldest first.
pub fn carts_open(kv: &dyn KvRead) -> Result<Vec<Custody>, KvError> {
    let mut open = Vec::new();
    for (key, _) in rows_below(kv, &[CART_OPEN])? {
        let found = cart(kv, CartId(Parts::of(&key).take()?))?;
        open.extend(found.filter(|custody| !matches!(custody.state, CartState::Closed(_))));
    }
    open.sort_by_key(|custody| (custody.at, custody.cart));
    let newest = open.last().map_or(0, |custody| custody.at.0);
    open.retain(|custody| {
        newest - custody.at.0 < 86_400_000_000 || !toko_crdt::mutant!("let-the-clock-expire-a-cart")
    });
    Ok(open)
}

/// Money taken for a cart, each tender at its latest stage.
pub fn cart_tenders(kv: &dyn KvRead, cart: CartId) -> Result<Vec<TakenTender>, KvError> {
    let mut found: Vec<TakenTender> = Vec::new();
    for (key, row) in rows_below(kv, &Key::of(TENDER).bytes(&cart.0).done())? {
        let mut parts = Parts::of(&key);
        parts.take::<16>()?;
        let id = parts.take()?;
        let [stage] = parts.take()?;
        let TenderRow { tender, currency: stored, by } = value(&row)?;
        let amount = Money::minor(tender.amount_minor, currency(stored)?);
        let taken = TakenTender { id, stage: stage_of(stage)?, tender, amount, by: NodeId(by) };
        // Rows of one tender come by rising stage, so the last one counts.
        match found.last_mut().filter(|last| last.id == id) {
            Some(last) => *last = taken,
            None => found.push(taken),
        }
    }
    Ok(found)
}

pub(super) fn fold_custody(kv: &mut dyn Kv, effect: &Effect<'_>, custody: &CustodyV1) -> Result<(), KvError> {
    let key = Key::of(CUSTODY).bytes(&custody.cart).done();
    let before: Option<CustodyRow> = read(kv, &key)?;
    let turn =
        if toko_crdt::mutant!("order-by-wall-clock") { effect.entry.at().micros } else { custody.turn };
    if before.is_none_or(|row| (row.turn, row.hash) < (turn, effect.id.0)) {
        let Hlc { micros, tick } = effect.entry.at();
        let row = CustodyRow {
            turn,
            hash: effect.id.0,
            state: custody.state,
            holder: custody.holder,
            name: custody.name.clone(),
            lines: custody.lines,
            total: custody.total_minor,
            currency: custody.currency,
            micros,
            tick,
        };
        write(kv, &key, &row)?;
    }
    mark_open(kv, custody.cart)
}

pub(super) fn fold_taken(kv: &mut dyn Kv, effect: &Effect<'_>, taken: &TenderTakenV1) -> Result<(), KvError> {
    let key = Key::of(TENDER).bytes(&taken.cart).bytes(&taken.id).byte(stage_byte(taken.stage));
    let row = TenderRow { tender: taken.tender.clone(), currency: taken.currency, by: effect.author().0 };
    write(kv, &key.bytes(&effect.id.0).done(), &row)
}

pub(super) fn fold_closed(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    closed: &CartClosedV1,
) -> Result<(), KvError> {
    write(kv, &Key::of(CART_CLOSED).bytes(&closed.cart).bytes(&effect.id.0).done(), &closed.sale)?;
    mark_open(kv, closed.cart)
}

/// Takes every row of the carts away that are settled now.
pub(super) fn settle(kv: &mut dyn Kv, settling: &Settling) -> Result<(), KvError> {
    for table in [CUSTODY, TENDER, CART_CLOSED, CART_OPEN] {
        for row in rows_settled(kv, table, settling)? {
            kv.delete(&row)?;
        }
    }
    Ok(())
}

/// The carts made before a time, each with whether somebody may still finish it: nobody said that it is done, and it became
/// no sale. Also one of which only money is known so far.
pub(super) fn made_before(kv: &dyn KvRead, before: UnixMicros) -> Result<BTreeMap<CartId, bool>, KvError> {
    let mut carts = BTreeSet::new();
    for table in [CUSTODY, TENDER, CART_CLOSED] {
        carts.extend(carts_before(kv, table, before)?);
    }
    let is_open = |cart: &CartId| {
        let any = |table| any_below(kv, &Key::of(table).bytes(&cart.0).done());
        Ok(!any(CART_CLOSED)? && !any(CART_SALE)?)
    };
    carts.into_iter().map(|cart| Ok((cart, is_open(&cart)?))).collect()
}

/// The open mark is there exactly while somebody holds the cart and nobody said that it is done.
fn mark_open(kv: &mut dyn Kv, cart: [u8; 16]) -> Result<(), KvError> {
    let held = kv.get(&Key::of(CUSTODY).bytes(&cart).done())?.is_some();
    let closed = any_below(kv, &Key::of(CART_CLOSED).bytes(&cart).done())?;
    mark_if(kv, &Key::of(CART_OPEN).bytes(&cart).done(), held && !closed)
}

fn stage_byte(stage: TenderStage) -> u8 {
    match stage {
        TenderStage::Asked => 0,
        TenderStage::Taken => 1,
        TenderStage::Declined => 2,
        TenderStage::GivenBack => 3,
    }
}

fn stage_of(byte: u8) -> Result<TenderStage, KvError> {
    match byte {
        0 => Ok(TenderStage::Asked),
        1 => Ok(TenderStage::Taken),
        2 => Ok(TenderStage::Declined),
        3 => Ok(TenderStage::GivenBack),
        _ => Err(KvError::corrupt("a tender's stage")),
    }
}
