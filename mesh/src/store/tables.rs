//! The rows that the store keeps beside the views, and the records of its log. First key bytes `0xf0` to `0xff`; outside
//! every digest.
//!
//! | key | value |
//! | --- | --- |
//! | `f0` place | log position u64, hash |
//! | `f1` journal | head: number u64, hash |
//! | `f2` lane | the run that this directory started last |
//! | `f3` | version 1, store, fold version u32, log position u64: what these views are made from |
//! | `f4` statement hash | member statement that came outside any journal |
//! | `f5` entry hash | nothing: the entry was carried out of its closed journal |
//! | `f6` to `f9` | see [`super::sealed`] |
//!
//! Numbers are big-endian. All of it is made from the log, so none of it is kept for ever: a new shape is a new version in
//! `f3`, and views of another version are made anew.

use toko_crdt::{
    EffectId, Entry, Hash, JournalId, Kv, KvError, KvRead, Lane, NodeId, Run, StoreId,
    book::rows,
    clock::UnixMicros,
    digest::{Digest, Digests},
    frontier::Head,
    ids::EntryRef,
    member::{Members, Statement},
};

use super::{Checked, Verdict};
use crate::log::Position;

/// Kind of a log record: an entry that this node wrote.
pub(super) const RECORD_OWN: u8 = 1;
/// Kind of a log record: an entry that came from a peer.
pub(super) const RECORD_RECEIVED: u8 = 2;
/// Kind of a log record: a member statement that came outside any journal.
pub(super) const RECORD_STATEMENT: u8 = 3;

const PLACE: u8 = 0xf0;
const HEAD: u8 = 0xf1;
const LAST_RUN: u8 = 0xf2;
const MADE_FROM: &[u8] = &[0xf3];
const STATEMENT: u8 = 0xf4;
const CARRIED: u8 = 0xf5;
const HEAD_ENTRY: u8 = 0xf6;
const PARKED_ENTRY: u8 = 0xf7;
const VERDICT: u8 = 0xf8;
const ADOPTED: &[u8] = &[0xf9];
const VERSION: u8 = 1;

/// What views are made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MadeFrom {
    pub(super) store: StoreId,
    pub(super) fold_version: u32,
    pub(super) position: Position,
}

fn key(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}

fn corrupt() -> KvError {
    KvError::corrupt("a row of the store's own tables")
}

fn number_and_hash(value: &[u8]) -> Result<(u64, Hash), KvError> {
    let (number, hash) = value.split_first_chunk::<8>().ok_or_else(corrupt)?;
    Ok((u64::from_be_bytes(*number), Hash(hash.try_into().map_err(|_| corrupt())?)))
}

pub(super) fn put_place(kv: &mut dyn Kv, place: EntryRef, at: Position, hash: Hash) -> Result<(), KvError> {
    kv.put(&place_key(place), &place_row(at, hash))
}

/// Where in the log an entry stands, and its hash.
pub(super) fn place(kv: &dyn KvRead, place: EntryRef) -> Result<Option<(Position, Hash)>, KvError> {
    let Some(value) = kv.get(&key(PLACE, &place.to_bytes()))? else { return Ok(None) };
    let (at, hash) = number_and_hash(&value)?;
    Ok(Some((Position::from_u64(at), hash)))
}

/// Log positions and hashes of a journal's entries from number `from` on, until `visit` says `false`.
pub(super) fn places_from(
    kv: &dyn KvRead,
    from: EntryRef,
    visit: &mut dyn FnMut(u64, Position, Hash) -> bool,
) -> Result<(), KvError> {
    let prefix = key(PLACE, &from.journal.to_bytes());
    let mut fault = Ok(());
    kv.scan_from(&prefix, &key(PLACE, &from.to_bytes()), &mut |key, value| {
        let seq = EntryRef::from_bytes(&key[1..]).map(|place| place.seq);
        match (seq, number_and_hash(value)) {
            (Some(seq), Ok((at, hash))) => visit(seq, Position::from_u64(at), hash),
            _ => {
                fault = Err(corrupt());
                false
            }
        }
    })?;
    fault
}

pub(super) fn put_head(kv: &mut dyn Kv, journal: &JournalId, head: Option<Head>) -> Result<(), KvError> {
    let row = key(HEAD, &journal.to_bytes());
    match head {
        Some(head) => kv.put(&row, &[head.seq.to_be_bytes().as_slice(), &head.hash.0].concat()),
        None => kv.delete(&row),
    }
}

