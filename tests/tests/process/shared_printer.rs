//! The shop's printer, on which the hub prints, and a till while it hears nothing of the hub. Who prints a receipt is settled when
//! it is asked for, so nobody prints another's.

use serde_json::json;
use toko_devices::virtual_printer::{Copies, Faults};
use toko_tests::lan::Lan;

use crate::own_printer::{Counter, ONCE, none_waits, sell, until_state};
use crate::rig::{DAY, Hub, ITEMS, Shop, Till, has_alert, order, text, until};

/// The till whose cable is cut.
const TILL: &str = "Till 1";

/// A shop of one till that reaches its hub over a cable that can be cut, neither of them running.
fn apart() -> (Shop, Lan) {
    let (dir, mut lan) = (tempfile::tempdir().unwrap(), Lan::default());
    let mut hub = Hub::found(dir.path(), "hub");
    hub.import(ITEMS);
    let front = lan.front("hub", hub.listen).unwrap();
    let advertise = front.to_string();
    hub.kill();
    hub.start_with(&[("TOKO_HUBD_LINKS_ADVERTISE", &advertise)]);
    let data = dir.path().join(TILL);
    order(&["terminal-agent", "enrol", &hub.code(TILL), "--hub", &advertise, "--data", text(&data)]);
    hub.kill();
    let till = Till::over(dir.path(), &data, front, TILL);
    lan.front(TILL, till.listen).unwrap();
    (Shop { dir, hub, tills: vec![till] }, lan)
}

/// Starts them with one printer that both print on.
fn start_sharing(shop: &mut Shop, lan: &Lan, printer: &str, drawers: &str) {
    let front = |name: &str| lan.address(name).unwrap().to_string();
    let file = shop.hub.data.join("hubd.toml");
    let settings = std::fs::read_to_string(&file).unwrap_or_default();
    let printers = format!("{settings}\n[printer]\naddress = \"{printer}\"\nlet_go = \"1s\"\n{drawers}");
    std::fs::write(&file, printers).unwrap();
    shop.hub.start_with(&[("TOKO_HUBD_LINKS_ADVERTISE", &front("hub"))]);
    shop.tills[0].start_with(&[
        ("TOKO_TERMINAL_LINKS_ADVERTISE", &front(TILL)),
        ("TOKO_TERMINAL_PRINTER_ADDRESS", printer),
        ("TOKO_TERMINAL_PRINTER_PRINTS", "hub-dark"),
    ]);
    shop.tills[0].until("the catalogue", |status| status["catalogue"]["items"] == 2);
    shop.tills[0].post("/v1/day", "day", &json!({ "date": DAY })).unwrap();
}

mod run_alone {
    use super::*;

    /// F21, F35: the shop's printer, and a hub that dies and comes back.
    #[test]
    fn the_shops_printer_goes_to_the_till_when_the_hub_dies_and_back_and_no_receipt_comes_twice() {
        let mut shop = Shop::open(1);
        let shared = Counter::open(&shop, "shared", Faults::default());
        let address = shared.address();
        let at_hub = [("TOKO_HUBD_PRINTER_ADDRESS", address.as_str())];
        shop.hub.kill();
        shop.hub.start_with(&at_hub);
        shop.tills[0].stop();
        shop.tills[0].start_with(&[
            ("TOKO_TERMINAL_PRINTER_ADDRESS", address.as_str()),
            ("TOKO_TERMINAL_PRINTER_PRINTS", "hub-dark"),
        ]);
        let linked = |shop: &Shop, wanted: bool| {
            shop.tills[0].until("the hub", |status| status["hub"]["linked"] == wanted);
        };
        linked(&shop, true);
        let mut jobs = Vec::new();
        for round in 0..3 {
            let (sale, job) = sell(&shop, &format!("linked {round}"));
            let shown = until_state(&shop, &sale, "printed");
            jobs.push((shown["print"][0]["job"].as_str().unwrap().to_owned(), job));
            shop.hub.kill();
            linked(&shop, false);
            for nth in 0..2 {
                let (sale, job) = sell(&shop, &format!("dark {round} {nth}"));
                until_state(&shop, &sale, "printed");
                jobs.push((job.clone(), job));
            }
            shop.hub.start_with(&at_hub);
            linked(&shop, true);
        }
        none_waits(&shop);
        for (asked, job) in &jobs {
            assert_eq!((asked, shared.copies(job)), (job, ONCE));
        }
        assert_eq!(shared.jobs(), jobs.len());
    }

