//! A catalogue as a content-addressed blob: version byte, then postcard of [`CatalogueV1`].
//!
//! Invariants: it is read item by item into its final form, so that what a publisher claims takes no room, and what it wrote
//! stands in memory once; items stand by sku, each once, as they are written.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use toko_crdt::codec::{self, CodecError};
use toko_crdt::list;

use super::builder::Builder;
use super::{CODES_PER_ITEM_MAX, Catalogue, CatalogueError, CodeKind, ITEMS_MAX, TAXES_MAX};
use crate::code::{Code, CodeError};
use crate::currency::{Currency, CurrencyError};
use crate::item::Item;
use crate::money::{MoneyError, Price};
use crate::ops::CurrencyV1;
use crate::tax::{RATES_MAX, TaxError, TaxGroup, TaxRate};

/// The version byte of the blob.
pub const CATALOGUE_VERSION: u8 = 1;
/// Most bytes of a blob.
pub const BLOB_BYTES_MAX: usize = 128 << 20;

/// Read by [`Read`], in this order.
#[derive(Serialize)]
struct CatalogueV1 {
    currency: CurrencyV1,
    taxes: Vec<TaxGroupV1>,
    items: Vec<ItemV1>,
}

#[derive(Serialize, Deserialize)]
struct TaxGroupV1 {
    code: String,
    included: bool,
    #[serde(deserialize_with = "list::at_most::<RATES_MAX, _, _>")]
    rates: Vec<TaxRateV1>,
}

#[derive(Serialize, Deserialize)]
struct TaxRateV1 {
    name: String,
    rate_ppm: u32,
    base_numerator: u16,
    base_denominator: u16,
}

#[derive(Serialize, Deserialize)]
struct ItemV1 {
    sku: String,
    name: String,
    #[serde(deserialize_with = "list::at_most::<CODES_PER_ITEM_MAX, _, _>")]
    codes: Vec<CodeV1>,
    price_micros: i64,
    tax: Option<String>,
    unit: String,
    decimals: u8,
    is_service: bool,
}

#[derive(Serialize, Deserialize)]
enum CodeV1 {
    Gtin(u64),
    Own(String),
    Plu(u32),
}

/// Why a blob is no catalogue. Whoever holds one of these keeps selling from the catalogue before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The bytes do not decode, or are of a newer version.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The currency.
    #[error(transparent)]
    Currency(#[from] CurrencyError),
    /// A code.
    #[error("the item {sku}: {why}")]
    Code {
        /// The item.
        sku: String,
        /// What is wrong.
        why: CodeError,
    },
    /// A price.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A tax.
    #[error(transparent)]
    Tax(#[from] TaxError),
    /// The items do not make a catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

pub(super) fn encode(catalogue: &Catalogue) -> Vec<u8> {
    let taxes = catalogue.taxes().iter().map(|group| TaxGroupV1 {
        code: group.code().to_string(),
        included: group.included(),
        rates: group.rates().iter().map(stored_rate).collect(),
    });
    let items = catalogue.items().enumerate().map(|(at, item)| ItemV1 {
        sku: item.sku.to_string(),
        name: item.name.to_string(),
        codes: catalogue
            .code_records(at)
            .iter()
            .filter_map(|code| stored_code(code.kind, catalogue.text(code.key)))
            .collect(),
        price_micros: item.price.micro_units(),
        tax: item.tax.map(|group| group.code().to_string()),
        unit: item.unit.to_string(),
        decimals: item.decimals,
        is_service: item.is_service,
    });
    let currency = CurrencyV1::of(catalogue.currency());
    codec::encode(
        CATALOGUE_VERSION,
        &CatalogueV1 { currency, taxes: taxes.collect(), items: items.collect() },
    )
}

pub(super) fn decode(bytes: &[u8]) -> Result<Catalogue, BlobError> {
    let Read(built) = codec::decode("catalogue", CATALOGUE_VERSION, bytes, BLOB_BYTES_MAX)?;
    Ok(built?.finish()?)
}

/// A catalogue, read as far as it is right. What follows the first wrong item is only skipped: that the bytes are those of a
/// catalogue is said first.
struct Read(Result<Builder, BlobError>);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Read;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("currency, taxes and items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Read, A::Error> {
                let cut = || A::Error::custom("a catalogue that is cut");
                let currency = fields.next_element::<CurrencyV1>()?.ok_or_else(cut)?;
                let Taxes(taxes) = fields.next_element()?.ok_or_else(cut)?;
                let begun = Currency::stored(currency.code, currency.exponent)
                    .map_err(BlobError::from)
                    .and_then(|currency| Ok(Builder::new(currency, taxes?, 0)?));
                fields.next_element_seed(Items(begun))?.ok_or_else(cut)
            }
        }
        from.deserialize_tuple(3, Fields)
    }
}

