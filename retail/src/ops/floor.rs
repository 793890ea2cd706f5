//! What never leaves the store: who holds a cart, and money taken before it is a sale.

use serde::{Deserialize, Serialize};

use super::sale::{CurrencyV1, TenderV1};

/// Who holds a cart. The highest turn counts; equal turns by the entry's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyV1 {
    /// Which cart.
    pub cart: [u8; 16],
    /// One above the turn that was seen.
    pub turn: u64,
    /// Open at its holder, or parked for anybody.
    pub state: CustodyState,
    /// The node that holds it, or that parked it.
    pub holder: [u8; 32],
    /// What people call it: "the lady with the dog".
    pub name: String,
    /// How many lines it had, for lists.
    pub lines: u32,
    /// What it came to, for lists.
    pub total_minor: i64,
    /// Currency of that.
    pub currency: CurrencyV1,
}

/// Whether a cart is being worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CustodyState {
    /// Its holder is working on it.
    Open,
    /// Anybody may take it.
    Parked,
}

/// Money was taken for a cart, or given back, before it became a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenderTakenV1 {
    /// Which cart.
    pub cart: [u8; 16],
    /// This tender, drawn at random.
    pub id: [u8; 16],
    /// How far it is.
    pub stage: TenderStage,
    /// How and how much.
    pub tender: TenderV1,
    /// Currency of that.
    pub currency: CurrencyV1,
}

/// How far a tender is. A later stage outranks an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TenderStage {
    /// A payment terminal is about to be asked.
    Asked,
    /// The money is there.
    Taken,
    /// The payment terminal refused.
    Declined,
    /// It was given back.
    GivenBack,
}

/// A cart is done: sold, or given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartClosedV1 {
    /// Which cart.
    pub cart: [u8; 16],
    /// The sale that it became; nothing if it was given up.
    pub sale: Option<[u8; 32]>,
}
