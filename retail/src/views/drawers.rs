//! Drawers: who opened which, when and why, what came of it, and what they did unasked.
//!
//! The rows of a day's openings go when the day is settled; how many there were stays, and so does how each drawer was last.

use serde::{Deserialize, Serialize};
use toko_crdt::clock::UnixMicros;
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};
use toko_crdt::ids::{EntryRef, JournalId};
use toko_crdt::{EffectId, Lane, NodeId, Run};

use super::idem;
use super::settled::Sweep;
use super::table::{
    DAY_DRAWERS, DRAWER, DRAWER_LAST, DRAWER_OPEN, Key, Parts, Rank, mark_if, rank, read, rows_below, update,
    value, write,
};
use crate::day::Day;
use crate::ops::{DrawerAskedV1, DrawerEvent, DrawerReason, DrawerSeenV1};

/// One opening of a drawer: asked for, or unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawerOpening {
    /// Its id: the effect of the ask, or of whoever saw it open unasked.
    pub id: EffectId,
    /// Business day.
    pub day: Day,
    /// Number of the terminal whose drawer it is.
    pub terminal: u16,
    /// The drawer.
    pub drawer: String,
    /// When it was asked for, or seen, as the author's clock had it.
    pub at: UnixMicros,
    /// Who asked, and why; nothing for one that nobody asked for.
    pub asked: Option<DrawerAsk>,
    /// What came of it, and what there is to say beside it; nothing while nobody has answered.
    pub outcome: Option<(DrawerEvent, String)>,
}

/// Who asked for an opening, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawerAsk {
    /// Where the entry that asked stands.
    pub place: EntryRef,
    /// Why.
    pub reason: DrawerReason,
    /// The sale, return or void that it is for.
    pub sale: Option<EffectId>,
    /// Who: an opaque id.
    pub by: Option<String>,
    /// Milliseconds after which nobody stands there any more.
    pub ttl_ms: u32,
    /// A note.
    pub note: String,
}

/// How a drawer was when its owner last said something of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawerState {
    /// Number of the terminal whose drawer it is.
    pub terminal: u16,
    /// Who said so.
    pub owner: NodeId,
    /// When, as the owner's clock had it.
    pub at: UnixMicros,
    /// What it did then.
    pub what: DrawerEvent,
    /// Whether it was open; nothing while nobody knows what its sensor means.
    pub open: Option<bool>,
}

/// How often drawers were opened on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawerCounts {
    /// Asked for with a sale, return or void.
    pub for_sales: u64,
    /// Asked for without one.
    pub without_sale: u64,
    /// Opened unasked: by key or by force.
    pub forced: u64,
    /// Asks that came to nothing: too late, or no pulse was sent.
    pub not_opened: u64,
    /// Pulses that no sensor confirmed.
    pub not_confirmed: u64,
}

#[derive(Serialize, Deserialize)]
enum Row {
    Asked { node: [u8; 32], run: u64, seq: u64, at: i64, idem: Option<[u8; 16]>, asked: DrawerAskedV1 },
    Seen { at: i64, seen: DrawerSeenV1 },
}

#[derive(Serialize, Deserialize)]
struct LastRow {
    rank: Rank,
    terminal: u16,
    owner: [u8; 32],
    what: DrawerEvent,
    open: Option<bool>,
}

const ASKED: u8 = 0;
const SEEN: u8 = 1;

/// The openings of a day, oldest first.
pub fn drawer_openings(kv: &dyn KvRead, day: Day) -> Result<Vec<DrawerOpening>, KvError> {
    let mut found = openings_below(kv, &Key::of(DRAWER).u32(day.number()).done())?;
    found.sort_by_key(|opening| (opening.at, opening.id));
    Ok(found)
}

