//! The catalogue that lines are priced from: in memory, swapped whole when another bundle counts.
//!
//! Readers take a cheap handle of the catalogue of the moment and keep it as long as they need it; nobody waits for a swap.

use std::sync::{Arc, PoisonError, RwLock};
use toko_crdt::Hash;
use toko_retail::catalogue::Catalogue;
use toko_retail::currency::Currency;
use toko_retail::item::ItemRef;

/// A catalogue with the hash that lines of a sale name it by.
#[derive(Debug)]
pub struct Stocked {
    /// Hash of its blob.
    pub bundle: Hash,
    /// Revision of its activation.
    pub rev: u64,
    /// The items.
    pub catalogue: Catalogue,
}

/// The catalogue of the moment. Clones share it.
#[derive(Debug, Clone)]
pub struct Shelf {
    now: Arc<RwLock<Option<Arc<Stocked>>>>,
    currency: Currency,
}

impl Shelf {
    /// An empty shelf; `currency` counts until there is a catalogue, which has its own.
    #[must_use]
    pub fn new(currency: Currency) -> Self {
        Self { now: Arc::default(), currency }
    }

    /// The catalogue of the moment.
    #[must_use]
    pub fn now(&self) -> Option<Arc<Stocked>> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The currency of the moment.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.now().map_or(self.currency, |stocked| stocked.catalogue.currency())
    }

    /// Puts another catalogue in the place of the one that is there.
    pub fn swap(&self, stocked: Stocked) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(stocked));
    }
}

impl Stocked {
    /// The item that a scanned or typed code calls.
    #[must_use]
    pub fn lookup(&self, code: &str) -> Option<ItemRef<'_>> {
        self.catalogue.lookup(code)
    }
}
