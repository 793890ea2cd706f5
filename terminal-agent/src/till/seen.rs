//! What a till answers: carts, lines and sales as somebody sees them at one moment.

use toko_crdt::ids::{CartId, EffectId, LineId, NodeId};
use toko_retail::currency::Currency;
use toko_retail::day::Day;
use toko_retail::line::PricedLine;
use toko_retail::money::Money;
use toko_retail::ops::{DrawerReason, MoveReason, SaleV1, TenderV1};
use toko_retail::qty::Qty;
use toko_retail::views::CartState;

/// What a command was answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The cart as it is now.
    Cart(Box<CartSeen>),
    /// A line and what the cart comes to.
    Line(Box<LineSeen>),
    /// A line is gone.
    Removed(Box<RemovedSeen>),
    /// A sale, return or void is durable.
    Sale(Box<SaleSeen>),
    /// Goods moved.
    Moved(Box<MovedSeen>),
    /// A copy of a receipt was asked for.
    Print {
        /// Of which sale.
        sale: EffectId,
        /// Which job.
        job: [u8; 16],
    },
    /// A drawer was asked to open.
    Drawer {
        /// The ask.
        id: EffectId,
        /// Which drawer.
        drawer: String,
        /// Why.
        reason: DrawerReason,
    },
    /// The business day.
    Day(DaySeen),
    /// Nothing to say.
    Nothing,
}

/// A cart.
#[derive(Debug, Clone)]
pub struct CartSeen {
    /// Which.
    pub cart: CartId,
    /// What people call it.
    pub name: String,
    /// Open, parked or done.
    pub state: CartState,
    /// How often it changed hands.
    pub turn: u64,
    /// Who holds it.
    pub holder: NodeId,
    /// Its currency.
    pub currency: Currency,
    /// Its lines, in the order in which they were added.
    pub lines: Vec<PricedLine>,
    /// Their values.
    pub subtotal: Money,
    /// Taxes, those in the prices too.
    pub tax: Money,
    /// What is due for the goods.
    pub total: Money,
    /// Money taken so far, and not given back.
    pub tenders: Vec<([u8; 16], TenderV1)>,
}

/// A line of a cart.
#[derive(Debug, Clone)]
pub struct LineSeen {
    /// The line as it is now.
    pub line: PricedLine,
    /// Of which cart.
    pub cart: CartId,
    /// How many lines that has.
    pub lines: usize,
    /// What they come to.
    pub subtotal: Money,
}

/// A line that is gone.
#[derive(Debug, Clone)]
pub struct RemovedSeen {
    /// Which.
    pub line: LineId,
    /// Of which cart.
    pub cart: CartId,
    /// How many lines that has now.
    pub lines: usize,
    /// What they come to.
    pub subtotal: Money,
}

/// A sale, return or void.
#[derive(Debug, Clone)]
pub struct SaleSeen {
    /// Its id.
    pub id: EffectId,
    /// All of it.
    pub sale: SaleV1,
}

/// Goods that moved.
#[derive(Debug, Clone)]
pub struct MovedSeen {
    /// The movement.
    pub id: EffectId,
    /// Why.
    pub reason: MoveReason,
    /// On which business day.
    pub day: Day,
    /// What: sku, how much into stock, what was counted.
    pub lines: Vec<(String, Qty, Option<Qty>)>,
}

/// The business day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySeen {
    /// Which; nothing while none is open.
    pub day: Option<Day>,
    /// Whether somebody closed it.
    pub closed: bool,
    /// Whether the terminal's time is verified.
    pub time_verified: bool,
}
