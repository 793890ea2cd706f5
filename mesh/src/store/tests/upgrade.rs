//! A build whose fold means something else by the same entries.

use super::*;

#[test]
fn a_build_that_reads_more_makes_the_views_anew_and_finds_what_the_old_one_parked() {
    let disk = SimDisk::new();
    let mut store = member(&disk, 3);
    for text in ["+tin", "!", "+tin"] {
        save(&mut store, text);
    }
    store.checkpoint().unwrap();
    assert_eq!((count(&store, "!"), store.reader().parked().unwrap().len()), (0, 1));
    drop(store);

    let mut newer = setup(&disk.process_killed(), 3);
    newer.fold = Arc::new(Counting { version: 2, cured: true, ..Counting::default() });
    let store = Store::open(newer).unwrap();
    assert_eq!((count(&store, "!"), store.reader().parked().unwrap().len()), (1, 0));
    assert_eq!(count(&store, "tin"), 2, "and what it knew already counts no more than before");
    check_views(&store);
}
