//! A till that prints by itself: on a printer of its own, or on the shop's while the hub is dark. Who prints a receipt is settled
//! when it is asked for, so nobody prints another's.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use toko_devices::virtual_printer::{Copies, Faults, Options, Sensor, VirtualPrinter, copies_by_job};

use toko_tests::lan::Lan;

use crate::rig::{DAY, Hub, ITEMS, Shop, Till, copy, has_alert, order, refused, text, until};

/// A printer, and where its paper goes.
struct Counter {
    printer: VirtualPrinter,
    out: PathBuf,
    runtime: Runtime,
}

impl Counter {
    fn open(shop: &Shop, name: &str, faults: Faults) -> Self {
        let (out, runtime) = (shop.dir.path().join(name), Runtime::new().unwrap());
        let options = Options { faults, sensor: Sensor::HighOpen, ..Options::new(&out) };
        let printer = runtime.block_on(VirtualPrinter::spawn(options)).unwrap();
        Self { printer, out, runtime }
    }

    fn address(&self) -> String {
        self.printer.address().to_string()
    }

    fn pulses(&self) -> u64 {
        self.printer.counts().borrow().pulses
    }

    fn copies(&self, job: &str) -> Copies {
        copies_by_job(&self.out).unwrap().get(job).copied().unwrap_or_default()
    }

    /// Jobs of which there is paper.
    fn jobs(&self) -> usize {
        copies_by_job(&self.out).unwrap().len()
    }
}

const ONCE: Copies = Copies { plain: 1, marked: 0 };

/// Sells a lantern with a receipt; its sale and its job.
fn sell(shop: &Shop, key: &str) -> (String, String) {
    let till = &shop.tills[0];
    let cart = till.cart(&format!("cart {key}"));
    till.scan(&cart, &format!("line {key}"));
    let paid = json!({ "tenders": [{ "kind": "cash", "amount": "3.39" }], "receipt": true });
    let sold = till.post(&format!("/v1/carts/{cart}/sale"), &format!("sale {key}"), &paid).unwrap();
    let text = |key: &str| sold[key].as_str().unwrap().to_owned();
    (text("sale"), text("job"))
}

fn until_state(shop: &Shop, sale: &str, state: &str) -> Value {
    let path = format!("/v1/sales/{sale}");
    shop.tills[0].until_at(&path, state, |sale| sale["print"][0]["state"] == state)
}

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

fn none_waits(shop: &Shop) {
    until("no receipt on its way", || {
        let jobs = shop.hub.ctl(&["jobs"]);
        if jobs["jobs"] == json!([]) { Ok(()) } else { Err(jobs.to_string()) }
    });
}

mod run_alone {
    use super::*;

    /// F35: a printer of the till's own.
    #[test]
    fn a_till_prints_on_its_own_printer_whether_the_hub_lives_or_not_and_the_hub_never_does() {
        let mut shop = Shop::open(1);
        let (own, other) = (
            Counter::open(&shop, "own", Faults::default()),
            Counter::open(&shop, "hub's", Faults::default()),
        );
        shop.hub.kill();
        // The hub's printer serves this very till, and still leaves alone what the till prints.
        let serves = format!("[printer]\naddress = \"{}\"\nserves = [\"Till 1\"]\n", other.address());
        let file = shop.hub.data.join("hubd.toml");
        let settings = std::fs::read_to_string(&file).unwrap() + &serves;
        std::fs::write(&file, settings).unwrap();
        shop.hub.start();
        shop.tills[0].stop();
        shop.tills[0].start_with(&[("TOKO_TERMINAL_PRINTER_ADDRESS", &own.address())]);

        let (sale, first) = sell(&shop, "one");
        until_state(&shop, &sale, "printed");
        none_waits(&shop);
        shop.hub.kill();
        let (sale, second) = sell(&shop, "two");
        until_state(&shop, &sale, "printed");
        assert_eq!((own.copies(&first), own.copies(&second)), (ONCE, ONCE));
        assert_eq!(shop.tills[0].status()["printer"]["ready"], true);

        // Without paper it waits, and says so on the screen; a hub that is asked says who knows.
        own.printer.set_faults(|faults| faults.paper_out = true);
        let (sale, third) = sell(&shop, "three");
        shop.tills[0].until("an alert", |status| {
            has_alert(status, "printer-not-ready") && status["printer"]["ready"] == false
        });
        shop.hub.start();
        until("the hub to hold the job", || {
            let jobs = shop.hub.ctl(&["jobs"]);
            if jobs["jobs"][0]["job"] == third.as_str() { Ok(()) } else { Err(jobs.to_string()) }
        });
        for word in ["release", "printed"] {
            let (_, said) = shop.hub.refuses(&["jobs", word, &third, "--why", "a try"]);
            assert!(said.contains("Till 1 prints it on its own printer"), "{said}");
        }
        own.printer.set_faults(|faults| faults.paper_out = false);
        until_state(&shop, &sale, "printed");
        none_waits(&shop);
        assert_eq!((own.copies(&third), other.jobs()), (ONCE, 0));

        // What nobody wants any more is cancelled for the till as well.
        own.printer.set_faults(|faults| faults.paper_out = true);
        let (sale, fourth) = sell(&shop, "four");
        shop.tills[0].until("an alert", |status| has_alert(status, "printer-not-ready"));
        until("the hub to hold the job", || {
            let jobs = shop.hub.ctl(&["jobs"]);
            if jobs["jobs"][0]["job"] == fourth.as_str() { Ok(()) } else { Err(jobs.to_string()) }
        });
        shop.hub.ctl(&["jobs", "cancel", &fourth, "--why", "the customer left"]);
        until_state(&shop, &sale, "given-up");
        own.printer.set_faults(|faults| faults.paper_out = false);

        // A copy of an old receipt comes out there as well.
        shop.tills[0].post(&format!("/v1/sales/{sale}/print"), "copy", &json!({})).unwrap();
        until("the copy", || if own.jobs() == 4 { Ok(()) } else { Err(own.jobs().to_string()) });
        none_waits(&shop);
        assert_eq!((other.jobs(), own.copies(&fourth)), (0, Copies::default()));
    }

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

