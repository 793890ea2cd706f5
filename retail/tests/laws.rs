//! The law of folds over every op of a shop: whatever order, however often, however late, carried or parked and read after an
//! upgrade, equal sets of ops give equal rows and equal digests.
//!
//! A failing case is kept in a file `….proptest-regressions` beside this one and tried first the next time. Commit it.

#[cfg(test)]
#[path = "laws/plan.rs"]
mod plan;
#[cfg(test)]
#[path = "laws/shop.rs"]
mod shop;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
    use toko_crdt::CartId;
    use toko_crdt::book::Applied;
    use toko_crdt::clock::UnixMicros;
    use toko_crdt::fold::{Fold, KvRead};
    use toko_crdt::ids::dated_at;
    use toko_crdt::settling::Settling;
    use toko_retail::ops::OpKind;
    use toko_retail::views::{self, ShopFold};

    use crate::plan::{Choice, plan};
    use crate::shop::{Node, OldFold, Shop};

    /// The table of flags.
    const FLAG: u8 = 0x26;
    /// Tables of what is added up.
    const SUMS: [u8; 13] = [0x12, 0x14, 0x15, 0x16, 0x17, 0x19, 0x1e, 0x1f, 0x20, 0x24, 0x25, 0x2b, 0x2c];

    fn rows_of(kv: &dyn KvRead, table: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut rows = Vec::new();
        kv.scan(&[table], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            true
        })
        .unwrap();
        rows
    }

    fn choices(most: usize) -> impl Strategy<Value = Vec<Choice>> {
        prop::collection::vec(any::<Choice>(), 1..most)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_order_and_any_repetition_give_equal_rows_and_digests(
            choices in choices(60),
            order in any::<prop::sample::Index>(),
            seed: u64,
        ) {
            let shop = Shop::new();
            let entries = plan(&shop, &choices);
            let mut straight = Node::new();
            entries.iter().for_each(|entry| { straight.receive(&shop, entry); });
            let mut shuffled = Shop::shuffle(&entries, seed);
            // Some come again, at any later place.
            for again in entries.iter().step_by(3) {
                shuffled.insert(order.index(shuffled.len() + 1), again.clone());
            }
            let mut other = Node::new();
            shuffled.iter().for_each(|entry| { other.receive(&shop, entry); });
            prop_assert_eq!(straight.shared_rows(), other.shared_rows());
            prop_assert_eq!(straight.digests, other.digests);
            prop_assert_eq!(straight.digests, other.recomputed());
            prop_assert_eq!(entries.len(), straight.folded, "every op of the plan folds");
        }

        #[test]
        fn what_an_old_build_parked_is_folded_by_the_new_one(choices in choices(40), unread: u32, seed: u64) {
            let shop = Shop::new();
            let entries = plan(&shop, &choices);
            let mut straight = Node::new();
            entries.iter().for_each(|entry| { straight.receive(&shop, entry); });
            let mut upgraded = Node::new();
            for entry in Shop::shuffle(&entries, seed) {
                upgraded.receive_as(&shop, &OldFold { unread }, &entry);
            }
            upgraded.heal(&shop, &entries);
            prop_assert_eq!(straight.shared_rows(), upgraded.shared_rows());
            prop_assert_eq!(straight.digests, upgraded.digests);
        }

        #[test]
        fn what_others_carry_counts_once(choices in choices(30), seed: u64) {
            let shop = Shop::new();
            let entries = plan(&shop, &choices);
            let mut straight = Node::new();
            entries.iter().for_each(|entry| { straight.receive(&shop, entry); });
            let mut mixed = entries.clone();
            mixed.extend((0_u64..).zip(&entries).filter(|(n, _)| n % 2 == 0).map(|(n, entry)| shop.carry(entry, n)));
            let mut other = Node::new();
            Shop::shuffle(&mixed, seed).iter().for_each(|entry| { other.receive(&shop, entry); });
            prop_assert_eq!(straight.shared_rows(), other.shared_rows());
            prop_assert_eq!(straight.digests, other.digests);
        }

        #[test]
        fn settled_carts_leave_no_rows_whatever_comes_first_or_is_read_after_an_upgrade(
            choices in choices(60),
            words in prop::collection::vec((0_u8..4, 0_u8..8), 0..3),
            unread: u32,
            seed: u64,
        ) {
            let shop = Shop::new();
            let carts = [0, 1, 2].map(|n| CartId([n; 16]));
            let words: Vec<Settling> = words.iter().filter_map(|(before, keep)| {
                let before = before.checked_sub(1).map_or(0, |n| CartId([n; 16]).made_at().0 + 1);
                let keep = carts.iter().zip(0..).filter(|(_, n)| keep >> n & 1 == 1);
                Settling::new(UnixMicros(before), keep.map(|(cart, _)| *cart))
            }).collect();
            let is_settled = |cart: &CartId| words.iter().any(|word| word.settles(cart));
            let ops = plan(&shop, &choices);
            let said = words.iter().zip(0..).map(|(word, n)| shop.settle(n, word.clone()));
            let entries: Vec<_> = ops.iter().cloned().chain(said).collect();

            let mut other = Node::new();
            for entry in Shop::shuffle(&entries, seed) {
                other.receive_as(&shop, &OldFold { unread }, &entry);
            }
            other.heal(&shop, &entries);
            // As if nobody had ever touched the settled ones on the floor.
            let mut expected = Node::new();
            for entry in &entries {
                if !shop.cart_of(entry).is_some_and(|cart| is_settled(&cart)) {
                    expected.receive(&shop, entry);
                }
            }
            prop_assert_eq!(expected.shared_rows(), other.shared_rows());
            prop_assert_eq!(expected.digests, other.digests);
            prop_assert_eq!(other.digests, other.recomputed());

            // What a hub would settle now is never open, and afterwards nothing else is there.
            let open: Vec<CartId> =
                views::carts_open(&other.kv).unwrap().into_iter().map(|custody| custody.cart).collect();
            for (n, word) in (10..).zip(other.due(&shop, UnixMicros(i64::MAX))) {
                other.receive(&shop, &shop.settle(n, word));
            }
            let left = views::carts_open(&other.kv).unwrap().into_iter().map(|custody| custody.cart);
            prop_assert_eq!(left.collect::<Vec<_>>(), open);
            for cart in carts {
                let said_done = |key: &Vec<u8>| key[0] == 0x52 && key[1..].starts_with(&cart.0);
                prop_assert!(!other.kv.rows.keys().any(said_done));
            }
        }

        #[test]
        fn what_is_settled_goes_from_a_store_and_stays_at_headquarters(choices in choices(60), seed: u64) {
            let shop = Shop::new();
            let entries = plan(&shop, &choices);
            let (words, ops): (Vec<_>, Vec<_>) = entries
                .iter()
                .cloned()
                .partition(|entry| shop.kind_of(entry) == Some(OpKind::BooksSettled));
            let mut unsettled = Node::new();
            ops.iter().for_each(|entry| { unsettled.receive(&shop, entry); });
            let (mut store, mut headquarters) = (Node::new(), Node::new());
            let mixed = Shop::shuffle(&entries, seed);
            mixed.iter().for_each(|entry| { store.receive(&shop, entry); });
            mixed.iter().rev().for_each(|entry| { headquarters.receive_as(&shop, &views::KeepingFold, entry); });
            prop_assert_eq!(store.shared_rows(), headquarters.shared_rows());
            prop_assert_eq!(store.digests, headquarters.digests);

            // At headquarters everything reads as if nobody had ever settled anything, but for what should be looked at.
            let compared = (0x10..=0x27).chain(0x29..=0x2c).filter(|table| *table != FLAG);
            for table in compared {
                let all_time = rows_of(&views::AllTime(&headquarters.kv), table);
                prop_assert_eq!(all_time, rows_of(&unsettled.kv, table), "table {:x}", table);
            }
            // In the store what is added up is still there.
            for table in SUMS {
                prop_assert_eq!(rows_of(&store.kv, table), rows_of(&unsettled.kv, table), "table {:x}", table);
            }
            // What is left of single sales and jobs is what was there, and nothing that was settled.
            let words: Vec<_> = words.iter().filter_map(|entry| shop.settled(entry)).collect();
            for table in [0x10, 0x11, 0x13, 0x18, 0x1a, 0x1b, 0x1c, 0x1d, 0x21, 0x22, 0x29, 0x2a] {
                let (left, all) = (rows_of(&store.kv, table), rows_of(&unsettled.kv, table));
                prop_assert!(left.iter().all(|row| all.contains(row)), "table {:x}", table);
                prop_assert!(!words.is_empty() || left == all, "table {:x}", table);
            }
            for (key, _) in rows_of(&store.kv, 0x13) {
                prop_assert!(words.iter().all(|(below, _)| key[1..].to_vec() >= *below));
            }
            // Drawers, by day and terminal.
            for (key, _) in [0x29, 0x2a].into_iter().flat_map(|table| rows_of(&store.kv, table)) {
                prop_assert!(words.iter().all(|(below, _)| key[1..7] >= below[..6]));
            }
            for (key, _) in [0x1b, 0x1c, 0x1d].into_iter().flat_map(|table| rows_of(&store.kv, table)) {
                let at = dated_at(key[1..17].try_into().unwrap()).0;
                prop_assert!(words.iter().all(|(_, jobs_before)| at >= *jobs_before));
            }
        }

        #[test]
        fn what_a_hub_settles_is_over_and_never_the_open_day(choices in choices(60), before in 1_291_161_600_000_000_i64..1_291_600_000_000_000) {
            let shop = Shop::new();
            let mut node = Node::new();
            plan(&shop, &choices).iter().for_each(|entry| { node.receive(&shop, entry); });
            let open_days = |node: &Node| {
                let mut days = views::days(&node.kv).unwrap().into_iter().rev();
                days.find(|day| {
                    let state = views::day_state(&node.kv, *day).unwrap();
                    !state.opened.is_empty() && state.closings.is_empty()
                })
            };
            let (open, settled_before) = (open_days(&node), views::first_open_day(&node.kv).unwrap());
            for (n, op) in (0..).zip(ShopFold.books_due(&node.kv, UnixMicros(before)).unwrap()) {
                assert_eq!(node.receive(&shop, &shop.say(n, &op)), Applied::Folded);
            }
            prop_assert!(ShopFold.books_due(&node.kv, UnixMicros(before)).unwrap().is_empty(), "all is said");
            let first = views::first_open_day(&node.kv).unwrap();
            prop_assert!(first == settled_before || first.is_none_or(|first| open.is_none_or(|open| first <= open)));
        }

        #[test]
        fn every_reader_reads_whatever_was_folded(choices in choices(60)) {
            let shop = Shop::new();
            let mut node = Node::new();
            plan(&shop, &choices).iter().for_each(|entry| { node.receive(&shop, entry); });
            let kv = &node.kv;
            for day in views::days(kv).unwrap() {
                views::day_items(kv, day).unwrap();
                views::day_state(kv, day).unwrap();
                let totals = views::day_totals(kv, day).unwrap();
                let all = views::sales_of_day(kv, day, None, usize::MAX).unwrap();
                let booked = totals.sales + totals.returns + totals.voids;
                let some_settled = views::first_open_day(kv).unwrap().is_some_and(|first| day < first);
                prop_assert!(all.len() as u64 == booked || (some_settled && (all.len() as u64) < booked));
                let mut paged = Vec::new();
                while let Some(next) = views::sales_of_day(kv, day, paged.last(), 1).unwrap().pop() {
                    prop_assert_eq!(&views::sale(kv, next.id).unwrap().unwrap(), &next);
                    prop_assert!(views::sales_by_number(kv, next.number).unwrap().contains(&next.id));
                    prop_assert!(views::series_high(kv, next.number.terminal, next.number.series).unwrap() >= next.number.counter);
                    prop_assert!(views::series_last(kv, next.number.terminal).unwrap() >= Some(next.number.series));
                    views::returned_of(kv, next.id).unwrap();
                    paged.push(next);
                }
                prop_assert_eq!(paged, all);
            }
            let stock = views::stock_all(kv, None, usize::MAX).unwrap();
            for row in &stock {
                prop_assert_eq!(views::stock(kv, &row.sku).unwrap(), row.on_hand);
            }
            let behind = stock.first().map(|row| row.sku.as_str());
            prop_assert_eq!(views::stock_all(kv, behind, usize::MAX).unwrap().len(), stock.len().saturating_sub(1));
            for job in views::jobs_open(kv).unwrap() {
                prop_assert!(job.open && views::job(kv, job.job).unwrap() == Some(job));
            }
            for shift in views::shifts_open(kv, None).unwrap() {
                prop_assert!(shift.closings.is_empty());
                prop_assert!(views::shifts_open(kv, Some(shift.opened.terminal)).unwrap().contains(&shift));
            }
            for asked in views::drawers_asked(kv).unwrap() {
                prop_assert!(asked.asked.is_some() && asked.outcome.is_none());
                prop_assert!(views::drawer_openings(kv, asked.day).unwrap().contains(&asked));
                views::drawer_counts(kv, asked.day).unwrap();
                views::drawer_state(kv, &asked.drawer).unwrap();
            }
            for custody in views::carts_open(kv).unwrap() {
                views::cart_tenders(kv, custody.cart).unwrap();
                prop_assert_eq!(views::sales_of_cart(kv, custody.cart).unwrap(), []);
            }
            views::flags(kv).unwrap();
            views::bundles_published(kv, toko_retail::ops::BundleKind::Catalogue).unwrap();
            views::bundle_active(kv, toko_retail::ops::BundleKind::Catalogue).unwrap();
        }
    }

    /// The plans above are worth something only if they reach every kind of op, every table and every flag.
    #[test]
    fn the_plans_reach_every_kind_table_and_flag() {
        let mut runner = TestRunner::new_with_rng(
            ProptestConfig::default(),
            TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
        );
        let (mut kinds, mut tables, mut flags) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let shop = Shop::new();
        for _ in 0..40 {
            let choices = choices(60).new_tree(&mut runner).unwrap().current();
            let mut node = Node::new();
            for entry in plan(&shop, &choices) {
                kinds.extend(shop.kind_of(&entry));
                assert_eq!(node.receive(&shop, &entry), Applied::Folded);
            }
            tables.extend(node.kv.rows.keys().map(|key| key[0]).filter(|table| (0x10..0x80).contains(table)));
            flags.extend(
                views::flags(&node.kv).unwrap().iter().map(std::mem::discriminant).map(|d| format!("{d:?}")),
            );
        }
        assert_eq!(kinds.len(), OpKind::ALL.len(), "{kinds:?}");
        let known: Vec<u8> = (0x10..=0x2c).chain(0x50..=0x55).collect();
        assert_eq!(tables.into_iter().collect::<Vec<_>>(), known);
        assert_eq!(flags.len(), 3, "{flags:?}");
    }
}
