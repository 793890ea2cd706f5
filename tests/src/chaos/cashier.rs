//! Cashiers: one for each till, in the till's own namespace, who ring up sale after sale whatever happens to the shop.
//!
//! Invariants: whoever gets no answer, or "not now", asks again with the same keys until there is one, and writes only what
//! was answered into the [`Ledger`]; a sale that was begun is finished before a cashier rests or goes home.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ledger::{Ack, Ledger};
use super::wire::Door;
use crate::door::{Answer, Api, DoorError};

/// The codes that are sold, with their price in pence.
pub const GOODS: [(&str, i64); 2] = [("71053", 339), ("85123A", 255)];
/// Where a till's API listens, inside its namespace.
pub const API: &str = "http://127.0.0.1:7480";
/// Between two customers.
const CUSTOMERS_EVERY: Duration = Duration::from_millis(120);
/// Before the same is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(60);
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long a sale that was begun may take once the cashier should rest.
const PATIENCE: Duration = Duration::from_secs(90);

/// A cashier at work. Goes home with this value.
#[derive(Debug)]
pub struct Cashier {
    till: &'static str,
    order: Arc<Order>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Order {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Now {
    rest: bool,
    home: bool,
    resting: bool,
    /// A sale that could not be finished, in words.
    gave_up: Option<String>,
}

/// What a cashier needs.
#[derive(Clone, Debug)]
pub struct Counter {
    /// What people call the till.
    pub till: &'static str,
    /// The way in.
    pub door: Door,
    /// The file with the API's token.
    pub token: PathBuf,
    /// Where answers go.
    pub ledger: Arc<Ledger>,
}

impl Cashier {
    /// Begins to sell. `keys` is different for each cashier of a run.
    pub fn start(counter: Counter, keys: String) -> std::io::Result<Self> {
        let (till, order) = (counter.till, Arc::new(Order::default()));
        let told = Arc::clone(&order);
        let thread = std::thread::Builder::new().name(format!("cashier {till}")).spawn(move || {
            let gave_up = match counter.door.enter() {
                Ok(()) => work(&counter, &keys, &told).err(),
                Err(closed) => Some(closed.in_full()),
            };
            let mut now = told.now();
            now.resting = true;
            now.gave_up = gave_up;
            told.changed.notify_all();
        })?;
        Ok(Self { till, order, thread: Some(thread) })
    }

    /// The till.
    pub fn till(&self) -> &'static str {
        self.till
    }

    /// Tells to rest after the sale in hand; see [`Cashier::rests`].
    pub fn rest(&self) {
        self.order.tell(|now| now.rest = true);
    }

    /// Whether no sale is in hand; an error if one was given up.
    pub fn rests(&self) -> Result<bool, String> {
        let now = self.order.now();
        now.gave_up.clone().map_or(Ok(now.resting), Err)
    }

    /// Goes on.
    pub fn go_on(&self) {
        self.order.tell(|now| now.rest = false);
    }
}

impl Drop for Cashier {
    fn drop(&mut self) {
        self.order.tell(|now| now.home = true);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

impl Order {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl FnOnce(&mut Now)) {
        what(&mut self.now());
        self.changed.notify_all();
    }

    /// Waits for the next customer. False if it is time to go home.
    fn next_customer(&self) -> bool {
        let pause = |now: MutexGuard<'_, Now>| {
            let ends = |now: &mut Now| !now.home && !now.rest;
            let waited = self.changed.wait_timeout_while(now, CUSTOMERS_EVERY, ends);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        };
        pause(self.now());
        let mut now = self.now();
        while now.rest && !now.home {
            now.resting = true;
            self.changed.notify_all();
            now = self.changed.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
        now.resting = false;
        !now.home
    }

    /// Waits a moment. False if it is time to go home, whatever is in hand.
    fn moment(&self) -> bool {
        let waited = self.changed.wait_timeout_while(self.now(), AGAIN_AFTER, |now| !now.home);
        !waited.unwrap_or_else(PoisonError::into_inner).0.home
    }

    fn should_end(&self) -> bool {
        let now = self.now();
        now.rest || now.home
    }
}

fn work(counter: &Counter, keys: &str, order: &Order) -> Result<(), String> {
    for customer in 0_i64.. {
        if !order.next_customer() {
            break;
        }
        let basket = Basket::of(customer);
        let key = format!("{keys}-{}-{customer}", counter.till);
        let (mut began, mut disturbed, mut told) = (Instant::now(), false, None);
        let first = began;
        let sale = loop {
            let token = std::fs::read_to_string(&counter.token).unwrap_or_default();
            let api = Api::new(API, token.trim(), ANSWER_WITHIN);
            match ring_up(&api, &key, &basket) {
                Ok(sale) => break sale,
                Err(Setback::Silent) => counter.ledger.silence(counter.till),
                Err(Setback::Refused(answer)) => {
                    counter.ledger.refuse(counter.till, answer.status, &answer.body);
                    told = Some(answer.body.to_string());
                }
            }
            disturbed = true;
            if !order.moment() {
                return Ok(());
            }
            if order.should_end() && began.elapsed() > PATIENCE {
                return Err(format!("{}: a sale was begun and never answered: {told:?}", counter.till));
            }
            if !order.should_end() {
                began = Instant::now();
            }
        };
        let took = (!disturbed).then(|| first.elapsed());
        match basket.acknowledged(counter.till, &sale) {
            Some(ack) => counter.ledger.acknowledge(ack, took),
            None => return Err(format!("{}: an answer that is no sale: {sale}", counter.till)),
        }
    }
    Ok(())
}

/// Why a sale is not done yet.
enum Setback {
    /// No answer.
    Silent,
    /// An answer, and it is not what was asked for.
    Refused(Answer),
}

impl From<DoorError> for Setback {
    fn from(_: DoorError) -> Self {
        Self::Silent
    }
}

/// What a customer buys.
struct Basket {
    pieces: BTreeMap<&'static str, i64>,
}

impl Basket {
    fn of(customer: i64) -> Self {
        let [(lantern, _), (heart, _)] = GOODS;
        let mut pieces = BTreeMap::from([(lantern, 1 + customer % 3)]);
        if customer % 2 == 1 {
            pieces.insert(heart, 2);
        }
        Self { pieces }
    }

