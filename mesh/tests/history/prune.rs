use super::rig::*;
use toko_crdt::clock::UnixMicros;
use toko_crdt::frontier::Frontier;
use toko_crdt::{Hash, Lane};
use toko_mesh::disk::Disk;
use toko_mesh::sim_disk::{Faults, SimDisk};
use toko_mesh::store::{ArchivedLog, Cut, Incoming, Outgoing, SealedViews, SnapshotError, Store, Verdict};

pub(crate) fn day(n: i64) -> UnixMicros {
    UnixMicros(NOW.0 + n * DAY)
}

/// Goes over a seal of the hub; the same comes out.
pub(crate) fn go_over(store: &Store, entry: Hash) -> Frontier {
    let hub_entry = store.reader().entry_by_hash(entry).unwrap().expect("the seal is here");
    let Ok(toko_crdt::Body::Seal(seal)) =
        toko_crdt::Body::decode(&store_id(), hub_entry.body().expect("it is whole"))
    else {
        panic!("no seal")
    };
    let mut views = SealedViews::open(&store.reader()).unwrap();
    assert_eq!(views.check(entry, &seal, &seal.lines, false).unwrap().verdict, Verdict::Equal);
    seal.lines
}

/// One day: both sell and scan, all is exchanged, the hub seals, both go over it.
fn one_day(hub: &mut Store, till: &mut Store, n: i64) -> Frontier {
    for k in 0..60 {
        append(till, day(n), Lane::Books, op(&format!("{}{:090}", ["a", "b", "c"][k % 3], k)));
        append(till, day(n), Lane::Floor, op(&format!("x{k:090}")));
        append(hub, day(n), Lane::Books, op(&format!("h{k:090}")));
    }
    append(till, day(n), Lane::Books, op("!out of scope"));
    pull(till, hub);
    pull(hub, till);
    let (entry, _) = seal(hub, day(n));
    pull(hub, till);
    go_over(hub, entry);
    go_over(till, entry)
}

pub(crate) fn cut(sealed: &Frontier, n: i64) -> Cut {
    Cut { sealed: sealed.clone(), headquarters: None, log_before: day(n - 2), books_before: day(n - 6) }
}

/// Prunes all that may go. Gives how many segments the log had and has.
pub(crate) fn prune(store: &mut Store, cut: &Cut) -> (usize, usize) {
    let segments = |store: &Store| store.log_segments().unwrap();
    let before = segments(store);
    let mut archive = ArchivedLog::open(&store.reader()).unwrap();
    loop {
        let plan = archive.plan(&store.reader(), cut, 3).unwrap();
        if plan.is_empty() {
            break;
        }
        store.prune(plan).unwrap();
    }
    let plan = archive.plan_archive(&store.reader(), cut).unwrap();
    if let Some(below) = plan.below() {
        store.prune_archive(plan).unwrap();
        archive.drop_below(below).unwrap();
    }
    (before, segments(store))
}

/// Twelve days of a hub and a till.
pub(crate) fn long_ago(hub_disk: &SimDisk, till_disk: &SimDisk) -> (Store, Store, Frontier) {
    let (mut hub, mut till) = (member(hub_disk, HUB, 20), member(till_disk, 3, 30));
    let mut sealed = Frontier::default();
    for n in 0..12 {
        sealed = one_day(&mut hub, &mut till, n);
    }
    (hub, till, sealed)
}

