//! Judging requests: what of them goes to the log, and what is answered at once.

use std::{collections::BTreeMap, sync::Arc};

use toko_crdt::{
    Body, Entry, Hash, JournalId, Lane,
    body::Continued,
    clock::UnixMicros,
    entry::{Draft, Saw},
    frontier::Head,
    ids::EntryRef,
    journal::{ForkProof, Place, place, prove_batch},
    member::{Members, Statement, StatementError},
};

use super::{
    Append, Appended, IngestError, Ingested, Reply, Request, SaveError, Store, Wait,
    error::APPEND_BODY_BYTES_MAX,
    tables::{self, RECORD_OWN, RECORD_RECEIVED, RECORD_STATEMENT},
};
use crate::log::Log;

/// What one write to the log will hold, with the heads as they will be then.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) records: Vec<Staged>,
    pub(super) heads: BTreeMap<JournalId, Head>,
    hashes: BTreeMap<EntryRef, Hash>,
    bytes: u64,
    pub(super) sync: bool,
    /// The members as they were, where the group changes them.
    pub(super) members_before: Option<Arc<Members>>,
    /// Replies that stand and fall with the group.
    pub(super) replies: Vec<usize>,
}

/// One record on its way to the log.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) kind: u8,
    pub(super) payload: Vec<u8>,
    pub(super) what: What,
    /// The reply that wants to know what became of it.
    pub(super) reply: Option<usize>,
}

#[derive(Debug)]
pub(super) enum What {
    Entry(Entry),
    Statement(Statement),
}

impl Group {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn push(&mut self, kind: u8, payload: Vec<u8>, what: What, reply: Option<usize>) {
        self.bytes += Log::record_bytes(&payload);
        self.records.push(Staged { kind, payload, what, reply });
    }

    fn push_entry(&mut self, kind: u8, entry: Entry, reply: Option<usize>) {
        self.heads.insert(*entry.journal(), Head { seq: entry.seq(), hash: entry.hash() });
        self.hashes.insert(entry.place(), entry.hash());
        self.push(kind, entry.encode(), What::Entry(entry), reply);
    }
}

/// About how much a request adds to a group.
pub(super) fn request_bytes(request: &Request) -> u64 {
    let bytes = match request {
        Request::Append(append) => match &append.body {
            Body::Op(op) => op.len(),
            Body::Cart(change) => change.change.len(),
            _ => 4096,
        },
        Request::Ingest(entries) => {
            entries.iter().map(|entry| entry.body().map_or(0, <[u8]>::len) + 300).sum()
        }
        Request::Statements(statements) => statements.len() * 512,
        Request::Probe | Request::Retry(_) => 0,
    };
    bytes as u64 + 512
}

impl Store {
    /// Judges one request. The reply holds if the group does.
    pub(super) fn stage(
        &mut self,
        now: UnixMicros,
        group: &mut Group,
        reply: usize,
        request: Request,
    ) -> Reply {
        if let Err(error) = self.usable() {
            return Reply::refused(&request, error);
        }
        let before = group.records.len();
        let answer = match request {
            Request::Append(append) => Reply::Appended(self.stage_append(now, group, Some(reply), *append)),
            Request::Ingest(entries) => Reply::Ingested(self.stage_ingest(now, group, reply, &entries)),
            Request::Statements(statements) => {
                Reply::Statements(Ok(self.stage_statements(group, statements)))
            }
            Request::Probe => Reply::Alive(Ok(())),
            Request::Retry(effects) => Reply::Retried(self.retry(&effects)),
        };
        if group.records.len() > before {
            group.replies.push(reply);
        }
        answer
    }

    pub(super) fn stage_append(
        &mut self,
        now: UnixMicros,
        group: &mut Group,
        reply: Option<usize>,
        append: Append,
    ) -> Result<Appended, SaveError> {
        let body = append.body.encode();
        if body.len() > APPEND_BODY_BYTES_MAX {
            return Err(SaveError::TooLarge { bytes: body.len(), bytes_max: APPEND_BODY_BYTES_MAX });
        }
        let journal = self.stage_run(now, group, append.lane);
        group.sync |= append.wait == Wait::Synced && !toko_crdt::mutant!("sell-before-durable");
        let entry = self.sign(now, group, journal, append.saw, body);
        let appended = Appended { hash: entry.hash(), place: entry.place(), at: entry.at(), parked: None };
        group.push_entry(RECORD_OWN, entry, reply);
        Ok(appended)
    }

