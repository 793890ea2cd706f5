//! Several printers on one hub: each serves its tills, one takes over from the other, and people have the last word.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use toko_devices::virtual_printer::{Copies, Faults, Options, VirtualPrinter, copies_by_job};

use crate::rig::{Shop, until};

/// A shop with two tills and two printers: the front one is everybody's, the back one is the second till's and takes over.
struct Two {
    shop: Shop,
    front: (VirtualPrinter, PathBuf),
    back: (VirtualPrinter, PathBuf),
    _runtime: Runtime,
}

impl Two {
    fn open(front: Faults, more: &str) -> Two {
        let mut shop = Shop::open(2);
        let runtime = Runtime::new().unwrap();
        let printer = |name: &str, faults| {
            let out = shop.dir.path().join(name);
            let options = Options { faults, ..Options::new(&out) };
            (runtime.block_on(VirtualPrinter::spawn(options)).unwrap(), out)
        };
        let (front, back) = (printer("front", front), printer("back", Faults::default()));
        let file = shop.hub.data.join("hubd.toml");
        let settings = format!(
            "{}\n[printer]\nname = \"front\"\naddress = \"{}\"\nlet_go = \"0ms\"\n{more}\n[[printers]]\nname = \"back\"\n\
             address = \"{}\"\nserves = [\"Till 2\"]\nlet_go = \"0ms\"\n",
            std::fs::read_to_string(&file).unwrap(),
            front.0.address(),
            back.0.address(),
        );
        std::fs::write(&file, settings).unwrap();
        shop.hub.stop();
        shop.hub.start();
        Two { shop, front, back, _runtime: runtime }
    }

    /// Sells with a receipt; its sale.
    fn sell(&self, till: usize, key: &str) -> String {
        let till = &self.shop.tills[till];
        let cart = till.cart(&format!("cart {key}"));
        till.scan(&cart, &format!("line {key}"));
        let paid = json!({ "tenders": [{ "kind": "cash", "amount": "3.39" }], "receipt": true });
        let sold = till.post(&format!("/v1/carts/{cart}/sale"), &format!("sale {key}"), &paid).unwrap();
        sold["sale"].as_str().unwrap().to_owned()
    }

    fn printer(&self, name: &str) -> Value {
        let all = self.shop.hub.ctl(&["printers"]);
        let rows = all["printers"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{all}")).clone()
    }

    /// Waits until one receipt waits at a printer.
    fn waits(&self, at: &str) -> String {
        until("a receipt that waits", || {
            let jobs = self.shop.hub.ctl(&["jobs"]);
            match &jobs["jobs"][0] {
                job if job["printer"] == at && job["state"] != "sending" => {
                    Ok(job["job"].as_str().unwrap().to_owned())
                }
                _ => Err(jobs.to_string()),
            }
        })
    }

    fn none_waits(&self) {
        until("no receipt on its way", || {
            let jobs = self.shop.hub.ctl(&["jobs"]);
            if jobs["jobs"] == json!([]) { Ok(()) } else { Err(jobs.to_string()) }
        });
    }

    fn alert(&self, code: &str) -> String {
        until(code, || {
            let alerts = self.shop.hub.ctl(&["alerts"]);
            let found = alerts["alerts"].as_array().unwrap().iter().find(|alert| alert["code"] == code);
            found.map(|alert| alert["screen"].as_str().unwrap().to_owned()).ok_or(alerts.to_string())
        })
    }
}

impl Two {
    /// Waits until a scraper reads this line.
    fn measures(&self, line: &str) {
        until(line, || {
            let metrics = scraped(&self.shop.hub.data.join("hubctl.sock"));
            if metrics.lines().any(|at| at == line) { Ok(()) } else { Err(metrics) }
        });
    }
}

/// The pieces of paper in a tray.
fn pieces(out: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(out.join("paper")) else { return Vec::new() };
    // A piece that is being written has another name.
    let whole = |path: &PathBuf| path.extension().is_some_and(|end| end == "txt");
    let mut names: Vec<_> = files.map(|file| file.unwrap().path()).filter(whole).collect();
    names.sort();
    names.into_iter().map(|name| std::fs::read_to_string(name).unwrap()).collect()
}

/// What a scraper reads.
pub(crate) fn scraped(socket: &Path) -> String {
    let mut hub = UnixStream::connect(socket).unwrap();
    hub.write_all(b"GET /metrics HTTP/1.0\r\nHost: hub\r\n\r\n").unwrap();
    let mut text = String::new();
    hub.read_to_string(&mut text).unwrap();
    text
}

mod run_alone {
    use super::*;

