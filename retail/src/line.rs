//! A priced line: what is sold, how much of it, at what price and why, and what that comes to.
//!
//! Invariants: a line carries all that its receipt and its entry need, so neither needs the catalogue again; its value is
//! quantity × price rounded half up to the minor unit, discounts come off after that. Absent on purpose: promotions deciding
//! by themselves; a discount comes in with its name.

use std::sync::Arc;

use toko_crdt::Hash;
use toko_crdt::ids::LineId;

use crate::code::CodeError;
use crate::item::ItemRef;
use crate::money::{Money, MoneyError, Price};
use crate::ops::limits;
use crate::qty::{Qty, QtyError};
use crate::tax::TaxGroup;
use crate::text::{TextError, check_code, check_given, check_name, check_text};

mod facts;

pub use facts::{FactsError, LINE_FACTS_VERSION};

/// Where a unit price came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceReason {
    /// The catalogue.
    Catalogue,
    /// Given with the line, and why.
    Given(String),
}

/// Something taken off a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discount {
    /// What the receipt calls it.
    pub name: String,
    /// The promotion, coupon or approval behind it; may be empty.
    pub reference: String,
    /// How much; above zero.
    pub amount: Money,
}

/// A line with its price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedLine {
    /// The line of the cart it came from.
    pub line: Option<LineId>,
    /// The code as it was scanned or typed.
    pub code: String,
    /// The item.
    pub sku: String,
    /// What the receipt calls it.
    pub name: String,
    /// What it is sold by: `pc`, `kg`; may be empty.
    pub unit: String,
    /// Decimals it may be sold by, 0 to 3.
    pub decimals: u8,
    /// How much; above zero. A return says so by its kind, not by a sign here.
    pub qty: Qty,
    /// Price of one unit.
    pub unit_price: Price,
    /// What the catalogue asked, where another price was given.
    pub list_price: Option<Price>,
    /// Where the price came from.
    pub price_reason: PriceReason,
    /// The catalogue it was priced from.
    pub bundle: Option<Hash>,
    /// What is taken off, in this order.
    pub discounts: Vec<Discount>,
    /// Its taxes.
    pub tax: Option<Arc<TaxGroup>>,
    /// Whether stock moves: false for a service.
    pub moves_stock: bool,
    /// A note on the line.
    pub memo: String,
}

/// Why a line cannot be sold as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Nothing of it, or less.
    #[error("the quantity is {0}, it must be above zero")]
    NotPositive(Qty),
    /// Finer than the item is sold by, or too large.
    #[error(transparent)]
    Qty(#[from] QtyError),
    /// A text on it.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Its code.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// Discounts of more than it is worth, or of nothing.
    #[error("discounts of {discounts} on a line of {value}")]
    Discount {
        /// What is taken off.
        discounts: Money,
        /// What the line is worth.
        value: Money,
    },
    /// Too many discounts.
    #[error("{0} discounts on one line, 16 at most")]
    TooManyDiscounts(usize),
    /// Currencies, or amounts past what can be kept.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl PricedLine {
    /// A line of an item at its catalogue price. `code` is what was scanned, `bundle` the catalogue's hash.
    pub fn of_item(code: &str, item: &ItemRef<'_>, qty: Qty, bundle: Option<Hash>) -> PricedLine {
        PricedLine {
            line: None,
            code: code.to_string(),
            sku: item.sku.to_string(),
            name: item.name.to_string(),
            unit: item.unit.to_string(),
            decimals: item.decimals,
            qty,
            unit_price: item.price,
            list_price: None,
            price_reason: PriceReason::Catalogue,
            bundle,
            discounts: Vec::new(),
            tax: item.tax.cloned(),
            moves_stock: !item.is_service,
            memo: String::new(),
        }
    }

    /// A line of something the catalogue does not know: it sells under its code, name and price.
    pub fn unknown(code: &str, name: &str, qty: Qty, unit_price: Price, why: &str) -> PricedLine {
        PricedLine {
            line: None,
            code: code.to_string(),
            sku: code.to_string(),
            name: name.to_string(),
            unit: String::new(),
            decimals: 3,
            qty,
            unit_price,
            list_price: None,
            price_reason: PriceReason::Given(why.to_string()),
            bundle: None,
            discounts: Vec::new(),
            tax: None,
            moves_stock: true,
            memo: String::new(),
        }
    }

    /// The same line at another price, remembering what the catalogue asked.
    #[must_use]
    pub fn at_price(mut self, unit_price: Price, why: &str) -> PricedLine {
        if self.price_reason == PriceReason::Catalogue {
            self.list_price = Some(self.unit_price);
        }
        self.unit_price = unit_price;
        self.price_reason = PriceReason::Given(why.to_string());
        self
    }

    /// Quantity × price, rounded half up, before discounts.
    pub fn value(&self) -> Result<Money, MoneyError> {
        self.unit_price.times(self.qty)
    }

    /// The value less its discounts.
    pub fn discounted(&self) -> Result<Money, MoneyError> {
        self.value()?.minus(self.discount_sum()?)
    }

    /// Checks that the line can be sold.
    pub fn check(&self) -> Result<(), LineError> {
        check_code("the code", &self.code, limits::CODE_CHARS_MAX)?;
        check_code("the sku", &self.sku, limits::CODE_CHARS_MAX)?;
        // A name from a catalogue may hold any number; one that was typed here may not hold a card's.
        let check_name = if self.bundle.is_some() { check_name } else { check_text };
        check_name("the item's name", &self.name, limits::NAME_CHARS_MAX)?;
        check_name("the unit", &self.unit, 16)?;
        check_text("the line's memo", &self.memo, limits::TEXT_CHARS_MAX)?;
        if let PriceReason::Given(why) = &self.price_reason {
            check_text("the price reason", why, limits::TEXT_CHARS_MAX)?;
        }
        if self.qty.milli_units() <= 0 {
            return Err(LineError::NotPositive(self.qty));
        }
        self.qty.fits(self.decimals)?;
        self.check_discounts()
    }

    fn check_discounts(&self) -> Result<(), LineError> {
        if self.discounts.len() > limits::PER_LINE_MAX {
            return Err(LineError::TooManyDiscounts(self.discounts.len()));
        }
        for discount in &self.discounts {
            check_given("the discount's name", &discount.name, limits::TEXT_CHARS_MAX)?;
            check_text("the discount's reference", &discount.reference, limits::TEXT_CHARS_MAX)?;
        }
        let (value, discounts) = (self.value()?, self.discount_sum()?);
        let each_positive = self.discounts.iter().all(|discount| discount.amount.minor_units() > 0);
        if each_positive && discounts.minor_units() <= value.minor_units() {
            Ok(())
        } else {
            Err(LineError::Discount { discounts, value })
        }
    }

    fn discount_sum(&self) -> Result<Money, MoneyError> {
        if toko_crdt::mutant!("forget-discounts") {
            return Ok(Money::zero(self.unit_price.currency()));
        }
        Money::sum(self.unit_price.currency(), self.discounts.iter().map(|discount| discount.amount))
    }
}
