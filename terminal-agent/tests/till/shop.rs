//! Tills with a hub and with each other, over real links on 127.0.0.1.

use crate::common::{CATALOGUE, config, text};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use terminal_agent::ask::Door;
use terminal_agent::desk::Desk;
use terminal_agent::service::{Agent, meaning};
use toko_crdt::clock::UnixMicros;
use toko_crdt::hash::hex;
use toko_crdt::settling::Settling;
use toko_crdt::{Body, CartId, KvRead, Lane};
use toko_mesh::identity::Role;
use toko_mesh::node::setup::{enrol_terminal, found_store};
use toko_mesh::node::{Node, NodeConfig};
use toko_mesh::store::Wait;
use toko_retail::bundle::publish_catalogue;
use toko_retail::catalogue::Catalogue;
use toko_retail::currency::Currency;
use toko_retail::day::Day;
use toko_retail::ops::{BundleActivatedV1, BundleKind, OpV1, What};
use toko_retail::views::{CartState, carts_open, sales_of_day};

const SOON: Duration = Duration::from_secs(30);

async fn hub(dir: &Path) -> Node {
    let data = dir.join("hub");
    if !data.exists() {
        found_store(&data, &meaning()).unwrap();
    }
    let config = NodeConfig::new(data, Role::Hub, "127.0.0.1:0".parse().unwrap());
    Node::open(config, meaning().fold, meaning().scope).await.unwrap()
}

pub(crate) async fn publish(hub: &Node, csv: &str, rev: u64) {
    let catalogue = Catalogue::import(csv.as_bytes(), Currency::parse("GBP").unwrap(), &[]).unwrap();
    let (published, blob) = publish_catalogue(&catalogue, "week 48", &[]).unwrap();
    let blob = hub.blob_put(blob).await.unwrap();
    let activated = BundleActivatedV1 { kind: BundleKind::Catalogue, blob: blob.0, rev };
    for what in [What::BundlePublished(published), What::BundleActivated(activated)] {
        hub.append(Lane::Books, Body::Op(OpV1::new(what).encode()), None, Wait::Synced).await.unwrap();
    }
}

/// Waits until something holds at the hub, looking again whenever its store changes.
pub(crate) async fn hub_until(hub: &Node, what: &str, holds: impl Fn(&Node) -> bool) {
    let mut changed = hub.changed();
    let wait = async {
        while !holds(hub) {
            changed.changed().await.unwrap();
        }
    };
    assert!(tokio::time::timeout(SOON, wait).await.is_ok(), "waited for: {what}");
}

pub(crate) struct Till {
    pub(crate) agent: Agent,
    pub(crate) door: Door,
}

impl Till {
    /// Enrols a till at the hub and starts it.
    pub(crate) async fn new(dir: &Path, hub: &Node, name: &str) -> Self {
        let code = hub.open_code(name).unwrap();
        let data = dir.join(name);
        enrol_terminal(&data, &code, &[hub.listen_addr()], None, &meaning()).await.unwrap();
        Self::start(dir, name).await
    }

