//! What `hubctl` asks, answered: HTTP with JSON on a Unix socket that only administrators may open.
//!
//! Every refusal is JSON too: `{"error":{"code","screen","log"}}`, what to do and what happened.

use crate::config::Config;
use crate::drawers::{self, SharedDrawers};
use crate::names::Names;
use crate::printers::{self, Printers};
use crate::quarantine;
use crate::seals;
use crate::shelf::{self, Goods, ShelfError};
use crate::slip;
use crate::{answers, care, doctor, labels, metrics, word};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::lookup_host;
use toko_crdt::member::name_is_sane;
use toko_crdt::{Body, KvError, Lane, NodeId};
use toko_mesh::enrol::{Code, CodeKind, RecoveryCode};
use toko_mesh::node::{AdminError, LinkStatus, Node, SealNowError};
use toko_mesh::store::Wait;
use toko_paper::drawer::newest_open_day;
use toko_retail::catalogue::CSV_BYTES_MAX;
use toko_retail::day::Day;
use toko_retail::ops::{DayOpenedV1, OpV1, What};
use toko_retail::views::{self, PublishedBundle};

/// What the desk works with.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) node: Node,
    pub(crate) config: Config,
    pub(crate) names: Arc<Names>,
    pub(crate) printers: Arc<Printers>,
    pub(crate) drawers: SharedDrawers,
    /// Held while labels are sent.
    pub(crate) label_printer: tokio::sync::Mutex<()>,
}

impl Desk {
    /// A hub that was succeeded enrols, publishes and opens nothing: it would do the other hub's work against it.
    pub(crate) fn must_be_hub(&self) -> Result<(), Refusal> {
        if self.node.is_hub() {
            return Ok(());
        }
        let hub = self.node.members().hub();
        let who = hub.map(|(term, hub)| format!("node {} is, since term {term}", hub.short()));
        let words = "this machine is not the hub of its store any more; ask the hub";
        Err(Refusal::bad("not-the-hub", words).because(&who.unwrap_or_default()))
    }
}

pub(crate) type Shared = State<Arc<Desk>>;
pub(crate) type Answer = Result<Json<Value>, Refusal>;

/// A refusal, on its way to JSON.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    screen: String,
    log: String,
}

impl Refusal {
    pub(crate) fn bad(code: &'static str, screen: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, screen: screen.to_string(), log: String::new() }
    }

    pub(crate) fn store(problem: &dyn std::fmt::Display) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "store",
            screen: "the hub's store did not take it; look at hubctl status and at the disk".into(),
            log: problem.to_string(),
        }
    }

    pub(crate) fn because(mut self, log: &dyn std::fmt::Display) -> Self {
        self.log = log.to_string();
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "screen": self.screen, "log": self.log } });
        (self.status, Json(body)).into_response()
    }
}

impl From<KvError> for Refusal {
    fn from(problem: KvError) -> Self {
        Self::store(&problem)
    }
}

