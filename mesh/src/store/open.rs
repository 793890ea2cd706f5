//! Opening a store: the views as they were kept, and the log's tail folded again on top of them.

use std::{collections::BTreeMap, iter::Peekable, sync::Arc};

use toko_crdt::{
    Entry, JournalId, KvError, Lane, Run, StoreId,
    book::rows,
    clock::Clock,
    digest::Digests,
    frontier::Frontier,
    member::{Members, Statement},
};

use super::{
    OpenStoreError, SaveError, Store, StoreReader, StoreSetup,
    commit::Absorb,
    folder::Folder,
    history,
    poison::{Guard, Poison},
    reader::Meaning,
    tables::{self, MadeFrom, RECORD_OWN, RECORD_RECEIVED, RECORD_STATEMENT},
};
use crate::{
    log::{self, Log, OpenLogError, Position, ReadLogError, Record, Records},
    views::{FlushError, VIEWS_FILE, Views},
};

impl Store {
    /// Opens the store on a disk, or begins it on an empty one.
    ///
    /// Views that cannot be trusted, or that another fold made, are thrown away and made anew from the log. What a dead
    /// process left in the log is synced before it counts. What the disk spoilt is set aside ([`StoreReader::set_aside`]), and
    /// the store goes on from what stands before. Whoever calls this has made sure, by the sentinel, that this *is* the
    /// directory of the store.
    ///
    /// Errors: see [`OpenStoreError`]; nothing that was synced is lost by trying.
    pub fn open(setup: StoreSetup) -> Result<Self, OpenStoreError> {
        let mut members = Members::new(setup.root);
        let store = *members.store();
        let (views, made, log) = open_whole(&setup, store)?;
        let position = made.map(|made| made.position);
        let reader = {
            let meaning = Meaning { fold: Arc::clone(&setup.fold), scope: Arc::clone(&setup.scope) };
            StoreReader::new(store, views.clone(), log.reader(), meaning)
        };
        let below = match made {
            Some(_) => Frontier::default(),
            None => history::begin_from_sealed(&reader, &views, &log, &members)?,
        };
        let kept = Kept::read(&views, &mut members)?;
        let fold_version = setup.fold.version();
        let mut opened = Self {
            node: setup.key.node(),
            key: setup.key,
            mint_run: setup.mint_run,
            fold: setup.fold,
            scope: setup.scope,
            config: setup.config,
            poison: Arc::new(Poison::load(&*setup.disk, fold_version)?),
            disk: setup.disk,
            views,
            clock: Clock::default(),
            run: None,
            last_runs: kept.last_runs,
            heads: Arc::new(kept.heads),
            below: Arc::new(below),
            unsynced: BTreeMap::new(),
            members: Arc::new(members),
            closings: kept.closed.keys().copied().collect(),
            closed: kept.closed,
            digests: kept.digests,
            broken: None,
            has_news: false,
            reader,
            folder: Folder::Inline,
            log,
        };
        opened.reader.set_members(&opened.members);
        opened.unsynced = opened.heads.lines().map(|(journal, head)| (*journal, Some(*head))).collect();
        opened.fold_tail(position)?;
        opened.show_synced();
        opened.below = Arc::default();
        Ok(opened)
    }

    /// Moves everything into the database, synced: the next start finds nothing to fold. The store is done after it.
    pub fn close(mut self) -> Result<(), SaveError> {
        self.checkpoint()
    }

    /// Folds what the log holds above the views, on guard against an entry that kills.
    pub(super) fn fold_tail(&mut self, from: Option<Position>) -> Result<(), OpenStoreError> {
        let from = from.unwrap_or(self.log.start());
        if from >= self.log.end() || toko_crdt::mutant!("skip-the-logs-tail") {
            return Ok(());
        }
        let mut guard = Guard::begin(&*self.disk)?;
        let mut records = self.log.records(from).peekable();
        let mut folded = 0;
        while let Some(next) = next_position(&mut records)? {
            let stretch = guard.next(&*self.disk, next)?;
            let group: Vec<Record> =
                records.by_ref().take(index(stretch.records)).collect::<Result<_, ReadLogError>>()?;
            let end = next_position(&mut records)?.unwrap_or(self.log.end());
            if let Some(first) = group.first().filter(|_| stretch.kills) {
                self.mark(first)?;
            }
            folded += group.len();
            self.fold_again(&group, end)?;
            if self.wants_checkpoint() {
                self.checkpoint()?;
            }
        }
        guard.end(&*self.disk)?;
        tracing::info!(records = folded, "folded the tail of the log");
        Ok(())
    }

    fn mark(&mut self, record: &Record) -> Result<(), OpenStoreError> {
        if record.kind != RECORD_STATEMENT {
            let hash = read_entry(&self.store_id(), record)?.hash();
            tracing::error!(entry = %hash.short(), "an entry that kills this process is parked");
            Arc::make_mut(&mut self.poison).mark(&*self.disk, hash)?;
        }
        Ok(())
    }

