//! Seals: the hub says what came out of a frontier, everybody who holds as much goes over it, headquarters countersigns.
//!
//! Going over a seal happens on a thread that may wait, one seal at a time, the newest that this node holds all of. Nothing
//! waits for it. Absent on purpose: any decision about the store. What differs is shown, with what to do about it.

use crate::identity::Role;
use crate::node::shared::Shared;
use crate::node::{Node, bases, pruning, settling, snapshots};
use crate::store::{
    Append, Appended, Checked, SaveError, SealError, SealedViews, StoreReader, Verdict, Wait,
};
use std::sync::{Arc, PoisonError};
use thiserror::Error;
use toko_crdt::book::rows;
use toko_crdt::clock::UnixMicros;
use toko_crdt::digest::Digests;
use toko_crdt::entry::Saw;
use toko_crdt::frontier::Frontier;
use toko_crdt::ids::EntryRef;
use toko_crdt::member::Members;
use toko_crdt::seal::Seal;
use toko_crdt::{Body, Hash, KvError, KvRead, Lane, NodeId};
use tracing::{debug, error, info, warn};

/// Why no seal was written. Nothing changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealNowError {
    /// Only the hub seals.
    #[error("this node is not the hub of its store")]
    NotTheHub,
    /// The views could not be read.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// The entry was not saved.
    #[error("the seal was not saved")]
    NotSaved(#[from] SaveError),
}

/// One seal of a hub, and what came of it.
#[derive(Clone, Debug)]
pub struct SealStatus {
    /// The entry that says it.
    pub entry: Hash,
    /// Where that stands.
    pub place: EntryRef,
    /// When it was written, by the hub's clock; `None` where the entry itself is in a snapshot only.
    pub at: Option<UnixMicros>,
    /// Version of the fold that made the views.
    pub fold_version: u32,
    /// How many entries it covers.
    pub entries: u64,
    /// Root of the frontier that it covers.
    pub root: Hash,
    /// What came out at the hub.
    pub digests: Digests,
    /// What came of going over it here; `None` while that has not happened, or never will since a later one was gone over.
    pub verdict: Option<Verdict>,
    /// Whether headquarters, going over it, found the same books; `None` while it has not said so.
    pub countersigned: Option<bool>,
    /// Peers that found the same, as far as they said so on a link.
    pub confirmed_by: Vec<NodeId>,
    /// Peers that found something else.
    pub differs_at: Vec<NodeId>,
}

impl Node {
    /// Seals the books and the floor as they are now: by the hub, for everybody to go over.
    ///
    /// Errors: nothing was written.
    pub async fn seal(&self) -> Result<Appended, SealNowError> {
        let shared = &self.shared;
        if !shared.is_hub() {
            return Err(SealNowError::NotTheHub);
        }
        let seal = shared.store.reader().cut()?;
        let entries = seal.entries;
        let seal = bases::over_the_newest(seal, shared.store.reader(), &shared.newsroom, &self.members())?;
        let append = Append { lane: Lane::Books, body: Body::Seal(seal), saw: None, wait: Wait::Synced };
        let written = shared.store.append(append).await?;
        info!(seal = %written.hash.short(), entries, "sealed");
        Ok(written)
    }

    /// The seals of hubs, newest first.
    pub fn seals(&self) -> Result<Vec<SealStatus>, KvError> {
        let (shared, members) = (&self.shared, self.members());
        let reader = shared.store.reader();
        self.read(|kv| {
            let (mut by_hubs, mut by_headquarters) = (Vec::new(), Vec::new());
            for (place, entry) in rows::seal_entries(kv)? {
                let roles = members.roles_of(&place.journal.node);
                let Some(seal) = rows::seal_of(kv, &place, &entry)? else { continue };
                if roles.is_hub() {
                    by_hubs.push((place, entry, seal));
                } else if roles.headquarters {
                    by_headquarters.push(seal);
                }
            }
            let mut all: Vec<SealStatus> = by_hubs
                .into_iter()
                .map(|(place, entry, seal)| shown(shared, reader, place, entry, &seal, &by_headquarters))
                .collect();
            all.sort_by_key(|seal| (std::cmp::Reverse(seal.entries), seal.entry));
            Ok(all)
        })
    }
}

