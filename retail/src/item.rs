//! An item: what a shop sells, under all the codes it is called by.

use std::sync::Arc;

use crate::code::Code;
use crate::money::Price;
use crate::tax::TaxGroup;

/// An item on its way into a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The shop's own name for it; one item has one.
    pub sku: String,
    /// What the receipt calls it.
    pub name: String,
    /// Further codes it is called by; the sku is one without being named here.
    pub codes: Vec<Code>,
    /// Price of one unit.
    pub price: Price,
    /// Its tax code; nothing for an untaxed item.
    pub tax: Option<String>,
    /// What it is sold by: `pc`, `kg`; may be empty.
    pub unit: String,
    /// Decimals it may be sold by, 0 to 3.
    pub decimals: u8,
    /// Whether it is a service: no stock moves.
    pub is_service: bool,
}

/// An item as a catalogue shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef<'a> {
    /// The shop's own name for it.
    pub sku: &'a str,
    /// What the receipt calls it.
    pub name: &'a str,
    /// What it is sold by.
    pub unit: &'a str,
    /// Price of one unit.
    pub price: Price,
    /// Its taxes.
    pub tax: Option<&'a Arc<TaxGroup>>,
    /// Decimals it may be sold by.
    pub decimals: u8,
    /// Whether it is a service.
    pub is_service: bool,
}