#[test]
fn a_pruned_log_keeps_young_books_opens_again_and_makes_its_views_from_the_seal() {
    let (hub_disk, till_disk) = (SimDisk::new(), SimDisk::new());
    let (hub, mut till, sealed) = long_ago(&hub_disk, &till_disk);
    let digests = till.reader().digests().unwrap();
    let journal = till
        .reader()
        .frontier()
        .lines()
        .map(|(j, _)| *j)
        .find(|j| j.run.0 == 30 && j.lane == Lane::Books)
        .unwrap();
    let (before, after) = prune(&mut till, &cut(&sealed, 11));
    assert!(after + 6 < before, "{before} segments became {after}");
    check_views(&till);
    assert_eq!(till.reader().digests().unwrap(), digests, "views do not depend on the log below");
    let last = till.reader().frontier().head(&journal).unwrap().seq;
    let first = (1..=last).find(|seq| !till.reader().is_pruned(&journal, *seq)).unwrap();
    assert!(first > 1 && first < last * 3 / 5, "books from {first} on are kept of {last}");
    assert!(!till.reader().entries(journal, first, 1 << 20).unwrap().is_empty(), "they are read, and served");
    assert!(till.reader().entries(journal, 1, 1 << 20).unwrap().is_empty());
    assert_eq!(parked(&till).len(), 12);

    // As it was left, and with its views gone.
    let frontier = till.reader().frontier();
    sell(&mut till, "more");
    till.close().unwrap();
    let gone = till_disk.copied();
    gone.remove("views.redb").unwrap();
    for disk in [till_disk, gone] {
        let mut till = open(&disk, 3, 31);
        assert_eq!(till.reader().frontier().delta(&frontier).len(), 1, "one more sale");
        check_views(&till);
        assert_eq!(parked(&till).len(), 12, "what is parked is still shown");
        assert!(
            !till.reader().entries(journal, first, 1 << 20).unwrap().is_empty(),
            "old books are found again"
        );
        let sale = sell(&mut till, "on");
        let continues = till.reader().entry(at(sale.place, 1)).unwrap().unwrap();
        assert_ne!(continues.prev(), &Hash([1; 32]));
        let mut hub = open(&hub_disk.copied(), HUB, 21);
        assert!(pull(&till, &mut hub), "the tail is served");
        assert_eq!(hub.reader().digests().unwrap(), till.reader().digests().unwrap());
    }
    drop(hub);
}

#[test]
fn what_a_row_leads_to_is_kept_until_it_is_settled_however_old_it_is() {
    let (mut hub, mut till) = (member(&SimDisk::new(), HUB, 20), member(&SimDisk::new(), 3, 30));
    let led_to = append(&mut till, day(0), Lane::Books, op("=a sale that is not settled")).hash;
    let other = append(&mut till, day(0), Lane::Books, op("another one")).hash;
    let here = |store: &Store, hash| store.reader().entry_by_hash(hash).unwrap().is_some();
    let mut sealed = Frontier::default();
    for n in 0..12 {
        sealed = one_day(&mut hub, &mut till, n);
    }
    // From the log to the archive, or from the log at once, where books are kept no longer than the floor.
    let at_once = Cut { books_before: day(9), ..cut(&sealed, 11) };
    for (store, cut) in [(&mut till, cut(&sealed, 11)), (&mut hub, at_once)] {
        for _ in 0..2 {
            prune(store, &cut);
            assert!(here(store, led_to), "it stays");
        }
    }
    assert_eq!([here(&till, other), here(&hub, other)], [false, false], "nothing leads there");

    append(&mut hub, day(11), Lane::Books, op("-settles"));
    pull(&hub, &mut till);
    for n in 12..36 {
        sealed = one_day(&mut hub, &mut till, n);
        prune(&mut till, &cut(&sealed, n));
        prune(&mut hub, &cut(&sealed, n));
    }
    for store in [&till, &hub] {
        assert!(!here(store, led_to), "nothing leads there any more");
        check_views(store);
    }
}

#[test]
fn nothing_goes_that_headquarters_does_not_hold_or_that_no_seal_covers() {
    let (mut hub, mut till) = (member(&SimDisk::new(), HUB, 20), member(&SimDisk::new(), 3, 30));
    let sealed = one_day(&mut hub, &mut till, 0);
    for n in 1..6 {
        one_day(&mut hub, &mut till, n);
    }
    let nothing = Cut { headquarters: Some(Frontier::default()), ..cut(&sealed, 12) };
    let (before, after) = prune(&mut till, &nothing);
    assert_eq!(before, after, "headquarters holds nothing");
    let young = Cut { log_before: day(-1), ..cut(&sealed, 12) };
    assert_eq!(prune(&mut till, &young), (before, before), "all of it is younger than what is kept");
    let (_, after) = prune(&mut till, &cut(&sealed, 12));
    assert!(after < before && after > before / 2, "{before} became {after}: what the first seal covers");
}

/// A snapshot, handed over piece by piece.
fn hand_over(from: &Store, to: &Store, entry: Hash) -> Result<(), SnapshotError> {
    let entry = from.reader().entry_by_hash(entry).unwrap().unwrap();
    let mut pieces = Vec::new();
    let mut keep = |piece: Vec<u8>| {
        let hash = toko_crdt::book::blob_hash(&piece);
        pieces.push((hash, piece));
        Ok(hash)
    };
    let list = Outgoing::make(&from.reader(), &entry, &mut keep)?;
    let mut incoming = Incoming::begin(&to.reader(), &list)?;
    assert_eq!(incoming.pieces(), pieces.iter().map(|(hash, _)| *hash).collect::<Vec<_>>());
    for (_, piece) in pieces {
        incoming.take(&piece)?;
    }
    incoming.finish().map(drop)
}