pub(super) fn heads(kv: &dyn KvRead) -> Result<Vec<(JournalId, Head)>, KvError> {
    let mut out = Vec::new();
    kv.scan(&[HEAD], &mut |key, value| {
        let head = number_and_hash(value).map(|(seq, hash)| Head { seq, hash });
        out.push(
            JournalId::from_bytes(&key[1..]).ok_or_else(corrupt).and_then(|journal| Ok((journal, head?))),
        );
        true
    })?;
    out.into_iter().collect()
}

pub(super) fn put_last_run(kv: &mut dyn Kv, lane: Lane, run: Run) -> Result<(), KvError> {
    kv.put(&key(LAST_RUN, &[lane as u8]), &run.0.to_be_bytes())
}

pub(super) fn last_run(kv: &dyn KvRead, lane: Lane) -> Result<Option<Run>, KvError> {
    let Some(value) = kv.get(&key(LAST_RUN, &[lane as u8]))? else { return Ok(None) };
    Ok(Some(Run(u64::from_be_bytes(value.try_into().map_err(|_| corrupt())?))))
}

pub(super) fn put_made_from(kv: &mut dyn Kv, made: MadeFrom) -> Result<(), KvError> {
    let mut value = vec![VERSION];
    value.extend_from_slice(&made.store.0);
    value.extend_from_slice(&made.fold_version.to_be_bytes());
    value.extend_from_slice(&made.position.to_u64().to_be_bytes());
    kv.put(MADE_FROM, &value)
}

/// What the views are made from; `None` where that is nothing that this build can go on from.
pub(super) fn made_from(kv: &dyn KvRead) -> Result<Option<MadeFrom>, KvError> {
    let Some(value) = kv.get(MADE_FROM)? else { return Ok(None) };
    let read = || {
        let (store, rest) = value.strip_prefix(&[VERSION])?.split_first_chunk::<32>()?;
        let (fold_version, position) = rest.split_first_chunk::<4>()?;
        Some(MadeFrom {
            store: StoreId(*store),
            fold_version: u32::from_be_bytes(*fold_version),
            position: Position::from_u64(u64::from_be_bytes(position.try_into().ok()?)),
        })
    };
    Ok(read())
}

pub(super) fn put_statement(kv: &mut dyn Kv, statement: &Statement) -> Result<(), KvError> {
    kv.put(&key(STATEMENT, &statement.hash().0), &statement.encode())
}

/// Adds every statement that is kept, from journals and from outside them, to `members`.
pub(super) fn add_members(kv: &dyn KvRead, members: &mut Members) -> Result<(), KvError> {
    let mut statements = toko_crdt::book::rows::statements(kv)?;
    let mut fault = Ok(());
    kv.scan(&[STATEMENT], &mut |_, value| {
        match Statement::decode(value) {
            Ok(statement) => statements.push(statement),
            Err(_) => fault = Err(corrupt()),
        }
        fault.is_ok()
    })?;
    fault?;
    // Statements by the root key come first; those of a hub stand on them.
    let (by_root, by_hubs): (Vec<_>, Vec<_>) =
        statements.into_iter().partition(|s| s.issuer() == members.root());
    for statement in by_root.into_iter().chain(by_hubs) {
        if let Err(error) = members.add(statement) {
            tracing::warn!(err = %error, "a kept member statement does not hold");
        }
    }
    Ok(())
}

pub(super) fn put_carried(kv: &mut dyn Kv, entry: Hash) -> Result<(), KvError> {
    kv.put(&key(CARRIED, &entry.0), &[])
}

/// Whether an entry of a closed journal travels in another one.
pub(super) fn is_carried(kv: &dyn KvRead, entry: Hash) -> Result<bool, KvError> {
    Ok(kv.get(&key(CARRIED, &entry.0))?.is_some())
}

/// Keeps the last entry of a journal, signed, without its body.
pub(super) fn put_head_entry(kv: &mut dyn Kv, entry: &Entry) -> Result<(), KvError> {
    kv.put(&key(HEAD_ENTRY, &entry.journal().to_bytes()), &entry.encode())
}

/// When a node wrote the last of its entries in a lane, by its own clock; `None` where there is none.
pub(super) fn heard_at(
    kv: &dyn KvRead,
    store: &StoreId,
    node: &NodeId,
    lane: Lane,
) -> Result<Option<UnixMicros>, KvError> {
    let mut heads = Vec::new();
    kv.scan(&key(HEAD_ENTRY, &node.0), &mut |_, value| {
        heads.push(Entry::decode(store, value).map_err(KvError::corrupt));
        true
    })?;
    let heads = heads.into_iter().collect::<Result<Vec<_>, _>>()?;
    let of_lane = heads.iter().filter(|entry| entry.journal().lane == lane);
    Ok(of_lane.map(|entry| entry.at().wall()).max())
}

