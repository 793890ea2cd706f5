//! F42: an upgrade that is cut short, wherever that is, and the way back.
//!
//! The first start of another build makes the views anew. It is killed after so many of the reads and writes that a whole
//! start takes; no clock says when. Nobody else lives meanwhile, so that whatever is missing afterwards was lost here.

use std::path::Path;
use std::time::Instant;

use toko_tests::process::Daemon;

use super::next;
use crate::disk::SmallDisk;
use crate::rig::{Books, DEMO, LANTERN, SOON, Shop, Till};

/// Sales of the till that is upgraded.
const SALES: i64 = 60;
/// At so many places a start is cut short.
const POINTS: u64 = 12;

/// What a till says of its books. The root of all entries is left out: each process that writes begins a journal.
fn books(till: &Till) -> Books {
    let mut books = till.books().unwrap();
    books.digests[2].clear();
    books
}

/// Reads and writes that a process has asked its system for so far; nothing once it is gone.
fn calls(process: &Daemon) -> Option<u64> {
    let counts = std::fs::read_to_string(format!("/proc/{}/io", process.pid()?)).ok()?;
    let of = |name: &str| counts.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    Some(of("syscr:")? + of("syscw:")?)
}

/// Starts a build and stops it in order, and says how many calls a whole start takes and what the books are.
fn whole_start(till: &mut Till, exe: &Path) -> (u64, Books) {
    till.becomes(exe);
    till.start();
    let books = books(till);
    let process = till.take();
    let calls = calls(&process).unwrap();
    let ended = process.stop(SOON).unwrap();
    assert!(ended.success(), "{ended}; it wrote:\n{}", till.log());
    (calls, books)
}

/// Starts a build and kills it after so many calls. Whether it answered before that.
fn cut_start(till: &mut Till, exe: &Path, after: u64) -> bool {
    till.becomes(exe);
    let began = Instant::now();
    let process = till.launch(&[], &[]);
    while calls(&process).is_some_and(|calls| calls < after) && till.reach().is_err() {
        assert!(began.elapsed() < SOON, "it neither answers nor does anything");
        std::thread::yield_now();
    }
    process.kill().unwrap();
    till.reach().is_ok()
}

/// A shop in which one till has sold, and stands alone now.
fn lonely_till(data: Option<&Path>) -> (Shop, Till) {
    let mut shop = Shop::open(1);
    let mut till = match data {
        None => shop.tills.remove(0),
        Some(data) => {
            let mut till = Till::enrol_in(shop.dir.path(), data, &shop.hub, "Till 2");
            till.start();
            till.until("the catalogue", |status| status["catalogue"]["items"] == 2);
            till.until("the business day", |status| status["business_day"] == crate::rig::DAY);
            till
        }
    };
    for at in 0..SALES {
        till.sell(&format!("sale {at}"));
    }
    shop.hub.kill();
    shop.tills.iter_mut().for_each(Till::kill);
    till.stop();
    (shop, till)
}

mod run_alone {
    use super::*;

    #[test]
    #[ignore = "2026-11-29: needs a second build of the programs, which tests/skew.sh makes before it runs this"]
    fn an_upgrade_that_is_killed_anywhere_leaves_both_builds_the_same_books() {
        let (next, old) = (next(), Path::new(DEMO));
        let (_shop, mut till) = lonely_till(None);
        let (_, by_old) = whole_start(&mut till, old);
        assert_eq!((by_old.sales, by_old.net), (SALES, SALES * LANTERN));
        let (calls, by_next) = whole_start(&mut till, &next);
        assert_eq!((by_next.sales, by_next.net), (SALES, SALES * LANTERN));
        assert_eq!(whole_start(&mut till, old).1, by_old, "the way back");

        let mut answered = 0;
        for point in 0..POINTS {
            answered += u64::from(cut_start(&mut till, &next, calls * point / POINTS));
            if point % 3 == 2 {
                // And the way back is cut short as well.
                cut_start(&mut till, old, calls * point / POINTS);
                assert_eq!(whole_start(&mut till, &next).1, by_next, "after both were killed at {point}");
            }
            assert_eq!(
                whole_start(&mut till, old).1,
                by_old,
                "the newer one was killed at {point} of {POINTS}"
            );
        }
        eprintln!("{POINTS} starts of {calls} reads and writes cut short, {answered} after they answered");
        assert!(answered < POINTS, "none was cut short");
        // Again and again without a whole start in between: no entry is blamed for it.
        for point in 0..POINTS {
            cut_start(&mut till, &next, calls * (point % 4 + 1) / 6);
        }
        assert_eq!(whole_start(&mut till, &next).1, by_next);
        till.becomes(old);
        till.start();
        assert_eq!(books(&till), by_old);
        till.sell("after all that");
        till.stop();
    }

    #[test]
    #[ignore = "2026-11-29: needs a second build of the programs, which tests/skew.sh makes before it runs this"]
    fn an_upgrade_that_is_refused_or_finds_the_disk_full_leaves_the_older_build_able_to_start() {
        let (next, old) = (next(), Path::new(DEMO));
        let mount = tempfile::tempdir().unwrap();
        let inside = mount.path().join("small");
        let Some(disk) = SmallDisk::mount(&inside, 64) else { return };
        let (_shop, mut till) = lonely_till(Some(inside.join("till").as_path()));
        let (_, by_old) = whole_start(&mut till, old);

        // A setting that the newer build wants and none has: nothing was touched.
        till.becomes(&next);
        let refused = till.launch(&["till.of_tomorrow=1"], &[]).wait(SOON).unwrap();
        assert_eq!(refused.code(), Some(78));
        assert_eq!(whole_start(&mut till, old).1, by_old, "after a start that was refused");

        // The views are thrown away before new ones are made, and there is no room for those.
        disk.fill();
        till.becomes(&next);
        let mut process = till.launch(&[], &[]);
        let began = Instant::now();
        let ended = loop {
            if process.still_runs().is_err() {
                break true;
            }
            if till.reach().is_ok_and(|api| api.get("/v1/status").is_ok()) {
                break false;
            }
            assert!(began.elapsed() < SOON, "it neither ends nor answers");
            std::thread::yield_now();
        };
        eprintln!("on a full disk the newer build {}", if ended { "ended" } else { "started" });
        // One that has ended is as dead as it can be.
        drop(process.kill());
        disk.make_room();
        assert_eq!(whole_start(&mut till, old).1, by_old, "after a full disk");
        assert_eq!(whole_start(&mut till, &next).1.net, SALES * LANTERN);
        drop(disk);
    }
}
