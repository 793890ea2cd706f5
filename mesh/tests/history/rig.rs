//! A hub, tills and headquarters as bare stores, and what a link does between them.

use std::sync::Arc;
use toko_crdt::book::rows;
use toko_crdt::clock::UnixMicros;
use toko_crdt::digest::Digests;
use toko_crdt::fold::{Effect, FoldError};
use toko_crdt::ids::EntryRef;
use toko_crdt::member::{Claim, Roles, Statement};
use toko_crdt::seal::Seal;
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, EffectId, Fold, Hash, Kv, KvError, KvRead, Lane, Run, Scope, StoreId};
use toko_mesh::log::LogConfig;
use toko_mesh::sim_disk::SimDisk;
use toko_mesh::store::{
    Append, Appended, IngestError, Ingested, Reply, Request, Store, StoreConfig, StoreSetup, Wait,
};

pub(crate) const NOW: UnixMicros = UnixMicros(1_700_000_000_000_000);
pub(crate) const DAY: i64 = 86_400_000_000;

/// Adds one to a row of the lane that the op came in: books `10`, floor `50`, key = the op's first byte. `!` may not be
/// written by anybody, `?` is of a newer build. A row `11` leads to each op `=`, until an op `-` settles them.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) version: u32,
}

impl Fold for Tally {
    fn version(&self) -> u32 {
        self.version
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        if effect.op[0] == b'?' {
            return Err(FoldError::Newer { version: 9 });
        }
        let first = if effect.entry.journal().lane == Lane::Books { 0x10 } else { 0x50 };
        match effect.op[0] {
            b'=' => kv.put(&leading(effect.id), &[])?,
            b'-' => {
                let mut rows = Vec::new();
                kv.scan(&[0x11], &mut |row, _| {
                    rows.push(row.to_vec());
                    true
                })?;
                rows.iter().try_for_each(|row| kv.delete(row))?;
            }
            _ => {}
        }
        let row = [first, effect.op[0]];
        let count = kv.get(&row)?.and_then(|value| value.try_into().ok()).map_or(0, u64::from_be_bytes);
        kv.put(&row, &(count + 1).to_be_bytes())?;
        Ok(())
    }

    fn leads_to(&self, kv: &dyn KvRead, effect: EffectId) -> Result<bool, KvError> {
        Ok(kv.get(&leading(effect))?.is_some())
    }
}

fn leading(effect: EffectId) -> Vec<u8> {
    [&[0x11], effect.0.as_slice()].concat()
}

