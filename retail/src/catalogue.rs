//! The catalogue a terminal sells from: all items by all their codes, in little memory, found in well under a microsecond.
//!
//! Invariants: no two items share a code in any spelling; a catalogue never changes, a newer one takes its place. All texts
//! stand in one string, items and codes are fixed-size records beside it, and the index holds one number per code, so that
//! 100 000 items take about 12 MB and one allocation for each of the four. Absent on purpose: promotions, employees,
//! search by name, and anything that changes at the till (that travels as ops).
//!
//! ```
//! use toko_retail::{catalogue::Catalogue, currency::Currency};
//!
//! let csv = b"sku,name,price,codes\n71053,WHITE METAL LANTERN,3.39,036000291452\nPOST,Postage,18.00,\n";
//! let catalogue = Catalogue::import(csv, Currency::parse("GBP").unwrap(), &[]).unwrap();
//! assert_eq!(catalogue.lookup("0036000291452").unwrap().name, "WHITE METAL LANTERN");
//! assert!(catalogue.lookup("post").is_none(), "codes are case-sensitive");
//! let again = Catalogue::decode(&catalogue.encode()).unwrap();
//! assert_eq!(again.lookup("POST"), catalogue.lookup("POST"));
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use toko_crdt::Hash;
use toko_crdt::book::blob_hash;

use crate::code::{Code, CodeError, OwnCode, lookup_key};
use crate::currency::Currency;
use crate::item::{Item, ItemRef};
use crate::money::{MoneyError, Price};
use crate::ops::limits::NAME_CHARS_MAX;
use crate::tax::TaxGroup;
use crate::text::{TextError, check_name};

mod blob;
mod import;
mod index;

pub use blob::{BLOB_BYTES_MAX, BlobError, CATALOGUE_VERSION};
pub use import::{CSV_BYTES_MAX, ImportProblems, Problem, import_taxes};

use index::Index;

/// All items of a shop.
#[derive(Clone)]
pub struct Catalogue {
    currency: Currency,
    taxes: Vec<Arc<TaxGroup>>,
    units: Vec<Box<str>>,
    texts: Box<str>,
    items: Box<[ItemRecord]>,
    codes: Box<[CodeRecord]>,
    index: Index,
}

/// A stretch of `texts`.
#[derive(Clone, Copy)]
struct Span {
    at: u32,
    bytes: u16,
}

#[derive(Clone, Copy)]
struct ItemRecord {
    price_micros: i64,
    sku: Span,
    name: Span,
    /// First of its codes; they end where the next item's begin.
    codes: u32,
    /// One above its place in `taxes`; 0 for none.
    tax: u16,
    unit: u8,
    decimals: u8,
    is_service: bool,
}

/// One code of one item. The first code of each item is its sku.
#[derive(Clone, Copy)]
struct CodeRecord {
    key: Span,
    item: u32,
    kind: CodeKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CodeKind {
    Sku,
    Gtin,
    Own,
    Plu,
}

/// Why items are no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// Two items under one code. `first` and `second` count items from 0.
    #[error("the code {code} belongs to item {first_sku} and to item {second_sku}")]
    CodeTwice {
        /// The code, as it is looked up.
        code: String,
        /// The sku of the one.
        first_sku: String,
        /// The sku of the other.
        second_sku: String,
        /// The place of the one.
        first: usize,
        /// The place of the other.
        second: usize,
    },
    /// A sku that is no code.
    #[error("the sku: {0}")]
    Sku(CodeError),
    /// A name that is no name.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A tax code without taxes behind it.
    #[error("the item {sku} has the tax code {tax}, which is not defined")]
    Tax {
        /// The item.
        sku: String,
        /// Its tax code.
        tax: String,
    },
    /// A price in another currency, or past what can be kept.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// More items, units or taxes than a catalogue holds.
    #[error("{found} {what}, {max} at most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// Decimals other than 0 to 3.
    #[error("the item {sku} is sold by {decimals} decimals, 0 to 3 are possible")]
    Decimals {
        /// The item.
        sku: String,
        /// What it says.
        decimals: u8,
    },
}

/// Most items of a catalogue.
pub const ITEMS_MAX: usize = 500_000;
/// Most codes of one item, its sku not counted.
pub const CODES_PER_ITEM_MAX: usize = 64;
const TAXES_MAX: usize = 1_000;
const UNITS_MAX: usize = 250;

