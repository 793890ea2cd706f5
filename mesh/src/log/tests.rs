use super::{
    format::{FRAME_BYTES, HEADER_BYTES},
    *,
};
use crate::sim_disk::{Faults, SimDisk};

const STORE: StoreId = StoreId([0x11; 32]);
const SMALL: LogConfig =
    LogConfig { segment_bytes: 4096, payload_bytes_max: 2000, reserve_bytes: 0, first_segment: 1 };

fn open(disk: &SimDisk) -> Result<Log, OpenLogError> {
    Log::open(Arc::new(disk.clone()), STORE, SMALL, None)
}

fn payloads(log: &Log) -> Vec<Vec<u8>> {
    log.records(log.start()).map(|record| record.unwrap().payload).collect()
}

/// Appends and syncs one record of `bytes` bytes that all are `n`.
fn put(log: &mut Log, n: u8, bytes: usize) -> Result<Position, AppendLogError> {
    let positions = log.append(&[(1, &vec![n; bytes])])?;
    log.sync()?;
    Ok(positions[0])
}

#[test]
fn what_was_appended_is_read_back_in_order_and_by_place_across_segments() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    let places: Vec<Position> = (0..40).map(|n| put(&mut log, n, 300 + usize::from(n)).unwrap()).collect();
    assert!(places[39].segment > 2, "several segments");
    drop(log);
    let log = open(&disk.process_killed()).unwrap();
    let records: Vec<Record> = log.records(log.start()).collect::<Result<_, _>>().unwrap();
    assert_eq!(records.iter().map(|record| record.position).collect::<Vec<_>>(), places);
    for (n, place) in places.iter().enumerate() {
        assert_eq!(log.reader().read(*place).unwrap(), records[n]);
        assert_eq!(records[n].payload, vec![u8::try_from(n).unwrap(); 300 + n]);
    }
    assert_eq!(log.records(places[30]).count(), 10);
}

#[test]
fn a_group_is_one_write_and_one_sync() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    let (ops, syncs) = (disk.ops(), disk.syncs());
    log.append(&[(1, b"a"), (2, b"b"), (3, b"c")]).unwrap();
    log.sync().unwrap();
    log.sync().unwrap();
    assert_eq!((disk.ops() - ops, disk.syncs() - syncs), (2, 1));
}

#[test]
fn nothing_stands_at_a_wrong_place_and_nothing_is_allocated_for_it() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    let place = put(&mut log, 1, 100).unwrap();
    disk.write_at("log-00000001.seg", 300, &u32::MAX.to_le_bytes()).unwrap();
    for offset in [place.offset + 1, 300, 4090, 5000] {
        let error = log.reader().read(Position { offset, ..place }).unwrap_err();
        assert!(matches!(error, ReadLogError::NoRecord { .. }), "{error}");
    }
}

#[test]
fn damage_below_a_sync_is_named_and_never_cut() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    let places: Vec<Position> = (0..5).map(|n| put(&mut log, n, 100).unwrap()).collect();
    disk.flip_bit("log-00000001.seg", u64::from(places[2].offset) + 50, 3).unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, OpenLogError::Damaged { at, .. } if at == places[2]), "{error}");
    assert!(error.to_string().starts_with("log-00000001.seg is damaged at offset "), "{error}");
}

#[test]
fn whole_records_behind_a_torn_one_never_come_back() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    put(&mut log, 1, 100).unwrap();
    let places = log.append(&[(1, &[2; 100]), (1, &[3; 100])]).unwrap();
    // The power went before the sync: of the two, only the second reached the disk whole.
    disk.write_at("log-00000001.seg", u64::from(places[0].offset), &[0; 50]).unwrap();
    let disk = disk.process_killed();
    let mut log = open(&disk).unwrap();
    assert_eq!(payloads(&log).len(), 1);
    put(&mut log, 4, 100).unwrap();
    let log = open(&disk.process_killed()).unwrap();
    assert_eq!(payloads(&log), [vec![1; 100], vec![4; 100]]);
}

