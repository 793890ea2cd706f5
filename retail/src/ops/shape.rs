//! The shape that every op has, judged from its bytes alone and therefore alike on every node.
//!
//! Not here: whether it is right. An unreadable op is parked and shown, and stands in nobody's way.

use super::*;
use crate::currency::Currency;
use crate::day::Day;
use crate::drawer::opening::TTL_MS_MAX;

/// Limits of what is stored.
pub mod limits {
    /// Lines of a sale or a movement: as many as a cart holds.
    pub const LINES_MAX: usize = 4_000;
    /// Tenders of a sale.
    pub const TENDERS_MAX: usize = 32;
    /// Discounts, and taxes, of a line.
    pub const PER_LINE_MAX: usize = 16;
    /// Taxes of a sale.
    pub const TAXES_MAX: usize = 64;
    /// Heads of a cart that a sale covers.
    pub const HEADS_MAX: usize = 64;
    /// Currencies of a closing.
    pub const CURRENCIES_MAX: usize = 8;
    /// Characters of a code or sku.
    pub const CODE_CHARS_MAX: usize = 48;
    /// Characters of an item's name.
    pub const NAME_CHARS_MAX: usize = 120;
    /// Characters of a memo, note, reason or reference.
    pub const TEXT_CHARS_MAX: usize = 120;
    /// Characters of an opaque id, a printer's name, a unit.
    pub const WORD_CHARS_MAX: usize = 64;
    /// Bytes of a customer reference.
    pub const CUSTOMER_BYTES_MAX: usize = 64;
    /// Largest magnitude of any amount, quantity or price, in its stored unit: 10^16.
    pub const MAGNITUDE_MAX: u64 = 10_000_000_000_000_000;
}

use limits::*;

/// What no op may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Too many of something.
    #[error("{found} {what}, {max} at most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// A text with too many characters, or with control characters.
    #[error("{what} is longer than {max} characters or has control characters")]
    Text {
        /// Which text.
        what: &'static str,
        /// How many it may have.
        max: usize,
    },
    /// A number past what can be added up.
    #[error("{what} of {found} is past what can be added up")]
    Magnitude {
        /// Which number.
        what: &'static str,
        /// The number.
        found: i64,
    },
    /// Not a day, a currency, a fraction or a level.
    #[error("{found} is no {what}")]
    NoSuch {
        /// What it should be.
        what: &'static str,
        /// What it is.
        found: String,
    },
    /// More bytes than an entry holds.
    #[error("{found} bytes, {max} at most; make it two")]
    Bytes {
        /// Bytes it has.
        found: usize,
        /// Bytes it may have.
        max: usize,
    },
}

type Checked = Result<(), ShapeError>;

pub(super) fn check(op: &OpV1) -> Checked {
    match &op.what {
        What::Sale(sale) => sale_shape(sale),
        What::StockMoved(moved) => moved_shape(moved),
        What::DayOpened(opened) => {
            day(opened.day)?;
            word("who opened the day", opened.by.as_deref().unwrap_or_default())
        }
        What::DayClosed(closed) => day_closed_shape(closed),
        What::ShiftOpened(opened) => {
            day(opened.day)?;
            currency(opened.currency)?;
            word("the cashier", opened.cashier.as_deref().unwrap_or_default())?;
            word("the drawer", &opened.drawer)?;
            number("the float", opened.float_minor)
        }
        What::ShiftClosed(closed) => shift_closed_shape(closed),
        What::CashMoved(moved) => {
            day(moved.day)?;
            currency(moved.currency)?;
            word("who moved the cash", moved.by.as_deref().unwrap_or_default())?;
            text("the note", &moved.note)?;
            number("the amount", moved.amount_minor)
        }
        What::BundlePublished(published) => text("the bundle's name", &published.name),
        What::BundleActivated(_) | What::CartClosed(_) => Ok(()),
        What::BooksSettled(settled) => {
            if settled.jobs_before_micros < 0 {
                return no_such("time since 1970", settled.jobs_before_micros);
            }
            // Before anything was settled there is no day yet.
            if settled.sales == SalePlaceV1::default() { Ok(()) } else { day(settled.sales.day) }
        }
        What::DrawerAsked(asked) => drawer_asked_shape(asked),
        What::DrawerSeen(seen) => drawer_seen_shape(seen),
        What::PrintAsked(asked) => word("the printer", &asked.ask.printer),
        What::PrintStarted(started) => word("the printer", &started.printer),
        What::PrintOutcome(outcome) => {
            text("what the printer said", &outcome.detail)?;
            if outcome.level <= 3 { Ok(()) } else { no_such("level", outcome.level) }
        }
        What::Custody(custody) => {
            text("the cart's name", &custody.name)?;
            number("the cart's total", custody.total_minor)?;
            currency(custody.currency)
        }
        What::TenderTaken(taken) => {
            tender_shape(&taken.tender)?;
            currency(taken.currency)
        }
    }
}