impl Catalogue {
    /// Puts items together.
    ///
    /// Shape: items are kept by sku, so that equal items make equal bytes in whatever order they come.
    /// Errors: the first that is wrong; [`Catalogue::import`] names all.
    pub fn new(
        currency: Currency,
        taxes: Vec<TaxGroup>,
        items: Vec<Item>,
    ) -> Result<Catalogue, CatalogueError> {
        Builder::new(currency, taxes, items.len())?.add_all(items)?.finish()
    }

    /// Reads a catalogue from CSV; see [`ImportProblems`] for what a shop is told if that fails.
    ///
    /// Shape: UTF-8, comma, quotes as RFC 4180, with or without byte-order mark, lines ending in LF or CRLF. The first line
    /// names the columns, in any order: `sku`, `name`, `price`; optional `codes` (several, parted by `|`; `own:` or `plu:` in
    /// front says which kind), `tax` (a code of `taxes`), `unit`, `decimals` (0 to 3), `service` (yes or no).
    pub fn import(csv: &[u8], currency: Currency, taxes: &[TaxGroup]) -> Result<Catalogue, ImportProblems> {
        import::import(csv, currency, taxes)
    }

    /// The item that a scanned or typed code calls.
    pub fn lookup(&self, code: &str) -> Option<ItemRef<'_>> {
        let key = lookup_key(code);
        let found = self.index.find(&key, |at| self.text(self.codes[at].key))?;
        self.item(self.codes[found].item as usize)
    }

    /// The item at a place, by sku order.
    pub fn item(&self, at: usize) -> Option<ItemRef<'_>> {
        let record = self.items.get(at)?;
        Some(ItemRef {
            sku: self.text(record.sku),
            name: self.text(record.name),
            unit: self.units.get(usize::from(record.unit)).map_or("", |unit| unit),
            price: Price::micros(record.price_micros, self.currency).unwrap_or(Price::free(self.currency)),
            tax: record.tax.checked_sub(1).and_then(|at| self.taxes.get(usize::from(at))),
            decimals: record.decimals,
            is_service: record.is_service,
        })
    }

    /// All items, by sku.
    pub fn items(&self) -> impl Iterator<Item = ItemRef<'_>> {
        (0..self.items.len()).filter_map(|at| self.item(at))
    }

    /// All codes of the item at a place, as they are looked up, its sku first.
    pub fn codes_of(&self, at: usize) -> impl Iterator<Item = &str> {
        self.code_records(at).iter().map(|code| self.text(code.key))
    }

    /// How many items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Currency of all prices.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Every tax code.
    pub fn taxes(&self) -> &[Arc<TaxGroup>] {
        &self.taxes
    }

    /// The bytes of the bundle's blob.
    pub fn encode(&self) -> Vec<u8> {
        blob::encode(self)
    }

    /// Reads a blob.
    pub fn decode(bytes: &[u8]) -> Result<Catalogue, BlobError> {
        blob::decode(bytes)
    }

    /// The hash under which its blob travels, as lines of a sale name it.
    pub fn bundle(&self) -> Hash {
        blob_hash(&self.encode())
    }

    /// Bytes it keeps in memory, without what the allocator adds.
    pub fn memory_bytes(&self) -> usize {
        self.texts.len()
            + size_of_val::<[ItemRecord]>(&self.items)
            + size_of_val::<[CodeRecord]>(&self.codes)
            + self.index.memory_bytes()
    }

    fn text(&self, span: Span) -> &str {
        let at = span.at as usize;
        self.texts.get(at..at + usize::from(span.bytes)).unwrap_or("")
    }

    fn code_records(&self, at: usize) -> &[CodeRecord] {
        let Some(record) = self.items.get(at) else { return &[] };
        let end = self.items.get(at + 1).map_or(self.codes.len(), |next| next.codes as usize);
        self.codes.get(record.codes as usize..end).unwrap_or_default()
    }
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue")
            .field("items", &self.len())
            .field("currency", &self.currency)
            .finish_non_exhaustive()
    }
}

/// A catalogue in the making.
struct Builder {
    currency: Currency,
    taxes: Vec<Arc<TaxGroup>>,
    tax_places: BTreeMap<String, u16>,
    units: Vec<Box<str>>,
    texts: String,
    items: Vec<ItemRecord>,
    codes: Vec<CodeRecord>,
}

impl Builder {
    fn new(currency: Currency, taxes: Vec<TaxGroup>, items: usize) -> Result<Builder, CatalogueError> {
        at_most("items", items, ITEMS_MAX)?;
        at_most("tax codes", taxes.len(), TAXES_MAX)?;
        let places = (1_u16..).zip(&taxes).map(|(at, group)| (group.code().to_string(), at)).collect();
        Ok(Builder {
            currency,
            taxes: taxes.into_iter().map(Arc::new).collect(),
            tax_places: places,
            units: Vec::new(),
            texts: String::new(),
            items: Vec::with_capacity(items),
            codes: Vec::with_capacity(items * 2),
        })
    }