/// Asks that nobody has answered yet, oldest first.
pub fn drawers_asked(kv: &dyn KvRead) -> Result<Vec<DrawerOpening>, KvError> {
    let mut found = Vec::new();
    for (key, _) in rows_below(kv, &[DRAWER_OPEN])? {
        // Both tables are keyed alike.
        found.extend(openings_below(kv, &[&[DRAWER], &key[1..]].concat())?);
    }
    found.sort_by_key(|opening| (opening.at, opening.id));
    Ok(found)
}

/// How a drawer was last; nothing while its owner has said nothing of it.
pub fn drawer_state(kv: &dyn KvRead, drawer: &str) -> Result<Option<DrawerState>, KvError> {
    let row = read::<LastRow>(kv, &last_key(drawer))?;
    Ok(row.map(|row| DrawerState {
        terminal: row.terminal,
        owner: NodeId(row.owner),
        at: UnixMicros(i64::try_from(row.rank.1).unwrap_or(i64::MAX)),
        what: row.what,
        open: row.open,
    }))
}

/// How often drawers were opened on a day.
pub fn drawer_counts(kv: &dyn KvRead, day: Day) -> Result<DrawerCounts, KvError> {
    Ok(read(kv, &counts_key(day.number()))?.unwrap_or_default())
}

/// The row of an ask, which goes when its day is settled.
pub(super) fn fold_asked(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    asked: &DrawerAskedV1,
    idem: Option<[u8; 16]>,
) -> Result<(), KvError> {
    let EntryRef { journal, seq } = effect.entry.place();
    let at = effect.entry.at().wall().0;
    let row = Row::Asked { node: journal.node.0, run: journal.run.0, seq, at, idem, asked: asked.clone() };
    let id = effect.id.0;
    write(kv, &key(asked.day, asked.terminal, id).byte(ASKED).bytes(&id).done(), &row)?;
    settle(kv, asked.day, asked.terminal, id)
}

/// The row of what was seen, likewise. That it was shut, or is out of sight, stands in no list.
pub(super) fn fold_seen(kv: &mut dyn Kv, effect: &Effect<'_>, seen: &DrawerSeenV1) -> Result<(), KvError> {
    if matches!(seen.what, DrawerEvent::Closed | DrawerEvent::OutOfSight) {
        return Ok(());
    }
    let id = seen.ask.unwrap_or(effect.id.0);
    let row = Row::Seen { at: effect.entry.at().wall().0, seen: seen.clone() };
    write(kv, &key(seen.day, seen.terminal, id).byte(SEEN).bytes(&effect.id.0).done(), &row)?;
    settle(kv, seen.day, seen.terminal, id)
}

/// What outlives the rows: how often.
pub(super) fn count_asked(kv: &mut dyn Kv, asked: &DrawerAskedV1) -> Result<(), KvError> {
    update(kv, &counts_key(asked.day), |counts: &mut DrawerCounts| match asked.reason {
        DrawerReason::Sale => counts.for_sales += 1,
        _ => counts.without_sale += 1,
    })
}

/// What outlives the rows: how often, and how the drawer was last.
pub(super) fn count_seen(kv: &mut dyn Kv, effect: &Effect<'_>, seen: &DrawerSeenV1) -> Result<(), KvError> {
    update(kv, &counts_key(seen.day), |counts: &mut DrawerCounts| match seen.what {
        DrawerEvent::Forced => counts.forced += 1,
        DrawerEvent::NotSent | DrawerEvent::Expired => counts.not_opened += 1,
        DrawerEvent::NotConfirmed => counts.not_confirmed += 1,
        DrawerEvent::Opened | DrawerEvent::Closed | DrawerEvent::OutOfSight => {}
    })?;
    let (at, rank) = (last_key(&seen.drawer), rank(effect, 0));
    if read::<LastRow>(kv, &at)?.is_some_and(|last| last.rank >= rank) {
        return Ok(());
    }
    let DrawerSeenV1 { terminal, what, open, .. } = *seen;
    write(kv, &at, &LastRow { rank, terminal, owner: effect.author().0, what, open })
}