    #[test]
    fn each_till_prints_at_its_printer_and_a_probe_says_what_each_confirms() {
        let two = Two::open(Faults::default(), "");
        two.sell(0, "one");
        two.sell(1, "two");
        until("both receipts", || {
            let both = (pieces(&two.front.1).len(), pieces(&two.back.1).len());
            if both == (1, 1) { Ok(()) } else { Err(format!("{both:?}")) }
        });
        two.none_waits();
        let front = two.printer("front");
        assert_eq!(
            (&front["state"], &front["upos_state"], &front["reasons"], &front["learnt"]),
            (&json!("idle"), &json!("S_IDLE"), &json!("none"), &Value::Null)
        );
        assert_eq!(front["level"], "L3 (printed)");
        two.measures("toko_printer_level{printer=\"back\"} 3");

        let probed = two.shop.hub.ctl(&["printers", "probe", "front"]);
        assert_eq!(
            (&probed["learnt"]["level"], &probed["learnt"]["reports_changes"]),
            (&json!("L3 (printed)"), &json!(true))
        );
        assert!(pieces(&two.front.1)[1].contains("TEST STRIP"));
        // Kept by the hub, not by the process.
        let mut two = two;
        two.shop.hub.kill();
        two.shop.hub.start();
        assert_eq!(two.printer("front")["learnt"]["level"], "L3 (printed)");
        let (status, said) = two.shop.hub.refuses(&["printers", "probe", "attic"]);
        assert_eq!(status, 1);
        assert!(said.contains("hubctl printers"), "{said}");

        two.front.0.set_faults(|faults| faults.paper_out = true);
        until("paper out", || {
            let front = two.printer("front");
            if front["reasons"].as_str().is_some_and(|reasons| reasons.contains("media-empty")) {
                Ok(())
            } else {
                Err(front.to_string())
            }
        });
        assert_eq!(two.alert("printer-paper-out"), "Put in a new roll of paper.");
        let (_, said) = two.shop.hub.refuses(&["printers", "probe", "front"]);
        assert!(said.contains("out of paper"), "{said}");
        let metrics = scraped(&two.shop.hub.data.join("hubctl.sock"));
        for line in [
            "toko_printer_condition{printer=\"front\",condition=\"RecEmpty\"} 1",
            "toko_printer_up{printer=\"front\"} 0",
            "toko_printer_up{printer=\"back\"} 1",
            "toko_printer_reachable{printer=\"front\"} 1",
            "toko_printer_queue{printer=\"front\"} 0",
            "toko_printer_held{printer=\"front\"} 0",
            "toko_prints_total{printer=\"back\",outcome=\"in_doubt\"} 0",
        ] {
            assert!(metrics.lines().any(|at| at == line), "{line} in {metrics}");
        }
    }

