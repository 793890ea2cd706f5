//! Receipts while the hub dies: what may be on paper comes again under a banner only, and what is on paper never again.

use serde_json::json;
use tokio::runtime::Runtime;
use toko_devices::virtual_printer::{Copies, Faults, Options, VirtualPrinter, copies_by_job};

use crate::rig::{Shop, until};

mod run_alone {
    use super::*;

    /// F35, F40.
    #[test]
    fn a_receipt_that_was_on_its_way_when_the_hub_died_comes_again_under_a_banner_and_only_once() {
        let mut shop = Shop::open(1);
        let out = shop.dir.path().join("printer");
        let runtime = Runtime::new().unwrap();
        let options = Options {
            // It takes the receipt, says that all is well, and prints nothing: so the hub waits for a word.
            faults: Faults { swallow: true, ..Faults::default() },
            ..Options::new(&out)
        };
        let printer = runtime.block_on(VirtualPrinter::spawn(options)).unwrap();
        let (address, counts) = (printer.address().to_string(), printer.counts());
        let settings =
            [("TOKO_HUBD_PRINTER_ADDRESS", address.as_str()), ("TOKO_HUBD_PRINTER_CONFIRM", "2min")];
        shop.hub.kill();
        shop.hub.start_with(&settings);

        let till = &shop.tills[0];
        let cart = till.cart("cart");
        till.scan(&cart, "line");
        let paid = json!({ "tenders": [{ "kind": "cash", "amount": "3.39" }], "receipt": true });
        let sold = till.post(&format!("/v1/carts/{cart}/sale"), "sale", &paid).unwrap();
        until("the hub to send the receipt", || {
            // More than questions: what goes before the first receipt of a process.
            let bytes = counts.borrow().bytes;
            if bytes > 8_192 { Ok(()) } else { Err(sold.to_string()) }
        });
        shop.hub.kill();
        printer.set_faults(|faults| faults.swallow = false);

        shop.hub.start_with(&settings);
        let copies = until("the receipt", || {
            let jobs = copies_by_job(&out).map_err(|absent| absent.to_string())?;
            jobs.into_values().next().ok_or_else(|| "no paper".to_owned())
        });
        assert_eq!(copies, Copies { plain: 0, marked: 1 }, "nobody knows whether there is a first one");
        shop.hub.until("the job to be done", |status| status["printer"]["state"] != "");

        // Another start has nothing to print any more.
        shop.hub.kill();
        shop.hub.start_with(&settings);
        till.sell("without paper");
        shop.agrees(2, 2 * crate::rig::LANTERN);
        assert_eq!(copies_by_job(&out).unwrap().into_values().collect::<Vec<_>>(), [copies]);
    }

    #[test]
    fn a_receipt_in_doubt_waits_for_a_persons_word_and_a_reprint_is_marked() {
        let mut shop = Shop::open(1);
        let out = shop.dir.path().join("printer");
        let runtime = Runtime::new().unwrap();
        let faults = Faults { swallow: true, ..Faults::default() };
        let printer =
            runtime.block_on(VirtualPrinter::spawn(Options { faults, ..Options::new(&out) })).unwrap();
        let address = printer.address().to_string();
        let settings = [
            ("TOKO_HUBD_PRINTER_ADDRESS", address.as_str()),
            ("TOKO_HUBD_PRINTER_CONFIRM", "500ms"),
            ("TOKO_HUBD_PRINTER_IN_DOUBT", "hold"),
        ];
        shop.hub.kill();
        shop.hub.start_with(&settings);
        let sell = |key: &str| {
            let till = &shop.tills[0];
            let cart = till.cart(&format!("cart {key}"));
            till.scan(&cart, &format!("line {key}"));
            let paid = json!({ "tenders": [{ "kind": "cash", "amount": "3.39" }], "receipt": true });
            let sold = till.post(&format!("/v1/carts/{cart}/sale"), &format!("sale {key}"), &paid).unwrap();
            sold["sale"].as_str().unwrap().to_owned()
        };
        let in_doubt = || {
            until("a receipt in doubt", || {
                let jobs = shop.hub.ctl(&["jobs"]);
                let job = &jobs["jobs"][0];
                match job["state"].as_str() {
                    Some("in_doubt") => Ok(job["job"].as_str().unwrap_or_default().to_owned()),
                    _ => Err(jobs.to_string()),
                }
            })
        };
        let none_waits = || {
            until("no receipt on its way", || {
                let jobs = shop.hub.ctl(&["jobs"]);
                if jobs["jobs"] == json!([]) { Ok(()) } else { Err(jobs.to_string()) }
            });
        };

        // Nobody knows; it is held, and printed again when a person says so.
        sell("one");
        let job = in_doubt();
        printer.set_faults(|faults| faults.swallow = false);
        shop.hub.ctl(&["jobs", "reprint", &job, "--why", "nothing came out"]);
        none_waits();
        assert_eq!(copies_by_job(&out).unwrap()[&job], Copies { plain: 0, marked: 1 });

        // Here a person has seen it, or does not want it: nothing more is printed.
        let becomes =
            [("printed", json!(["printed", null, "person"])), ("cancel", json!(["given-up", null, null]))];
        for (word, known) in becomes {
            printer.set_faults(|faults| faults.swallow = true);
            let sale = sell(word);
            let job = in_doubt();
            printer.set_faults(|faults| faults.swallow = false);
            shop.hub.ctl(&["jobs", word, &job[..8], "--why", "looked at the counter"]);
            none_waits();
            assert_eq!(copies_by_job(&out).unwrap().get(&job), None);
            shop.tills[0].until_at(&format!("/v1/sales/{sale}"), word, |sale| {
                let print = &sale["print"][0];
                json!([print["state"], print["level"], print["by"]]) == known
            });
        }
    }
}