    async fn start(dir: &Path, name: &str) -> Self {
        let data = dir.join(name);
        let agent = Agent::start(&data, &config()).await.unwrap();
        let door = Door { address: agent.address(), token: Desk::new(&data).token().unwrap() };
        Self { agent, door }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.door.call(hyper::Method::GET, path, None, None).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Value {
        let (status, answer) =
            self.door.call(hyper::Method::POST, path, Some(key), Some(&body)).await.unwrap();
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    /// Asks until the answer is as wanted, at most for [`SOON`]. It asks as a till screen does, which hears of nothing by itself:
    /// the API pushes no events, so it is asked again after a moment.
    pub(crate) async fn until(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let (status, answer) = self.get(path).await;
            if status == 200 && wanted(&answer) {
                return answer;
            }
            assert!(begin.elapsed() < SOON, "waited for: {what}; last: {answer:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A hub and two tills that have its catalogue.
async fn shop_of_two(dir: &Path) -> (Node, Till, Till) {
    let hub = hub(dir).await;
    publish(&hub, CATALOGUE, 1).await;
    let tills = [Till::new(dir, &hub, "Till 1").await, Till::new(dir, &hub, "Till 2").await];
    for till in &tills {
        till.until("/v1/status", "the catalogue", |status| status["catalogue"]["items"] == 4).await;
    }
    let [one, two] = tills;
    (hub, one, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_parked_at_one_till_is_finished_at_another_while_the_hub_is_dark() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, one, two) = shop_of_two(dir.path()).await;
    for till in [&one, &two] {
        till.until("/v1/status", "links to hub and till", |status| {
            status["links"].as_array().unwrap().iter().filter(|link| link["settled"] == true).count() == 2
        })
        .await;
    }
    let before = text(&one.get("/v1/status").await.1["hub"]["node"]);
    assert_eq!(before, hub.id().to_string());
    hub.shutdown().await.unwrap();
    one.until("/v1/status", "the hub to be dark", |status| status["hub"]["linked"] == false).await;

    one.post("/v1/day", "d", json!({ "date": "2010-12-01" })).await;
    let cart = text(&one.post("/v1/carts", "c", json!({})).await["cart"]);
    let path = format!("/v1/carts/{cart}");
    one.post(&format!("{path}/lines"), "l", json!({ "code": "71053", "qty": "2" })).await;
    one.post(&format!("{path}/tenders"), "m", json!({ "kind": "cash", "amount": "1.00" })).await;
    // As long as a cashier fills it, nobody takes it.
    two.until(&path, "its line and money", |cart| cart["total"] == "6.78" && cart["tendered"] == "1.00")
        .await;
    let (status, refused) =
        two.door.call(hyper::Method::POST, &format!("{path}/take"), Some("soon"), None).await.unwrap();
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("cart-not-here")));
    one.post(&format!("{path}/park"), "p", json!({ "note": "the lady with the dog" })).await;

    two.until("/v1/carts?state=parked", "the parked cart", |list| list["carts"][0]["cart"] == cart.as_str())
        .await;
    let taken = two.post(&format!("{path}/take"), "t", json!({})).await;
    assert_eq!((taken["holder"]["here"].as_bool(), taken["turn"].as_u64()), (Some(true), Some(3)));
    // Who had it learns so, and adds nothing to it any more.
    one.until(&path, "the other till's hand on it", |cart| cart["turn"] == 3).await;
    let late = json!({ "code": "71053", "qty": "1" });
    let line = format!("{path}/lines");
    let (status, refused) =
        one.door.call(hyper::Method::POST, &line, Some("late"), Some(&late)).await.unwrap();
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("cart-not-here")));
    two.post(&format!("{path}/lines"), "l2", json!({ "code": "POST", "qty": "1" })).await;
    let closing = json!({ "tenders": [{ "kind": "cash", "amount": "24.00" }] });
    let sale = two.post(&format!("{path}/sale"), "s", closing).await;
    assert_eq!((sale["total"].as_str(), sale["change"].as_str()), (Some("24.78"), Some("0.22")));
    assert_eq!((sale["number"].as_str(), sale["day"].as_str()), (Some("2-1-000001"), Some("2010-12-01")));

    let id = format!("/v1/sales/{}", text(&sale["sale"]));
    one.until(&id, "the sale at the other till", |_| true).await;
    one.until(&path, "the cart to be done", |cart| cart["state"] == "sold").await;
    let (status, refused) =
        one.door.call(hyper::Method::POST, &format!("{path}/take"), Some("t"), None).await.unwrap();
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("cart-done")));
    let held = |sale: &Value| sale["holders"]["devices"] == 1 && sale["holders"]["this_till"] == true;
    two.until(&id, "the other till to acknowledge", held).await;
    let digests = |till: &Value| till["digests"].clone();
    let there = digests(&two.get("/v1/status").await.1);
    one.until("/v1/status", "equal digests", |status| digests(status) == there).await;
    one.agent.stop().await;
    two.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_cart_outlives_the_settling_of_the_others_and_is_sold_at_another_till() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, one, two) = shop_of_two(dir.path()).await;
    sell(&one, "a").await;
    let cart = text(&one.post("/v1/carts", "c", json!({})).await["cart"]);
    let path = format!("/v1/carts/{cart}");
    one.post(&format!("{path}/lines"), "l", json!({ "code": "71053", "qty": "2" })).await;
    one.post(&format!("{path}/park"), "p", json!({ "note": "on Thursday" })).await;
    two.until("/v1/carts?state=parked", "the parked cart", |list| list["carts"][0]["cart"] == cart.as_str())
        .await;
    two.until("/v1/sales", "the sale", |list| list["sales"].as_array().unwrap().len() == 1).await;

    // As a seal of nine days later would have it.
    let parked = CartId::parse(&cart).unwrap();
    let later = |days: i64| UnixMicros(parked.made_at().0 + days * 86_400_000_000);
    let settle = async |before: UnixMicros| {
        let due = hub.store().reader().settlings_due(before).unwrap();
        for word in due.clone() {
            hub.append(Lane::Floor, Body::Settled(word), None, Wait::Synced).await.unwrap();
        }
        due
    };
    let open = |hub: &Node| -> Vec<CartState> {
        hub.read(|kv| carts_open(kv)).unwrap().into_iter().map(|cart| cart.state).collect()
    };
    hub_until(&hub, "it hears of one cart that is parked, and of one that is done", |hub| {
        open(hub) == [CartState::Parked] && !hub.store().reader().settlings_due(later(2)).unwrap().is_empty()
    })
    .await;
    let due = settle(later(2)).await;
    assert!(due.iter().all(|word| word.keep() == [parked] || word.before() <= parked.made_at()), "{due:?}");
    let as_at_hub = async |till: &Till| {
        let floor = hex(&hub.store().reader().digests().unwrap().floor.0);
        till.until("/v1/status", "the floor of the hub", |status| status["digests"]["floor"] == *floor).await;
    };

    // A cart that is opened now lies in a time that is settled already, had it only its clock to go by.
    as_at_hub(&two).await;
    let fresh = text(&two.post("/v1/carts", "n", json!({})).await["cart"]);
    assert!(Some(CartId::parse(&fresh).unwrap().made_at()) > due.last().map(Settling::before));
    let line = json!({ "code": "71053", "qty": "1" });
    two.post(&format!("/v1/carts/{fresh}/lines"), "nl", line).await;
    hub_until(&hub, "it hears of the new cart", |hub| open(hub).len() == 2).await;
    let closing = json!({ "tenders": [{ "kind": "cash", "amount": "5.00" }] });
    two.post(&format!("/v1/carts/{fresh}/sale"), "ns", closing).await;
    two.post(&format!("{path}/take"), "t", json!({})).await;
    two.post(&format!("{path}/lines"), "l2", json!({ "code": "POST", "qty": "1" })).await;
    let closing = json!({ "tenders": [{ "kind": "cash", "amount": "24.78" }] });
    let sale = two.post(&format!("{path}/sale"), "s", closing).await;
    assert_eq!(sale["total"].as_str(), Some("24.78"));
    one.until(&path, "the cart to be done", |cart| cart["state"] == "sold").await;
    hub_until(&hub, "it hears that the cart is done", |hub| open(hub).is_empty()).await;
    settle(later(9)).await;
    as_at_hub(&one).await;
    assert_eq!(one.get(&path).await.0, 404, "it went with the next settling");
    let (status, sold) = one.get(&format!("/v1/sales/{}", text(&sale["sale"]))).await;
    assert_eq!((status, sold["total"].as_str()), (200, Some("24.78")), "{sold}");
    one.agent.stop().await;
    two.agent.stop().await;
    hub.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_of_long_ago_leave_the_lists_and_what_they_came_to_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, one, two) = shop_of_two(dir.path()).await;
    sell(&one, "a").await;
    sell(&two, "b").await;
    let day = text(&one.get("/v1/day").await.1["date"]);
    two.until("/v1/sales", "both sales", |list| list["sales"].as_array().unwrap().len() == 2).await;
    one.until("/v1/sales", "both sales", |list| list["sales"].as_array().unwrap().len() == 2).await;
    let totals = one.get(&format!("/v1/totals?day={day}")).await.1;
    assert_eq!(totals["sales"], 2, "{totals}");
    let sold = text(&one.get("/v1/sales").await.1["sales"][0]["sale"]);

    // As a seal of 402 days later would have it; nothing goes of a day that is still open.
    let booked = |hub: &Node| {
        let of_day = |kv: &dyn KvRead| sales_of_day(kv, Day::parse(&day).unwrap(), None, 9);
        hub.read(of_day).unwrap()
    };
    hub_until(&hub, "it hears of both sales", |hub| booked(hub).len() == 2).await;
    let later = UnixMicros(booked(&hub)[0].at.0 + 2 * 86_400_000_000);
    let due = || hub.store().reader().books_due(later).unwrap();
    assert_eq!(due(), Vec::<Vec<u8>>::new(), "the day is open");
    one.post("/v1/day/close", "z", json!({})).await;
    hub_until(&hub, "it hears that the day is closed", |_| !due().is_empty()).await;
    for op in due() {
        hub.append(Lane::Books, Body::Op(op), None, Wait::Synced).await.unwrap();
    }
    for till in [&one, &two] {
        till.until(&format!("/v1/sales?day={day}"), "no sale", |list| {
            list["sales"].as_array().unwrap().is_empty()
        })
        .await;
        assert_eq!(till.get(&format!("/v1/sales/{sold}")).await.0, 404);
    }
    let (status, mut after) = one.get(&format!("/v1/totals?day={day}")).await;
    after["closed"] = totals["closed"].clone();
    assert_eq!((status, after), (200, totals));

    // Nobody books under a day that is settled; the next sale opens the first one that is not, with the next number.
    let (status, refused) = one
        .door
        .call(hyper::Method::POST, "/v1/day", Some("again"), Some(&json!({ "date": day })))
        .await
        .unwrap();
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("day-settled")), "{refused}");
    assert_eq!(sell(&one, "c").await, "1-1-000002");
    let open = text(&one.get("/v1/day").await.1["date"]);
    assert!(open > day, "{open} is after {day}");
    one.agent.stop().await;
    two.agent.stop().await;
    hub.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_catalogue_takes_the_old_ones_place_and_a_restart_without_network_sells_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    let till = Till::new(dir.path(), &hub, "Till 1").await;
    let (_, status) = till.get("/v1/status").await;
    assert!(
        status["alerts"].as_array().unwrap().iter().any(|alert| alert["code"] == "no-catalogue"),
        "{status}"
    );
    // Without a catalogue, a line with a price and a name sells.
    let cart = text(&till.post("/v1/carts", "c", json!({})).await["cart"]);
    let given = json!({ "code": "M", "qty": "1", "unit_price": "2.00", "name": "Manual" });
    till.post(&format!("/v1/carts/{cart}/lines"), "l", given).await;
    till.post(
        &format!("/v1/carts/{cart}/sale"),
        "s",
        json!({ "tenders": [{ "kind": "cash", "amount": "2" }] }),
    )
    .await;
    publish(&hub, CATALOGUE, 1).await;
    till.until("/v1/items/71053", "the first price", |item| item["price"] == "3.39").await;
    publish(&hub, &CATALOGUE.replace("3.39", "3.99"), 2).await;
    till.until("/v1/items/71053", "the second price", |item| item["price"] == "3.99").await;
    hub.shutdown().await.unwrap();
    till.agent.stop().await;

    let till = Till::start(dir.path(), "Till 1").await;
    let (code, item) = till.get("/v1/items/71053").await;
    assert_eq!((code, item["price"].as_str()), (200, Some("3.99")));
    till.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_directory_is_seen_numbers_apart_and_everybody_sells_on() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    publish(&hub, CATALOGUE, 1).await;
    let one = Till::new(dir.path(), &hub, "Till 1").await;
    one.until("/v1/status", "the catalogue", |status| status["catalogue"]["items"] == 4).await;
    assert_eq!(sell(&one, "a").await, "1-1-000001");
    one.agent.stop().await;
    copy(&dir.path().join("Till 1"), &dir.path().join("Copy"));

    let one = Till::start(dir.path(), "Till 1").await;
    let copy = Till::start(dir.path(), "Copy").await;
    // Before anybody can know, both may print the same number; the tags tell them apart.
    assert_eq!(sell(&one, "b").await, "1-1-000002");
    let twice = sell(&copy, "c").await;
    for till in [&one, &copy] {
        till.until("/v1/sales", "all three sales", |list| list["sales"].as_array().unwrap().len() == 3).await;
    }
    let (here, there) = (sell_in_its_own(&one, "d").await, sell_in_its_own(&copy, "e").await);
    let series = |number: &str| number.split('-').nth(1).unwrap().to_owned();
    assert_ne!(series(&here), series(&there));
    assert!(here.ends_with("-000001"), "{here}");
    // The copy may have heard of the other one before its first sale.
    let second = series(&twice) == series(&there);
    assert!(there.ends_with(if second { "-000002" } else { "-000001" }), "{twice}, then {there}");
    let (_, status) = one.get("/v1/status").await;
    let alerts = status["alerts"].as_array().unwrap();
    for code in ["clone-seen", "own-series"] {
        assert!(alerts.iter().any(|alert| alert["code"] == code), "{code}: {status}");
    }
    one.agent.stop().await;
    copy.agent.stop().await;
    hub.shutdown().await.unwrap();
}

