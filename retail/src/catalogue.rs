//! The catalogue a terminal sells from: all items by all their codes, in little memory, found in about a microsecond.
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

use std::sync::Arc;

use toko_crdt::Hash;
use toko_crdt::book::blob_hash;

use crate::code::{CodeError, lookup_key};
use crate::currency::Currency;
use crate::item::{Item, ItemRef};
use crate::money::{MoneyError, Price};
use crate::tax::TaxGroup;
use crate::text::TextError;

mod blob;
mod builder;
mod import;
mod index;

pub use blob::{BLOB_BYTES_MAX, BlobError, CATALOGUE_VERSION};
pub use import::{CSV_BYTES_MAX, ImportProblems, Problem, import_taxes};

use builder::Builder;
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
    /// An item behind one that it should stand before: a blob has them by sku.
    #[error("the item {sku} stands behind one that comes after it")]
    Order {
        /// The item.
        sku: String,
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

#[cfg(test)]
mod tests;
