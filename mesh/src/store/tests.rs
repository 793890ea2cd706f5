use std::sync::atomic::{AtomicU64, Ordering};

use toko_crdt::{
    EffectId, Kv,
    fold::{Effect, FoldError},
    member::{Claim, Roles},
};

use super::*;
use crate::sim_disk::{Faults, SimDisk};

mod forks;
mod retry;
mod spoilt;
mod upgrade;

/// Counts: op `+k` adds one to row `k`, and `$k` too, which only the hub may. `!` panics, `?` cannot be read, `#` cuts the
/// power of the disk, once.
#[derive(Default)]
struct Counting {
    version: u32,
    /// `!` is read.
    cured: bool,
    kills: Option<SimDisk>,
}

impl Fold for Counting {
    fn version(&self) -> u32 {
        self.version
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        match effect.op {
            [b'!', ..] if self.cured => Ok(kv.put(&[0x10, b'!'], &[1])?),
            [b'+' | b'$', key @ ..] => {
                let row = [&[0x10], key].concat();
                let count = kv.get(&row)?.map_or(0, |value| value[0]);
                kv.put(&row, &[count + 1])?;
                Ok(())
            }
            [b'!', ..] => {
                kv.put(&[0x10, b'!'], b"half")?;
                panic!("an op that panics")
            }
            [b'#', ..] => {
                if let Some(disk) = &self.kills {
                    disk.set_faults(Faults { die_at_op: Some(0), ..Faults::default() });
                    let _ = disk.sync_dir();
                }
                Ok(())
            }
            _ => Err(FoldError::Unreadable { why: "no op".to_owned() }),
        }
    }
}

