//! The rows that the book itself keeps, written and read in one place.

use super::{Code, settled};
use crate::Entry;
use crate::body::{Admission, CartChange, Continued, Idem};
use crate::clock::UnixMicros;
use crate::fold::{Kv, KvError, KvRead};
use crate::frontier::{Frontier, Head};
use crate::hash::Hash;
use crate::ids::{CartId, EffectId, EntryRef, JournalId, Lane, NodeId, Run};
use crate::journal::ForkProof;
use crate::member::Statement;
use crate::seal::Seal;
use crate::settling::Settling;
use std::collections::BTreeMap;

const CONTINUES_BOOKS: u8 = 0x01;
const MEMBER: u8 = 0x02;
const FORK_BOOKS: u8 = 0x03;
const WATERMARK: u8 = 0x04;
const SEAL: u8 = 0x05;
const ADMITTED_BOOKS: u8 = 0x06;
const CART_CHANGE: u8 = 0x40;
const CART_IDEM: u8 = 0x41;
const CART_IDEM_OF: u8 = 0x46;
const CONTINUES_FLOOR: u8 = 0x42;
const FORK_FLOOR: u8 = 0x43;
const ADMITTED_FLOOR: u8 = 0x44;
/// First key byte of the local rows that say where an effect stands.
pub const PLACE: u8 = 0x80;
/// First key byte of the local rows of what is parked.
pub const PARKED: u8 = 0x82;

/// A parked effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parked {
    /// Which effect.
    pub effect: EffectId,
    /// Where the entry that brought it stands.
    pub place: EntryRef,
    /// Why.
    pub code: Code,
}

/// A closed journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed {
    /// The journal.
    pub journal: JournalId,
    /// The last number that both branches share.
    pub at: u64,
    /// The two heads that prove it.
    pub branches: [Hash; 2],
}

