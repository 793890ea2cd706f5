//! What else stands at the counter: the customer's display shows what is rung up, the scanner's codes reach the till screen.

use crate::common::{Shop, config};
use serde_json::json;
use std::time::Duration;
use terminal_agent::config::Config;
use terminal_agent::config::{DisplayConfig, DisplayPlace, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use toko_daemon::settings::Problems;
use toko_devices::cable::Pty;
use toko_devices::display::{Dialect, Glass, VirtualDisplay};
use toko_devices::virtual_printer::{Options, VirtualPrinter, copies_by_job};

/// How long a display or a scan may take. Nothing waits that long when all is well.
const SOON: Duration = Duration::from_secs(30);

/// Reads what comes to the display until it shows these rows.
async fn shows(pty: &mut Pty, display: &mut VirtualDisplay, rows: [&str; 2]) {
    let mut bytes = [0; 256];
    while display.rows().each_ref().map(|row| row.trim_end()) != rows {
        let read = timeout(SOON, pty.read(&mut bytes)).await;
        let count = read.unwrap_or_else(|_| panic!("{rows:?} never come: {:?}", display.rows())).unwrap();
        display.receive(&bytes[..count]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_customer_sees_line_subtotal_total_and_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut glass = Pty::open().unwrap();
    let made = Glass::rows_of_20(Dialect::Cd5220);
    let mut config = config();
    config.display = Some(DisplayConfig {
        place: DisplayPlace::Cable(format!("serial:{}", glass.path().display()).parse().unwrap()),
        glass: made,
        welcome: "WELCOME".into(),
    });
    let mut display = VirtualDisplay::new(made);
    let shop = Shop::open_with(dir.path(), 1, &config).await;
    shows(&mut glass, &mut display, ["WELCOME", ""]).await;
    let cart = shop.cart("c").await;
    let line = json!({ "code": "71053", "qty": "2" });
    shop.post(&format!("/v1/carts/{cart}/lines"), "l", line).await;
    shows(&mut glass, &mut display, ["WHITE METAL LANTERN", "2 x 3.39        6.78"]).await;
    let paid = json!({ "tenders": [{ "kind": "cash", "amount": "10.00" }] });
    shop.post(&format!("/v1/carts/{cart}/sale"), "s", paid).await;
    shows(&mut glass, &mut display, ["Total           6.78", "Change          3.22"]).await;
    shop.cart("next").await;
    shows(&mut glass, &mut display, ["WELCOME", ""]).await;
    shop.close().await;
}

/// The settings of a terminal with a printer of its own and a display behind a printer at `display`.
fn behind(printer: &str, prints: &str, model: &str, display: &str) -> Result<Config, Problems> {
    let mut file = File::default();
    (file.printer.address, file.printer.prints) = (printer.to_owned(), prints.to_owned());
    file.printer.model = model.to_owned();
    (file.display.address, file.display.dialect) = (display.to_owned(), "behind-printer".to_owned());
    file.display.welcome = "WELCOME".to_owned();
    file.parse()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_behind_the_tills_own_printer_shows_what_is_rung_up_and_the_receipt_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("paper");
    let display = Some(Glass::rows_of_20(Dialect::BehindPrinter));
    let printer = VirtualPrinter::spawn(Options { display, ..Options::new(&out) }).await.unwrap();
    let address = printer.address().to_string();
    let own = behind(&address, "always", "", &address).unwrap();
    let config = Config { printer: own.printer, display: own.display, ..config() };
    let shop = Shop::open_with(dir.path(), 1, &config).await;
    let mut shown = printer.shown();
    let mut until = async |upper: &str, lower: &str| {
        let rows = shown.wait_for(|rows| rows.each_ref().map(|row| row.trim_end()) == [upper, lower]);
        timeout(SOON, rows).await.unwrap_or_else(|_| panic!("{upper:?} never comes")).unwrap();
    };
    until("WELCOME", "").await;
    let mut jobs = Vec::new();
    for nth in 0..3 {
        let cart = shop.cart(&format!("c{nth}")).await;
        let line = json!({ "code": "71053", "qty": "2" });
        shop.post(&format!("/v1/carts/{cart}/lines"), &format!("l{nth}"), line).await;
        until("WHITE METAL LANTERN", "2 x 3.39        6.78").await;
        let paid = json!({ "tenders": [{ "kind": "cash", "amount": "10.00" }], "receipt": true });
        let sold = shop.post(&format!("/v1/carts/{cart}/sale"), &format!("s{nth}"), paid).await;
        until("Total           6.78", "Change          3.22").await;
        jobs.push(sold["job"].as_str().unwrap().to_owned());
    }
    let mut counts = printer.counts();
    timeout(SOON, counts.wait_for(|counts| counts.pieces == 3)).await.unwrap().unwrap();
    let copies = copies_by_job(&out).unwrap();
    assert!(jobs.iter().all(|job| copies[job].plain == 1), "{copies:?}");
    for piece in std::fs::read_dir(out.join("paper")).unwrap() {
        let text = std::fs::read_to_string(piece.unwrap().path()).unwrap();
        assert!(text.contains("CORNER SHOP") && !text.contains("WELCOME"), "{text}");
    }
    assert_eq!(counts.borrow().sessions, 1, "one link for both");
    shop.close().await;
}

#[test]
fn a_display_behind_a_printer_that_is_not_the_tills_own_is_refused_with_what_to_do() {
    for (printer, prints, model, display, says) in [
        ("", "always", "", "10.0.0.1:9100", "set printer.address"),
        ("10.0.0.1:9100", "hub-dark", "", "10.0.0.1:9100", "printer.prints = \"always\""),
        ("10.0.0.2:9100", "always", "", "10.0.0.1:9100", "which is 10.0.0.2:9100"),
        ("10.0.0.1:9100", "always", "star/tsp100iv", "10.0.0.1:9100", "does not speak ESC/POS"),
    ] {
        let problems = behind(printer, prints, model, display).unwrap_err().to_string();
        assert!(problems.contains("display.address") && problems.contains(says), "{problems}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_reaches_whoever_waits_for_it_with_its_separators() {
    let dir = tempfile::tempdir().unwrap();
    let mut scanner = Pty::open().unwrap();
    let mut config = config();
    config.scanner = Some(format!("serial:{}", scanner.path().display()).parse().unwrap());
    // One request at a time: whoever waits for a scan must not hold up the sale.
    config.requests_at_once = 1;
    let shop = Shop::open_with(dir.path(), 1, &config).await;
    let first = shop.get("/v1/scans").await;
    assert_eq!((first["last"].as_u64(), first["scans"].as_array().map(Vec::len)), (Some(0), Some(0)));
    // As a till screen does: asked again for as long as nothing came.
    let waiting = async {
        loop {
            let scanned = shop.get("/v1/scans?after=0").await;
            if scanned["last"] != 0 {
                return scanned;
            }
        }
    };
    let selling = async {
        shop.sell_a_lantern("meanwhile").await;
        scanner.write_all(b"]C10103600029145213\x1d10A1\r").await.unwrap();
    };
    let (scanned, ()) = tokio::join!(waiting, selling);
    let scan = &scanned["scans"][0];
    assert_eq!(scan["data"], "0103600029145213\u{1d}10A1");
    assert_eq!((&scan["aim"], &scan["gs1"], &scanned["last"]), (&json!("]C1"), &json!(true), &json!(1)));
    shop.close().await;
}