#[test]
fn damage_in_an_older_segment_and_a_missing_segment_are_named() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    for n in 0..40 {
        put(&mut log, n, 300).unwrap();
    }
    let gone = disk.process_killed();
    gone.remove("log-00000002.seg").unwrap();
    let error = open(&gone).unwrap_err();
    assert!(matches!(&error, OpenLogError::Gone { file } if file == "log-00000002.seg"), "{error}");
    let rotten = gone.process_killed();
    drop(gone);
    rotten.create("log-00000002.seg", 4096).unwrap();
    let error = open(&rotten).unwrap_err();
    assert!(matches!(error, OpenLogError::Damaged { at, .. } if at.segment == 2), "{error}");
}

/// Five records of which the third is spoilt, and the offset of it.
fn spoilt() -> (SimDisk, Position) {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    let places: Vec<Position> = (0..5).map(|n| put(&mut log, n, 100).unwrap()).collect();
    disk.flip_bit("log-00000001.seg", u64::from(places[2].offset) + 50, 3).unwrap();
    (disk, places[2])
}

#[test]
fn what_a_disk_spoilt_is_set_aside_and_the_log_goes_on_before_it() {
    let (disk, at) = spoilt();
    let was = disk.size("log-00000001.seg").unwrap();
    let parts = set_aside(&disk, &STORE, at, &[]).unwrap();
    let file = format!("damaged-0001-log-00000001.seg-from-{}", at.offset);
    assert_eq!(parts, [SetAside { number: 1, file: file.clone(), bytes: was - u64::from(at.offset) }]);
    let mut kept = vec![0; 5];
    disk.read_at(&file, 2 * u64::from(FRAME_BYTES + 100) + u64::from(FRAME_BYTES), &mut kept).unwrap();
    assert_eq!(kept, [4; 5], "the last record is still to be had there");
    let mut log = open(&disk).unwrap();
    assert_eq!(payloads(&log), [vec![0; 100], vec![1; 100]]);
    put(&mut log, 9, 100).unwrap();
    assert_eq!(payloads(&open(&disk.process_killed()).unwrap()), [vec![0; 100], vec![1; 100], vec![9; 100]]);
}

#[test]
fn a_power_cut_while_damage_is_set_aside_leaves_all_of_it_or_none() {
    let steps = {
        let (disk, at) = spoilt();
        let before = disk.ops();
        set_aside(&disk, &STORE, at, &[]).unwrap();
        disk.ops() - before
    };
    assert!(steps > 4);
    for (cut, seed) in (0..steps).flat_map(|cut| (0..4).map(move |seed| (cut, seed))) {
        let (disk, at) = spoilt();
        disk.set_faults(Faults { die_at_op: Some(cut), ..Faults::default() });
        let _ = set_aside(&disk, &STORE, at, &[]);
        let disk = disk.power_cut(seed);
        match open(&disk) {
            Ok(log) => {
                assert_eq!(payloads(&log).len(), 2, "cut at step {cut}");
                assert!(!all_set_aside(&disk).unwrap().is_empty(), "cut at step {cut}");
            }
            Err(OpenLogError::Damaged { at: again, .. }) => {
                assert_eq!(again, at, "cut at step {cut}");
                set_aside(&disk, &STORE, again, &[]).unwrap();
                assert_eq!(payloads(&open(&disk).unwrap()).len(), 2, "cut at step {cut}");
            }
            Err(other) => panic!("cut at step {cut}: {other}"),
        }
    }
}

#[test]
fn a_log_without_a_whole_beginning_is_left_as_it_is_and_so_is_one_on_a_hopeless_disk() {
    let disk = SimDisk::new();
    put(&mut open(&disk).unwrap(), 1, 100).unwrap();
    let names = disk.list().unwrap();
    assert_eq!(set_aside(&disk, &STORE, Position::start_of(1), &[]).unwrap(), []);
    assert_eq!(disk.list().unwrap(), names);
    let (disk, at) = spoilt();
    for _ in 0..ASIDE_MAX {
        set_aside(&disk, &STORE, at, &[]).unwrap();
    }
    let error = set_aside(&disk, &STORE, at, &[]).unwrap_err();
    assert!(error.to_string().contains("cannot be trusted with more"), "{error}");
}

