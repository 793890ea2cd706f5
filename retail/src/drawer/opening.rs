//! Opening a drawer: asked for by the till that it belongs to, answered by whoever owns the device.
//!
//! Invariants: an ask is for now. Whoever answers it opens the drawer once, within its time to live, or says that it did not;
//! nobody tries again. Absent on purpose: who stands beside the drawer when it opens; that is the till's business.

use toko_crdt::EffectId;

use super::{DrawerError, check_word};
use crate::day::Day;
use crate::ops::{DrawerAskedV1, DrawerEvent, DrawerReason, DrawerSeenV1, limits};
use crate::text::{check_given, check_text};
use crate::views::DrawerOpening;

/// How long an ask may live: a drawer that opens later opens with nobody there.
pub const TTL_MS_MAX: u32 = 5_000;

/// What a till asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The business day.
    pub day: Day,
    /// Number of the terminal.
    pub terminal: u16,
    /// Its drawer.
    pub drawer: &'a str,
    /// Why.
    pub reason: DrawerReason,
    /// The sale, return or void that it is for.
    pub sale: Option<EffectId>,
    /// Who asks.
    pub by: Option<&'a str>,
    /// A note.
    pub note: &'a str,
}

/// Asks for a drawer to open.
pub fn ask(ask: &Ask<'_>) -> Result<DrawerAskedV1, DrawerError> {
    check_given("the drawer", ask.drawer, limits::WORD_CHARS_MAX)?;
    check_word("who opens the drawer", ask.by)?;
    check_text("the note", ask.note, limits::TEXT_CHARS_MAX)?;
    Ok(DrawerAskedV1 {
        day: ask.day.number(),
        terminal: ask.terminal,
        drawer: ask.drawer.to_string(),
        reason: ask.reason,
        sale: ask.sale.map(|sale| sale.0),
        by: ask.by.map(str::to_string),
        ttl_ms: TTL_MS_MAX,
        note: ask.note.to_string(),
    })
}

/// Answers an ask.
///
/// Shape: `what` is one of the answers. What there is to say is cut to what is kept.
pub fn answer(of: &DrawerOpening, what: DrawerEvent, open: Option<bool>, detail: &str) -> DrawerSeenV1 {
    DrawerSeenV1 {
        day: of.day.number(),
        terminal: of.terminal,
        drawer: of.drawer.clone(),
        ask: Some(of.id.0),
        what,
        open,
        detail: kept(detail),
    }
}

/// Tells what a drawer did unasked: that it opened, or was shut.
pub fn seen(
    day: Day,
    terminal: u16,
    drawer: &str,
    what: DrawerEvent,
    open: Option<bool>,
    detail: &str,
) -> DrawerSeenV1 {
    let (drawer, detail) = (drawer.to_string(), kept(detail));
    DrawerSeenV1 { day: day.number(), terminal, drawer, ask: None, what, open, detail }
}

fn kept(detail: &str) -> String {
    detail.chars().filter(|c| !c.is_control()).take(limits::TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{OpV1, What};

    #[test]
    fn an_ask_lives_for_five_seconds_and_one_that_would_live_longer_is_refused() {
        let day = Day::parse("2010-12-01").unwrap();
        let (drawer, reason) = ("left", DrawerReason::NoSale);
        let asked =
            ask(&Ask { day, terminal: 1, drawer, reason, sale: None, by: Some("ann"), note: "" }).unwrap();
        assert_eq!(asked.ttl_ms, 5_000);
        let shape =
            |ttl_ms| OpV1::new(What::DrawerAsked(DrawerAskedV1 { ttl_ms, ..asked.clone() })).check_shape();
        assert!(shape(5_000).is_ok() && shape(5_001).is_err());
    }
}