fn shown(
    shared: &Shared,
    reader: &StoreReader,
    place: EntryRef,
    entry: Hash,
    seal: &Seal,
    countersigns: &[Seal],
) -> SealStatus {
    let countersign = countersigns.iter().find(|theirs| theirs.countersigns(entry));
    let board = shared.seals();
    let who = |equal| {
        let peers = board.peers.iter().filter(move |(_, told)| **told == (entry, equal));
        peers.map(|(peer, _)| *peer).collect()
    };
    SealStatus {
        entry,
        place,
        at: reader.entry(place).ok().flatten().map(|entry| entry.at().wall()),
        fold_version: seal.fold_version,
        entries: seal.entries,
        root: seal.root,
        digests: seal.digests,
        verdict: board.checked.get(&entry).map(|checked| checked.verdict),
        countersigned: countersign.map(|theirs| theirs.digests.books == seal.digests.books),
        confirmed_by: who(true),
        differs_at: who(false),
    }
}

/// Looks for seals to go over, one at a time.
#[derive(Debug, Default)]
pub(super) struct SealKeeper {
    busy: bool,
    loaded: bool,
    /// Ticks until a snapshot is asked for again.
    rest: u32,
    /// The seal below which history was pruned last.
    pruned_at: Option<Checked>,
    /// The store's count of changes when it was last looked at.
    seen: Option<u64>,
}

impl SealKeeper {
    /// The work that is due, if any. Tell [`SealKeeper::done`] when it is.
    pub(super) fn look(&mut self, shared: &Arc<Shared>) -> Option<impl Future<Output = ()> + Send + 'static> {
        if self.busy {
            return None;
        }
        self.rest = self.rest.saturating_sub(1);
        let takes = self.rest == 0 && shared.role != Role::Headquarters && lacks_pruned(shared);
        let changes = shared.store.reader().changed().count();
        let mut due = takes;
        if self.seen != Some(changes) {
            self.seen = Some(changes);
            let found = shared.store.reader().read(|kv| unchecked(shared, kv));
            due |= !self.loaded || !found.is_ok_and(|found| found.is_empty());
        }
        let newest = shared.seals().newest;
        let confirmed = newest.is_some_and(|newest| is_confirmed(shared, newest.seal));
        let prunes = shared.role != Role::Headquarters && confirmed && self.pruned_at != newest;
        if !due && !prunes {
            return None;
        }
        if prunes {
            self.pruned_at = newest;
        }
        if takes {
            self.rest = TAKE_AGAIN_TICKS;
        }
        (self.busy, self.loaded) = (true, true);
        let shared = Arc::clone(shared);
        Some(async move {
            if takes && let Err(err) = snapshots::take(&shared).await {
                warn!(%err, "what peers hold in a snapshot only is still lacking");
            }
            if due {
                work(&shared).await;
            }
            if prunes && let Err(err) = pruning::prune(&shared).await {
                warn!(%err, "old history was not pruned");
            }
            if prunes && let Err(err) = settling::settle(&shared).await {
                warn!(%err, "carts that are done were not settled");
            }
        })
    }

    pub(super) fn done(&mut self) {
        self.busy = false;
    }
}

/// How long a node that got no snapshot waits before it asks again, in ticks.
const TAKE_AGAIN_TICKS: u32 = 5;

/// Whether a peer has what is lacking here in a snapshot only, and some peer could give one.
fn lacks_pruned(shared: &Shared) -> bool {
    let board = shared.seals();
    !board.pruned_by.is_empty() && board.peers.values().any(|(_, equal)| *equal)
}