    /// F39, F40.
    #[test]
    fn a_receipt_that_was_on_its_way_when_the_till_died_comes_again_once_under_a_banner() {
        let mut shop = Shop::open(1);
        let swallows = Faults { swallow: true, ..Faults::default() };
        let own = Counter::open(&shop, "own", swallows);
        let address = own.address();
        let settings =
            [("TOKO_TERMINAL_PRINTER_ADDRESS", address.as_str()), ("TOKO_TERMINAL_PRINTER_CONFIRM", "2min")];
        shop.tills[0].stop();
        shop.tills[0].start_with(&settings);
        let counts = own.printer.counts();
        let (sale, job) = sell(&shop, "one");
        until("the till to send the receipt", || {
            let bytes = counts.borrow().bytes;
            // More than questions: what goes before the first receipt of a process.
            if bytes > 8_192 { Ok(()) } else { Err(bytes.to_string()) }
        });
        shop.tills[0].kill();
        own.printer.set_faults(|faults| faults.swallow = false);
        shop.tills[0].start_with(&settings);
        until_state(&shop, &sale, "printed");
        assert_eq!(
            own.copies(&job),
            Copies { plain: 0, marked: 1 },
            "nobody knows whether there is a first one"
        );
        shop.tills[0].kill();
        shop.tills[0].start_with(&settings);
        let (sale, _) = sell(&shop, "two");
        until_state(&shop, &sale, "printed");
        assert_eq!(own.copies(&job), Copies { plain: 0, marked: 1 });
    }

    /// F16: what the backup still wanted to print was printed since.
    #[test]
    fn a_till_from_a_backup_prints_what_waited_then_only_under_a_banner() {
        let mut shop = Shop::open(1);
        let own = Counter::open(&shop, "own", Faults { paper_out: true, ..Faults::default() });
        let address = own.address();
        let settings = [("TOKO_TERMINAL_PRINTER_ADDRESS", address.as_str())];
        shop.tills[0].stop();
        shop.tills[0].start_with(&settings);
        let (sale, job) = sell(&shop, "one");
        shop.tills[0].until("an alert", |status| has_alert(status, "printer-not-ready"));
        let (data, backup) = (shop.tills[0].data.clone(), shop.dir.path().join("backup"));
        copy(&data, &backup);
        own.printer.set_faults(|faults| faults.paper_out = false);
        until_state(&shop, &sale, "printed");
        assert_eq!(own.copies(&job), ONCE);
        // The hub is dark, so nobody tells the restored till what became of it.
        shop.hub.kill();
        shop.tills[0].kill();
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(&backup, &data).unwrap();
        shop.tills[0].start_with(&settings);
        until("the old receipt again", || {
            let copies = own.copies(&job);
            if copies.marked == 1 || copies.plain > 1 { Ok(()) } else { Err(format!("{copies:?}")) }
        });
        assert_eq!(own.copies(&job), Copies { plain: 1, marked: 1 });
    }

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

    #[test]
    fn a_till_without_a_printer_of_its_own_refuses_to_be_asked_for_it() {
        let shop = Shop::open(1);
        let (sale, _) = sell(&shop, "one");
        let refused = shop.tills[0].try_post(
            &format!("/v1/sales/{sale}/print"),
            "copy",
            &json!({ "printer": "@till" }),
        );
        assert_eq!((refused.status, refused.body["error"]["code"].as_str()), (400, Some("no-own-printer")));
    }
}
