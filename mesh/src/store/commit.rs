//! One group: written, then folded and synced side by side, then shown.

use std::{collections::BTreeMap, sync::Arc};

use toko_crdt::{
    Body, EffectId, Entry, JournalId, KvError, KvRead, Lane, Run,
    book::{Applied, Code, rows, rows::Parked},
    clock::UnixMicros,
    digest::Digests,
    frontier::Head,
    ids::EntryRef,
    member::{Members, Statement},
};

use super::{
    Reply, SaveError, Store,
    folder::{Folder, Ground},
    history,
    stage::{Group, Staged, What},
    tables::{self, MadeFrom, RECORD_OWN, RECORD_RECEIVED},
};
use crate::{
    log::Position,
    views::{Draft, Rows},
};

/// Rows that a group or a stretch of the log makes, with what the store keeps in memory beside them.
pub(super) struct Absorb<'a> {
    draft: Draft<'a>,
    ground: &'a Ground,
    done: Absorbed,
}

/// What comes out of an [`Absorb`].
#[derive(Debug)]
pub(super) struct Absorbed {
    pub(super) rows: Rows,
    pub(super) digests: Digests,
    pub(super) members: Arc<Members>,
    pub(super) heads: BTreeMap<JournalId, Option<Head>>,
    pub(super) closed: BTreeMap<JournalId, rows::Closed>,
    pub(super) closings: Vec<JournalId>,
    pub(super) last_runs: BTreeMap<Lane, Run>,
    members_changed: bool,
}

impl<'a> Absorb<'a> {
    /// Begins above the views as they are in `base`.
    pub(super) fn new(ground: &'a Ground, base: &'a dyn KvRead) -> Self {
        let done = Absorbed {
            rows: Rows::default(),
            digests: ground.digests,
            members: Arc::clone(&ground.members),
            heads: BTreeMap::new(),
            closed: ground.closed.clone(),
            closings: Vec::new(),
            last_runs: ground.last_runs.clone(),
            members_changed: false,
        };
        Self { draft: Draft::new(base), ground, done }
    }

    /// Takes in an accepted entry: index, head, views. Returns the code where it is parked.
    pub(super) fn entry(&mut self, kind: u8, entry: &Entry, at: Position) -> Result<Option<Code>, KvError> {
        let (journal, place) = (*entry.journal(), entry.place());
        tables::put_place(&mut self.draft, place, at, entry.hash())?;
        if self.ground.below.head(&journal).is_some_and(|head| place.seq <= head.seq) {
            // It is in the views that these were made from.
            return history::stands_at(&mut self.draft, entry.hash(), place).map(|()| None);
        }
        if self.done.closed.get(&journal).is_none_or(|closed| place.seq <= closed.at) {
            self.set_head(journal, Some(Head { seq: place.seq, hash: entry.hash() }))?;
        }
        if kind == RECORD_OWN && place.seq == 1 {
            tables::put_last_run(&mut self.draft, journal.lane, journal.run)?;
            self.done.last_runs.insert(journal.lane, journal.run);
        }
        let applied = self.apply(entry)?;
        self.note(entry, applied)?;
        if let Applied::Parked(code) = applied { Ok(Some(code)) } else { Ok(None) }
    }

    /// Takes in a member statement that came outside any journal, and is among the members already.
    pub(super) fn statement(&mut self, statement: &Statement) -> Result<(), KvError> {
        if let Err(error) = Arc::make_mut(&mut self.done.members).add(statement.clone()) {
            tracing::warn!(err = %error, "a logged member statement does not hold");
        }
        self.done.members_changed = true;
        tables::put_statement(&mut self.draft, statement)
    }

    /// Ends with the rows, made from the log up to `position`.
    pub(super) fn finish(mut self, position: Position) -> Result<Absorbed, KvError> {
        if self.done.members_changed {
            self.reconsider_statements()?;
            self.heal()?;
        }
        self.draft.settle(&mut self.done.digests)?;
        self.done.digests.save(&mut self.draft)?;
        let made = MadeFrom { store: self.ground.store, fold_version: self.ground.fold.version(), position };
        tables::put_made_from(&mut self.draft, made)?;
        Ok(Absorbed { rows: self.draft.into_rows(), ..self.done })
    }

    fn apply(&mut self, entry: &Entry) -> Result<Applied, KvError> {
        let book = self.ground.book();
        if self.ground.poison.is_marked(&entry.hash()) {
            return book.park(&mut self.draft, EffectId::from(entry.hash()), entry.place(), Code::Killed);
        }
        if self.is_undecidable(entry)? {
            return book.park(&mut self.draft, EffectId::from(entry.hash()), entry.place(), Code::Pruned);
        }
        // Digests are moved when the group ends.
        book.apply(&mut self.draft, None, &self.done.members, entry)
    }

