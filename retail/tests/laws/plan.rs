//! Ops out of a few numbers: small pools of days, items, carts, shifts and jobs, so that ops meet in the same rows.

use toko_crdt::Entry;
use toko_crdt::body::Idem;
use toko_crdt::ids::dated_at;
use toko_retail::ops::*;

use crate::shop::{AUTHORS, Shop};

/// The numbers one op is made of.
pub(crate) type Choice = [u8; 16];

/// Signed entries, one for each choice. Later ops refer to earlier ones by their ids.
pub(crate) fn plan(shop: &Shop, choices: &[Choice]) -> Vec<Entry> {
    let mut plan = Plan::default();
    let mut entries = Vec::new();
    for (seq, choice) in (1..).zip(choices) {
        let mut dice = Dice { faces: choice, at: 0 };
        let author = dice.below(AUTHORS);
        let what = plan.what(&mut dice);
        let is_the_hubs = matches!(what, What::BundlePublished(_) | What::BooksSettled(_));
        let idem =
            (dice.below(3) == 0).then(|| Idem { key: [dice.below(3); 16], request: [dice.below(2); 16] });
        let idem = idem.filter(|_| !matches!(what, What::BooksSettled(_)));
        let op = OpV1 { idem, what };
        op.check_shape().unwrap();
        let author = if is_the_hubs { 0 } else { author };
        let entry = shop.sign(author, seq, u64::from(dice.below(4)), &op);
        plan.remember(&op.what, entry.hash().0);
        entries.push(entry);
    }
    entries
}

struct Dice<'a> {
    faces: &'a Choice,
    at: usize,
}

impl Dice<'_> {
    fn below(&mut self, sides: u8) -> u8 {
        let face = self.faces[self.at % self.faces.len()]
            .wrapping_add(u8::try_from(self.at / self.faces.len()).unwrap());
        self.at += 1;
        face % sides
    }

    fn amount(&mut self) -> i64 {
        i64::from(self.below(200)) - 50
    }

    fn pick(&mut self, of: &[[u8; 32]]) -> Option<[u8; 32]> {
        let last = u8::try_from(of.len().min(200)).unwrap();
        if last == 0 { None } else { Some(of[usize::from(self.below(last))]) }
    }
}

#[derive(Default)]
struct Plan {
    sales: Vec<[u8; 32]>,
    shifts: Vec<[u8; 32]>,
    closings: Vec<[u8; 32]>,
    asks: Vec<[u8; 32]>,
}

impl Plan {
    fn remember(&mut self, what: &What, id: [u8; 32]) {
        match what {
            What::Sale(_) => self.sales.push(id),
            What::ShiftOpened(_) => self.shifts.push(id),
            What::DrawerAsked(_) => self.asks.push(id),
            What::DayClosed(_) | What::ShiftClosed(_) => self.closings.push(id),
            _ => {}
        }
    }

