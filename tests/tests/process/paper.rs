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
        until("the hub to call the printer", || {
            let sessions = counts.borrow().sessions;
            if sessions > 0 { Ok(()) } else { Err(sold.to_string()) }
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
}
