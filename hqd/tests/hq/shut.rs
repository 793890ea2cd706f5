//! Stores whose books do not open, spoilt on purpose, and the others beside them.

use crate::office::Office;
use crate::process::Hqd;
use crate::shop::{Line, sale};
use crate::store::{SOON, Store, write};
use crate::stores::{DAY, until_equal};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

pub(crate) const TOMATO: Line = Line { sku: "TOMATO", pieces: 2, pence: 255 };

/// Where headquarters keeps a store, found by its name.
pub(crate) fn folder(office: &Office, name: &str) -> PathBuf {
    let folders = fs::read_dir(office.data().join("stores")).unwrap().map(|item| item.unwrap().path());
    let named = |dir: &PathBuf| {
        fs::read_to_string(dir.join("store.toml")).is_ok_and(|text| text.contains(&format!("\"{name}\"")))
    };
    folders.into_iter().find(named).unwrap()
}

pub(crate) async fn not_open(office: &Office) -> Vec<Value> {
    let status = office.get("/status").await;
    let alerts = status["alerts"].as_array().unwrap().iter();
    alerts.filter(|alert| alert["code"] == "store-not-open").cloned().collect()
}

/// Headquarters with two stores of one sale each.
pub(crate) async fn two_stores() -> (Office, Store, Store) {
    let office = Office::new().await;
    let (one, other) = (Store::open().await, Store::open().await);
    for (store, name) in [(&one, "One"), (&other, "Other")] {
        store.join(&office.add_store(name).await, office.listen).await.unwrap();
        write(&store.hub, sale(DAY, 1, &[TOMATO])).await;
        until_equal(&office, name, &store.hub).await;
    }
    (office, one, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_books_do_not_open_is_named_and_refused_and_the_other_is_served() {
    let (office, one, other) = two_stores().await;
    let spoilt = folder(&office, "Other").join("books");
    let set_aside = spoilt.with_extension("aside");
    let stopped = office.stop().await;
    fs::rename(&spoilt, &set_aside).unwrap();
    fs::create_dir(&spoilt).unwrap();
    let office = Office::start_again(stopped).await;

    // The other sells to headquarters as before.
    write(&one.hub, sale(DAY, 2, &[TOMATO])).await;
    until_equal(&office, "One", &one.hub).await;
    // This one is named, everywhere.
    let row = office.store("Other").await;
    let why = row["why"].as_str().unwrap();
    assert_eq!((&row["state"], &row["path"]), (&json!("not-open"), &json!(spoilt.parent().unwrap())));
    assert!(why.contains(&spoilt.display().to_string()), "{why}");
    let alerts = not_open(&office).await;
    assert_eq!((alerts.len(), &alerts[0]["store"]), (1, &json!("Other")), "{alerts:?}");
    assert!(alerts[0]["log"].as_str().unwrap().contains(why), "{alerts:?}");
    let status = hqd::show::status(&office.get("/status").await);
    assert!(status.contains("! Other: store-not-open: ") && status.contains(why), "{status}");
    let stores = hqd::show::stores(&office.get("/stores").await);
    assert!(stores.contains("not-open") && stores.contains("! Other is not open: "), "{stores}");
    // What is left out is said.
    let report = office.get("/report?by=store").await;
    assert_eq!((&report["stores"][0]["store"], &report["not_open"]), (&json!("One"), &json!(["Other"])));
    assert!(hqd::show::not_in_report(&report).unwrap().contains("Other"));
    let goods = json!({ "name": "spring", "csv": "sku,name,price\nA,Apple,1.00\n", "taxes": null });
    let published = office.try_post("/publish", goods.clone()).await.unwrap();
    assert_eq!((&published["stores"], &published["not_open"]), (&json!(["One"]), &json!(["Other"])));
    assert!(hqd::show::published(&published).contains("not for Other, whose books are not open"));
    let mut for_it = goods;
    for_it["store"] = json!("Other");
    let refused = office.refused("/publish", for_it).await;
    assert!(refused.contains("its books are not open"), "{refused}");
    let twice = office.refused("/stores", json!({ "name": "Other", "currency": "GBP" })).await;
    assert!(twice.contains("its books are not open"), "no second store of the name: {twice}");
    // Its hub is not let in, and meets nobody else's key. It sells on.
    write(&other.hub, sale(DAY, 2, &[TOMATO])).await;
    let refused = async {
        loop {
            let alerts = other.hub.status().await.unwrap().alerts;
            let words: Vec<&str> = alerts.iter().map(|alert| alert.code.word()).collect();
            assert!(!words.contains(&"wrong-peer"), "{alerts:?}");
            if words.contains(&"refused-by-peer") {
                return;
            }
            // Nobody is rung for an alert: it is looked for between two questions.
            office.get("/stores").await;
        }
    };
    assert!(timeout(SOON, refused).await.is_ok(), "{:#?}", other.hub.status().await.unwrap());

    // Not before it is mended, and then without a restart.
    let still = office.refused("/stores/open", json!({ "store": "Other" })).await;
    assert!(still.contains("Other is not open"), "{still}");
    fs::remove_dir_all(&spoilt).unwrap();
    fs::rename(&set_aside, &spoilt).unwrap();
    let opened = office.try_post("/stores/open", json!({ "store": "Other" })).await.unwrap();
    assert_eq!(opened, json!({ "opened": ["Other"], "open": [] }));
    until_equal(&office, "Other", &other.hub).await;
    assert_eq!(not_open(&office).await, Vec::<Value>::new());
    let report = office.get("/report?by=store").await;
    let sales = [&report["stores"][0]["sales"], &report["stores"][1]["sales"]];
    assert_eq!((sales, report.get("not_open")), ([&json!(2), &json!(2)], None));
    for hub in [one.hub, other.hub] {
        hub.shutdown().await.unwrap();
    }
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_which_a_folder_can_be_spoilt_keeps_that_store_out_and_no_other() {
    let office = Office::new().await;
    for name in ["Key", "Newer", "Nameless", "Whole"] {
        office.add_store(name).await;
    }
    let of = |name: &str| folder(&office, name);
    let (key, newer, nameless) = (of("Key"), of("Newer"), of("Nameless"));
    fs::write(key.join("key"), "no key").unwrap();
    let about = fs::read_to_string(newer.join("store.toml")).unwrap();
    fs::write(newer.join("store.toml"), about.replace("format = 1", "format = 2")).unwrap();
    fs::write(nameless.join("store.toml"), [0xff, 0xfe]).unwrap();
    fs::write(office.data().join("stores/a-note"), "buy tea").unwrap();
    let office = office.restart().await;

    assert_eq!(office.store("Whole").await["state"], "waiting");
    let why = async |store: &str| office.store(store).await["why"].as_str().unwrap().to_owned();
    assert!(why("Key").await.contains("it holds no key"));
    assert!(why("Newer").await.contains("format 2, this hqd reads 1"));
    let its_folder = nameless.file_name().unwrap().to_str().unwrap();
    assert!(why(its_folder).await.contains("store.toml"), "called by its folder");
    assert!(why("a-note").await.contains("a-note"));
    assert_eq!(not_open(&office).await.len(), 4);
    // Whoever adds a store might mean the one whose name cannot be read.
    let refused = office.refused("/stores", json!({ "name": "Nameless", "currency": "GBP" })).await;
    assert!(refused.contains("books are not open"), "{refused}");
    office.add_store("Whole").await;

    fs::remove_file(office.data().join("stores/a-note")).unwrap();
    fs::remove_dir_all(&nameless).unwrap();
    fs::write(newer.join("store.toml"), about).unwrap();
    let refused = office.try_post("/stores/open", json!({ "store": null })).await.unwrap_err().to_string();
    assert!(refused.contains("Key is not open") && refused.contains("opened Newer"), "{refused}");
    assert_eq!(not_open(&office).await.len(), 1, "what was taken away is forgotten");
    office.add_store("Nameless").await;
    office.stop().await;
}

#[tokio::test]
async fn headquarters_runs_where_no_store_opens_and_opens_what_was_mended_by_itself() {
    let office = Office::new().await;
    office.add_store("One").await;
    let key = folder(&office, "One").join("key");
    let stopped = office.stop().await;
    let text = fs::read_to_string(&key).unwrap();
    fs::write(&key, "").unwrap();
    let office = Office::start_again(stopped).await;
    assert_eq!(not_open(&office).await.len(), 1);
    fs::write(&key, text).unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let opened = async { while office.store("One").await["state"] != "waiting" {} };
    assert!(timeout(SOON, opened).await.is_ok(), "{}", office.store("One").await);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_systemd_are_told_which_store_did_not_open_where_why_and_what_to_do() {
    let office = Office::new().await;
    for name in ["One", "Other"] {
        office.add_store(name).await;
    }
    let spoilt = folder(&office, "Other");
    let data = office.data();
    let (_dir, _) = office.stop().await;
    fs::remove_file(spoilt.join("key")).unwrap();
    let (hqd, _) = Hqd::start(&data, 2).await;
    hqd.says("STATUS=2 stores, 0 linked, 1 not open", SOON).await;
    let log = hqd.log();
    let line = log.lines().find(|line| line.contains("a store did not open")).unwrap();
    for word in ["ERROR", "Other", &spoilt.join("key").display().to_string(), "hqd open-store"] {
        assert!(line.contains(word), "{word}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_beyond_mending_is_added_anew_and_gives_back_what_it_keeps() {
    let (office, one, other) = two_stores().await;
    let lost = folder(&office, "Other");
    let stopped = office.stop().await;
    fs::remove_file(lost.join("books/node.key")).unwrap();
    let office = Office::start_again(stopped).await;
    assert_eq!(office.store("Other").await["state"], "not-open");
    fs::rename(&lost, office.data().join("lost")).unwrap();
    office.try_post("/stores/open", json!({ "store": null })).await.unwrap();
    let code = office.add_store("Other").await;
    other.join(&code, office.listen).await.unwrap();
    until_equal(&office, "Other", &other.hub).await;
    let report = office.get("/report?by=store&store=Other").await;
    assert_eq!(report["stores"][0]["sales"], 1);
    for hub in [one.hub, other.hub] {
        hub.shutdown().await.unwrap();
    }
    office.stop().await;
}
