//! What the tests sell: ops as a terminal writes them.

use toko_crdt::Body;
use toko_retail::day::Day;
use toko_retail::ops::{
    CurrencyV1, MoveReason, MovedLineV1, OpV1, PriceReasonV1, SaleKind, SaleLineV1, SaleV1, StockMovedV1,
    TenderKindV1, TenderV1, What,
};

/// Pounds.
pub(crate) const GBP: CurrencyV1 = CurrencyV1 { code: *b"GBP", exponent: 2 };

/// One line of an invented sale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) sku: &'static str,
    pub(crate) pieces: i64,
    pub(crate) pence: i64,
}

/// A sale, or a return where pieces are negative, paid in exact cash.
pub(crate) fn sale(day: &str, counter: u64, lines: &[Line]) -> Body {
    let total: i64 = lines.iter().map(|line| line.pieces * line.pence).sum();
    let kind = if total < 0 { SaleKind::Return } else { SaleKind::Sale };
    let line = |line: &Line| SaleLineV1 {
        line: None,
        code: line.sku.into(),
        sku: line.sku.into(),
        name: line.sku.into(),
        unit: "pc".into(),
        qty_milli: line.pieces * 1_000,
        unit_price_micros: line.pence * 10_000,
        list_price_micros: None,
        price_reason: PriceReasonV1::Given("test".into()),
        bundle: None,
        value_minor: line.pieces * line.pence,
        discounts: vec![],
        taxes: vec![],
        return_of: None,
        moves_stock: true,
        memo: String::new(),
    };
    let sale = SaleV1 {
        kind,
        day: Day::parse(day).unwrap().number(),
        at_unix_micros: 1_291_190_400_000_000,
        utc_offset_minutes: 0,
        time_verified: true,
        shift: None,
        cashier: None,
        approver: None,
        customer: None,
        terminal: 1,
        series: 1,
        counter,
        cart: None,
        original: None,
        reason: if total < 0 { "brought back".into() } else { String::new() },
        currency: GBP,
        lines: lines.iter().map(line).collect(),
        tax_per_total: false,
        taxes: vec![],
        subtotal_minor: total,
        total_minor: total,
        rounding_minor: 0,
        tenders: vec![TenderV1 { kind: TenderKindV1::Cash, amount_minor: total, taken: None }],
        change_minor: 0,
        print: None,
        memo: String::new(),
        external: String::new(),
    };
    op(What::Sale(Box::new(sale)))
}

/// Goods that were written off.
pub(crate) fn write_off(day: &str, sku: &str, pieces: i64) -> Body {
    let line =
        MovedLineV1 { sku: sku.into(), name: sku.into(), qty_milli: -pieces * 1_000, counted_milli: None };
    op(What::StockMoved(StockMovedV1 {
        reason: MoveReason::WriteOff,
        day: Day::parse(day).unwrap().number(),
        by: None,
        lines: vec![line],
        counterpart: String::new(),
        note: String::new(),
        external: String::new(),
    }))
}

/// An op as an entry's body.
pub(crate) fn op(what: What) -> Body {
    let op = OpV1::new(what);
    op.check_shape().unwrap();
    Body::Op(op.encode())
}
