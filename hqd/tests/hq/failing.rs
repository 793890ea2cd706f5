//! Stores whose disk fails while headquarters runs, and the others beside them.

use crate::office::Office;
use crate::shop::{Line, sale};
use crate::shut::{TOMATO, folder, not_open, two_stores};
use crate::store::{SOON, Store, write};
use crate::stores::{DAY, until_equal};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::time::timeout;

/// A sale of so many lines, some 200 bytes each.
async fn sell_much(store: &Store, nth: u64, lines: usize) {
    let line = Line { sku: "CRATE-OF-TOMATO-TINS-400G-FROM-THE-OTHER-STORE-1", ..TOMATO };
    write(&store.hub, sale(DAY, nth, &vec![line; lines])).await;
}

/// What the log will call its next part while it makes it.
fn next_part(journal: &Path) -> PathBuf {
    let names = fs::read_dir(journal).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
    let number = |name: String| name.strip_prefix("log-")?.strip_suffix(".seg")?.parse::<u32>().ok();
    let last = names.filter_map(number).max().unwrap();
    journal.join(format!("ahead-log-{:08}.seg.new", last + 1))
}

/// Asks how headquarters is until a store is in this state. Nobody is rung for it.
async fn until_state(office: &Office, store: &str, state: &str) -> Value {
    let mut row = Value::Null;
    let look = async {
        while row["state"] != state {
            row = office.store(store).await;
        }
    };
    assert!(timeout(SOON, look).await.is_ok(), "{row:#}");
    row
}

