//! One op of each kind, with no field left at its default.

use toko_retail::ops::*;

const GBP: CurrencyV1 = CurrencyV1 { code: *b"GBP", exponent: 2 };
const DAY: u32 = 20_101_201;

/// In the order of the stored numbers.
pub(crate) fn samples() -> Vec<What> {
    vec![
        What::Sale(Box::new(sale())),
        What::StockMoved(StockMovedV1 {
            reason: MoveReason::Count,
            day: DAY,
            by: Some("c7".into()),
            lines: vec![MovedLineV1 {
                sku: "85123A".into(),
                name: "LANTERN".into(),
                qty_milli: -2_000,
                counted_milli: Some(7_000),
            }],
            counterpart: "shelf".into(),
            note: "spring".into(),
            external: "536414".into(),
        }),
        What::DayOpened(DayOpenedV1 { day: DAY, by: Some("c7".into()) }),
        What::DayClosed(DayClosedV1 {
            day: DAY,
            by: Some("c7".into()),
            sales: 136,
            returns: 6,
            voids: 1,
            takings: vec![TakingsV1 {
                currency: GBP,
                sales_minor: 5_896_079,
                returns_minor: -32_523,
                voids_minor: -1,
                cash_minor: 12,
            }],
            amends: Some([8; 32]),
            note: "late".into(),
        }),
        What::ShiftOpened(ShiftOpenedV1 {
            day: DAY,
            terminal: 3,
            cashier: Some("c7".into()),
            drawer: "left".into(),
            currency: GBP,
            float_minor: 10_000,
        }),
        What::ShiftClosed(ShiftClosedV1 {
            shift: [5; 32],
            by: Some("c7".into()),
            counted: vec![CountedV1 { currency: GBP, counted_minor: 9_990, expected_minor: 10_000 }],
            amends: Some([8; 32]),
            note: "ten short".into(),
        }),
        What::CashMoved(CashMovedV1 {
            shift: [5; 32],
            day: DAY,
            reason: CashReason::SafeDrop,
            currency: GBP,
            amount_minor: -50_000,
            by: Some("c7".into()),
            note: "safe".into(),
        }),
        What::BundlePublished(BundlePublishedV1 {
            kind: BundleKind::Catalogue,
            blob: [7; 32],
            prev: Some([6; 32]),
            bytes: 70_000,
            items: 3_514,
            name: "spring".into(),
        }),
        What::BundleActivated(BundleActivatedV1 { kind: BundleKind::Catalogue, blob: [7; 32], rev: 300 }),
        What::PrintAsked(PrintAskedV1 { sale: [9; 32], ask: ask() }),
        What::PrintStarted(PrintStartedV1 { job: [4; 16], attempt: 2, printer: "counter".into() }),
        What::PrintOutcome(PrintOutcomeV1 {
            job: [4; 16],
            attempt: 2,
            outcome: PrintOutcome::InDoubt,
            level: 1,
            detail: "cover open".into(),
        }),
        What::Custody(CustodyV1 {
            cart: [1; 16],
            turn: 2,
            state: CustodyState::Parked,
            holder: [3; 32],
            name: "dog".into(),
            lines: 4,
            total_minor: 1_234,
            currency: GBP,
        }),
        What::TenderTaken(TenderTakenV1 {
            cart: [1; 16],
            id: [2; 16],
            stage: TenderStage::Taken,
            tender: card(),
            currency: GBP,
        }),
        What::CartClosed(CartClosedV1 { cart: [1; 16], sale: Some([9; 32]) }),
        What::BooksSettled(BooksSettledV1 {
            sales: SalePlaceV1 { day: DAY, terminal: 3, series: 2, counter: 42 },
            jobs_before_micros: 1_291_192_000_000_000,
        }),
        What::DrawerAsked(DrawerAskedV1 {
            day: DAY,
            terminal: 3,
            drawer: "left".into(),
            reason: DrawerReason::NoSale,
            sale: Some([9; 32]),
            by: Some("c7".into()),
            ttl_ms: 5_000,
            note: "change".into(),
        }),
        What::DrawerSeen(DrawerSeenV1 {
            day: DAY,
            terminal: 3,
            drawer: "left".into(),
            ask: Some([9; 32]),
            what: DrawerEvent::NotConfirmed,
            open: Some(true),
            detail: "no word of its sensor".into(),
        }),
    ]
}

fn sale() -> SaleV1 {
    SaleV1 {
        kind: SaleKind::Return,
        day: DAY,
        at_unix_micros: 1_291_192_000_000_000,
        utc_offset_minutes: -90,
        time_verified: true,
        shift: Some([5; 32]),
        cashier: Some("c7".into()),
        approver: Some("m1".into()),
        customer: Some(vec![0xde, 0xad]),
        terminal: 3,
        series: 2,
        counter: 42,
        cart: Some(CartRefV1 { cart: [1; 16], turn: 2, heads: vec![[6; 32]] }),
        original: Some([9; 32]),
        reason: "did not fit".into(),
        currency: GBP,
        lines: vec![line()],
        tax_per_total: true,
        taxes: vec![TaxTotalV1 {
            name: "VAT".into(),
            rate_ppm: 200_000,
            base_numerator: 11,
            base_denominator: 12,
            included: true,
            net_minor: -1_000,
            amount_minor: -200,
        }],
        subtotal_minor: -1_200,
        total_minor: -1_201,
        rounding_minor: 1,
        tenders: vec![
            TenderV1 { kind: TenderKindV1::Cash, amount_minor: -500, taken: None },
            card(),
            TenderV1 {
                kind: TenderKindV1::Other { name: "voucher".into(), reference: "v9".into() },
                amount_minor: -300,
                taken: None,
            },
        ],
        change_minor: 7,
        print: Some(ask()),
        memo: "wrap".into(),
        external: "C536379".into(),
    }
}

fn line() -> SaleLineV1 {
    SaleLineV1 {
        line: Some([2; 16]),
        code: "5901234123457".into(),
        sku: "85123A".into(),
        name: "LANTERN".into(),
        unit: "pc".into(),
        qty_milli: -1_000,
        unit_price_micros: 12_500_000,
        list_price_micros: Some(13_000_000),
        price_reason: PriceReasonV1::Given("dented".into()),
        bundle: Some([7; 32]),
        value_minor: -1_250,
        discounts: vec![DiscountV1 { name: "off".into(), reference: "p1".into(), amount_minor: -50 }],
        taxes: vec![LineTaxV1 {
            name: "VAT".into(),
            rate_ppm: 200_000,
            base_numerator: 11,
            base_denominator: 12,
            included: true,
            net_minor: -1_000,
            amount_minor: -200,
        }],
        return_of: Some(ReturnOfV1 { sale: [9; 32], line: 1 }),
        moves_stock: true,
        memo: "gift".into(),
    }
}

fn card() -> TenderV1 {
    TenderV1 {
        kind: TenderKindV1::Card { approval: "A1B2".into(), terminal: "T7".into(), last4: "4242".into() },
        amount_minor: -400,
        taken: Some([2; 16]),
    }
}

fn ask() -> PrintAskV1 {
    PrintAskV1 { job: [4; 16], printer: "counter".into(), ttl_s: 3_600, copies: 2 }
}
