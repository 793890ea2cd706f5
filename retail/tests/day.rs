//! One day of a shop, op by op: what people do, what they see afterwards, and what is refused before anything is written.

#[cfg(test)]
#[path = "laws/shop.rs"]
#[expect(dead_code, reason = "the laws use the rest of it")]
mod shop;

#[cfg(test)]
mod tests {
    use toko_crdt::clock::UnixMicros;
    use toko_crdt::{CartId, EffectId, Hash};
    use toko_retail::bundle::{self, BundleError};
    use toko_retail::catalogue::Catalogue;
    use toko_retail::currency::Currency;
    use toko_retail::custody::{self, CustodyError, Summary};
    use toko_retail::day::Day;
    use toko_retail::drawer::{self, DrawerError};
    use toko_retail::line::PricedLine;
    use toko_retail::money::{Money, Price};
    use toko_retail::ops::*;
    use toko_retail::paper::{self, PaperError};
    use toko_retail::qty::Qty;
    use toko_retail::sale::*;
    use toko_retail::tender::Tender;
    use toko_retail::views::{self, CartState, Flag};

    use crate::shop::{Node, Shop};

    /// A shop with one node that folds everything, written to by its hub (0) and its tills (1 and 2).
    struct World {
        shop: Shop,
        node: Node,
        seq: u64,
    }

    impl World {
        fn new() -> World {
            World { shop: Shop::new(), node: Node::new(), seq: 0 }
        }

        fn does(&mut self, author: u8, what: What) -> EffectId {
            self.does_at(author, self.seq + 1, what)
        }

        /// By a clock that may be anywhere.
        fn does_at(&mut self, author: u8, micros: u64, what: What) -> EffectId {
            self.seq += 1;
            let entry = self.shop.sign(author, self.seq, micros, &OpV1::new(what));
            self.node.receive(&self.shop, &entry);
            entry.hash().into()
        }

        fn sells(&mut self, till: u8, sale: SaleV1) -> EffectId {
            self.does(till, What::Sale(Box::new(sale)))
        }
    }

    fn pounds(text: &str) -> Money {
        Money::parse(text, gbp()).unwrap()
    }

    fn gbp() -> Currency {
        Currency::parse("GBP").unwrap()
    }

    fn day() -> Day {
        Day::parse("2010-12-01").unwrap()
    }

    fn draft(world: &World, till: u16, lines: &[(&str, i64, &str)], cash: &str) -> SaleDraft {
        let highest = views::series_high(&world.node.kv, till, 1).unwrap();
        let number = ReceiptNumber::next(till, 1, highest).unwrap();
        let line = |(code, pieces, price): &(&str, i64, &str)| {
            let qty = Qty::pieces(*pieces).unwrap();
            PricedLine::unknown(code, code, qty, Price::parse(price, gbp()).unwrap(), "tag")
        };
        let mut draft = SaleDraft::new(Occasion::new(day(), UnixMicros(0), number), gbp());
        draft.lines = lines.iter().map(line).collect();
        draft.tenders = vec![Tender::cash(pounds(cash)).unwrap()];
        draft
    }

    #[test]
    fn two_tills_sell_the_last_tin_and_the_oversell_is_shown() {
        let mut world = World::new();
        let one = [("TOMATO-400G", 1, "1.20")];
        for till in [1, 2] {
            let sale = close_sale(&draft(&world, till.into(), &one, "2.00")).unwrap();
            assert_eq!(sale.counter, 1, "each till has a series of its own");
            world.sells(till, sale);
        }
        let kv = &world.node.kv;
        assert_eq!(views::stock(kv, "TOMATO-400G").unwrap(), Qty::milli(-2_000));
        let totals = views::day_totals(kv, day()).unwrap();
        assert_eq!((totals.sales, totals.money[0].net), (2, pounds("2.40")));
        assert_eq!((totals.tenders[0].name.as_str(), totals.tenders[0].amount), ("cash", pounds("2.40")));
    }