/// The others are served as before, and whoever asks is told of the one.
async fn others_go_on(office: &Office, one: &Store, sales: u64) {
    write(&one.hub, sale(DAY, sales, &[TOMATO])).await;
    until_equal(office, "One", &one.hub).await;
    let report = office.get("/report?by=store").await;
    assert_eq!(
        (&report["stores"][0]["store"], &report["stores"][0]["sales"]),
        (&json!("One"), &json!(sales))
    );
    assert_eq!((report["stores"].as_array().unwrap().len(), &report["not_open"]), (1, &json!(["Other"])));
    let alerts = not_open(office).await;
    assert_eq!((alerts.len(), &alerts[0]["store"]), (1, &json!("Other")), "{alerts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_no_writes_any_more_is_shut_and_opened_again_and_the_other_is_served() {
    let (office, one, other) = two_stores().await;
    let journal = folder(&office, "Other").join("books/journal");
    let in_the_way = next_part(&journal);
    fs::create_dir(&in_the_way).unwrap();
    // The first part of a log is 1 MiB, and the next is made when half of it is full.
    for nth in 2..18 {
        sell_much(&other, nth, 250).await;
    }
    let row = until_state(&office, "Other", "not-open").await;
    let why = row["why"].as_str().unwrap();
    assert!(why.contains("making a segment") && why.contains("directory"), "{why}");
    others_go_on(&office, &one, 2).await;

    fs::remove_dir(&in_the_way).unwrap();
    let opened = office.try_post("/stores/open", json!({ "store": "Other" })).await.unwrap();
    assert_eq!(opened, json!({ "opened": ["Other"], "open": [] }));
    until_equal(&office, "Other", &other.hub).await;
    assert_eq!(not_open(&office).await, Vec::<Value>::new());
    for hub in [one.hub, other.hub] {
        hub.shutdown().await.unwrap();
    }
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_books_cannot_be_read_fails_no_status_and_no_report_of_the_others() {
    let (office, one, other) = two_stores().await;
    // More rows than are kept in memory; after a start they are read from the file.
    let skus = (0..1_000).map(|nth| -> &'static str { format!("TOMATO-{nth:041}").leak() });
    let lines: Vec<Line> = skus.map(|sku| Line { sku, ..TOMATO }).collect();
    for nth in 0..28 {
        let day = format!("2011-{:02}-{:02}", 1 + nth / 20, 1 + nth % 20);
        write(&other.hub, sale(&day, 2 + nth, &lines)).await;
    }
    until_equal(&office, "Other", &other.hub).await;
    let office = office.restart().await;
    let views = folder(&office, "Other").join("books/journal/views.redb");
    fs::File::options().write(true).open(&views).unwrap().set_len(0).unwrap();
    let report = office.get("/report?by=item-day").await;
    assert_eq!(report["not_open"], json!(["Other"]), "{report}");
    others_go_on(&office, &one, 2).await;
    let row = office.store("Other").await;
    assert_eq!(row["state"], "not-open");
    assert!(office.get("/status").await["stores"].as_array().unwrap().contains(&row));
    let refused = office.try_get("/report?store=Other").await.unwrap_err().to_string();
    assert!(refused.contains("its books are not open"), "{refused}");

    // The log has everything: the views are made from it again.
    office.try_post("/stores/open", json!({ "store": "Other" })).await.unwrap();
    until_equal(&office, "Other", &other.hub).await;
    let report = office.get("/report?by=store").await;
    assert_eq!((&report["stores"][1]["sales"], report.get("not_open")), (&json!(29), None));
    for hub in [one.hub, other.hub] {
        hub.shutdown().await.unwrap();
    }
    office.stop().await;
}

/// A file system in memory that ends with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Nothing where the machine does not let us, said aloud.
    fn mount(path: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path.to_owned()));
        }
        // Past the capture of test output, because nobody reads what a passed test said.
        let why = "no tmpfs can be mounted here, so there is no small disk to fill; run it as root";
        writeln!(std::io::stderr(), "skipped: {why}").unwrap();
        None
    }

    /// Carries the books of a store, which is closed, onto this disk.
    fn take(&self, books: &Path) {
        let here = self.0.join("books");
        assert!(Command::new("mv").args([books, &here]).status().unwrap().success());
        std::os::unix::fs::symlink(here, books).unwrap();
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("ballast")).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
    }

    /// Gives it all back.
    fn make_room(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

async fn disk_full(office: &Office) -> Vec<Value> {
    let status = office.get("/status").await;
    let alerts = status["alerts"].as_array().unwrap().iter();
    alerts.filter(|alert| alert["code"] == "disk-full").cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_a_full_disk_is_not_shut_and_takes_in_what_waited_once_there_is_room() {
    let (office, one, other) = two_stores().await;
    let books = folder(&office, "Other").join("books");
    let mount = office.data().parent().unwrap().join("small disk");
    let Some(disk) = SmallDisk::mount(&mount, 16) else { return };
    let stopped = office.stop().await;
    disk.take(&books);
    let office = Office::start_again(stopped).await;
    until_equal(&office, "Other", &other.hub).await;
    assert_eq!(disk_full(&office).await, Vec::<Value>::new());

    disk.fill();
    let alerts = disk_full(&office).await;
    assert_eq!((alerts.len(), &alerts[0]["store"]), (1, &json!("Other")), "{alerts:?}");
    assert!(alerts[0]["log"].as_str().unwrap().contains(books.to_str().unwrap()), "{alerts:?}");
    // More than all that the log had taken before; few, since what is refused often is asked for ever more rarely.
    for nth in 2..12 {
        sell_much(&other, nth, 1_000).await;
    }
    write(&one.hub, sale(DAY, 2, &[TOMATO])).await;
    until_equal(&office, "One", &one.hub).await;
    let mut row = Value::Null;
    let lacks = async {
        while row["lacks"].as_u64().is_none_or(|lacks| lacks == 0) {
            row = office.store("Other").await;
        }
    };
    assert!(timeout(SOON, lacks).await.is_ok(), "{row:#}");
    assert_eq!((&row["state"], not_open(&office).await), (&json!("joined"), Vec::new()));
    let report = office.get("/report?by=store").await;
    assert_eq!((&report["stores"][1]["store"], report.get("not_open")), (&json!("Other"), None));

    disk.make_room();
    until_equal(&office, "Other", &other.hub).await;
    assert_eq!((disk_full(&office).await, not_open(&office).await), (Vec::new(), Vec::new()));
    for hub in [one.hub, other.hub] {
        hub.shutdown().await.unwrap();
    }
    office.stop().await;
    drop(disk);
}
