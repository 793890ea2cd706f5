//! Days, shifts and the cash between them.
//!
//! Invariants: a closing is a claim of what its author saw, for ever; a later one amends it by name. Expected cash is the
//! fold's. Absent on purpose: refusing to sell without a day or a shift. Shops that want that ask for it at the till.

use toko_crdt::EffectId;

use crate::currency::Currency;
use crate::day::Day;
use crate::money::Money;
use crate::ops::{
    CashMovedV1, CashReason, CountedV1, CurrencyV1, DayClosedV1, DayOpenedV1, OpV1, ShapeError,
    ShiftClosedV1, ShiftOpenedV1, What, limits,
};
use crate::text::{TextError, check_text};
use crate::views::{DayState, DayTotals, Shift};

pub mod opening;

/// What the books call the drawer on a terminal's own printer. The hub opens and answers nothing for it.
#[must_use]
pub fn own_drawer(terminal: u16) -> String {
    format!("{OWN}till {terminal}")
}

/// Whether a drawer hangs on a terminal's own printer, by its name.
#[must_use]
pub fn at_its_till(drawer: &str) -> bool {
    drawer.starts_with(OWN)
}

const OWN: char = '@';

/// Why a day, a shift or cash stayed as it was. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawerError {
    /// The day is open already.
    #[error("the day {0} is open already")]
    DayOpen(Day),
    /// The day was never opened.
    #[error("the day {0} was not opened")]
    DayNotOpen(Day),
    /// The day is closed; a further closing must amend the last.
    #[error("the day {day} is closed by {closing}; amend that closing")]
    DayClosed {
        /// The day.
        day: Day,
        /// Its last closing.
        closing: EffectId,
    },
    /// A shift is open at this drawer.
    #[error("shift {0} is open at this drawer; close it first")]
    ShiftOpen(EffectId),
    /// The shift is closed; a further count must amend the last.
    #[error("shift {shift} is closed by {closing}; amend that closing")]
    ShiftClosed {
        /// The shift.
        shift: EffectId,
        /// Its last closing.
        closing: EffectId,
    },
    /// Less than nothing in a drawer.
    #[error("{0} in a drawer; an amount of zero or more is needed")]
    Negative(Money),
    /// Cash that moves the wrong way, or not at all.
    #[error("{amount} cannot be moved by {reason:?}; above zero goes in, below zero comes out")]
    Sign {
        /// How much.
        amount: Money,
        /// Why.
        reason: CashReason,
    },
    /// A text that may not be kept.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Something that no other check names.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// Opens a business day.
pub fn open_day(day: Day, state: &DayState, by: Option<&str>) -> Result<DayOpenedV1, DrawerError> {
    if !state.opened.is_empty() {
        return Err(DrawerError::DayOpen(day));
    }
    check_word("who opens the day", by)?;
    Ok(DayOpenedV1 { day: day.number(), by: by.map(str::to_string) })
}

/// Closes a business day with what its author sees; `amends` names the closing that this one takes the place of.
pub fn close_day(
    day: Day,
    state: &DayState,
    totals: &DayTotals,
    by: Option<&str>,
    amends: Option<EffectId>,
    note: &str,
) -> Result<DayClosedV1, DrawerError> {
    check_word("who closes the day", by)?;
    check_text("the note", note, limits::TEXT_CHARS_MAX)?;
    if state.opened.is_empty() {
        return Err(DrawerError::DayNotOpen(day));
    }
    if let (Some(last), None) = (state.closings.last(), amends) {
        return Err(DrawerError::DayClosed { day, closing: last.effect });
    }
    let closed = DayClosedV1 {
        day: day.number(),
        by: by.map(str::to_string),
        sales: totals.sales,
        returns: totals.returns,
        voids: totals.voids,
        takings: totals.takings(),
        amends: amends.map(|effect| effect.0),
        note: note.to_string(),
    };
    OpV1::new(What::DayClosed(closed.clone())).check_shape()?;
    Ok(closed)
}

/// Opens a shift at a drawer; `open` are the shifts open at this terminal.
pub fn open_shift(
    day: Day,
    terminal: u16,
    drawer: &str,
    cashier: Option<&str>,
    float: Money,
    open: &[Shift],
) -> Result<ShiftOpenedV1, DrawerError> {
    check_word("the cashier", cashier)?;
    check_text("the drawer", drawer, limits::WORD_CHARS_MAX)?;
    if let Some(shift) = open.iter().find(|shift| shift.opened.drawer == drawer) {
        return Err(DrawerError::ShiftOpen(shift.id));
    }
    if float.is_negative() {
        return Err(DrawerError::Negative(float));
    }
    let opened = ShiftOpenedV1 {
        day: day.number(),
        terminal,
        cashier: cashier.map(str::to_string),
        drawer: drawer.to_string(),
        currency: CurrencyV1::of(float.currency()),
        float_minor: float.minor_units(),
    };
    OpV1::new(What::ShiftOpened(opened.clone())).check_shape()?;
    Ok(opened)
}

/// Closes a shift with what was counted; what is expected comes from the shift as its author sees it.
pub fn close_shift(
    shift: &Shift,
    counted: &[Money],
    by: Option<&str>,
    amends: Option<EffectId>,
    note: &str,
) -> Result<ShiftClosedV1, DrawerError> {
    check_word("who counts", by)?;
    check_text("the note", note, limits::TEXT_CHARS_MAX)?;
    if let (Some(last), None) = (shift.closings.last(), amends) {
        return Err(DrawerError::ShiftClosed { shift: shift.id, closing: last.effect });
    }
    if let Some(negative) = counted.iter().find(|money| money.is_negative()) {
        return Err(DrawerError::Negative(*negative));
    }
    let expected = |currency: Currency| {
        let found = shift.cash.iter().find(|cash| cash.currency() == currency);
        found.map_or(0, |cash| cash.minor_units())
    };
    let stored = |money: &Money| CountedV1 {
        currency: CurrencyV1::of(money.currency()),
        counted_minor: money.minor_units(),
        expected_minor: expected(money.currency()),
    };
    let closed = ShiftClosedV1 {
        shift: shift.id.0,
        by: by.map(str::to_string),
        counted: counted.iter().map(stored).collect(),
        amends: amends.map(|effect| effect.0),
        note: note.to_string(),
    };
    OpV1::new(What::ShiftClosed(closed.clone())).check_shape()?;
    Ok(closed)
}

/// Puts cash into a drawer, or takes it out.
pub fn move_cash(
    shift: EffectId,
    day: Day,
    reason: CashReason,
    amount: Money,
    by: Option<&str>,
    note: &str,
) -> Result<CashMovedV1, DrawerError> {
    check_word("who moves the cash", by)?;
    check_text("the note", note, limits::TEXT_CHARS_MAX)?;
    let fits = match reason {
        CashReason::PayIn => amount.minor_units() > 0,
        CashReason::PayOut | CashReason::SafeDrop => amount.minor_units() < 0,
    };
    if !fits {
        return Err(DrawerError::Sign { amount, reason });
    }
    let moved = CashMovedV1 {
        shift: shift.0,
        day: day.number(),
        reason,
        currency: CurrencyV1::of(amount.currency()),
        amount_minor: amount.minor_units(),
        by: by.map(str::to_string),
        note: note.to_string(),
    };
    OpV1::new(What::CashMoved(moved.clone())).check_shape()?;
    Ok(moved)
}

fn check_word(field: &'static str, text: Option<&str>) -> Result<(), TextError> {
    check_text(field, text.unwrap_or_default(), limits::WORD_CHARS_MAX)
}
