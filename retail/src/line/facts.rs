//! What a cart keeps of a line, as bytes: everything but its id and its quantity, which the cart has itself.
//!
//! So the terminal that finishes a cart needs neither the catalogue nor the prices of the one that began it.
//!
//! A later build adds fields behind those of this one: a cart that it began can be taken over and sold by any older till, which
//! hands on what it does not know, because the cart keeps the bytes whole.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toko_crdt::Hash;
use toko_crdt::cart::FACTS_BYTES_MAX;
use toko_crdt::codec::{self, CodecError};
use toko_crdt::ids::LineId;

use super::{Discount, PriceReason, PricedLine};
use crate::currency::{Currency, CurrencyError};
use crate::money::{Money, MoneyError, Price, format_scaled};
use crate::ops::{CurrencyV1, DiscountV1, PriceReasonV1};
use crate::qty::Qty;
use crate::tax::{TaxError, TaxGroup, TaxRate};

/// The version byte of a line's facts.
pub const LINE_FACTS_VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct LineFactsV1 {
    code: String,
    sku: String,
    name: String,
    unit: String,
    decimals: u8,
    currency: CurrencyV1,
    unit_price_micros: i64,
    list_price_micros: Option<i64>,
    price_reason: PriceReasonV1,
    bundle: Option<[u8; 32]>,
    discounts: Vec<DiscountV1>,
    tax: Option<TaxV1>,
    moves_stock: bool,
    memo: String,
}

#[derive(Serialize, Deserialize)]
struct TaxV1 {
    code: String,
    included: bool,
    rates: Vec<RateV1>,
}

#[derive(Serialize, Deserialize)]
struct RateV1 {
    name: String,
    rate_ppm: u32,
    base_numerator: u16,
    base_denominator: u16,
}

/// Why a cart's line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactsError {
    /// The bytes do not decode, or are of a newer version.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The currency.
    #[error(transparent)]
    Currency(#[from] CurrencyError),
    /// A price.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A tax.
    #[error(transparent)]
    Tax(#[from] TaxError),
}

impl PricedLine {
    /// The bytes that a cart keeps of this line.
    pub fn facts(&self) -> Vec<u8> {
        let currency = self.unit_price.currency();
        let facts = LineFactsV1 {
            code: self.code.clone(),
            sku: self.sku.clone(),
            name: self.name.clone(),
            unit: self.unit.clone(),
            decimals: self.decimals,
            currency: CurrencyV1::of(currency),
            unit_price_micros: self.unit_price.micro_units(),
            list_price_micros: self.list_price.map(Price::micro_units),
            price_reason: self.price_reason.stored(),
            bundle: self.bundle.map(|hash| hash.0),
            discounts: self.discounts.iter().map(Discount::stored).collect(),
            tax: self.tax.as_deref().map(stored_tax),
            moves_stock: self.moves_stock,
            memo: self.memo.clone(),
        };
        #[cfg_attr(not(feature = "next"), expect(unused_mut, reason = "the next version has more to say"))]
        let mut bytes = codec::encode(LINE_FACTS_VERSION, &facts);
        #[cfg(feature = "next")]
        bytes.extend(crate::next::facts());
        bytes
    }

    /// The line that a cart kept, with the quantity that its steps add up to.
    ///
    /// Errors: bytes that are no line. Whether it can be sold is [`PricedLine::check`]'s business.
    pub fn from_facts(line: LineId, qty: Qty, facts: &[u8]) -> Result<PricedLine, FactsError> {
        let facts: LineFactsV1 =
            codec::decode_beginning("line of a cart", LINE_FACTS_VERSION, facts, FACTS_BYTES_MAX)?;
        let currency = Currency::stored(facts.currency.code, facts.currency.exponent)?;
        let discount = |stored: DiscountV1| Discount {
            name: stored.name,
            reference: stored.reference,
            amount: Money::minor(stored.amount_minor, currency),
        };
        Ok(PricedLine {
            line: Some(line),
            code: facts.code,
            sku: facts.sku,
            name: facts.name,
            unit: facts.unit,
            decimals: facts.decimals,
            qty,
            unit_price: Price::micros(facts.unit_price_micros, currency)?,
            list_price: facts.list_price_micros.map(|micros| Price::micros(micros, currency)).transpose()?,
            price_reason: match facts.price_reason {
                PriceReasonV1::Catalogue => PriceReason::Catalogue,
                PriceReasonV1::Given(why) => PriceReason::Given(why),
                PriceReasonV1::Original => PriceReason::Given(String::new()),
            },
            bundle: facts.bundle.map(Hash),
            discounts: facts.discounts.into_iter().map(discount).collect(),
            tax: facts.tax.map(live_tax).transpose()?.map(Arc::new),
            moves_stock: facts.moves_stock,
            memo: facts.memo,
        })
    }
}

impl PriceReason {
    /// As it is kept.
    pub(crate) fn stored(&self) -> PriceReasonV1 {
        match self {
            PriceReason::Catalogue => PriceReasonV1::Catalogue,
            PriceReason::Given(why) => PriceReasonV1::Given(why.clone()),
        }
    }
}

impl Discount {
    /// As it is kept.
    pub(crate) fn stored(&self) -> DiscountV1 {
        DiscountV1 {
            name: self.name.clone(),
            reference: self.reference.clone(),
            amount_minor: self.amount.minor_units(),
        }
    }
}

fn stored_tax(group: &TaxGroup) -> TaxV1 {
    let rate = |rate: &TaxRate| RateV1 {
        name: rate.name().to_string(),
        rate_ppm: rate.rate_ppm(),
        base_numerator: rate.base().0,
        base_denominator: rate.base().1,
    };
    TaxV1 {
        code: group.code().to_string(),
        included: group.included(),
        rates: group.rates().iter().map(rate).collect(),
    }
}

fn live_tax(stored: TaxV1) -> Result<TaxGroup, TaxError> {
    let rate = |rate: RateV1| {
        let percent = format_scaled(i64::from(rate.rate_ppm), 4, 0);
        TaxRate::part(&rate.name, &percent, rate.base_numerator, rate.base_denominator)
    };
    let rates = stored.rates.into_iter().map(rate).collect::<Result<Vec<_>, _>>()?;
    TaxGroup::new(&stored.code, stored.included, rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_from_its_cart() {
        let gbp = Currency::parse("GBP").unwrap();
        let mut line =
            PricedLine::unknown("A", "a tin", Qty::milli(2_500), Price::parse("1.599", gbp).unwrap(), "tag");
        line.line = Some(LineId([3; 16]));
        line.list_price = Some(Price::parse("2", gbp).unwrap());
        line.bundle = Some(Hash([9; 32]));
        line.discounts.push(Discount {
            name: "dent".into(),
            reference: "p1".into(),
            amount: Money::minor(5, gbp),
        });
        let rates = vec![TaxRate::part("PPN", "12", 11, 12).unwrap()];
        line.tax = Some(Arc::new(TaxGroup::new("P", false, rates).unwrap()));
        let facts = line.facts();
        assert_eq!(PricedLine::from_facts(LineId([3; 16]), line.qty, &facts).unwrap(), line);
        for cut in 0..facts.len() {
            assert!(PricedLine::from_facts(LineId([3; 16]), line.qty, &facts[..cut]).is_err());
        }
        let more = [facts.as_slice(), b"a later build's fields"].concat();
        assert_eq!(PricedLine::from_facts(LineId([3; 16]), line.qty, &more).unwrap(), line);
    }
}
