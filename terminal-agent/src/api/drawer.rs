//! How the drawer of this terminal is, as far as whoever owns it has said.
//!
//! Invariants: it is never called closed unless its owner, who is linked now, has said so last; what nobody knows is `unknown`.

use axum::http::StatusCode;
use serde_json::{Value, json};
use toko_paper::drawer::LearnError;
use toko_retail::views::{self, DrawerCounts, DrawerOpening, DrawerState};

use super::body::{Object, PROGRAM};
use super::error::ApiError;
use super::{Api, Asked, no_query, read_key};
use crate::own_drawer::{NotLearnt, Stands};
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
            "sensor": self.setup.own_drawer.as_ref().and_then(|own| own.sensor()),
            "last": last.map(opening_shown),
        }))
    }
}

impl Api {
    /// A step of teaching what the sensor means of the drawer on the terminal's own printer. It changes no books, so its key is
    /// looked at and not kept: whoever repeats a step says how the drawer stands now.
    pub(super) async fn learn_drawer(&self, asked: &Asked<'_>) -> Result<(StatusCode, Value), ApiError> {
        read_key(asked.headers)?;
        no_query(&asked.query, &[])?;
        let stands = read_stands(&asked.bytes)?;
        let Some(own) = &self.setup.own_drawer else {
            self.setup.drawer.as_ref().ok_or(Refusal::NoDrawer)?;
            let log = "the drawer hangs on a printer of the hub; hubctl drawers learn teaches it";
            return Err(ApiError::new(StatusCode::NOT_FOUND, "not-own-drawer", "Teach it at the hub.", log));
        };
        let sensor = own.learn(stands).await.map_err(not_learnt)?;
        let next = if stands == Stands::Shut { Some("open") } else { None };
        Ok((StatusCode::OK, json!({ "sensor": sensor, "next": next })))
    }
}

/// How a drawer stands, as a body says.
pub fn read_stands(body: &[u8]) -> Result<Stands, ApiError> {
    let mut body = Object::body(body)?;
    let word = body.plain_needed("stands")?;
    body.done()?;
    match word.as_str() {
        "shut" => Ok(Stands::Shut),
        "open" => Ok(Stands::Open),
        other => {
            let log = format!("{other:?} is neither shut nor open");
            Err(ApiError::field("bad-state", PROGRAM, "stands", log))
        }
    }
}

fn not_learnt(problem: NotLearnt) -> ApiError {
    let (status, code, screen) = match &problem {
        NotLearnt::NoAnswer(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "no-answer", "See that the printer is on, then try again.")
        }
        NotLearnt::Drawer(LearnError::ShutFirst(_)) => {
            (StatusCode::CONFLICT, "shut-first", "Shut the drawer first.")
        }
        NotLearnt::Drawer(LearnError::NoSensor(_)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "no-sensor", "Look at the drawer's cable.")
        }
        NotLearnt::Drawer(_) | NotLearnt::NoDisk(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "not-saved", "Try again, then call for help.")
        }
    };
    ApiError::new(status, code, screen, toko_daemon::log::with_causes(&problem))
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
