//! Printers as `hubctl` is told of them: how each is, in the words of UnifiedPOS and IPP, what it confirms, and what waits for it.

use super::learnt::LearntV1;
use super::{Printers, Station};
use crate::desk::{Answer, Refusal, Shared};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use toko_crdt::hash::hex;
use toko_devices::probe::ROWS_TO_THE_CUT;
use toko_devices::{Level, Outcome};
use tracing::info;

/// All printers.
pub(crate) async fn all(State(desk): Shared) -> Answer {
    let rows: Vec<Value> = desk.printers.all().iter().map(|station| card(&desk.printers, station)).collect();
    Ok(Json(json!({ "printers": rows })))
}

/// The first printer, for `hubctl status`.
pub(crate) fn brief(printers: &Printers) -> Value {
    let states = printers.all().iter().map(|station| station.state());
    let held: usize = states.map(|state| state.held).sum();
    let Some(first) = printers.first() else { return json!({ "name": null, "state": "none", "held": 0 }) };
    let words = first.trouble().unwrap_or_else(|| first.state().words);
    json!({ "name": first.config.name, "state": words, "held": held, "printers": printers.all().len() })
}

/// A printer that is to print a test strip.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    printer: String,
}

/// Prints a test strip and keeps what was learnt.
pub(crate) async fn probe(State(desk): Shared, body: Result<Json<Which>, JsonRejection>) -> Answer {
    let Json(Which { printer }) = body?;
    desk.must_be_hub()?;
    let Some(station) = desk.printers.named(&printer) else {
        let words = format!("no printer is called {printer:?}; see hubctl printers");
        return Err(Refusal::bad("no-such-printer", words));
    };
    let name = &station.config.name;
    let probed = station.printer.probe(name).await;
    let now = u64::try_from(desk.node.machine().wall().0 / 1_000_000).unwrap_or(0);
    let before = desk.printers.learnt.of(name);
    match (&probed.outcome, LearntV1::new(&probed, before, now)) {
        (Outcome::Printed { .. } | Outcome::Sent { .. }, Some(learnt)) => {
            desk.printers.learnt.keep(name, learnt).map_err(|problem| Refusal::store(&problem))?;
            info!(printer = %name, level = ?probed.level(), "printer probed");
            station.wake.notify_one();
            Ok(Json(card(&desk.printers, station)))
        }
        (Outcome::NotPrinted { why }, _) => {
            let words = format!("nothing was sent: {why}; put that right and probe again");
            Err(Refusal::bad("not-printed", words))
        }
        (Outcome::InDoubt { why }, _) => {
            let words = "the strip may have come out; look at the printer, and probe again once it prints";
            Err(Refusal::bad("in-doubt", words).because(why))
        }
        (Outcome::Printed { .. } | Outcome::Sent { .. }, None) => {
            Err(Refusal::bad("in-doubt", "nothing was learnt; probe again"))
        }
    }
}

/// What a person read off the strip.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lesson {
    printer: String,
    /// Numbers of the code pages whose letters are others than the strip says; all others are right.
    wrong_pages: Option<Vec<u8>>,
    /// The lowest row that stands whole above the cut.
    last_row: Option<u8>,
}

