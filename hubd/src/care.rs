//! What `hubctl` is told about the shop's health: alerts, what a person says of them, and the recovery code.

use crate::answers;
use crate::desk::{Answer, Refusal, Shared};
use crate::drawers;
use crate::printers;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::{Value, json};
use toko_crdt::hash::hex;
use toko_crdt::member::Members;
use toko_mesh::node::{Alert, SettleError};

/// Everything that a person should know, with what was settled.
pub(crate) async fn alerts(State(desk): Shared) -> Answer {
    let (members, alerts) = (desk.node.members(), desk.node.alerts().await?);
    let mut cards: Vec<Value> = alerts.iter().map(|alert| card(&members, alert)).collect();
    cards.extend(printers::care::alerts(&desk)?);
    cards.extend(drawers::alerts(&desk.drawers));
    Ok(Json(json!({ "alerts": cards })))
}

/// What can be said of the recovery code where it is not: enough for `hubctl` to tell whether a copy on paper is right.
pub(crate) async fn recovery_code(State(desk): Shared) -> Answer {
    let members = desk.node.members();
    Ok(Json(json!({
        "store": members.store().to_string(),
        "root": hex(&members.root().0),
        "term": members.hub().map(|(term, _)| term),
    })))
}

/// Alerts that a person has seen to, by their ids.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    alerts: Vec<String>,
}

/// Settles alerts, in the order in which they are named.
pub(crate) async fn settle(State(desk): Shared, body: Result<Json<Seen>, JsonRejection>) -> Answer {
    let Json(Seen { alerts }) = body?;
    let members = desk.node.members();
    let mut settled = Vec::new();
    let mut of_devices = printers::care::alerts(&desk)?;
    of_devices.extend(drawers::alerts(&desk.drawers));
    for id in alerts {
        if let Some(alert) = named(&of_devices, &id) {
            let (code, what) = (alert["code"].as_str(), alert["screen"].as_str());
            let (code, what) = (code.unwrap_or_default(), what.unwrap_or_default());
            let words = format!("{code} goes by itself once it is put right, and by no word: {what}");
            return Err(Refusal::bad("goes-by-itself", words));
        }
        let done = desk.node.settle(&id).await.map_err(|problem| match problem {
            SettleError::NotKept(problem) => Refusal::store(&problem),
            SettleError::Views(problem) => problem.into(),
            problem => Refusal::bad("settle", problem),
        })?;
        settled.push(card(&members, &done));
    }
    Ok(Json(json!({ "alerts": settled })))
}

/// The alert of these that an id or its first letters name.
fn named<'a>(alerts: &'a [Value], id: &str) -> Option<&'a Value> {
    alerts.iter().find(|alert| !id.is_empty() && alert["id"].as_str().is_some_and(|own| own.starts_with(id)))
}

/// One alert: what was seen, and what to do.
pub(crate) fn card(members: &Members, alert: &Alert) -> Value {
    json!({
        "id": alert.id,
        "about": alert.node.map(|node| answers::name_of(members, &node)),
        "settled": alert.settled,
        "code": alert.code.word(),
        "node": alert.node.map(|node| node.to_string()),
        "screen": alert.code.advice(),
        "log": alert.what,
    })
}
