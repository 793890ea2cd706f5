//! What is long done: the hub's word up to where rows of it may go.

use serde::{Deserialize, Serialize};

/// Sales and print jobs are settled: what they add up to stays for ever, their own rows go, and whatever of them still comes
/// leaves none.
///
/// Shape: two marks, each of which only ever rises; one that is lower than what was said before says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BooksSettledV1 {
    /// Sales below this place are settled, what each item did on the days below its day, and what the drawers of terminals
    /// below its terminal did.
    pub sales: SalePlaceV1,
    /// Print jobs drawn before this time are settled: microseconds since 1970.
    pub jobs_before_micros: i64,
}

/// A place in the order of all sales: by business day, then by receipt number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SalePlaceV1 {
    /// Business day, as `20101201`.
    pub day: u32,
    /// Number of the terminal.
    pub terminal: u16,
    /// Series of its receipts.
    pub series: u32,
    /// Counter in that series.
    pub counter: u64,
}
