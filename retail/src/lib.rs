//! what a shop means: money, prices, taxes, promotions, tenders, sales, shifts, receipts. Pure.
#![deny(clippy::float_arithmetic)]

pub mod card;
pub mod catalogue;
pub mod code;
pub mod currency;
pub mod day;
pub mod item;
pub mod line;
pub mod money;
pub mod ops;
pub mod qty;
pub mod sale;
pub mod scope;
pub mod tax;
pub mod tender;
pub mod text;
pub mod totals;
pub mod views;