    /// F21, F23, F35: hub and till live, and hear nothing of each other.
    #[test]
    fn a_till_that_is_cut_off_from_a_living_hub_prints_on_the_shops_printer_and_nothing_comes_twice() {
        let (mut shop, lan) = apart();
        let shared = Counter::open(&shop, "shared", Faults::default());
        let address = shared.address();
        start_sharing(&mut shop, &lan, &address, "");
        let linked = |wanted: bool| {
            shop.tills[0].until("the hub", |status| status["hub"]["linked"] == wanted);
        };
        linked(true);
        let mut jobs = Vec::new();
        for round in 0..2 {
            let (sale, job) = sell(&shop, &format!("linked {round}"));
            until_state(&shop, &sale, "printed");
            jobs.push((sale, job));
            // One that the hub was asked for, and can print only when the till hears nothing of it any more.
            shared.printer.set_faults(|faults| faults.paper_out = true);
            let waits = sell(&shop, &format!("waits {round}"));
            until("the hub to hold the job", || {
                let held = shop.hub.ctl(&["jobs"]);
                if held["jobs"][0]["job"] == waits.1.as_str() { Ok(()) } else { Err(held.to_string()) }
            });
            assert!(lan.cut(TILL));
            linked(false);
            shared.printer.set_faults(|faults| faults.paper_out = false);
            none_waits(&shop);
            assert_eq!(shared.copies(&waits.1), ONCE);
            jobs.push(waits);
            for nth in 0..2 {
                let (sale, job) = sell(&shop, &format!("apart {round} {nth}"));
                until_state(&shop, &sale, "printed");
                jobs.push((sale, job));
            }
            shop.hub.ctl(&["status"]);
            assert!(lan.heal(TILL));
            linked(true);
        }
        for (sale, job) in &jobs {
            until_state(&shop, sale, "printed");
            assert_eq!(shared.copies(job), ONCE);
        }
        none_waits(&shop);
        assert_eq!(shared.jobs(), jobs.len());
    }

    /// F23, F37: the hub keeps a printer with a drawer to itself, and the till that gets no turn says why.
    #[test]
    fn a_printer_with_the_hubs_drawer_is_the_hubs_alone_and_a_till_that_is_cut_off_says_so() {
        let (mut shop, lan) = apart();
        let shared = Counter::open(&shop, "shared", Faults::default());
        let address = shared.address();
        let drawer = "[[drawers]]\nname = \"left\"\nprinter = \"receipts\"\nterminals = [1]\n";
        start_sharing(&mut shop, &lan, &address, drawer);
        let till = &shop.tills[0];
        till.until("the hub", |status| status["hub"]["linked"] == true);
        until("the hub to hear the drawer", || {
            let drawers = shop.hub.ctl(&["drawers"]);
            if drawers["drawers"][0]["printer_heard"] == true { Ok(()) } else { Err(drawers.to_string()) }
        });
        assert!(lan.cut(TILL));
        till.until("the hub", |status| status["hub"]["linked"] == false);
        let (sale, job) = sell(&shop, "apart");
        till.until("an alert that says why", |status| {
            let trouble = status["printer"]["trouble"].as_str().unwrap_or_default();
            has_alert(status, "printer-not-ready") && trouble.contains("the hub may hold it")
        });
        assert_eq!(shared.copies(&job), Copies::default());
        shop.hub.kill();
        until_state(&shop, &sale, "printed");
        assert_eq!(shared.copies(&job), ONCE);
    }
}
