//! Sales, returns and voids by example, and the sums that hold for all of them.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::money::{Money, Price};
use crate::ops::TenderKindV1;
use crate::qty::Qty;
use crate::tax::{TaxGroup, TaxRate};

fn gbp() -> Currency {
    Currency::parse("GBP").unwrap()
}

fn occasion(counter: u64) -> Occasion {
    let number = ReceiptNumber { terminal: 3, series: 1, counter };
    Occasion::new(Day::parse("2010-12-01").unwrap(), UnixMicros(1_291_192_000_000_000), number)
}

fn line(code: &str, milli: i64, price: &str) -> PricedLine {
    PricedLine::unknown(code, code, Qty::milli(milli), Price::parse(price, gbp()).unwrap(), "")
}

fn taxed(mut line: PricedLine, percent: &str, included: bool) -> PricedLine {
    let rate = TaxRate::percent("VAT", percent).unwrap();
    line.tax = Some(Arc::new(TaxGroup::new("A", included, vec![rate]).unwrap()));
    line
}

fn cash(minor: i64) -> Tender {
    Tender::cash(Money::minor(minor, gbp())).unwrap()
}

fn sold(lines: Vec<PricedLine>, paid: i64) -> Result<SaleV1, CloseSaleError> {
    let tenders = if paid == 0 { Vec::new() } else { vec![cash(paid)] };
    close_sale(&SaleDraft { lines, tenders, ..SaleDraft::new(occasion(1), gbp()) })
}

fn coming_back<'a>(original: Option<Original<'a>>, lines: Vec<ReturnLine>, refund: i64) -> ReturnDraft<'a> {
    ReturnDraft {
        occasion: occasion(2),
        currency: gbp(),
        reason: "did not fit".to_string(),
        original,
        lines,
        refunds: if refund == 0 { Vec::new() } else { vec![cash(refund)] },
        tax_rounding: TaxRounding::PerLine,
        cash_step_minor: 0,
    }
}

fn balanced(sale: &SaleV1) -> bool {
    let tenders: i64 = sale.tenders.iter().map(|tender| tender.amount_minor).sum();
    let on_top: i64 = sale.taxes.iter().filter(|tax| !tax.included).map(|tax| tax.amount_minor).sum();
    let lines: i64 = sale
        .lines
        .iter()
        .map(|line| {
            line.value_minor - line.discounts.iter().map(|discount| discount.amount_minor).sum::<i64>()
        })
        .sum();
    tenders - sale.change_minor == sale.total_minor + sale.rounding_minor
        && lines == sale.subtotal_minor
        && sale.subtotal_minor + on_top == sale.total_minor
}

#[test]
fn a_line_is_repeated_and_free_and_both_count() {
    let lines = vec![line("85123A", 6_000, "2.55"), line("85123A", 6_000, "2.55"), line("GIFT", 1_000, "0")];
    let sale = sold(lines, 5_000).unwrap();
    assert_eq!((sale.lines.len(), sale.total_minor, sale.change_minor), (3, 3_060, 1_940));
    assert!(balanced(&sale));
}

#[test]
fn the_largest_order_of_the_data_fits() {
    let sale = sold(vec![line("23166", 74_215_000, "1.04")], 7_718_360).unwrap();
    assert_eq!(sale.total_minor, 7_718_360);
    let lines = (0..1_000).map(|n| line(&format!("C{n}"), 1_000, "0.001")).collect();
    assert_eq!(sold(lines, 0).unwrap().total_minor, 0, "each line rounds to nothing by itself");
}

