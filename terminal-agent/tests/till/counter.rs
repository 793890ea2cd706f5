//! What else stands at the counter: the customer's display shows what is rung up, the scanner's codes reach the till screen.

use crate::common::{Shop, config};
use serde_json::json;
use std::time::Duration;
use terminal_agent::config::DisplayConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use toko_devices::cable::Pty;
use toko_devices::display::{Dialect, Glass, VirtualDisplay};

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
        address: format!("serial:{}", glass.path().display()).parse().unwrap(),
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