    /// The journal that this run writes in a lane; begins it where it is new.
    fn stage_run(&mut self, now: UnixMicros, group: &mut Group, lane: Lane) -> JournalId {
        let last = self.last_runs.get(&lane).copied().filter(|_| toko_crdt::mutant!("reuse-a-run"));
        let run = *self.run.get_or_insert_with(|| last.unwrap_or_else(|| (self.mint_run)()));
        let journal = JournalId { node: self.node, run, lane };
        if self.head(group, &journal).is_none() {
            let before = self.last_runs.get(&lane).and_then(|run| {
                let head = self.heads.head(&JournalId { node: self.node, run: *run, lane })?;
                Some(Continued { run: *run, head: *head })
            });
            let before = before.filter(|_| !toko_crdt::mutant!("forget-the-run-before"));
            let entry = self.sign(now, group, journal, None, Body::Continues(before).encode());
            group.push_entry(RECORD_OWN, entry, None);
        }
        journal
    }

    fn sign(
        &mut self,
        now: UnixMicros,
        group: &Group,
        journal: JournalId,
        saw: Option<Saw>,
        body: Vec<u8>,
    ) -> Entry {
        let head = self.head(group, &journal);
        let (seq, prev) = head.map_or((1, Hash::ZERO), |head| (head.seq + 1, head.hash));
        let draft = Draft { journal, seq, prev, at: self.clock.now(now), saw, body };
        draft.sign(&self.store_id(), &self.key)
    }

    fn head(&self, group: &Group, journal: &JournalId) -> Option<Head> {
        group.heads.get(journal).or_else(|| self.heads.head(journal)).copied()
    }

    fn stage_ingest(
        &mut self,
        now: UnixMicros,
        group: &mut Group,
        reply: usize,
        entries: &[Entry],
    ) -> Result<Ingested, IngestError> {
        let bytes: u64 = entries.iter().map(|entry| entry.body().map_or(0, <[u8]>::len) as u64).sum();
        let Some(first) = entries.first().filter(|_| bytes <= Self::GROUP_BYTES_MAX) else {
            return Err(IngestError::Size { bytes, bytes_max: Self::GROUP_BYTES_MAX });
        };
        let author = *first.author();
        let own_key = (author == self.node).then(|| self.key.public());
        let key = self.members.key(&author).or(own_key).ok_or(IngestError::UnknownAuthor(author))?;
        prove_batch(entries, &key).map_err(IngestError::Proof)?;

        let mut done = Ingested::default();
        let close = self.closed.get(first.journal()).map_or(u64::MAX, |closed| closed.at);
        for (n, entry) in entries.iter().enumerate() {
            if entry.seq() > close {
                done.above_close = entries.len() - n;
                break;
            }
            let held = self.hash_at(group, entry.place())?;
            match place(self.head(group, entry.journal()).as_ref(), held.as_ref(), entry) {
                Place::Duplicate => done.known += 1,
                Place::Next => {
                    self.clock.observe(entry.at(), now);
                    group.push_entry(RECORD_RECEIVED, entry.clone(), Some(reply));
                    done.accepted += 1;
                }
                Place::Gap { want } => return Err(IngestError::Gap { want }),
                Place::Diverges { seq } => return Err(IngestError::Diverges { seq }),
                Place::Fork => {
                    done.forked = self.stage_fork(now, group, &entries[n..])?;
                    break;
                }
            }
        }
        group.sync |= (done.accepted > 0 || done.forked) && !toko_crdt::mutant!("acknowledge-before-durable");
        Ok(done)
    }

