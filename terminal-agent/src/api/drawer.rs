//! How the drawer of this terminal is, as far as whoever owns it has said.
//!
//! Invariants: it is never called closed unless its owner, who is linked now, has said so last; what nobody knows is `unknown`.

use serde_json::{Value, json};
use toko_retail::views::{self, DrawerCounts, DrawerOpening, DrawerState};

use super::Api;
use super::error::ApiError;
use crate::till::Refusal;
use crate::wall::utc;

impl Api {
    pub(super) async fn drawer(&self) -> Result<Value, ApiError> {
        let drawer = self.setup.drawer.as_deref().ok_or(Refusal::NoDrawer)?;
        let day = self.setup.till.day().await?.day;
        let (state, openings) = self.setup.ledger.read(|kv| {
            let openings = match day {
                Some(day) => views::drawer_openings(kv, day)?,
                None => Vec::new(),
            };
            Ok((views::drawer_state(kv, drawer)?, openings))
        })?;
        let last = openings.iter().rev().find(|opening| opening.drawer == drawer);
        let told = state.filter(|state| self.setup.ledger.is_within_reach(&state.owner));
        Ok(json!({
            "drawer": drawer,
            "state": state_word(told.as_ref()),
            "at": told.map(|told| utc(told.at)),
            "last": last.map(opening_shown),
        }))
    }
}

fn state_word(told: Option<&DrawerState>) -> &'static str {
    match told.and_then(|told| told.open) {
        Some(true) => "open",
        Some(false) => "closed",
        None => "unknown",
    }
}

fn opening_shown(opening: &DrawerOpening) -> Value {
    let ask = opening.asked.as_ref();
    let (outcome, detail) = match &opening.outcome {
        None => ("asked", ""),
        Some((what, detail)) => (what.word(), detail.as_str()),
    };
    json!({
        "opening": opening.id.to_string(),
        "reason": ask.map(|ask| ask.reason.word()),
        "cashier": ask.and_then(|ask| ask.by.clone()),
        "sale": ask.and_then(|ask| ask.sale).map(|sale| sale.to_string()),
        "outcome": outcome,
        "detail": detail,
        "at": utc(opening.at),
    })
}

/// How often drawers were opened on a day.
pub(super) fn counts_shown(counts: &DrawerCounts) -> Value {
    json!({
        "for_sales": counts.for_sales, "without_sale": counts.without_sale, "forced": counts.forced,
        "not_opened": counts.not_opened, "not_confirmed": counts.not_confirmed,
    })
}
