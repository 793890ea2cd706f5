//! What links and new seals stand on: frontiers of seals that this node holds all of.
//!
//! Every start of a node begins runs, and a run that ended never moves again. A seal names what moved since the one below it, and
//! a link speaks of what moved since a seal that both ends hold all of; so what ended weighs nothing on either.
//!
//! Whether a seal came out equal here does not matter for this, only that what it covers is here.

use crate::identity::Role;
use crate::node::news::Newsroom;
use crate::proto::session::Base;
use crate::store::StoreReader;
use std::sync::Arc;
use toko_crdt::book::rows;
use toko_crdt::frontier::Frontier;
use toko_crdt::member::Members;
use toko_crdt::seal::Seal;
use toko_crdt::{Hash, KvError, KvRead, Lane};

/// How many are kept at hand: peers go over a seal one after the other.
const BASES_MAX: usize = 2;
/// How many seals are looked at for these.
const LOOKED_AT: usize = 8;

/// The lanes that a node holds.
pub(super) fn lanes(role: Role) -> &'static [Lane] {
    if role == Role::Headquarters { &[Lane::Books] } else { &Lane::ALL }
}

/// What a node stands on when it starts.
pub(super) fn at_start(reader: &StoreReader, members: &Members, role: Role) -> Result<Vec<Base>, KvError> {
    let held = reader.frontier();
    reader.read(|kv| {
        let mut bases = Vec::new();
        for (seal, said) in newest_first(kv, members)?.into_iter().take(LOOKED_AT) {
            let frontier = rows::sealed_frontier(kv, &said, lanes(role), &Frontier::default())?;
            if let Some(frontier) = frontier.filter(|frontier| held.covers(frontier)) {
                bases.push(Base { seal, frontier: Arc::new(frontier) });
            }
            if bases.len() == BASES_MAX {
                break;
            }
        }
        Ok(bases)
    })
}

/// This node went over a seal: links that begin from now on may stand on it.
pub(super) fn add(newsroom: &Newsroom, seal: Hash, frontier: Frontier) {
    let mut bases = newsroom.bases();
    bases.retain(|base| base.seal != seal);
    bases.insert(0, Base { seal, frontier: Arc::new(frontier) });
    bases.truncate(BASES_MAX);
    newsroom.stands_on(bases);
}

/// A new seal as its hub writes it: over the newest that there is, if what that covers is known.
pub(super) fn over_the_newest(
    seal: Seal,
    reader: &StoreReader,
    newsroom: &Newsroom,
    members: &Members,
) -> Result<Seal, KvError> {
    let bases = newsroom.bases();
    let standing = bases.first().map(|base| Arc::clone(&base.frontier)).unwrap_or_default();
    reader.read(|kv| {
        let Some((entry, below)) = newest_first(kv, members)?.into_iter().next() else { return Ok(seal) };
        Ok(match rows::sealed_frontier(kv, &below, &Lane::ALL, &standing)? {
            Some(frontier) => seal.over(entry, &frontier),
            None => seal,
        })
    })
}

/// What hubs sealed, and by which entry.
pub(super) fn newest_first(kv: &dyn KvRead, members: &Members) -> Result<Vec<(Hash, Seal)>, KvError> {
    let mut seals = Vec::new();
    for (place, entry) in rows::seal_entries(kv)? {
        if members.roles_of(&place.journal.node).is_hub()
            && let Some(seal) = rows::seal_of(kv, &place, &entry)?
        {
            seals.push((entry, seal));
        }
    }
    seals.sort_by_key(|(entry, seal)| std::cmp::Reverse((seal.entries, *entry)));
    Ok(seals)
}
