//! Whether everybody holds the same books, and whether those are what the tills promised: I1 to I5.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cashier::{Cashier, GOODS};
use super::failure::{Failure, must};
use super::ledger::Sums;
use super::shop::{DAY, HQ, STORE, Shop};

/// Rows of a page of sales.
const PAGE: usize = 1_000;

impl Shop {
    /// A cashier at every terminal that runs begins to sell.
    pub fn sell_on_all(&mut self) -> Result<(), Failure> {
        for till in self.tills() {
            self.sell_on(till)?;
        }
        Ok(())
    }

    /// A cashier at one more terminal.
    pub fn sell_on(&mut self, till: &'static str) -> Result<(), Failure> {
        self.shifts += 1;
        let cashier = Cashier::start(self.counter(till), format!("shift-{}", self.shifts));
        self.cashiers.push(cashier.map_err(|e| Failure::system("cannot start a cashier", e))?);
        Ok(())
    }

    /// All cashiers rest, with no sale in hand.
    pub fn rest(&mut self) -> Result<(), Failure> {
        self.cashiers.iter().for_each(Cashier::rest);
        let rested =
            self.wait_for("all cashiers to finish their sale", Duration::from_secs(120), |shop| {
                for cashier in &shop.cashiers {
                    match cashier.rests() {
                        Ok(true) => {}
                        Ok(false) => return Err(format!("{} has a sale in hand", cashier.till())),
                        Err(gave_up) => return Ok(Err(gave_up)),
                    }
                }
                Ok(Ok(()))
            })?;
        rested.map_err(Failure::Wrong)
    }

    /// They go on.
    pub fn go_on(&self) {
        self.cashiers.iter().for_each(Cashier::go_on);
    }

    /// All cashiers go home. Sales in hand are finished first.
    pub fn go_home(&mut self) -> Result<(), Failure> {
        self.rest()?;
        self.cashiers.clear();
        Ok(())
    }

    /// The cashier of one terminal goes home.
    pub fn send_home(&mut self, till: &str) {
        self.cashiers.retain(|cashier| cashier.till() != till);
    }

    /// Waits until this till has sold so many more.
    pub fn sells(&mut self, till: &'static str, more: usize) -> Result<(), Failure> {
        let sold = |shop: &Self| shop.ledger.acks_since(&Default::default());
        let count = |acks: &[super::ledger::Ack]| acks.iter().filter(|ack| ack.till == till).count();
        let before = count(&sold(self));
        self.wait(&format!("{more} sales at {till}"), |shop| match count(&sold(shop)) - before {
            now if now >= more => Ok(()),
            now => Err(format!("{now}")),
        })
    }

