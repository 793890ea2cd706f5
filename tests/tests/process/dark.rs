//! The hub is dark, and nobody switches a mode.

use serde_json::json;

use crate::rig::{LANTERN, Shop};

mod run_alone {
    use super::*;

    /// F21.
    #[test]
    fn tills_keep_each_other_up_to_date_while_the_hub_is_dead() {
        let mut shop = Shop::open(2);
        let [one, two] = &shop.tills[..] else { unreachable!("the shop was opened with two tills") };
        shop.hub.kill();
        for till in [one, two] {
            till.until("the hub to be dark", |status| status["hub"]["linked"] == false);
        }
        let sale = one.sell("a");
        let id = format!("/v1/sales/{}", sale["sale"].as_str().unwrap());
        let there = two.until_at(&id, "the sale of the other till", |sale| sale["total"] == "3.39");
        assert_eq!(there["number"], sale["number"]);
        two.until_at("/v1/stock/71053", "the stock that it left", |stock| stock["qty"] == "-1.000");
        one.until_at(&id, "the other till to hold it", |sale| sale["holders"]["devices"] == 1);

        let cart = one.cart("cart");
        let path = format!("/v1/carts/{cart}");
        one.scan(&cart, "line");
        one.post(&format!("{path}/tenders"), "money", &json!({ "kind": "cash", "amount": "1.00" })).unwrap();
        one.post(&format!("{path}/park"), "park", &json!({ "note": "the lady with the dog" })).unwrap();
        two.until_at(&path, "the parked cart", |cart| {
            cart["state"] == "parked" && cart["total"] == "3.39" && cart["tendered"] == "1.00"
        });
        let taken = two.post(&format!("{path}/take"), "take", &json!({})).unwrap();
        assert_eq!((&taken["holder"]["here"], &taken["note"]), (&json!(true), &taken["note"]));
        two.scan(&cart, "another");
        let sold = two.close(&cart, "close", "6.00");
        assert_eq!((sold["total"].as_str(), sold["change"].as_str()), (Some("6.78"), Some("0.22")));
        assert_eq!(sold["number"], "2-1-000001");
        one.until_at(&path, "the cart to be sold", |cart| cart["state"] == "sold");
        let refused = one.try_post(&format!("{path}/take"), "late", &json!({}));
        assert_eq!((refused.status, refused.body["error"]["code"].as_str()), (409, Some("cart-done")));

        shop.hub.start();
        shop.agrees(2, 3 * LANTERN);
        assert_eq!(shop.hub.ctl(&["stock", "71053"])["stock"][0]["qty"], "-3.000");
    }

    /// F26.
    #[test]
    fn a_hub_that_hangs_with_its_sockets_open_is_dark_until_it_goes_on() {
        let shop = Shop::open(2);
        let [one, two] = &shop.tills[..] else { unreachable!("the shop was opened with two tills") };
        shop.hub.hang();
        for till in [one, two] {
            till.until("the hub to be dark", |status| status["hub"]["linked"] == false);
        }
        let sale = one.sell("a");
        let id = format!("/v1/sales/{}", sale["sale"].as_str().unwrap());
        two.until_at(&id, "the sale of the other till", |there| there["number"] == sale["number"]);
        two.sell("b");
        shop.hub.go_on();
        for till in [one, two] {
            till.until("the hub", |status| status["hub"]["linked"] == true);
        }
        shop.agrees(2, 2 * LANTERN);
    }

    /// F21.
    #[test]
    fn a_till_that_starts_while_the_hub_is_dead_sells_and_finds_the_others() {
        let mut shop = Shop::open(2);
        shop.tills[1].stop();
        shop.hub.kill();
        shop.tills[0].sell("a");
        shop.tills[1].start();
        // At once, whoever is there or not.
        assert_eq!(shop.tills[1].sell("b")["number"], "2-1-000001");
        for till in &shop.tills {
            till.until_at("/v1/totals", "both sales", |totals| totals["sales"] == 2);
        }
        shop.hub.start();
        shop.agrees(2, 2 * LANTERN);
    }
}
