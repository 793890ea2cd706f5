//! What stands on a receipt: content, not layout.
//!
//! Invariants: a receipt says nothing that its sale does not hold, so a copy printed years later on another printer says the
//! same. Amounts are typed values; columns, fonts and cutting are the page's. Absent on purpose: the clock. Time is a text
//! that whoever knows the shop's zone made.

use toko_crdt::EffectId;

use crate::currency::{Currency, CurrencyError};
use crate::money::{Money, MoneyError, Price, format_scaled};
use crate::ops::{
    LineTaxV1, PriceReasonV1, SaleKind, SaleLineV1, SaleV1, TaxTotalV1, TenderKindV1, TenderV1,
};
use crate::qty::Qty;
use crate::sale::{ReceiptNumber, receipt_tag};

/// What a receipt needs besides its sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dress {
    /// Name and address of the shop, tax number; line by line.
    pub header: Vec<String>,
    /// Thanks, terms; line by line.
    pub footer: Vec<String>,
    /// Local date and time of the sale, as people here write it.
    pub time: String,
    /// Number of the original receipt, for a return or void, where it is known.
    pub original: Option<ReceiptNumber>,
    /// Whether this is a copy of a receipt that was printed before.
    pub is_copy: bool,
}

/// The content of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Name and address of the shop.
    pub header: Vec<String>,
    /// Sale, return or void.
    pub kind: SaleKind,
    /// Whether it is a copy.
    pub is_copy: bool,
    /// Its number.
    pub number: ReceiptNumber,
    /// Six characters of its entry; they differ even if a clone printed the number twice.
    pub tag: String,
    /// The print job, for whoever looks for it.
    pub job: Option<[u8; 16]>,
    /// Business day, as `2010-12-01`.
    pub day: String,
    /// Local date and time.
    pub time: String,
    /// Whether that time was verified when the sale was made.
    pub time_verified: bool,
    /// Who sold: the opaque id.
    pub cashier: Option<String>,
    /// Number of the original receipt.
    pub original: Option<ReceiptNumber>,
    /// Tag of the original receipt.
    pub original_tag: Option<String>,
    /// Why goods came back.
    pub reason: String,
    /// The lines.
    pub lines: Vec<ReceiptLine>,
    /// Line values after discounts, before taxes on top.
    pub subtotal: Money,
    /// Taxes, by rate.
    pub taxes: Vec<ReceiptTax>,
    /// What the goods cost with all taxes.
    pub total: Money,
    /// Rounding to coins; nothing where none was needed.
    pub rounding: Option<Money>,
    /// Total and rounding.
    pub payable: Money,
    /// What was given, or refunded (negative).
    pub tenders: Vec<ReceiptTender>,
    /// Cash handed back; nothing where none was.
    pub change: Option<Money>,
    /// The cashier's note; may be empty.
    pub memo: String,
    /// A number of another system; may be empty.
    pub external: String,
    /// Thanks and terms.
    pub footer: Vec<String>,
}

/// A line of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptLine {
    /// What is sold.
    pub name: String,
    /// The code as it was scanned.
    pub code: String,
    /// How much; negative where it comes back.
    pub qty: Qty,
    /// Of what; may be empty.
    pub unit: String,
    /// Price of one unit.
    pub unit_price: Price,
    /// Why the price is not the catalogue's; empty where it is.
    pub price_note: String,
    /// Quantity × price.
    pub value: Money,
    /// Discounts: name and what is taken off.
    pub discounts: Vec<(String, Money)>,
    /// A note; may be empty.
    pub memo: String,
}

/// A tax of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptTax {
    /// Its name.
    pub name: String,
    /// Its rate as people write it: `20`, `8.875`.
    pub percent: String,
    /// The taxed part, where it is not the whole: `11/12`.
    pub part: Option<String>,
    /// Whether the prices contain it.
    pub included: bool,
    /// Net value.
    pub net: Money,
    /// The tax.
    pub amount: Money,
}

/// A tender of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptTender {
    /// `cash`, `card`, or the name it has in the shop.
    pub name: String,
    /// Approval, terminal and last four digits, or a reference; may be empty.
    pub detail: String,
    /// How much.
    pub amount: Money,
}

