//! Holding carts: open, park, take over, pay in parts, be done.
//!
//! Invariants: taking a cart is one turn above the turn that was seen; of two that take it at once the higher hash holds it,
//! on every node. Absent on purpose: locks. Whoever finishes a cart sells, and two sales of one cart are shown.

use toko_crdt::{CartId, EffectId, NodeId};

use crate::money::Money;
use crate::ops::{
    CartClosedV1, CurrencyV1, CustodyState, CustodyV1, OpV1, ShapeError, TenderStage, TenderTakenV1, What,
    limits,
};
use crate::tender::Tender;
use crate::text::{TextError, check_text};
use crate::views::{CartState, Custody};

/// What a list of carts shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What people call the cart; may be empty.
    pub name: String,
    /// How many lines it has.
    pub lines: u32,
    /// What it comes to.
    pub total: Money,
}

/// Why a cart stayed where it was. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CustodyError {
    /// The cart is done.
    #[error("the cart {} is done{}", .cart.short(), sold_as(.sales))]
    Closed {
        /// The cart.
        cart: CartId,
        /// What it became.
        sales: Vec<EffectId>,
    },
    /// Another node holds it; it must be parked or taken over first.
    #[error("the cart {} is held by {}; take it over first", .cart.short(), .holder.short())]
    NotYours {
        /// The cart.
        cart: CartId,
        /// Who holds it.
        holder: NodeId,
    },
    /// Turns are used up.
    #[error("no turn is left above {0}")]
    Turn(u64),
    /// A name that may not be kept.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Something that no other check names.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// Opens a cart, or takes it over from whoever holds or parked it.
pub fn take(
    cart: CartId,
    seen: Option<&Custody>,
    me: NodeId,
    summary: &Summary,
) -> Result<CustodyV1, CustodyError> {
    turn(cart, seen, me, CustodyState::Open, summary)
}

/// Parks a cart that this node holds.
pub fn park(cart: CartId, seen: &Custody, me: NodeId, summary: &Summary) -> Result<CustodyV1, CustodyError> {
    held_by(seen, me)?;
    turn(cart, Some(seen), me, CustodyState::Parked, summary)
}

/// Whether this node may change the cart.
pub fn held_by(seen: &Custody, me: NodeId) -> Result<(), CustodyError> {
    match &seen.state {
        CartState::Closed(sales) => Err(CustodyError::Closed { cart: seen.cart, sales: sales.clone() }),
        CartState::Open if seen.holder == me => Ok(()),
        _ => Err(CustodyError::NotYours { cart: seen.cart, holder: seen.holder }),
    }
}

/// Notes how far a tender is, before its cart is a sale.
pub fn note_tender(
    cart: CartId,
    id: [u8; 16],
    stage: TenderStage,
    tender: &Tender,
) -> Result<TenderTakenV1, CustodyError> {
    let currency = CurrencyV1::of(tender.amount().currency());
    let taken = TenderTakenV1 { cart: cart.0, id, stage, tender: tender.stored(false), currency };
    OpV1::new(What::TenderTaken(taken.clone())).check_shape()?;
    Ok(taken)
}

/// The cart is done: it became a sale, or was given up.
pub fn close(cart: CartId, sale: Option<EffectId>) -> CartClosedV1 {
    CartClosedV1 { cart: cart.0, sale: sale.map(|sale| sale.0) }
}

fn turn(
    cart: CartId,
    seen: Option<&Custody>,
    me: NodeId,
    state: CustodyState,
    summary: &Summary,
) -> Result<CustodyV1, CustodyError> {
    check_text("the cart's name", &summary.name, limits::TEXT_CHARS_MAX)?;
    if let Some(Custody { state: CartState::Closed(sales), .. }) = seen {
        return Err(CustodyError::Closed { cart, sales: sales.clone() });
    }
    let highest = seen.map_or(0, |custody| custody.turn);
    let step = if toko_crdt::mutant!("take-without-a-turn") { 0 } else { 1 };
    let custody = CustodyV1 {
        cart: cart.0,
        turn: highest.checked_add(step).ok_or(CustodyError::Turn(highest))?,
        state,
        holder: me.0,
        name: summary.name.clone(),
        lines: summary.lines,
        total_minor: summary.total.minor_units(),
        currency: CurrencyV1::of(summary.total.currency()),
    };
    OpV1::new(What::Custody(custody.clone())).check_shape()?;
    Ok(custody)
}

fn sold_as(sales: &[EffectId]) -> String {
    match sales {
        [] => ", it was given up".to_string(),
        [one] => format!(", it is sale {}", one.short()),
        many => format!(", it is {} sales", many.len()),
    }
}
