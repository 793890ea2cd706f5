//! Money and prices: whole minor units with their currency, decimal only while computing.
//!
//! Invariants: no float anywhere; sums of different currencies are refused, not converted; every rounding is half up, away
//! from zero at .5, so that a return of a sale is its exact negative. Absent on purpose: exchange, grouping of digits,
//! currency symbols.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::currency::Currency;
use crate::qty::Qty;

/// An amount of money.
///
/// Units: minor units of its currency (`1999` with GBP is 19.99 GBP). May be negative: a return is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why an amount could not be read or computed. No operand changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// The text is not a plain decimal number.
    #[error("{0:?} is not an amount (digits, and a point before the decimals, such as 12.50)")]
    NotANumber(String),
    /// More decimals than the currency, or a price, may have.
    #[error("{text:?} has {found} decimals, {max} are possible here")]
    TooManyDecimals {
        /// What was read.
        text: String,
        /// Decimals found.
        found: u32,
        /// Decimals possible.
        max: u32,
    },
    /// Past what 64 bits of minor units can hold.
    #[error("the amount is too large to be kept")]
    TooLarge,
    /// Two currencies in one sum.
    #[error("{left} and {right} cannot be added up")]
    CurrencyDiffers {
        /// Currency of the first amount.
        left: Currency,
        /// Currency of the second.
        right: Currency,
    },
}

impl Money {
    /// An amount from its minor units.
    pub const fn minor(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    /// Reads `12.5`, `-0.05` or `1200`, exactly.
    ///
    /// Errors: no number, more decimals than the currency has (even zeros beyond are refused), too large.
    pub fn parse(text: &str, currency: Currency) -> Result<Money, MoneyError> {
        let minor = parse_scaled(text, u32::from(currency.exponent()))?;
        Ok(Money { minor, currency })
    }

    /// The nearest amount to a decimal number of major units, half away from zero.
    pub fn round(major: Decimal, currency: Currency) -> Result<Money, MoneyError> {
        let digits = u32::from(currency.exponent());
        let half = RoundingStrategy::MidpointAwayFromZero;
        let half =
            if toko_crdt::mutant!("round-half-down") { RoundingStrategy::MidpointTowardZero } else { half };
        let rounded = major.round_dp_with_strategy(digits, half);
        let minor =
            rounded.checked_mul(Decimal::from(currency.minor_per_major())).ok_or(MoneyError::TooLarge)?;
        i64::try_from(minor.trunc()).map(|minor| Money { minor, currency }).map_err(|_| MoneyError::TooLarge)
    }

    /// The amount as a decimal number of major units.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.minor, u32::from(self.currency.exponent()))
    }

    /// The minor units, for storing and comparing.
    pub const fn minor_units(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether nothing is left or owed.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.minor < 0
    }

    /// The sum of two amounts.
    pub fn plus(self, other: Money) -> Result<Money, MoneyError> {
        self.same(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::TooLarge)?;
        Ok(Money { minor, ..self })
    }

    /// The difference of two amounts.
    pub fn minus(self, other: Money) -> Result<Money, MoneyError> {
        self.same(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::TooLarge)?;
        Ok(Money { minor, ..self })
    }

    /// The same amount with the other sign.
    pub fn negated(self) -> Result<Money, MoneyError> {
        let minor = self.minor.checked_neg().ok_or(MoneyError::TooLarge)?;
        Ok(Money { minor, ..self })
    }

