//! What people ask of headquarters before any store has come.

use crate::office::Office;
use hqd::home::Home;
use serde_json::json;
use std::process::ExitCode;
use toko_mesh::enrol::{Code, CodeKind};

fn code_of(exit: ExitCode) -> String {
    format!("{exit:?}")
}

#[tokio::test]
async fn a_store_is_added_once_and_each_asking_gives_a_new_code() {
    let office = Office::new().await;
    let first = office.add_store("High Street").await;
    let second = office.add_store("High Street").await;
    let read = |code: &str| Code::parse(CodeKind::JoinHq, code).unwrap();
    assert_eq!(read(&first).fingerprint, read(&second).fingerprint, "one key per store");
    assert_ne!(read(&first).secret, read(&second).secret);
    let other = office.add_store("Market").await;
    assert_ne!(read(&first).fingerprint, read(&other).fingerprint, "another key for another store");
    let stores = office.get("/stores").await;
    let names: Vec<&str> =
        stores["stores"].as_array().unwrap().iter().map(|row| row["store"].as_str().unwrap()).collect();
    assert_eq!(names, ["High Street", "Market"]);
    assert_eq!(office.store("Market").await["state"], "waiting");
    let office = office.restart().await;
    assert_eq!(office.get("/stores").await["stores"].as_array().unwrap().len(), 2, "they are still there");
    office.stop().await;
}

#[tokio::test]
async fn bad_names_currencies_days_and_queries_are_refused_and_change_nothing() {
    let office = Office::new().await;
    let bad_name = office.refused("/stores", json!({ "name": "a\u{7}", "currency": "GBP" })).await;
    assert!(bad_name.contains("is no name"), "{bad_name}");
    let bad_currency = office.refused("/stores", json!({ "name": "A", "currency": "pounds" })).await;
    assert!(bad_currency.contains("pounds"), "{bad_currency}");
    let unknown = office.refused("/stores", json!({ "name": "A", "currency": "GBP", "town": "York" })).await;
    assert!(unknown.contains("town"), "{unknown}");
    let nowhere = office.refused("/nowhere", json!({})).await;
    assert!(nowhere.contains("/nowhere"), "{nowhere}");
    assert_eq!(office.get("/stores").await["stores"], json!([]));
    office.add_store("A").await;
    let other = office.refused("/stores", json!({ "name": "A", "currency": "EUR" })).await;
    assert!(other.contains("sells in GBP"), "{other}");
    office.stop().await;
}

#[tokio::test]
async fn nothing_is_published_for_stores_that_have_not_joined() {
    let office = Office::new().await;
    let goods = json!({ "name": "spring", "csv": "sku,name,price\nA,Apple,1.00\n", "taxes": null });
    let all = office.refused("/publish", goods.clone()).await;
    assert!(all.contains("no store has joined"), "{all}");
    office.add_store("High Street").await;
    let mut one = goods;
    one["store"] = json!("High Street");
    let waiting = office.refused("/publish", one.clone()).await;
    assert!(waiting.contains("has not joined yet"), "{waiting}");
    one["store"] = json!("Elsewhere");
    let unknown = office.refused("/publish", one).await;
    assert!(unknown.contains("no store is called \"Elsewhere\""), "{unknown}");
    office.stop().await;
}

#[tokio::test]
async fn a_second_hqd_on_the_same_directory_is_refused() {
    let office = Office::new().await;
    let problem = Home::open(&office.data()).unwrap_err().to_string();
    assert!(problem.contains("another hqd runs"), "{problem}");
    office.stop().await;
}

#[test]
fn the_exit_code_says_what_kind_of_trouble_it_is() {
    let empty = tempfile::tempdir().unwrap();
    let data = empty.path().display().to_string();
    let run = |args: &[&str]| code_of(hqd::run([&["hqd"], args].concat()));
    assert_eq!(run(&["sell"]), code_of(ExitCode::from(64)));
    assert_eq!(run(&["run", "--data", &data]), code_of(ExitCode::from(74)), "an empty directory");
    assert_eq!(run(&["stores", "--data", &data]), code_of(ExitCode::from(76)), "nobody answers");
    assert_eq!(run(&["run", "--data", &data, "--set", "links.lsten=x"]), code_of(ExitCode::from(78)));
    assert_eq!(run(&["init", "--data", &data, "--name", "HQ"]), code_of(ExitCode::SUCCESS));
    assert_eq!(run(&["init", "--data", &data]), code_of(ExitCode::from(74)), "it is one already");
    assert_eq!(run(&["--help"]), code_of(ExitCode::SUCCESS));
}
