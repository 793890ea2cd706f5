//! From items to a catalogue: texts put together, codes sorted out, the index built.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    CODES_PER_ITEM_MAX, Catalogue, CatalogueError, CodeKind, CodeRecord, ITEMS_MAX, ItemRecord, Span,
    TAXES_MAX, UNITS_MAX, index::Index,
};
use crate::code::{Code, OwnCode, lookup_key};
use crate::currency::Currency;
use crate::item::Item;
use crate::money::MoneyError;
use crate::ops::limits::NAME_CHARS_MAX;
use crate::tax::TaxGroup;
use crate::text::check_name;

/// A catalogue in the making.
pub(super) struct Builder {
    currency: Currency,
    taxes: Vec<Arc<TaxGroup>>,
    tax_places: BTreeMap<String, u16>,
    units: Vec<Box<str>>,
    texts: String,
    items: Vec<ItemRecord>,
    codes: Vec<CodeRecord>,
}

impl Builder {
    pub(super) fn new(
        currency: Currency,
        taxes: Vec<TaxGroup>,
        items: usize,
    ) -> Result<Builder, CatalogueError> {
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

    pub(super) fn add_all(mut self, mut items: Vec<Item>) -> Result<Builder, CatalogueError> {
        items.sort_by(|a, b| a.sku.cmp(&b.sku));
        items.into_iter().try_for_each(|item| self.add(item))?;
        Ok(self)
    }

    pub(super) fn currency(&self) -> Currency {
        self.currency
    }

    /// The next item by sku.
    pub(super) fn add(&mut self, item: Item) -> Result<(), CatalogueError> {
        at_most("items", self.items.len() + 1, ITEMS_MAX)?;
        if self.items.last().is_some_and(|last| self.text(last.sku) > item.sku.as_str()) {
            return Err(CatalogueError::Order { sku: item.sku });
        }
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

    pub(super) fn finish(mut self) -> Result<Catalogue, CatalogueError> {
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

    fn text(&self, span: Span) -> &str {
        &self.texts[span.at as usize..span.at as usize + usize::from(span.bytes)]
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
