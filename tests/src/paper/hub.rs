//! Toko's side: a real hub with the printer, and a real till that sells with a receipt. A power cut takes both.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::counter::Counter;
use super::spooler::{Job, Said, Spooler};
use crate::bench::shop::Shop;
use crate::bench::trouble::Trouble;
use crate::door::Api;

/// What it sells: eight lines make a receipt.
const ITEMS: [(&str, &str, &str); 8] = [
    ("71053", "WHITE METAL LANTERN", "3.39"),
    ("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", "2.55"),
    ("22423", "REGENCY CAKESTAND 3 TIER", "12.75"),
    ("47566", "PARTY BUNTING", "4.95"),
    ("84879", "ASSORTED COLOUR BIRD ORNAMENT", "1.69"),
    ("22720", "SET OF 3 CAKE TINS PANTRY DESIGN", "4.95"),
    ("21212", "PACK OF 72 RETROSPOT CAKE CASES", "0.55"),
    ("20725", "LUNCH BAG RED RETROSPOT", "1.65"),
];
/// What every customer pays with.
const NOTE: &str = "50.00";

/// A hub and a till.
#[derive(Debug)]
pub struct Hub {
    shop: Shop,
    till: Api,
    sold: u64,
}

impl Hub {
    /// Founds a store, and gives its hub the printer.
    pub fn open(dir: &Path, counter: &Counter) -> Result<Self, Trouble> {
        let dir = dir.join("shop");
        std::fs::create_dir(&dir)?;
        let rows: String = ITEMS.iter().map(|(sku, name, price)| format!("{sku},{name},{price}\n")).collect();
        let mut shop = Shop::found_in(&dir, &format!("sku,name,price\n{rows}"), ITEMS.len() as u64, 1)?;
        shop.hub.stop()?;
        let mut settings = OpenOptions::new().append(true).open(dir.join("hub.toml"))?;
        write!(settings, "\n[printer]\naddress = \"{}\"\n", counter.address())?;
        shop.hub.start()?;
        shop.until_hub()?;
        shop.until("the hub", |status| status["links"][0]["settled"] == true)?;
        let till = shop.api(0)?;
        Ok(Self { shop, till, sold: 0 })
    }
}

impl Spooler for Hub {
    fn name(&self) -> &str {
        "Toko"
    }

    fn ask(&mut self) -> Result<Job, Trouble> {
        let nth = self.sold;
        self.sold += 1;
        let post =
            |path: &str, key: &str, body: Value| self.till.post(path, Some(&format!("{nth} {key}")), &body);
        let cart = post("/v1/carts", "cart", json!({}))?;
        let cart = format!("/v1/carts/{}", cart["cart"].as_str().unwrap_or_default());
        for (sku, _, _) in ITEMS {
            post(&format!("{cart}/lines"), sku, json!({ "code": sku, "qty": "1" }))?;
        }
        let paid = json!({ "tenders": [{ "kind": "cash", "amount": NOTE }], "receipt": true });
        let sold = post(&format!("{cart}/sale"), "sale", paid)?;
        let promised = Instant::now();
        let text = |key: &str| {
            let odd = || Trouble::product("a sale with a receipt")(sold.to_string());
            sold[key].as_str().map(str::to_owned).ok_or_else(odd)
        };
        Ok(Job { on_paper: text("job")?, asked_by: text("sale")?, promised })
    }

    fn said(&self, job: &Job) -> Result<Said, Trouble> {
        let sale = self.till.get(&format!("/v1/sales/{}", job.asked_by))?;
        Ok(match sale["print"][0]["state"].as_str() {
            Some("printed") => Said::Printed,
            Some("in-doubt") => Said::InDoubt,
            Some("given-up") => Said::GivenUp,
            Some(_) => Said::Waits,
            None => Said::Unknown,
        })
    }

    fn tells_paper_out(&self) -> Result<bool, Trouble> {
        let alerts = self.shop.hubctl(&["alerts"])?;
        let alerts = alerts["alerts"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(alerts.iter().any(|alert| alert["code"] == "printer-paper-out"))
    }

    fn cut_power(&mut self) -> Result<(), Trouble> {
        // One machine after the other, as fast as that goes: they hang on the same socket.
        self.shop.hub.kill()?;
        self.shop.tills.iter_mut().try_for_each(|(till, _)| till.kill())
    }

    fn start(&mut self) -> Result<(), Trouble> {
        self.shop.hub.start()?;
        self.shop.tills.iter_mut().try_for_each(|(till, _)| till.start())?;
        self.shop.until_hub()?;
        self.shop.until("the hub", |status| status["links"][0]["settled"] == true)
    }
}
