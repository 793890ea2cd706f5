//! What lines come to: the sum a cart shows while it grows, and the same sum a sale closes with.

use crate::currency::Currency;
use crate::line::PricedLine;
use crate::money::{Money, MoneyError};
use crate::tax::{TaxRounding, Taxed, tax_lines};

/// The totals of some lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Line values after discounts, before taxes on top.
    pub subtotal: Money,
    /// The taxes of each line, and by rate.
    pub taxed: Taxed,
    /// Subtotal and taxes on top: what is due.
    pub total: Money,
}

/// Adds lines up.
///
/// Errors: another currency than the lines have, or past what can be kept.
pub fn totals(currency: Currency, lines: &[PricedLine], rounding: TaxRounding) -> Result<Totals, MoneyError> {
    let mut values = Vec::with_capacity(lines.len());
    let mut subtotal = Money::zero(currency);
    for line in lines {
        let value = line.discounted()?;
        subtotal = subtotal.plus(value)?;
        values.push((value, line.tax.as_deref()));
    }
    let taxed = tax_lines(currency, &values, rounding)?;
    let total = subtotal.plus(taxed.on_top)?;
    Ok(Totals { subtotal, taxed, total })
}