fn sale_shape(sale: &SaleV1) -> Checked {
    day(sale.day)?;
    currency(sale.currency)?;
    count("lines", sale.lines.len(), LINES_MAX)?;
    count("tenders", sale.tenders.len(), TENDERS_MAX)?;
    count("taxes", sale.taxes.len(), TAXES_MAX)?;
    let customer = sale.customer.as_ref().map_or(0, Vec::len);
    count("bytes of the customer reference", customer, CUSTOMER_BYTES_MAX)?;
    count("heads of the cart", sale.cart.as_ref().map_or(0, |cart| cart.heads.len()), HEADS_MAX)?;
    word("the cashier", sale.cashier.as_deref().unwrap_or_default())?;
    word("the approver", sale.approver.as_deref().unwrap_or_default())?;
    word("the external reference", &sale.external)?;
    text("the reason", &sale.reason)?;
    text("the memo", &sale.memo)?;
    number("the subtotal", sale.subtotal_minor)?;
    number("the total", sale.total_minor)?;
    number("the rounding", sale.rounding_minor)?;
    number("the change", sale.change_minor)?;
    if let Some(ask) = &sale.print {
        word("the printer", &ask.printer)?;
    }
    sale.lines.iter().try_for_each(line_shape)?;
    sale.tenders.iter().try_for_each(tender_shape)?;
    sale.taxes.iter().try_for_each(|tax| {
        word("the tax's name", &tax.name)?;
        fraction(tax.base_numerator, tax.base_denominator)?;
        number("the net value", tax.net_minor)?;
        number("the tax", tax.amount_minor)
    })
}

fn line_shape(line: &SaleLineV1) -> Checked {
    count("discounts on a line", line.discounts.len(), PER_LINE_MAX)?;
    count("taxes on a line", line.taxes.len(), PER_LINE_MAX)?;
    bounded("the code", &line.code, CODE_CHARS_MAX)?;
    bounded("the sku", &line.sku, CODE_CHARS_MAX)?;
    bounded("the item's name", &line.name, NAME_CHARS_MAX)?;
    word("the unit", &line.unit)?;
    text("the line's memo", &line.memo)?;
    if let PriceReasonV1::Given(why) = &line.price_reason {
        text("the price reason", why)?;
    }
    number("the quantity", line.qty_milli)?;
    number("the unit price", line.unit_price_micros)?;
    number("the list price", line.list_price_micros.unwrap_or_default())?;
    number("the line's value", line.value_minor)?;
    line.discounts.iter().try_for_each(|discount| {
        text("the discount's name", &discount.name)?;
        text("the discount's reference", &discount.reference)?;
        number("the discount", discount.amount_minor)
    })?;
    line.taxes.iter().try_for_each(|tax| {
        word("the tax's name", &tax.name)?;
        fraction(tax.base_numerator, tax.base_denominator)?;
        number("the net value", tax.net_minor)?;
        number("the tax", tax.amount_minor)
    })
}

fn tender_shape(tender: &TenderV1) -> Checked {
    number("the tender", tender.amount_minor)?;
    match &tender.kind {
        TenderKindV1::Cash => Ok(()),
        TenderKindV1::Card { approval, terminal, last4 } => {
            word("the approval code", approval)?;
            word("the payment terminal", terminal)?;
            bounded("the last four digits", last4, 4)
        }
        TenderKindV1::Other { name, reference } => {
            word("the tender's name", name)?;
            text("the tender's reference", reference)
        }
    }
}

