//! What a till is asked to do.

use toko_crdt::EffectId;
use toko_crdt::ids::{CartId, LineId};
use toko_retail::day::Day;
use toko_retail::money::Price;
use toko_retail::ops::{DrawerReason, MoveReason};
use toko_retail::qty::Qty;
use toko_retail::tender::Tender;

/// A command: it changes something, so it has a key.
#[derive(Debug, Clone)]
pub enum Command {
    /// Open a business day.
    OpenDay {
        /// Which.
        day: Day,
        /// Who: an opaque id.
        by: Option<String>,
    },
    /// Close a business day.
    CloseDay {
        /// Which; the current one where none is named.
        day: Option<Day>,
        /// Who: an opaque id.
        by: Option<String>,
        /// A note.
        note: String,
    },
    /// Open a cart.
    OpenCart {
        /// What people call it.
        name: String,
    },
    /// Add a line.
    AddLine {
        /// To which cart.
        cart: CartId,
        /// What.
        line: NewLine,
    },
    /// Change a line's quantity.
    ChangeLine {
        /// Of which cart.
        cart: CartId,
        /// Which line.
        line: LineId,
        /// To how much; above zero.
        qty: Qty,
    },
    /// Remove a line.
    RemoveLine {
        /// Of which cart.
        cart: CartId,
        /// Which line.
        line: LineId,
    },
    /// Park a cart.
    Park {
        /// Which.
        cart: CartId,
        /// What people call it from now on; empty for the name it has.
        note: String,
    },
    /// Take a parked cart.
    Take {
        /// Which.
        cart: CartId,
    },
    /// Give a cart up.
    VoidCart {
        /// Which.
        cart: CartId,
    },
    /// Take money for a cart.
    Tender {
        /// For which.
        cart: CartId,
        /// How and how much.
        tender: Tender,
    },
    /// Give money back that was taken for a cart.
    GiveBack {
        /// Of which.
        cart: CartId,
        /// Which tender.
        tender: [u8; 16],
    },
    /// Turn a cart into a sale.
    Sell {
        /// Which.
        cart: CartId,
        /// Money given now.
        tenders: Vec<Tender>,
        /// What else stands on it.
        about: About,
    },
    /// Take goods back.
    Return {
        /// The original sale.
        original: Option<EffectId>,
        /// What comes back.
        lines: Vec<BackLine>,
        /// How the money goes back.
        refunds: Vec<Tender>,
        /// Why.
        reason: String,
        /// What else stands on it.
        about: About,
    },
    /// Take a whole sale back.
    VoidSale {
        /// Which.
        sale: EffectId,
        /// Why.
        reason: String,
        /// What else stands on it.
        about: About,
    },
    /// Move goods.
    MoveStock {
        /// Why.
        reason: MoveReason,
        /// What: code, how much, its name where the catalogue does not have it.
        lines: Vec<(String, Qty, Option<String>)>,
        /// A note.
        note: String,
        /// Who: an opaque id.
        by: Option<String>,
        /// The supplier.
        counterpart: String,
        /// A number of another system.
        external: String,
    },
    /// Print a copy of a receipt.
    PrintCopy {
        /// Of which sale.
        sale: EffectId,
        /// On which printer; the configured one where none is named.
        printer: Option<String>,
    },
    /// Open the drawer of this terminal without a sale.
    OpenDrawer {
        /// Why.
        reason: DrawerReason,
        /// Who: an opaque id.
        by: String,
        /// A note.
        note: String,
    },
}

/// A line as it is asked for.
#[derive(Debug, Clone)]
pub struct NewLine {
    /// The code as it was scanned.
    pub code: String,
    /// How much; above zero.
    pub qty: Qty,
    /// Another price than the catalogue's.
    pub unit_price: Option<Price>,
    /// What the receipt calls it, where the catalogue does not have it.
    pub name: Option<String>,
    /// Why another price.
    pub price_reason: String,
    /// A note.
    pub memo: String,
}

/// Goods that come back.
#[derive(Debug, Clone)]
pub enum BackLine {
    /// A part of a line of the original sale.
    Of {
        /// The line, from 0.
        line: u16,
        /// How much; above zero.
        qty: Qty,
    },
    /// Something without a receipt.
    Loose(NewLine),
}

/// What stands on a sale, return or void beside goods and money.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// An opaque reference of the customer system.
    pub customer: Option<String>,
    /// An opaque id.
    pub cashier: Option<String>,
    /// A note.
    pub memo: String,
    /// A number of another system.
    pub external: String,
    /// Whether to print a receipt.
    pub receipt: bool,
}

impl Command {
    /// The cart that it is about.
    #[must_use]
    pub fn cart(&self) -> Option<CartId> {
        match self {
            Self::AddLine { cart, .. }
            | Self::ChangeLine { cart, .. }
            | Self::RemoveLine { cart, .. }
            | Self::Park { cart, .. }
            | Self::Take { cart }
            | Self::VoidCart { cart }
            | Self::Tender { cart, .. }
            | Self::GiveBack { cart, .. }
            | Self::Sell { cart, .. } => Some(*cart),
            _ => None,
        }
    }

    /// The sale that it is about, whose lines it needs.
    #[must_use]
    pub fn original(&self) -> Option<EffectId> {
        match self {
            Self::Return { original, .. } => *original,
            Self::VoidSale { sale, .. } => Some(*sale),
            _ => None,
        }
    }

    /// Whether it is answered from memory; everything else waits until it would survive a power cut.
    #[must_use]
    pub fn from_memory(&self) -> bool {
        matches!(
            self,
            Self::OpenCart { .. } | Self::AddLine { .. } | Self::ChangeLine { .. } | Self::RemoveLine { .. }
        )
    }
}