    #[test]
    fn what_goes_to_a_printer_that_confirms_nothing_is_sent_and_never_printed() {
        let two = Two::open(Faults { no_answers: true, ..Faults::default() }, "");
        let probed = two.shop.hub.ctl(&["printers", "probe", "front"]);
        assert_eq!(probed["learnt"]["level"], "L1 (drained)");
        let (sale, other) = (two.sell(0, "one"), two.sell(1, "two"));
        let known = |till: usize, sale: &str, wanted: Value| {
            two.shop.tills[till].until_at(&format!("/v1/sales/{sale}"), "its receipt", |sale| {
                let print = &sale["print"][0];
                json!([print["state"], print["level"], print["by"]]) == wanted
            });
        };
        known(0, &sale, json!(["sent", 1, "printer"]));
        known(1, &other, json!(["printed", 3, "printer"]));
        two.none_waits();
        let came = |printed: u64, sent: u64| json!({ "printed": printed, "sent": sent, "not_printed": 0, "in_doubt": 0 });
        assert_eq!(two.printer("front")["prints"], came(0, 1));
        assert_eq!(two.printer("back")["prints"], came(1, 0));
        let status = two.shop.hub.ctl(&["status"])["printer"]["state"].as_str().unwrap().to_owned();
        assert!(status.contains("sent") && !status.contains("print"), "{status}");
        assert_eq!(two.printer("front")["state"], "idle");
        assert_eq!(two.shop.hub.ctl(&["alerts"])["alerts"], json!([]), "to be silent is no trouble with it");
        let metrics = scraped(&two.shop.hub.data.join("hubctl.sock"));
        for line in [
            "toko_prints_total{printer=\"front\",outcome=\"printed\"} 0",
            "toko_prints_total{printer=\"front\",outcome=\"sent\"} 1",
            "toko_prints_total{printer=\"back\",outcome=\"printed\"} 1",
            "toko_printer_level{printer=\"front\"} 1",
        ] {
            assert!(metrics.lines().any(|at| at == line), "{line} in {metrics}");
        }
        let slip = two.shop.hub.ctl(&["enrol", "Till 9"])["slip"].as_str().unwrap().to_owned();
        assert!(slip.starts_with("sent to a printer that confirms nothing"), "{slip}");
    }

    #[test]
    fn what_a_person_reads_off_the_strip_is_kept_and_the_next_receipt_goes_by_it() {
        let mut two = Two::open(Faults::default(), "model = \"epson/tm-t88v\"\n");
        let sell = |two: &Two, key: &str| {
            let till = &two.shop.tills[0];
            let cart = till.cart(&format!("cart {key}"));
            till.scan(&cart, &format!("line {key}"));
            let tenders = json!([{ "kind": "cash", "amount": "3.39" }]);
            let paid = json!({ "tenders": tenders, "receipt": true, "memo": "Käse" });
            let before = pieces(&two.front.1).len();
            till.post(&format!("/v1/carts/{cart}/sale"), &format!("sale {key}"), &paid).unwrap();
            until("the receipt", || {
                pieces(&two.front.1).get(before).cloned().ok_or_else(|| before.to_string())
            })
        };
        let (_, said) = two.shop.hub.refuses(&["printers", "learn", "front", "--last-row", "2"]);
        assert!(said.contains("hubctl printers probe front"), "{said}");
        two.shop.hub.ctl(&["printers", "probe", "front"]);
        assert!(sell(&two, "one").contains("Käse"));
        let (_, said) = two.shop.hub.refuses(&["printers", "learn", "front", "--wrong-pages", "99"]);
        assert!(said.contains("99 is no code page of the strip"), "{said}");
        let (_, said) = two.shop.hub.refuses(&["printers", "learn", "front", "--last-row", "10"]);
        assert!(said.contains("10 is none of its rows"), "{said}");

        // A printer of which every page holds other letters: what is not ASCII is drawn.
        let named = two.printer("front");
        let numbers = named["code_pages"].as_array().unwrap().iter().map(|page| page.as_str().unwrap());
        let all: Vec<&str> = numbers.filter_map(|page| page.split(':').next()).collect();
        let lesson = ["printers", "learn", "front", "--wrong-pages", &all.join(","), "--last-row", "3"];
        let learnt = two.shop.hub.ctl(&lesson)["learnt"].clone();
        assert_eq!((learnt["more_feed"].as_u64(), learnt["level"].as_str()), (Some(2), Some("L3 (printed)")));
        let paper = sell(&two, "two");
        assert!(!paper.contains("Käse") && paper.contains("WHITE METAL LANTERN"), "{paper}");
        // Kept by the hub, and by a probe too.
        two.shop.hub.kill();
        two.shop.hub.start();
        assert!(!sell(&two, "three").contains("Käse"));
        let probed = two.shop.hub.ctl(&["printers", "probe", "front"]);
        assert_eq!(probed["learnt"]["more_feed"], 2);
        two.shop.hub.ctl(&["printers", "learn", "front", "--wrong-pages"]);
        assert!(sell(&two, "four").contains("Käse"));
    }