impl From<JsonRejection> for Refusal {
    fn from(problem: JsonRejection) -> Self {
        Self::bad("bad-json", "the request is not what this hub understands; is hubctl of the same version?")
            .because(&problem.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(problem: QueryRejection) -> Self {
        Self::bad("bad-query", "the request is not what this hub understands; is hubctl of the same version?")
            .because(&problem.body_text())
    }
}

/// The routes of the control socket.
pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/doctor", get(doctor::look))
        .route("/alerts", get(care::alerts))
        .route("/recovery-code", get(care::recovery_code))
        .route("/alerts/settle", post(care::settle))
        .route("/terminals", get(terminals))
        .route("/enrol", post(enrol))
        .route("/revoke", post(revoke))
        .route("/catalogue", get(catalogue).post(import))
        .route("/day", get(day).post(open_day))
        .route("/stock", get(stock))
        .route("/sales", get(sales))
        .route("/parked", get(parked))
        .route("/jobs", get(jobs).post(word::say))
        .route("/printers", get(printers::show::all))
        .route("/printers/probe", post(printers::show::probe))
        .route("/printers/learn", post(printers::show::learn))
        .route("/metrics", get(metrics::all))
        .route("/seal", post(seal))
        .route("/seals", get(seals))
        .route("/join-hq", post(join_hq))
        .merge(quarantine::routes())
        .merge(drawers::routes())
        .merge(labels::routes())
        .fallback(|| async {
            Refusal::bad("no-such-command", "this hub knows no such command; is hubctl of the same version?")
        })
        .layer(DefaultBodyLimit::max(CSV_BYTES_MAX + (1 << 20)))
        .with_state(desk)
}

async fn status(State(desk): Shared) -> Answer {
    let status = desk.node.status().await?;
    let members = desk.node.members();
    let (catalogue, business_day) = desk.node.read(|kv| Ok((shelf::shown(kv)?, newest_open_day(kv)?)))?;
    let mut alerts: Vec<Value> = status.alerts.iter().map(|alert| care::card(&members, alert)).collect();
    alerts.extend(printers::care::alerts(&desk)?);
    alerts.extend(drawers::alerts(&desk.drawers));
    Ok(Json(json!({
        "store": { "id": members.store().to_string(), "name": desk.config.shop_name },
        "hub": {
            "node": status.node.to_string(),
            "term": status.hub.term,
            "is_hub": status.hub.node == Some(status.node),
            "listen": status.listen.to_string(),
        },
        "business_day": business_day.map(|day| day.to_string()),
        "catalogue": catalogue.as_ref().map(shelf_card),
        "headquarters": status.headquarters.map(|hq| json!({
            "node": hq.node.to_string(), "alive": hq.alive, "behind": hq.behind,
            "unreachable": desk.names.why_dark(&status, &hq),
        })),
        "printer": printers::show::brief(&desk.printers),
        "digests": { "books": status.digests.books.to_string(), "floor": status.digests.floor.to_string() },
        "frontier": status.frontier_root.to_string(),
        "books_frontier": status.books_root.to_string(),
        "entries": status.entries,
        "parked": status.parked.len(),
        "parked_codes": quarantine::counts(&status.parked),
        "links": status.links.iter().map(link_card).collect::<Vec<_>>(),
        "alerts": alerts,
    })))
}

fn link_card(link: &LinkStatus) -> Value {
    json!({
        "node": link.peer.to_string(),
        "name": link.name,
        "address": link.addr.to_string(),
        "rung": link.rung.word(),
        "settled": link.settled,
        "rtt_us": link.rtt.as_micros(),
        "lacks": link.it_lacks,
        "we_lack": link.we_lack,
        "bytes_out": link.bytes_out,
        "bytes_in": link.bytes_in,
    })
}

fn shelf_card(bundle: &PublishedBundle) -> Value {
    json!({ "name": bundle.name, "items": bundle.items, "bundle": bundle.blob.to_string() })
}

async fn terminals(State(desk): Shared) -> Answer {
    let (members, status) = (desk.node.members(), desk.node.status().await?);
    let late = desk.node.late();
    let mut rows = Vec::new();
    for node in members.nodes() {
        let Some((number, name)) = members.roles(&node).terminal.into_iter().next() else { continue };
        let link = status.links.iter().find(|link| link.peer == node);
        let state = match (members.is_member(&node), link) {
            (false, _) => "revoked",
            (true, Some(_)) => "linked",
            (true, None) => "dark",
        };
        rows.push((
            number,
            json!({
                "number": number,
                "name": name,
                "node": node.to_string(),
                "state": state,
                "address": link.map(|link| link.addr.to_string()),
                "lacks": link.map(|link| link.it_lacks),
                "late": late
                    .iter()
                    .filter(|late| late.journal.node == node)
                    .map(|late| late.to - late.from + 1)
                    .sum::<u64>(),
            }),
        ));
    }
    rows.sort_by_key(|(number, _)| *number);
    Ok(Json(json!({ "terminals": rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTerminal {
    name: String,
}

async fn enrol(State(desk): Shared, body: Result<Json<NewTerminal>, JsonRejection>) -> Answer {
    let Json(NewTerminal { name }) = body?;
    if !name_is_sane(&name) {
        return Err(Refusal::bad(
            "bad-name",
            "a terminal's name has 1 to 64 letters, and no control characters or spaces around it",
        ));
    }
    desk.must_be_hub()?;
    let code = desk.node.open_code(&name).map_err(|problem| Refusal::bad("enrol", problem))?;
    let slip = match desk.printers.first() {
        Some(station) => {
            let page = slip::enrolment(&desk.config.shop_name, &name, &code.to_string());
            Some(slip::print(station, page).await)
        }
        None => None,
    };
    Ok(Json(json!({ "code": code.to_string(), "name": name, "minutes": 15, "tries": 5, "slip": slip })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outgoing {
    terminal: String,
}

async fn revoke(State(desk): Shared, body: Result<Json<Outgoing>, JsonRejection>) -> Answer {
    let Json(Outgoing { terminal }) = body?;
    desk.must_be_hub()?;
    let members = desk.node.members();
    let is_named = |node: &NodeId| {
        let roles = members.roles(node);
        let by_name =
            roles.terminal.iter().any(|(number, name)| *name == terminal || number.to_string() == terminal);
        let may_go = roles.is_terminal() || roles.is_hub();
        may_go && (by_name || node.to_string() == terminal || answers::name_of(&members, node) == terminal)
    };
    let named: Vec<NodeId> =
        members.nodes().into_iter().filter(|node| members.is_member(node) && is_named(node)).collect();
    match named.as_slice() {
        [node] => {
            desk.node.revoke(*node).await.map_err(|problem| match problem {
                AdminError::NotSaved(problem) => Refusal::store(&problem),
                problem => Refusal::bad("revoke", problem),
            })?;
            Ok(Json(json!({ "node": node.to_string(), "name": answers::name_of(&members, node) })))
        }
        [] => Err(Refusal::bad(
            "no-such-terminal",
            format!("no terminal is called \"{terminal}\"; see hubctl terminals"),
        )),
        _ => Err(Refusal::bad(
            "which-terminal",
            format!("several terminals are called \"{terminal}\"; name one by its node id"),
        )),
    }
}

async fn catalogue(State(desk): Shared) -> Answer {
    match desk.node.read(shelf::shown)? {
        Some(bundle) => Ok(Json(shelf_card(&bundle))),
        None => Err(Refusal::bad(
            "no-catalogue",
            "there is no catalogue yet; import one with hubctl catalogue import FILE.csv",
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCatalogue {
    name: String,
    csv: String,
    taxes: Option<String>,
}

async fn import(State(desk): Shared, body: Result<Json<NewCatalogue>, JsonRejection>) -> Answer {
    let Json(NewCatalogue { name, csv, taxes }) = body?;
    desk.must_be_hub()?;
    let goods = Goods {
        name: &name,
        csv: csv.as_bytes(),
        taxes: taxes.as_deref().map(str::as_bytes),
        currency: desk.config.currency,
    };
    match shelf::import(&desk.node, &goods).await {
        Ok(bundle) => Ok(Json(shelf_card(&bundle))),
        Err(problem @ ShelfError::NotKept(_)) => Err(Refusal::store(&problem)),
        Err(problem) => Err(Refusal::bad("catalogue", problem)),
    }
}

async fn day(State(desk): Shared) -> Answer {
    let day = desk.node.read(newest_open_day)?;
    Ok(Json(json!({ "business_day": day.map(|day| day.to_string()) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDay {
    date: String,
}

async fn open_day(State(desk): Shared, body: Result<Json<NewDay>, JsonRejection>) -> Answer {
    let Json(NewDay { date }) = body?;
    desk.must_be_hub()?;
    let day = Day::parse(&date).map_err(|problem| Refusal::bad("bad-date", problem))?;
    let first = desk.node.read(|kv| views::first_open_day(kv))?;
    if let Some(first) = first.filter(|first| day < *first) {
        let why = format!("the business day {day} is settled; the first day that can be opened is {first}");
        return Err(Refusal::bad("day-settled", why));
    }
    let body = Body::Op(OpV1::new(What::DayOpened(DayOpenedV1 { day: day.number(), by: None })).encode());
    desk.node
        .append(Lane::Books, body, None, Wait::Synced)
        .await
        .map_err(|problem| Refusal::store(&problem))?;
    Ok(Json(json!({ "business_day": day.to_string() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichCode {
    code: Option<String>,
}

async fn stock(State(desk): Shared, query: Result<Query<WhichCode>, QueryRejection>) -> Answer {
    let Query(WhichCode { code }) = query?;
    Ok(Json(desk.node.read(|kv| answers::stock(kv, code.as_deref()))?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichDay {
    day: Option<String>,
}

async fn sales(State(desk): Shared, query: Result<Query<WhichDay>, QueryRejection>) -> Answer {
    let Query(WhichDay { day }) = query?;
    let day =
        day.map(|day| Day::parse(&day)).transpose().map_err(|problem| Refusal::bad("bad-date", problem))?;
    Ok(Json(desk.node.read(|kv| answers::sales(kv, day))?))
}

async fn parked(State(desk): Shared) -> Answer {
    let members = desk.node.members();
    Ok(Json(desk.node.read(|kv| answers::parked(kv, &members))?))
}

async fn jobs(State(desk): Shared) -> Answer {
    let members = desk.node.members();
    Ok(Json(desk.node.read(|kv| answers::jobs(kv, &desk.printers, &members))?))
}

async fn seal(State(desk): Shared) -> Answer {
    let written = desk.node.seal().await.map_err(|problem| match problem {
        SealNowError::NotTheHub => Refusal::bad("not-the-hub", problem),
        other => Refusal::store(&other),
    })?;
    Ok(Json(json!({ "seal": written.hash.to_string() })))
}

async fn seals(State(desk): Shared) -> Answer {
    Ok(Json(seals::shown(&desk.node.seals()?, &desk.node.members())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Joining {
    code: String,
    hq: String,
    recovery_code: String,
}

async fn join_hq(State(desk): Shared, body: Result<Json<Joining>, JsonRejection>) -> Answer {
    let Json(Joining { code, hq, recovery_code }) = body?;
    desk.must_be_hub()?;
    let code = Code::parse(CodeKind::JoinHq, &code).map_err(|problem| Refusal::bad("bad-code", problem))?;
    let root =
        RecoveryCode::parse(&recovery_code).map_err(|problem| Refusal::bad("bad-recovery-code", problem))?;
    let found = lookup_host(hq.as_str()).await.map_err(|problem| {
        Refusal::bad(
            "bad-address",
            format!("{hq} does not resolve; write host and port, such as hq.example.com:7430"),
        )
        .because(&problem)
    })?;
    let addresses: Vec<SocketAddr> = found.collect();
    let joined = desk
        .node
        .join_headquarters(&code, &addresses, &root)
        .await
        .map_err(|problem| Refusal::bad("join-hq", problem))?;
    Ok(Json(json!({ "headquarters": joined.to_string(), "hq": hq })))
}
