//! What people said about a day: that it opened, that it closed, and with what.
//!
//! A closing is a claim for ever; whether the day still comes to it is found when it is read.

use serde::{Deserialize, Serialize};
use toko_crdt::clock::UnixMicros;
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};
use toko_crdt::{EffectId, NodeId};

use super::days::{DayTotals, day_totals};
use super::table::{DAY_EVENT, Key, Parts, rows_below, value, write};
use crate::day::Day;
use crate::ops::{DayClosedV1, DayOpenedV1};

/// What people said about a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayState {
    /// Its openings, as their authors' clocks had it.
    pub opened: Vec<(EffectId, UnixMicros)>,
    /// Its closings.
    pub closings: Vec<DayClosing>,
}

/// One claim of a day's closing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayClosing {
    /// The closing.
    pub effect: EffectId,
    /// Its author.
    pub author: NodeId,
    /// When, as its author's clock had it.
    pub at: UnixMicros,
    /// What it claimed.
    pub claim: DayClosedV1,
    /// Whether the day still comes to that; false after a late sale.
    pub holds: bool,
}

#[derive(Serialize, Deserialize)]
struct EventRow {
    author: [u8; 32],
    at: i64,
    closed: Option<DayClosedV1>,
}

/// Who opened and closed a day, and whether each closing still holds.
pub fn day_state(kv: &dyn KvRead, day: Day) -> Result<DayState, KvError> {
    let totals = day_totals(kv, day)?;
    let mut state = DayState::default();
    for (key, row) in rows_below(kv, &Key::of(DAY_EVENT).u32(day.number()).done())? {
        let mut parts = Parts::of(&key);
        parts.u32()?;
        let effect = EffectId(parts.take()?);
        let EventRow { author, at, closed } = value(&row)?;
        let at = UnixMicros(at);
        match closed {
            None => state.opened.push((effect, at)),
            Some(claim) => {
                let holds = claim_holds(&claim, &totals);
                state.closings.push(DayClosing { effect, author: NodeId(author), at, claim, holds });
            }
        }
    }
    state.opened.sort_by_key(|(effect, at)| (*at, *effect));
    state.closings.sort_by_key(|closing| (closing.at, closing.effect));
    Ok(state)
}

pub(super) fn fold_opened(kv: &mut dyn Kv, effect: &Effect<'_>, opened: &DayOpenedV1) -> Result<(), KvError> {
    fold_event(kv, effect, opened.day, None)
}

pub(super) fn fold_closed(kv: &mut dyn Kv, effect: &Effect<'_>, closed: &DayClosedV1) -> Result<(), KvError> {
    fold_event(kv, effect, closed.day, Some(closed.clone()))
}

fn fold_event(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    day: u32,
    closed: Option<DayClosedV1>,
) -> Result<(), KvError> {
    let row = EventRow { author: effect.author().0, at: effect.entry.at().wall().0, closed };
    write(kv, &Key::of(DAY_EVENT).u32(day).bytes(&effect.id.0).done(), &row)
}

fn claim_holds(claim: &DayClosedV1, totals: &DayTotals) -> bool {
    (claim.sales, claim.returns, claim.voids) == (totals.sales, totals.returns, totals.voids)
        && claim.takings == totals.takings()
}