    #[test]
    fn what_is_wrong_with_a_printer_is_an_alert_with_what_to_do_and_a_receipt_is_released_by_hand() {
        let two = Two::open(Faults::default(), "");
        two.front.0.set_faults(|faults| faults.paper_near_end = true);
        two.sell(0, "one");
        until("the first receipt", || {
            if pieces(&two.front.1).len() == 1 { Ok(()) } else { Err("none".to_owned()) }
        });
        two.none_waits();
        assert!(two.alert("printer-paper-low").contains("roll"));
        two.front.0.set_faults(|faults| (faults.paper_near_end, faults.cover_open) = (false, true));
        two.sell(0, "two");
        assert!(two.alert("printer-cover-open").contains("cover"));
        let job = two.waits("front");
        let (_, said) = two.shop.hub.refuses(&["jobs", "printed", &job, "--why", "looked"]);
        assert!(said.contains("nothing of it was sent"), "{said}");
        two.measures("toko_printer_queue{printer=\"front\"} 1");
        let said = two.shop.hub.ctl(&["jobs", "release", &job]);
        assert_eq!(said["said"], "it is tried now");
        two.front.0.set_faults(|faults| faults.cover_open = false);
        two.none_waits();
        assert_eq!(copies_by_job(&two.front.1).unwrap()[&job], Copies { plain: 1, marked: 0 });

        let Two { shop, front, back: _back, _runtime: runtime } = two;
        runtime.block_on(front.0.stop()).unwrap();
        let alert = until("an alert", || {
            let alerts = shop.hub.ctl(&["alerts"]);
            let found = alerts["alerts"]
                .as_array()
                .unwrap()
                .iter()
                .find(|alert| alert["code"] == "printer-unreachable");
            found.map(|alert| alert["screen"].as_str().unwrap().to_owned()).ok_or(alerts.to_string())
        });
        assert!(alert.starts_with("Switch the printer on and look at its cable"), "{alert}");
        let metrics = scraped(&shop.hub.data.join("hubctl.sock"));
        let gone = "toko_printer_reachable{printer=\"front\"} 0";
        assert!(metrics.lines().any(|at| at == gone), "{metrics}");
    }

    #[test]
    fn a_receipt_that_nobody_wants_any_more_is_given_up_and_never_comes_out() {
        let mut two = Two::open(Faults { cover_open: true, ..Faults::default() }, "");
        two.shop.tills[0].stop();
        two.shop.tills[0].start_with(&[("TOKO_TERMINAL_RECEIPT_WANTED_FOR", "1s")]);
        two.sell(0, "one");
        let sales = two.shop.tills[0].get("/v1/sales");
        let path = format!("/v1/sales/{}", sales["sales"][0]["sale"].as_str().unwrap());
        let given_up = |sale: &Value| sale["print"][0]["state"] == "given-up";
        let sale = two.shop.tills[0].until_at(&path, "that it is given up", given_up);
        two.none_waits();
        let log = std::fs::read_to_string(two.shop.dir.path().join("hub.log")).unwrap();
        let job = sale["print"][0]["job"].as_str().unwrap();
        let line = log.lines().find(|line| line.contains("a receipt is given up") && line.contains(job));
        assert!(line.is_some_and(|line| line.contains("nobody wants it any more")), "{log}");
        // With the cover shut the next one comes out, and not the old one.
        two.shop.tills[0].stop();
        two.shop.tills[0].start();
        two.front.0.set_faults(|faults| faults.cover_open = false);
        two.sell(0, "two");
        until("the next one", || if pieces(&two.front.1).len() == 1 { Ok(()) } else { Err("none".into()) });
        two.none_waits();
        assert_eq!(copies_by_job(&two.front.1).unwrap().get(job), None);
    }

    #[test]
    fn another_printer_takes_over_what_was_never_sent_and_says_so_on_it() {
        let two = Two::open(
            Faults { cover_open: true, ..Faults::default() },
            "fall_back = \"back\"\nfall_back_after = \"500ms\"\n",
        );
        two.sell(0, "one");
        let paper = until("the receipt at the back", || {
            pieces(&two.back.1).into_iter().next().ok_or_else(|| two.shop.hub.ctl(&["jobs"]).to_string())
        });
        assert!(paper.starts_with("BACKUP FROM front\n") || paper.contains("BACKUP FROM front\n"), "{paper}");
        assert!(!paper.contains("POSSIBLE DUPLICATE"), "{paper}");
        two.none_waits();
        two.front.0.set_faults(|faults| faults.cover_open = false);
        two.sell(0, "two");
        let paper = until("the next one at the front", || match pieces(&two.front.1).as_slice() {
            [paper] => Ok(paper.clone()),
            other => Err(format!("{other:?}")),
        });
        assert!(!paper.contains("BACKUP"), "{paper}");
        assert_eq!(pieces(&two.back.1).len(), 1);
    }