    fn hash_at(&mut self, group: &Group, place: EntryRef) -> Result<Option<Hash>, SaveError> {
        if let Some(hash) = group.hashes.get(&place) {
            return Ok(Some(*hash));
        }
        if self.heads.head(&place.journal).is_none_or(|head| head.seq < place.seq) {
            return Ok(None);
        }
        let row = self.views.read(|kv| tables::place(kv, place));
        Ok(row.map_err(|error| self.break_down(&error.to_string()))?.map(|(_, hash)| hash))
    }

    /// Writes the proof that `branch` and what we hold are a fork, and carries the branch. What we hold ourselves above
    /// the common end is carried when the proof has closed the journal.
    fn stage_fork(
        &mut self,
        now: UnixMicros,
        group: &mut Group,
        branch: &[Entry],
    ) -> Result<bool, SaveError> {
        let Some(theirs) = branch.first() else { return Ok(false) };
        let staged = group.records.iter().find_map(|record| match &record.what {
            What::Entry(entry) if entry.place() == theirs.place() => Some(entry.clone()),
            _ => None,
        });
        let ours = match staged {
            Some(entry) => Some(entry),
            None => self.reader.entry(theirs.place()).map_err(|error| self.break_down(&error.to_string()))?,
        };
        let key =
            self.members.key(theirs.author()).or((*theirs.author() == self.node).then(|| self.key.public()));
        let proof = ours.and_then(|ours| ForkProof::new(ours, theirs.clone()));
        let Some(proof) = proof.filter(|proof| key.is_some_and(|key| proof.verify(&key))) else {
            return Ok(false);
        };
        tracing::error!(journal = ?theirs.journal(), seq = theirs.seq(), "a journal is forked; its branches are carried");
        if *theirs.author() == self.node && Some(theirs.journal().run) == self.run {
            self.run = None;
        }
        let lane = theirs.journal().lane;
        self.stage_own(now, group, lane, Body::Fork(Box::new(proof)));
        let branch = if toko_crdt::mutant!("drop-the-other-branch") { &[] } else { branch };
        for entry in branch.iter().filter(|entry| key.is_some_and(|key| entry.verify(&key))) {
            self.stage_own(now, group, lane, Body::Carried(Box::new(entry.clone())));
        }
        Ok(true)
    }

    /// Stages an entry that nobody asked for but that follows from what came in.
    pub(super) fn stage_own(&mut self, now: UnixMicros, group: &mut Group, lane: Lane, body: Body) {
        let append = Append { lane, body, saw: None, wait: Wait::Synced };
        if let Err(error) = self.stage_append(now, group, None, append) {
            tracing::error!(err = %error, "an entry of a forked journal could not be carried");
        }
    }

    fn stage_statements(
        &mut self,
        group: &mut Group,
        statements: Vec<Statement>,
    ) -> Vec<Result<bool, StatementError>> {
        let mut answers = Vec::with_capacity(statements.len());
        for statement in statements {
            let before = Arc::clone(&self.members);
            let answer = Arc::make_mut(&mut self.members).add(statement.clone());
            if answer == Ok(true) {
                group.members_before.get_or_insert(before);
                group.sync = true;
                group.push(RECORD_STATEMENT, statement.encode(), What::Statement(statement), None);
            }
            answers.push(answer);
        }
        answers
    }
}

impl Reply {
    /// The reply to a request that was not even looked at.
    fn refused(request: &Request, error: SaveError) -> Self {
        match request {
            Request::Append(_) => Self::Appended(Err(error)),
            Request::Ingest(_) => Self::Ingested(Err(error.into())),
            Request::Statements(_) => Self::Statements(Err(error)),
            Request::Probe => Self::Alive(Err(error)),
            Request::Retry(_) => Self::Retried(Err(error)),
        }
    }

    /// Takes a good answer back: its group was not saved.
    pub(super) fn fail(&mut self, error: &SaveError) {
        let error = error.clone();
        match self {
            Self::Appended(answer) if answer.is_ok() => *answer = Err(error),
            Self::Ingested(answer) if answer.is_ok() => *answer = Err(error.into()),
            Self::Statements(answer) => *answer = Err(error),
            Self::Alive(answer) => *answer = Err(error),
            Self::Retried(answer) => *answer = Err(error),
            Self::Appended(_) | Self::Ingested(_) => {}
        }
    }
}