    /// The sum of amounts of one currency; nothing for an empty list.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Money>) -> Result<Money, MoneyError> {
        amounts.into_iter().try_fold(Money::zero(currency), Money::plus)
    }

    /// `self × numerator ÷ denominator`, rounded half away from zero to the minor unit.
    ///
    /// Errors: [`MoneyError::TooLarge`] past 64 bits, or when the denominator is not positive.
    pub fn share(self, numerator: i128, denominator: i128) -> Result<Money, MoneyError> {
        let minor =
            round_ratio(i128::from(self.minor), numerator, denominator).ok_or(MoneyError::TooLarge)?;
        Ok(Money { minor, ..self })
    }

    /// The nearest multiple of a cash step, half away from zero (12.98 in steps of 0.05 is 13.00).
    ///
    /// Shape: a step of 0 or 1 changes nothing.
    pub fn to_cash_step(self, step_minor: i64) -> Result<Money, MoneyError> {
        if step_minor <= 1 {
            return Ok(self);
        }
        let steps =
            round_ratio(i128::from(self.minor), 1, i128::from(step_minor)).ok_or(MoneyError::TooLarge)?;
        let minor = steps.checked_mul(step_minor).ok_or(MoneyError::TooLarge)?;
        Ok(Money { minor, ..self })
    }

    /// The number alone, always with the currency's decimals: `19.90`.
    pub fn amount(self) -> String {
        format_scaled(self.minor, u32::from(self.currency.exponent()), u32::from(self.currency.exponent()))
    }

    fn same(self, other: Money) -> Result<(), MoneyError> {
        if self.currency == other.currency || toko_crdt::mutant!("mix-currencies") {
            Ok(())
        } else {
            Err(MoneyError::CurrencyDiffers { left: self.currency, right: other.currency })
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What one sales unit costs. Finer than [`Money`], because shops price fuel at 1.599 and padding at 0.001.
///
/// Units: millionths of the major unit. Shape: zero or more; a discount is not a negative price.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Price {
    micros: i64,
    currency: Currency,
}

impl Price {
    /// A price from millionths of the major unit.
    ///
    /// Errors: [`MoneyError::NotANumber`] for a negative one.
    pub fn micros(micros: i64, currency: Currency) -> Result<Price, MoneyError> {
        if micros < 0 {
            return Err(MoneyError::NotANumber(format!("{micros} millionths")));
        }
        Ok(Price { micros, currency })
    }

    /// A free item.
    pub const fn free(currency: Currency) -> Price {
        Price { micros: 0, currency }
    }

    /// Reads `2.55` or `0.001`, up to six decimals; never negative.
    pub fn parse(text: &str, currency: Currency) -> Result<Price, MoneyError> {
        if text.starts_with('-') {
            return Err(MoneyError::NotANumber(text.chars().take(24).collect()));
        }
        Ok(Price { micros: parse_scaled(text, PRICE_DECIMALS)?, currency })
    }

    /// The price of one unit at exactly this amount.
    pub fn from_money(each: Money) -> Result<Price, MoneyError> {
        let scale = 10_i64.pow(PRICE_DECIMALS - u32::from(each.currency().exponent()));
        let micros = each.minor_units().checked_mul(scale).ok_or(MoneyError::TooLarge)?;
        Price::micros(micros, each.currency())
    }

    /// Millionths of the major unit, for storing and comparing.
    pub const fn micro_units(self) -> i64 {
        self.micros
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether the item is free.
    pub const fn is_free(self) -> bool {
        self.micros == 0
    }

    /// The value of a line: quantity × price, rounded half up to the minor unit; negative for a negative quantity.
    pub fn times(self, qty: Qty) -> Result<Money, MoneyError> {
        let price = Decimal::new(self.micros, PRICE_DECIMALS);
        let value = price.checked_mul(qty.to_decimal()).ok_or(MoneyError::TooLarge)?;
        Money::round(value, self.currency)
    }

    /// The number alone, with at least the currency's decimals: `2.50`, `0.001`.
    pub fn amount(self) -> String {
        format_scaled(self.micros, PRICE_DECIMALS, u32::from(self.currency.exponent()))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Decimals of a unit price.
const PRICE_DECIMALS: u32 = 6;

/// `value × numerator ÷ denominator`, half away from zero; `None` past 64 bits or without a positive denominator.
pub(crate) fn round_ratio(value: i128, numerator: i128, denominator: i128) -> Option<i64> {
    if denominator <= 0 {
        return None;
    }
    let product = value.checked_mul(numerator)?;
    let half = denominator / 2;
    let magnitude = product.unsigned_abs();
    let quotient = magnitude / denominator.unsigned_abs();
    let rest = magnitude % denominator.unsigned_abs();
    // Up when the rest is at least half; for an odd denominator "half" is between two rests.
    let half = if toko_crdt::mutant!("cut-shares") { denominator } else { half };
    let up = rest > half.unsigned_abs() || (denominator % 2 == 0 && rest == half.unsigned_abs());
    let rounded = i128::try_from(quotient).ok()?.checked_add(i128::from(up))?;
    i64::try_from(if product < 0 { -rounded } else { rounded }).ok()
}

/// Reads a plain decimal number as an integer of `10^-decimals`.
pub(crate) fn parse_scaled(text: &str, decimals: u32) -> Result<i64, MoneyError> {
    let not_a_number = || MoneyError::NotANumber(text.chars().take(24).collect());
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let point_without_decimals = digits.contains('.') && fraction.is_empty();
    if whole.is_empty() || !plain(whole) || !plain(fraction) || point_without_decimals {
        return Err(not_a_number());
    }
    let found = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    if found > decimals {
        let text = text.chars().take(24).collect();
        return Err(MoneyError::TooManyDecimals { text, found, max: decimals });
    }
    let mut value: i64 = 0;
    for byte in whole.bytes().chain(fraction.bytes()).chain((found..decimals).map(|_| b'0')) {
        // Built below zero, because 64 bits reach one further there.
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_sub(i64::from(byte - b'0')))
            .ok_or(MoneyError::TooLarge)?;
    }
    if text.starts_with('-') { Ok(value) } else { value.checked_neg().ok_or(MoneyError::TooLarge) }
}

/// Writes an integer of `10^-decimals`, dropping zeros at the end down to `min` decimals.
pub(crate) fn format_scaled(value: i64, decimals: u32, min: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let scale = 10_u64.pow(decimals);
    let (whole, fraction) = (value.unsigned_abs() / scale, value.unsigned_abs() % scale);
    let width = decimals as usize;
    let mut tail = if width == 0 { String::new() } else { format!("{fraction:0width$}") };
    while tail.len() > min as usize && tail.ends_with('0') {
        tail.pop();
    }
    if tail.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{tail}") }
}

#[cfg(test)]
mod tests;