#[test]
fn a_sale_that_cannot_close_says_what_and_where() {
    let said = |r: Result<SaleV1, CloseSaleError>| r.unwrap_err().to_string();
    assert_eq!(said(sold(vec![], 0)), "there is no line to sell");
    assert_eq!(said(sold(vec![line("A", 1_000, "1")], 50)), "tenders are 0.50 GBP short of 1.00 GBP");
    let lines = vec![line("A", 1_000, "1"), line("B", 0, "1")];
    assert_eq!(said(sold(lines, 500)), "line 2 (B): the quantity is 0, it must be above zero");
    let mut whole = line("TIN", 1_500, "1");
    whole.decimals = 0;
    assert!(said(sold(vec![whole], 500)).starts_with("line 1 (TIN): 1.5 is finer than the 0 decimals"));
    let many = vec![line("A", 1_000, "0"); 4_001];
    assert_eq!(said(sold(many, 0)), "4001 lines, 4000 at most; make it two sales");
    let mut draft = SaleDraft { lines: vec![line("A", 1_000, "0")], ..SaleDraft::new(occasion(1), gbp()) };
    draft.occasion.memo = "paid by 4111 1111 1111 1111".to_string();
    assert!(said(close_sale(&draft)).starts_with("the memo looks like a card number"));
    let yen = Price::parse("5", Currency::parse("JPY").unwrap()).unwrap();
    let foreign = PricedLine::unknown("A", "A", Qty::ONE, yen, "");
    assert_eq!(said(sold(vec![foreign], 500)), "GBP and JPY cannot be added up");
}

#[test]
fn discounts_come_off_before_tax_and_never_exceed_the_line() {
    let mut tin = taxed(line("TIN", 1_000, "12.00"), "20", true);
    tin.discounts.push(Discount {
        name: "dented".into(),
        reference: String::new(),
        amount: Money::minor(600, gbp()),
    });
    let sale = sold(vec![tin.clone()], 600).unwrap();
    assert_eq!((sale.total_minor, sale.taxes[0].net_minor, sale.taxes[0].amount_minor), (600, 500, 100));
    tin.discounts[0].amount = Money::minor(1_201, gbp());
    let refused = sold(vec![tin], 600).unwrap_err().to_string();
    assert_eq!(refused, "line 1 (TIN): discounts of 12.01 GBP on a line of 12.00 GBP");
}

#[test]
fn parts_that_come_back_add_up_to_what_was_paid() {
    let original = sold(vec![taxed(line("CUP", 3_000, "3.333333"), "20", true)], 1_000).unwrap();
    let id = EffectId([7; 32]);
    let mut returned: Vec<(u16, Qty)> = Vec::new();
    let (mut refunded, mut tax) = (0, 0);
    for (part, refund) in [(1_000, 333), (1_000, 334), (1_000, 333)] {
        let from = Original { id, sale: &original, returned: &returned };
        let back = close_return(&coming_back(
            Some(from),
            vec![ReturnLine::Of { line: 0, qty: Qty::milli(part) }],
            refund,
        ));
        let back = back.unwrap();
        assert!(balanced(&back));
        refunded += back.total_minor;
        tax += back.taxes[0].amount_minor;
        let before = returned.first().map_or(0, |(_, qty)| qty.milli_units());
        returned = vec![(0, Qty::milli(before + part))];
    }
    assert_eq!((refunded, tax), (-original.total_minor, -original.taxes[0].amount_minor));
    let from = Original { id, sale: &original, returned: &returned };
    let more =
        close_return(&coming_back(Some(from), vec![ReturnLine::Of { line: 0, qty: Qty::milli(1) }], 0));
    let said = more.unwrap_err().to_string();
    assert_eq!(said, "0.001 of CUP cannot come back: 3 were sold and 3 came back before");
}

#[test]
fn the_same_line_named_twice_does_not_come_back_twice() {
    let original = sold(vec![line("CUP", 3_000, "1.00")], 300).unwrap();
    let from = Original { id: EffectId([7; 32]), sale: &original, returned: &[] };
    let two = ReturnLine::Of { line: 0, qty: Qty::milli(2_000) };
    let refused = close_return(&coming_back(Some(from), vec![two.clone(), two], 400)).unwrap_err();
    assert!(matches!(refused, CloseReturnError::TooMuch { .. }));
}

#[test]
fn goods_come_back_without_a_receipt() {
    let back =
        close_return(&coming_back(None, vec![ReturnLine::Loose(Box::new(line("D", 1_000, "27.50")))], 2_750))
            .unwrap();
    assert_eq!((back.kind, back.original, back.lines[0].qty_milli), (SaleKind::Return, None, -1_000));
    assert_eq!((back.total_minor, back.tenders[0].amount_minor), (-2_750, -2_750));
    assert_eq!(back.tenders[0].kind, TenderKindV1::Cash);
    let no_original = close_return(&coming_back(None, vec![ReturnLine::Of { line: 0, qty: Qty::ONE }], 0));
    assert_eq!(no_original.unwrap_err(), CloseReturnError::NoOriginal(0));
    let wrong =
        close_return(&coming_back(None, vec![ReturnLine::Loose(Box::new(line("D", 1_000, "27.50")))], 2_000));
    assert_eq!(wrong.unwrap_err().to_string(), "refunds of 20.00 GBP where 27.50 GBP goes back");
}

