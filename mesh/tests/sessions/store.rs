//! A store in memory: the journal rules and the book of `toko-crdt` over maps. What is in it is durable at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use toko_crdt::book::Book;
use toko_crdt::clock::Hlc;
use toko_crdt::digest::Digests;
use toko_crdt::entry::Draft;
use toko_crdt::fold::{Effect, FoldError, MapKv};
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::journal::{self, Place};
use toko_crdt::member::{Members, Roles, Statement};
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Entry, Fold, Hash, JournalId, Kv, Lane, NodeId, Run, Scope};
use toko_mesh::proto::Outcome;

/// One row per effect, in the views of its lane.
struct Rows;

impl Fold for Rows {
    fn version(&self) -> u32 {
        1
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        let first = if effect.entry.journal().lane == Lane::Books { 0x10 } else { 0x50 };
        Ok(kv.put(&[&[first], effect.id.0.as_slice()].concat(), &effect.op[..effect.op.len().min(8)])?)
    }
}

impl Scope for Rows {
    fn admits(&self, _: &Roles, _: Lane, _: &[u8]) -> bool {
        true
    }
}

pub(crate) struct TestStore {
    pub(crate) key: SecretKey,
    pub(crate) members: Members,
    pub(crate) frontier: Frontier,
    run: Run,
    journals: BTreeMap<JournalId, Vec<Entry>>,
    kv: MapKv,
    digests: Digests,
}

impl TestStore {
    pub(crate) fn new(key: SecretKey, members: Members) -> Self {
        let run = Run(u64::from(key.seed()[0]));
        let (journals, kv) = (BTreeMap::new(), MapKv::default());
        Self { key, members, frontier: Frontier::default(), run, journals, kv, digests: Digests::default() }
    }

    pub(crate) fn node(&self) -> NodeId {
        self.key.node()
    }

    pub(crate) fn digests(&self) -> Digests {
        let (kept, whole) = (self.digests, Digests::recompute(&self.kv).unwrap());
        assert_eq!(kept, whole, "the digest kept along is that of all rows");
        kept
    }

    /// Writes an op of this node; gives what changed.
    pub(crate) fn append(&mut self, lane: Lane, op: Vec<u8>) -> Vec<Entry> {
        let journal = JournalId { node: self.node(), run: self.run, lane };
        let mut bodies = vec![Body::Op(op)];
        if self.frontier.head(&journal).is_none() {
            bodies.insert(0, Body::first());
        }
        let mut out = Vec::new();
        for body in bodies {
            let (seq, prev) =
                self.frontier.head(&journal).map_or((1, Hash::ZERO), |head| (head.seq + 1, head.hash));
            let draft = Draft { journal, seq, prev, at: Hlc::default(), saw: None, body: body.encode() };
            let entry = draft.sign(self.members.store(), &self.key);
            self.accept(entry.clone());
            out.push(entry);
        }
        out
    }

    /// Takes a batch in; gives what became of it and the entries that were new.
    pub(crate) fn ingest(&mut self, batch: &[Entry]) -> (Outcome, Vec<Entry>) {
        let journal = *batch[0].journal();
        let Some(key) = self.members.key(&journal.node) else { return (Outcome::UnknownAuthor, vec![]) };
        if let Err(error) = journal::prove_batch(batch, &key) {
            return (Outcome::Bad(error), vec![]);
        }
        let mut new = Vec::new();
        for entry in batch {
            let held = self.entry(&journal, entry.seq()).map(Entry::hash);
            match journal::place(self.frontier.head(&journal), held.as_ref(), entry) {
                Place::Next => {
                    self.accept(entry.clone());
                    new.push(entry.clone());
                }
                Place::Duplicate => {}
                Place::Gap { .. } => return (Outcome::Gap, new),
                Place::Fork => return (Outcome::Fork { seq: entry.seq() }, new),
                Place::Diverges { seq } => return (Outcome::Diverges { seq }, new),
            }
        }
        (Outcome::Held(*self.frontier.head(&journal).unwrap()), new)
    }

    pub(crate) fn add(&mut self, statements: &[Statement]) -> bool {
        let news: Vec<bool> =
            statements.iter().map(|s| self.members.add(s.clone()).unwrap_or(false)).collect();
        news.contains(&true)
    }

    pub(crate) fn load(&self, journal: &JournalId, from: u64, to: u64, bytes_max: usize) -> Vec<Arc<[u8]>> {
        let (mut out, mut bytes) = (Vec::new(), 0);
        for entry in (from..=to).map_while(|seq| self.entry(journal, seq)) {
            let encoded: Arc<[u8]> = entry.encode().into();
            bytes += encoded.len();
            if bytes > bytes_max && !out.is_empty() {
                break;
            }
            out.push(encoded);
        }
        out
    }

    fn entry(&self, journal: &JournalId, seq: u64) -> Option<&Entry> {
        self.journals.get(journal)?.get(usize::try_from(seq).unwrap().checked_sub(1)?)
    }

    fn accept(&mut self, entry: Entry) {
        let book = Book { store: *self.members.store(), fold: &Rows, scope: &Rows };
        book.apply(&mut self.kv, &mut self.digests, &self.members, &entry).unwrap();
        self.frontier.set(*entry.journal(), Head { seq: entry.seq(), hash: entry.hash() });
        self.journals.entry(*entry.journal()).or_default().push(entry);
    }
}