fn key(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![first];
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

fn corrupt(what: &str) -> KvError {
    KvError::corrupt(format!("a row of {what}"))
}

/// A key and its value.
type Row = (Vec<u8>, Vec<u8>);

/// Rows below a prefix, all of them.
fn rows_below(kv: &dyn KvRead, prefix: &[u8]) -> Result<Vec<Row>, KvError> {
    let mut out = Vec::new();
    kv.scan(prefix, &mut |key, value| {
        out.push((key.to_vec(), value.to_vec()));
        true
    })?;
    Ok(out)
}

/// Of several values for one key the lowest stands, in every order.
fn put_lowest(kv: &mut dyn Kv, key: &[u8], value: &[u8]) -> Result<(), KvError> {
    match kv.get(key)? {
        Some(known) if known.as_slice() <= value || crate::mutant!("first-come-stands") => Ok(()),
        _ => kv.put(key, value),
    }
}

pub(super) fn place(kv: &mut dyn Kv, effect: EffectId, place: EntryRef) -> Result<(), KvError> {
    kv.put(&key(PLACE, &[&effect.0]), &place.to_bytes())
}

/// Where the entry that brought an effect (or an entry with this hash) stands.
pub fn place_of(kv: &dyn KvRead, effect: EffectId) -> Result<Option<EntryRef>, KvError> {
    let Some(value) = kv.get(&key(PLACE, &[&effect.0]))? else { return Ok(None) };
    EntryRef::from_bytes(&value).map(Some).ok_or_else(|| corrupt("places"))
}

pub(super) fn park(kv: &mut dyn Kv, effect: EffectId, place: EntryRef, code: Code) -> Result<(), KvError> {
    let value = [&[code as u8], place.to_bytes().as_slice()].concat();
    kv.put(&key(PARKED, &[&effect.0]), &value)
}

/// Notes where an effect came from first, or a carrier stands that did its work; neither is parked any more.
pub(super) fn arrived(kv: &mut dyn Kv, effect: EffectId, at: EntryRef) -> Result<(), KvError> {
    let parked = key(PARKED, &[&effect.0]);
    if kv.get(&parked)?.is_some() {
        kv.delete(&parked)?;
    }
    place(kv, effect, at)
}

pub(super) fn unpark(kv: &mut dyn Kv, effect: EffectId) -> Result<(), KvError> {
    let row = key(PARKED, &[&effect.0]);
    if kv.get(&row)?.is_some() {
        kv.delete(&row)?;
        kv.delete(&key(PLACE, &[&effect.0]))?;
    }
    Ok(())
}

/// Whether and why an effect is parked.
pub fn parked(kv: &dyn KvRead, effect: EffectId) -> Result<Option<Parked>, KvError> {
    let Some(value) = kv.get(&key(PARKED, &[&effect.0]))? else { return Ok(None) };
    read_parked(effect, &value).map(Some)
}

/// Everything that is parked.
pub fn parked_all(kv: &dyn KvRead) -> Result<Vec<Parked>, KvError> {
    let rows = rows_below(kv, &[PARKED])?;
    rows.iter()
        .map(|(key, value)| {
            let effect = key[1..].try_into().map_err(|_| corrupt("parked effects"))?;
            read_parked(EffectId(effect), value)
        })
        .collect()
}

fn read_parked(effect: EffectId, value: &[u8]) -> Result<Parked, KvError> {
    let read = || {
        let (code, place) = value.split_first()?;
        Some(Parked { effect, place: EntryRef::from_bytes(place)?, code: Code::from_byte(*code)? })
    };
    read().ok_or_else(|| corrupt("parked effects"))
}

pub(super) fn continues(kv: &mut dyn Kv, entry: &Entry, before: Option<&Continued>) -> Result<(), KvError> {
    let JournalId { node, run, lane } = *entry.journal();
    let mut value = Vec::new();
    if let Some(before) = before {
        value.extend_from_slice(&before.run.0.to_be_bytes());
        value.extend_from_slice(&before.head.seq.to_be_bytes());
        value.extend_from_slice(&before.head.hash.0);
    }
    // A run that was copied before its first entry has several: each stands.
    kv.put(&key(continues_table(lane), &[&node.0, &run.0.to_be_bytes(), &entry.hash().0]), &value)
}

/// Each run of a node in a lane, with what it continued. Two that continue one head were made from one state: a clone if both
/// lived side by side, a restore if one had ended. One that continues below what others hold of the run before is a restore.
pub fn continuations(
    kv: &dyn KvRead,
    node: &NodeId,
    lane: Lane,
) -> Result<Vec<(Run, Option<Continued>)>, KvError> {
    let rows = rows_below(kv, &key(continues_table(lane), &[&node.0]))?;
    let read = |(key, value): &Row| {
        let run = Run(u64::from_be_bytes(key.get(33..41)?.try_into().ok()?));
        let before = match value.as_slice() {
            [] => None,
            rest => {
                let (previous, rest) = rest.split_first_chunk::<8>()?;
                let (seq, hash) = rest.split_first_chunk::<8>()?;
                let head = Head { seq: u64::from_be_bytes(*seq), hash: Hash(hash.try_into().ok()?) };
                Some(Continued { run: Run(u64::from_be_bytes(*previous)), head })
            }
        };
        Some((run, before))
    };
    rows.iter().map(|row| read(row).ok_or_else(|| corrupt("continuations"))).collect()
}

fn continues_table(lane: Lane) -> u8 {
    match lane {
        Lane::Books => CONTINUES_BOOKS,
        Lane::Floor => CONTINUES_FLOOR,
    }
}

pub(super) fn statement(kv: &mut dyn Kv, statement: &Statement) -> Result<(), KvError> {
    // One statement may be signed twice with other bytes: the lower ones stand.
    put_lowest(kv, &key(MEMBER, &[&statement.hash().0]), &statement.encode())
}

/// All member statements that entries brought, in the order of their hashes.
pub fn statements(kv: &dyn KvRead) -> Result<Vec<Statement>, KvError> {
    let rows = rows_below(kv, &[MEMBER])?;
    rows.iter().map(|(_, value)| Statement::decode(value).map_err(|_| corrupt("members"))).collect()
}

pub(super) fn fork(kv: &mut dyn Kv, proof: &ForkProof) -> Result<(), KvError> {
    let journal = *proof.one.journal();
    let row = key(fork_table(journal.lane), &[&journal.to_bytes()]);
    let value =
        [proof.closed_at().to_be_bytes().as_slice(), &proof.one.hash().0, &proof.other.hash().0].concat();
    // Several proofs of one journal: the lowest closes it; of equal ones the lowest bytes stand.
    put_lowest(kv, &row, &value)
}

/// Whether and where a journal is closed by a fork proof.
pub fn closed(kv: &dyn KvRead, journal: &JournalId) -> Result<Option<Closed>, KvError> {
    let Some(value) = kv.get(&key(fork_table(journal.lane), &[&journal.to_bytes()]))? else {
        return Ok(None);
    };
    let read = || {
        let (at, rest) = value.split_first_chunk::<8>()?;
        let (one, other) = rest.split_first_chunk::<32>()?;
        let branches = [Hash(*one), Hash(other.try_into().ok()?)];
        Some(Closed { journal: *journal, at: u64::from_be_bytes(*at), branches })
    };
    read().map(Some).ok_or_else(|| corrupt("fork proofs"))
}

/// All closed journals.
pub fn closed_all(kv: &dyn KvRead) -> Result<Vec<Closed>, KvError> {
    let mut out = Vec::new();
    for table in [FORK_BOOKS, FORK_FLOOR] {
        for (key, _) in rows_below(kv, &[table])? {
            let journal = JournalId::from_bytes(&key[1..]).ok_or_else(|| corrupt("fork proofs"))?;
            out.extend(closed(kv, &journal)?);
        }
    }
    Ok(out)
}

fn fork_table(lane: Lane) -> u8 {
    match lane {
        Lane::Books => FORK_BOOKS,
        Lane::Floor => FORK_FLOOR,
    }
}

/// One row per journal, which only rises: what HQ holds is said again and again, and only what is new costs anything.
pub(super) fn watermark(kv: &mut dyn Kv, entry: &Entry, frontier: &Frontier) -> Result<(), KvError> {
    for (journal, head) in frontier.lines() {
        let row = key(WATERMARK, &[&entry.author().0, &journal.to_bytes()]);
        let value = [head.seq.to_be_bytes().as_slice(), &head.hash.0].concat();
        match kv.get(&row)? {
            Some(known) if known >= value && !crate::mutant!("watermark-sinks") => {}
            _ => kv.put(&row, &value)?,
        }
    }
    Ok(())
}

/// What headquarters said it holds durably: every watermark, joined line by line at the higher number.
pub fn watermark_union(kv: &dyn KvRead) -> Result<Frontier, KvError> {
    let mut union = Frontier::default();
    for (key, value) in rows_below(kv, &[WATERMARK])? {
        let read = || {
            let journal = JournalId::from_bytes(key.get(33..)?)?;
            let (seq, hash) = value.split_first_chunk::<8>()?;
            Some((journal, Head { seq: u64::from_be_bytes(*seq), hash: Hash(hash.try_into().ok()?) }))
        };
        let (journal, head) = read().ok_or_else(|| corrupt("watermarks"))?;
        union.join(&Frontier::from_iter([(journal, head)]));
    }
    Ok(union)
}

/// The entry's hash is in the key: of a forked hub every seal stands.
pub(super) fn seal(kv: &mut dyn Kv, entry: &Entry, seal: &Seal) -> Result<(), KvError> {
    let mut value = vec![seal.version()];
    seal.append_to(&mut value);
    kv.put(&key(SEAL, &[&entry.place().to_bytes(), &entry.hash().0]), &value)
}

/// Which entries say checkpoints, in the order of their places: cheaper than [`seals`], which reads what they say.
pub fn seal_entries(kv: &dyn KvRead) -> Result<Vec<(EntryRef, Hash)>, KvError> {
    let mut out = Vec::new();
    kv.scan(&[SEAL], &mut |key, _| {
        let read = || {
            let (place, hash) = key.get(1..)?.split_at_checked(EntryRef::BYTES)?;
            Some((EntryRef::from_bytes(place)?, Hash(hash.try_into().ok()?)))
        };
        out.push(read().ok_or_else(|| corrupt("seals")));
        true
    })?;
    out.into_iter().collect()
}

/// The checkpoint that one entry says.
pub fn seal_of(kv: &dyn KvRead, place: &EntryRef, entry: &Hash) -> Result<Option<Seal>, KvError> {
    let Some(value) = kv.get(&key(SEAL, &[&place.to_bytes(), &entry.0]))? else { return Ok(None) };
    read_seal(&value).map(Some).ok_or_else(|| corrupt("seals"))
}

/// The whole frontier of a checkpoint, of all lanes or of the books, made from the rows of those below it. *Shape*: `standing`
/// saves the way down where it is a frontier of one of these; `None` where one is not known here.
pub fn sealed_frontier(
    kv: &dyn KvRead,
    seal: &Seal,
    lanes: &[Lane],
    standing: &Frontier,
) -> Result<Option<Frontier>, KvError> {
    let places: BTreeMap<Hash, EntryRef> =
        seal_entries(kv)?.into_iter().map(|(place, entry)| (entry, place)).collect();
    seal.frontier(lanes, standing, |entry| match places.get(entry) {
        Some(place) => seal_of(kv, place, entry),
        None => Ok(None),
    })
}

/// All checkpoints with the entries that say them, in the order of their places.
pub fn seals(kv: &dyn KvRead) -> Result<Vec<(EntryRef, Seal)>, KvError> {
    let read = |key: &[u8], value: &[u8]| {
        Some((EntryRef::from_bytes(key.get(1..=EntryRef::BYTES)?)?, read_seal(value)?))
    };
    let rows = rows_below(kv, &[SEAL])?;
    rows.iter().map(|(key, value)| read(key, value).ok_or_else(|| corrupt("seals"))).collect()
}

pub(super) fn admitted(kv: &mut dyn Kv, entry: &Entry, admission: &Admission) -> Result<(), KvError> {
    let row = key(admitted_table(entry.journal().lane), &[&admission.effect.0, &entry.hash().0]);
    kv.put(&row, admission.why.as_bytes())
}

/// The entries by which hubs let an effect of that lane in although it is out of scope, and why. *Shape*: by hash; mostly none.
pub fn admissions(kv: &dyn KvRead, lane: Lane, effect: EffectId) -> Result<Vec<(Hash, String)>, KvError> {
    let rows = rows_below(kv, &key(admitted_table(lane), &[&effect.0]))?;
    let read = |(key, why): &Row| {
        let why = String::from_utf8(why.clone()).ok()?;
        Some((Hash(key.get(33..)?.try_into().ok()?), why))
    };
    rows.iter().map(|row| read(row).ok_or_else(|| corrupt("admissions"))).collect()
}

fn admitted_table(lane: Lane) -> u8 {
    match lane {
        Lane::Books => ADMITTED_BOOKS,
        Lane::Floor => ADMITTED_FLOOR,
    }
}

fn read_seal(value: &[u8]) -> Option<Seal> {
    let (version, rest) = value.split_first()?;
    Seal::read(*version, rest).ok().flatten()
}

pub(super) fn cart_change(kv: &mut dyn Kv, change: &CartChange, hash: &Hash) -> Result<(), KvError> {
    kv.put(&key(CART_CHANGE, &[&change.cart.0, &hash.0]), &change.change)
}

/// The raw changes of a cart, by hash.
pub fn cart_changes(kv: &dyn KvRead, cart: &CartId) -> Result<Vec<Vec<u8>>, KvError> {
    Ok(rows_below(kv, &key(CART_CHANGE, &[&cart.0]))?.into_iter().map(|(_, value)| value).collect())
}

/// Carts made before a time of which changes are here.
pub(super) fn carts_changed(kv: &dyn KvRead, before: UnixMicros) -> Result<Vec<CartId>, KvError> {
    settled::carts_before(kv, CART_CHANGE, before)
}

pub(super) fn cart_idem(kv: &mut dyn Kv, entry: &Entry, cart: &CartId, idem: &Idem) -> Result<(), KvError> {
    let used = [entry.author().0.as_slice(), &idem.key];
    let value = [idem.request.as_slice(), &entry.hash().0].concat();
    kv.put(&key(CART_IDEM_OF, &[&cart.0, used[0], used[1]]), &[])?;
    // One key used twice by a clone: the lower bytes stand, in every order.
    put_lowest(kv, &key(CART_IDEM, &[used[0], used[1], &cart.0]), &value)
}

/// Takes away what is kept of the changes of carts.
pub(super) fn settle(kv: &mut dyn Kv, settling: &Settling) -> Result<(), KvError> {
    for row in settled::rows_settled(kv, CART_CHANGE, settling)? {
        kv.delete(&row)?;
    }
    for row in settled::rows_settled(kv, CART_IDEM_OF, settling)? {
        let (cart, used) = row[1..].split_first_chunk::<16>().ok_or_else(|| corrupt("idempotency keys"))?;
        kv.delete(&key(CART_IDEM, &[used, cart]))?;
        kv.delete(&row)?;
    }
    Ok(())
}

/// What a node used an idempotency key for, on the floor: the request's hash and the entry.
pub fn cart_idem_used(
    kv: &dyn KvRead,
    node: &NodeId,
    idem_key: &[u8; 16],
) -> Result<Option<([u8; 16], EffectId)>, KvError> {
    let rows = rows_below(kv, &key(CART_IDEM, &[&node.0, idem_key]))?;
    let Some(value) = rows.into_iter().map(|(_, value)| value).min() else { return Ok(None) };
    let read = || {
        let (request, effect) = value.split_first_chunk::<16>()?;
        Some((*request, EffectId(effect.try_into().ok()?)))
    };
    read().map(Some).ok_or_else(|| corrupt("idempotency keys"))
}