    fn pence(&self) -> i64 {
        GOODS.iter().map(|(code, price)| price * self.pieces.get(code).unwrap_or(&0)).sum()
    }

    fn acknowledged(&self, till: &'static str, sale: &Value) -> Option<Ack> {
        Some(Ack {
            till,
            sale: sale["sale"].as_str()?.to_owned(),
            number: sale["number"].as_str()?.to_owned(),
            series: sale["series"].as_u64()?,
            counter: sale["counter"].as_u64()?,
            tag: sale["tag"].as_str()?.to_owned(),
            pence: self.pence(),
            pieces: self.pieces.clone(),
        })
    }
}

/// One sale, from the first scan to the money. Asked for again with the same key it is one sale.
fn ring_up(api: &Api, key: &str, basket: &Basket) -> Result<Value, Setback> {
    let post = |path: &str, step: &str, body: Value| {
        let answer = api.call("POST", path, &[("Idempotency-Key", &format!("{key}-{step}"))], Some(&body))?;
        if (200..300).contains(&answer.status) { Ok(answer.body) } else { Err(Setback::Refused(answer)) }
    };
    let cart = post("/v1/carts", "cart", json!({}))?;
    let path = format!("/v1/carts/{}", cart["cart"].as_str().unwrap_or_default());
    let at = api.call("GET", &path, &[], None)?;
    if at.status != 200 || at.body["state"] != "sold" {
        for (code, pieces) in &basket.pieces {
            let line = json!({ "code": code, "qty": pieces.to_string() });
            post(&format!("{path}/lines"), code, line)?;
        }
    }
    let money = format!("{}.{:02}", basket.pence() / 100, basket.pence() % 100);
    let tenders = json!({ "tenders": [{ "kind": "cash", "amount": money }] });
    post(&format!("{path}/sale"), "sale", tenders)
}
