//! Boxes that die without a word, and what they know when they are back.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use serde_json::json;

use crate::rig::{LANTERN, Shop, settled, till, until};

mod run_alone {
    use super::*;

    /// F01, F40.
    #[test]
    fn a_till_that_is_killed_in_mid_cart_has_every_acknowledged_sale_and_goes_on() {
        let mut shop = Shop::open(2);
        let till = &mut shop.tills[0];
        let first = till.sell("a");
        let cart = till.cart("cart");
        let path = format!("/v1/carts/{cart}");
        for at in 0..3 {
            till.scan(&cart, &format!("line-{at}"));
        }
        // Money waits for its sync, and takes the lines before it along. The last line is answered from memory.
        till.post(&format!("{path}/tenders"), "money", &json!({ "kind": "cash", "amount": "10.00" }))
            .unwrap();
        till.scan(&cart, "line-3");
        till.kill();

        till.start();
        let seen = till.get(&path);
        let lines = seen["lines"].as_array().unwrap().len();
        assert!((3..=4).contains(&lines) && seen["tendered"] == "10.00", "{seen}");
        assert_eq!(
            till.get(&format!("/v1/sales/{}", first["sale"].as_str().unwrap()))["number"],
            "1-1-000001"
        );
        // Whoever got no answer asks again: a line that is there already is not added twice.
        till.scan(&cart, "line-3");
        assert_eq!(till.get(&path)["lines"].as_array().unwrap().len(), 4);
        let sold = till.close(&cart, "close", "3.56");
        assert_eq!((sold["total"].as_str(), sold["number"].as_str()), (Some("13.56"), Some("1-1-000002")));
        till.kill();

        till.start();
        assert_eq!(till.close(&cart, "close", "3.56"), sold, "a repeat gives the first answer");
        assert_eq!(till.sell("b")["number"], "1-1-000003");
        shop.agrees(3, 6 * LANTERN);
    }

    /// F40.
    #[test]
    fn a_hub_that_is_killed_ten_times_while_two_tills_sell_has_the_same_books() {
        let mut shop = Shop::open(2);
        let (done, sold) = (AtomicBool::new(false), AtomicI64::new(0));
        std::thread::scope(|scope| {
            for (at, till) in shop.tills.iter().enumerate() {
                let (api, done, sold) = (till.api().clone(), &done, &sold);
                scope.spawn(move || {
                    for sale in 0.. {
                        if done.load(Ordering::Acquire) {
                            return;
                        }
                        let answer = till::sell(&api, &format!("{at}-{sale}"));
                        assert_eq!(answer["counter"], sale + 1, "{answer}");
                        sold.fetch_add(1, Ordering::AcqRel);
                    }
                });
            }
            let stop = Stop(&done);
            for _ in 0..10 {
                let before = sold.load(Ordering::Acquire);
                shop.hub.kill();
                // With nobody at the hub, both go on.
                until("sales without a hub", || match sold.load(Ordering::Acquire) {
                    now if now >= before + 2 => Ok(()),
                    now => Err(now.to_string()),
                });
                shop.hub.start();
                shop.hub.until("a terminal", |status| settled(status) > 0);
            }
            drop(stop);
        });
        let sold = sold.into_inner();
        assert!(sold >= 20, "{sold}");
        shop.agrees(sold, sold * LANTERN);
    }

    /// F40.
    #[test]
    fn tills_that_are_killed_while_they_sell_lose_and_double_nothing() {
        let mut shop = Shop::open(2);
        let mut sold = 0;
        for round in 0..5 {
            let (api, other) = (shop.tills[0].api().clone(), shop.tills[1].api().clone());
            let cart = shop.tills[0].cart(&format!("cart-{round}"));
            shop.tills[0].scan(&cart, &format!("line-{round}"));
            let path = format!("/v1/carts/{cart}/sale");
            let closing = std::thread::spawn(move || {
                api.post(&path, Some(&format!("close-{round}")), &till::paid("3.39"))
            });
            // The other till sells meanwhile, so that the kill falls sometimes before the commit and sometimes behind it.
            (0..round).for_each(|at| drop(till::sell(&other, &format!("{round}-{at}"))));
            shop.tills[0].kill();
            let heard = closing.join().unwrap();
            let till = &mut shop.tills[0];
            till.start();
            // Cart and line were answered from memory: asked for again, they are there once.
            let cart = till.cart(&format!("cart-{round}"));
            if till.get(&format!("/v1/carts/{cart}"))["state"] != "sold" {
                till.scan(&cart, &format!("line-{round}"));
            }
            let sale = till.close(&cart, &format!("close-{round}"), "3.39");
            if let Ok(heard) = heard {
                assert_eq!(heard, sale, "what was answered before the kill stands");
            }
            assert_eq!(sale["number"], format!("1-1-{:06}", round + 1));
            sold += 1 + round;
        }
        shop.agrees(sold, sold * LANTERN);
    }
}

/// Tells the selling threads to end, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
