//! The cash drawer on a till's own printer: it opens whoever is dark, and what its sensor tells is in the books.

use serde_json::{Value, json};
use toko_devices::virtual_printer::Faults;

use crate::own_printer::Counter;
use crate::rig::{Shop, has_alert, order, refused, text, until};

mod run_alone {
    use super::*;

    /// F37: the drawer on the till's own printer opens without the hub and without paper, once for each ask.
    #[test]
    fn the_drawer_on_a_tills_own_printer_opens_whoever_is_dark_and_an_ask_of_before_opens_nothing() {
        let mut shop = Shop::open(1);
        let own = Counter::open(&shop, "own", Faults { paper_out: true, ..Faults::default() });
        let address = own.address();
        let settings = [
            ("TOKO_TERMINAL_PRINTER_ADDRESS", address.as_str()),
            ("TOKO_TERMINAL_DRAWER_HANGS_ON", "printer"),
        ];
        shop.tills[0].stop();
        shop.tills[0].start_with(&settings);
        shop.tills[0].until("the printer to be heard", |status| !status["printer"]["trouble"].is_null());
        let last = |shop: &Shop, wanted: &str| {
            let drawer =
                shop.tills[0].until_at("/v1/drawer", wanted, |drawer| drawer["last"]["outcome"] == wanted);
            assert_eq!(drawer["drawer"], "@till 1");
            drawer["last"].clone()
        };
        shop.hub.kill();
        let sold = shop.tills[0].sell("cash");
        let opening = last(&shop, "opened");
        assert_eq!((&opening["sale"], own.pulses()), (&sold["sale"], 1));
        own.runtime.block_on(own.printer.close_drawer());

        let why = json!({ "reason": "no_sale", "cashier": "ann" });
        shop.tills[0].post("/v1/drawer/open", "change", &why).unwrap();
        let opening = until("the second opening", || {
            let drawer = shop.tills[0].get("/v1/drawer");
            let last = drawer["last"].clone();
            if last["reason"] == "no_sale" && last["outcome"] == "opened" {
                Ok(last)
            } else {
                Err(drawer.to_string())
            }
        });
        assert_eq!((opening["cashier"].as_str(), own.pulses()), (Some("ann"), 2));
        own.runtime.block_on(own.printer.close_drawer());

        // A printer that hangs gets no pulse, neither in time nor later, and the hub does not meddle.
        own.printer.set_faults(|faults| faults.hang = true);
        shop.tills[0].post("/v1/drawer/open", "hangs", &why).unwrap();
        until("the third opening to be given up", || {
            let drawer = shop.tills[0].get("/v1/drawer");
            match drawer["last"]["outcome"].as_str() {
                Some("expired" | "not-sent" | "not-confirmed") => Ok(()),
                _ => Err(drawer.to_string()),
            }
        });
        shop.tills[0].kill();
        own.printer.set_faults(|faults| faults.hang = false);
        shop.hub.start();
        shop.tills[0].start_with(&settings);
        shop.tills[0].until("the printer to be heard", |status| !status["printer"]["trouble"].is_null());
        shop.tills[0].until("the hub", |status| status["hub"]["linked"] == true);
        let drawers = shop.hub.ctl(&["drawers"]);
        assert_eq!(drawers["openings"].as_array().unwrap().len(), 3, "{drawers}");
        assert_eq!(own.pulses(), 2);
    }

    /// F37: what the sensor tells unasked is in the books, whoever is dark.
    #[test]
    fn a_drawer_of_a_till_that_is_opened_by_key_is_in_the_books_and_one_that_is_left_open_is_told() {
        let mut shop = Shop::open(1);
        let own = Counter::open(&shop, "own", Faults::default());
        let address = own.address();
        let settings = [
            ("TOKO_TERMINAL_PRINTER_ADDRESS", address.as_str()),
            ("TOKO_TERMINAL_DRAWER_HANGS_ON", "printer"),
            ("TOKO_TERMINAL_DRAWER_LEFT_OPEN", "1s"),
        ];
        shop.tills[0].stop();
        shop.tills[0].start_with(&settings);
        shop.tills[0].until("the printer to be heard", |status| status["printer"]["ready"] == true);
        shop.hub.kill();
        let data = text(&shop.tills[0].data).to_owned();
        let learn = |stands: &str| {
            let args = ["terminal-agent", "drawer", "learn", "--stands", stands, "--json", "--data", &data];
            serde_json::from_str::<Value>(&order(&args)).unwrap()
        };
        let is = |shop: &Shop, state: &str| {
            shop.tills[0].until_at("/v1/drawer", state, |drawer| drawer["state"] == state)
        };
        let turn_key = || own.runtime.block_on(own.printer.open_drawer());
        let shut = || own.runtime.block_on(own.printer.close_drawer());

        // Nobody has taught it: neither open nor shut.
        is(&shop, "unknown");
        let (_, said) = refused(&["terminal-agent", "drawer", "learn", "--stands", "open", "--data", &data]);
        assert!(said.contains("shut \"@till 1\" first"), "{said}");
        assert_eq!(learn("shut")["next"], "open");
        let (_, said) = refused(&["terminal-agent", "drawer", "learn", "--stands", "open", "--data", &data]);
        assert!(said.contains("says the same open and shut"), "{said}");
        learn("shut");
        turn_key();
        assert_eq!(learn("open")["sensor"], "high is open");
        shut();
        assert_eq!(is(&shop, "closed")["sensor"], "high is open");

        // A sale opens it, and that is no forced opening.
        shop.tills[0].sell("cash");
        let opened = shop.tills[0]
            .until_at("/v1/drawer", "the sale's", |drawer| drawer["last"]["outcome"] == "opened");
        assert_eq!(opened["last"]["reason"], "sale");
        is(&shop, "open");
        shut();
        is(&shop, "closed");
        let before = shop.tills[0].get("/v1/totals")["drawer"]["forced"].as_u64().unwrap();

        // A key does, and whoever leaves it open is told.
        turn_key();
        let forced = is(&shop, "open");
        assert_eq!(
            (forced["last"]["outcome"].as_str(), &forced["last"]["cashier"]),
            (Some("forced"), &Value::Null)
        );
        shop.tills[0].until("the alarm", |status| has_alert(status, "drawer-left-open"));
        shut();
        is(&shop, "closed");
        shop.tills[0].until("no alarm", |status| !has_alert(status, "drawer-left-open"));
        assert_eq!(shop.tills[0].get("/v1/totals")["drawer"]["forced"], before + 1);

        // What it was taught outlives the process, and the hub hears of it all.
        shop.tills[0].kill();
        shop.tills[0].start_with(&settings);
        turn_key();
        is(&shop, "open");
        shut();
        is(&shop, "closed");
        assert_eq!(shop.tills[0].get("/v1/totals")["drawer"]["forced"], before + 2);
        shop.hub.start();
        until("the hub to hold it", || {
            let sales = shop.hub.ctl(&["sales"]);
            if sales["days"][0]["drawer_forced"] == before + 2 { Ok(()) } else { Err(sales.to_string()) }
        });
        let drawers = shop.hub.ctl(&["drawers"]);
        assert_eq!(
            (&drawers["openings"][0]["drawer"], &drawers["openings"][0]["terminal"]),
            (&json!("@till 1"), &json!(1))
        );
    }
}
