//! How much of something: thousandths of the unit it is sold by.
//!
//! Absent on purpose: units of measure and their conversion. 1.250 kg and 1.250 m are both 1 250 thousandths; the item says of what.

use std::fmt;

use rust_decimal::Decimal;

use crate::money::{MoneyError, format_scaled, parse_scaled};

/// A quantity.
///
/// Units: thousandths of the sales unit, so 1.250 kg is `Qty::milli(1_250)` and three tins are `Qty::milli(3_000)`.
/// Shape: may be negative: a return, a movement out of stock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Qty(i64);

/// Why a quantity could not be read or computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QtyError {
    /// Not a plain decimal number.
    #[error("{0:?} is not a quantity (digits, and a point before at most three decimals, such as 1.250)")]
    NotANumber(String),
    /// Finer than the item is sold.
    #[error("{qty} is finer than the {decimals} decimals this item is sold by")]
    TooFine {
        /// The quantity.
        qty: Qty,
        /// Decimals the item allows.
        decimals: u8,
    },
    /// Past what can be kept.
    #[error("the quantity is too large to be kept")]
    TooLarge,
}

impl Qty {
    /// Nothing.
    pub const ZERO: Qty = Qty(0);
    /// One piece.
    pub const ONE: Qty = Qty(1_000);

    /// A quantity from thousandths.
    pub const fn milli(milli: i64) -> Qty {
        Qty(milli)
    }

    /// A number of whole pieces.
    pub fn pieces(pieces: i64) -> Result<Qty, QtyError> {
        pieces.checked_mul(1_000).map(Qty).ok_or(QtyError::TooLarge)
    }

    /// Reads `3`, `-2` or `1.250`, exactly; at most three decimals.
    pub fn parse(text: &str) -> Result<Qty, QtyError> {
        parse_scaled(text, 3).map(Qty).map_err(|error| match error {
            MoneyError::TooLarge => QtyError::TooLarge,
            _ => QtyError::NotANumber(text.chars().take(24).collect()),
        })
    }

    /// The thousandths, for storing and comparing.
    pub const fn milli_units(self) -> i64 {
        self.0
    }

    /// With its three decimals, always: `-3.000`. What programs read has one form, whoever tells it.
    pub fn in_thousandths(self) -> String {
        let (sign, size) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        format!("{sign}{}.{:03}", size / 1_000, size % 1_000)
    }

    /// As a decimal number of sales units.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0, 3)
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum of two quantities.
    pub fn plus(self, other: Qty) -> Result<Qty, QtyError> {
        self.0.checked_add(other.0).map(Qty).ok_or(QtyError::TooLarge)
    }

    /// The same quantity with the other sign.
    pub fn negated(self) -> Result<Qty, QtyError> {
        self.0.checked_neg().map(Qty).ok_or(QtyError::TooLarge)
    }

    /// Checks that an item sold by so many decimals can be sold in this quantity.
    pub fn fits(self, decimals: u8) -> Result<(), QtyError> {
        let step = 10_i64.pow(3 - u32::from(decimals.min(3)));
        if self.0 % step == 0 { Ok(()) } else { Err(QtyError::TooFine { qty: self, decimals }) }
    }
}

impl fmt::Display for Qty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_scaled(self.0, 3, 0))
    }
}

impl fmt::Debug for Qty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_and_weights_are_read_exactly() {
        for (text, milli) in
            [("3", 3_000), ("-2", -2_000), ("1.25", 1_250), ("74215", 74_215_000), ("0.001", 1)]
        {
            assert_eq!(Qty::parse(text).unwrap().milli_units(), milli);
        }
        assert!(Qty::parse("0.0001").is_err());
        assert!(Qty::parse("1,5").is_err());
        assert_eq!(Qty::pieces(i64::MAX), Err(QtyError::TooLarge));
    }

    #[test]
    fn tins_are_not_sold_by_the_half() {
        assert!(Qty::milli(1_500).fits(0).is_err());
        assert!(Qty::milli(1_500).fits(1).is_ok());
        assert!(Qty::milli(-2_000).fits(0).is_ok());
        assert_eq!(
            Qty::milli(1_500).fits(0).unwrap_err().to_string(),
            "1.5 is finer than the 0 decimals this item is sold by"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(milli in any::<i64>()) {
            prop_assert_eq!(Qty::parse(&Qty::milli(milli).to_string()).unwrap(), Qty::milli(milli));
        }
    }
}