fn moved_shape(moved: &StockMovedV1) -> Checked {
    day(moved.day)?;
    count("lines", moved.lines.len(), LINES_MAX)?;
    word("who moved the goods", moved.by.as_deref().unwrap_or_default())?;
    text("the counterpart", &moved.counterpart)?;
    text("the note", &moved.note)?;
    word("the external reference", &moved.external)?;
    moved.lines.iter().try_for_each(|line| {
        bounded("the sku", &line.sku, CODE_CHARS_MAX)?;
        bounded("the item's name", &line.name, NAME_CHARS_MAX)?;
        number("the quantity", line.qty_milli)?;
        number("the counted quantity", line.counted_milli.unwrap_or_default())
    })
}

fn day_closed_shape(closed: &DayClosedV1) -> Checked {
    day(closed.day)?;
    word("who closed the day", closed.by.as_deref().unwrap_or_default())?;
    text("the note", &closed.note)?;
    count("currencies", closed.takings.len(), CURRENCIES_MAX)?;
    closed.takings.iter().try_for_each(|takings| {
        currency(takings.currency)?;
        number("the sales", takings.sales_minor)?;
        number("the returns", takings.returns_minor)?;
        number("the voids", takings.voids_minor)?;
        number("the cash", takings.cash_minor)
    })
}

fn shift_closed_shape(closed: &ShiftClosedV1) -> Checked {
    word("who counted", closed.by.as_deref().unwrap_or_default())?;
    text("the note", &closed.note)?;
    count("currencies", closed.counted.len(), CURRENCIES_MAX)?;
    closed.counted.iter().try_for_each(|counted| {
        currency(counted.currency)?;
        number("the cash counted", counted.counted_minor)?;
        number("the cash expected", counted.expected_minor)
    })
}

fn drawer_asked_shape(asked: &DrawerAskedV1) -> Checked {
    day(asked.day)?;
    word("the drawer", &asked.drawer)?;
    word("who opens the drawer", asked.by.as_deref().unwrap_or_default())?;
    text("the note", &asked.note)?;
    // An ask that lives longer would open a drawer with nobody there.
    if asked.ttl_ms <= TTL_MS_MAX { Ok(()) } else { no_such("time to live of a drawer's ask", asked.ttl_ms) }
}

fn drawer_seen_shape(seen: &DrawerSeenV1) -> Checked {
    day(seen.day)?;
    word("the drawer", &seen.drawer)?;
    text("what there is to say of the drawer", &seen.detail)?;
    match seen.what.is_answer() == seen.ask.is_some() {
        true => Ok(()),
        false => no_such("answer to an ask", seen.what.word()),
    }
}

fn count(what: &'static str, found: usize, max: usize) -> Checked {
    if found > max { Err(ShapeError::TooMany { what, found, max }) } else { Ok(()) }
}

fn bounded(what: &'static str, text: &str, max: usize) -> Checked {
    let fits = text.len() <= max * 4 && text.chars().count() <= max && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(ShapeError::Text { what, max }) }
}

fn word(what: &'static str, text: &str) -> Checked {
    bounded(what, text, WORD_CHARS_MAX)
}

fn text(what: &'static str, text: &str) -> Checked {
    bounded(what, text, TEXT_CHARS_MAX)
}

fn number(what: &'static str, found: i64) -> Checked {
    if found.unsigned_abs() > MAGNITUDE_MAX { Err(ShapeError::Magnitude { what, found }) } else { Ok(()) }
}

fn day(number: u32) -> Checked {
    Day::stored(number).map(|_| ()).or_else(|_| no_such("day of the calendar", number))
}

fn currency(stored: CurrencyV1) -> Checked {
    let known = Currency::stored(stored.code, stored.exponent);
    known.map(|_| ()).or_else(|_| no_such("currency", format!("{:02x?}", stored.code)))
}

fn fraction(numerator: u16, denominator: u16) -> Checked {
    if denominator == 0 || numerator > denominator {
        return no_such("part of a base", format!("{numerator}/{denominator}"));
    }
    Ok(())
}

fn no_such(what: &'static str, found: impl ToString) -> Checked {
    Err(ShapeError::NoSuch { what, found: found.to_string() })
}