    #[test]
    fn a_cart_finished_by_two_tills_is_two_sales_and_a_flag() {
        let mut world = World::new();
        let cart = CartId([1; 16]);
        let summary = Summary { name: "dog".into(), lines: 1, total: pounds("1.20") };
        let [one, two] = [Shop::node(1), Shop::node(2)];
        let opened = custody::take(cart, None, one, &summary).unwrap();
        world.does(1, What::Custody(opened));
        let seen = views::cart(&world.node.kv, cart).unwrap().unwrap();
        let refused = custody::park(cart, &seen, two, &summary).unwrap_err();
        assert_eq!(refused, CustodyError::NotYours { cart, holder: one });
        let parked = custody::park(cart, &seen, one, &summary).unwrap();
        world.does(1, What::Custody(parked));
        let seen = views::carts_open(&world.node.kv).unwrap().remove(0);
        assert_eq!((seen.state.clone(), seen.turn), (CartState::Parked, 2));
        let taken = custody::take(cart, Some(&seen), two, &summary).unwrap();
        world.does(2, What::Custody(taken));
        let tender = Tender::cash(pounds("2.00")).unwrap();
        for stage in [TenderStage::Taken, TenderStage::Asked] {
            let noted = custody::note_tender(cart, [5; 16], stage, &tender).unwrap();
            world.does(2, What::TenderTaken(noted));
        }
        let taken = views::cart_tenders(&world.node.kv, cart).unwrap();
        assert_eq!((taken.len(), taken[0].stage, taken[0].amount), (1, TenderStage::Taken, pounds("2.00")));
        let mut ids = Vec::new();
        for till in [1, 2] {
            let mut draft = draft(&world, till.into(), &[("TIN", 1, "1.20")], "1.20");
            draft.cart = Some(CartRefV1 { cart: cart.0, turn: 3, heads: vec![] });
            ids.push(world.sells(till, close_sale(&draft).unwrap()));
        }
        ids.sort_unstable();
        let kv = &world.node.kv;
        assert_eq!(views::sales_of_cart(kv, cart).unwrap(), ids);
        assert_eq!(views::flags(kv).unwrap(), [Flag::CartSoldTwice(cart)]);
        assert!(views::carts_open(kv).unwrap().is_empty(), "sold, although nobody closed it on the floor");
        let seen = views::cart(kv, cart).unwrap().unwrap();
        let again = custody::take(cart, Some(&seen), one, &summary).unwrap_err();
        assert_eq!(again.to_string(), "the cart 01010101 is done, it is 2 sales");
    }

    #[test]
    fn a_till_whose_clock_is_years_ahead_keeps_no_cart_that_another_took_over() {
        let mut world = World::new();
        let (cart, ahead) = (CartId([2; 16]), 1_000_000_000_000_000);
        let summary = Summary { name: String::new(), lines: 0, total: pounds("0.00") };
        let [one, two] = [Shop::node(1), Shop::node(2)];
        world.does_at(1, ahead, What::Custody(custody::take(cart, None, one, &summary).unwrap()));
        let opened = views::cart(&world.node.kv, cart).unwrap().unwrap();
        let parked = custody::park(cart, &opened, one, &summary).unwrap();
        world.does_at(1, ahead + 1, What::Custody(parked));
        let parked = views::cart(&world.node.kv, cart).unwrap().unwrap();
        let taken = custody::take(cart, Some(&parked), two, &summary).unwrap();
        world.does_at(2, 5, What::Custody(taken));
        let seen = views::cart(&world.node.kv, cart).unwrap().unwrap();
        assert_eq!((seen.holder, seen.state, seen.turn), (two, CartState::Open, 3));
    }

    #[test]
    fn a_cart_that_was_parked_by_a_clock_of_1970_is_listed_beside_todays() {
        let mut world = World::new();
        let summary = Summary { name: String::new(), lines: 0, total: pounds("0.00") };
        for (till, cart, micros) in [(1, CartId([1; 16]), 5), (2, CartId([2; 16]), 1_800_000_000_000_000)] {
            let opened = custody::take(cart, None, Shop::node(till), &summary).unwrap();
            world.does_at(till, micros, What::Custody(opened));
        }
        let listed = views::carts_open(&world.node.kv).unwrap();
        assert_eq!(
            listed.iter().map(|custody| custody.cart).collect::<Vec<_>>(),
            [CartId([1; 16]), CartId([2; 16])]
        );
    }