#[test]
fn a_void_is_the_exact_negative_and_only_once() {
    let original = sold(vec![taxed(line("CUP", 3_000, "1.99"), "20", false)], 1_000).unwrap();
    let id = EffectId([7; 32]);
    let void =
        void_sale(&occasion(2), &Original { id, sale: &original, returned: &[] }, "wrong customer").unwrap();
    assert_eq!((void.total_minor, void.change_minor), (-original.total_minor, 0));
    assert_eq!(void.tenders[0].amount_minor, -original.total_minor, "cash less its change");
    assert!(balanced(&void));
    assert_eq!(void.lines[0].return_of.unwrap().sale, id.0);
    let returned = [(0, Qty::ONE)];
    let late = void_sale(&occasion(2), &Original { id, sale: &original, returned: &returned }, "again");
    assert_eq!(late.unwrap_err(), CloseReturnError::PartlyReturned);
    let of_void = void_sale(&occasion(3), &Original { id, sale: &void, returned: &[] }, "again");
    assert_eq!(of_void.unwrap_err(), CloseReturnError::NotASale);
}

proptest! {
    #[test]
    fn sales_balance_and_come_back_to_nothing(
        lines in prop::collection::vec((1_i64..200_000, 0_i64..5_000_000, 0_u8..3, 0_i64..3), 1..12),
        per_total: bool,
        cut in 0_i64..1_000,
    ) {
        let lines: Vec<PricedLine> = lines.iter().map(|(milli, micros, kind, percent_off)| {
            let each = Price::micros(*micros, gbp()).unwrap();
            let mut line = PricedLine::unknown("X", "X", Qty::milli(*milli), each, "");
            let value = line.value().unwrap();
            let off = value.share(i128::from(*percent_off), 100).unwrap();
            if off.minor_units() > 0 {
                line.discounts.push(Discount { name: "off".into(), reference: String::new(), amount: off });
            }
            match kind { 0 => line, 1 => taxed(line, "20", true), _ => taxed(line, "8.875", false) }
        }).collect();
        let tax_rounding = if per_total { TaxRounding::PerTotal } else { TaxRounding::PerLine };
        let due = crate::totals::totals(gbp(), &lines, tax_rounding).unwrap().total.minor_units();
        let tenders = vec![cash(due + 1 + cut)];
        let sale = close_sale(&SaleDraft { lines, tenders, tax_rounding, ..SaleDraft::new(occasion(1), gbp()) }).unwrap();
        prop_assert!(balanced(&sale));
        // Everything comes back in two parts: the sums are those of the sale.
        let id = EffectId([7; 32]);
        let mut returned: Vec<(u16, Qty)> = Vec::new();
        let (mut total, mut taxes) = (0, 0);
        for second in [false, true] {
            let back: Vec<ReturnLine> = (0_u16..).zip(&sale.lines).filter_map(|(at, line)| {
                let first = line.qty_milli * cut / 1_000;
                let qty = if second { line.qty_milli - first } else { first };
                (qty > 0).then_some(ReturnLine::Of { line: at, qty: Qty::milli(qty) })
            }).collect();
            if back.is_empty() { continue; }
            let from = Original { id, sale: &sale, returned: &returned };
            let mut draft = coming_back(Some(from), back.clone(), 0);
            let owed = owed_for(&draft).unwrap();
            if !owed.is_zero() {
                draft.refunds = vec![Tender::cash(owed).unwrap()];
            }
            let part = close_return(&draft).unwrap();
            prop_assert!(balanced(&part));
            total += part.total_minor;
            taxes += part.taxes.iter().map(|tax| tax.amount_minor).sum::<i64>();
            returned = back.iter().map(|line| match line {
                ReturnLine::Of { line, qty } => (*line, *qty),
                ReturnLine::Loose(_) => unreachable!("none were made"),
            }).collect();
        }
        prop_assert_eq!(total, -sale.total_minor);
        prop_assert_eq!(taxes, -sale.taxes.iter().map(|tax| tax.amount_minor).sum::<i64>());
    }
}
