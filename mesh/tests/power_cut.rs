//! Power cuts at every sync and at every write of a store's disk, log and database alike (F01, F02, F03, F07).
//!
//! A till works through a script: it sells in groups, writes lines that need not wait, takes in a peer's journal, moves views
//! into the database. The power goes at one operation; what was not synced is lost or torn by seed; it may go again while
//! the store is being opened. Then: everything acknowledged is there, nothing is half there, the views equal a fresh fold of
//! the log, and the till sells on. A disk that lies about its syncs must fail this test.
//!
//! `TOKO_POWER_CUTS=20` runs twenty seeds per operation instead of one or two.

use std::sync::Arc;

use toko_crdt::{
    Body, Entry, Fold, Hash, JournalId, Kv, KvError, KvRead, Lane, Run, Scope, StoreId,
    clock::UnixMicros,
    digest::Digests,
    fold::{Effect, FoldError},
    member::{Claim, Roles, Statement},
    sign::SecretKey,
};
use toko_mesh::{
    disk::Disk,
    log::LogConfig,
    sim_disk::{Faults, SimDisk},
    store::{Append, Reply, Request, Store, StoreConfig, StoreSetup, Wait},
    views::VIEWS_FILE,
};

const NOW: UnixMicros = UnixMicros(1_700_000_000_000_000);
const STEPS: usize = 40;

/// Each op adds one to its own row and one to the total: a half-applied op shows in the sum.
struct Tally;

const TOTAL: &[u8] = &[0x11];

impl Fold for Tally {
    fn version(&self) -> u32 {
        1
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        for row in [[&[0x10], &effect.op[..1]].concat(), TOTAL.to_vec()] {
            let count = number(kv, &row)?;
            kv.put(&row, &(count + 1).to_be_bytes())?;
        }
        Ok(())
    }
}

impl Scope for Tally {
    fn admits(&self, roles: &Roles, _: Lane, _: &[u8]) -> bool {
        roles.any()
    }
}