impl Scope for Tally {
    fn admits(&self, roles: &Roles, _: Lane, op: &[u8]) -> bool {
        roles.any() && op[0] != b'!'
    }
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

pub(crate) fn store_id() -> StoreId {
    StoreId::of(&key(1).public())
}

pub(crate) const HUB: u8 = 2;
pub(crate) const HQ: u8 = 9;

/// Key 2 is the hub, key 9 headquarters, keys 3 to 6 are tills.
pub(crate) fn statements() -> Vec<Statement> {
    let store = store_id();
    let mut out = vec![
        Statement::sign(&store, &key(1), Claim::Hub { term: 1, key: key(HUB).public() }),
        Statement::sign(&store, &key(1), Claim::Headquarters { key: key(HQ).public() }),
    ];
    for seed in 3..7 {
        let name = format!("Till {seed}");
        let claim = Claim::Terminal { term: 1, key: key(seed).public(), number: u16::from(seed), name };
        out.push(Statement::sign(&store, &key(HUB), claim));
    }
    out
}

pub(crate) fn setup(disk: &SimDisk, seed: u8, run: u64) -> StoreSetup {
    StoreSetup {
        disk: Arc::new(disk.clone()),
        root: key(1).public(),
        key: key(seed),
        mint_run: Box::new(move || Run(run)),
        fold: Arc::new(Tally::default()),
        scope: Arc::new(Tally::default()),
        config: StoreConfig {
            log: LogConfig { segment_bytes: 16 << 10, reserve_bytes: 0, ..LogConfig::default() },
            views_cache_bytes: 1 << 20,
            ..StoreConfig::default()
        },
    }
}

pub(crate) fn open(disk: &SimDisk, seed: u8, run: u64) -> Store {
    Store::open(setup(disk, seed, run)).expect("a good disk")
}

/// A store of the node with this seed, that knows everybody.
pub(crate) fn member(disk: &SimDisk, seed: u8, run: u64) -> Store {
    let mut store = open(disk, seed, run);
    store.step(NOW, vec![Request::Statements(statements())]);
    store
}

pub(crate) fn append(store: &mut Store, now: UnixMicros, lane: Lane, body: Body) -> Appended {
    let append = Append { lane, body, saw: None, wait: Wait::Synced };
    match store.step(now, vec![Request::Append(Box::new(append))]).pop() {
        Some(Reply::Appended(Ok(appended))) => appended,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn op(text: &str) -> Body {
    Body::Op(text.as_bytes().to_vec())
}

pub(crate) fn sell(store: &mut Store, text: &str) -> Appended {
    append(store, NOW, Lane::Books, op(text))
}

pub(crate) fn scan(store: &mut Store, text: &str) -> Appended {
    append(store, NOW, Lane::Floor, op(text))
}

pub(crate) fn ingest(
    store: &mut Store,
    now: UnixMicros,
    entries: Vec<toko_crdt::Entry>,
) -> Result<Ingested, IngestError> {
    match store.step(now, vec![Request::Ingest(entries)]).pop() {
        Some(Reply::Ingested(result)) => result,
        other => panic!("{other:?}"),
    }
}

/// Everything of these lanes that `from` holds durably and `to` lacks. `false` where a beginning is no longer there.
pub(crate) fn pull_lanes(from: &Store, to: &mut Store, lanes: &[Lane]) -> bool {
    let mut whole = true;
    loop {
        let (theirs, ours) = (from.reader().frontier().of_lanes(lanes), to.reader().frontier());
        let mut moved = false;
        for lack in ours.lacks(&theirs) {
            let entries =
                from.reader().entries(lack.journal, lack.from, 256 << 10).expect("what is there is read");
            if entries.is_empty() {
                assert!(
                    from.reader().is_pruned(&lack.journal, lack.from),
                    "what the frontier names is there"
                );
                whole = false;
                continue;
            }
            moved |= ingest(to, NOW, entries).expect("what a good node holds").accepted > 0;
        }
        if !moved {
            return whole;
        }
    }
}

pub(crate) fn pull(from: &Store, to: &mut Store) -> bool {
    pull_lanes(from, to, &Lane::ALL)
}

/// The hub seals; the entry that says it.
pub(crate) fn seal(hub: &mut Store, now: UnixMicros) -> (Hash, Seal) {
    let seal = hub.reader().cut().expect("views are there");
    let written = append(hub, now, Lane::Books, Body::Seal(seal.clone()));
    (written.hash, seal)
}

pub(crate) fn count(store: &Store, row: [u8; 2]) -> u64 {
    let read = |kv: &dyn KvRead| -> Result<u64, KvError> {
        Ok(kv.get(&row)?.and_then(|value| value.try_into().ok()).map_or(0, u64::from_be_bytes))
    };
    store.reader().read(read).expect("views are there")
}

/// The digest that is kept is that of the rows.
pub(crate) fn check_views(store: &Store) {
    let kept = store.reader().digests().expect("views are there");
    assert_eq!(kept, store.reader().read(|kv| Digests::recompute(kv)).expect("views are there"));
}

pub(crate) fn parked(store: &Store) -> Vec<rows::Parked> {
    store.reader().parked().expect("views are there")
}

pub(crate) fn at(place: EntryRef, seq: u64) -> EntryRef {
    EntryRef { seq, ..place }
}
