//! Requests to a running till by a program that has its token and means harm: each is answered, the till holds little for all
//! of them, keeps no trace of what it refused, and sells on.
//!
//! The requests are mutations by a seed of honest ones; a failure prints the request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use terminal_agent::api::{BODY_BYTES_MAX, ROUTES};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use toko_hostile::mutate::{Dice, mutated};

use super::{Count, say};

#[path = "../../../terminal-agent/tests/till/common.rs"]
mod common;

use common::{Shop, text};

/// What a program may make a till hold beyond what it holds at rest.
const HELD_MAX: usize = 8 << 20;
/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(60);
/// Requests of each route, in groups; a group that changed nothing must have changed nothing.
const GROUPS: usize = 4;
const IN_A_GROUP: usize = 8;
/// Requests that are mutated as a whole, beginning with the method.
const WHOLE: u64 = 600;
/// Programs that ask at once.
const AT_ONCE: usize = 40;
/// Connections that never send a whole request.
const STALLED: usize = 100;

/// Nothing but what is refused goes there: a day that is closed sells no more.
const CLOSING: &str = "/v1/day/close";

/// What came back of one request: nothing, or a status with JSON.
type Answer = Option<(u16, Value)>;

/// Sends bytes as they are, ends the sending half where that is asked for, and reads until the till hangs up.
async fn exchange(at: SocketAddr, bytes: &[u8], end: bool) -> Answer {
    let work = async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        // A till that has had enough hangs up while we are still talking.
        let sent = stream.write_all(bytes).await.is_ok();
        if end && sent {
            drop(stream.shutdown().await);
        }
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        answer
    };
    let answer = tokio::time::timeout(WITHIN, work).await.expect("the till answers or hangs up");
    if answer.is_empty() {
        return None;
    }
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has headers");
    let (head, body) = (String::from_utf8_lossy(&answer[..head]).into_owned(), &answer[head + 4..]);
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status");
    Some((status, serde_json::from_slice(body).unwrap_or(Value::Null)))
}