/// Why a stored sale has no receipt: only for one that never passed [`crate::ops::OpV1::decode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Its currency cannot be.
    #[error(transparent)]
    Currency(#[from] CurrencyError),
    /// A price is negative.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl Receipt {
    /// The receipt of a sale, under the id of its entry.
    pub fn of(sale: &SaleV1, id: EffectId, dress: &Dress) -> Result<Receipt, ReceiptError> {
        let currency = sale.currency()?;
        let money = |minor| Money::minor(minor, currency);
        let unless_zero = |minor| (minor != 0).then_some(money(minor));
        let lines = sale.lines.iter().map(|line| receipt_line(line, currency));
        Ok(Receipt {
            header: dress.header.clone(),
            kind: sale.kind,
            is_copy: dress.is_copy,
            number: sale.number(),
            tag: receipt_tag(id),
            job: sale.print.as_ref().map(|ask| ask.job),
            day: crate::day::Day::stored(sale.day)
                .map_or_else(|_| sale.day.to_string(), |day| day.to_string()),
            time: dress.time.clone(),
            time_verified: sale.time_verified,
            cashier: sale.cashier.clone(),
            original: dress.original,
            original_tag: sale.original.map(|original| receipt_tag(EffectId(original))),
            reason: sale.reason.clone(),
            lines: lines.collect::<Result<_, _>>()?,
            subtotal: money(sale.subtotal_minor),
            taxes: sale.taxes.iter().map(|tax| receipt_tax(tax, currency)).collect(),
            total: money(sale.total_minor),
            rounding: unless_zero(sale.rounding_minor),
            payable: money(sale.total_minor.saturating_add(sale.rounding_minor)),
            tenders: sale.tenders.iter().map(|tender| receipt_tender(tender, currency)).collect(),
            change: unless_zero(sale.change_minor),
            memo: sale.memo.clone(),
            external: sale.external.clone(),
            footer: dress.footer.clone(),
        })
    }
}

impl ReceiptTax {
    /// One line of text: `VAT 20 %`, `PPN 12 % of 11/12`.
    pub fn label(&self) -> String {
        match &self.part {
            None => format!("{} {} %", self.name, self.percent),
            Some(part) => format!("{} {} % of {part}", self.name, self.percent),
        }
    }
}

impl LineTaxV1 {
    /// The rate as people write it: `20`, `8.875`.
    pub fn percent_text(&self) -> String {
        format_scaled(i64::from(self.rate_ppm), 4, 0)
    }
}

fn receipt_line(line: &SaleLineV1, currency: Currency) -> Result<ReceiptLine, MoneyError> {
    let discount = |d: &crate::ops::DiscountV1| (d.name.clone(), Money::minor(d.amount_minor, currency));
    Ok(ReceiptLine {
        name: if line.name.is_empty() { line.sku.clone() } else { line.name.clone() },
        code: line.code.clone(),
        qty: Qty::milli(line.qty_milli),
        unit: line.unit.clone(),
        unit_price: Price::micros(line.unit_price_micros, currency)?,
        price_note: match &line.price_reason {
            PriceReasonV1::Given(why) => why.clone(),
            PriceReasonV1::Catalogue | PriceReasonV1::Original => String::new(),
        },
        value: Money::minor(line.value_minor, currency),
        discounts: line.discounts.iter().map(discount).collect(),
        memo: line.memo.clone(),
    })
}

fn receipt_tax(tax: &TaxTotalV1, currency: Currency) -> ReceiptTax {
    let whole = tax.base_numerator == tax.base_denominator;
    ReceiptTax {
        name: tax.name.clone(),
        percent: format_scaled(i64::from(tax.rate_ppm), 4, 0),
        part: (!whole).then(|| format!("{}/{}", tax.base_numerator, tax.base_denominator)),
        included: tax.included,
        net: Money::minor(tax.net_minor, currency),
        amount: Money::minor(tax.amount_minor, currency),
    }
}

fn receipt_tender(tender: &TenderV1, currency: Currency) -> ReceiptTender {
    let (name, detail) = match &tender.kind {
        TenderKindV1::Cash => ("cash".to_string(), String::new()),
        TenderKindV1::Card { approval, terminal, last4 } => {
            let digits = if last4.is_empty() { String::new() } else { format!("*{last4}") };
            let parts = [digits.as_str(), approval, terminal];
            let given: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            ("card".to_string(), given.join(" "))
        }
        TenderKindV1::Other { name, reference } => (name.clone(), reference.clone()),
    };
    ReceiptTender { name, detail, amount: Money::minor(tender.amount_minor, currency) }
}