struct Taxes(Result<Vec<TaxGroup>, TaxError>);

impl<'de> Deserialize<'de> for Taxes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let stored: Vec<TaxGroupV1> = list::at_most::<TAXES_MAX, _, _>(from)?;
        Ok(Taxes(stored.into_iter().map(live_group).collect()))
    }
}

/// Puts items into a catalogue as they are read.
struct Items(Result<Builder, BlobError>);

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Read;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Read, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {ITEMS_MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Read, A::Error> {
        if items.size_hint().is_some_and(|claimed| claimed > ITEMS_MAX) {
            return Err(A::Error::custom("more items than a catalogue holds"));
        }
        let Items(mut built) = self;
        while let Some(item) = items.next_element::<ItemV1>()? {
            built = built.and_then(|mut built| {
                let item = live_item(item, built.currency())?;
                built.add(item)?;
                Ok(built)
            });
        }
        Ok(Read(built))
    }
}

fn stored_rate(rate: &TaxRate) -> TaxRateV1 {
    TaxRateV1 {
        name: rate.name().to_string(),
        rate_ppm: rate.rate_ppm(),
        base_numerator: rate.base().0,
        base_denominator: rate.base().1,
    }
}

fn stored_code(kind: CodeKind, key: &str) -> Option<CodeV1> {
    match kind {
        CodeKind::Sku => None,
        CodeKind::Gtin => key.parse().ok().map(CodeV1::Gtin),
        CodeKind::Own => Some(CodeV1::Own(key.to_string())),
        CodeKind::Plu => key.parse().ok().map(CodeV1::Plu),
    }
}

fn live_group(stored: TaxGroupV1) -> Result<TaxGroup, TaxError> {
    let rate = |rate: TaxRateV1| {
        let percent = crate::money::format_scaled(i64::from(rate.rate_ppm), 4, 0);
        TaxRate::part(&rate.name, &percent, rate.base_numerator, rate.base_denominator)
    };
    let rates = stored.rates.into_iter().map(rate).collect::<Result<Vec<_>, _>>()?;
    TaxGroup::new(&stored.code, stored.included, rates)
}

fn live_item(stored: ItemV1, currency: Currency) -> Result<Item, BlobError> {
    let code = |code: CodeV1| match code {
        CodeV1::Gtin(number) => Code::parse(&format!("{number:014}")),
        CodeV1::Own(own) => Code::parse(&format!("own:{own}")),
        CodeV1::Plu(plu) => Code::parse(&format!("plu:{plu}")),
    };
    let codes = stored.codes.into_iter().map(code).collect::<Result<Vec<_>, _>>();
    Ok(Item {
        codes: codes.map_err(|why| BlobError::Code { sku: stored.sku.clone(), why })?,
        sku: stored.sku,
        name: stored.name,
        price: Price::micros(stored.price_micros, currency)?,
        tax: stored.tax,
        unit: stored.unit,
        decimals: stored.decimals,
        is_service: stored.is_service,
    })
}
