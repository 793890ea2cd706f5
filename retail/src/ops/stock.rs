//! Goods that move without a sale.

use serde::{Deserialize, Serialize};
use toko_crdt::list;

use super::limits::LINES_MAX;

/// Why goods moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MoveReason {
    /// Gone from the books: lost, given away, corrected.
    WriteOff,
    /// Came in from a supplier.
    Receipt,
    /// Went to, or came from, another place.
    Transfer,
    /// Counted; the movement is what was counted less what the counter saw.
    Count,
    /// Broken or spoilt.
    Damage,
}

/// Goods moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockMovedV1 {
    /// Why.
    pub reason: MoveReason,
    /// Business day, as `20101201`.
    pub day: u32,
    /// Who moved them: an opaque id.
    pub by: Option<String>,
    /// What moved.
    #[serde(deserialize_with = "list::at_most::<LINES_MAX, _, _>")]
    pub lines: Vec<MovedLineV1>,
    /// Where to or from, for a transfer; the supplier, for a receipt.
    pub counterpart: String,
    /// A note.
    pub note: String,
    /// A number of another system.
    pub external: String,
}

/// One item that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedLineV1 {
    /// The item.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// Into stock, in thousandths; negative out of it.
    pub qty_milli: i64,
    /// For a count: what was counted.
    pub counted_milli: Option<i64>,
}
