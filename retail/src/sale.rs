//! From lines to a sale, a return or a void: the author decides, here and once.
//!
//! Invariants: what these functions return can be signed as it is; what they refuse left nothing behind. Sums hold to the
//! minor unit: tenders − change = total + rounding. Whoever folds it later never judges it again. Absent on purpose: the
//! clock, the journal, the catalogue. Day, time, number and prices come in as values.
//!
//! ```
//! use toko_crdt::clock::UnixMicros;
//! use toko_retail::{currency::Currency, day::Day, line::PricedLine, money::{Money, Price}, qty::Qty};
//! use toko_retail::sale::{Occasion, ReceiptNumber, SaleDraft, close_sale};
//! use toko_retail::tender::Tender;
//!
//! let gbp = Currency::parse("GBP")?;
//! let number = ReceiptNumber::next(3, 1, 41)?;
//! let lantern = Price::parse("3.39", gbp)?;
//! let draft = SaleDraft {
//!     lines: vec![PricedLine::unknown("71053", "WHITE METAL LANTERN", Qty::pieces(6)?, lantern, "price tag")],
//!     tenders: vec![Tender::cash(Money::parse("21.00", gbp)?)?],
//!     ..SaleDraft::new(Occasion::new(Day::parse("2010-12-01")?, UnixMicros(1_291_192_000_000_000), number), gbp)
//! };
//! let sale = close_sale(&draft)?;
//! assert_eq!((sale.total_minor, sale.change_minor, sale.counter), (2_034, 66, 42));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use toko_crdt::EffectId;
use toko_crdt::clock::UnixMicros;

use crate::currency::Currency;
use crate::day::Day;
use crate::line::{Discount, LineError, PricedLine};
use crate::money::MoneyError;
use crate::ops::{
    CartRefV1, CurrencyV1, LineTaxV1, OpV1, PrintAskV1, SaleKind, SaleLineV1, SaleV1, ShapeError, TaxTotalV1,
    What, limits,
};
use crate::tax::{LineTax, TaxRounding, TaxTotal};
use crate::tender::{SettleError, Tender, settle};
use crate::text::{TextError, check_text};
use crate::totals::totals;

mod number;
mod refund;

pub use number::{NumberError, ReceiptNumber, receipt_tag};
pub use refund::{CloseReturnError, Original, ReturnDraft, ReturnLine, close_return, owed_for, void_sale};

/// When, where and by whom: what a sale, a return and a void have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// Business day.
    pub day: Day,
    /// When the terminal says it is.
    pub at: UnixMicros,
    /// Minutes that local time is ahead of UTC.
    pub utc_offset_minutes: i16,
    /// Whether the terminal's time is verified.
    pub time_verified: bool,
    /// The receipt number it takes.
    pub number: ReceiptNumber,
    /// The shift.
    pub shift: Option<EffectId>,
    /// Who sells: an opaque id, never a name.
    pub cashier: Option<String>,
    /// Who approved: an opaque id.
    pub approver: Option<String>,
    /// Whose purchase: bytes that only the customer system can read.
    pub customer: Option<Vec<u8>>,
    /// The receipt to print.
    pub print: Option<PrintAskV1>,
    /// A note.
    pub memo: String,
    /// A number of another system.
    pub external: String,
}

impl Occasion {
    /// An occasion with nothing but what it must have.
    pub fn new(day: Day, at: UnixMicros, number: ReceiptNumber) -> Occasion {
        Occasion {
            day,
            at,
            utc_offset_minutes: 0,
            time_verified: false,
            number,
            shift: None,
            cashier: None,
            approver: None,
            customer: None,
            print: None,
            memo: String::new(),
            external: String::new(),
        }
    }

    fn check(&self) -> Result<(), TextError> {
        check_text("the cashier", self.cashier.as_deref().unwrap_or_default(), limits::WORD_CHARS_MAX)?;
        check_text("the approver", self.approver.as_deref().unwrap_or_default(), limits::WORD_CHARS_MAX)?;
        check_text("the memo", &self.memo, limits::TEXT_CHARS_MAX)?;
        check_text("the external reference", &self.external, limits::WORD_CHARS_MAX)
    }
}