#[test]
fn another_stores_log_is_refused_by_name() {
    let disk = SimDisk::new();
    drop(open(&disk).unwrap());
    let other = StoreId([9; 32]);
    let error = Log::open(Arc::new(disk), other, SMALL, None).unwrap_err();
    assert!(matches!(error, OpenLogError::Foreign { ours, .. } if ours == other), "{error}");
}

#[test]
fn a_log_that_ends_below_what_was_synced_is_refused() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    put(&mut log, 1, 100).unwrap();
    let trusted = Position { segment: 1, offset: 4000 };
    assert!(Log::open(Arc::new(disk.clone()), STORE, SMALL, Some(log.synced())).is_ok());
    let missing = Position { segment: 2, ..trusted };
    assert!(Log::open(Arc::new(disk), STORE, SMALL, Some(missing)).is_err());
}

#[test]
fn a_failed_sync_breaks_the_log_until_the_process_starts_again() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    put(&mut log, 1, 100).unwrap();
    disk.set_faults(Faults { fail_sync: Some(0), ..Faults::default() });
    assert!(matches!(put(&mut log, 2, 100), Err(AppendLogError::Broken { .. })));
    assert!(matches!(log.sync(), Err(AppendLogError::Broken { .. })), "not retried, not believed");
    assert!(matches!(put(&mut log, 3, 100), Err(AppendLogError::Broken { .. })));

    let disk = disk.process_killed();
    let mut log = open(&disk).unwrap();
    let found = payloads(&log).len();
    put(&mut log, 4, 100).unwrap();
    for seed in 0..30 {
        let log = open(&disk.process_killed().power_cut(seed)).unwrap();
        assert_eq!(
            payloads(&log).len(),
            found + 1,
            "what the restart found was made durable before it was built on"
        );
    }
}

#[test]
fn a_full_disk_is_an_answer_and_appending_goes_on_when_there_is_space() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    for n in 0..9 {
        put(&mut log, n, 400).unwrap();
    }
    disk.set_faults(Faults { capacity: Some(4096), ..Faults::default() });
    assert!(matches!(put(&mut log, 90, 400), Err(AppendLogError::DiskFull { .. })));
    assert_eq!(payloads(&log).len(), 9);
    put(&mut log, 9, 100).unwrap();
    disk.set_faults(Faults::default());
    put(&mut log, 10, 400).unwrap();
    let log = open(&disk.process_killed()).unwrap();
    assert_eq!(
        payloads(&log).iter().map(|payload| payload[0]).collect::<Vec<_>>(),
        (0..11).collect::<Vec<_>>()
    );
}

#[test]
fn a_write_that_ran_out_half_way_is_never_read_even_after_a_power_cut() {
    for seed in 0..50 {
        // A file system that could not reserve: the file grows with each append.
        let disk = SimDisk::new();
        let mut log = open(&disk).unwrap();
        put(&mut log, 1, 100).unwrap();
        let end = u64::from(log.end().offset);
        disk.set_len("log-00000001.seg", end).unwrap();
        disk.set_faults(Faults { capacity: Some(end + 250), ..Faults::default() });
        // Two records of the group fit, the third does not; what is written next has the length of the first.
        let group: [(u8, &[u8]); 3] = [(1, &[2; 100]), (1, &[3; 100]), (1, &[4; 100])];
        assert!(matches!(log.append(&group), Err(AppendLogError::DiskFull { .. })));
        disk.set_faults(Faults::default());
        put(&mut log, 4, 100).unwrap();
        let log = open(&disk.power_cut(seed)).unwrap();
        assert_eq!(
            payloads(&log).iter().map(|payload| payload[0]).collect::<Vec<_>>(),
            [1, 4],
            "seed {seed}"
        );
    }
}