/// A request that is one, whatever it says.
fn request(shop: &Shop, method: &str, path: &str, key: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        shop.door.address,
        shop.door.token,
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What an honest program would say there.
fn honest(path: &str) -> Value {
    let line = json!({ "code": "71053", "qty": "2", "unit_price": "3.39", "name": "A", "memo": "m" });
    let cash = json!([{ "kind": "cash", "amount": "20.00" }]);
    match path {
        "/v1/day" => json!({ "date": "2010-12-01", "by": "c7" }),
        // Refused, for two reasons.
        CLOSING => json!({ "note": "late", "nobody": ["asked", {}] }),
        "/v1/carts" => json!({ "name": "the lady with the dog" }),
        "/v1/carts/{cart}/lines" => line,
        "/v1/carts/{cart}/lines/{line}" => json!({ "qty": "1.250" }),
        "/v1/carts/{cart}/tenders" => cash[0].clone(),
        "/v1/carts/{cart}/sale" => json!({ "tenders": cash, "customer": "9", "memo": "m", "receipt": true }),
        "/v1/returns" => json!({ "lines": [line], "tenders": cash, "reason": "broken" }),
        "/v1/stock-movements" => {
            json!({ "reason": "count", "lines": [{ "code": "71053", "qty": "-2" }], "note": "n" })
        }
        _ => json!({ "reason": "wrong", "receipt": false }),
    }
}

/// Any bytes as a part of a path.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}

/// A path with what stands in braces filled in: with what is there, or with something else.
fn filled(path: &str, known: &[(&str, String)], dice: &mut Dice) -> String {
    let mut out = path.to_owned();
    for (name, value) in known {
        let value = match dice.below(4) {
            0 => escaped(&mutated(value.as_bytes(), b"..\0/", dice, 80)),
            1 => "0".repeat(value.len()),
            _ => value.clone(),
        };
        out = out.replace(name, &value);
    }
    match dice.below(6) {
        0 => {
            format!("{out}?limit={}&day={}", escaped(&[dice.roll().to_le_bytes()[0]]), escaped(b"2010-12-0"))
        }
        1 => format!("{out}?{}", escaped(&dice.roll().to_le_bytes())),
        _ => out,
    }
}

/// All that a refused request leaves as it was.
async fn books(shop: &Shop) -> Value {
    let mut status = shop.get("/v1/status").await;
    // The time, and what is written of a cart some time after it was answered.
    for later in ["clock", "entries", "frontier"] {
        status[later] = json!(null);
    }
    let totals = shop.get("/v1/totals?day=2010-12-01").await;
    json!([
        status,
        shop.get("/v1/carts").await,
        shop.get("/v1/stock").await,
        shop.get("/v1/sales").await,
        totals
    ])
}

fn check(bytes: &[u8], answer: &Answer) {
    let said = String::from_utf8_lossy(&bytes[..bytes.len().min(2_000)]);
    let Some((status, body)) = answer else { panic!("no answer to {said:?}") };
    match *status {
        200 | 201 => assert!(body.is_object() || body.is_array(), "{said:?} got {body}"),
        400..=499 => {
            let told = ["code", "screen", "log"].iter().all(|part| body["error"][part].as_str() > Some(""));
            assert!(told, "{said:?} was refused without a word: {status} {body}");
        }
        _ => panic!("{said:?} got {status} {body}"),
    }
}

/// Mutated requests to every route.
async fn each_route(shop: &Shop) {
    let (cart, sold) = (shop.cart("known").await, text(&shop.sell_a_lantern("known-sale").await["sale"]));
    let line = json!({ "code": "71053", "qty": "1" });
    let line = shop.post(&format!("/v1/carts/{cart}/lines"), "known-line", line).await;
    let known = [
        ("{cart}", cart),
        ("{line}", text(&line["line"]["line"])),
        ("{tender}", "ef".repeat(16)),
        ("{sale}", sold),
        ("{code}", "71053".to_owned()),
    ];
    let mut dice = Dice(3);
    for route in &ROUTES {
        for group in 0..GROUPS {
            let (before, mut changed) = (books(shop).await, false);
            for at in 0..IN_A_GROUP {
                let method = if dice.below(8) == 0 { "PUT" } else { route.method.as_str() };
                let path = filled(route.path, &known, &mut dice);
                let body = honest(route.path).to_string().into_bytes();
                let other = honest(ROUTES[dice.below(ROUTES.len())].path).to_string().into_bytes();
                let body = if dice.below(8) == 0 || route.path == CLOSING {
                    body
                } else {
                    mutated(&body, &other, &mut dice, 4_096)
                };
                let key = if dice.below(12) == 0 {
                    "again".to_owned()
                } else {
                    format!("{group}-{at}-{}", dice.roll())
                };
                let mut bytes = request(shop, method, &path, &key, &body);
                if dice.below(12) == 0 {
                    // Nobody's token, nobody's host, or another kind of body.
                    let from = [shop.door.token.as_str(), "127.0.0.1", "application/json"][dice.below(3)];
                    let whole = String::from_utf8_lossy(&bytes).replacen(from, "x", 1);
                    bytes = if body.is_ascii() { whole.into_bytes() } else { bytes };
                }
                let answer = exchange(shop.door.address, &bytes, false).await;
                check(&bytes, &answer);
                changed |= method != "GET" && answer.is_some_and(|(status, _)| status < 300);
            }
            if !changed {
                assert_eq!(
                    books(shop).await,
                    before,
                    "{} {} changed what it refused",
                    route.method,
                    route.path
                );
            }
        }
    }
}

/// Requests that may be none: methods, lengths, versions and headers are mutated with the rest.
async fn whole_requests(shop: &Shop) {
    let sales = shop.get("/v1/sales").await;
    for seed in 0..WHOLE {
        let mut dice = Dice(seed);
        let route = &ROUTES[dice.below(ROUTES.len())];
        if route.path == CLOSING {
            continue;
        }
        // Of a cart that nobody has, so that none of it counts.
        let path = route.path.replace("{cart}", &"0".repeat(32)).replace("{sale}", &"0".repeat(64));
        let whole = request(shop, route.method.as_str(), &path, "k", br#"{"code":"none","qty":"0"}"#);
        let other = b"Transfer-Encoding: chunked\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\nffff\r\n";
        let bytes = mutated(&whole, other, &mut dice, 8_192);
        if let Some((status, _)) = exchange(shop.door.address, &bytes, true).await {
            let told = String::from_utf8_lossy(&bytes).into_owned();
            assert!(matches!(status, 100 | 200 | 201 | 400..=499), "{told:?} got {status}");
        }
    }
    assert_eq!(shop.get("/v1/sales").await, sales, "something was sold");
}

/// Requests as large and as deep as they can be, or larger, each with what it may be answered.
fn bombs(shop: &Shop) -> Vec<(&'static str, Vec<u8>)> {
    let path = "/v1/stock-movements";
    let post = |body: &[u8]| request(shop, "POST", path, "bomb", body);
    let full = |piece: &str| {
        let pieces = (BODY_BYTES_MAX - 64) / (piece.len() + 1);
        post(format!(r#"{{"lines":[{}]}}"#, vec![piece; pieces].join(",")).as_bytes())
    };
    let lines = vec![r#"{"code":"NOBODY","qty":"1"}"#; 4_000].join(",");
    let head = |header: &str| {
        let whole = String::from_utf8_lossy(&request(shop, "GET", "/v1/status", "k", b"")).into_owned();
        whole.replacen("Host:", &format!("{header}Host:"), 1).into_bytes()
    };
    let long = "a".repeat(30_000);
    let chunk = [&b"10000\r\n"[..], &[b' '; 0x1_0000], b"\r\n"].concat();
    let endless =
        String::from_utf8_lossy(&post(b"")).replacen("Content-Length: 0", "Transfer-Encoding: chunked", 1);
    vec![
        ("a body of four megabytes", post(&vec![b' '; 4 << 20])),
        ("a body without an end", [endless.as_bytes(), &chunk.repeat(64)].concat()),
        ("a megabyte of brackets", post(&vec![b'['; BODY_BYTES_MAX])),
        ("a megabyte of objects", full(r#"{"":0}"#)),
        ("a megabyte of empty lists", full("[]")),
        ("a megabyte of numbers", full("0")),
        ("a megabyte of no UTF-8", post(&vec![0xff; BODY_BYTES_MAX])),
        ("a name of a megabyte", post(format!(r#"{{"{}":1}}"#, "x".repeat(BODY_BYTES_MAX - 8)).as_bytes())),
        (
            "as many lines as there may be",
            post(format!(r#"{{"reason":"count","lines":[{lines}],"nobody":1}}"#).as_bytes()),
        ),
        ("headers of a megabyte", head(&format!("X: {}\r\n", long.repeat(35)))),
        ("two hundred headers", head(&"X: y\r\n".repeat(200))),
        ("a long path", request(shop, "GET", &format!("/v1/items/{long}"), "k", b"")),
        ("a long query", request(shop, "GET", &format!("/v1/sales?after={long}"), "k", b"")),
    ]
}

#[test]
fn a_hostile_program_makes_a_till_hold_8_mib_and_change_nothing_that_it_refused() {
    let mut count = Count::begin();
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let shop = Shop::open(dir.path(), 1).await;
        shop.post("/v1/day", "day", json!({ "date": "2010-12-01" })).await;
        each_route(&shop).await;
        whole_requests(&shop).await;
        shop.sell_a_lantern("after-mutations").await;
        let before = books(&shop).await;
        let at = shop.door.address;
        for (what, bytes) in bombs(&shop) {
            let bytes = Arc::new(bytes);
            for programs in [1, AT_ONCE] {
                count.again();
                let mut all = JoinSet::new();
                for _ in 0..programs {
                    let bytes = Arc::clone(&bytes);
                    all.spawn(async move { exchange(at, &bytes, false).await });
                }
                while let Some(answer) = all.join_next().await {
                    // One that is cut off while it talks may not hear why.
                    let Some((status, _)) = answer.unwrap() else { continue };
                    assert!(matches!(status, 400..=499 | 503), "{what} got {status}");
                }
                say(what, programs * bytes.len(), count.peak(), count.held());
                assert!(count.peak() <= HELD_MAX, "{what}, {programs} times, took {}", count.peak());
            }
        }
        stalled(&shop, &mut count).await;
        assert_eq!(books(&shop).await["/0"], before["/0"]);
        shop.close().await;
    });
}

/// Connections that begin a request and never end it, while the till sells.
async fn stalled(shop: &Shop, count: &mut Count) {
    let head = String::from_utf8_lossy(&request(shop, "POST", "/v1/carts", "stalled", b"")).into_owned();
    let body = head.replacen("Content-Length: 0", "Content-Length: 1000000", 1).into_bytes();
    let kinds = [
        ("headers that never end", [b"POST /v1/carts HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 31_000]].concat()),
        ("bodies that never end", [body, vec![b' '; 200_000]].concat()),
    ];
    for (what, bytes) in kinds {
        count.again();
        let mut guests = Vec::new();
        for _ in 0..STALLED {
            let mut guest = TcpStream::connect(shop.door.address).await.unwrap();
            // What the till does not read stays with the kernel.
            drop(tokio::time::timeout(Duration::from_millis(20), guest.write_all(&bytes)).await);
            guests.push(guest);
        }
        shop.sell_a_lantern(what).await;
        say(what, STALLED * bytes.len(), count.peak(), count.held());
        assert!(count.peak() <= HELD_MAX, "{what} took {}", count.peak());
    }
}
