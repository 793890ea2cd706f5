//! A till that prints on a printer of its own. Who prints a receipt is settled when it is asked for, so nobody prints another's.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use toko_devices::virtual_printer::{Copies, Faults, Options, Sensor, VirtualPrinter, copies_by_job};

use crate::rig::{Shop, copy, has_alert, until};

/// A printer, and where its paper goes.
pub(crate) struct Counter {
    pub(crate) printer: VirtualPrinter,
    out: PathBuf,
    pub(crate) runtime: Runtime,
}

impl Counter {
    pub(crate) fn open(shop: &Shop, name: &str, faults: Faults) -> Self {
        let (out, runtime) = (shop.dir.path().join(name), Runtime::new().unwrap());
        let options = Options { faults, sensor: Sensor::HighOpen, ..Options::new(&out) };
        let printer = runtime.block_on(VirtualPrinter::spawn(options)).unwrap();
        Self { printer, out, runtime }
    }

    pub(crate) fn address(&self) -> String {
        self.printer.address().to_string()
    }

    pub(crate) fn pulses(&self) -> u64 {
        self.printer.counts().borrow().pulses
    }

    pub(crate) fn copies(&self, job: &str) -> Copies {
        copies_by_job(&self.out).unwrap().get(job).copied().unwrap_or_default()
    }

    /// Jobs of which there is paper.
    pub(crate) fn jobs(&self) -> usize {
        copies_by_job(&self.out).unwrap().len()
    }
}

pub(crate) const ONCE: Copies = Copies { plain: 1, marked: 0 };

/// Sells a lantern with a receipt; its sale and its job.
pub(crate) fn sell(shop: &Shop, key: &str) -> (String, String) {
    let till = &shop.tills[0];
    let cart = till.cart(&format!("cart {key}"));
    till.scan(&cart, &format!("line {key}"));
    let paid = json!({ "tenders": [{ "kind": "cash", "amount": "3.39" }], "receipt": true });
    let sold = till.post(&format!("/v1/carts/{cart}/sale"), &format!("sale {key}"), &paid).unwrap();
    let text = |key: &str| sold[key].as_str().unwrap().to_owned();
    (text("sale"), text("job"))
}

pub(crate) fn until_state(shop: &Shop, sale: &str, state: &str) -> Value {
    let path = format!("/v1/sales/{sale}");
    shop.tills[0].until_at(&path, state, |sale| sale["print"][0]["state"] == state)
}

pub(crate) fn none_waits(shop: &Shop) {
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

    #[test]
    fn what_a_till_gives_to_a_printer_of_its_own_that_confirms_nothing_is_sent_and_never_printed() {
        let mut shop = Shop::open(1);
        let own = Counter::open(&shop, "own", Faults { no_answers: true, ..Faults::default() });
        shop.tills[0].stop();
        shop.tills[0].start_with(&[
            ("TOKO_TERMINAL_PRINTER_ADDRESS", &own.address()),
            ("TOKO_TERMINAL_PRINTER_ANSWERS", "false"),
        ]);
        let (sale, job) = sell(&shop, "one");
        let seen = until_state(&shop, &sale, "sent");
        assert_eq!(seen["print"], json!([{ "job": job, "state": "sent", "level": 1, "by": "printer" }]));
        let status = shop.tills[0].status();
        assert_eq!(status["printer"]["trouble"], Value::Null);
        assert!(!has_alert(&status, "printer-not-ready"), "{status}");
        none_waits(&shop);
        // The same kind of printer that loses what it is given looks no different, and is called nothing better.
        own.printer.set_faults(|faults| faults.swallow = true);
        let (sale, lost) = sell(&shop, "two");
        until_state(&shop, &sale, "sent");
        assert_eq!((own.copies(&job), own.copies(&lost)), (ONCE, Copies::default()));
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

    #[test]
    fn a_till_gives_up_what_nobody_wants_any_more_and_it_never_comes_out() {
        let mut shop = Shop::open(1);
        let own = Counter::open(&shop, "own", Faults { paper_out: true, ..Faults::default() });
        let address = own.address();
        shop.tills[0].stop();
        shop.tills[0].start_with(&[
            ("TOKO_TERMINAL_PRINTER_ADDRESS", address.as_str()),
            ("TOKO_TERMINAL_RECEIPT_WANTED_FOR", "1s"),
        ]);
        let (sale, old) = sell(&shop, "one");
        until_state(&shop, &sale, "given-up");
        let log = shop.tills[0].log();
        let line = log.lines().find(|line| line.contains("a receipt is given up") && line.contains(&old));
        assert!(line.is_some_and(|line| line.contains("nobody wants it any more")), "{log}");
        shop.tills[0].stop();
        shop.tills[0].start_with(&[("TOKO_TERMINAL_PRINTER_ADDRESS", address.as_str())]);
        own.printer.set_faults(|faults| faults.paper_out = false);
        let (sale, next) = sell(&shop, "two");
        until_state(&shop, &sale, "printed");
        assert_eq!((own.copies(&old), own.copies(&next)), (Copies::default(), ONCE));
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