/// Keeps what a person read off a strip, and writes for the printer accordingly from then on.
pub(crate) async fn learn(State(desk): Shared, body: Result<Json<Lesson>, JsonRejection>) -> Answer {
    let Json(Lesson { printer, wrong_pages, last_row }) = body?;
    desk.must_be_hub()?;
    let Some(station) = desk.printers.named(&printer) else {
        let words = format!("no printer is called {printer:?}; see hubctl printers");
        return Err(Refusal::bad("no-such-printer", words));
    };
    let (name, model) = (&station.config.name, station.config.model);
    let Some(mut learnt) = desk.printers.learnt.of(name) else {
        let words = format!("{name} has printed no test strip yet: hubctl printers probe {name}");
        return Err(Refusal::bad("not-probed", words));
    };
    if let Some(pages) = wrong_pages {
        let own =
            std::iter::once(model.code_page_number).chain(model.pages.iter().map(|(number, _)| *number));
        let own: BTreeSet<u8> = own.collect();
        if let Some(other) = pages.iter().find(|number| !own.contains(number)) {
            let there: Vec<String> = own.iter().map(u8::to_string).collect();
            let words = format!("{other} is no code page of the strip; there are {}", there.join(", "));
            return Err(Refusal::bad("no-such-page", words));
        }
        learnt.wrong_pages = pages;
    }
    if let Some(row) = last_row {
        if !(1..=ROWS_TO_THE_CUT).contains(&row) {
            let words =
                format!("the strip counts from {ROWS_TO_THE_CUT} down to 1; {row} is none of its rows");
            return Err(Refusal::bad("no-such-row", words));
        }
        // The strip was cut with what was known then.
        learnt.more_feed = learnt.more_feed.saturating_add(row - 1);
    }
    desk.printers.learnt.keep(name, learnt.clone()).map_err(|problem| Refusal::store(&problem))?;
    station.printer.learn(learnt.model(model)).await;
    info!(printer = %name, wrong_pages = ?learnt.wrong_pages, more_feed = learnt.more_feed, "what a person read is kept");
    Ok(Json(card(&desk.printers, station)))
}

fn card(printers: &Printers, station: &Arc<Station>) -> Value {
    let config = &station.config;
    let (state, seen) = (station.state(), station.printer.seen().borrow().clone());
    let conditions: Vec<&str> =
        seen.status.iter().flat_map(|status| status.conditions()).map(|condition| condition.name()).collect();
    let learnt = printers.learnt.of(&config.name);
    // What answers nothing is only known to take a call.
    let mute = seen.trouble.is_none() && learnt.as_ref().is_some_and(|l| l.level() <= Level::Drained);
    let (word, upos) = match (station.let_go.is_cancelled(), seen.can_print() || mute, seen.printing) {
        (true, ..) => ("stopped", "S_CLOSED"),
        (_, _, true) => ("processing", "S_BUSY"),
        (_, true, _) => ("idle", "S_IDLE"),
        _ => ("stopped", "S_ERROR"),
    };
    json!({
        "name": config.name,
        "address": config.address.to_string(),
        "serves": config.serves,
        "fall_back": config.fall_back,
        "state": word,
        "upos_state": upos,
        "power": seen.power().name(),
        "conditions": conditions,
        "reasons": seen.status.map(|status| status.reasons()),
        "trouble": station.trouble(),
        "what_to_do": station.what_to_do(),
        "linked": seen.linked,
        "level": state.level.map(|level| level.to_string()),
        "prints": state.counts.named().into_iter().collect::<BTreeMap<_, _>>(),
        "learnt": learnt.as_ref().map(|learnt| json!({
            "level": learnt.level().to_string(),
            "means": means(learnt),
            "reports_changes": learnt.reports_changes,
            "drawer_level": learnt.drawer_level,
            "wrong_pages": learnt.wrong_pages,
            "more_feed": learnt.more_feed,
            "at_unix_s": learnt.at_unix_s,
        })),
        "code_pages": code_pages(config.model),
        "queued": state.queued,
        "held": state.held,
        "printing": state.printing.map(|job| hex(&job)),
        "words": state.words,
    })
}

/// A level in a sentence.
fn means(learnt: &LearntV1) -> &'static str {
    match learnt.level() {
        Level::Printed => "it says when a receipt is on paper: nothing is taken for printed that is not",
        Level::Processed => "it says when it has worked a receipt off, a moment before it is on paper",
        Level::Drained => {
            "it takes a receipt and says nothing: receipts are sent, and one that is lost in it is not noticed"
        }
        Level::Sent => {
            "nobody knows whether it takes a receipt: receipts are sent, and one that is lost is not noticed"
        }
    }
}

fn code_pages(model: toko_devices::Model) -> Vec<String> {
    let own = (model.code_page_number, model.code_page);
    let more = model.pages.iter().copied().filter(|page| *page != own);
    std::iter::once(own).chain(more).map(|(number, page)| format!("{number}:{}", page.name())).collect()
}
