//! A forked journal, as whoever finds it out sees it.

use super::*;

#[test]
fn whoever_finds_a_fork_keeps_both_branches_although_the_copy_is_never_seen_again() {
    let disk = SimDisk::new();
    let mut one = member(&disk, 3);
    save(&mut one, "+shared");
    let mut other = open(&disk.copied(), 3);
    other.run = one.run;
    for text in ["+one", "+one"] {
        save(&mut one, text);
    }
    for text in ["+other", "+other", "+other"] {
        save(&mut other, text);
    }
    let journal = JournalId { node: key(3).node(), run: one.run.unwrap(), lane: Lane::Books };
    let all = |store: &Store| store.reader().entries(journal, 1, 1 << 20).unwrap();

    let disk = SimDisk::new();
    let mut third = member(&disk, 4);
    ingest(&mut third, all(&one)).unwrap();
    assert!(ingest(&mut third, all(&other)).unwrap().forked);
    drop((one, other));
    third.step(NOW, vec![Request::Probe]);
    assert_eq!([count(&third, "shared"), count(&third, "one"), count(&third, "other")], [1, 2, 3]);
    drop(third);
    let third = open(&disk.process_killed(), 4);
    assert_eq!([count(&third, "shared"), count(&third, "one"), count(&third, "other")], [1, 2, 3]);
    check_views(&third);
}