#[test]
fn a_blank_and_a_long_absent_till_take_a_snapshot_and_the_tail() {
    let absent_disk = SimDisk::new();
    let (mut hub, mut till) = (member(&SimDisk::new(), HUB, 20), member(&SimDisk::new(), 3, 30));
    let mut absent = member(&absent_disk, 4, 40);
    one_day(&mut hub, &mut till, 0);
    pull(&hub, &mut absent);
    // It sells on in the dark, and nobody has that.
    for _ in 0..5 {
        sell(&mut absent, "dark");
        scan(&mut absent, "dark");
    }
    let mut sealed = Frontier::default();
    for n in 1..12 {
        sealed = one_day(&mut hub, &mut till, n);
    }
    prune(&mut till, &cut(&sealed, 11));
    prune(&mut hub, &cut(&sealed, 11));
    sell(&mut till, "tail");
    let newest = hub.reader().read(|kv| toko_crdt::book::rows::seal_entries(kv)).unwrap();
    let newest = newest.into_iter().max_by_key(|(place, _)| place.seq).unwrap().1;

    let mut blank = member(&SimDisk::new(), 5, 50);
    for (store, from) in [(&mut absent, &till), (&mut blank, &till)] {
        assert!(!pull(from, store), "the beginning is in a snapshot only");
        hand_over(from, store, newest).unwrap();
        store.adopt().unwrap();
        check_views(store);
        assert!(pull(from, store), "the tail is there entry by entry");
    }
    assert_eq!(count(&absent, [0x10, b'd']), 5, "what it sold in the dark is still there");
    for _ in 0..2 {
        pull(&absent, &mut hub);
        pull(&till, &mut hub);
        pull(&hub, &mut till);
        pull(&hub, &mut absent);
        pull(&hub, &mut blank);
    }
    for store in [&till, &absent, &blank] {
        assert_eq!(store.reader().digests().unwrap(), hub.reader().digests().unwrap());
        assert_eq!(store.reader().frontier(), hub.reader().frontier());
        assert_eq!(parked(store).len(), parked(&hub).len());
    }
    // Both go over the next seal, and serve others.
    let (entry, _) = seal(&mut hub, day(12));
    let mut next = member(&SimDisk::new(), 6, 60);
    for store in [&mut absent, &mut blank] {
        pull(&hub, store);
        go_over(store, entry);
        hand_over(store, &next, entry).unwrap();
    }
    next.adopt().unwrap();
    pull(&absent, &mut next);
    assert_eq!(next.reader().digests().unwrap(), absent.reader().digests().unwrap());

    // And it opens again, with and without its views.
    absent.close().unwrap();
    let gone = absent_disk.copied();
    gone.remove("views.redb").unwrap();
    for disk in [absent_disk, gone] {
        let mut absent = open(&disk, 4, 41);
        assert_eq!(absent.reader().frontier(), hub.reader().frontier());
        check_views(&absent);
        sell(&mut absent, "again");
    }
}

fn rows_of(piece: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    toko_crdt::codec::decode("piece", 1, piece, piece.len()).unwrap()
}

#[test]
fn a_snapshot_that_does_not_add_up_or_that_no_hub_sealed_is_not_used() {
    let (hub_disk, till_disk) = (SimDisk::new(), SimDisk::new());
    let (mut hub, mut till) = (member(&hub_disk, HUB, 20), member(&till_disk, 3, 30));
    one_day(&mut hub, &mut till, 0);
    let newest = hub.reader().read(|kv| toko_crdt::book::rows::seal_entries(kv)).unwrap()[0].1;
    let entry = till.reader().entry_by_hash(newest).unwrap().unwrap();
    let mut pieces = Vec::new();
    let mut keep = |piece: Vec<u8>| {
        pieces.push(piece.clone());
        Ok(toko_crdt::book::blob_hash(&piece))
    };
    let list = Outgoing::make(&till.reader(), &entry, &mut keep).unwrap();
    let blank = member(&SimDisk::new(), 5, 50);
    for byte in (0..pieces[0].len()).step_by(97) {
        let mut incoming = Incoming::begin(&blank.reader(), &list).unwrap();
        let mut spoilt = pieces[0].clone();
        spoilt[byte] ^= 4;
        let taken = incoming.take(&spoilt).and_then(|()| {
            pieces[1..].iter().try_for_each(|piece| incoming.take(piece))?;
            incoming.finish().map(drop)
        });
        if taken.is_ok() {
            // Only where effects stand, which no seal covers.
            let (good, bad) = (rows_of(&pieces[0]), rows_of(&spoilt));
            let changed = good.iter().zip(&bad).find(|(good, bad)| good != bad).unwrap();
            assert!(
                matches!(changed.0.0[0], 0x80 | 0x82),
                "byte {byte} of {:02x?} went unnoticed",
                changed.0.0
            );
        }
    }
    for byte in 0..list.len() {
        let mut spoilt = list.clone();
        spoilt[byte] ^= 4;
        if let Ok(incoming) = Incoming::begin(&blank.reader(), &spoilt) {
            assert_ne!(
                incoming.pieces(),
                Incoming::begin(&blank.reader(), &list).unwrap().pieces(),
                "byte {byte}"
            );
        }
    }
    assert_eq!(blank.reader().digests().unwrap(), Default::default());
    assert!(blank.reader().frontier().is_empty(), "nothing of it was used");
}