pub(crate) async fn sell(till: &Till, key: &str) -> String {
    let cart = text(&till.post("/v1/carts", &format!("{key}-c"), json!({})).await["cart"]);
    let line = json!({ "code": "71053", "qty": "1" });
    till.post(&format!("/v1/carts/{cart}/lines"), &format!("{key}-l"), line).await;
    let paid = json!({ "tenders": [{ "kind": "cash", "amount": "3.39" }] });
    let sale = till.post(&format!("/v1/carts/{cart}/sale"), &format!("{key}-s"), paid).await;
    text(&sale["number"])
}

/// Sells until the number is of a series of the till's own; what is known of copies may be a second old, by the real clock, and
/// whether it is shows only in a number.
async fn sell_in_its_own(till: &Till, key: &str) -> String {
    let begin = Instant::now();
    for at in 0.. {
        let number = sell(till, &format!("{key}{at}")).await;
        if !number.starts_with("1-1-") {
            return number;
        }
        assert!(begin.elapsed() < SOON, "still {number}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!("the loop ends by returning or failing")
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_is_enrolled_by_its_command_and_a_wrong_code_has_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    let code = hub.open_code("Till 7").unwrap().to_string();
    let at = hub.listen_addr().to_string();
    let data = dir.path().join("till");
    let enrol = |code: String, data: std::path::PathBuf| {
        let at = at.clone();
        tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_terminal-agent"));
            command.args(["enrol", &code, "--hub", &at, "--data"]).arg(&data).env_remove("STATE_DIRECTORY");
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            (output.status.code().unwrap(), said)
        })
    };
    let (exit, said) = enrol("not a code".into(), data.clone()).await.unwrap();
    assert!(exit == 64 && said.contains("the code cannot be right"), "{exit} {said}");
    let (exit, said) = enrol(code.clone(), data.clone()).await.unwrap();
    assert!(exit == 0 && said.contains("This is terminal 1 (Till 7)"), "{exit} {said}");
    let (exit, said) = enrol(code.clone(), data).await.unwrap();
    assert!(exit == 74 && said.contains("not empty"), "{exit} {said}");
    let (exit, said) = enrol(code, dir.path().join("another")).await.unwrap();
    assert_eq!(exit, 76, "a code is used once: {said}");
    hub.shutdown().await.unwrap();
}