fn number(kv: &dyn KvRead, row: &[u8]) -> Result<u64, KvError> {
    Ok(kv.get(row)?.and_then(|value| value.try_into().ok()).map_or(0, u64::from_be_bytes))
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn statements() -> Vec<Statement> {
    let store = StoreId::of(&key(1).public());
    let terminal = |seed| {
        let name = "Till".to_owned();
        Claim::Terminal { term: 1, key: key(seed).public(), number: u16::from(seed), name }
    };
    vec![
        Statement::sign(&store, &key(1), Claim::Hub { term: 1, key: key(2).public() }),
        Statement::sign(&store, &key(2), terminal(3)),
        Statement::sign(&store, &key(2), terminal(4)),
    ]
}

fn open(disk: &SimDisk, seed: u8, run: u64) -> Result<Store, String> {
    let setup = StoreSetup {
        disk: Arc::new(disk.clone()),
        root: key(1).public(),
        key: key(seed),
        mint_run: Box::new(move || Run(run)),
        fold: Arc::new(Tally),
        scope: Arc::new(Tally),
        config: StoreConfig {
            log: LogConfig { segment_bytes: 16 << 10, reserve_bytes: 0, ..LogConfig::default() },
            views_cache_bytes: 1 << 20,
            ..StoreConfig::default()
        },
    };
    Store::open(setup).map_err(|error| error.to_string())
}

fn append(op: u8, wait: Wait) -> Request {
    let body = Body::Op(vec![op; 60 + usize::from(op)]);
    Request::Append(Box::new(Append { lane: Lane::Books, body, saw: None, wait }))
}

/// What a peer has written, ready to be sent.
fn peers_journal() -> Vec<Entry> {
    let mut store = open(&SimDisk::new(), 4, 77).expect("a good disk");
    store.step(NOW, vec![Request::Statements(statements())]);
    let replies = store.step(NOW, (0..60).map(|n| append(n % 5, Wait::Synced)).collect());
    let Some(Reply::Appended(Ok(last))) = replies.last() else { panic!("{replies:?}") };
    store.reader().entries(last.place.journal, 1, 1 << 20).expect("what was written is there")
}

/// What was acknowledged, and so must survive.
#[derive(Default)]
struct Witness {
    hashes: Vec<Hash>,
    statements: bool,
}

/// Works through the script until the disk dies.
fn work(store: &mut Store, disk: &SimDisk, peer: &[Entry], witness: &mut Witness) {
    let mut sent = 0;
    for step in 0..STEPS {
        let next: Vec<Entry> = peer.iter().skip(sent).take(step % 4).cloned().collect();
        let batch = match step % 4 {
            _ if step == 0 => vec![Request::Statements(statements())],
            0 => vec![append(9, Wait::Memory)],
            1 => vec![append(1, Wait::Synced), append(2, Wait::Memory), append(3, Wait::Synced)],
            2 => vec![Request::Ingest(next.clone()), append(4, Wait::Synced)],
            _ => vec![Request::Ingest(next.clone())],
        };
        for reply in store.step(NOW, batch) {
            match reply {
                // A line that was answered from memory alone is no promise.
                Reply::Appended(Ok(appended)) if step % 4 != 0 => witness.hashes.push(appended.hash),
                Reply::Ingested(Ok(ingested)) => {
                    sent += ingested.accepted;
                    witness.hashes.extend(next.iter().map(Entry::hash));
                }
                Reply::Statements(Ok(_)) => witness.statements = true,
                _ => {}
            }
        }
        if step % 7 == 6 {
            // Nothing is acknowledged here; if it dies, it dies.
            let _ = store.checkpoint();
        }
        if disk.is_dead() {
            return;
        }
    }
}

/// Checks one store that was opened after a power cut. `Err` says what is wrong.
fn check(store: &mut Store, disk: &SimDisk, witness: &Witness) -> Result<(), String> {
    let reader = store.reader();
    for hash in &witness.hashes {
        let entry = reader.entry_by_hash(*hash).map_err(|error| error.to_string())?;
        entry.filter(|entry| entry.hash() == *hash).ok_or("an acknowledged entry is gone")?;
    }
    if witness.statements && reader.members().nodes().len() != 3 {
        return Err("acknowledged members are gone".to_owned());
    }
    let (rows, total) = reader.read(tally).map_err(|error| error.to_string())?;
    if rows != total {
        return Err(format!("half applied: {rows} in rows, {total} in total"));
    }
    let frontier = reader.frontier();
    let entries: u64 = frontier.lines().map(|(journal, head)| chain_length(store, *journal, head.hash)).sum();
    // The first entry of each journal is no op.
    if witness.statements && entries != total + frontier.len() as u64 {
        return Err(format!("{entries} entries in journals, {total} ops in views"));
    }
    same_as_fresh(store, disk)?;
    let Some(Reply::Appended(Ok(_))) = store.step(NOW, vec![append(1, Wait::Synced)]).pop() else {
        return Err("it does not sell on".to_owned());
    };
    store.checkpoint().map_err(|error| error.to_string())
}

/// The sum of all rows, and the total.
fn tally(kv: &dyn KvRead) -> Result<(u64, u64), KvError> {
    let mut rows = 0;
    kv.scan(&[0x10], &mut |_, value| {
        rows += value.try_into().map_or(0, u64::from_be_bytes);
        true
    })?;
    Ok((rows, number(kv, TOTAL)?))
}

/// How many entries a journal has, each following the one before, up to its head.
fn chain_length(store: &Store, journal: JournalId, head: Hash) -> u64 {
    let entries = store.reader().entries(journal, 1, 1 << 20).expect("what the frontier names is there");
    let mut before = Hash::ZERO;
    for entry in &entries {
        assert_eq!(*entry.prev(), before, "a journal is one chain");
        before = entry.hash();
    }
    assert_eq!(before, head);
    entries.len() as u64
}

/// The views, digests and frontier equal those that a fresh fold of the same log makes.
fn same_as_fresh(store: &Store, disk: &SimDisk) -> Result<(), String> {
    let copy = disk.copied();
    copy.remove(VIEWS_FILE).map_err(|error| error.to_string())?;
    let fresh = open(&copy, 3, 999)?;
    let (ours, theirs) = (store.reader(), fresh.reader());
    let read =
        |reader: &toko_mesh::store::StoreReader| reader.read(all_rows).map_err(|error| error.to_string());
    if read(&ours)? != read(&theirs)? {
        return Err("views differ from a fresh fold of the log".to_owned());
    }
    if ours.frontier() != theirs.frontier() {
        return Err("frontiers differ".to_owned());
    }
    let recomputed = ours.read(|kv| Digests::recompute(kv)).map_err(|error| error.to_string())?;
    let kept = ours.digests().map_err(|error| error.to_string())?;
    if kept == recomputed { Ok(()) } else { Err("the digest is not that of the views".to_owned()) }
}

/// A key and its value.
type Row = (Vec<u8>, Vec<u8>);

fn all_rows(kv: &dyn KvRead) -> Result<Vec<Row>, KvError> {
    let mut rows = Vec::new();
    kv.scan(&[], &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    })?;
    Ok(rows)
}