    /// Whether an entry carries one whose own place is in history that is no longer here: nobody can tell any more whether
    /// that one was folded, or another branch. It counts nothing and is shown, rather than counting twice.
    fn is_undecidable(&self, entry: &Entry) -> Result<bool, KvError> {
        let Some(Body::Carried(inner)) = self.ground.told_by(entry) else {
            return Ok(false);
        };
        let place = inner.place();
        let head = self.done.heads.get(&place.journal).copied();
        let head = head.unwrap_or_else(|| self.ground.heads.head(&place.journal).copied());
        Ok(head.is_some_and(|head| head.seq >= place.seq)
            && rows::place_of(&self.draft, EffectId::from(inner.hash()))?.is_none()
            && tables::place(&self.draft, place)?.is_none())
    }

    /// What the store itself must know of an entry: what it carries, and, where it was folded, members and forks.
    fn note(&mut self, entry: &Entry, applied: Applied) -> Result<(), KvError> {
        let mut body = self.ground.told_by(entry);
        while let Some(Body::Carried(inner)) = body {
            tables::put_carried(&mut self.draft, inner.hash())?;
            body = self.ground.told_by(&inner);
        }
        match body {
            _ if applied != Applied::Folded => Ok(()),
            Some(Body::Member(statement)) => {
                self.done.members_changed = true;
                if let Err(error) = Arc::make_mut(&mut self.done.members).add(statement) {
                    tracing::warn!(err = %error, entry = %entry.hash().short(), "a member statement does not hold");
                }
                Ok(())
            }
            Some(Body::Fork(_)) if toko_crdt::mutant!("ignore-fork-proofs") => Ok(()),
            Some(Body::Fork(proof)) => self.close(*proof.one.journal()),
            Some(Body::Admitted(admission)) => match rows::parked(&self.draft, admission.effect)? {
                Some(parked) => self.again(&parked).map(drop),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Tries a parked effect again, from the entry that stands at its place.
    fn again(&mut self, parked: &Parked) -> Result<Option<Applied>, KvError> {
        let bytes = match tables::place(&self.draft, parked.place)? {
            Some((at, _)) => self.ground.log.read(at).map_err(KvError::storage)?.payload,
            None => match tables::parked_entry(&self.draft, parked.effect)? {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        let entry = Entry::decode(&self.ground.store, &bytes).map_err(KvError::corrupt)?;
        let applied = self.apply(&entry)?;
        self.note(&entry, applied)?;
        Ok(Some(applied))
    }

    /// Takes the code away from a parked effect, whatever it is, and tries it.
    pub(super) fn retry(&mut self, effect: EffectId) -> Result<Option<Applied>, KvError> {
        let Some(parked) = rows::parked(&self.draft, effect)? else { return Ok(None) };
        let book = self.ground.book();
        book.unpark(&mut self.draft, effect)?;
        self.again(&parked)
    }

    /// Ends a forked journal at the last entry that both branches share.
    fn close(&mut self, journal: JournalId) -> Result<(), KvError> {
        let Some(closed) = rows::closed(&self.draft, &journal)? else { return Ok(()) };
        self.done.closed.insert(journal, closed);
        self.done.closings.push(journal);
        let head = self
            .done
            .heads
            .get(&journal)
            .copied()
            .unwrap_or_else(|| self.ground.heads.head(&journal).copied());
        if head.is_some_and(|head| head.seq > closed.at) {
            let end = tables::place(&self.draft, EntryRef { journal, seq: closed.at })?;
            self.set_head(journal, end.map(|(_, hash)| Head { seq: closed.at, hash }))?;
        }
        Ok(())
    }

    fn set_head(&mut self, journal: JournalId, head: Option<Head>) -> Result<(), KvError> {
        self.done.heads.insert(journal, head);
        tables::put_head(&mut self.draft, &journal, head)
    }

    /// Offers statements that entries brought once more: one may have come before the statement about its issuer.
    fn reconsider_statements(&mut self) -> Result<(), KvError> {
        let statements = rows::statements(&self.draft)?;
        let members = Arc::make_mut(&mut self.done.members);
        let mut progress = true;
        while progress {
            progress = false;
            for statement in &statements {
                progress |= members.add(statement.clone()) == Ok(true);
            }
        }
        Ok(())
    }

    /// Tries parked entries again whose author or right to write may be known now.
    fn heal(&mut self) -> Result<(), KvError> {
        for parked in rows::parked_all(&self.draft)? {
            if !matches!(parked.code, Code::OutOfScope | Code::UnknownAuthor) {
                continue;
            }
            self.again(&parked)?;
        }
        Ok(())
    }
}

/// From so many entries in one group on a hub has enough to do, and passes them on when they are synced.
const FEW: usize = 4;

impl Store {
    /// Writes, folds, syncs and shows a group, and settles the replies that depend on it.
    pub(super) fn finish_group(&mut self, mut group: Group, replies: &mut [Reply]) {
        if group.is_empty() {
            return;
        }
        let (records, sync) = (std::mem::take(&mut group.records), group.sync);
        let saved = self.make_room().and_then(|()| self.save(records, sync));
        match saved {
            Ok(parked) => parked.into_iter().for_each(|(reply, code)| match replies.get_mut(reply) {
                Some(Reply::Appended(Ok(appended))) => appended.parked = Some(code),
                Some(Reply::Ingested(Ok(ingested))) => ingested.parked += 1,
                _ => {}
            }),
            Err(error) => {
                if let Some(members) = group.members_before {
                    self.members = members;
                }
                for n in group.replies {
                    if let Some(reply) = replies.get_mut(n) {
                        reply.fail(&error);
                    }
                }
            }
        }
    }

    fn make_room(&mut self) -> Result<(), SaveError> {
        if self.must_checkpoint() {
            self.checkpoint()?;
        }
        if self.must_checkpoint() { Err(SaveError::DiskFull) } else { Ok(()) }
    }

    /// Where nothing waits for a sync, the fold is not worth another thread.
    fn save(&mut self, records: Vec<Staged>, sync: bool) -> Result<Vec<(usize, Code)>, SaveError> {
        let bytes: Vec<(u8, &[u8])> = records.iter().map(|r| (r.kind, r.payload.as_slice())).collect();
        let positions = self.log.append(&bytes)?;
        if sync {
            self.pass_on(&records);
        }
        let job = self.fold_job(records, positions);
        let folder = if sync { &self.folder } else { &Folder::Inline };
        let folding = folder.start(job);
        let synced = if sync { self.log.sync() } else { Ok(()) };
        let folded = folder.finish(folding);
        synced?;
        let (absorbed, parked) = folded.map_err(|error| self.break_down(&error.to_string()))?;
        self.show(absorbed);
        if sync || toko_crdt::mutant!("send-before-own-sync") {
            self.show_synced();
        }
        Ok(parked)
    }

    /// A hub passes on what few entries of peers came, while it syncs them: their author has them. They are acknowledged after.
    fn pass_on(&self, records: &[Staged]) {
        if records.len() > FEW || !self.reader.passes_on() {
            return;
        }
        let came = records.iter().filter(|record| record.kind == RECORD_RECEIVED);
        let came = came.filter_map(|record| match &record.what {
            What::Entry(entry) => Some((entry.place(), record.payload.as_slice().into())),
            What::Statement(_) => None,
        });
        self.reader.set_came(came.collect());
    }

    /// Makes what was absorbed the state of the store.
    pub(super) fn show(&mut self, absorbed: Absorbed) {
        let heads = Arc::make_mut(&mut self.heads);
        for (journal, head) in absorbed.heads {
            match head {
                Some(head) => heads.set(journal, head),
                None => heads.remove(&journal),
            }
            self.unsynced.insert(journal, head);
        }
        self.digests = absorbed.digests;
        self.closed = absorbed.closed;
        self.closings.extend(absorbed.closings);
        self.last_runs = absorbed.last_runs;
        if !Arc::ptr_eq(&self.members, &absorbed.members) || absorbed.members_changed {
            self.members = absorbed.members;
            self.reader.set_members(&self.members);
        }
        self.views.publish(absorbed.rows);
        self.has_news = true;
    }

    /// Syncs what was written with [`super::Wait::Memory`] and shows it as durable.
    pub(super) fn sync_log(&mut self) -> Result<(), SaveError> {
        self.log.sync()?;
        self.show_synced();
        self.announce();
        Ok(())
    }

    /// Everything that is in the log is synced: others may have it now.
    pub(super) fn show_synced(&mut self) {
        if !self.unsynced.is_empty() {
            self.reader.set_durable(std::mem::take(&mut self.unsynced));
            self.has_news = true;
        }
    }

    /// Tells whoever listens that something was shown, once for all of it.
    pub(super) fn announce(&mut self) {
        if std::mem::take(&mut self.has_news) {
            self.reader.note_change();
        }
    }

    /// What follows from the last group: nothing, mostly.
    pub(super) fn follow_up(&mut self, now: UnixMicros) -> Group {
        let mut group = Group::default();
        for journal in std::mem::take(&mut self.closings) {
            self.carry_out(now, &mut group, journal);
        }
        group
    }
}
