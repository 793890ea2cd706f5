//! What the disk spoilt below a sync: set aside, and given back by peers.

use super::*;

/// Flips one bit of the record of an entry.
fn spoil(disk: &SimDisk, store: &Store, place: EntryRef) {
    let row = store.reader().read(|kv| tables::place(kv, place)).unwrap();
    let (at, _) = row.expect("it is in the log");
    disk.flip_bit(&format!("log-{:08}.seg", at.segment), u64::from(at.offset) + 30, 5).unwrap();
}

#[test]
fn a_store_goes_on_before_what_was_spoilt_and_a_peer_gives_the_rest_back() {
    let (disk, other) = (SimDisk::new(), SimDisk::new());
    let mut store = member(&disk, 3);
    let mut peer = member(&other, 4);
    save(&mut peer, "+far");
    pull(&peer, &mut store);
    let places: Vec<EntryRef> = (0..6).map(|_| save(&mut store, "+tin").place).collect();
    pull(&store, &mut peer);
    let last = save(&mut store, "+lost");
    spoil(&disk, &store, places[2]);
    drop(store);

    let mut store = open(&disk.process_killed(), 3);
    let parts = store.reader().set_aside().unwrap();
    assert_eq!(parts.len(), 1, "{parts:?}");
    assert!(parts[0].file.starts_with("damaged-0001-log-00000001.seg-from-"), "{parts:?}");
    assert_eq!((count(&store, "tin"), count(&store, "far"), count(&store, "lost")), (2, 1, 0));
    check_views(&store);
    // It sells on before it hears of what it had said, and then holds both.
    let next = save(&mut store, "+next");
    assert_ne!(next.place.journal, last.place.journal);
    pull(&peer, &mut store);
    pull(&store, &mut peer);
    for store in [&store, &peer] {
        assert_eq!((count(store, "tin"), count(store, "next"), count(store, "far")), (6, 1, 1));
        check_views(store);
    }
    assert_eq!(store.reader().digests().unwrap(), peer.reader().digests().unwrap());
}

/// A store with entries in several segments, all of it in the database.
fn several_segments(disk: &SimDisk) -> Store {
    let mut store = member(disk, 3);
    for n in 0..90 {
        save(&mut store, &format!("+{n:01000}"));
    }
    assert!(store.log.end().segment > 1);
    store.checkpoint().unwrap();
    store
}

fn set_aside(store: &Store) -> Vec<String> {
    store.reader().set_aside().unwrap().into_iter().map(|part| part.file).collect()
}

fn held(store: &Store) -> u64 {
    store.reader().frontier().lines().map(|(_, head)| head.seq).sum()
}

#[test]
fn a_header_is_written_again_and_nothing_is_lost() {
    let disk = SimDisk::new();
    let before = held(&several_segments(&disk));
    disk.flip_bit("log-00000002.seg", 20, 1).unwrap();
    let store = open(&disk.process_killed(), 3);
    assert_eq!(
        (set_aside(&store), held(&store)),
        (vec!["damaged-0001-log-00000002.seg-from-0".into()], before)
    );
    check_views(&store);
}

#[test]
fn damage_far_below_is_found_when_all_of_the_log_is_looked_at() {
    let disk = SimDisk::new();
    let store = several_segments(&disk);
    // Views of another fold are made anew, so that all of the log is looked at; the damage is older than they are.
    spoil(
        &disk,
        &store,
        EntryRef { seq: 40, journal: store.reader().frontier().lines().next().unwrap().0.to_owned() },
    );
    drop(store);
    let fold = Arc::new(Counting { version: 9, ..Counting::default() });
    let store = Store::open(StoreSetup { fold, ..setup(&disk.process_killed(), 3) }).unwrap();
    let names = set_aside(&store);
    assert!(names[0].starts_with("damaged-0001-log-00000001.seg-from-"), "{names:?}");
    assert!(
        names[1..].iter().all(|name| name.ends_with(".seg")) && names.len() > 1,
        "what came after it is kept: {names:?}"
    );
    assert_eq!(held(&store), 39);
    check_views(&store);
}
