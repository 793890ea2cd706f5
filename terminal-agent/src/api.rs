//! The local API: HTTP and JSON on loopback, for the till screen and any other front end.
//!
//! A request passes: the guard (who may ask), a bound on time, the body's limits, a bound on how many are worked on; then it is
//! read into a [`crate::till::Command`] or a question, which the till answers. Every answer is JSON, every refusal has one shape
//! ([`ApiError`]). Invariants: the router is made from [`ROUTES`] alone; whoever gives up waiting has not undone anything,
//! and learns what came of it by repeating the key.
//!
//! Absent on purpose: TLS (loopback), sessions, cookies, and cross-origin permissions.

mod body;
mod drawer;
mod error;
mod guard;
mod json;
mod look;
mod read;
mod routes;
mod serve;
mod show;
mod status;

pub use drawer::read_stands;
pub use error::ApiError;
pub use routes::{Operation, ROUTES, Route};
pub use serve::{bind, serve};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use toko_devices::OwnedPrinter;
use toko_retail::currency::Currency;

use crate::config::Receipt;
use crate::ledger::Ledger;
use crate::own_drawer::DrawerDesk;
use crate::scale::Weigher;
use crate::scans::Scans;
use crate::shelf::Shelf;
use crate::till::{Command, Till, idem};
use crate::wall::Wall;
use body::{Object, PROGRAM, too_large};

/// The description of this API, also served by it.
pub const OPENAPI: &str = include_str!("../openapi.json");
/// The largest body of a request.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Bodies above this are worked on one at a time, so that many at once take the memory of one.
const SMALL_BODY_BYTES: usize = 16 << 10;
/// The longest idempotency key.
pub const KEY_CHARS_MAX: usize = 128;

/// What the API needs to answer.
#[derive(Debug)]
pub struct ApiSetup {
    /// The bearer token.
    pub token: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Requests that are worked on at once.
    pub at_once: usize,
    /// How long one request may take.
    pub patience: Duration,
    /// Who does what is asked.
    pub till: Till,
    /// The node, for looking.
    pub ledger: Ledger,
    /// The catalogue, for looking.
    pub shelf: Shelf,
    /// The clock, for showing.
    pub wall: Wall,
    /// What stands on receipts.
    pub receipt: Receipt,
    /// The scale.
    pub weigher: Weigher,
    /// What the books call its cash drawer; nothing where it has none.
    pub drawer: Option<String>,
    /// The same, where it hangs on the printer of its own.
    pub own_drawer: Option<DrawerDesk>,
    /// What the scanner reads.
    pub scans: Scans,
    /// The printer that it prints on by itself.
    pub printer: Option<OwnedPrinter>,
    /// Whether that is the shop's, which the hub holds as well.
    pub shares_printer: bool,
}

/// What stands in the path for the names in braces.
type PathParams = Result<RawPathParams, RawPathParamsRejection>;

/// Shared by all requests.
#[derive(Debug, Clone)]
struct Api {
    setup: Arc<ApiSetup>,
    room: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A request that has passed the door.
struct Asked<'a> {
    params: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    headers: &'a HeaderMap,
    /// What stands for the request when its key is repeated: method, path and the body in a form of its own.
    line: String,
    bytes: Bytes,
}

/// The router of the API.
pub fn router(setup: ApiSetup) -> Router {
    let room = Arc::new(Semaphore::new(setup.at_once));
    let api = Api { setup: Arc::new(setup), room, large: Arc::new(Semaphore::new(1)) };
    let mut router = Router::new();
    for Route { method, path, operation } in ROUTES {
        let handler = move |State(api): State<Api>, params: PathParams, request: Request| async move {
            match read_params(params) {
                Ok(params) => api.answer(operation, params, request).await,
                Err(refused) => refused.into_response(),
            }
        };
        router = router.route(path, on(filter(&method), handler));
    }
    router
        .method_not_allowed_fallback(no_method)
        .fallback(no_path)
        .layer(middleware::from_fn_with_state(api.clone(), door))
        .with_state(api)
}

fn read_params(params: PathParams) -> Result<BTreeMap<String, String>, ApiError> {
    let params = params
        .map_err(|_| ApiError::field("bad-path", PROGRAM, "path", "the path is not percent-encoded UTF-8"))?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PATCH => MethodFilter::PATCH,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}

async fn no_path(uri: Uri) -> ApiError {
    let log = format!("there is nothing at {}", uri.path().chars().take(200).collect::<String>());
    ApiError::new(StatusCode::NOT_FOUND, "no-such-path", PROGRAM, log)
}

async fn no_method(method: Method) -> ApiError {
    let log = format!("{} is not possible here", method.as_str().chars().take(20).collect::<String>());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", PROGRAM, log)
}

/// Who may ask, and how long they may wait.
async fn door(State(api): State<Api>, request: Request, next: Next) -> Response {
    if let Err(refused) = guard::admit(&api.setup.token, request.uri(), request.headers()) {
        tracing::debug!(err = %refused, "a request was turned away");
        return refused.into_response();
    }
    match tokio::time::timeout(api.setup.patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let log = format!(
                "no answer within {} ms; it may have been done all the same: repeat it with the same key",
                api.setup.patience.as_millis()
            );
            let screen = "Wait a moment, then press again.";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no-answer-yet", screen, log).into_response()
        }
    }
}

