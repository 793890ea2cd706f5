use super::*;
use crate::sim_disk::{Faults, SimDisk};
use toko_crdt::{Kv, digest::Digests, fold::MapKv};

type Map = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn row(key: &str, value: Option<&str>) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into(), value.map(Into::into))
}

fn open(disk: &SimDisk) -> Views {
    Views::open(Arc::new(disk.clone()), 1 << 20).unwrap()
}

fn all(views: &Views) -> String {
    let mut out = Vec::new();
    views
        .read(|kv| {
            kv.scan(b"k", &mut |key, value| {
                out.push(format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
                true
            })
        })
        .unwrap();
    out.join(" ")
}

fn flush(views: &Views) {
    views.finish(views.start_flush().unwrap().run()).unwrap();
}

#[test]
fn rows_in_memory_on_their_way_and_in_the_database_read_as_one() {
    let disk = SimDisk::new();
    let views = open(&disk);
    views.publish(Map::from([
        row("k1", Some("a")),
        row("k3", Some("a")),
        row("k5", Some("a")),
        row("x", Some("a")),
    ]));
    flush(&views);
    views.publish(Map::from([row("k1", Some("b")), row("k2", Some("b")), row("k5", None)]));
    let under_way = views.start_flush().unwrap();
    assert!(views.start_flush().is_none(), "one at a time");
    views.publish(Map::from([row("k0", Some("c")), row("k2", None), row("k6", Some("c"))]));
    assert_eq!(all(&views), "k0=c k1=b k3=a k6=c");
    let before = views.snapshot();
    views.finish(under_way.run()).unwrap();
    assert_eq!(all(&views), "k0=c k1=b k3=a k6=c");
    flush(&views);
    views.publish(Map::from([row("k9", Some("d"))]));
    assert_eq!(all(&views), "k0=c k1=b k3=a k6=c k9=d");
    assert_eq!(before.get(b"k9").unwrap(), None, "a snapshot never changes");
    drop((views, before));
    assert_eq!(
        all(&open(&disk.process_killed())),
        "k0=c k1=b k3=a k6=c",
        "what was not moved is the log's business"
    );
}

#[test]
fn a_scan_begins_and_stops_where_it_is_told_in_every_layer() {
    let views = open(&SimDisk::new());
    for (n, value) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        views.publish(Map::from([row(&format!("k{n}"), Some(value))]));
        if n == 1 {
            flush(&views);
        }
        if n == 3 {
            drop(views.start_flush());
        }
    }
    let mut seen = Vec::new();
    views
        .read(|kv| {
            kv.scan_from(b"k", b"k1", &mut |_, value| {
                seen.push(value[0]);
                seen.len() < 4
            })
        })
        .unwrap();
    assert_eq!(seen, b"bcde");
}

#[test]
fn a_full_disk_keeps_rows_in_memory_and_moves_them_when_there_is_room() {
    let disk = SimDisk::new();
    let views = open(&disk);
    views.publish(Map::from([row("k1", Some("a"))]));
    flush(&views);
    let used = disk.size(VIEWS_FILE).unwrap();
    disk.set_faults(Faults { capacity: Some(used), ..Faults::default() });
    let big = "b".repeat(4 << 20);
    views.publish(Map::from([row("k2", Some(&big))]));
    let flushed = views.start_flush().unwrap().run();
    assert_eq!(all(&views).len(), "k1=a k2=".len() + big.len(), "readers go on before anybody has noticed");
    assert!(matches!(views.finish(flushed), Err(FlushError::DiskFull)));
    views.publish(Map::from([row("k3", Some("c"))]));
    assert_eq!(all(&views).len(), "k1=a k2= k3=c".len() + big.len());
    disk.set_faults(Faults::default());
    flush(&views);
    assert_eq!(all(&views).len(), "k1=a k2= k3=c".len() + big.len());
    assert_eq!(all(&open(&disk.process_killed())).len(), "k1=a k2= k3=c".len() + big.len());
}

#[test]
fn a_failed_sync_is_reported_and_not_retried() {
    let disk = SimDisk::new();
    let views = open(&disk);
    views.publish(Map::from([row("k1", Some("a"))]));
    disk.set_faults(Faults { fail_sync: Some(0), ..Faults::default() });
    let flushed = views.start_flush().unwrap().run();
    assert!(matches!(views.finish(flushed), Err(FlushError::Failed { .. })));
    Views::discard(&disk).unwrap();
    assert_eq!(all(&open(&disk.process_killed())), "");
}

/// Counts what is read.
struct Counting(MapKv, std::cell::Cell<usize>);

impl KvRead for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.1.set(self.1.get() + 1);
        self.0.get(key)
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        self.0.scan_from(prefix, from, visit)
    }
}

#[test]
fn a_row_of_a_group_is_read_and_counted_once_however_often_it_changes() {
    let mut base = Counting(MapKv::default(), std::cell::Cell::new(0));
    for key in [b"\x10a", b"\x10d", b"\x50f", b"\xc0l"] {
        base.0.put(key, b"0").unwrap();
    }
    let (mut digests, mut there) = (Digests::recompute(&base.0).unwrap(), base.0.clone());
    let mut draft = Draft::new(&base);
    for n in 0..50_u8 {
        assert_eq!(draft.get(b"\x10a").unwrap().unwrap(), [if n == 0 { b'0' } else { n - 1 }]);
        draft.put(b"\x10a", &[n]).unwrap();
        draft.put(b"\x10b", &[n]).unwrap();
    }
    assert_eq!(draft.get(b"\x10c").unwrap(), None);
    draft.put(b"\x10c", b"new").unwrap();
    draft.delete(b"\x10d").unwrap();
    draft.put(b"\x50e", b"gone again").unwrap();
    draft.delete(b"\x50e").unwrap();
    draft.put(b"\x50f", b"1").unwrap();
    draft.put(b"\x50f", b"0").unwrap();
    draft.put(b"\xc0l", b"local").unwrap();
    draft.settle(&mut digests).unwrap();
    assert_eq!(base.1.get(), 6, "a and c by whoever folds, b, d, e and f when they are counted");
    let rows = draft.into_rows();
    assert_eq!(rows.len(), 5, "e and f are what they were");
    for (key, value) in rows.iter() {
        match value {
            Some(value) => there.put(key, value).unwrap(),
            None => there.delete(key).unwrap(),
        }
    }
    assert_eq!(digests, Digests::recompute(&there).unwrap());
}

#[test]
fn garbage_in_the_file_is_an_error_and_not_a_panic() {
    let disk = SimDisk::new();
    let views = open(&disk);
    views.publish((0..2000).map(|n| row(&format!("k{n}"), Some("some value"))).collect::<Map>());
    flush(&views);
    drop(views);
    let size = disk.size(VIEWS_FILE).unwrap();
    for at in [0, 9, 64, 320, 4096, size / 2] {
        let rotten = disk.process_killed();
        rotten.write_at(VIEWS_FILE, at, &[0xa5; 600]).unwrap();
        if let Ok(views) = Views::open(Arc::new(rotten.clone()), 1 << 20) {
            let _ = views.read(|kv| kv.scan(b"", &mut |_, _| true));
        }
    }
}