/// A sale that is about to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleDraft {
    /// When, where and by whom.
    pub occasion: Occasion,
    /// The cart it comes from, and the heads that were read.
    pub cart: Option<CartRefV1>,
    /// Currency of prices and tenders.
    pub currency: Currency,
    /// What is sold.
    pub lines: Vec<PricedLine>,
    /// What is given.
    pub tenders: Vec<Tender>,
    /// When tax is rounded.
    pub tax_rounding: TaxRounding,
    /// The smallest coin in minor units; 0 or 1 where nothing is rounded.
    pub cash_step_minor: i64,
}

impl SaleDraft {
    /// A draft without lines and tenders.
    pub fn new(occasion: Occasion, currency: Currency) -> SaleDraft {
        SaleDraft {
            occasion,
            cart: None,
            currency,
            lines: Vec::new(),
            tenders: Vec::new(),
            tax_rounding: TaxRounding::PerLine,
            cash_step_minor: 0,
        }
    }
}

/// Why a sale stayed open. Nothing was written if you hold one of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseSaleError {
    /// Nothing to sell.
    #[error("there is no line to sell")]
    Empty,
    /// More lines than a sale holds.
    #[error("{found} lines, {max} at most; make it two sales")]
    TooManyLines {
        /// Lines there are.
        found: usize,
        /// Lines there may be.
        max: usize,
    },
    /// More tenders than a sale holds.
    #[error("{found} tenders, {max} at most")]
    TooManyTenders {
        /// Tenders there are.
        found: usize,
        /// Tenders there may be.
        max: usize,
    },
    /// A line that cannot be sold as it is.
    #[error("line {line} ({code}): {why}")]
    Line {
        /// Its place, counted from 1.
        line: usize,
        /// Its code.
        code: String,
        /// What is wrong with it.
        why: LineError,
    },
    /// Tenders that do not settle it.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// A text that may not be kept.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Two currencies, or amounts past what can be kept.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Larger than an entry holds, or something that no other check names.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// Closes a sale: checks every line, computes totals and taxes, settles the tenders.
///
/// Errors: the first thing that is wrong; nothing is changed, the cart is open as before.
pub fn close_sale(draft: &SaleDraft) -> Result<SaleV1, CloseSaleError> {
    draft.occasion.check()?;
    check_counts(draft.lines.len(), draft.tenders.len())?;
    for (at, line) in draft.lines.iter().enumerate() {
        line.check().map_err(|why| CloseSaleError::Line { line: at + 1, code: line.code.clone(), why })?;
    }
    let sums = totals(draft.currency, &draft.lines, draft.tax_rounding)?;
    let settled = settle(sums.total, &draft.tenders, draft.cash_step_minor)?;
    let mut sale = skeleton(SaleKind::Sale, &draft.occasion, draft.currency);
    sale.cart = draft.cart.clone();
    sale.tax_per_total = draft.tax_rounding == TaxRounding::PerTotal;
    for (line, taxes) in draft.lines.iter().zip(&sums.taxed.lines) {
        sale.lines.push(stored_line(line, taxes)?);
    }
    sale.taxes = sums.taxed.totals.iter().map(stored_total).collect();
    sale.subtotal_minor = sums.subtotal.minor_units();
    sale.total_minor = sums.total.minor_units();
    sale.rounding_minor = settled.rounding.minor_units();
    sale.change_minor = settled.change.minor_units();
    sale.tenders = draft.tenders.iter().map(|tender| tender.stored(false)).collect();
    checked(sale)
}

impl SaleV1 {
    /// Its currency.
    ///
    /// Errors: only for a value that never passed [`OpV1::decode`] or [`close_sale`].
    pub fn currency(&self) -> Result<Currency, crate::currency::CurrencyError> {
        Currency::stored(self.currency.code, self.currency.exponent)
    }

    /// Its receipt number.
    pub fn number(&self) -> ReceiptNumber {
        ReceiptNumber { terminal: self.terminal, series: self.series, counter: self.counter }
    }
}