impl Api {
    async fn answer(
        &self,
        operation: Operation,
        params: BTreeMap<String, String>,
        request: Request,
    ) -> Response {
        let answered = async {
            let (parts, body) = request.into_parts();
            let (bytes, _alone) = self.read_body(&parts.headers, body).await?;
            // Only now: who sends slowly takes nobody's place. The semaphore is never closed.
            // Who waits for a scan has a bound of its own, and holds up nobody who sells.
            let _room = match operation {
                Operation::Scans => None,
                _ => self.room.acquire().await.ok(),
            };
            let line = format!("{} {}", parts.method, parts.uri.path());
            let query = read_query(parts.uri.query().unwrap_or_default())?;
            let asked = Asked { params, query, headers: &parts.headers, line, bytes };
            match operation {
                Operation::LearnDrawer => self.learn_drawer(&asked).await,
                _ if read::is_command(operation) => self.act(operation, asked).await,
                _ => self.look(operation, asked).await,
            }
        };
        match answered.await {
            Ok((status, body)) => error::answer(status, &body),
            Err(refused) => {
                tracing::debug!(operation = ?operation, err = %refused, "refused");
                refused.into_response()
            }
        }
    }

    /// Reads a command, has it done once for its key, and shows the answer.
    async fn act(&self, operation: Operation, asked: Asked<'_>) -> Result<(StatusCode, Value), ApiError> {
        let key = read_key(asked.headers)?;
        no_query(&asked.query, &[])?;
        let currency = self.setup.shelf.currency();
        let (command, canonical) = understand(operation, &asked.params, &asked.bytes, currency)?;
        let canonical = format!("{}\n{canonical}", asked.line);
        let answer = self.setup.till.act(idem(key, canonical.as_bytes()), command).await?;
        let status = if read::creates(operation) { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, self.shown().answer(&answer)))
    }

    /// Reads the body. What comes with it is held for as long as a large body is worked on.
    async fn read_body(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiError> {
        let mut body = Limited::new(body, BODY_BYTES_MAX);
        let (mut bytes, mut alone) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| body_cut(&*error))?;
            let Ok(piece) = frame.into_data() else { continue };
            if alone.is_none() && bytes.len() + piece.len() > SMALL_BODY_BYTES {
                // The semaphore is never closed.
                alone = Arc::clone(&self.large).acquire_owned().await.ok();
                bytes.reserve_exact(BODY_BYTES_MAX - bytes.len());
            }
            bytes.extend_from_slice(&piece);
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !bytes.is_empty() && !kind.eq_ignore_ascii_case("application/json") {
            let log = "Content-Type must be application/json";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", PROGRAM, log));
        }
        Ok((bytes.into(), alone))
    }

    fn shown(&self) -> show::Shown<'_> {
        show::Shown { ledger: &self.setup.ledger }
    }
}

/// Reads what a changing request asks of the till, without asking it; also gives the body in the one form that stands for it
/// when its key is repeated.
///
/// Errors: whatever the caller is told. Nothing was done.
pub fn understand(
    operation: Operation,
    params: &BTreeMap<String, String>,
    body: &[u8],
    currency: Currency,
) -> Result<(Command, String), ApiError> {
    let mut body = Object::body(body)?;
    let canonical = body.canonical();
    let command = read::command(operation, params, &mut body, currency)?;
    body.done()?;
    Ok((command, canonical))
}

fn body_cut(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ApiError {
    if error.is::<http_body_util::LengthLimitError>() {
        return too_large(format!("the body has more than {BODY_BYTES_MAX} bytes"));
    }
    let log = format!("the body did not arrive: {error}");
    ApiError::new(StatusCode::BAD_REQUEST, "body-cut", PROGRAM, log)
}

fn read_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    const NAME: &str = "Idempotency-Key";
    let wrong = |code, log: &str| Err(ApiError::field(code, PROGRAM, NAME, log));
    let mut keys = headers.get_all(NAME).iter();
    let Some(key) = keys.next() else {
        return wrong("missing-key", "every changing request carries an Idempotency-Key");
    };
    if keys.next().is_some() {
        return wrong("bad-key", "more than one Idempotency-Key");
    }
    match key.to_str() {
        Ok(key)
            if (1..=KEY_CHARS_MAX).contains(&key.len())
                && key.bytes().all(|b| (b' '..=b'~').contains(&b)) =>
        {
            Ok(key)
        }
        _ => wrong("bad-key", "an Idempotency-Key has 1 to 128 printable ASCII characters"),
    }
}

/// Reads `a=b&c=d`, percent-decoded.
///
/// Errors: what is not percent-encoded UTF-8, and a name that is there twice.
pub fn read_query(query: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let mut out = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (unescape(name), unescape(value)) else {
            return Err(ApiError::field(
                "bad-query",
                PROGRAM,
                "query",
                "the query is not percent-encoded UTF-8",
            ));
        };
        if out.insert(name.clone(), value).is_some() {
            return Err(ApiError::field("bad-query", PROGRAM, &name, format!("{name} is there twice")));
        }
    }
    Ok(out)
}

fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// Refuses parameters of the query that are not known here.
fn no_query(query: &BTreeMap<String, String>, known: &[&str]) -> Result<(), ApiError> {
    match query.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let log = format!("{name} is no parameter that is known here");
            Err(ApiError::field("unknown-parameter", PROGRAM, name, log))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_what_is_twice_is_refused() {
        let query = read_query("after=BANK%20CHARGES&limit=5&x").unwrap();
        assert_eq!((query["after"].as_str(), query["x"].as_str()), ("BANK CHARGES", ""));
        for bad in ["a=1&a=2", "a=%zz", "a=%f", "a=%ff"] {
            assert!(read_query(bad).is_err(), "{bad}");
        }
    }
}
