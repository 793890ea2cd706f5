//! Many stores in one headquarters: each has its own books again after a restart, and what one takes of the machine fits
//! what the unit allows.
//!
//! The restart is of a real `hqd`, so that what it takes is nobody else's. `TOKO_HQ_STORES` says how many stores; with
//! `--nocapture` it prints what they take.

use crate::office::Office;
use crate::process::Hqd;
use crate::shop::{Line, sale};
use crate::store::{SOON, Store, until, write};
use crate::stores::DAY;
use hqd::config::STORES_MAX;
use hqd::home::Home;
use serde_json::json;
use std::fs;
use std::rc::Rc;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

const TOMATO: Line = Line { sku: "TOMATO", pieces: 2, pence: 255 };
/// Stores, where nobody says how many.
const STORES: u64 = 20;
/// Stores that are founded at a time: most of that is waiting for the disk.
const AT_A_TIME: usize = 8;
const VARIABLE: &str = "TOKO_HQ_STORES";
/// What tokio keeps for work that waits for the disk, and a worker for each core of a very large machine.
const RUNTIME_THREADS: u64 = 512 + 256;
const UNIT: &str = include_str!("../../../systemd/hqd.service");

/// A limit of the unit.
fn allowed(key: &str) -> u64 {
    let value = UNIT.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("hqd.service sets {key}")).parse().unwrap()
}

/// Founds a store that joins, sells once, and closes when headquarters holds that.
async fn found(office: Rc<Office>, nth: u64) {
    let store = Store::open().await;
    let code = office.add_store(&format!("Store {nth:04}")).await;
    let headquarters = store.join(&code, office.listen).await.unwrap();
    let sold = write(&store.hub, sale(DAY, nth, &[TOMATO])).await;
    until(&store.hub, "headquarters holds the sale", async || {
        store.hub.holders(&sold.place).unwrap().contains(&headquarters)
    })
    .await;
    store.hub.shutdown().await.unwrap();
}

/// What it takes of one processor while nobody comes, in words: from one word to systemd to the next but one. Nobody waits for
/// that where no number of stores is asked for.
async fn rest(hqd: &Hqd, stores: u64) -> String {
    if std::env::var(VARIABLE).is_err() {
        return "not asked".into();
    }
    let status = format!("STATUS={stores} stores, 0 linked");
    hqd.says(&status, SOON).await;
    let (began, before) = (Instant::now(), hqd.footprint().processor_ms);
    for _ in 0..2 {
        hqd.says(&status, SOON).await;
    }
    let (took, over) = (hqd.footprint().processor_ms - before, began.elapsed());
    format!("{} % of a processor", u128::from(took) * 100 / over.as_millis().max(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_of_many_is_there_after_a_restart_with_its_own_books_and_the_unit_allows_for_more() {
    let stores = std::env::var(VARIABLE).map_or(STORES, |text| text.parse().unwrap());
    let office = Rc::new(Office::new().await);
    let founded = async {
        let (mut numbers, mut under_way) = (1..=stores, JoinSet::new());
        loop {
            while under_way.len() < AT_A_TIME
                && let Some(nth) = numbers.next()
            {
                under_way.spawn_local(found(Rc::clone(&office), nth));
            }
            let Some(done) = under_way.join_next().await else { break };
            done.unwrap();
        }
    };
    LocalSet::new().run_until(founded).await;
    let office = Rc::into_inner(office).unwrap();
    let before = office.get("/report?by=store").await;
    let began = Instant::now();
    let (dir, _) = office.stop().await;
    let saved_in = began.elapsed();
    for folder in Home::open(&dir.path().join("hq")).unwrap().folders().unwrap() {
        let lock = fs::File::open(folder.join("books/lock")).unwrap();
        assert!(lock.try_lock().is_ok(), "{} is not closed", folder.display());
    }

    let (hqd, took) = Hqd::start(&dir.path().join("hq"), stores).await;
    let with = hqd.footprint();
    let report = hqd.get("/report?by=store").await;
    assert_eq!(report["stores"], before["stores"]);
    let rows = report["stores"].as_array().unwrap();
    assert!(rows.len() as u64 == stores && rows.iter().all(|store| store["sales"] == json!(1)), "{report}");
    let asked = Instant::now();
    hqd.get("/status").await;
    let status_took = asked.elapsed();

    let rest = rest(&hqd, stores).await;
    assert!(!hqd.log().contains("folded the tail of the log"), "everything had been saved: {}", hqd.log());
    let stopped_in = hqd.stop().await;

    let empty = dir.path().join("empty");
    Home::init(&empty, "Empty", &[8; 16]).unwrap();
    let without = Hqd::start(&empty, 0).await.0.footprint();
    println!(
        "{stores} stores: saved in {saved_in:.1?}, ready in {took:.1?}, status in {status_took:.1?}, at rest {rest}, \
         stopped in {stopped_in:.1?}, {with:?}; none: {without:?}"
    );

    // What one takes, times what one headquarters is meant for, is what the unit allows; twice the files, since some are
    // open while books are made anew.
    let threads = (with.store_threads - without.store_threads).div_ceil(stores);
    let files = (with.files - without.files).div_ceil(stores);
    let (tasks_max, files_max) = (allowed("TasksMax"), allowed("LimitNOFILE"));
    assert!(
        threads * STORES_MAX + RUNTIME_THREADS <= tasks_max,
        "{threads} threads a store, {tasks_max} allowed"
    );
    assert!(2 * files * STORES_MAX <= files_max, "{files} files a store, {files_max} allowed");
}