    fn fold_again(&mut self, group: &[Record], end: Position) -> Result<(), OpenStoreError> {
        let store = self.store_id();
        let (ground, base) = (self.ground(), self.views.snapshot());
        let mut absorb = Absorb::new(&ground, &base);
        for record in group {
            match record.kind {
                RECORD_OWN | RECORD_RECEIVED => {
                    absorb.entry(record.kind, &read_entry(&store, record)?, record.position)?;
                }
                RECORD_STATEMENT => {
                    let statement = Statement::decode(&record.payload).map_err(|_| unreadable(record))?;
                    absorb.statement(&statement)?;
                }
                _ => return Err(unreadable(record)),
            }
        }
        let absorbed = absorb.finish(end)?;
        drop((ground, base));
        self.show(absorbed);
        Ok(())
    }
}

/// What the views say about the store, read once.
pub(super) struct Kept {
    pub(super) heads: Frontier,
    pub(super) closed: BTreeMap<JournalId, rows::Closed>,
    pub(super) digests: Digests,
    pub(super) last_runs: BTreeMap<Lane, Run>,
}

impl Kept {
    /// Reads it, and adds the members that the views know of.
    pub(super) fn read(views: &Views, members: &mut Members) -> Result<Self, KvError> {
        views.read(|kv| {
            tables::add_members(kv, members)?;
            Ok(Self {
                heads: tables::heads(kv)?.into_iter().collect(),
                closed: rows::closed_all(kv)?.into_iter().map(|closed| (closed.journal, closed)).collect(),
                digests: Digests::of(kv)?,
                last_runs: Lane::ALL
                    .into_iter()
                    .filter_map(|lane| Some(tables::last_run(kv, lane).transpose()?.map(|run| (lane, run))))
                    .collect::<Result<_, _>>()?,
            })
        })
    }
}

/// Views and log, without what the disk spoilt.
fn open_whole(setup: &StoreSetup, store: StoreId) -> Result<(Views, Option<MadeFrom>, Log), OpenStoreError> {
    loop {
        let (views, made) = open_views(setup, store)?;
        let position = made.map(|made| made.position);
        let opened = Log::open(Arc::clone(&setup.disk), store, setup.config.log, position);
        let (at, error) = match opened {
            Err(error @ OpenLogError::Damaged { at, .. }) => (at, error),
            opened => return Ok((views, made, opened?)),
        };
        // Views of what is not in the log any more are of no use, and are kept with it.
        let is_lost = at.offset > 0 && position.is_some_and(|position| position > at);
        let also: &[&str] = if is_lost { &[VIEWS_FILE] } else { &[] };
        drop(views);
        match log::set_aside(&*setup.disk, &store, at, also) {
            Ok(parts) if parts.is_empty() => return Err(error.into()),
            Ok(parts) => {
                let files: Vec<String> = parts.into_iter().map(|part| part.file).collect();
                tracing::error!(%error, files = files.join(", "), "what the disk spoilt was set aside");
            }
            Err(failed) => {
                tracing::error!(err = %failed, "what the disk spoilt could not be set aside");
                return Err(error.into());
            }
        }
    }
}

/// The views as they were kept, or none, with what they are made from.
fn open_views(setup: &StoreSetup, store: StoreId) -> Result<(Views, Option<MadeFrom>), OpenStoreError> {
    let open = || Views::open(Arc::clone(&setup.disk), setup.config.views_cache_bytes);
    let why = match open() {
        Ok(views) => {
            let (made, is_empty) = views.read(|kv| {
                let mut is_empty = true;
                kv.scan(&[], &mut |_, _| {
                    is_empty = false;
                    false
                })?;
                Ok((tables::made_from(kv)?, is_empty))
            })?;
            match made {
                None if is_empty => return Ok((views, None)),
                Some(made) if toko_crdt::mutant!("trust-views-of-another-fold") => {
                    return Ok((views, Some(made)));
                }
                Some(made) if made.store == store && made.fold_version == setup.fold.version() => {
                    return Ok((views, Some(made)));
                }
                _ => "they were made by another build, or for another store".to_owned(),
            }
        }
        Err(FlushError::Failed { why }) => why,
        Err(error) => return Err(error.into()),
    };
    tracing::warn!(%why, "views are made anew from the log");
    Views::discard(&*setup.disk)?;
    Ok((open()?, None))
}

fn next_position(records: &mut Peekable<Records>) -> Result<Option<Position>, ReadLogError> {
    match records.peek() {
        Some(Ok(record)) => Ok(Some(record.position)),
        Some(Err(_)) => records.next().transpose().map(|_| None),
        None => Ok(None),
    }
}

fn read_entry(store: &StoreId, record: &Record) -> Result<Entry, OpenStoreError> {
    Entry::decode(store, &record.payload).map_err(|_| unreadable(record))
}

fn unreadable(record: &Record) -> OpenStoreError {
    OpenStoreError::Record { segment: record.position.segment, offset: record.position.offset }
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
