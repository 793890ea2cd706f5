//! Shelf labels: name, price and code of items as they are priced now, on a label printer.
//!
//! A label printer confirms nothing, so a label is *sent*, never printed, and nobody tries again: whoever asked stands beside
//! it. Invariants: all labels of one order go out together or none does, since an item that is not in the catalogue is found
//! before anything is sent; one order at a time.

use crate::desk::{Answer, Desk, Refusal, Shared};
use crate::shelf;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use toko_devices::Barcode;
use toko_devices::cable::{self, Roots};
use toko_devices::label::{Shelf, tspl, zpl};
use toko_retail::catalogue::Catalogue;

pub mod config;

use config::{LabelsConfig, Language};

/// Items of one order.
const CODES_MAX: usize = 200;
/// Labels of one item.
const COPIES_MAX: u16 = 99;
/// How long the printer may take to take them.
const SEND_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn routes() -> Router<Arc<Desk>> {
    Router::new().route("/labels", post(print))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    codes: Vec<String>,
    copies: u16,
}

async fn print(State(desk): Shared, body: Result<Json<Order>, JsonRejection>) -> Answer {
    let Json(Order { codes, copies }) = body?;
    let Some(labels) = &desk.config.labels else {
        return Err(Refusal::bad(
            "no-label-printer",
            "no label printer is set up; see labels.address in hubd.toml",
        ));
    };
    if codes.is_empty() || codes.len() > CODES_MAX || !(1..=COPIES_MAX).contains(&copies) {
        let words =
            format!("1 to {CODES_MAX} codes and 1 to {COPIES_MAX} copies of each can be printed at once");
        return Err(Refusal::bad("how-many", words));
    }
    let catalogue = catalogue(&desk).await?;
    let mut job = Vec::new();
    for code in &codes {
        job.extend(label(&catalogue, code, labels, copies)?);
    }
    let _alone = desk.label_printer.lock().await;
    match timeout(SEND_WITHIN, send(labels, &job)).await {
        Ok(Ok(())) => Ok(Json(json!({ "sent": codes.len() * usize::from(copies) }))),
        Ok(Err(problem)) => Err(unsent(labels, &problem)),
        Err(_) => Err(unsent(labels, &"it did not take them in time")),
    }
}

async fn catalogue(desk: &Desk) -> Result<Catalogue, Refusal> {
    let none = || {
        Refusal::bad(
            "no-catalogue",
            "there is no catalogue yet; import one with hubctl catalogue import FILE.csv",
        )
    };
    let bundle = desk.node.read(shelf::shown)?.ok_or_else(none)?;
    let bytes =
        desk.node.blob(&bundle.blob).await.map_err(|problem| Refusal::store(&problem))?.ok_or_else(none)?;
    Catalogue::decode(&bytes).map_err(|problem| Refusal::store(&problem))
}

/// The label of one item, as the printer takes it.
fn label(catalogue: &Catalogue, code: &str, labels: &LabelsConfig, copies: u16) -> Result<Vec<u8>, Refusal> {
    let Some(item) = catalogue.lookup(code) else {
        return Err(Refusal::bad(
            "no-such-item",
            format!("no item has the code \"{code}\"; nothing was printed"),
        ));
    };
    let price = format!("{} {}", item.price.amount(), item.price.currency().code());
    let unit = if item.unit.is_empty() { String::new() } else { format!("{price}/{}", item.unit) };
    let shelf = Shelf { name: item.name, price: &price, unit_price: &unit, code: barcode(code) };
    let label = shelf.label(&labels.stock);
    Ok(match labels.language {
        Language::Zpl => zpl::encode(&label, copies),
        Language::Tspl => tspl::encode(&label, copies),
    })
}

/// The bars of a code: those of a number that goods bear, or else such as take any text.
fn barcode(code: &str) -> Option<Barcode> {
    let of_goods = match code.len() {
        13 => Barcode::ean13(code),
        12 => Barcode::upc_a(code),
        8 => Barcode::ean8(code),
        _ => Barcode::code128(code),
    };
    of_goods.or_else(|_| Barcode::code128(code)).ok()
}

async fn send(labels: &LabelsConfig, job: &[u8]) -> std::io::Result<()> {
    let mut cable = cable::connect(&labels.address, &Roots::default()).await?;
    cable.write_all(job).await?;
    cable.flush().await?;
    cable.finish().await.map(drop)
}

fn unsent(labels: &LabelsConfig, problem: &dyn std::fmt::Display) -> Refusal {
    let words =
        format!("the label printer at {} did not take all labels; look which came out", labels.address);
    Refusal::bad("labels-not-sent", words).because(problem)
}
