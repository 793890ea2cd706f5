//! A catalogue as a content-addressed blob: version byte, then postcard of [`CatalogueV1`].

use serde::{Deserialize, Serialize};
use toko_crdt::codec::{self, CodecError};

use super::{Catalogue, CatalogueError, CodeKind};
use crate::code::{Code, CodeError};
use crate::currency::{Currency, CurrencyError};
use crate::item::Item;
use crate::money::{MoneyError, Price};
use crate::ops::CurrencyV1;
use crate::tax::{TaxError, TaxGroup, TaxRate};

/// The version byte of the blob.
pub const CATALOGUE_VERSION: u8 = 1;
/// Most bytes of a blob.
pub const BLOB_BYTES_MAX: usize = 128 << 20;

#[derive(Serialize, Deserialize)]
struct CatalogueV1 {
    currency: CurrencyV1,
    taxes: Vec<TaxGroupV1>,
    items: Vec<ItemV1>,
}

#[derive(Serialize, Deserialize)]
struct TaxGroupV1 {
    code: String,
    included: bool,
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
    let stored: CatalogueV1 = codec::decode("catalogue", CATALOGUE_VERSION, bytes, BLOB_BYTES_MAX)?;
    let currency = Currency::stored(stored.currency.code, stored.currency.exponent)?;
    let taxes = stored.taxes.into_iter().map(live_group).collect::<Result<Vec<_>, _>>()?;
    let items = stored.items.into_iter().map(|item| live_item(item, currency));
    Ok(Catalogue::new(currency, taxes, items.collect::<Result<Vec<_>, _>>()?)?)
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