impl Scope for Counting {
    fn admits(&self, roles: &Roles, _: Lane, op: &[u8]) -> bool {
        roles.is_hub() || (roles.is_terminal() && op.first() != Some(&b'$'))
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// Statements: key 2 is the hub, keys 3 to 6 are terminals.
fn statements() -> Vec<Statement> {
    let store = StoreId::of(&key(1).public());
    let mut out = vec![Statement::sign(&store, &key(1), Claim::Hub { term: 1, key: key(2).public() })];
    for seed in 3..7 {
        let name = format!("Till {seed}");
        let claim = Claim::Terminal { term: 1, key: key(seed).public(), number: u16::from(seed), name };
        out.push(Statement::sign(&store, &key(2), claim));
    }
    out
}

static RUNS: AtomicU64 = AtomicU64::new(1);

fn setup(disk: &SimDisk, seed: u8) -> StoreSetup {
    StoreSetup {
        disk: Arc::new(disk.clone()),
        root: key(1).public(),
        key: key(seed),
        mint_run: Box::new(|| Run(RUNS.fetch_add(1, Ordering::Relaxed) << 32)),
        fold: Arc::new(Counting::default()),
        scope: Arc::new(Counting::default()),
        config: StoreConfig {
            log: LogConfig { segment_bytes: 64 << 10, reserve_bytes: 0, ..LogConfig::default() },
            ..StoreConfig::default()
        },
    }
}

fn open(disk: &SimDisk, seed: u8) -> Store {
    Store::open(setup(disk, seed)).unwrap()
}

/// A store of the node with this seed, that knows everybody.
fn member(disk: &SimDisk, seed: u8) -> Store {
    let mut store = open(disk, seed);
    let replies = store.step(NOW, vec![Request::Statements(statements())]);
    assert!(
        matches!(&replies[0], Reply::Statements(Ok(all)) if all.iter().all(Result::is_ok)),
        "{replies:?}"
    );
    store
}

const NOW: UnixMicros = UnixMicros(1_700_000_000_000_000);

fn op(text: &str, wait: Wait) -> Request {
    let body = Body::Op(text.as_bytes().to_vec());
    Request::Append(Box::new(Append { lane: Lane::Books, body, saw: None, wait }))
}

fn save(store: &mut Store, text: &str) -> Appended {
    match store.step(NOW, vec![op(text, Wait::Synced)]).pop() {
        Some(Reply::Appended(Ok(appended))) => appended,
        other => panic!("{other:?}"),
    }
}

fn ingest(store: &mut Store, entries: Vec<Entry>) -> Result<Ingested, IngestError> {
    match store.step(NOW, vec![Request::Ingest(entries)]).pop() {
        Some(Reply::Ingested(result)) => result,
        other => panic!("{other:?}"),
    }
}

fn count(store: &Store, key: &str) -> u8 {
    let row = [&[0x10], key.as_bytes()].concat();
    store.reader().read(|kv| Ok(kv.get(&row)?.map_or(0, |value| value[0]))).unwrap()
}

/// Everything that `from` holds durably and `to` lacks.
fn pull(from: &Store, to: &mut Store) {
    let (theirs, ours) = (from.reader().frontier(), to.reader().frontier());
    for lack in ours.lacks(&theirs) {
        let entries = from.reader().entries(lack.journal, lack.from, 1 << 20).unwrap();
        let result = ingest(to, entries);
        assert!(result.is_ok(), "{result:?}");
    }
}

fn check_views(store: &Store) {
    let kept = store.reader().digests().unwrap();
    assert_eq!(kept, store.reader().read(|kv| Digests::recompute(kv)).unwrap());
    assert_eq!(kept, store.digests);
}

#[test]
fn the_first_append_of_a_process_continues_the_run_before() {
    let disk = SimDisk::new();
    let mut store = member(&disk, 3);
    let one = save(&mut store, "+tin");
    assert_eq!(one.place.seq, 2, "entry 1 says what it continues");
    let two = save(&mut store, "+tin");
    let mut store = open(&disk.process_killed(), 3);
    assert_eq!(store.run(), None, "a run begins with the first append");
    let three = save(&mut store, "+tin");
    assert_ne!(three.place.journal, one.place.journal);
    let first = store.reader().entry(EntryRef { seq: 1, ..three.place }).unwrap().unwrap();
    let Ok(Body::Continues(Some(before))) = Body::decode(&store.store_id(), first.body().unwrap()) else {
        panic!("{first:?}")
    };
    assert_eq!((before.run, before.head.seq, before.head.hash), (one.place.journal.run, 3, two.hash));
    assert_eq!(count(&store, "tin"), 3);
    check_views(&store);
}

#[test]
fn a_group_is_one_sync_and_its_answers_come_in_order() {
    let disk = SimDisk::new();
    let mut store = member(&disk, 3);
    save(&mut store, "+first");
    let syncs = disk.syncs();
    let replies = store.step(NOW, (0..20).map(|n| op(&format!("+{n}"), Wait::Synced)).collect());
    assert_eq!(disk.syncs() - syncs, 1);
    let seqs: Vec<u64> = replies
        .iter()
        .map(|reply| match reply {
            Reply::Appended(Ok(appended)) => appended.place.seq,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, (3..23).collect::<Vec<_>>());
    assert_eq!(count(&store, "19"), 1);
}

#[test]
fn a_line_is_answered_from_memory_and_leaves_only_after_the_next_sync() {
    let disk = SimDisk::new();
    let mut store = member(&disk, 3);
    let before = save(&mut store, "+tin");
    let syncs = disk.syncs();
    store.step(NOW, vec![op("+tin", Wait::Memory)]);
    assert_eq!((disk.syncs(), count(&store, "tin")), (syncs, 2));
    let journal = before.place.journal;
    assert_eq!(store.reader().frontier().head(&journal).unwrap().seq, before.place.seq);
    assert_eq!(
        store.reader().entries(journal, 1, 9999).unwrap().len(),
        2,
        "it is not given to others either"
    );
    store.checkpoint().unwrap();
    assert_eq!(store.reader().frontier().head(&journal).unwrap().seq, before.place.seq + 1);
}

#[test]
fn what_a_peer_sends_counts_once_and_gaps_strangers_and_bad_chains_are_refused() {
    let (a_disk, b_disk) = (SimDisk::new(), SimDisk::new());
    let (mut a, mut b) = (member(&a_disk, 3), member(&b_disk, 4));
    let journal = save(&mut a, "+tin").place.journal;
    for _ in 0..4 {
        save(&mut a, "+tin");
    }
    let all = a.reader().entries(journal, 1, 1 << 20).unwrap();
    assert!(matches!(ingest(&mut b, all[2..].to_vec()), Err(IngestError::Gap { want: 1 })));
    assert_eq!(ingest(&mut b, all[..3].to_vec()).unwrap().accepted, 3);
    let rest = ingest(&mut b, all.clone()).unwrap();
    assert_eq!((rest.known, rest.accepted), (3, 3));
    assert_eq!(ingest(&mut b, all.clone()).unwrap().known, 6);
    assert_eq!(count(&b, "tin"), 5);
    assert!(matches!(ingest(&mut b, vec![all[1].clone(), all[3].clone()]), Err(IngestError::Proof(_))));
    assert!(matches!(ingest(&mut b, vec![]), Err(IngestError::Size { .. })));
    assert_eq!(a.reader().digests().unwrap(), b.reader().digests().unwrap());

    let mut stranger = open(&SimDisk::new(), 9);
    let journal = save(&mut stranger, "+tin").place.journal;
    let entries = stranger.reader().entries(journal, 1, 9999).unwrap();
    assert!(matches!(ingest(&mut b, entries), Err(IngestError::UnknownAuthor(_))));
    check_views(&b);
}

#[test]
fn views_that_are_gone_broken_or_of_another_fold_are_made_anew() {
    let disk = SimDisk::new();
    let mut store = member(&disk, 3);
    for n in 0..50 {
        save(&mut store, &format!("+{}", n % 7));
    }
    store.checkpoint().unwrap();
    save(&mut store, "+late");
    let digests = store.reader().digests().unwrap();
    let frontier = store.reader().frontier();

    let gone = disk.process_killed();
    gone.remove(crate::views::VIEWS_FILE).unwrap();
    let broken = gone.copied();
    let store = open(&gone, 3);
    assert_eq!((store.reader().digests().unwrap(), store.reader().frontier()), (digests, frontier.clone()));

    broken.create(crate::views::VIEWS_FILE, 9999).unwrap();
    broken.write_at(crate::views::VIEWS_FILE, 0, &[0xa5; 9999]).unwrap();
    let mut store = open(&broken, 3);
    assert_eq!((store.reader().digests().unwrap(), store.reader().frontier()), (digests, frontier));
    assert_eq!(store.reader().members().nodes().len(), 5, "members come out of the log too");
    store.checkpoint().unwrap();

    let mut newer = setup(&broken.process_killed(), 3);
    newer.fold = Arc::new(Counting { version: 2, ..Counting::default() });
    let store = Store::open(newer).unwrap();
    assert_eq!(store.reader().digests().unwrap(), digests);
    check_views(&store);
}

#[test]
fn an_op_that_errs_or_panics_is_parked_and_stands_in_nobodys_way() {
    let mut store = member(&SimDisk::new(), 3);
    let replies = store.step(NOW, ["+tin", "!", "?", "+tin"].map(|text| op(text, Wait::Synced)).into());
    let codes: Vec<Option<Code>> = replies
        .iter()
        .map(|reply| match reply {
            Reply::Appended(Ok(appended)) => appended.parked,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [None, Some(Code::Panicked), Some(Code::Unreadable), None]);
    assert_eq!((count(&store, "tin"), count(&store, "!")), (2, 0));
    assert_eq!(store.reader().parked().unwrap().len(), 2);
    check_views(&store);
}

#[test]
fn an_op_that_kills_the_process_is_found_marked_and_parked_and_the_rest_goes_on() {
    let mut disk = SimDisk::new();
    let mut store = member(&disk, 3);
    for _ in 0..40 {
        save(&mut store, "+tin");
    }
    let killer = save(&mut store, "#");
    for _ in 0..40 {
        save(&mut store, "+tin");
    }
    let mut starts = 0;
    let store = loop {
        starts += 1;
        assert!(starts < 8, "it never starts");
        disk = disk.process_killed();
        let mut setup = setup(&disk, 3);
        setup.fold = Arc::new(Counting { kills: Some(disk.clone()), ..Counting::default() });
        // A disk that is dead stands for the process that is: nothing that comes after reaches it.
        if let Ok(store) = Store::open(setup)
            && !disk.is_dead()
        {
            break store;
        }
    };
    let parked = store.reader().parked().unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].effect, parked[0].code), (EffectId::from(killer.hash), Code::Killed));
    assert_eq!(count(&store, "tin"), 80);
    check_views(&store);
}

#[test]
fn entries_of_a_node_that_is_enrolled_later_are_healed() {
    let mut store = open(&SimDisk::new(), 3);
    let appended = save(&mut store, "+tin");
    assert_eq!(appended.parked, Some(Code::UnknownAuthor));
    assert_eq!(count(&store, "tin"), 0);
    store.step(NOW, vec![Request::Statements(statements())]);
    assert_eq!(count(&store, "tin"), 1);
    assert!(store.reader().parked().unwrap().is_empty());
    check_views(&store);
}

#[test]
fn members_come_with_the_hubs_journal_too() {
    let (hub_disk, till_disk) = (SimDisk::new(), SimDisk::new());
    let (mut hub, mut till) = (member(&hub_disk, 2), member(&till_disk, 3));
    let claim = Claim::Terminal { term: 1, key: key(9).public(), number: 9, name: "Till 9".to_owned() };
    let body = Body::Member(Statement::sign(&hub.store_id(), &key(2), claim));
    let append = Append { lane: Lane::Books, body, saw: None, wait: Wait::Synced };
    hub.step(NOW, vec![Request::Append(Box::new(append))]);
    pull(&hub, &mut till);
    for store in [&hub, &till, &open(&till_disk.process_killed(), 3)] {
        assert!(store.reader().members().is_member(&key(9).node()));
    }
}

#[test]
fn a_statement_that_came_before_the_one_about_its_issuer_counts_as_soon_as_that_comes() {
    let mut hub = member(&SimDisk::new(), 2);
    let store = hub.store_id();
    // Enrolled by the hub of term 2, whom nobody here knows yet.
    let claim = Claim::Terminal { term: 2, key: key(9).public(), number: 9, name: "Till 9".to_owned() };
    let body = Body::Member(Statement::sign(&store, &key(8), claim));
    let append = Append { lane: Lane::Books, body, saw: None, wait: Wait::Synced };
    hub.step(NOW, vec![Request::Append(Box::new(append))]);
    assert!(!hub.reader().members().is_member(&key(9).node()));
    let succession = Statement::sign(&store, &key(1), Claim::Hub { term: 2, key: key(8).public() });
    hub.step(NOW, vec![Request::Statements(vec![succession])]);
    assert!(hub.reader().members().is_member(&key(9).node()));
}

#[test]
fn a_running_copy_of_a_machine_forks_its_journal_and_every_effect_still_counts_once() {
    let disk = SimDisk::new();
    let mut one = member(&disk, 3);
    save(&mut one, "+shared");
    // Both go on with the run that they had: a virtual machine that was copied while it ran.
    let mut other = open(&disk.copied(), 3);
    other.run = one.run;
    save(&mut one, "+one");
    save(&mut one, "+one");
    save(&mut other, "+other");
    save(&mut other, "+other");
    save(&mut other, "+other");
    let mut third = member(&SimDisk::new(), 4);
    let journal = JournalId { node: key(3).node(), run: one.run.unwrap(), lane: Lane::Books };
    let all = |store: &Store| store.reader().entries(journal, 1, 1 << 20).unwrap();
    let (ones, others) = (all(&one), all(&other));
    ingest(&mut third, ones).unwrap();
    assert!(ingest(&mut third, others).unwrap().forked);
    for _ in 0..3 {
        pull(&third, &mut one);
        pull(&third, &mut other);
        pull(&one, &mut third);
        pull(&other, &mut third);
        pull(&one, &mut other);
        pull(&other, &mut one);
    }
    for store in [&one, &other, &third] {
        assert_eq!([count(store, "shared"), count(store, "one"), count(store, "other")], [1, 2, 3]);
        check_views(store);
        assert_eq!(store.reader().frontier().root(), third.reader().frontier().root());
    }
    assert_eq!(one.reader().digests().unwrap(), other.reader().digests().unwrap());
    assert_eq!(one.reader().digests().unwrap(), third.reader().digests().unwrap());
    let after = save(&mut one, "+one");
    assert_ne!(after.place.journal, journal, "it goes on in a run of its own");

    let frontier = third.reader().frontier();
    let mut again = Store::open(StoreSetup { disk: Arc::clone(&third.disk), ..setup(&disk, 4) }).unwrap();
    again.step(NOW, vec![Request::Probe]);
    assert_eq!(again.reader().frontier(), frontier, "nothing is carried twice");
}

#[test]
fn a_full_disk_refuses_and_goes_on_without_a_restart() {
    let disk = SimDisk::new();
    let mut store = member(&disk, 3);
    save(&mut store, "+tin");
    store.checkpoint().unwrap();
    let used: u64 = disk.list().unwrap().iter().map(|name| disk.size(name).unwrap()).sum();
    disk.set_faults(Faults { capacity: Some(used), ..Faults::default() });
    let big = format!("+{}", "x".repeat(9000));
    let refused = (0..20).find_map(|_| match store.step(NOW, vec![op(&big, Wait::Synced)]).pop() {
        Some(Reply::Appended(Ok(_))) => None,
        other => other,
    });
    assert!(matches!(refused, Some(Reply::Appended(Err(SaveError::DiskFull)))), "{refused:?}");
    assert!(store.checkpoint().is_err() || store.reader().read(|kv| kv.get(&[0x10])).is_ok());
    let before = store.reader().frontier();
    disk.set_faults(Faults::default());
    let after = save(&mut store, "+tin");
    assert_eq!(after.place.seq, before.head(&after.place.journal).unwrap().seq + 1, "no number was lost");
    store.checkpoint().unwrap();
    let store = open(&disk.process_killed(), 3);
    assert_eq!(count(&store, "tin"), 2);
    check_views(&store);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_the_next_start() {
    let disk = SimDisk::new();
    let mut store = member(&disk, 3);
    let known = save(&mut store, "+tin");
    disk.set_faults(Faults { fail_sync: Some(0), ..Faults::default() });
    for _ in 0..3 {
        let reply = store.step(NOW, vec![op("+tin", Wait::Synced)]).pop();
        assert!(matches!(reply, Some(Reply::Appended(Err(SaveError::Broken { .. })))), "{reply:?}");
    }
    assert!(matches!(store.step(NOW, vec![Request::Probe])[..], [Reply::Alive(Err(_))]));
    assert!(store.checkpoint().is_err());
    assert_eq!(store.reader().frontier().head(&known.place.journal).unwrap().hash, known.hash);
    assert_eq!(count(&store, "tin"), 1, "what is not saved is not shown");
    save(&mut open(&disk.process_killed(), 3), "+tin");
}

#[test]
fn an_entry_is_found_by_its_hash() {
    let mut store = member(&SimDisk::new(), 3);
    let appended = save(&mut store, "+tin");
    let entry = store.reader().entry_by_hash(appended.hash).unwrap().unwrap();
    assert_eq!(entry.place(), appended.place);
    assert_eq!(store.reader().entry_by_hash(Hash([7; 32])).unwrap(), None);
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_next_one_is_not() {
    let mut store = member(&SimDisk::new(), 3);
    let reply = store.step(NOW, vec![op(&"x".repeat(1 << 20), Wait::Synced)]).pop();
    assert!(matches!(reply, Some(Reply::Appended(Err(SaveError::TooLarge { .. })))), "{reply:?}");
    save(&mut store, "+tin");
}

#[tokio::test]
async fn many_writers_share_the_store_thread() {
    let disk = SimDisk::new();
    let thread = StoreThread::start(member(&disk, 3), Arc::new(|| NOW)).unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let handle = thread.handle();
        writers.spawn(async move {
            let body = Body::Op(b"+tin".to_vec());
            handle
                .append(Append { lane: Lane::Books, body, saw: None, wait: Wait::Synced })
                .await
                .unwrap()
                .place
                .seq
        });
    }
    let mut seqs = writers.join_all().await;
    seqs.sort_unstable();
    assert_eq!(seqs, (2..52).collect::<Vec<_>>());
    let handle = thread.handle();
    handle.probe().await.unwrap();
    handle.checkpoint().await.unwrap();
    assert!(handle.reader().changed().count() > 0);
    thread.stop().await.unwrap();
    assert!(matches!(handle.probe().await, Err(SaveError::Stopped)));
    assert_eq!(count(&open(&disk.process_killed(), 3), "tin"), 50);
}
