//! what a shop means: money, prices, taxes, promotions, tenders, sales, shifts, receipts. Pure.
#![deny(clippy::float_arithmetic)]

pub mod card;
pub mod code;
pub mod currency;
pub mod day;
pub mod money;
pub mod ops;
pub mod qty;
pub mod sale;
pub mod scope;
pub mod text;
pub mod views;
