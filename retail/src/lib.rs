//! what a shop means: money, prices, taxes, promotions, tenders, sales, shifts, receipts. Pure.
//!
//! Values first ([`money`], [`qty`], [`code`], [`tax`], [`day`]), then what is sold ([`item`], [`catalogue`], [`mod@line`],
//! [`totals`]), then what happens: [`tender`], [`sale`], [`movement`], [`drawer`], [`custody`], [`bundle`] and [`paper`] decide
//! and give back a stored value of [`ops`], which somebody signs; [`views`] folds it, on every node alike; [`scope`] says who
//! may write it; [`receipt`] says what stands on the paper.
//!
//! Nothing here reads a clock, draws a random number, opens a file or waits, and no number here is a float.
//!
//! ```
//! use toko_crdt::{EffectId, clock::UnixMicros};
//! use toko_retail::{catalogue::Catalogue, currency::Currency, day::Day, line::PricedLine, money::Money, qty::Qty};
//! use toko_retail::ops::{OpV1, What};
//! use toko_retail::receipt::{Dress, Receipt};
//! use toko_retail::sale::{Occasion, ReceiptNumber, SaleDraft, close_sale};
//! use toko_retail::tender::Tender;
//!
//! let gbp = Currency::parse("GBP")?;
//! let shop = Catalogue::import(b"sku,name,price\n71053,WHITE METAL LANTERN,3.39\n", gbp, &[])?;
//! let lantern = shop.lookup("71053").expect("it was just imported");
//!
//! let number = ReceiptNumber::next(1, 1, 0)?;
//! let day = Day::parse("2010-12-01")?;
//! let sale = close_sale(&SaleDraft {
//!     lines: vec![PricedLine::of_item("71053", &lantern, Qty::pieces(6)?, Some(shop.bundle()))],
//!     tenders: vec![Tender::cash(Money::parse("20.50", gbp)?)?],
//!     ..SaleDraft::new(Occasion::new(day, UnixMicros(1_291_192_000_000_000), number), gbp)
//! })?;
//! let receipt = Receipt::of(&sale, EffectId([7; 32]), &Dress::default())?;
//! assert_eq!(receipt.total.to_string(), "20.34 GBP");
//! assert_eq!(receipt.change, Some(Money::parse("0.16", gbp)?));
//!
//! let bytes = OpV1::new(What::Sale(Box::new(sale.clone()))).encode();
//! assert_eq!(OpV1::decode(&bytes)?.what, What::Sale(Box::new(sale)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::float_arithmetic)]

pub mod card;
pub mod code;
pub mod currency;
pub mod day;
pub mod money;
pub mod qty;
pub mod tax;
pub mod text;

pub mod catalogue;
pub mod item;
pub mod line;
pub mod totals;

pub mod bundle;
pub mod custody;
pub mod drawer;
pub mod movement;
pub mod ops;
pub mod paper;
pub mod receipt;
pub mod sale;
pub mod tender;

#[cfg(feature = "next")]
mod next;
pub mod scope;
pub mod views;
