//! Printers as `hubctl` is told of them: how each is, in the words of UnifiedPOS and IPP, what it confirms, and what waits for it.

use super::learnt::LearntV1;
use super::{Printers, Station};
use crate::desk::{Answer, Refusal, Shared};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use toko_crdt::hash::hex;
use toko_devices::Outcome;
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
    match (&probed.outcome, LearntV1::new(&probed, now)) {
        (Outcome::Printed { .. }, Some(learnt)) => {
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
        (Outcome::Printed { .. }, None) => Err(Refusal::bad("in-doubt", "nothing was learnt; probe again")),
    }
}

fn card(printers: &Printers, station: &Arc<Station>) -> Value {
    let config = &station.config;
    let (state, seen) = (station.state(), station.printer.seen().borrow().clone());
    let conditions: Vec<&str> =
        seen.status.iter().flat_map(|status| status.conditions()).map(|condition| condition.name()).collect();
    let (word, upos) = match (station.let_go.is_cancelled(), seen.can_print(), seen.printing) {
        (true, ..) => ("stopped", "S_CLOSED"),
        (_, _, true) => ("processing", "S_BUSY"),
        (_, true, _) => ("idle", "S_IDLE"),
        _ => ("stopped", "S_ERROR"),
    };
    let learnt = printers.learnt.of(&config.name);
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
        "learnt": learnt.as_ref().map(|learnt| json!({
            "level": learnt.level().to_string(),
            "means": means(learnt),
            "reports_changes": learnt.reports_changes,
            "drawer_level": learnt.drawer_level,
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
        toko_devices::Level::Printed => {
            "it says when a receipt is on paper: nothing is taken for printed that is not"
        }
        toko_devices::Level::Processed => {
            "it says when it has worked a receipt off, a moment before it is on paper"
        }
        toko_devices::Level::Drained => {
            "it takes a receipt and says nothing: one that is lost in it is not noticed"
        }
        toko_devices::Level::Sent => {
            "nobody knows whether it takes a receipt: one that is lost is not noticed"
        }
    }
}

fn code_pages(model: toko_devices::Model) -> Vec<String> {
    let own = (model.code_page_number, model.code_page);
    let more = model.pages.iter().copied().filter(|page| *page != own);
    std::iter::once(own).chain(more).map(|(number, page)| format!("{number}:{}", page.name())).collect()
}