    #[test]
    fn what_came_back_before_is_seen_and_too_much_is_flagged_when_two_tills_did_not_see() {
        let mut world = World::new();
        let sale = close_sale(&draft(&world, 1, &[("CUP", 3, "2.00")], "10.00")).unwrap();
        let id = world.sells(1, sale.clone());
        let back = |world: &World, returned: &[(u16, Qty)], pieces: i64| {
            let occasion = draft(world, 2, &[], "1.00").occasion;
            close_return(&ReturnDraft {
                occasion,
                currency: gbp(),
                reason: "chipped".into(),
                original: Some(Original { id, sale: &sale, returned }),
                lines: vec![ReturnLine::Of { line: 0, qty: Qty::pieces(pieces).unwrap() }],
                refunds: vec![Tender::cash(pounds(&format!("{}.00", 2 * pieces))).unwrap()],
                tax_rounding: Default::default(),
                cash_step_minor: 0,
            })
        };
        let two = back(&world, &[], 2).unwrap();
        let also_two = SaleV1 { terminal: 3, ..two.clone() };
        world.sells(2, two);
        let returned = views::returned_of(&world.node.kv, id).unwrap();
        assert_eq!(returned, [(0, Qty::milli(2_000))]);
        assert!(matches!(back(&world, &returned, 2), Err(CloseReturnError::TooMuch { .. })));
        assert!(views::flags(&world.node.kv).unwrap().is_empty());
        world.sells(1, also_two);
        assert_eq!(views::flags(&world.node.kv).unwrap(), [Flag::OverReturned { sale: id, line: 0 }]);
        assert_eq!(views::stock(&world.node.kv, "CUP").unwrap(), Qty::milli(1_000));
        let money = views::day_totals(&world.node.kv, day()).unwrap().money.remove(0);
        assert_eq!((money.sales, money.returns), (pounds("6.00"), pounds("-8.00")));
        assert_eq!(money.net, pounds("-2.00"), "what came back is off the day");
    }

    #[test]
    fn a_shift_expects_what_its_sales_left_in_the_drawer() {
        let mut world = World::new();
        let opened = drawer::open_shift(day(), 1, "", Some("c7"), pounds("100.00"), &[]).unwrap();
        let shift = world.does(1, What::ShiftOpened(opened));
        let open = views::shifts_open(&world.node.kv, Some(1)).unwrap();
        let again = drawer::open_shift(day(), 1, "", None, pounds("0"), &open).unwrap_err();
        assert_eq!(again, DrawerError::ShiftOpen(shift));
        let mut draft = draft(&world, 1, &[("TIN", 1, "1.20")], "5.00");
        draft.occasion.shift = Some(shift);
        world.sells(1, close_sale(&draft).unwrap());
        let drop = drawer::move_cash(shift, day(), CashReason::SafeDrop, pounds("-50.00"), None, "").unwrap();
        world.does(1, What::CashMoved(drop));
        assert!(drawer::move_cash(shift, day(), CashReason::PayIn, pounds("-1.00"), None, "").is_err());
        let seen = views::shift(&world.node.kv, shift).unwrap().unwrap();
        assert_eq!(seen.cash, [pounds("51.20")]);
        let closed = drawer::close_shift(&seen, &[pounds("51.00")], None, None, "").unwrap();
        assert_eq!((closed.counted[0].counted_minor, closed.counted[0].expected_minor), (5_100, 5_120));
        world.does(1, What::ShiftClosed(closed));
        assert!(views::shifts_open(&world.node.kv, None).unwrap().is_empty());
        let seen = views::shift(&world.node.kv, shift).unwrap().unwrap();
        assert!(matches!(
            drawer::close_shift(&seen, &[], None, None, ""),
            Err(DrawerError::ShiftClosed { .. })
        ));
    }

