//! Stores that come, go dark and come again.

use crate::office::Office;
use crate::shop::{Line, sale, write_off};
use crate::store::{Store, until, write};
use hqd::cli::By;
use serde_json::{Value, json};
use std::time::Duration;
use toko_crdt::Body;
use toko_mesh::endpoint::Endpoint;
use toko_mesh::enrol::{CODE_MINUTES, Code, CodeKind, JoiningStore, join_hq};
use toko_mesh::node::Node;
use toko_mesh::tls::TlsKey;
use toko_retail::day::Day;
use toko_retail::ops::{BooksSettledV1, BundleKind, OpV1, SalePlaceV1, What};
use toko_retail::views;

pub(crate) const DAY: &str = "2010-12-01";
const TOMATO: Line = Line { sku: "TOMATO", pieces: 2, pence: 255 };

/// Waits until headquarters holds what this node holds, and has made the same views of it.
pub(crate) async fn until_equal(office: &Office, store: &str, node: &Node) -> Value {
    let mut row = Value::Null;
    until(node, "headquarters holds the same books", async || {
        row = office.store(store).await;
        let status = node.status().await.unwrap();
        row["frontier"] == status.books_root.to_string()
            && row["digests"]["books"] == status.digests.books.to_string()
    })
    .await;
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_joins_by_code_and_its_books_arrive_and_are_acknowledged() {
    let office = Office::new().await;
    let code = office.add_store("High Street").await;
    let store = Store::open().await;
    let till = store.till("Till 1").await;
    let sold = write(&till, sale(DAY, 1, &[TOMATO])).await;
    let headquarters = store.join(&code, office.listen).await.unwrap();
    write(&till, sale(DAY, 2, &[Line { pieces: -1, ..TOMATO }])).await;
    write(&till, write_off(DAY, "TOMATO", 1)).await;

    until(&till, "the till knows that headquarters holds its sale", async || {
        till.holders(&sold.place).unwrap().contains(&headquarters)
    })
    .await;
    let row = until_equal(&office, "High Street", &store.hub).await;
    assert_eq!(
        (&row["state"], &row["lacks"], &row["last_contact_s"]),
        (&json!("joined"), &json!(0), &json!(0))
    );
    assert_eq!((&row["parked"], &row["links"][0]["name"]), (&json!(0), &json!("hub")));

    let report = office.get(&format!("/report?day={DAY}")).await;
    let expected = json!({
        "store": "High Street", "day": DAY, "sales": 1, "returns": 1, "write_off_lines": 1, "lines": 2,
        "gross": "5.10", "returned": "-2.55", "net": "2.55", "currency": "GBP",
        "drawer_without_sale": 0, "drawer_forced": 0,
    });
    assert_eq!(report, json!({ "by": "day", "days": [expected] }));
    let items = office.get("/report?by=item&store=High%20Street").await;
    assert_eq!((&items["items"][0]["qty"], &items["items"][0]["value"]), (&json!("0"), &json!("2.55")));

    for node in [&till, &store.hub] {
        node.shutdown().await.unwrap();
    }
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sold_while_headquarters_was_dark_arrives_when_it_is_back_and_nothing_is_lost() {
    let office = Office::new().await;
    let store = Store::open().await;
    store.join(&office.add_store("High Street").await, office.listen).await.unwrap();
    write(&store.hub, sale(DAY, 1, &[TOMATO])).await;
    until_equal(&office, "High Street", &store.hub).await;

    let dark = office.stop().await;
    write(&store.hub, sale(DAY, 2, &[TOMATO])).await;
    let office = Office::start_again(dark).await;
    until_equal(&office, "High Street", &store.hub).await;
    let sales = |report: Value| report["stores"][0]["sales"].clone();
    assert_eq!(sales(office.get("/report?by=store").await), json!(2));

    // Once more, with the store gone: what is here stays here.
    store.hub.shutdown().await.unwrap();
    let office = office.restart().await;
    let row = office.store("High Street").await;
    assert_eq!(
        (&row["state"], &row["last_contact_s"], &row["lacks"]),
        (&json!("joined"), &Value::Null, &Value::Null)
    );
    assert_eq!(sales(office.get("/report?by=store").await), json!(2));
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_has_settled_and_what_comes_of_it_late_stands_in_every_report() {
    let office = Office::new().await;
    let store = Store::open().await;
    store.join(&office.add_store("High Street").await, office.listen).await.unwrap();
    write(&store.hub, sale(DAY, 1, &[TOMATO])).await;
    until_equal(&office, "High Street", &store.hub).await;
    let by = "/report?by=item-day&store=High%20Street";
    let before = office.get(by).await;
    assert_eq!(before["items"][0]["sold"], "2");

    let day_after = SalePlaceV1 { day: 20_101_202, ..SalePlaceV1::default() };
    let settled = BooksSettledV1 { sales: day_after, jobs_before_micros: 0 };
    write(&store.hub, Body::Op(OpV1::new(What::BooksSettled(settled)).encode())).await;
    until_equal(&office, "High Street", &store.hub).await;
    let day = Day::parse(DAY).unwrap();
    let in_store = |node: &Node| node.read(|kv| views::day_items(kv, day)).unwrap().len();
    assert_eq!(in_store(&store.hub), 0, "the store has let go of it");
    assert_eq!(office.get(by).await, before);
    // A sale of that day that was in a drawer all the while, and one after it.
    write(&store.hub, sale(DAY, 2, &[TOMATO])).await;
    write(&store.hub, sale("2010-12-02", 3, &[TOMATO])).await;
    until_equal(&office, "High Street", &store.hub).await;
    let items = office.get(by).await;
    let sold = |n: usize| (items["items"][n]["day"].clone(), items["items"][n]["sold"].clone());
    assert_eq!(sold(0), (json!(DAY), json!("4")), "{items}");
    assert_eq!(sold(1), (json!("2010-12-02"), json!("2")), "{items}");
    store.hub.shutdown().await.unwrap();
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_to_which_headquarters_came_as_well_is_shown_countersigned() {
    let office = Office::new().await;
    let store = Store::open().await;
    store.join(&office.add_store("High Street").await, office.listen).await.unwrap();
    write(&store.hub, sale(DAY, 1, &[TOMATO])).await;
    let row = until_equal(&office, "High Street", &store.hub).await;
    assert_eq!((&row["seal"], &row["countersigned"]), (&Value::Null, &Value::Null));

    let sealed = store.hub.seal().await.unwrap().hash;
    until(&store.hub, "headquarters countersigned", async || {
        store.hub.seals().unwrap()[0].countersigned == Some(true)
    })
    .await;
    let row = office.store("High Street").await;
    assert_eq!((&row["seal"], &row["countersigned"]), (&json!(sealed.to_string()), &json!(true)));
    let report = office.get("/report?by=store").await;
    assert_eq!(
        (&report["stores"][0]["seal"], &report["stores"][0]["countersigned"]),
        (&row["seal"], &json!(true))
    );
    let (text, csv) = (hqd::show::report(&report, By::Store), hqd::show::report_csv(&report, By::Store));
    assert!(text.contains("COUNTERSIGNED") && csv.trim_end().ends_with(",true"), "{text}{csv}");
    assert!(hqd::show::stores(&office.get("/stores").await).contains("COUNTERSIGNED"));
    store.hub.shutdown().await.unwrap();
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_share_a_port_and_nothing_else() {
    let office = Office::new().await;
    let (one, other) = (Store::open().await, Store::open().await);
    one.join(&office.add_store("One").await, office.listen).await.unwrap();
    other.join(&office.add_store("Other").await, office.listen).await.unwrap();
    write(&one.hub, sale(DAY, 1, &[TOMATO])).await;
    until_equal(&office, "One", &one.hub).await;
    until_equal(&office, "Other", &other.hub).await;

    let report = office.get("/report?by=store").await;
    assert_eq!((&report["stores"][0]["store"], &report["stores"][0]["sales"]), (&json!("One"), &json!(1)));
    assert_eq!((&report["stores"][1]["store"], &report["stores"][1]["sales"]), (&json!("Other"), &json!(0)));
    let (first, second) = (office.store("One").await, office.store("Other").await);
    assert_ne!(first["store_id"], second["store_id"]);
    assert_ne!(first["node"], second["node"], "a key of its own for each store");

    // A catalogue of one is no catalogue of the other.
    let csv = "sku,name,price\nTOMATO,Tomatoes,2.55\n";
    let goods = json!({ "name": "spring", "csv": csv, "taxes": null, "store": "One" });
    let answer = office.try_post("/publish", goods).await.unwrap();
    until_equal(&office, "One", &one.hub).await;
    let blob = one.hub.read(|kv| views::bundles_published(kv, BundleKind::Catalogue)).unwrap()[0].blob;
    assert_eq!(answer["bundle"], blob.to_string());
    assert!(one.hub.blob(&blob).await.unwrap().is_some(), "its hub fetches it");
    assert!(other.hub.blob(&blob).await.unwrap().is_none(), "the other's does not get it");

    for hub in [one.hub, other.hub] {
        hub.shutdown().await.unwrap();
    }
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_used_codes_are_refused_and_say_so() {
    let office = Office::new().await;
    let (code, other) = (office.add_store("One").await, office.add_store("Other").await);
    let (store, late) = (Store::open().await, Store::open().await);

    // The right key with a secret that nobody gave out: the second half of another store's code.
    let read = |code: &str| Code::parse(CodeKind::JoinHq, code).unwrap();
    let forged = Code { secret: read(&other).secret, ..read(&code) }.to_string();
    let wrong = store.join(&forged, office.listen).await.unwrap_err().to_string();
    assert!(wrong.contains("wrong"), "{wrong}");
    assert_eq!(office.store("One").await["state"], "waiting", "nothing was taken in");

    store.join(&code, office.listen).await.unwrap();
    until_equal(&office, "One", &store.hub).await;
    let used = late.join(&code, office.listen).await.unwrap_err().to_string();
    assert!(!used.is_empty(), "{used}");
    let again = office.refused("/stores", json!({ "name": "One", "currency": "GBP" })).await;
    assert!(again.contains("has joined already"), "{again}");

    // The same shop under another name would be counted twice.
    let twice = store.join(&other, office.listen).await.unwrap_err().to_string();
    assert!(twice.contains("could not save"), "{twice}");
    assert_eq!(office.store("Other").await["state"], "waiting");
    for hub in [store.hub, late.hub] {
        hub.shutdown().await.unwrap();
    }
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_is_published_whole_or_not_at_all() {
    let office = Office::new().await;
    let store = Store::open().await;
    store.join(&office.add_store("High Street").await, office.listen).await.unwrap();
    until_equal(&office, "High Street", &store.hub).await;

    let bad = json!({ "name": "spring", "csv": "sku,name,price\nA,Apple,1.00\nB,Pear,cheap\nA,Again,1.00\n", "taxes": null });
    let problems = office.refused("/publish", bad).await;
    assert!(problems.contains("line 3") && problems.contains("line 4"), "{problems}");
    assert!(store.hub.read(|kv| views::bundles_published(kv, BundleKind::Catalogue)).unwrap().is_empty());

    let publish = async |name: &str, csv: &str| {
        let goods = json!({ "name": name, "csv": csv, "taxes": null });
        office.try_post("/publish", goods).await.unwrap()
    };
    let spring = publish("spring", "sku,name,price\nA,Apple,1.00\n").await;
    assert_eq!((&spring["items"], &spring["stores"]), (&json!(1), &json!(["High Street"])));
    let summer = publish("summer", "sku,name,price\nA,Apple,0.90\nB,Pear,1.20\n").await;
    let row = until_equal(&office, "High Street", &store.hub).await;
    assert_eq!((&row["catalogue"]["name"], &row["catalogue"]["active"]), (&json!("summer"), &json!(false)));
    let published = store.hub.read(|kv| views::bundles_published(kv, BundleKind::Catalogue)).unwrap();
    assert_eq!(published[1].prev, Some(published[0].blob), "each follows the one before");
    assert_eq!(published[1].blob.to_string(), summer["bundle"]);
    store.hub.shutdown().await.unwrap();
    office.stop().await;
}

#[tokio::test]
async fn a_code_is_good_for_a_quarter_of_an_hour() {
    let office = Office::new().await;
    let code = office.add_store("High Street").await;
    let store = Store::open().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(CODE_MINUTES * 60)).await;
    tokio::time::resume();
    let late = store.join(&code, office.listen).await.unwrap_err().to_string();
    assert!(late.contains("expired"), "{late}");
    assert_eq!(office.store("High Street").await["state"], "waiting");
    store.join(&office.add_store("High Street").await, office.listen).await.unwrap();
    store.hub.shutdown().await.unwrap();
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_broke_off_half_way_joins_with_a_new_code() {
    let office = Office::new().await;
    let store = Store::open().await;
    let code = Code::parse(CodeKind::JoinHq, &office.add_store("High Street").await).unwrap();

    // Headquarters took it in, and then the hub went away before its root key named headquarters.
    let members = store.hub.members();
    let joining = JoiningStore { root: *members.root(), statements: members.statements().cloned().collect() };
    let key = TlsKey::new(&store.hub_key()).unwrap();
    let endpoint = Endpoint::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    join_hq(&endpoint, &key, &code, office.listen, &joining).await.unwrap();
    assert_eq!(office.store("High Street").await["state"], "joining");
    // Another shop does not get in with a code for this one.
    let again = office.add_store("High Street").await;
    let other = Store::open().await;
    let refused = other.join(&again, office.listen).await.unwrap_err();
    assert!(refused.to_string().contains("could not save"), "{refused:?}");
    store.join(&again, office.listen).await.unwrap();
    let row = until_equal(&office, "High Street", &store.hub).await;
    assert_eq!((&row["state"], &row["alerts"]), (&json!("joined"), &Value::Null));
    for hub in [store.hub, other.hub] {
        hub.shutdown().await.unwrap();
    }
    office.stop().await;
}
