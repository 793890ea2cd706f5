use super::*;

fn read(disk: &SimDisk, name: &str) -> Vec<u8> {
    let mut bytes = vec![0; index(disk.size(name).unwrap())];
    disk.read_at(name, 0, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_was_synced_survives_every_power_cut_and_the_rest_only_sometimes() {
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let disk = SimDisk::new();
        disk.create("a", 0).unwrap();
        disk.write_at("a", 0, &[1; 2000]).unwrap();
        disk.sync("a").unwrap();
        disk.sync_dir().unwrap();
        disk.write_at("a", 2000, &[2; 2000]).unwrap();
        let after = disk.power_cut(seed);
        assert!(disk.size("a").is_err(), "the old handle is dead");
        let bytes = read(&after, "a");
        assert_eq!(bytes[..2000], [1; 2000]);
        match bytes[2000..].iter().filter(|b| **b == 2).count() {
            0 => lost += 1,
            2000 => kept += 1,
            _ => torn += 1,
        }
    }
    assert!(kept > 0 && lost > 0 && torn > 0, "kept {kept}, lost {lost}, torn {torn}");
}

#[test]
fn a_name_that_was_not_synced_may_be_gone() {
    let outcomes: Vec<bool> = (0..50)
        .map(|seed| {
            let disk = SimDisk::new();
            disk.create("a", 0).unwrap();
            disk.sync("a").unwrap();
            !disk.power_cut(seed).list().unwrap().is_empty()
        })
        .collect();
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}

#[test]
fn a_killed_process_loses_nothing_and_a_power_cut_after_it_still_may() {
    let disk = SimDisk::new();
    disk.create("a", 0).unwrap();
    disk.write_at("a", 0, b"tin").unwrap();
    let next = disk.process_killed();
    assert_eq!(read(&next, "a"), b"tin");
    assert!((0..50).any(|seed| next.process_killed().power_cut(seed).list().unwrap().is_empty()));
}

#[test]
fn the_machine_dies_at_the_chosen_operation_and_stays_dead() {
    let disk = SimDisk::new();
    disk.set_faults(Faults { die_at_op: Some(1), ..Faults::default() });
    disk.create("a", 0).unwrap();
    assert!(disk.write_at("a", 0, b"tin").is_err());
    assert!(disk.is_dead() && disk.list().is_err());
}

#[test]
fn a_full_disk_takes_what_fits_and_says_so() {
    let disk = SimDisk::new();
    disk.create("a", 10).unwrap();
    disk.set_faults(Faults { capacity: Some(12), ..Faults::default() });
    assert_eq!(disk.write_at("a", 8, b"12345").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.size("a").unwrap(), 12);
    disk.write_at("a", 0, b"inside is fine").unwrap_err();
    disk.write_at("a", 0, b"inside").unwrap();
    assert_eq!(disk.create("b", 1).unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_failed_sync_loses_what_it_should_have_kept_though_reads_show_it() {
    let disk = SimDisk::new();
    disk.create("a", 0).unwrap();
    disk.sync_dir().unwrap();
    disk.set_faults(Faults { fail_sync: Some(0), ..Faults::default() });
    disk.write_at("a", 0, b"tin").unwrap();
    disk.sync("a").unwrap_err();
    disk.sync("a").unwrap();
    assert_eq!(read(&disk, "a"), b"tin");
    assert_ne!(read(&disk.power_cut(1), "a"), b"tin", "the second sync was a lie, as on Linux");
}