/// Keeps the entry of a parked effect where no position in the log leads to it.
pub(super) fn put_parked_entry(kv: &mut dyn Kv, effect: EffectId, entry: &Entry) -> Result<(), KvError> {
    kv.put(&key(PARKED_ENTRY, &effect.0), &entry.encode())
}

/// The entry of a parked effect, encoded, if it is kept beside the log.
pub(super) fn parked_entry(kv: &dyn KvRead, effect: EffectId) -> Result<Option<Vec<u8>>, KvError> {
    kv.get(&key(PARKED_ENTRY, &effect.0))
}

/// Copies the rows that are neither views nor made from what is sealed: the last run, statements, what was carried.
pub(super) fn copy_own(from: &dyn KvRead, to: &mut dyn Kv) -> Result<(), KvError> {
    for first in [LAST_RUN, STATEMENT, CARRIED] {
        let mut rows = Vec::new();
        from.scan(&[first], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            true
        })?;
        for (key, value) in rows {
            if to.get(&key)?.as_ref() != Some(&value) {
                to.put(&key, &value)?;
            }
        }
    }
    Ok(())
}

pub(super) fn verdict_key(seal: Hash) -> Vec<u8> {
    key(VERDICT, &seal.0)
}

pub(super) fn verdict_row(checked: &Checked) -> Vec<u8> {
    let verdict = match checked.verdict {
        Verdict::Equal => 1,
        Verdict::Differs => 2,
        Verdict::OtherBuild => 3,
    };
    [&[VERSION, verdict], checked.digests.books.0.as_slice(), &checked.digests.floor.0].concat()
}

/// All seals that were gone over. A row of another version is as good as none: the seal is gone over again.
pub(super) fn verdicts(kv: &dyn KvRead) -> Result<Vec<Checked>, KvError> {
    let mut out = Vec::new();
    kv.scan(&[VERDICT], &mut |key, value| {
        let read = || {
            let (verdict, digests) = value.strip_prefix(&[VERSION])?.split_first()?;
            let (books, floor) = digests.split_first_chunk::<32>()?;
            let verdict = match verdict {
                1 => Verdict::Equal,
                2 => Verdict::Differs,
                3 => Verdict::OtherBuild,
                _ => return None,
            };
            let digests = Digests { books: Digest(*books), floor: Digest(floor.try_into().ok()?) };
            Some(Checked { seal: Hash(key[1..].try_into().ok()?), verdict, digests })
        };
        out.extend(read());
        true
    })?;
    Ok(out)
}

/// Notes that these views came from a peer: the log below them was never here.
pub(super) fn put_adopted(kv: &mut dyn Kv) -> Result<(), KvError> {
    kv.put(ADOPTED, &[])
}

pub(super) fn is_adopted(kv: &dyn KvRead) -> Result<bool, KvError> {
    Ok(kv.get(ADOPTED)?.is_some())
}

/// Whether a row of sealed views belongs into views that are made from them.
pub(super) fn goes_live(key: &[u8]) -> bool {
    !matches!(key.first(), Some(&(0xf3 | HEAD_ENTRY | VERDICT | 0xf9)))
}

/// Whether a row of sealed views goes into a snapshot: the rest is this node's own, or follows from the seal.
pub(super) fn goes_out(key: &[u8]) -> bool {
    matches!(
        key.first(),
        Some(&(0x01..=0x7f | rows::PLACE | rows::PARKED | CARRIED | HEAD_ENTRY | PARKED_ENTRY))
    )
}

/// The journal whose head entry a row is, or the effect whose entry; with the encoded entry.
pub(super) enum KeptEntry<'a> {
    Head(&'a [u8]),
    Parked(&'a [u8]),
    None,
}

pub(super) fn kept_entry<'a>(key: &[u8], value: &'a [u8]) -> KeptEntry<'a> {
    match key.first() {
        Some(&HEAD_ENTRY) => KeptEntry::Head(value),
        Some(&PARKED_ENTRY) => KeptEntry::Parked(value),
        _ => KeptEntry::None,
    }
}

/// Removes the row that says where in the log an entry stands.
pub(super) fn place_key(place: EntryRef) -> Vec<u8> {
    key(PLACE, &place.to_bytes())
}

pub(super) fn place_row(at: Position, hash: Hash) -> Vec<u8> {
    [at.to_u64().to_be_bytes().as_slice(), &hash.0].concat()
}

pub(super) fn parked_entry_key(effect: EffectId) -> Vec<u8> {
    key(PARKED_ENTRY, &effect.0)
}
