use super::rig::*;
use toko_crdt::digest::Digests;
use toko_crdt::frontier::Frontier;
use toko_crdt::{Body, Lane};
use toko_mesh::sim_disk::SimDisk;
use toko_mesh::store::{SealError, SealedViews, Verdict};

/// A hub and a till that have sold and scanned a little, and know of each other.
fn shop() -> (toko_mesh::store::Store, toko_mesh::store::Store) {
    let (mut hub, mut till) = (member(&SimDisk::new(), HUB, 20), member(&SimDisk::new(), 3, 30));
    for n in 0..40 {
        sell(&mut till, ["a", "b", "c"][n % 3]);
        scan(&mut till, "x");
        sell(&mut hub, "h");
    }
    pull(&till, &mut hub);
    pull(&hub, &mut till);
    (hub, till)
}

#[test]
fn a_node_that_is_ahead_of_a_seal_goes_over_it_all_the_same() {
    let (mut hub, mut till) = shop();
    let (entry, sealed) = seal(&mut hub, NOW);
    for _ in 0..5 {
        sell(&mut till, "late");
        scan(&mut till, "y");
    }
    pull(&hub, &mut till);
    let mut views = SealedViews::open(&till.reader()).unwrap();
    let checked = views.check(entry, &sealed, &sealed.lines, false).unwrap();
    assert_eq!((checked.verdict, checked.digests), (Verdict::Equal, sealed.digests));
    assert_eq!(*views.frontier(), sealed.lines);
    assert_eq!(Digests::recompute(&views.snapshot()).unwrap(), sealed.digests);
    assert_ne!(till.reader().digests().unwrap(), sealed.digests, "the till itself is further on");
    drop(views);

    // The next seal costs only what came since, and what was found is still known.
    pull(&till, &mut hub);
    let (next, sealed) = seal(&mut hub, NOW);
    pull(&hub, &mut till);
    let mut views = SealedViews::open(&till.reader()).unwrap();
    assert_eq!(views.verdicts().unwrap(), [checked]);
    assert_eq!(views.check(next, &sealed, &sealed.lines, false).unwrap().verdict, Verdict::Equal);
    assert_eq!(views.verdicts().unwrap().len(), 2);
}

#[test]
fn a_seal_that_names_what_is_not_here_waits_and_an_older_one_is_past() {
    let (mut hub, mut till) = shop();
    let (first, older) = seal(&mut hub, NOW);
    sell(&mut hub, "more");
    let (second, newer) = seal(&mut hub, NOW);
    let mut views = SealedViews::open(&till.reader()).unwrap();
    assert!(matches!(views.check(second, &newer, &newer.lines, false), Err(SealError::Missing { .. })));
    assert_eq!(*views.frontier(), Frontier::default(), "nothing was begun");
    pull(&hub, &mut till);
    assert_eq!(views.check(second, &newer, &newer.lines, false).unwrap().verdict, Verdict::Equal);
    assert!(matches!(views.check(first, &older, &older.lines, false), Err(SealError::Past)));
}

#[test]
fn what_differs_is_seen_and_another_builds_seal_is_not_compared() {
    let (mut hub, mut till) = shop();
    let (entry, mut sealed) = seal(&mut hub, NOW);
    pull(&hub, &mut till);
    sealed.digests.floor.add(b"P-row", b"that the till lacks");
    let mut views = SealedViews::open(&till.reader()).unwrap();
    assert_eq!(
        views.check(entry, &sealed, &sealed.lines, true).unwrap().verdict,
        Verdict::Equal,
        "books alone are equal"
    );
    assert_eq!(views.check(entry, &sealed, &sealed.lines, false).unwrap().verdict, Verdict::Differs);
    sealed.fold_version = 7;
    assert_eq!(views.check(entry, &sealed, &sealed.lines, false).unwrap().verdict, Verdict::OtherBuild);
}

#[test]
fn headquarters_goes_over_the_books_alone() {
    let (mut hub, _) = shop();
    let mut hq = member(&SimDisk::new(), HQ, 90);
    let (entry, mut sealed) = seal(&mut hub, NOW);
    pull_lanes(&hub, &mut hq, &[Lane::Books]);
    sealed.lines = sealed.lines.of_lanes(&[Lane::Books]);
    let mut views = SealedViews::open(&hq.reader()).unwrap();
    let checked = views.check(entry, &sealed, &sealed.lines, true).unwrap();
    assert_eq!((checked.verdict, checked.digests.books), (Verdict::Equal, sealed.digests.books));
    assert_eq!(checked.digests.floor, Digests::default().floor);
}