    /// Waits until each of these has sold so many more.
    pub fn all_sell(&mut self, tills: &[&'static str], more: usize) -> Result<(), Failure> {
        for till in tills {
            self.sells(till, more)?;
        }
        Ok(())
    }

    /// Waits until the hub and all terminals that run hold the same, and headquarters the books of it. How long it took.
    pub fn agree(&mut self) -> Result<Duration, Failure> {
        self.agree_within(super::shop::SOON, true)
    }

    /// Likewise within a deadline, with or without headquarters.
    pub fn agree_within(&mut self, deadline: Duration, with_hq: bool) -> Result<Duration, Failure> {
        let started = Instant::now();
        self.wait_for("I4: equal digests everywhere", deadline, |shop| shop.is_one(with_hq))?;
        Ok(started.elapsed())
    }

    /// Whether everybody says the same now.
    pub fn is_one(&self, with_hq: bool) -> Result<(), String> {
        let at_hub = self.status(self.hub)?;
        for till in self.tills() {
            let here = self.status(till)?;
            for key in ["/digests/books", "/digests/floor", "/frontier"] {
                if here.pointer(key) != at_hub.pointer(key) {
                    return Err(format!(
                        "{key}: {} at the hub, {} at {till}",
                        at_hub.pointer(key).unwrap_or(&Value::Null),
                        here.pointer(key).unwrap_or(&Value::Null)
                    ));
                }
            }
        }
        if !with_hq {
            return Ok(());
        }
        let stores = self.hqd(&["stores"]).map_err(|silent| silent.to_string())?;
        let here =
            stores["stores"].as_array().and_then(|all| all.iter().find(|store| store["store"] == STORE));
        let pairs = [("/digests/books", "/digests/books"), ("/frontier", "/books_frontier")];
        for (key, same) in pairs {
            let said = here.and_then(|here| here.pointer(key));
            if said != at_hub.pointer(same) {
                return Err(format!(
                    "{key}: {:?} at the hub, {said:?} at headquarters",
                    at_hub.pointer(same)
                ));
            }
        }
        Ok(())
    }

    /// I1, I2 and I6, against what was acknowledged: nothing lost, nothing doubled, at any node.
    pub fn books_hold(&self) -> Result<(), Failure> {
        let promised = self.ledger.sums();
        let ids: BTreeSet<String> =
            self.ledger.acks_since(&Default::default()).into_iter().map(|ack| ack.sale).collect();
        for till in self.tills() {
            let totals = self.get(till, &format!("/v1/totals?day={DAY}")).map_err(Failure::Wrong)?;
            let net = totals["money"][0]["net"].as_str().map_or(0, pence);
            let pieces = self.pieces(|code| {
                let row = self.get(till, &format!("/v1/stock/{code}")).map_err(Failure::Wrong)?;
                Ok(row["qty"].clone())
            })?;
            same(
                till,
                &promised,
                &Sums { sales: totals["sales"].as_i64().unwrap_or(0), pence: net, pieces },
            )?;
            let listed = self.listed(till)?;
            let lost: Vec<_> = ids.difference(&listed).collect();
            must(lost.is_empty(), || format!("I1: {till} does not know the acknowledged sales {lost:?}"))?;
        }
        let day = &self.hubctl(&["sales", "--day", DAY])?["days"][0];
        let pieces = self.pieces(|code| Ok(self.hubctl(&["stock", code])?["stock"][0]["qty"].clone()))?;
        let (sales, net) = (day["sales"].as_i64().unwrap_or(0), day["net"].as_str().map_or(0, pence));
        same(self.hub, &promised, &Sums { sales, pence: net, pieces })?;
        if self.runs(HQ) {
            let report = self.hqd(&["report", "--store", STORE, "--day", DAY, "--by", "day"])?;
            let row = &report["days"][0];
            let (sales, net) = (row["sales"].as_i64().unwrap_or(0), row["net"].as_str().map_or(0, pence));
            same(HQ, &promised, &Sums { sales, pence: net, pieces: promised.pieces.clone() })?;
        }
        Ok(())
    }

    /// What was sold of each code, from what is on the shelf.
    fn pieces(
        &self,
        qty: impl Fn(&str) -> Result<Value, Failure>,
    ) -> Result<BTreeMap<&'static str, i64>, Failure> {
        let mut all = BTreeMap::new();
        for (code, _) in GOODS {
            let said = qty(code)?;
            let whole = said.as_str().and_then(|text| text.split('.').next()?.parse::<i64>().ok());
            let left = whole.ok_or_else(|| Failure::wrong(format!("{said} is no quantity of {code}")))?;
            if left != 0 {
                all.insert(code, -left);
            }
        }
        Ok(all)
    }

    /// The ids of all sales that a till lists.
    fn listed(&self, till: &str) -> Result<BTreeSet<String>, Failure> {
        let mut ids = BTreeSet::new();
        let mut after = String::new();
        loop {
            let path = format!("/v1/sales?day={DAY}&limit={PAGE}{after}");
            let page = self.get(till, &path).map_err(Failure::Wrong)?;
            let rows = page["sales"].as_array().map_or(&[][..], Vec::as_slice);
            for row in rows {
                let id = row["sale"].as_str().unwrap_or_default().to_owned();
                must(ids.insert(id.clone()), || format!("I2: {till} lists sale {id} twice"))?;
            }
            match rows.last().and_then(|row| row["sale"].as_str()) {
                Some(last) if !page["next"].is_null() => after = format!("&after={last}"),
                _ => return Ok(ids),
            }
        }
    }
}

fn same(who: &str, promised: &Sums, says: &Sums) -> Result<(), Failure> {
    must(promised == says, || format!("I1, I2: {promised:?} were acknowledged, {who} says {says:?}"))
}

/// Decimal text with two digits, in its smallest unit.
fn pence(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap_or(0)
}