#[test]
fn the_reserve_is_given_up_for_one_more_segment_and_taken_again() {
    let config = LogConfig { segment_bytes: 128 << 10, reserve_bytes: 128 << 10, ..SMALL };
    let disk = SimDisk::new();
    disk.set_faults(Faults { capacity: Some(1 << 20), ..Faults::default() });
    let mut log = Log::open(Arc::new(disk.clone()), STORE, config, None).unwrap();
    assert!(log.has_reserve());
    disk.set_faults(Faults { capacity: Some(256 << 10), ..Faults::default() });
    let full = (0..).find(|_| put(&mut log, 1, 1000).is_err()).unwrap();
    assert!(!log.has_reserve());
    assert!(full > 200, "the second segment came out of the reserve: {full}");
    disk.set_faults(Faults::default());
    log.prepare().unwrap();
    assert!(log.has_reserve());
    put(&mut log, 1, 1000).unwrap();
}

#[test]
fn the_next_segment_is_ready_before_it_is_needed() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    for n in 0..8 {
        put(&mut log, n, 400).unwrap();
    }
    log.prepare().unwrap();
    let names = disk.list().unwrap();
    assert_eq!(names, ["log-00000001.seg", "log-00000002.seg"]);
    let log = open(&disk.process_killed()).unwrap();
    assert_eq!(log.end().segment, 1, "a segment that was made ahead is not yet the active one");
    assert_eq!(payloads(&log).len(), 8);
}

#[test]
fn one_append_larger_than_a_segment_is_refused_and_changes_nothing() {
    let mut log = open(&SimDisk::new()).unwrap();
    let records: Vec<(u8, &[u8])> = vec![(1, &[1; 1500]); 3];
    assert!(matches!(log.append(&records), Err(AppendLogError::TooLarge { .. })));
    assert!(matches!(log.append(&[(1, &[1; 2001])]), Err(AppendLogError::TooLarge { .. })));
    assert_eq!(log.end().offset, HEADER_BYTES);
}

/// Appends groups of one to three records until the disk dies; returns how many records were acknowledged.
fn fill(log: &mut Log, from: u8) -> u8 {
    let mut acknowledged = from;
    for n in from..from + 30 {
        let payload = [n; 150];
        if log.append(&[(1, &payload)]).is_err() {
            return acknowledged;
        }
        if n % 3 == 0 {
            if log.sync().is_err() {
                return acknowledged;
            }
            acknowledged = n + 1;
        }
        if n % 7 == 0 && log.prepare().is_err() {
            return acknowledged;
        }
    }
    acknowledged
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged_and_nothing_is_half_there() {
    let calm = SimDisk::new();
    fill(&mut open(&calm).unwrap(), 0);
    for op in 0..calm.ops() {
        for seed in 0..12 {
            let disk = SimDisk::new();
            disk.set_faults(Faults { die_at_op: Some(op), ..Faults::default() });
            let acknowledged = open(&disk).map_or(0, |mut log| fill(&mut log, 0));
            // A second power cut while the first one is being recovered from.
            let disk = disk.power_cut(seed * 1000 + op);
            disk.set_faults(Faults { die_at_op: Some(seed % 4), ..Faults::default() });
            drop(open(&disk));
            let disk = disk.power_cut(seed + op);
            let mut log = open(&disk).unwrap_or_else(|error| panic!("op {op} seed {seed}: {error}"));
            let found = payloads(&log);
            let count = u8::try_from(found.len()).unwrap();
            assert!(count >= acknowledged, "op {op} seed {seed}: {count} of {acknowledged}");
            assert!(found.iter().enumerate().all(|(n, payload)| *payload == [u8::try_from(n).unwrap(); 150]));
            // It goes on from there as if nothing had been.
            fill(&mut log, count);
            assert_eq!(payloads(&open(&disk.process_killed()).unwrap()).len(), usize::from(count) + 30);
        }
    }
}

#[test]
fn a_disk_that_lies_about_syncs_is_caught() {
    let mut caught = 0;
    for seed in 0..40 {
        let disk = SimDisk::new();
        let mut log = open(&disk).unwrap();
        disk.set_faults(Faults { lying_syncs: true, ..Faults::default() });
        let acknowledged = fill(&mut log, 0);
        let found = open(&disk.power_cut(seed)).map(|log| payloads(&log).len());
        caught += u32::from(!found.is_ok_and(|found| found >= usize::from(acknowledged)));
    }
    assert!(caught > 20, "{caught} of 40");
}
