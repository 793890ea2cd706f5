//! Opening the shop: headquarters, a hub and three terminals, from nothing to the first customer.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;

use serde_json::{Value, json};

use super::failure::Failure;
use super::shop::{DAY, HQ, HUB, Part, STORE, Shop, TILLS, settled};
use crate::demo::trouble::Trouble;

/// What the shop sells.
const ITEMS: &str = "sku,name,price,service\n\
                     71053,WHITE METAL LANTERN,3.39,no\n\
                     85123A,WHITE HANGING HEART T-LIGHT HOLDER,2.55,no\n";
/// What every terminal's settings are.
const TILL_SETTINGS: [&str; 1] = ["till.currency=GBP"];

impl Shop {
    /// Opens it; every terminal sells from the catalogue and is linked to everybody when this returns.
    pub fn open(&mut self) -> Result<(), Failure> {
        self.place(HQ, Part::Headquarters, 30, &["books.watermark_every=1s"])?;
        self.order_in(HQ, &["hqd", "init", "--name", "Head office", "--data", &self.data(HQ)])?;
        self.launch(HQ, &[])?;
        self.found(HUB, 10)?;
        self.start(HUB)?;
        self.join_headquarters()?;
        for (nth, till) in TILLS.into_iter().enumerate() {
            let last = u8::try_from(11 + nth).unwrap_or(u8::MAX);
            self.place(till, Part::Till, last, &TILL_SETTINGS)?;
            self.enrol(till, HUB)?;
            self.launch(till, &[])?;
        }
        self.publish("the assortment", ITEMS)?;
        self.meet()?;
        let day = json!({ "date": DAY });
        self.call(TILLS[0], "POST", "/v1/day", Some("open the day"), Some(&day))?.granted()?;
        self.wait("the business day on every terminal", |shop| {
            shop.each_till(|status| status["business_day"] == DAY)
        })
    }

    /// The directory of a box, as an argument.
    pub fn data(&self, name: &str) -> String {
        self.machine(name).data.display().to_string()
    }

    /// Founds a store in a box. Its recovery code lies in `DIR/NAME.recovery-code`.
    pub fn found(&mut self, name: &'static str, last: u8) -> Result<(), Failure> {
        self.place(name, Part::Hub, last, &[&format!("shop.name={STORE}"), "shop.currency=GBP"])?;
        let data = self.data(name);
        let init =
            self.ask(&["hubd", "init", "--json", "--name", STORE, "--currency", "GBP", "--data", &data])?;
        let path = self.recovery_code(name);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let code = text(&init, "/recovery_code")?;
        let kept = file.and_then(|mut file| std::io::Write::write_all(&mut file, code.as_bytes()));
        kept.map_err(|e| Failure::system(format!("cannot write {path}"), e))
    }

    /// Founds another store beside ours.
    pub fn found_apart(&mut self, name: &'static str, last: u8) -> Result<(), Failure> {
        // From an earlier case.
        let _ = fs::remove_dir_all(self.dir().join(name));
        let _ = fs::remove_file(self.recovery_code(name));
        self.found(name, last)
    }

    /// The file with a store's recovery code.
    pub fn recovery_code(&self, name: &str) -> String {
        self.dir().join(format!("{name}.recovery-code")).display().to_string()
    }

    fn join_headquarters(&mut self) -> Result<(), Failure> {
        self.wait("headquarters to answer", |shop| shop.status(HQ).map(drop))?;
        let code = self.hqd(&["add-store", STORE, "--currency", "GBP"])?;
        let code = text(&code, "/code")?;
        let (at, recovery) = (self.address(HQ), self.recovery_code(HUB));
        self.hubctl(&["join-hq", &code, "--hq", &at, "--recovery-code", &recovery])?;
        Ok(())
    }

    /// Makes a terminal that was placed one of a hub's store. The terminal does not run yet.
    pub fn enrol(&mut self, till: &'static str, hub: &str) -> Result<(), Failure> {
        let code = self.hubctl_of(hub, &["enrol", till])?;
        let (code, at) = (text(&code, "/code")?, self.address(hub));
        let data = self.data(till);
        self.order_in(till, &["terminal-agent", "enrol", &code, "--hub", &at, "--data", &data])?;
        Ok(())
    }

    /// Headquarters publishes a catalogue, and every terminal has it when this returns.
    pub fn publish(&mut self, name: &str, csv: &str) -> Result<(), Failure> {
        self.send_out(name, csv)?;
        self.wait("the catalogue on every terminal", |shop| {
            shop.each_till(|status| status["catalogue"]["name"] == name)
        })
    }

    /// Headquarters publishes a catalogue.
    pub fn send_out(&mut self, name: &str, csv: &str) -> Result<(), Failure> {
        let file = self.dir().join("catalogue.csv");
        fs::write(&file, csv).map_err(|e| Failure::system(format!("cannot write {}", file.display()), e))?;
        self.hqd(&["publish", &file.display().to_string(), "--all", "--name", name])?;
        Ok(())
    }

    /// Waits until every terminal that runs is linked to the hub and to every other one, and the hub to headquarters.
    pub fn meet(&mut self) -> Result<(), Failure> {
        self.wait("all links", |shop| {
            let others = shop.tills().len();
            shop.each_till(|status| settled(status) >= others)?;
            let hub = shop.status(shop.hub)?;
            let whole = hub["headquarters"]["alive"] == true && settled(&hub) > others;
            if whole { Ok(()) } else { Err(hub.to_string()) }
        })
    }

    /// Whether the status of every terminal that runs is as wanted; else what one of them says.
    pub fn each_till(&self, wanted: impl Fn(&Value) -> bool) -> Result<(), String> {
        for till in self.tills() {
            let status = self.status(till)?;
            if !wanted(&status) {
                return Err(format!("{till}: {status}"));
            }
        }
        Ok(())
    }
}

/// A catalogue of what the shop sells, and so many items more.
pub fn catalogue_of(more: u32) -> String {
    let mut csv = ITEMS.to_owned();
    for item in 0..more {
        // Names that do not compress, so that bytes on the wire are bytes of the sheet.
        let noise = item.wrapping_mul(2_654_435_761);
        csv.push_str(&format!("X{item:06},ITEM {noise:010} OF {:010},1.00,no\n", noise.rotate_left(13)));
    }
    csv
}

/// A text in an answer.
pub fn text(answer: &Value, pointer: &str) -> Result<String, Failure> {
    let found = answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| {
        let said: String = answer.to_string().chars().take(400).collect();
        Failure::Trouble(Trouble::Odd { who: "a program".into(), what: pointer.into(), said })
    })
}
