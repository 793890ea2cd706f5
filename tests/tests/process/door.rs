//! Who may not come in: the revoked, and whoever belongs to another store.

use serde_json::json;

use crate::rig::{Hub, LANTERN, Shop, Till, agree, has_alert, refused, settled, text};

mod run_alone {
    use super::*;

    /// F18.
    #[test]
    fn a_revoked_till_is_shut_out_and_what_it_sold_before_stands() {
        let mut shop = Shop::open(2);
        shop.tills[0].sell("a");
        shop.tills[1].sell("b");
        shop.agrees(2, 2 * LANTERN);
        let revoked = shop.hub.ctl(&["revoke", "Till 1"]);
        assert_eq!(revoked["name"], "Till 1");
        assert_eq!(shop.hub.state_of("Till 1"), "revoked");
        shop.hub.until("one link", |status| status["links"].as_array().is_some_and(|links| links.len() == 1));
        shop.tills[1].until("the hub alone", |status| settled(status) == 1);
        let out = shop.tills[0].until("no links", |status| status["links"] == json!([]));
        assert_eq!(out["hub"]["linked"], false);

        // It does not stop selling; nobody hears of it.
        assert_eq!(shop.tills[0].sell("c")["number"], "1-1-000002");
        shop.tills[1].sell("d");
        shop.tills[0].until("a word why", |status| {
            has_alert(status, "refused-by-peer") || has_alert(status, "revoked")
        });
        // Neither it nor the hub forgets by starting again.
        shop.tills[0].stop();
        shop.hub.kill();
        shop.hub.start();
        shop.tills[0].start();
        let shut = shop.tills[0].until("a word why", |status| {
            has_alert(status, "refused-by-peer") || has_alert(status, "revoked")
        });
        assert_eq!(shut["links"], json!([]));
        assert_eq!(shop.tills[0].sell("e")["number"], "1-1-000003");
        shop.tills[1].sell("f");
        agree(&shop.hub, &[&shop.tills[1]], 4, 4 * LANTERN);
        assert_eq!(shop.hub.state_of("Till 1"), "revoked");
        let again = shop.hub.refuses(&["revoke", "Till 1"]);
        assert!(again.0 == 1 && again.1.contains("no terminal is called"), "{again:?}");
    }

    /// F20.
    #[test]
    fn a_till_that_is_pointed_at_another_store_gets_nothing_and_leaves_nothing() {
        let mut here = Shop::open(1);
        let there = Hub::found(here.dir.path(), "other hub");
        let before = there.books().unwrap();
        here.tills[0].sell("a");
        here.agrees(1, LANTERN);
        here.tills[0].stop();
        here.hub.kill();
        here.tills[0].point_at(there.listen);
        here.tills[0].start();
        let till = &here.tills[0];
        till.sell("b");
        let told = till.until("a word about the wrong hub", |status| has_alert(status, "wrong-peer"));
        let alert = told["alerts"].as_array().unwrap().iter().find(|alert| alert["code"] == "wrong-peer");
        let words = alert.unwrap()["text"].as_str().unwrap();
        assert!(words.contains(&there.listen.to_string()), "{words}");
        assert!(till.log().contains("is not who was expected"), "{}", till.log());
        assert_eq!((settled(&told), &told["hub"]["linked"]), (0, &json!(false)));
        assert_eq!(there.books().unwrap(), before);
        assert_eq!(there.ctl(&["terminals"])["terminals"], json!([]));

        // It belongs to its store still, and cannot be enrolled into the other one on the way.
        let (code, at) = (there.code("Till 9"), there.listen.to_string());
        let data = text(&till.data);
        let (exit, said) = refused(&["terminal-agent", "enrol", &code, "--hub", &at, "--data", data]);
        assert!(exit == 74 && said.contains("is not empty; this node is set up already"), "{exit} {said}");
        here.hub.start();
        here.tills[0].stop();
        here.tills[0].point_at(here.hub.listen);
        here.tills[0].start();
        here.agrees(2, 2 * LANTERN);
        // The code was not spent by that.
        let dir = here.dir.path();
        Till::enrol_with(dir, &dir.join("Till 9"), &there, "Till 9", &code);
    }
}
