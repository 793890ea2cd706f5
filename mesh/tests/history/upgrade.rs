//! A build whose fold makes other rows of the same entries, where the log no longer reaches back (F41, F42).

use super::prune::{cut, day, go_over, long_ago, prune};
use super::rig::*;
use std::sync::Arc;
use toko_crdt::digest::Digests;
use toko_crdt::fold::{Effect, FoldError};
use toko_crdt::{Fold, Kv, KvError, Lane};
use toko_mesh::sim_disk::{Faults, SimDisk};
use toko_mesh::store::{OpenStoreError, Store};

/// Counts as [`Tally`] does, in decimal, and reads what was too new for that one.
struct Decimal {
    follows: bool,
}

impl Fold for Decimal {
    fn version(&self) -> u32 {
        1
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        let first = if effect.entry.journal().lane == Lane::Books { 0x10 } else { 0x50 };
        let row = [first, effect.op[0]];
        let count: u64 = kv.get(&row)?.map_or(0, |text| String::from_utf8(text).unwrap().parse().unwrap());
        Ok(kv.put(&row, (count + 1).to_string().as_bytes())?)
    }

    fn bring_up(&self, from: u32, kv: &mut dyn Kv) -> Result<bool, KvError> {
        if from != 0 || !self.follows {
            return Ok(false);
        }
        let mut rows = Vec::new();
        for table in [0x10, 0x50] {
            kv.scan(&[table], &mut |key, value| {
                rows.push((key.to_vec(), u64::from_be_bytes(value.try_into().unwrap())));
                true
            })?;
        }
        rows.into_iter().try_for_each(|(key, count)| kv.put(&key, count.to_string().as_bytes()))?;
        Ok(true)
    }
}

fn newer(disk: &SimDisk, seed: u8, run: u64) -> Result<Store, OpenStoreError> {
    let mut setup = setup(disk, seed, run);
    setup.fold = Arc::new(Decimal { follows: true });
    Store::open(setup)
}

fn digests(store: &Store) -> Digests {
    check_views(store);
    store.reader().digests().unwrap()
}

/// A hub that keeps all of its log, and a till that let go of most of it and holds something that is too new for it.
fn before_the_upgrade() -> (SimDisk, SimDisk) {
    let (hub_disk, till_disk) = (SimDisk::new(), SimDisk::new());
    let (mut hub, mut till, _) = long_ago(&hub_disk, &till_disk);
    sell(&mut till, "?of a newer build");
    pull(&till, &mut hub);
    let (entry, _) = seal(&mut hub, day(12));
    pull(&hub, &mut till);
    let sealed = go_over(&till, entry);
    let (had, has) = prune(&mut till, &cut(&sealed, 12));
    assert!(has < had);
    assert!(!till.reader().is_whole(), "the beginning is gone");
    sell(&mut till, "after the seal");
    pull(&till, &mut hub);
    hub.close().unwrap();
    till.close().unwrap();
    (hub_disk, till_disk)
}

#[test]
fn an_upgrade_brings_up_what_the_log_no_longer_makes_and_folds_what_was_too_new() {
    let (hub_disk, till_disk) = before_the_upgrade();
    let mut hub = newer(&hub_disk, HUB, 21).unwrap();
    let mut till = newer(&till_disk, 3, 31).unwrap();
    assert_eq!(digests(&till), digests(&hub), "brought up here, made anew from the whole log there");
    assert_eq!(parked(&till), parked(&hub));
    assert_eq!(parked(&till).len(), 12, "what may not be written stays parked, what was too new does not");
    // The next seal is gone over by both, and history goes on going.
    sell(&mut till, "a sale of the newer build");
    pull(&till, &mut hub);
    pull(&hub, &mut till);
    let (entry, _) = seal(&mut hub, day(14));
    pull(&hub, &mut till);
    let sealed = go_over(&till, entry);
    prune(&mut till, &cut(&sealed, 14));
    let expected = digests(&till);
    till.close().unwrap();
    assert_eq!(digests(&newer(&till_disk, 3, 32).unwrap()), expected);
}

#[test]
fn an_upgrade_can_be_taken_back_until_the_newer_build_lets_go_of_history() {
    let (hub_disk, till_disk) = before_the_upgrade();
    let before = digests(&open(&till_disk, 3, 31));
    let mut till = newer(&till_disk, 3, 32).unwrap();
    let risen = digests(&till);
    let sale = sell(&mut till, "a sale of the newer build");
    till.close().unwrap();
    let till = open(&till_disk, 3, 33);
    assert_eq!(count(&till, [0x10, b'a']), 242, "what there was, and both sales since");
    assert!(till.reader().entry_by_hash(sale.hash).unwrap().is_some());
    assert_ne!(digests(&till), before);
    till.close().unwrap();
    // And there again.
    let mut till = newer(&till_disk, 3, 34).unwrap();
    assert_ne!(digests(&till), risen, "with the sale");
    let mut hub = newer(&hub_disk, HUB, 21).unwrap();
    pull(&till, &mut hub);
    let (entry, _) = seal(&mut hub, day(14));
    pull(&hub, &mut till);
    let sealed = go_over(&till, entry);
    let (had, has) = prune(&mut till, &cut(&sealed, 14));
    assert!(has < had);
    till.close().unwrap();
    let mut older = setup(&till_disk, 3, 35);
    older.fold = Arc::new(Tally::default());
    assert!(matches!(Store::open(older), Err(OpenStoreError::NoSnapshot)), "it would lack what went since");
    digests(&newer(&till_disk, 3, 36).unwrap());
}

#[test]
fn a_build_that_does_not_follow_the_older_one_says_so_and_changes_nothing() {
    let (_, till_disk) = before_the_upgrade();
    let before = digests(&open(&till_disk, 3, 31));
    let mut other = setup(&till_disk, 3, 32);
    other.fold = Arc::new(Decimal { follows: false });
    let refused = Store::open(other).unwrap_err();
    assert!(refused.to_string().contains("start the build that wrote it"), "{refused}");
    assert_eq!(digests(&open(&till_disk, 3, 33)), before);
}

#[test]
fn a_power_cut_at_any_write_of_an_upgrade_leaves_the_older_build_or_the_newer() {
    let (_, till_disk) = before_the_upgrade();
    let [old, risen] = {
        let disk = till_disk.copied();
        let old = digests(&open(&disk, 3, 31));
        [old, digests(&newer(&disk, 3, 32).unwrap())]
    };
    for op in 0.. {
        let disk = till_disk.copied();
        disk.set_faults(Faults { die_at_op: Some(op), ..Faults::default() });
        let done = newer(&disk, 3, 33).is_ok() && !disk.is_dead();
        let disk = disk.power_cut(op);
        let taken_back = disk.copied();
        assert_eq!(digests(&newer(&disk, 3, 34).unwrap()), risen, "operation {op}");
        assert_eq!(digests(&open(&taken_back, 3, 35)), old, "operation {op}");
        if done {
            assert!(op > 20, "{op} operations");
            break;
        }
    }
}
