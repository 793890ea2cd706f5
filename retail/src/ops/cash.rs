//! Days, shifts and what is in a drawer.

use serde::{Deserialize, Serialize};
use toko_crdt::list;

use super::limits::CURRENCIES_MAX;
use super::sale::CurrencyV1;

/// A business day was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayOpenedV1 {
    /// The day, as `20101201`.
    pub day: u32,
    /// Who opened it: an opaque id.
    pub by: Option<String>,
}

/// A business day was closed: an immutable claim of what its author saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayClosedV1 {
    /// The day, as `20101201`.
    pub day: u32,
    /// Who closed it: an opaque id.
    pub by: Option<String>,
    /// Sales the author saw.
    pub sales: u64,
    /// Returns the author saw.
    pub returns: u64,
    /// Voids the author saw.
    pub voids: u64,
    /// Takings per currency.
    #[serde(deserialize_with = "list::at_most::<CURRENCIES_MAX, _, _>")]
    pub takings: Vec<TakingsV1>,
    /// The earlier closing that this one amends.
    pub amends: Option<[u8; 32]>,
    /// A note.
    pub note: String,
}

/// What a day's closing claims in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakingsV1 {
    /// The currency.
    pub currency: CurrencyV1,
    /// Value of all sales.
    pub sales_minor: i64,
    /// Value of all returns; zero or less.
    pub returns_minor: i64,
    /// Value of all voids; zero or less.
    pub voids_minor: i64,
    /// Cash that should be there from sales and returns.
    pub cash_minor: i64,
}

/// Somebody took over a drawer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftOpenedV1 {
    /// Business day, as `20101201`.
    pub day: u32,
    /// Number of the terminal.
    pub terminal: u16,
    /// Whose shift: an opaque id.
    pub cashier: Option<String>,
    /// The drawer, where a terminal has several or shares one.
    pub drawer: String,
    /// Currency of the float.
    pub currency: CurrencyV1,
    /// Cash in the drawer to begin with.
    pub float_minor: i64,
}

/// The drawer was counted and the shift closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftClosedV1 {
    /// Effect id of the opening.
    pub shift: [u8; 32],
    /// Who counted: an opaque id.
    pub by: Option<String>,
    /// What was counted, per currency.
    #[serde(deserialize_with = "list::at_most::<CURRENCIES_MAX, _, _>")]
    pub counted: Vec<CountedV1>,
    /// The earlier closing that this one amends.
    pub amends: Option<[u8; 32]>,
    /// A note.
    pub note: String,
}

/// Cash that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedV1 {
    /// The currency.
    pub currency: CurrencyV1,
    /// What was in the drawer.
    pub counted_minor: i64,
    /// What its author expected.
    pub expected_minor: i64,
}

/// Cash went in or out without a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CashMovedV1 {
    /// Effect id of the shift's opening.
    pub shift: [u8; 32],
    /// Business day, as `20101201`.
    pub day: u32,
    /// Why.
    pub reason: CashReason,
    /// The currency.
    pub currency: CurrencyV1,
    /// Into the drawer; negative out of it.
    pub amount_minor: i64,
    /// Who moved it: an opaque id.
    pub by: Option<String>,
    /// A note.
    pub note: String,
}

/// Why cash moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CashReason {
    /// Put in, such as more coins.
    PayIn,
    /// Taken out, to pay for something.
    PayOut,
    /// Taken to the safe.
    SafeDrop,
}
