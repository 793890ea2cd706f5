//! What `hubctl` is told of drawers, and how it teaches what their sensors mean.

use super::{SharedDrawers, Shelf, lock};
use crate::answers::name_of;
use crate::desk::{Answer, Desk, Refusal, Shared, open_day_of};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use toko_devices::profile::Polarity;
use toko_retail::day::Day;
use toko_retail::views::{self, DrawerOpening};

/// Openings that are shown: the last ones of a day.
const SHOWN_MAX: usize = 50;

/// The routes.
pub(crate) fn routes() -> Router<Arc<Desk>> {
    Router::new().route("/drawers", get(show)).route("/drawers/learn", post(learn))
}

/// How a drawer stands, for whoever counts.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) name: String,
    /// Nothing while nobody knows.
    pub(crate) open: Option<bool>,
    pub(crate) open_for: Option<Duration>,
}

/// How all drawers stand.
pub(crate) fn standing(drawers: &SharedDrawers) -> Vec<Standing> {
    let now = Instant::now();
    let of = |drawer: &super::Drawer| Standing {
        name: drawer.config.name.clone(),
        open: drawer.sensor.open().filter(|_| drawer.away_since.is_none()),
        open_for: drawer.sensor.open_for(now),
    };
    lock(drawers).drawers.iter().map(of).collect()
}

