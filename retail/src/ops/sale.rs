//! A sale as it is kept: complete by itself, without cart, catalogue or terminal.
//!
//! Signs: a return and a void have negative quantities, values and tenders, so that every sum over sales is a plain sum.

use serde::{Deserialize, Serialize};
use toko_crdt::list;

use super::limits::{HEADS_MAX, LINES_MAX, PER_LINE_MAX, TAXES_MAX, TENDERS_MAX};
use super::print::PrintAskV1;

/// What a [`SaleV1`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SaleKind {
    /// Goods for money.
    Sale,
    /// Money for goods that come back, with or without the original receipt.
    Return,
    /// The whole of an earlier sale taken back, because it should not have been.
    Void,
}

/// A currency with its exponent, so that no later table changes what was sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CurrencyV1 {
    /// ISO 4217 letters.
    pub code: [u8; 3],
    /// Decimals of the minor unit.
    pub exponent: u8,
}

/// One sale, return or void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleV1 {
    /// Sale, return or void.
    pub kind: SaleKind,
    /// Business day, as `20101201`.
    pub day: u32,
    /// When the terminal says it was, in microseconds since 1970. For people; never for order.
    pub at_unix_micros: i64,
    /// Minutes that local time was ahead of UTC.
    pub utc_offset_minutes: i16,
    /// Whether the terminal's time had been verified.
    pub time_verified: bool,
    /// The shift: effect id of its opening.
    pub shift: Option<[u8; 32]>,
    /// Who sold: an opaque id, never a name.
    pub cashier: Option<String>,
    /// Who approved what a cashier may not do alone: an opaque id.
    pub approver: Option<String>,
    /// Whose purchase: bytes that only the customer system can read.
    pub customer: Option<Vec<u8>>,
    /// Number of the terminal, first part of the receipt number.
    pub terminal: u16,
    /// Series, second part.
    pub series: u32,
    /// Counter within terminal and series, third part. From 1, without gaps.
    pub counter: u64,
    /// The cart it came from and how much of it was seen.
    pub cart: Option<CartRefV1>,
    /// The original sale of a return or void, where one is known.
    pub original: Option<[u8; 32]>,
    /// Why goods came back, or why it was voided. Empty for a sale.
    pub reason: String,
    /// Currency of every amount below.
    pub currency: CurrencyV1,
    /// The lines, in the order of the receipt.
    #[serde(deserialize_with = "list::at_most::<LINES_MAX, _, _>")]
    pub lines: Vec<SaleLineV1>,
    /// Whether tax was rounded per total (or per line).
    pub tax_per_total: bool,
    /// Taxes grouped by rate.
    #[serde(deserialize_with = "list::at_most::<TAXES_MAX, _, _>")]
    pub taxes: Vec<TaxTotalV1>,
    /// Sum of the line values after discounts, before taxes that are added on top.
    pub subtotal_minor: i64,
    /// What the goods cost with all taxes.
    pub total_minor: i64,
    /// Added to the total so that it can be paid in coins; may be negative.
    pub rounding_minor: i64,
    /// What was given (or refunded, negative), in the order it was given.
    #[serde(deserialize_with = "list::at_most::<TENDERS_MAX, _, _>")]
    pub tenders: Vec<TenderV1>,
    /// Cash handed back: tenders − change = total + rounding.
    pub change_minor: i64,
    /// The receipt to print.
    pub print: Option<PrintAskV1>,
    /// A note of the cashier's.
    pub memo: String,
    /// A number of another system, such as an invoice.
    pub external: String,
}

/// The cart a sale came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartRefV1 {
    /// Which cart.
    pub cart: [u8; 16],
    /// The turn of custody in which it was sold.
    pub turn: u64,
    /// The document's heads that the sale covers; what came later is not in it.
    #[serde(deserialize_with = "list::at_most::<HEADS_MAX, _, _>")]
    pub heads: Vec<[u8; 32]>,
}

