//! What `hqd` commands ask the running `hqd`: HTTP with JSON on a Unix socket that only administrators may open.
//!
//! Every refusal is JSON too: `{"error":{"code","screen","log"}}`, what to do and what happened.

mod refusal;

pub(crate) use refusal::Refusal;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::routing::get;
use axum::{Json, Router, routing::post};
use clap::ValueEnum;
use rustix::fs::Mode;
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use tokio::net::UnixListener;
use toko_retail::catalogue::CSV_BYTES_MAX;

use crate::cli::By;
use crate::headquarters::Headquarters;
use crate::publish::Goods;
use crate::report::Days;

type Shared = State<Arc<Headquarters>>;
type Answer = Result<Json<Value>, Refusal>;

/// The routes of the control socket.
pub(crate) fn routes(headquarters: Arc<Headquarters>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/stores", get(stores).post(add_store))
        .route("/stores/open", post(open_store))
        .route("/publish", post(publish))
        .route("/report", get(report))
        .fallback(refusal::nobody)
        // A catalogue as JSON text is longer than the file by its escapes.
        .layer(DefaultBodyLimit::max(CSV_BYTES_MAX.saturating_mul(2)))
        .with_state(headquarters)
}

/// Opens the socket. What a dead process left there is removed; anything else that stands there is not.
///
/// Errors: of the system; `AlreadyExists` for a file that is no socket.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => {
            let words = "a file that is no socket stands there; remove it, or set control.socket";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, words));
        }
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => {}
        Err(problem) => return Err(problem),
    }
    let listener = UnixListener::bind(path)?;
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
    Ok(listener)
}

async fn status(State(headquarters): Shared) -> Answer {
    Ok(Json(headquarters.status().await))
}

async fn stores(State(headquarters): Shared) -> Answer {
    Ok(Json(headquarters.stores().await))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewStore {
    name: String,
    currency: String,
}

async fn add_store(State(headquarters): Shared, body: Result<Json<NewStore>, JsonRejection>) -> Answer {
    let Json(NewStore { name, currency }) = body?;
    Ok(Json(headquarters.add_store(&name, &currency).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShutStore {
    store: Option<String>,
}

async fn open_store(State(headquarters): Shared, body: Result<Json<ShutStore>, JsonRejection>) -> Answer {
    let Json(ShutStore { store }) = body?;
    Ok(Json(headquarters.open_store(store.as_deref()).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publication {
    name: String,
    csv: String,
    taxes: Option<String>,
    store: Option<String>,
}

async fn publish(State(headquarters): Shared, body: Result<Json<Publication>, JsonRejection>) -> Answer {
    let Json(Publication { name, csv, taxes, store }) = body?;
    Ok(Json(headquarters.publish(&Goods { name, csv, taxes }, store.as_deref()).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    store: Option<String>,
    day: Option<String>,
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
}

async fn report(State(headquarters): Shared, query: Result<Query<Which>, QueryRejection>) -> Answer {
    let Query(which) = query?;
    let days = Days::parse(which.day.as_deref(), which.from.as_deref(), which.to.as_deref())
        .map_err(|problem| Refusal::asked_wrongly("bad-day", problem))?;
    let by = match which.by {
        None => By::Day,
        Some(word) => By::from_str(&word, false).map_err(|_| {
            Refusal::asked_wrongly("bad-by", format!("by: \"{word}\" is none of store, day, item, item-day"))
        })?,
    };
    let done =
        tokio::task::spawn_blocking(move || headquarters.report(which.store.as_deref(), days, by)).await;
    Ok(Json(done.map_err(|problem| Refusal::failed("there is no report", &problem))??))
}

impl From<JsonRejection> for Refusal {
    fn from(problem: JsonRejection) -> Self {
        let screen = "this hqd does not understand the command; is the hqd that runs of the same version?";
        Self::asked_wrongly("bad-json", screen).because(&problem.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(problem: QueryRejection) -> Self {
        let screen = "this hqd does not understand the command; is the hqd that runs of the same version?";
        Self::asked_wrongly("bad-query", screen).because(&problem.body_text())
    }
}