    fn what(&self, dice: &mut Dice<'_>) -> What {
        // Sales are half of everything.
        match dice.below(31) {
            0 => What::StockMoved(moved(dice)),
            1 => What::DayOpened(DayOpenedV1 { day: day(dice), by: None }),
            2 | 3 => What::DayClosed(self.day_closed(dice)),
            4 | 5 => What::ShiftOpened(ShiftOpenedV1 {
                day: day(dice),
                terminal: u16::from(dice.below(2)),
                cashier: Some("7".into()),
                drawer: String::new(),
                currency: currency(dice),
                float_minor: dice.amount(),
            }),
            6 => What::ShiftClosed(self.shift_closed(dice)),
            7 => What::CashMoved(CashMovedV1 {
                shift: dice.pick(&self.shifts).unwrap_or([9; 32]),
                day: day(dice),
                reason: [CashReason::PayIn, CashReason::PayOut, CashReason::SafeDrop]
                    [usize::from(dice.below(3))],
                currency: currency(dice),
                amount_minor: dice.amount(),
                by: None,
                note: String::new(),
            }),
            8 => What::BundlePublished(BundlePublishedV1 {
                kind: BundleKind::Catalogue,
                blob: [dice.below(3); 32],
                prev: None,
                bytes: 5,
                items: 1,
                name: "spring".into(),
            }),
            9 => What::BundleActivated(BundleActivatedV1 {
                kind: BundleKind::Catalogue,
                blob: [dice.below(3); 32],
                rev: u64::from(dice.below(3)),
            }),
            10 => What::PrintAsked(PrintAskedV1 {
                sale: dice.pick(&self.sales).unwrap_or([9; 32]),
                ask: ask(dice),
            }),
            11 => What::PrintStarted(PrintStartedV1 {
                job: [dice.below(3); 16],
                attempt: u32::from(dice.below(3)),
                printer: "counter".into(),
            }),
            12 => What::PrintOutcome(PrintOutcomeV1 {
                job: [dice.below(3); 16],
                attempt: u32::from(dice.below(3)),
                outcome: [
                    PrintOutcome::Printed,
                    PrintOutcome::NotPrinted,
                    PrintOutcome::InDoubt,
                    PrintOutcome::GivenUp,
                ][usize::from(dice.below(4))],
                level: dice.below(4),
                detail: String::new(),
            }),
            13 => What::Custody(CustodyV1 {
                cart: [dice.below(3); 16],
                turn: u64::from(dice.below(4)),
                state: if dice.below(2) == 0 { CustodyState::Open } else { CustodyState::Parked },
                holder: Shop::node(dice.below(AUTHORS)).0,
                name: "the lady with the dog".into(),
                lines: 2,
                total_minor: dice.amount(),
                currency: currency(dice),
            }),
            14 => What::TenderTaken(TenderTakenV1 {
                cart: [dice.below(3); 16],
                id: [dice.below(2); 16],
                stage: [
                    TenderStage::Asked,
                    TenderStage::Taken,
                    TenderStage::Declined,
                    TenderStage::GivenBack,
                ][usize::from(dice.below(4))],
                tender: tender(dice),
                currency: currency(dice),
            }),
            15 => What::CartClosed(CartClosedV1 { cart: [dice.below(3); 16], sale: dice.pick(&self.sales) }),
            16 => What::BooksSettled(settled(dice)),
            17 => What::DrawerAsked(DrawerAskedV1 {
                day: day(dice),
                terminal: u16::from(dice.below(2)),
                drawer: ["left", "right"][usize::from(dice.below(2))].into(),
                reason: DrawerReason::ALL[usize::from(dice.below(7))],
                sale: dice.pick(&self.sales),
                by: Some("7".into()),
                ttl_ms: 5_000,
                note: String::new(),
            }),
            18 | 19 => What::DrawerSeen(self.drawer_seen(dice)),
            _ => What::Sale(Box::new(self.sale(dice))),
        }
    }

    fn sale(&self, dice: &mut Dice<'_>) -> SaleV1 {
        let kind =
            [SaleKind::Sale, SaleKind::Sale, SaleKind::Return, SaleKind::Void][usize::from(dice.below(4))];
        let lines = (0..dice.below(4)).map(|_| self.line(dice, kind)).collect();
        SaleV1 {
            kind,
            day: day(dice),
            at_unix_micros: -5,
            utc_offset_minutes: 60,
            time_verified: true,
            shift: if dice.below(2) == 0 { dice.pick(&self.shifts) } else { None },
            cashier: None,
            approver: None,
            customer: Some(vec![1, 2]),
            terminal: u16::from(dice.below(2)),
            series: u32::from(dice.below(2)),
            counter: u64::from(dice.below(4)),
            cart: (dice.below(2) == 0).then(|| CartRefV1 {
                cart: [dice.below(3); 16],
                turn: 1,
                heads: vec![[1; 32]],
            }),
            original: (kind != SaleKind::Sale).then(|| dice.pick(&self.sales)).flatten(),
            reason: String::new(),
            currency: currency(dice),
            lines,
            tax_per_total: false,
            taxes: vec![TaxTotalV1 {
                name: "VAT".into(),
                rate_ppm: 200_000,
                base_numerator: 1,
                base_denominator: u16::from(dice.below(2)) + 1,
                included: dice.below(2) == 0,
                net_minor: dice.amount(),
                amount_minor: dice.amount(),
            }],
            subtotal_minor: dice.amount(),
            total_minor: dice.amount(),
            rounding_minor: 1,
            tenders: (0..dice.below(3)).map(|_| tender(dice)).collect(),
            change_minor: i64::from(dice.below(3)),
            print: (dice.below(2) == 0).then(|| ask(dice)),
            memo: String::new(),
            external: "536365".into(),
        }
    }

    fn line(&self, dice: &mut Dice<'_>, kind: SaleKind) -> SaleLineV1 {
        let sign = if kind == SaleKind::Sale { 1 } else { -1 };
        let sale = if kind == SaleKind::Sale { None } else { dice.pick(&self.sales) };
        SaleLineV1 {
            line: None,
            code: "85123A".into(),
            sku: sku(dice),
            name: String::new(),
            unit: String::new(),
            qty_milli: sign * i64::from(dice.below(5)) * 1_000,
            unit_price_micros: i64::from(dice.below(2)) * 2_550_000,
            list_price_micros: None,
            price_reason: PriceReasonV1::Given("tag".into()),
            bundle: None,
            value_minor: sign * dice.amount(),
            discounts: vec![DiscountV1 { name: "off".into(), reference: String::new(), amount_minor: sign }],
            taxes: Vec::new(),
            return_of: sale.map(|sale| ReturnOfV1 { sale, line: u16::from(dice.below(3)) }),
            moves_stock: dice.below(4) > 0,
            memo: String::new(),
        }
    }

