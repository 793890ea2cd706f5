//! What `hubctl` is told of drawers, and how it teaches what their sensors mean.

use super::{SharedDrawers, Shelf, lock};
use crate::answers::name_of;
use crate::desk::{Answer, Desk, Refusal, Shared};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use toko_paper::drawer::{LearnError, meaning, newest_open_day};
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
        open: drawer.watched.open(),
        open_for: drawer.watched.sensor.open_for(now),
    };
    lock(drawers).drawers.iter().map(of).collect()
}

/// Alerts of drawers that were left open.
pub(crate) fn alerts(drawers: &SharedDrawers) -> Vec<Value> {
    let now = Instant::now();
    let shelf = lock(drawers);
    let card = |drawer: &super::Drawer| {
        let log = drawer.watched.left_open(now)?;
        let name = &drawer.config.name;
        Some(json!({
            "id": format!("drawer {name}"), "about": name, "settled": false, "code": "drawer-left-open",
            "node": null,
            "screen": "shut the drawer; this goes by itself then. If it is shut, its sensor or cable is broken, or it was taught the wrong way round: hubctl drawers learn",
            "log": log,
        }))
    };
    shelf.drawers.iter().filter_map(card).collect()
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
            None => newest_open_day(kv)?.or(views::days(kv)?.pop()),
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
            let watched = &drawer.watched;
            let seen = watched.printer.seen().borrow().clone();
            let trouble = seen.trouble.map(|why| why.to_string());
            let state = match watched.sensor.open().filter(|_| trouble.is_none()) {
                Some(true) => "open",
                Some(false) => "closed",
                None => "unknown",
            };
            let sensor = meaning(watched.sensor.polarity()).unwrap_or("not taught");
            json!({
                "drawer": drawer.config.name,
                "printer": drawer.config.printer,
                "terminals": drawer.config.terminals,
                "state": state,
                "open_for_s": watched.sensor.open_for(now).map(|open_for| open_for.as_secs()),
                "sensor": sensor,
                "printer_heard": watched.sensor.level().is_some() && trouble.is_none(),
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
    let printer = lock(&desk.drawers).named(&name).map(|drawer| drawer.watched.printer.clone());
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
        drawer.watched.stands_shut(status.drawer_level);
        return Ok(Json(json!({ "drawer": name, "next": "open" })));
    }
    let learnt = drawer.watched.stands_open(status.drawer_level, taught, &*disk, Instant::now());
    let polarity = learnt.map_err(|problem| match problem {
        LearnError::NotKept { .. } => Refusal::store(&problem),
        LearnError::ShutFirst(_) => Refusal::bad("shut-first", problem.to_string()),
        _ => Refusal::bad("no-sensor", problem.to_string()),
    })?;
    Ok(Json(json!({ "drawer": name, "next": null, "sensor": meaning(polarity) })))
}