#[test]
fn a_power_cut_at_any_sync_while_pruning_or_taking_a_snapshot_loses_nothing() {
    let (hub_disk, till_disk, absent_disk) = (SimDisk::new(), SimDisk::new(), SimDisk::new());
    let (mut hub, mut till) = (member(&hub_disk, HUB, 20), member(&till_disk, 3, 30));
    let mut absent = member(&absent_disk, 4, 40);
    let dark = sell(&mut absent, "dark");
    let mut sealed = Frontier::default();
    for n in 0..5 {
        sealed = one_day(&mut hub, &mut till, n);
    }
    let newest = hub.reader().read(|kv| toko_crdt::book::rows::seal_entries(kv)).unwrap();
    let newest = newest.into_iter().max_by_key(|(place, _)| place.seq).unwrap().1;
    let (digests, frontier) = (till.reader().digests().unwrap(), till.reader().frontier());
    till.close().unwrap();
    absent.close().unwrap();

    let mut pruned = till_disk.copied();
    for sync in 0.. {
        let disk = till_disk.copied();
        let mut store = open(&disk, 3, 31);
        disk.set_faults(Faults { die_at_sync: Some(sync), ..Faults::default() });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            prune(&mut store, &Cut { log_before: day(3), books_before: day(1), ..cut(&sealed, 5) })
        }));
        let done = result.is_ok() && !disk.is_dead();
        drop(store);
        let disk = disk.power_cut(sync);
        if sync % 3 == 1 && disk.size("views.redb").is_ok() {
            disk.remove("views.redb").unwrap();
        }
        let mut store = open(&disk, 3, 32);
        assert_eq!(
            (store.reader().digests().unwrap(), store.reader().frontier()),
            (digests, frontier.clone()),
            "sync {sync}"
        );
        check_views(&store);
        for (journal, head) in frontier.lines().filter(|(journal, _)| journal.lane == Lane::Books) {
            let first = (1..=head.seq).find(|seq| !store.reader().is_pruned(journal, *seq)).unwrap();
            let mut held = first;
            while held <= head.seq {
                let part = store.reader().entries(*journal, held, 1 << 20).unwrap();
                assert!(!part.is_empty(), "sync {sync}: books have a hole at {held}");
                held += part.len() as u64;
            }
        }
        prune(&mut store, &Cut { log_before: day(3), books_before: day(1), ..cut(&sealed, 5) });
        check_views(&store);
        store.close().unwrap();
        if done {
            assert!(sync > 10, "{sync} syncs");
            pruned = disk;
            break;
        }
    }

    let server = open(&pruned, 3, 33);
    for sync in 0.. {
        let disk = absent_disk.copied();
        let mut store = open(&disk, 4, 41);
        disk.set_faults(Faults { die_at_sync: Some(sync), ..Faults::default() });
        let handed = hand_over(&server, &store, newest);
        let done = handed.is_ok() && store.adopt().is_ok() && !disk.is_dead();
        drop(store);
        let disk = disk.power_cut(sync);
        let mut store = open(&disk, 4, 42);
        check_views(&store);
        let mine = store.reader().entry_by_hash(dark.hash).unwrap();
        assert!(mine.is_some(), "sync {sync}: what was sold in the dark is gone");
        assert_eq!(count(&store, [0x10, b'd']), 1, "sync {sync}");
        hand_over(&server, &store, newest).unwrap();
        store.adopt().unwrap();
        assert!(pull(&server, &mut store));
        check_views(&store);
        assert_eq!(count(&store, [0x10, b'd']), 1);
        assert!(store.reader().frontier().covers(&frontier));
        if done {
            assert!(sync > 4, "{sync} syncs");
            break;
        }
    }
}
