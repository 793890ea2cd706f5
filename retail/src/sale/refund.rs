//! Goods that come back, with or without their receipt, and sales that should not have been.
//!
//! Invariants: parts of a line that come back one after the other add up to exactly what was paid for the line, taxes and
//! discounts included; a void is the exact negative of its sale. Everything is kept negative, so that sums are plain sums.

use toko_crdt::EffectId;

use super::{CloseSaleError, Occasion, check_counts, checked, skeleton, stored_line};
use crate::currency::{Currency, CurrencyError};
use crate::line::{LineError, PricedLine};
use crate::money::{Money, MoneyError, round_ratio};
use crate::ops::{
    DiscountV1, LineTaxV1, PriceReasonV1, ReturnOfV1, SaleKind, SaleLineV1, SaleV1, TaxTotalV1, TenderKindV1,
    TenderV1, limits,
};
use crate::qty::Qty;
use crate::tax::{TaxRounding, tax_lines};
use crate::tender::{Tender, settle_refund};
use crate::text::check_given;

/// The sale that goods come back from, as the author sees it.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// Its id.
    pub id: EffectId,
    /// The sale.
    pub sale: &'a SaleV1,
    /// What came back of it before, by line ([`crate::views::returned_of`]).
    pub returned: &'a [(u16, Qty)],
}

/// One thing that comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnLine {
    /// A part of a line of the original.
    Of {
        /// The line, counted from 0.
        line: u16,
        /// How much of it; above zero.
        qty: Qty,
    },
    /// Something without a receipt, at the price that is given back. The quantity is above zero here too.
    Loose(Box<PricedLine>),
}

/// A return that is about to close.
#[derive(Clone, Debug)]
pub struct ReturnDraft<'a> {
    /// When, where and by whom.
    pub occasion: Occasion,
    /// Currency of what goes back.
    pub currency: Currency,
    /// Why. Must not be empty.
    pub reason: String,
    /// The original, where there is a receipt.
    pub original: Option<Original<'a>>,
    /// What comes back.
    pub lines: Vec<ReturnLine>,
    /// What goes back to the customer, as amounts above zero.
    pub refunds: Vec<Tender>,
    /// When tax on loose lines is rounded.
    pub tax_rounding: TaxRounding,
    /// The smallest coin in minor units; 0 or 1 where nothing is rounded.
    pub cash_step_minor: i64,
}