/// Takes the rows away of what stands before `end`, without its table.
pub(super) fn settle_below(sweep: &mut Sweep<'_>, end: &[u8]) -> Result<(), KvError> {
    let end_of = |table: u8| [&[table], end].concat();
    let (mut used, mut fault) = (Vec::new(), Ok(()));
    let drawers_end = end_of(DRAWER);
    sweep.kv.scan(&[DRAWER], &mut |key, row| {
        let goes = key < drawers_end.as_slice();
        match value(row) {
            Ok(Row::Asked { node, idem: Some(idem), .. }) if goes => {
                used.extend(key.last_chunk::<32>().map(|id| (NodeId(node), idem, EffectId(*id))));
            }
            Ok(_) => {}
            Err(error) => fault = Err(error),
        }
        goes && fault.is_ok()
    })?;
    fault?;
    for (author, idem, id) in used {
        sweep.take(&idem::key_in_books(author, idem, id))?;
    }
    sweep.take_below(DRAWER, &drawers_end)?;
    sweep.take_below(DRAWER_OPEN, &end_of(DRAWER_OPEN))
}

/// The open mark is there exactly while an ask is known and no answer is, whichever came first.
fn settle(kv: &mut dyn Kv, day: u32, terminal: u16, id: [u8; 32]) -> Result<(), KvError> {
    let (mut asked, mut answered) = (false, false);
    for (_, row) in rows_below(kv, &key(day, terminal, id).done())? {
        match value(&row)? {
            Row::Asked { .. } => asked = true,
            Row::Seen { .. } => answered = true,
        }
    }
    let mark = Key::of(DRAWER_OPEN).u32(day).u16(terminal).bytes(&id).done();
    mark_if(kv, &mark, asked && !answered)
}

/// Rows joined by the opening that they are about.
fn openings_below(kv: &dyn KvRead, prefix: &[u8]) -> Result<Vec<DrawerOpening>, KvError> {
    let mut found: Vec<DrawerOpening> = Vec::new();
    for (key, row) in rows_below(kv, prefix)? {
        let mut parts = Parts::of(&key);
        let (day, terminal) = (Day::stored(parts.u32()?).map_err(KvError::corrupt)?, parts.u16()?);
        let id = EffectId(parts.take()?);
        let is_known = found.last().is_some_and(|last| (last.id, last.terminal) == (id, terminal));
        match value(&row)? {
            Row::Asked { node, run, seq, at, asked, .. } => {
                let journal = JournalId { node: NodeId(node), run: Run(run), lane: Lane::Books };
                let ask = DrawerAsk {
                    place: EntryRef { journal, seq },
                    reason: asked.reason,
                    sale: asked.sale.map(EffectId),
                    by: asked.by,
                    ttl_ms: asked.ttl_ms,
                    note: asked.note,
                };
                let at = UnixMicros(at);
                let (drawer, asked) = (asked.drawer, Some(ask));
                found.push(DrawerOpening { id, day, terminal, drawer, at, asked, outcome: None });
            }
            Row::Seen { at, seen } => {
                let outcome = Some((seen.what, seen.detail));
                match found.last_mut().filter(|_| is_known) {
                    // Two owners may have answered; that it opened counts for most.
                    Some(last) if last.outcome.as_ref().is_none_or(|(what, _)| seen.what < *what) => {
                        last.outcome = outcome;
                    }
                    Some(_) => {}
                    None => {
                        let (at, drawer, asked) = (UnixMicros(at), seen.drawer, None);
                        found.push(DrawerOpening { id, day, terminal, drawer, at, asked, outcome });
                    }
                }
            }
        }
    }
    Ok(found)
}

fn key(day: u32, terminal: u16, id: [u8; 32]) -> Key {
    Key::of(DRAWER).u32(day).u16(terminal).bytes(&id)
}

fn counts_key(day: u32) -> Vec<u8> {
    Key::of(DAY_DRAWERS).u32(day).done()
}

fn last_key(drawer: &str) -> Vec<u8> {
    Key::of(DRAWER_LAST).bytes(drawer.as_bytes()).done()
}