#[test]
fn what_is_parked_and_what_a_fork_carries_comes_out_alike() {
    // One directory, copied and started twice with one run: a fork.
    let disk = SimDisk::new();
    let mut till = member(&disk, 3, 30);
    for n in 0..10 {
        sell(&mut till, ["a", "b"][n % 2]);
    }
    sell(&mut till, "!out of scope");
    sell(&mut till, "?newer");
    till.close().unwrap();
    let (copy, mut other) = (disk.copied(), member(&SimDisk::new(), 4, 40));
    let (mut one, mut two) = (open(&disk, 3, 33), open(&copy, 3, 33));
    let (mut hub, mut check) = (member(&SimDisk::new(), HUB, 20), member(&SimDisk::new(), 5, 50));
    for _ in 0..3 {
        sell(&mut one, "c");
        sell(&mut two, "d");
    }
    pull(&one, &mut hub);
    pull(&one, &mut check);
    // A seal before the fork is known: the first branch stands in its own place.
    let (entry, sealed) = seal(&mut hub, NOW);
    pull(&hub, &mut check);
    let mut views = SealedViews::open(&check.reader()).unwrap();
    assert_eq!(views.check(entry, &sealed, &sealed.lines, false).unwrap().verdict, Verdict::Equal);

    // Then both branches meet; what stood above the fork travels carried, by whoever holds it.
    let branch =
        two.reader().frontier().lines().map(|(journal, _)| *journal).find(|j| j.run.0 == 33).unwrap();
    for store in [&mut hub, &mut other, &mut check] {
        pull(&one, store);
        let entries = two.reader().entries(branch, 1, 1 << 20).unwrap();
        assert!(ingest(store, NOW, entries).unwrap().forked);
    }
    for _ in 0..3 {
        pull(&other, &mut hub);
        pull(&check, &mut hub);
        pull(&hub, &mut other);
        pull(&hub, &mut check);
    }
    assert_eq!((count(&hub, [0x10, b'c']), count(&hub, [0x10, b'd'])), (3, 3), "each counts once");
    let (entry, sealed) = seal(&mut hub, NOW);
    pull(&hub, &mut check);
    pull(&hub, &mut other);
    assert_eq!(
        views.check(entry, &sealed, &sealed.lines, false).unwrap().verdict,
        Verdict::Equal,
        "from the earlier seal on"
    );
    let mut fresh = SealedViews::open(&other.reader()).unwrap();
    assert_eq!(
        fresh.check(entry, &sealed, &sealed.lines, false).unwrap().verdict,
        Verdict::Equal,
        "from nothing on"
    );
    assert_eq!(parked(&hub).len(), 2);
}

#[test]
fn a_power_cut_at_any_sync_while_a_seal_is_gone_over_leaves_a_place_to_go_on_from() {
    let (mut hub, till) = shop();
    let mut disk = SimDisk::new();
    let mut other = member(&disk, 4, 40);
    pull(&till, &mut other);
    pull(&hub, &mut other);
    let (entry, sealed) = seal(&mut hub, NOW);
    pull(&hub, &mut other);
    other.close().unwrap();
    for sync in 0..40 {
        let try_on = disk.copied();
        let store = open(&try_on, 4, 41);
        let faults = toko_mesh::sim_disk::Faults { die_at_sync: Some(sync), ..Default::default() };
        try_on.set_faults(faults);
        let checked = SealedViews::open(&store.reader())
            .and_then(|mut views| views.check(entry, &sealed, &sealed.lines, false));
        let done = checked.is_ok() && !try_on.is_dead();
        drop(store);
        disk = try_on.power_cut(sync);
        let store = open(&disk, 4, 42);
        let mut views = SealedViews::open(&store.reader())
            .or_else(|_| {
                SealedViews::discard_for(&store.reader())?;
                SealedViews::open(&store.reader())
            })
            .unwrap();
        assert_eq!(
            views.check(entry, &sealed, &sealed.lines, false).unwrap().verdict,
            Verdict::Equal,
            "sync {sync}"
        );
        drop((views, store));
        toko_mesh::disk::remove_if_there(&disk, "sealed.redb").unwrap();
        if done {
            assert!(sync > 1, "there was something to sync");
            return;
        }
    }
    panic!("it never came to an end");
}

#[test]
fn a_terminals_seal_is_none() {
    let mut till = member(&SimDisk::new(), 3, 30);
    sell(&mut till, "a");
    let cut = till.reader().cut().unwrap();
    let written = append(&mut till, NOW, Lane::Books, Body::Seal(cut));
    assert!(written.parked.is_some(), "only a hub and headquarters say seals");
}