/// One line of a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleLineV1 {
    /// The line of the cart.
    pub line: Option<[u8; 16]>,
    /// The code as it was scanned or typed.
    pub code: String,
    /// The item.
    pub sku: String,
    /// What the receipt calls it.
    pub name: String,
    /// What it is sold by: `pc`, `kg`.
    pub unit: String,
    /// Quantity in thousandths; negative where goods come back.
    pub qty_milli: i64,
    /// Price of one unit in millionths of the major unit.
    pub unit_price_micros: i64,
    /// What the catalogue asked, where another price was given.
    pub list_price_micros: Option<i64>,
    /// Where the price came from.
    pub price_reason: PriceReasonV1,
    /// The catalogue it was priced from.
    pub bundle: Option<[u8; 32]>,
    /// Quantity × price, rounded half up, before discounts.
    pub value_minor: i64,
    /// Discounts on this line, in the order they were applied.
    #[serde(deserialize_with = "list::at_most::<PER_LINE_MAX, _, _>")]
    pub discounts: Vec<DiscountV1>,
    /// Taxes on this line.
    #[serde(deserialize_with = "list::at_most::<PER_LINE_MAX, _, _>")]
    pub taxes: Vec<LineTaxV1>,
    /// The line of the original sale that comes back.
    pub return_of: Option<ReturnOfV1>,
    /// Whether stock moves: false for a service.
    pub moves_stock: bool,
    /// A note on this line.
    pub memo: String,
}

/// Where a price came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PriceReasonV1 {
    /// The catalogue.
    Catalogue,
    /// Given with the line, with the reason that was given.
    Given(String),
    /// The original sale, for goods that come back.
    Original,
}

/// A discount on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscountV1 {
    /// What the receipt calls it.
    pub name: String,
    /// Promotion, coupon or approval that it came from; may be empty.
    pub reference: String,
    /// What it takes off; has the sign of the line's value.
    pub amount_minor: i64,
}

/// One tax on one line: `amount = base × rate × fraction`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTaxV1 {
    /// What the receipt calls it.
    pub name: String,
    /// The rate in millionths: 12 % is 120 000.
    pub rate_ppm: u32,
    /// Part of the net value that is taxed: 11 of 11/12.
    pub base_numerator: u16,
    /// 12 of 11/12.
    pub base_denominator: u16,
    /// Whether the price contains it.
    pub included: bool,
    /// Net value of the line, before the fraction.
    pub net_minor: i64,
    /// The tax.
    pub amount_minor: i64,
}

/// One tax over the whole sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxTotalV1 {
    /// What the receipt calls it.
    pub name: String,
    /// The rate in millionths.
    pub rate_ppm: u32,
    /// Part of the net value that is taxed.
    pub base_numerator: u16,
    /// Its denominator.
    pub base_denominator: u16,
    /// Whether the prices contain it.
    pub included: bool,
    /// Net value of the lines.
    pub net_minor: i64,
    /// The tax.
    pub amount_minor: i64,
}

/// Which line of which sale comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnOfV1 {
    /// Effect id of the original sale.
    pub sale: [u8; 32],
    /// Its line, counted from 0.
    pub line: u16,
}

/// Money given or refunded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenderV1 {
    /// How.
    pub kind: TenderKindV1,
    /// How much was given (for cash, before change); negative for a refund.
    pub amount_minor: i64,
    /// Id of the floor mark that took it before the sale was closed.
    pub taken: Option<[u8; 16]>,
}

/// How money was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenderKindV1 {
    /// Notes and coins.
    Cash,
    /// A card on a payment terminal that is not ours.
    Card {
        /// What the payment terminal printed.
        approval: String,
        /// Which payment terminal.
        terminal: String,
        /// The last four digits, or nothing.
        last4: String,
    },
    /// Anything else the shop takes, by the name it has there.
    Other {
        /// Its name: voucher, invoice, bank transfer.
        name: String,
        /// Its number.
        reference: String,
    },
}