/// Whether another node went over this seal too, and found the same: it holds everything below.
fn is_confirmed(shared: &Shared, seal: Hash) -> bool {
    shared.seals().peers.values().any(|told| *told == (seal, true))
}

/// Seals of hubs that were not gone over yet, as far as the keys of their rows tell.
fn unchecked(shared: &Shared, kv: &dyn KvRead) -> Result<Vec<(EntryRef, Hash)>, KvError> {
    let members = shared.members.now();
    let mut found = rows::seal_entries(kv)?;
    let board = shared.seals();
    found.retain(|(place, entry)| {
        members.roles_of(&place.journal.node).is_hub()
            && !board.checked.contains_key(entry)
            && !board.passed.contains(entry)
    });
    Ok(found)
}

async fn work(shared: &Arc<Shared>) {
    let on_thread = Arc::clone(shared);
    let result = shared.config.machine.aside(move || go_over(&on_thread)).await;
    let problem = match result {
        Ok(Ok(Some((checked, seal, frontier)))) => {
            note(shared, checked, frontier);
            if shared.role == Role::Headquarters {
                countersign(shared, checked, &seal).await;
            }
            None
        }
        Ok(Ok(None)) => None,
        Ok(Err(err)) => {
            warn!(%err, "a seal could not be gone over");
            Some(err.to_string())
        }
        Err(err) => Some(err.to_string()),
    };
    shared.seals().problem = problem;
}

/// Goes over the newest seal that this node holds all of.
fn go_over(shared: &Shared) -> Result<Option<(Checked, Seal, Frontier)>, SealError> {
    let reader = shared.store.reader();
    let _one_at_a_time = shared.sealed_file.lock().unwrap_or_else(PoisonError::into_inner);
    let mut views = open_views(reader)?;
    {
        let mut board = shared.seals();
        for checked in views.verdicts()? {
            board.checked.insert(checked.seal, checked);
        }
    }
    let books_only = shared.role == Role::Headquarters;
    let lanes = bases::lanes(shared.role);
    tell_newest(shared)?;
    let held = reader.frontier();
    let mut due = Vec::new();
    reader.read(|kv| {
        for (place, entry) in unchecked(shared, kv)? {
            let Some(seal) = rows::seal_of(kv, &place, &entry)? else { continue };
            if !held.covers(&seal.lines.of_lanes(lanes)) {
                continue;
            }
            match rows::sealed_frontier(kv, &seal, lanes, views.frontier())? {
                Some(frontier) if held.covers(&frontier) => due.push((seal.entries, entry, seal, frontier)),
                _ => {}
            }
        }
        Ok(())
    })?;
    due.sort_by_key(|(entries, entry, ..)| (*entries, *entry));
    let mut result = Ok(None);
    while let Some((_, entry, seal, frontier)) = due.pop() {
        match views.check(entry, &seal, &frontier, books_only) {
            Ok(checked) => {
                result = Ok(Some((checked, seal, frontier)));
                break;
            }
            Err(SealError::Past) => {
                shared.seals().passed.insert(entry);
            }
            Err(err @ SealError::OtherBranch { .. }) => {
                debug!(seal = %entry.short(), %err, "this seal cannot be compared");
                shared.seals().passed.insert(entry);
                result = Err(err);
            }
            Err(err) => return Err(err),
        }
    }
    // Older ones will never be gone over: this place is beyond them.
    shared.seals().passed.extend(due.into_iter().map(|(_, entry, ..)| entry));
    result
}

/// Opens the sealed views; those of another build are begun anew where the log still reaches back to the beginning.
fn open_views(reader: &StoreReader) -> Result<SealedViews, SealError> {
    match SealedViews::open(reader) {
        Err(SealError::OtherBuild | SealError::Flush(_)) if reader.is_whole() => {
            SealedViews::discard_for(reader)?;
            SealedViews::open(reader)
        }
        other => other,
    }
}

