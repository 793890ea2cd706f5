//! Why a command did not happen. Unless a variant says otherwise, nothing was written and nothing changed.

use thiserror::Error;
use toko_crdt::KvError;
use toko_crdt::cart::CartError;
use toko_retail::drawer::DrawerError;
use toko_retail::line::LineError;
use toko_retail::money::{Money, MoneyError};
use toko_retail::movement::MoveError;
use toko_retail::ops::ShapeError;
use toko_retail::paper::PaperError;
use toko_retail::sale::{CloseReturnError, CloseSaleError, NumberError};
use toko_retail::tender::{SettleError, TenderError};
use toko_retail::text::TextError;

/// Why a command did not happen.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The key was used for another request.
    #[error("the key was used for another request")]
    KeyReused,
    /// The catalogue does not have the code, and no price was given.
    #[error("no item has the code {code:?}; give unit_price and name to sell it anyway")]
    NoSuchItem {
        /// The code.
        code: String,
    },
    /// The catalogue does not have the code, and no name was given.
    #[error("the catalogue does not have {code:?}; give a name for the receipt")]
    NameNeeded {
        /// The code.
        code: String,
    },
    /// No such cart, or nothing of it has arrived.
    #[error("no cart {0} is known here")]
    NoSuchCart(String),
    /// Somebody else holds it.
    #[error("the cart is held by {holder}")]
    CartElsewhere {
        /// Who.
        holder: String,
    },
    /// It is parked: take it first.
    #[error("the cart is parked")]
    CartParked,
    /// It is sold or given up.
    #[error("the cart is done: it was {0}")]
    CartDone(&'static str),
    /// It is not parked, so nobody else may take it.
    #[error("the cart is not parked: it is open at {holder}")]
    CartInUse {
        /// Who holds it.
        holder: String,
    },
    /// Money was taken for it.
    #[error("{taken} was taken for the cart; give it back first")]
    MoneyTaken {
        /// How much.
        taken: Money,
    },
    /// No such line.
    #[error("the cart has no line {0}")]
    NoSuchLine(String),
    /// No such tender, or it was given back.
    #[error("the cart has no tender {0} that is still held")]
    NoSuchTender(String),
    /// No such sale here.
    #[error("no sale {0} is known here")]
    NoSuchSale(String),
    /// It is known, and what stands in it is kept by others, of whom none gave it.
    #[error(
        "what {0} says is kept by other nodes of the store, and nobody who is linked gave it; try again when the hub is reachable"
    )]
    KeptElsewhere(String),
    /// No day is open.
    #[error("no business day is open")]
    NoDay,
    /// The day was closed.
    #[error("the business day {0} is closed")]
    DayClosed(String),
    /// The day is too long ago: its sales are settled.
    #[error("the business day {day} is settled; the first day that can be opened is {first}")]
    DaySettled {
        /// The day.
        day: String,
        /// The first that is not.
        first: String,
    },
    /// The cart's document refused.
    #[error(transparent)]
    Cart(#[from] CartError),
    /// A line that cannot be sold as it is.
    #[error(transparent)]
    Line(#[from] LineError),
    /// A tender that is none.
    #[error(transparent)]
    Tender(#[from] TenderError),
    /// The sale could not be closed.
    #[error(transparent)]
    Sale(#[from] CloseSaleError),
    /// The goods could not be taken back.
    #[error(transparent)]
    Return(#[from] CloseReturnError),
    /// A text that may not be kept.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Amounts past what can be kept.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A quantity that makes no sense for a movement.
    #[error("line {line}: {why}")]
    Quantity {
        /// Which line, from 0.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// Goods that cannot move like this.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// A copy that cannot be asked for.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// Asked for the terminal's own printer where there is none.
    #[error("no printer is set up at this terminal; see printer.address")]
    NoOwnPrinter,
    /// This terminal has no drawer.
    #[error("no drawer is set up at this terminal; see drawer.name")]
    NoDrawer,
    /// A drawer that cannot be asked to open.
    #[error(transparent)]
    Drawer(#[from] DrawerError),
    /// An op that no node would read.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The series is used up.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// The store did not take it. Nothing was written; trying again is safe.
    #[error("not saved: {0}")]
    NotSaved(String),
    /// The store broke while it was written: whether it is on disk shows after a restart. Repeat with the same key then.
    #[error("the store broke, whether it was saved shows after a restart: {0}")]
    NotKnown(String),
    /// Earlier changes of an open cart could not be saved.
    #[error("changes of the cart were not saved: {0}")]
    LinesNotSaved(String),
    /// The views could not be read.
    #[error(transparent)]
    Views(#[from] KvError),
    /// Something that was written cannot be read back.
    #[error("{0}")]
    Unreadable(String),
    /// The till is stopping.
    #[error("the till is stopping")]
    Stopping,
}

/// What kind of answer a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is not what it should be.
    Malformed,
    /// There is no such thing.
    Missing,
    /// It cannot be done as things are now.
    Conflict,
    /// Well formed, and not done here.
    Refused,
    /// The store does not take writes.
    Unsaved,
    /// A bug, or a broken store.
    Broken,
}

/// The parts of a refusal that the caller is shown beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// What kind of answer it is.
    pub kind: Kind,
    /// A stable word.
    pub code: &'static str,
    /// What the person at the till should do.
    pub screen: &'static str,
    /// Where in the request, where that is always the same place.
    pub field: Option<&'static str>,
}

const fn shown(kind: Kind, code: &'static str, screen: &'static str) -> Shown {
    Shown { kind, code, screen, field: None }
}

const fn shown_at(kind: Kind, code: &'static str, screen: &'static str, field: &'static str) -> Shown {
    Shown { kind, code, screen, field: Some(field) }
}

impl Refusal {
    /// Where in the request, where that depends on what is wrong.
    #[must_use]
    pub fn field(&self) -> Option<String> {
        match self {
            Self::Quantity { line, .. } => Some(format!("lines[{line}].qty")),
            Self::Sale(CloseSaleError::Line { line, .. })
            | Self::Return(CloseReturnError::Sale(CloseSaleError::Line { line, .. })) => {
                Some(format!("lines[{}]", line.saturating_sub(1)))
            }
            _ => None,
        }
    }

    /// How it is shown.
    #[must_use]
    pub fn shown(&self) -> Shown {
        match self {
            Self::KeyReused => shown_at(
                Kind::Refused,
                "idempotency-key-reused",
                "The program that asked is wrong. Call for help.",
                "Idempotency-Key",
            ),
            Self::NoSuchItem { .. } => {
                shown_at(Kind::Missing, "no-such-item", "Scan it again, or type its price.", "code")
            }
            Self::NameNeeded { .. } => shown_at(Kind::Malformed, "name-needed", "Type what it is.", "name"),
            Self::NoSuchCart(_) => {
                shown_at(Kind::Missing, "no-such-cart", "This cart is not known here.", "cart")
            }
            Self::CartElsewhere { .. } | Self::CartInUse { .. } => {
                shown_at(Kind::Conflict, "cart-not-here", "Park the cart at the other till first.", "cart")
            }
            Self::CartParked => shown_at(Kind::Conflict, "cart-parked", "Take the cart over first.", "cart"),
            Self::CartDone(_) => shown_at(Kind::Conflict, "cart-done", "Open a new cart.", "cart"),
            Self::MoneyTaken { .. } => shown(Kind::Conflict, "money-taken", "Give the money back first."),
            Self::NoSuchLine(_) => shown_at(Kind::Missing, "no-such-line", "Look at the cart again.", "line"),
            Self::NoSuchTender(_) => {
                shown_at(Kind::Missing, "no-such-tender", "Look at the cart again.", "tender")
            }
            Self::NoSuchSale(_) => {
                shown_at(Kind::Missing, "no-such-sale", "This sale is not known here.", "sale")
            }
            Self::KeptElsewhere(_) => shown(
                Kind::Unsaved,
                "kept-elsewhere",
                "Try again when the hub is back, or at the till that sold it.",
            ),
            Self::NoDay => shown(Kind::Conflict, "no-day", "Open the business day first."),
            Self::DayClosed(_) => {
                shown_at(Kind::Conflict, "day-closed", "Open another business day.", "date")
            }
            Self::DaySettled { .. } => {
                shown_at(Kind::Conflict, "day-settled", "Check the date, and open a later day.", "date")
            }
            Self::Cart(error) => Self::of_cart(error),
            Self::Line(error) => of_line(error),
            Self::Tender(_) => shown(Kind::Malformed, "bad-tender", "Check the payment."),
            Self::Sale(error) => of_sale(error),
            Self::Return(error) => of_return(error),
            Self::Text(_) => shown(Kind::Malformed, "bad-text", "Write the text differently."),
            Self::Money(_) => shown(Kind::Malformed, "bad-amount", "Check the amounts."),
            Self::Quantity { .. } => shown(Kind::Malformed, "bad-quantity", "Check the quantity."),
            Self::Move(_) => shown_at(Kind::Malformed, "bad-movement", "Check the goods.", "lines"),
            Self::Paper(_) => {
                shown_at(Kind::Malformed, "bad-printer", "Check the printer's name.", "printer")
            }
            Self::NoOwnPrinter => {
                shown_at(Kind::Malformed, "no-own-printer", "Print it on another printer.", "printer")
            }
            Self::NoDrawer => shown(Kind::Missing, "no-drawer", "Open it with its key."),
            Self::Drawer(_) => shown(Kind::Malformed, "bad-opening", "Write the text differently."),
            Self::Shape(_) => shown(Kind::Malformed, "too-large", "Make it two."),
            Self::Number(_) => shown(Kind::Broken, "series-used-up", "Call for help."),
            Self::NotSaved(_) => {
                shown(Kind::Unsaved, "not-saved", "Nothing was done. Call for help, then try again.")
            }
            Self::NotKnown(_) => shown(
                Kind::Broken,
                "outcome-not-known",
                "Do not do it again. Call for help: it shows after a restart.",
            ),
            Self::LinesNotSaved(_) => shown(
                Kind::Unsaved,
                "lines-not-saved",
                "The cart is not safe. Call for help, then try again.",
            ),
            Self::Views(_) | Self::Unreadable(_) => shown(Kind::Broken, "store-unreadable", "Call for help."),
            Self::Stopping => shown(Kind::Unsaved, "stopping", "The till restarts. Try again."),
        }
    }

    fn of_cart(error: &CartError) -> Shown {
        match error {
            CartError::Full { .. } => {
                shown_at(Kind::Conflict, "cart-full", "Sell it, then open another cart.", "cart")
            }
            CartError::Quantity { .. } => {
                shown_at(Kind::Malformed, "bad-quantity", "Check the quantity.", "qty")
            }
            CartError::UnknownLine { .. } => {
                shown_at(Kind::Missing, "no-such-line", "Look at the cart again.", "line")
            }
            _ => shown(Kind::Broken, "cart-broken", "Park the cart and open another one."),
        }
    }
}

fn of_line(error: &LineError) -> Shown {
    match error {
        LineError::NotPositive(_) | LineError::Qty(_) => {
            shown_at(Kind::Malformed, "bad-quantity", "Check the quantity.", "qty")
        }
        LineError::Code(_) => shown_at(Kind::Malformed, "bad-code", "Scan it again.", "code"),
        LineError::Money(_) => {
            shown_at(Kind::Malformed, "bad-price", "Check price and quantity.", "unit_price")
        }
        _ => shown(Kind::Malformed, "bad-line", "Check the line."),
    }
}

fn of_settle(error: &SettleError) -> Shown {
    match error {
        SettleError::Short { .. } => {
            shown_at(Kind::Refused, "tenders-short", "Ask for the rest of the money.", "tenders")
        }
        SettleError::ChangeNotFromCash { .. } => {
            shown_at(Kind::Refused, "too-much-by-card", "Take exactly what is due by card.", "tenders")
        }
        SettleError::RefundDiffers { .. } => {
            shown_at(Kind::Refused, "refund-differs", "Give back exactly what is owed.", "tenders")
        }
        _ => shown_at(Kind::Malformed, "bad-amount", "Check the amounts.", "tenders"),
    }
}

fn of_sale(error: &CloseSaleError) -> Shown {
    match error {
        CloseSaleError::Empty => shown(Kind::Conflict, "cart-empty", "Scan something first."),
        CloseSaleError::TooManyLines { .. } | CloseSaleError::Shape(_) => {
            shown(Kind::Refused, "too-many-lines", "Make it two sales.")
        }
        CloseSaleError::TooManyTenders { .. } => {
            shown_at(Kind::Refused, "too-many-tenders", "Take fewer payments.", "tenders")
        }
        CloseSaleError::Line { .. } => shown_at(Kind::Refused, "bad-line", "Check the line.", "lines"),
        CloseSaleError::Settle(error) => of_settle(error),
        CloseSaleError::Text(_) => shown(Kind::Malformed, "bad-text", "Write the text differently."),
        _ => shown(Kind::Malformed, "bad-amount", "Check the amounts."),
    }
}

fn of_return(error: &CloseReturnError) -> Shown {
    match error {
        CloseReturnError::Sale(error) => of_sale(error),
        CloseReturnError::NoOriginal(_) => {
            shown_at(Kind::Malformed, "no-original", "Scan the original receipt first.", "original")
        }
        CloseReturnError::NotASale => {
            shown_at(Kind::Conflict, "not-a-sale", "That receipt is itself a return or a void.", "original")
        }
        CloseReturnError::NoSuchLine { .. } => {
            shown_at(Kind::Missing, "no-such-line", "Look at the receipt again.", "lines")
        }
        CloseReturnError::TooMuch { .. } => {
            shown_at(Kind::Conflict, "returned-already", "More would come back than was sold.", "lines")
        }
        CloseReturnError::PartlyReturned => {
            shown_at(Kind::Conflict, "returned-already", "Take the rest back as a return.", "sale")
        }
        _ => shown(Kind::Refused, "bad-original", "That receipt cannot be taken back here."),
    }
}