/// Why goods were not taken back. Nothing was written if you hold one of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReturnError {
    /// What a sale is refused for, too.
    #[error(transparent)]
    Sale(#[from] CloseSaleError),
    /// A line of an original that was not given.
    #[error("line {0} is of a receipt, but no original sale was given")]
    NoOriginal(u16),
    /// Not a sale: a return or void cannot come back.
    #[error("the original is itself a return or a void")]
    NotASale,
    /// No such line.
    #[error("the original has {lines} lines, there is no line {line} (counted from 0)")]
    NoSuchLine {
        /// The line asked for.
        line: u16,
        /// Lines there are.
        lines: usize,
    },
    /// More than is left.
    #[error("{asked} of {code} cannot come back: {sold} were sold and {returned} came back before")]
    TooMuch {
        /// The item's code.
        code: String,
        /// How much comes now.
        asked: Qty,
        /// How much was sold.
        sold: Qty,
        /// How much came before.
        returned: Qty,
    },
    /// Some of it came back already, so it cannot be voided; return the rest instead.
    #[error("some of it came back already; take the rest back as a return")]
    PartlyReturned,
    /// The original is in another currency.
    #[error("the original was paid in {original}, refunds are in {asked}")]
    Currency {
        /// Currency of the original.
        original: Currency,
        /// Currency asked for.
        asked: Currency,
    },
    /// The stored currency of the original cannot be.
    #[error(transparent)]
    StoredCurrency(#[from] CurrencyError),
}

/// What goes back to the customer for a draft, before any rounding to coins; its refunds are not looked at.
///
/// Errors: whatever would keep the return from closing, but for the refunds.
pub fn owed_for(draft: &ReturnDraft<'_>) -> Result<Money, CloseReturnError> {
    owed(&unsettled(draft)?, draft.currency)
}

/// Takes goods back.
///
/// Errors: the first thing that is wrong; nothing is changed.
pub fn close_return(draft: &ReturnDraft<'_>) -> Result<SaleV1, CloseReturnError> {
    let mut sale = unsettled(draft)?;
    let owed = owed(&sale, draft.currency)?;
    let rounding =
        settle_refund(owed, &draft.refunds, draft.cash_step_minor).map_err(CloseSaleError::Settle)?;
    sale.rounding_minor = rounding.minor_units().saturating_neg();
    sale.tenders = draft.refunds.iter().map(|refund| refund.stored(true)).collect();
    Ok(checked(sale)?)
}

/// The return with its lines and totals, and no refunds yet.
fn unsettled(draft: &ReturnDraft<'_>) -> Result<SaleV1, CloseReturnError> {
    draft.occasion.check().map_err(CloseSaleError::Text)?;
    check_given("the reason of the return", &draft.reason, limits::TEXT_CHARS_MAX)
        .map_err(CloseSaleError::Text)?;
    check_counts(draft.lines.len(), draft.refunds.len())?;
    if let Some(original) = &draft.original {
        check_original(original, draft.currency)?;
    }
    let mut sale = skeleton(SaleKind::Return, &draft.occasion, draft.currency);
    sale.original = draft.original.map(|original| original.id.0);
    sale.reason = draft.reason.clone();
    sale.tax_per_total = draft.tax_rounding == TaxRounding::PerTotal;
    sale.lines = returned_lines(draft)?;
    total_up(&mut sale).map_err(CloseSaleError::Money)?;
    Ok(sale)
}

fn owed(sale: &SaleV1, currency: Currency) -> Result<Money, CloseReturnError> {
    let owed = Money::minor(sale.total_minor, currency).negated();
    Ok(owed.map_err(CloseSaleError::Money)?)
}

/// Takes a whole sale back because it should not have been: its exact negative, tender by tender, cash less its change.
///
/// Errors: not a sale, some of it came back already, a reason that is missing; nothing is changed.
pub fn void_sale(
    occasion: &Occasion,
    original: &Original<'_>,
    reason: &str,
) -> Result<SaleV1, CloseReturnError> {
    occasion.check().map_err(CloseSaleError::Text)?;
    check_given("the reason of the void", reason, limits::TEXT_CHARS_MAX).map_err(CloseSaleError::Text)?;
    let currency = original.sale.currency()?;
    check_original(original, currency)?;
    if original.returned.iter().any(|(_, qty)| !qty.is_zero()) {
        return Err(CloseReturnError::PartlyReturned);
    }
    let from = original.sale;
    let mut sale = skeleton(SaleKind::Void, occasion, currency);
    sale.original = Some(original.id.0);
    sale.reason = reason.to_string();
    sale.tax_per_total = from.tax_per_total;
    sale.lines = (0_u16..).zip(&from.lines).map(|(at, line)| voided_line(original.id, at, line)).collect();
    sale.taxes = from.taxes.iter().map(negated_total).collect();
    sale.subtotal_minor = from.subtotal_minor.saturating_neg();
    sale.total_minor = from.total_minor.saturating_neg();
    sale.rounding_minor = from.rounding_minor.saturating_neg();
    sale.tenders = mirrored_tenders(from);
    Ok(checked(sale)?)
}

fn check_original(original: &Original<'_>, asked: Currency) -> Result<(), CloseReturnError> {
    if original.sale.kind != SaleKind::Sale {
        return Err(CloseReturnError::NotASale);
    }
    let currency = original.sale.currency()?;
    if currency == asked { Ok(()) } else { Err(CloseReturnError::Currency { original: currency, asked }) }
}

fn returned_lines(draft: &ReturnDraft<'_>) -> Result<Vec<SaleLineV1>, CloseReturnError> {
    let mut loose = loose_lines(draft)?.into_iter();
    let mut lines = Vec::with_capacity(draft.lines.len());
    // What comes back of each line of the original, with what came before.
    let mut returned = draft.original.map(|original| original.returned.to_vec()).unwrap_or_default();
    for line in &draft.lines {
        match line {
            ReturnLine::Loose(_) => lines.extend(loose.next()),
            ReturnLine::Of { line, qty } => {
                let original = draft.original.as_ref().ok_or(CloseReturnError::NoOriginal(*line))?;
                lines.push(part_of(original, *line, *qty, &mut returned)?);
            }
        }
    }
    Ok(lines)
}

/// The lines without a receipt, priced and taxed like a sale of them, then turned round.
fn loose_lines(draft: &ReturnDraft<'_>) -> Result<Vec<SaleLineV1>, CloseReturnError> {
    let mut loose = Vec::new();
    for (at, line) in draft.lines.iter().enumerate() {
        if let ReturnLine::Loose(line) = line {
            let wrong = |why| CloseSaleError::Line { line: at + 1, code: line.code.clone(), why };
            line.check().map_err(wrong)?;
            let value = line.discounted().map_err(|error| wrong(LineError::Money(error)))?;
            loose.push((line, value));
        }
    }
    let values: Vec<_> = loose.iter().map(|(line, value)| (*value, line.tax.as_deref())).collect();
    let taxed = tax_lines(draft.currency, &values, draft.tax_rounding).map_err(CloseSaleError::Money)?;
    let turned = loose.iter().zip(&taxed.lines).map(|((line, _), taxes)| {
        let mut stored = stored_line(line, taxes)?;
        negate(&mut stored);
        Ok(stored)
    });
    Ok(turned.collect::<Result<_, MoneyError>>().map_err(CloseSaleError::Money)?)
}

/// A part of an original line: the difference it makes to what came back so far, so that all parts add up to the line.
fn part_of(
    original: &Original<'_>,
    at: u16,
    qty: Qty,
    returned: &mut Vec<(u16, Qty)>,
) -> Result<SaleLineV1, CloseReturnError> {
    let lines = original.sale.lines.len();
    let from =
        original.sale.lines.get(usize::from(at)).ok_or(CloseReturnError::NoSuchLine { line: at, lines })?;
    let line_error = |why| CloseSaleError::Line { line: usize::from(at) + 1, code: from.code.clone(), why };
    if qty.milli_units() <= 0 {
        return Err(line_error(LineError::NotPositive(qty)).into());
    }
    let slot = returned.iter().position(|(line, _)| *line == at).unwrap_or_else(|| {
        returned.push((at, Qty::ZERO));
        returned.len() - 1
    });
    let (sold, before) = (Qty::milli(from.qty_milli), returned[slot].1);
    let after = before.plus(qty).map_err(|error| line_error(LineError::Qty(error)))?;
    if (after > sold && !toko_crdt::mutant!("return-twice")) || before < Qty::ZERO {
        return Err(CloseReturnError::TooMuch {
            code: from.code.clone(),
            asked: qty,
            sold,
            returned: before,
        });
    }
    returned[slot].1 = after;
    let up_to = |minor: i64, qty: Qty| {
        round_ratio(i128::from(minor), i128::from(qty.milli_units()), i128::from(sold.milli_units()))
    };
    let part = |minor: i64| -> Result<i64, CloseSaleError> {
        let (after, before) =
            if toko_crdt::mutant!("round-each-return") { (qty, Qty::ZERO) } else { (after, before) };
        let parts = up_to(minor, after).zip(up_to(minor, before)).and_then(|(a, b)| a.checked_sub(b));
        parts.ok_or(CloseSaleError::Money(MoneyError::TooLarge))
    };
    let mut line = from.clone();
    line.line = None;
    line.qty_milli = qty.milli_units();
    line.price_reason = PriceReasonV1::Original;
    line.value_minor = part(from.value_minor)?;
    for discount in &mut line.discounts {
        discount.amount_minor = part(discount.amount_minor)?;
    }
    for tax in &mut line.taxes {
        tax.amount_minor = part(tax.amount_minor)?;
    }
    let net = net_of(&line);
    line.taxes.iter_mut().for_each(|tax| tax.net_minor = net);
    line.return_of = Some(ReturnOfV1 { sale: original.id.0, line: at });
    negate(&mut line);
    Ok(line)
}

/// A line's value without discounts and without the taxes that its price contains.
fn net_of(line: &SaleLineV1) -> i64 {
    let discounts: i64 = line.discounts.iter().map(|discount| discount.amount_minor).sum();
    let included: i64 = line.taxes.iter().filter(|tax| tax.included).map(|tax| tax.amount_minor).sum();
    line.value_minor - discounts - included
}

/// Subtotal, taxes and total of the lines as they stand.
fn total_up(sale: &mut SaleV1) -> Result<(), MoneyError> {
    let (mut subtotal, mut on_top) = (0_i64, 0_i64);
    for line in &sale.lines {
        let discounts = line.discounts.iter().map(|discount| discount.amount_minor.saturating_neg());
        for part in std::iter::once(line.value_minor).chain(discounts) {
            subtotal = subtotal.checked_add(part).ok_or(MoneyError::TooLarge)?;
        }
        for tax in &line.taxes {
            if !tax.included {
                on_top = on_top.checked_add(tax.amount_minor).ok_or(MoneyError::TooLarge)?;
            }
            add_tax(&mut sale.taxes, tax)?;
        }
    }
    sale.subtotal_minor = subtotal;
    sale.total_minor = subtotal.checked_add(on_top).ok_or(MoneyError::TooLarge)?;
    Ok(())
}

fn add_tax(totals: &mut Vec<TaxTotalV1>, tax: &LineTaxV1) -> Result<(), MoneyError> {
    let same = |total: &&mut TaxTotalV1| {
        (&total.name, total.rate_ppm, total.base_numerator, total.base_denominator, total.included)
            == (&tax.name, tax.rate_ppm, tax.base_numerator, tax.base_denominator, tax.included)
    };
    match totals.iter_mut().find(same) {
        Some(total) => {
            total.net_minor = total.net_minor.checked_add(tax.net_minor).ok_or(MoneyError::TooLarge)?;
            total.amount_minor =
                total.amount_minor.checked_add(tax.amount_minor).ok_or(MoneyError::TooLarge)?;
        }
        None => totals.push(TaxTotalV1 {
            name: tax.name.clone(),
            rate_ppm: tax.rate_ppm,
            base_numerator: tax.base_numerator,
            base_denominator: tax.base_denominator,
            included: tax.included,
            net_minor: tax.net_minor,
            amount_minor: tax.amount_minor,
        }),
    }
    Ok(())
}

fn voided_line(sale: EffectId, at: u16, line: &SaleLineV1) -> SaleLineV1 {
    let mut line = line.clone();
    line.line = None;
    line.return_of = Some(ReturnOfV1 { sale: sale.0, line: at });
    negate(&mut line);
    line
}

/// Turns every sum of a line round. Stored magnitudes are far below what has no negative.
fn negate(line: &mut SaleLineV1) {
    let turn = |minor: &mut i64| *minor = minor.saturating_neg();
    turn(&mut line.qty_milli);
    turn(&mut line.value_minor);
    line.discounts.iter_mut().for_each(|discount: &mut DiscountV1| turn(&mut discount.amount_minor));
    for tax in &mut line.taxes {
        turn(&mut tax.net_minor);
        turn(&mut tax.amount_minor);
    }
}

fn negated_total(total: &TaxTotalV1) -> TaxTotalV1 {
    TaxTotalV1 {
        net_minor: total.net_minor.saturating_neg(),
        amount_minor: total.amount_minor.saturating_neg(),
        ..total.clone()
    }
}

/// What goes back for each tender: cash less the change that was handed back for it, so that a void gives no change.
fn mirrored_tenders(sale: &SaleV1) -> Vec<TenderV1> {
    let mut change = if toko_crdt::mutant!("void-forgets-change") { 0 } else { sale.change_minor };
    let mirrored = sale.tenders.iter().map(|tender| {
        let from_cash = if tender.kind == TenderKindV1::Cash { change.min(tender.amount_minor) } else { 0 };
        change -= from_cash;
        let amount_minor = from_cash - tender.amount_minor;
        TenderV1 { kind: tender.kind.clone(), amount_minor, taken: None }
    });
    mirrored.filter(|tender| tender.amount_minor != 0).collect()
}