    #[test]
    fn behind_a_receipt_that_ran_out_of_paper_the_next_ones_are_taken_over_and_it_comes_out_once() {
        let two = Two::open(
            Faults { roll_rows: Some(2), ..Faults::default() },
            "fall_back = \"back\"\nfall_back_after = \"500ms\"\nconfirm = \"500ms\"\n",
        );
        two.sell(0, "one");
        two.alert("printer-paper-out");
        two.sell(0, "two");
        let paper = until("the next receipt at the back", || {
            pieces(&two.back.1).into_iter().next().ok_or_else(|| two.shop.hub.ctl(&["jobs"]).to_string())
        });
        assert!(paper.contains("BACKUP FROM front\n"), "{paper}");
        two.front.0.set_faults(|faults| faults.roll_rows = None);
        two.none_waits();
        let copies: Vec<Copies> = copies_by_job(&two.front.1).unwrap().into_values().collect();
        assert_eq!(copies, [Copies { plain: 1, marked: 0 }]);
        assert_eq!(pieces(&two.back.1).len(), 1);
    }

    #[test]
    fn what_may_be_on_paper_is_never_taken_over_and_a_person_moves_it_marked() {
        let two = Two::open(
            Faults { swallow: true, ..Faults::default() },
            "fall_back = \"back\"\nfall_back_after = \"0ms\"\nin_doubt = \"hold\"\nconfirm = \"500ms\"\npatience = \"0ms\"\n",
        );
        two.sell(0, "one");
        two.alert("receipts-in-doubt");
        two.measures("toko_printer_held{printer=\"front\"} 1");
        let job = two.waits("front");
        // It cannot print any more, and still the other one does not take over.
        two.front.0.set_faults(|faults| (faults.swallow, faults.paper_out) = (false, true));
        two.alert("printer-paper-out");
        assert_eq!(pieces(&two.back.1).len(), 0);
        let (_, said) = two.shop.hub.refuses(&["jobs", "move", &job, "--to", "attic"]);
        assert!(said.contains("there are: front, back"), "{said}");
        let (_, said) = two.shop.hub.refuses(&["jobs", "move", &job, "--to", "front"]);
        assert!(said.contains("already"), "{said}");
        two.shop.hub.ctl(&["jobs", "move", &job, "--to", "back", "--why", "front is out of paper"]);
        two.none_waits();
        assert_eq!(copies_by_job(&two.back.1).unwrap()[&job], Copies { plain: 0, marked: 1 });
        let paper = pieces(&two.back.1).remove(0);
        assert!(paper.contains("BACKUP FROM front"), "{paper}");
    }

    #[test]
    fn what_was_never_sent_is_moved_without_a_mark_and_cancelled_with_a_reason() {
        let two = Two::open(Faults { paper_out: true, ..Faults::default() }, "");
        two.sell(0, "one");
        let job = two.waits("front");
        two.shop.hub.ctl(&["jobs", "move", &job[..8], "--to", "back"]);
        two.none_waits();
        assert_eq!(copies_by_job(&two.back.1).unwrap()[&job], Copies { plain: 1, marked: 0 });
        two.sell(0, "two");
        let job = two.waits("front");
        let (status, _) = two.shop.hub.refuses(&["jobs", "cancel", &job]);
        assert_eq!(status, 64, "somebody will ask where that receipt is");
        two.shop.hub.ctl(&["jobs", "cancel", &job, "--why", "customer left"]);
        two.none_waits();
        two.front.0.set_faults(|faults| *faults = Faults::default());
        two.sell(0, "three");
        until(
            "the last one",
            || if pieces(&two.front.1).len() == 1 { Ok(()) } else { Err("no paper".into()) },
        );
        assert_eq!(copies_by_job(&two.front.1).unwrap().get(&job), None);
    }
}