    #[test]
    fn a_late_sale_after_the_z_shows_and_is_amended_by_name() {
        let mut world = World::new();
        let state = |world: &World| views::day_state(&world.node.kv, day()).unwrap();
        let totals = |world: &World| views::day_totals(&world.node.kv, day()).unwrap();
        let close =
            |world: &World, amends| drawer::close_day(day(), &state(world), &totals(world), None, amends, "");
        assert_eq!(close(&world, None).unwrap_err(), DrawerError::DayNotOpen(day()));
        let opened = drawer::open_day(day(), &state(&world), Some("m1")).unwrap();
        world.does(1, What::DayOpened(opened));
        assert_eq!(drawer::open_day(day(), &state(&world), None).unwrap_err(), DrawerError::DayOpen(day()));
        world.sells(1, close_sale(&draft(&world, 1, &[("TIN", 1, "1.20")], "5.00")).unwrap());
        let z = close(&world, None).unwrap();
        assert_eq!((z.sales, z.takings[0].sales_minor, z.takings[0].cash_minor), (1, 120, 120));
        let z = world.does(1, What::DayClosed(z));
        assert!(state(&world).closings[0].holds);
        world.sells(2, close_sale(&draft(&world, 2, &[("TIN", 1, "1.20")], "5.00")).unwrap());
        assert!(!state(&world).closings[0].holds, "a late sale came in");
        assert_eq!(close(&world, None).unwrap_err(), DrawerError::DayClosed { day: day(), closing: z });
        let amended = close(&world, Some(z)).unwrap();
        world.does(1, What::DayClosed(amended));
        let closings = state(&world).closings;
        assert_eq!(closings.iter().map(|closing| closing.holds).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn paper_is_asked_for_with_the_sale_and_tried_until_it_is_there() {
        let mut world = World::new();
        let mut draft = draft(&world, 1, &[("TIN", 1, "1.20")], "5.00");
        draft.occasion.print = Some(paper::ask([4; 16], "counter", 600, 1).unwrap());
        let sale = world.sells(1, close_sale(&draft).unwrap());
        let job = |world: &World| views::job(&world.node.kv, [4; 16]).unwrap().unwrap();
        for (attempt, outcome) in
            [(1, PrintOutcome::NotPrinted), (2, PrintOutcome::InDoubt), (3, PrintOutcome::Printed)]
        {
            assert_eq!(views::jobs_open(&world.node.kv).unwrap(), [job(&world)], "before attempt {attempt}");
            let started = paper::start(&job(&world), "counter").unwrap();
            assert_eq!(started.attempt, attempt);
            world.does(0, What::PrintStarted(started));
            let ended = paper::end([4; 16], attempt, outcome, 1, "cover\u{7} open").unwrap();
            assert_eq!(ended.detail, "cover open");
            world.does(0, What::PrintOutcome(ended));
        }
        assert!(views::jobs_open(&world.node.kv).unwrap().is_empty());
        assert_eq!((job(&world).sale, job(&world).attempts.len(), job(&world).is_copy), (sale, 3, false));
        assert_eq!(paper::start(&job(&world), "counter").unwrap_err(), PaperError::Done);
        let again = paper::ask_again(sale, paper::ask([5; 16], "counter", 0, 1).unwrap());
        world.does(1, What::PrintAsked(again));
        assert!(views::jobs_open(&world.node.kv).unwrap()[0].is_copy);
        assert!(paper::ask([5; 16], "counter", 0, 0).is_err() && paper::ask([5; 16], " ", 0, 1).is_err());
    }

    #[test]
    fn a_catalogue_counts_when_the_hub_says_so_and_a_till_cannot_publish() {
        let mut world = World::new();
        let kind = BundleKind::Catalogue;
        let read = |csv: &[u8]| Catalogue::import(csv, gbp(), &[]).unwrap();
        let (spring, summer) = (read(b"sku,name,price\nA,a,1\n"), read(b"sku,name,price\nA,a,2\n"));
        let published = |world: &World| views::bundles_published(&world.node.kv, kind).unwrap();
        let active = |world: &World| views::bundle_active(&world.node.kv, kind).unwrap();
        let (op, blob) = bundle::publish_catalogue(&spring, "spring", &[]).unwrap();
        assert_eq!(Catalogue::decode(&blob).unwrap().bundle(), Hash(op.blob));
        world.does(1, What::BundlePublished(op.clone()));
        assert!(published(&world).is_empty(), "out of a till's scope: parked, not folded");
        let refused = bundle::activate(kind, spring.bundle(), &published(&world), None).unwrap_err();
        assert_eq!(refused, BundleError::NotPublished(spring.bundle()));
        world.does(0, What::BundlePublished(op));
        let (op, _) = bundle::publish_catalogue(&summer, "summer", &published(&world)).unwrap();
        assert_eq!(op.prev, Some(spring.bundle().0));
        world.does(0, What::BundlePublished(op));
        for (catalogue, rev) in [(&spring, 1), (&summer, 2)] {
            let op = bundle::activate(kind, catalogue.bundle(), &published(&world), active(&world).as_ref())
                .unwrap();
            world.does(0, What::BundleActivated(op));
            let now = active(&world).unwrap();
            assert_eq!((now.blob, now.rev), (catalogue.bundle(), rev));
        }
        let again = bundle::activate(kind, summer.bundle(), &published(&world), active(&world).as_ref());
        assert_eq!(again.unwrap_err(), BundleError::Active(summer.bundle()));
    }
}
