//! From a cart to a sale: the author decides, here and once.

use std::fmt;

/// A receipt number: gap-free per terminal and series, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptNumber {
    /// The terminal.
    pub terminal: u16,
    /// The series; a clone or restore opens a new one.
    pub series: u32,
    /// From 1.
    pub counter: u64,
}

impl fmt::Display for ReceiptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:06}", self.terminal, self.series, self.counter)
    }
}