impl CurrencyV1 {
    /// A currency as it is kept.
    pub fn of(currency: Currency) -> CurrencyV1 {
        CurrencyV1 { code: currency.code_bytes(), exponent: currency.exponent() }
    }
}

fn check_counts(lines: usize, tenders: usize) -> Result<(), CloseSaleError> {
    if lines == 0 {
        return Err(CloseSaleError::Empty);
    }
    if lines > limits::LINES_MAX {
        return Err(CloseSaleError::TooManyLines { found: lines, max: limits::LINES_MAX });
    }
    if tenders > limits::TENDERS_MAX {
        return Err(CloseSaleError::TooManyTenders { found: tenders, max: limits::TENDERS_MAX });
    }
    Ok(())
}

/// The last look before it is signed: it has the shape that every node will demand.
fn checked(sale: SaleV1) -> Result<SaleV1, CloseSaleError> {
    let op = OpV1::new(What::Sale(Box::new(sale)));
    op.check_shape()?;
    match op.what {
        What::Sale(sale) => Ok(*sale),
        _ => unreachable!("the sale that was put in two lines above"),
    }
}

fn skeleton(kind: SaleKind, occasion: &Occasion, currency: Currency) -> SaleV1 {
    SaleV1 {
        kind,
        day: occasion.day.number(),
        at_unix_micros: occasion.at.0,
        utc_offset_minutes: occasion.utc_offset_minutes,
        time_verified: occasion.time_verified,
        shift: occasion.shift.map(|shift| shift.0),
        cashier: occasion.cashier.clone(),
        approver: occasion.approver.clone(),
        customer: occasion.customer.clone(),
        terminal: occasion.number.terminal,
        series: occasion.number.series,
        counter: occasion.number.counter,
        cart: None,
        original: None,
        reason: String::new(),
        currency: CurrencyV1::of(currency),
        lines: Vec::new(),
        tax_per_total: false,
        taxes: Vec::new(),
        subtotal_minor: 0,
        total_minor: 0,
        rounding_minor: 0,
        tenders: Vec::new(),
        change_minor: 0,
        print: occasion.print.clone(),
        memo: occasion.memo.clone(),
        external: occasion.external.clone(),
    }
}

fn stored_line(line: &PricedLine, taxes: &[LineTax]) -> Result<SaleLineV1, MoneyError> {
    Ok(SaleLineV1 {
        line: line.line.map(|id| id.0),
        code: line.code.clone(),
        sku: line.sku.clone(),
        name: line.name.clone(),
        unit: line.unit.clone(),
        qty_milli: line.qty.milli_units(),
        unit_price_micros: line.unit_price.micro_units(),
        list_price_micros: line.list_price.map(|price| price.micro_units()),
        price_reason: line.price_reason.stored(),
        bundle: line.bundle.map(|hash| hash.0),
        value_minor: line.value()?.minor_units(),
        discounts: line.discounts.iter().map(Discount::stored).collect(),
        taxes: taxes.iter().map(stored_tax).collect(),
        return_of: None,
        moves_stock: line.moves_stock,
        memo: line.memo.clone(),
    })
}

fn stored_tax(tax: &LineTax) -> LineTaxV1 {
    LineTaxV1 {
        name: tax.rate.name().to_string(),
        rate_ppm: tax.rate.rate_ppm(),
        base_numerator: tax.rate.base().0,
        base_denominator: tax.rate.base().1,
        included: tax.included,
        net_minor: tax.net.minor_units(),
        amount_minor: tax.amount.minor_units(),
    }
}

fn stored_total(total: &TaxTotal) -> TaxTotalV1 {
    TaxTotalV1 {
        name: total.rate.name().to_string(),
        rate_ppm: total.rate.rate_ppm(),
        base_numerator: total.rate.base().0,
        base_denominator: total.rate.base().1,
        included: total.included,
        net_minor: total.net.minor_units(),
        amount_minor: total.amount.minor_units(),
    }
}

#[cfg(test)]
mod tests;