/// Finds the newest verdict that is kept, after a start.
fn tell_newest(shared: &Shared) -> Result<(), KvError> {
    let (checked, told): (Vec<Checked>, bool) = {
        let board = shared.seals();
        (board.checked.values().copied().collect(), board.newest.is_some())
    };
    if told {
        return Ok(());
    }
    let members = shared.members.now();
    let sealed = shared.store.reader().read(|kv| bases::newest_first(kv, &members))?;
    let kept = |(entry, _): &(Hash, Seal)| checked.iter().find(|checked| checked.seal == *entry).copied();
    if let Some(found) = sealed.iter().find_map(kept) {
        shared.seals().newest = Some(found);
        shared.newsroom.sealed(found.seal, found.verdict == Verdict::Equal);
    }
    Ok(())
}

fn note(shared: &Shared, checked: Checked, frontier: Frontier) {
    match checked.verdict {
        Verdict::Equal => info!(seal = %checked.seal.short(), "went over a seal: the same came out here"),
        Verdict::Differs => error!(
            seal = %checked.seal.short(),
            books = %checked.digests.books,
            floor = %checked.digests.floor,
            "went over a seal: something else came out here"
        ),
        Verdict::OtherBuild => info!(seal = %checked.seal.short(), "a seal of another build is not compared"),
    }
    {
        let mut board = shared.seals();
        board.checked.insert(checked.seal, checked);
        board.newest = Some(checked);
    }
    if checked.verdict == Verdict::Equal {
        bases::add(&shared.newsroom, checked.seal, frontier);
    }
    // It stood at an earlier seal.
    snapshots::forget_made(shared);
    if checked.verdict != Verdict::OtherBuild {
        shared.newsroom.sealed(checked.seal, checked.verdict == Verdict::Equal);
    }
    shared.note_net_change();
}

/// Headquarters says what came out there, in its own journal of the store.
async fn countersign(shared: &Shared, checked: Checked, seal: &Seal) {
    if checked.verdict == Verdict::OtherBuild || !shared.members.admits(&shared.node) {
        return;
    }
    let digests = Digests { books: checked.digests.books, floor: Digests::default().floor };
    let own = seal.countersign(checked.seal, digests);
    let said = shared.store.reader().read(|kv| {
        let all = rows::seals(kv)?;
        Ok(all.iter().any(|(place, theirs)| place.journal.node == shared.node && *theirs == own))
    });
    if said.unwrap_or(true) {
        return;
    }
    let saw = Some(Saw::Entries(vec![checked.seal]));
    let append = Append { lane: Lane::Books, body: Body::Seal(own), saw, wait: Wait::Synced };
    if let Err(err) = shared.store.append(append).await {
        warn!(%err, "the countersign was not saved");
    }
}

/// What differs: who, and in which words.
pub(super) fn differences(
    shared: &Shared,
    kv: &dyn KvRead,
    members: &Members,
) -> Result<Vec<(NodeId, String)>, KvError> {
    let mut out = Vec::new();
    let (newest, peers) = {
        let board = shared.seals();
        (board.newest, board.peers.clone())
    };
    let at = |seal: Hash| format!("at seal {} something else came out there than at the hub", seal.short());
    if let Some(checked) = newest.filter(|checked| checked.verdict == Verdict::Differs) {
        out.push((shared.node, at(checked.seal)));
    }
    if shared.is_hub() {
        let differ = peers.iter().filter(|(peer, (_, equal))| !equal && members.is_member(peer));
        out.extend(differ.map(|(peer, (seal, _))| (*peer, at(*seal))));
    }
    let Some(newest) = newest else { return Ok(out) };
    for (place, entry) in rows::seal_entries(kv)? {
        if entry != newest.seal {
            continue;
        }
        let Some(seal) = rows::seal_of(kv, &place, &entry)? else { continue };
        for (place, theirs) in rows::seals(kv)? {
            let node = place.journal.node;
            let is_countersign = members.roles_of(&node).headquarters && theirs.countersigns(entry);
            if is_countersign && theirs.digests.books != seal.digests.books {
                out.push((node, at(newest.seal)));
            }
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}