    fn day_closed(&self, dice: &mut Dice<'_>) -> DayClosedV1 {
        let takings = TakingsV1 {
            currency: currency(dice),
            sales_minor: dice.amount(),
            returns_minor: 0,
            voids_minor: 0,
            cash_minor: 0,
        };
        DayClosedV1 {
            day: day(dice),
            by: None,
            sales: u64::from(dice.below(3)),
            returns: 0,
            voids: 0,
            takings: vec![takings],
            amends: dice.pick(&self.closings),
            note: String::new(),
        }
    }

    fn drawer_seen(&self, dice: &mut Dice<'_>) -> DrawerSeenV1 {
        let what = [
            DrawerEvent::Opened,
            DrawerEvent::NotConfirmed,
            DrawerEvent::NotSent,
            DrawerEvent::Expired,
            DrawerEvent::Forced,
            DrawerEvent::Closed,
            DrawerEvent::OutOfSight,
        ][usize::from(dice.below(7))];
        DrawerSeenV1 {
            day: day(dice),
            terminal: u16::from(dice.below(2)),
            drawer: ["left", "right"][usize::from(dice.below(2))].into(),
            ask: what.is_answer().then(|| dice.pick(&self.asks).unwrap_or([9; 32])),
            what,
            open: [None, Some(true), Some(false)][usize::from(dice.below(3))],
            detail: String::new(),
        }
    }

    fn shift_closed(&self, dice: &mut Dice<'_>) -> ShiftClosedV1 {
        let counted = CountedV1 { currency: currency(dice), counted_minor: dice.amount(), expected_minor: 0 };
        ShiftClosedV1 {
            shift: dice.pick(&self.shifts).unwrap_or([9; 32]),
            by: None,
            counted: vec![counted],
            amends: dice.pick(&self.closings),
            note: String::new(),
        }
    }
}

/// Some of the sales, of the days and of the jobs that are in the plans.
fn settled(dice: &mut Dice<'_>) -> BooksSettledV1 {
    let sales = SalePlaceV1 {
        day: 20_101_200 + u32::from(dice.below(3)) + 1,
        terminal: u16::from(dice.below(2)),
        series: u32::from(dice.below(2)),
        counter: u64::from(dice.below(4)),
    };
    let jobs_before_micros = match dice.below(3) {
        0 => 0,
        n => dated_at(&[n - 1; 16]).0 + 1_000,
    };
    let nothing = dice.below(4) == 0;
    BooksSettledV1 { sales: if nothing { SalePlaceV1::default() } else { sales }, jobs_before_micros }
}

fn moved(dice: &mut Dice<'_>) -> StockMovedV1 {
    let reasons = [
        MoveReason::WriteOff,
        MoveReason::Receipt,
        MoveReason::Transfer,
        MoveReason::Count,
        MoveReason::Damage,
    ];
    let line = |dice: &mut Dice<'_>| MovedLineV1 {
        sku: sku(dice),
        name: String::new(),
        qty_milli: dice.amount() * 500,
        counted_milli: Some(7),
    };
    StockMovedV1 {
        reason: reasons[usize::from(dice.below(5))],
        day: day(dice),
        by: None,
        lines: (0..dice.below(4)).map(|_| line(dice)).collect(),
        counterpart: String::new(),
        note: String::new(),
        external: String::new(),
    }
}

fn day(dice: &mut Dice<'_>) -> u32 {
    20_101_201 + u32::from(dice.below(2))
}

fn sku(dice: &mut Dice<'_>) -> String {
    ["85123A", "85123a", "POST"][usize::from(dice.below(3))].to_string()
}

fn currency(dice: &mut Dice<'_>) -> CurrencyV1 {
    let code = if dice.below(5) == 0 { *b"EUR" } else { *b"GBP" };
    CurrencyV1 { code, exponent: 2 }
}

fn ask(dice: &mut Dice<'_>) -> PrintAskV1 {
    PrintAskV1 { job: [dice.below(3); 16], printer: "counter".into(), ttl_s: 60, copies: 1 }
}

fn tender(dice: &mut Dice<'_>) -> TenderV1 {
    let kind = match dice.below(3) {
        0 => TenderKindV1::Cash,
        1 => TenderKindV1::Card { approval: "A1".into(), terminal: "T".into(), last4: "4242".into() },
        _ => TenderKindV1::Other { name: "voucher".into(), reference: "v1".into() },
    };
    TenderV1 { kind, amount_minor: dice.amount(), taken: None }
}