/// Runs the script with `faults`, cuts the power, and looks. `again` is where it is cut a second time, while opening.
fn one_cut(peer: &[Entry], faults: Faults, seed: u64, again: Option<u64>) -> Result<(), String> {
    let disk = SimDisk::new();
    let mut witness = Witness::default();
    disk.set_faults(faults);
    if let Ok(mut store) = open(&disk, 3, 5) {
        work(&mut store, &disk, peer, &mut witness);
    }
    assert!(disk.is_dead() || faults.lying_syncs, "the script is long enough for the fault to come");
    let mut disk = disk.power_cut(seed);
    if let Some(op) = again {
        disk.set_faults(Faults { die_at_op: Some(op), ..Faults::default() });
        drop(open(&disk, 3, 6));
        disk = disk.power_cut(seed.wrapping_mul(31));
    }
    let has_views = disk.size(VIEWS_FILE).is_ok();
    match seed % 4 {
        // The database is gone, or garbage: the log makes it anew.
        1 if has_views => disk.remove(VIEWS_FILE).expect("the disk is alive"),
        2 if has_views => disk.write_at(VIEWS_FILE, 0, &[0xa5; 5000]).expect("the disk is alive"),
        _ => {}
    }
    let mut store = open(&disk, 3, 7)?;
    check(&mut store, &disk, &witness)
}

fn seeds(least: u64) -> u64 {
    std::env::var("TOKO_POWER_CUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(least)
}

/// Operations and syncs of the whole script on a good disk.
fn calm_run(peer: &[Entry]) -> (u64, u64) {
    let disk = SimDisk::new();
    let mut witness = Witness::default();
    let mut store = open(&disk, 3, 5).expect("a good disk");
    work(&mut store, &disk, peer, &mut witness);
    let (ops, syncs) = (disk.ops(), disk.syncs());
    check(&mut store, &disk, &witness).expect("nothing went wrong");
    assert!(witness.hashes.len() > 60 && ops > 150 && syncs > 50, "{ops} operations, {syncs} syncs");
    (ops, syncs)
}

#[test]
fn a_power_cut_at_any_sync_loses_nothing_acknowledged() {
    let peer = peers_journal();
    let (_, syncs) = calm_run(&peer);
    for sync in 0..syncs {
        for n in 0..seeds(3) {
            let seed = sync * 7919 + n;
            let faults = Faults { die_at_sync: Some(sync), ..Faults::default() };
            one_cut(&peer, faults, seed, None).unwrap_or_else(|why| panic!("sync {sync} SEED={seed}: {why}"));
        }
    }
}

#[test]
fn a_power_cut_at_any_write_and_again_while_opening_loses_nothing_acknowledged() {
    let peer = peers_journal();
    let (ops, _) = calm_run(&peer);
    for op in 0..ops {
        for n in 0..seeds(1) {
            let seed = op * 104_729 + n;
            let faults = Faults { die_at_op: Some(op), ..Faults::default() };
            one_cut(&peer, faults, seed, Some(seed % 17))
                .unwrap_or_else(|why| panic!("op {op} SEED={seed}: {why}"));
        }
    }
}

#[test]
fn a_disk_that_lies_about_its_syncs_fails_this_test() {
    let peer = peers_journal();
    let faults = Faults { lying_syncs: true, ..Faults::default() };
    let caught = (0..20).filter(|seed| one_cut(&peer, faults, *seed, None).is_err()).count();
    assert!(caught > 10, "only {caught} of 20 lies were caught");
}

#[test]
fn a_sync_that_fails_acknowledges_nothing_and_the_next_start_goes_on() {
    let peer = peers_journal();
    let (_, syncs) = calm_run(&peer);
    for sync in 0..syncs {
        let disk = SimDisk::new();
        let mut witness = Witness::default();
        disk.set_faults(Faults { fail_sync: Some(sync), ..Faults::default() });
        if let Ok(mut store) = open(&disk, 3, 5) {
            work(&mut store, &disk, &peer, &mut witness);
        }
        // The process ends; what the kernel shows is not what the disk holds. Later the power goes, too.
        let disk = disk.process_killed();
        let mut store = open(&disk, 3, 6).unwrap_or_else(|why| panic!("sync {sync}: {why}"));
        check(&mut store, &disk, &witness).unwrap_or_else(|why| panic!("sync {sync}: {why}"));
        drop(store);
        let disk = disk.power_cut(sync);
        let mut store =
            open(&disk, 3, 7).unwrap_or_else(|why| panic!("sync {sync}, after a power cut: {why}"));
        check(&mut store, &disk, &witness)
            .unwrap_or_else(|why| panic!("sync {sync}, after a power cut: {why}"));
    }
}