/// Alerts of drawers that were left open.
pub(crate) fn alerts(drawers: &SharedDrawers) -> Vec<Value> {
    let now = Instant::now();
    let shelf = lock(drawers);
    let left_open = shelf.drawers.iter().filter_map(|drawer| {
        let open_for = drawer.sensor.open_for(now)?;
        (open_for >= drawer.config.left_open?).then_some((drawer, open_for))
    });
    let card = |(drawer, open_for): (&super::Drawer, Duration)| {
        let name = &drawer.config.name;
        let seen =
            if drawer.sensor.open() == Some(true) { "is open" } else { "was opened and not seen to be shut" };
        json!({
            "id": format!("drawer {name}"), "about": name, "settled": false, "code": "drawer-left-open",
            "node": null,
            "screen": "shut the drawer; this goes by itself then. If it is shut, its sensor or cable is broken, or it was taught the wrong way round: hubctl drawers learn",
            "log": format!("the drawer \"{name}\" {seen}, for {} s now", open_for.as_secs()),
        })
    };
    left_open.map(card).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichDay {
    day: Option<String>,
}

async fn show(State(desk): Shared, query: Result<Query<WhichDay>, QueryRejection>) -> Answer {
    let Query(WhichDay { day }) = query?;
    let day =
        day.map(|day| Day::parse(&day)).transpose().map_err(|problem| Refusal::bad("bad-date", problem))?;
    let (day, openings, counts) = desk.node.read(|kv| {
        let day = match day {
            Some(day) => Some(day),
            None => open_day_of(kv)?.or(views::days(kv)?.pop()),
        };
        let Some(day) = day else { return Ok((None, Vec::new(), views::DrawerCounts::default())) };
        Ok((Some(day), views::drawer_openings(kv, day)?, views::drawer_counts(kv, day)?))
    })?;
    let members = desk.node.members();
    let level: Vec<String> = lock(&desk.drawers).level.iter().map(|till| name_of(&members, till)).collect();
    let till = |opening: &DrawerOpening| {
        let author = opening.asked.as_ref().map(|ask| ask.place.journal.node)?;
        Some(name_of(&members, &author))
    };
    let newest_first = openings.iter().rev().take(SHOWN_MAX);
    Ok(Json(json!({
        "drawers": lock(&desk.drawers).cards(),
        "level": level,
        "day": day.map(|day| day.to_string()),
        "counts": {
            "for_sales": counts.for_sales, "without_sale": counts.without_sale, "forced": counts.forced,
            "not_opened": counts.not_opened, "not_confirmed": counts.not_confirmed,
        },
        "openings": newest_first.map(|opening| card(opening, till(opening))).collect::<Vec<_>>(),
    })))
}

fn card(opening: &DrawerOpening, till: Option<String>) -> Value {
    let ask = opening.asked.as_ref();
    json!({
        "opening": opening.id.to_string(),
        "at": toko_paper::receipt::time_text(opening.at),
        "drawer": opening.drawer,
        "terminal": opening.terminal,
        "till": till,
        "reason": ask.map(|ask| ask.reason.word()),
        "who": ask.and_then(|ask| ask.by.clone()),
        "sale": ask.and_then(|ask| ask.sale).map(|sale| sale.to_string()),
        "note": ask.map(|ask| ask.note.clone()),
        "outcome": opening.outcome.as_ref().map_or("asked", |(what, _)| what.word()),
        "detail": opening.outcome.as_ref().map(|(_, detail)| detail.clone()),
    })
}

impl Shelf {
    fn cards(&self) -> Vec<Value> {
        let now = Instant::now();
        let card = |drawer: &super::Drawer| {
            let seen = drawer.printer.seen().borrow().clone();
            let trouble = seen.trouble.map(|why| why.to_string());
            let state = match drawer.sensor.open().filter(|_| trouble.is_none()) {
                Some(true) => "open",
                Some(false) => "closed",
                None => "unknown",
            };
            let sensor = match drawer.sensor.polarity() {
                Polarity::Unknown => "not taught",
                Polarity::HighIsOpen => "high is open",
                Polarity::LowIsOpen => "low is open",
            };
            json!({
                "drawer": drawer.config.name,
                "printer": drawer.config.printer,
                "terminals": drawer.config.terminals,
                "state": state,
                "open_for_s": drawer.sensor.open_for(now).map(|open_for| open_for.as_secs()),
                "sensor": sensor,
                "printer_heard": drawer.sensor.level().is_some() && trouble.is_none(),
                "trouble": trouble,
            })
        };
        self.drawers.iter().map(card).collect()
    }
}

/// A step of teaching: how the drawer stands now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lesson {
    drawer: String,
    stands: Stands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stands {
    Shut,
    Open,
}

async fn learn(State(desk): Shared, body: Result<Json<Lesson>, JsonRejection>) -> Answer {
    let Json(Lesson { drawer: name, stands }) = body?;
    let printer = lock(&desk.drawers).named(&name).map(|drawer| drawer.printer.clone());
    let Some(printer) = printer else {
        return Err(Refusal::bad(
            "no-such-drawer",
            format!("no drawer is called \"{name}\"; see hubctl drawers"),
        ));
    };
    // Asked now, so that nothing of before is taken for how it stands.
    let status = printer.status().await.map_err(|why| {
        let words = format!(
            "the printer of \"{name}\" does not say how its drawer is; see that it is on, then try again"
        );
        Refusal::bad("no-answer", words).because(&why)
    })?;
    let disk = desk.node.own_disk().map_err(|problem| Refusal::store(&problem))?;
    let mut shelf = lock(&desk.drawers);
    let Shelf { drawers, taught, .. } = &mut *shelf;
    let Some(drawer) = drawers.iter_mut().find(|drawer| drawer.config.name == name) else {
        return Err(Refusal::bad("no-such-drawer", "it is gone"));
    };
    if stands == Stands::Shut {
        drawer.shut_level = Some(status.drawer_level);
        return Ok(Json(json!({ "drawer": name, "next": "open" })));
    }
    let Some(shut) = drawer.shut_level.take() else {
        return Err(Refusal::bad("shut-first", format!("shut \"{name}\" first, and say so")));
    };
    if shut == status.drawer_level {
        let words = format!(
            "the sensor of \"{name}\" says the same open and shut: it has none, or its cable does not carry it; its state stays unknown"
        );
        return Err(Refusal::bad("no-sensor", words));
    }
    let polarity = if status.drawer_level { Polarity::HighIsOpen } else { Polarity::LowIsOpen };
    taught.teach(&*disk, &name, polarity).map_err(|problem| Refusal::store(&problem))?;
    drawer.unsaid = drawer.sensor.teach(polarity, Instant::now());
    let sensor = if status.drawer_level { "high is open" } else { "low is open" };
    Ok(Json(json!({ "drawer": name, "next": null, "sensor": sensor })))
}