    fn add_all(mut self, mut items: Vec<Item>) -> Result<Builder, CatalogueError> {
        items.sort_by(|a, b| a.sku.cmp(&b.sku));
        items.into_iter().try_for_each(|item| self.add(item))?;
        Ok(self)
    }

    fn add(&mut self, item: Item) -> Result<(), CatalogueError> {
        OwnCode::parse(&item.sku).map_err(CatalogueError::Sku)?;
        check_name("the name", &item.name, NAME_CHARS_MAX)?;
        check_name("the unit", &item.unit, 16)?;
        at_most("codes of one item", item.codes.len(), CODES_PER_ITEM_MAX)?;
        if item.decimals > 3 {
            return Err(CatalogueError::Decimals { sku: item.sku, decimals: item.decimals });
        }
        if item.price.currency() != self.currency {
            let error = MoneyError::CurrencyDiffers { left: self.currency, right: item.price.currency() };
            return Err(error.into());
        }
        let tax = match &item.tax {
            None => 0,
            Some(tax) => *self
                .tax_places
                .get(tax)
                .ok_or_else(|| CatalogueError::Tax { sku: item.sku.clone(), tax: tax.clone() })?,
        };
        let codes = u32::try_from(self.codes.len()).unwrap_or(u32::MAX);
        let place = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let sku = self.keep(&item.sku)?;
        let key = lookup_key(&item.sku);
        // A sku that is a GTIN is looked up by its 14 digits; any other by itself, without a second copy.
        let key = if key == item.sku.as_str() { sku } else { self.keep(&key)? };
        self.codes.push(CodeRecord { key, item: place, kind: CodeKind::Sku });
        let mut further: Vec<&Code> = item.codes.iter().collect();
        further.sort();
        for code in further {
            let kind = match code {
                Code::Gtin(_) => CodeKind::Gtin,
                Code::Own(_) => CodeKind::Own,
                Code::Plu(_) => CodeKind::Plu,
            };
            let key = self.keep(&code.key())?;
            self.codes.push(CodeRecord { key, item: place, kind });
        }
        let name = self.keep(&item.name)?;
        let unit = self.unit(&item.unit)?;
        let (price_micros, decimals) = (item.price.micro_units(), item.decimals);
        let is_service = item.is_service;
        self.items.push(ItemRecord { price_micros, sku, name, codes, tax, unit, decimals, is_service });
        Ok(())
    }

    fn finish(mut self) -> Result<Catalogue, CatalogueError> {
        self.texts.shrink_to_fit();
        let texts = self.texts.into_boxed_str();
        let codes = self.codes.into_boxed_slice();
        let text = |span: Span| &texts[span.at as usize..span.at as usize + usize::from(span.bytes)];
        let index = Index::build(codes.len(), |at| text(codes[at].key)).map_err(|(first, second)| {
            let place = |code: usize| codes[code].item as usize;
            let sku = |code: usize| text(self.items[place(code)].sku).to_string();
            CatalogueError::CodeTwice {
                code: text(codes[first].key).to_string(),
                first_sku: sku(first),
                second_sku: sku(second),
                first: place(first),
                second: place(second),
            }
        })?;
        Ok(Catalogue {
            currency: self.currency,
            taxes: self.taxes,
            units: self.units,
            texts,
            items: self.items.into_boxed_slice(),
            codes,
            index,
        })
    }

    fn keep(&mut self, text: &str) -> Result<Span, CatalogueError> {
        let too_many =
            |found| CatalogueError::TooMany { what: "bytes of text", found, max: u32::MAX as usize };
        let at = u32::try_from(self.texts.len()).map_err(|_| too_many(self.texts.len()))?;
        let bytes = u16::try_from(text.len()).map_err(|_| too_many(text.len()))?;
        self.texts.push_str(text);
        Ok(Span { at, bytes })
    }

    fn unit(&mut self, unit: &str) -> Result<u8, CatalogueError> {
        let at = self.units.iter().position(|known| &**known == unit).unwrap_or_else(|| {
            self.units.push(unit.into());
            self.units.len() - 1
        });
        at_most("units", at + 1, UNITS_MAX)?;
        Ok(u8::try_from(at).unwrap_or(0))
    }
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), CatalogueError> {
    if found > max { Err(CatalogueError::TooMany { what, found, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
