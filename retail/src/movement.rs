//! Goods that move without a sale: write-offs, receipts, transfers, counts, damage.
//!
//! Invariants: a write-off and damage take out, a receipt brings in, a count moves what was counted less what its counter
//! saw; so that the fold may simply add.

use crate::day::Day;
use crate::ops::{MoveReason, MovedLineV1, OpV1, ShapeError, StockMovedV1, What, limits};
use crate::qty::{Qty, QtyError};
use crate::text::{TextError, check_code, check_name, check_text};

/// One item that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The item.
    pub sku: String,
    /// What it is called; may be empty.
    pub name: String,
    /// Into stock, negative out of it. For a count: what was counted less what was seen.
    pub qty: Qty,
    /// For a count: what was counted.
    pub counted: Option<Qty>,
}

/// Goods that are about to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveDraft {
    /// Why.
    pub reason: MoveReason,
    /// Business day.
    pub day: Day,
    /// Who moves them: an opaque id.
    pub by: Option<String>,
    /// What moves.
    pub lines: Vec<Moved>,
    /// Where to or from; may be empty.
    pub counterpart: String,
    /// A note; may be empty.
    pub note: String,
    /// A number of another system; may be empty.
    pub external: String,
}

/// Why goods did not move. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// Nothing to move.
    #[error("there is no line to move")]
    Empty,
    /// A quantity with the wrong sign, or none.
    #[error("line {line} ({sku}): {qty} cannot be moved by {reason:?}; {hint}")]
    Sign {
        /// Its place, counted from 1.
        line: usize,
        /// The item.
        sku: String,
        /// The quantity.
        qty: Qty,
        /// Why it moves.
        reason: MoveReason,
        /// What to do.
        hint: &'static str,
    },
    /// A text that may not be kept.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Too many lines, or quantities past what can be added up.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

impl Moved {
    /// An item and how much of it goes in, or (negative) out.
    pub fn of(sku: &str, name: &str, qty: Qty) -> Moved {
        Moved { sku: sku.to_string(), name: name.to_string(), qty, counted: None }
    }

    /// A count: `seen` is what the books said to the counter.
    pub fn counted(sku: &str, name: &str, counted: Qty, seen: Qty) -> Result<Moved, QtyError> {
        let seen = if toko_crdt::mutant!("count-adds-what-was-counted") { Qty::ZERO } else { seen };
        let qty = counted.plus(seen.negated()?)?;
        Ok(Moved { sku: sku.to_string(), name: name.to_string(), qty, counted: Some(counted) })
    }
}

impl MoveDraft {
    /// A movement without lines.
    pub fn new(reason: MoveReason, day: Day) -> MoveDraft {
        MoveDraft {
            reason,
            day,
            by: None,
            lines: Vec::new(),
            counterpart: String::new(),
            note: String::new(),
            external: String::new(),
        }
    }
}

/// Moves goods.
///
/// Errors: the first thing that is wrong; nothing is changed.
pub fn move_stock(draft: &MoveDraft) -> Result<StockMovedV1, MoveError> {
    if draft.lines.is_empty() {
        return Err(MoveError::Empty);
    }
    check_text("who moves the goods", draft.by.as_deref().unwrap_or_default(), limits::WORD_CHARS_MAX)?;
    check_text("the counterpart", &draft.counterpart, limits::TEXT_CHARS_MAX)?;
    check_text("the note", &draft.note, limits::TEXT_CHARS_MAX)?;
    check_text("the external reference", &draft.external, limits::WORD_CHARS_MAX)?;
    for (at, line) in draft.lines.iter().enumerate() {
        check_line(at + 1, line, draft.reason)?;
    }
    let moved = StockMovedV1 {
        reason: draft.reason,
        day: draft.day.number(),
        by: draft.by.clone(),
        lines: draft.lines.iter().map(stored).collect(),
        counterpart: draft.counterpart.clone(),
        note: draft.note.clone(),
        external: draft.external.clone(),
    };
    OpV1::new(What::StockMoved(moved.clone())).check_shape()?;
    Ok(moved)
}

fn check_line(at: usize, line: &Moved, reason: MoveReason) -> Result<(), MoveError> {
    check_code("the sku", &line.sku, limits::CODE_CHARS_MAX)?;
    check_name("the item's name", &line.name, limits::NAME_CHARS_MAX)?;
    let milli = line.qty.milli_units();
    let hint = match reason {
        MoveReason::WriteOff | MoveReason::Damage if milli >= 0 => "a quantity below zero takes goods out",
        MoveReason::Receipt if milli <= 0 => "a quantity above zero brings goods in",
        MoveReason::Transfer if milli == 0 => "above zero brings goods in, below zero takes them out",
        MoveReason::Count if line.counted.is_none() => "a count needs what was counted",
        _ => return Ok(()),
    };
    Err(MoveError::Sign { line: at, sku: line.sku.clone(), qty: line.qty, reason, hint })
}

fn stored(line: &Moved) -> MovedLineV1 {
    MovedLineV1 {
        sku: line.sku.clone(),
        name: line.name.clone(),
        qty_milli: line.qty.milli_units(),
        counted_milli: line.counted.map(Qty::milli_units),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(reason: MoveReason, lines: Vec<Moved>) -> MoveDraft {
        MoveDraft { lines, ..MoveDraft::new(reason, Day::parse("2010-12-01").unwrap()) }
    }

    #[test]
    fn a_write_off_takes_out_and_says_so_otherwise() {
        let out = move_stock(&draft(MoveReason::WriteOff, vec![Moved::of("22139", "", Qty::milli(-2_000))]))
            .unwrap();
        assert_eq!(out.lines[0].qty_milli, -2_000);
        let said =
            move_stock(&draft(MoveReason::WriteOff, vec![Moved::of("22139", "", Qty::ONE)])).unwrap_err();
        assert_eq!(
            said.to_string(),
            "line 1 (22139): 1 cannot be moved by WriteOff; a quantity below zero takes goods out"
        );
        assert_eq!(move_stock(&draft(MoveReason::Receipt, vec![])).unwrap_err(), MoveError::Empty);
    }

    #[test]
    fn a_count_moves_the_difference() {
        let line = Moved::counted("22139", "RETRO TEA SET", Qty::milli(7_000), Qty::milli(-2_000)).unwrap();
        let moved = move_stock(&draft(MoveReason::Count, vec![line])).unwrap();
        assert_eq!((moved.lines[0].qty_milli, moved.lines[0].counted_milli), (9_000, Some(7_000)));
        let bare = move_stock(&draft(MoveReason::Count, vec![Moved::of("22139", "", Qty::ONE)]));
        assert!(bare.is_err());
    }
}
