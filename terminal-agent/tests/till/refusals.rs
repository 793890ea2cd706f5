//! Bad input at the till's door: each is refused with a code and a place, and changes nothing.

use crate::common::{Shop, text};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::borrow::Cow;
use toko_retail::ops::limits::LINES_MAX;

/// Method, path, body; then status, code and field of the refusal.
type Row<'a> = (&'a str, Cow<'a, str>, Value, u16, &'a str, &'a str);

fn row<'a>(
    method: &'a str,
    path: impl Into<Cow<'a, str>>,
    body: Value,
    status: u16,
    code: &'a str,
    field: &'a str,
) -> Row<'a> {
    (method, path.into(), body, status, code, field)
}

/// Method, path, headers, body; then status and code of the refusal.
type Raw<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, &'a str, u16, &'a str);

/// Everything that a refused request must leave as it was.
async fn everything(shop: &Shop, cart: &str) -> Value {
    let mut status = shop.get("/v1/status").await;
    status["clock"] = json!(null);
    json!([status, shop.get(cart).await, shop.get("/v1/carts").await, shop.get("/v1/stock").await])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_request_is_named_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    shop.post("/v1/day", "d", json!({ "date": "2010-12-01" })).await;
    let cart = format!("/v1/carts/{}", shop.cart("c").await);
    let line = shop.post(&format!("{cart}/lines"), "l", json!({ "code": "71053", "qty": "1" })).await;
    let line = format!("{cart}/lines/{}", text(&line["line"]["line"]));
    let sold = text(&shop.sell_a_lantern("sold").await["sale"]);
    let (lines, tenders, sale) = (format!("{cart}/lines"), format!("{cart}/tenders"), format!("{cart}/sale"));
    let nobody = "/v1/carts/00000000000000000000000000000000";
    let no_sale = format!("/v1/sales/{}", "0".repeat(64));
    let cash = |amount: &str| json!({ "tenders": [{ "kind": "cash", "amount": amount }] });
    let back = |line: Value| json!({ "lines": [line], "tenders": [{ "kind": "cash", "amount": "3.39" }] });
    let many: Vec<Value> = (0..=LINES_MAX).map(|_| json!({ "code": "71053", "qty": "1" })).collect();

    #[rustfmt::skip]
    let table: Vec<Row<'_>> = vec![
        // lines
        row("POST", &lines, json!({ "qty": "1" }), 400, "missing-field", "code"),
        row("POST", &lines, json!({ "code": "71053" }), 400, "missing-field", "qty"),
        row("POST", &lines, json!({ "code": 71053, "qty": "1" }), 400, "wrong-type", "code"),
        row("POST", &lines, json!({ "code": "71053", "qty": 1 }), 400, "wrong-type", "qty"),
        row("POST", &lines, json!({ "code": "71053", "qty": "1,5" }), 400, "bad-quantity", "qty"),
        row("POST", &lines, json!({ "code": "71053", "qty": "0" }), 400, "bad-quantity", "qty"),
        row("POST", &lines, json!({ "code": "71053", "qty": "-1" }), 400, "bad-quantity", "qty"),
        row("POST", &lines, json!({ "code": "71053", "qty": "0.5" }), 400, "bad-quantity", "qty"),
        row("POST", &lines, json!({ "code": "71053", "qty": "1e3" }), 400, "bad-quantity", "qty"),
        row("POST", &lines, json!({ "code": "71053", "qty": "99999999999999999999" }), 400, "bad-quantity", "qty"),
        row("POST", &lines, json!({ "code": "71053", "qty": "9000000000000" }), 400, "bad-quantity", "qty"),
        row("POST", &lines, json!({ "code": "", "qty": "1" }), 400, "bad-code", "code"),
        row("POST", &lines, json!({ "code": "7\u{1b}", "qty": "1" }), 400, "bad-code", "code"),
        row("POST", &lines, json!({ "code": "7".repeat(49), "qty": "1" }), 400, "bad-code", "code"),
        row("POST", &lines, json!({ "code": "NOBODY", "qty": "1" }), 404, "no-such-item", "code"),
        row("POST", &lines, json!({ "code": "85123a", "qty": "1" }), 404, "no-such-item", "code"),
        row("POST", &lines, json!({ "code": "036000291453", "qty": "1" }), 404, "no-such-item", "code"),
        row("POST", &lines, json!({ "code": "X", "qty": "1", "unit_price": "1" }), 400, "name-needed", "name"),
        row("POST", &lines, json!({ "code": "71053", "qty": "1", "unit_price": "-1" }), 400, "bad-price", "unit_price"),
        row("POST", &lines, json!({ "code": "71053", "qty": "1", "unit_price": 2.5 }), 400, "wrong-type", "unit_price"),
        row("POST", &lines, json!({ "code": "71053", "qty": "1", "unit_price": "1.0000001" }), 400, "bad-price", "unit_price"),
        row("POST", &lines, json!({ "code": "71053", "qty": "1", "memo": "4111 1111 1111 1111" }), 400, "bad-text", "memo"),
        row("POST", &lines, json!({ "code": "71053", "qty": "1", "memo": "x".repeat(121) }), 400, "bad-text", "memo"),
        row("POST", &lines, json!({ "code": "71053", "qty": "1", "price": "1" }), 400, "unknown-field", "price"),
        row("POST", &lines, json!([]), 400, "wrong-type", ""),
        row("POST", format!("{nobody}/lines"), json!({ "code": "71053", "qty": "1" }), 404, "no-such-cart", "cart"),
        row("POST", "/v1/carts/xyz/lines", json!({ "code": "71053", "qty": "1" }), 400, "bad-id", "cart"),
        row("PATCH", &line, json!({ "qty": "0" }), 400, "bad-quantity", "qty"),
        row("PATCH", &line, json!({ "qty": "1.5" }), 400, "bad-quantity", "qty"),
        row("PATCH", format!("{lines}/{}", "1".repeat(32)), json!({ "qty": "1" }), 404, "no-such-line", "line"),
        row("DELETE", format!("{lines}/{}", "1".repeat(32)), json!(null), 404, "no-such-line", "line"),
        row("DELETE", format!("{lines}/1"), json!(null), 400, "bad-id", "line"),
        // money
        row("POST", &tenders, json!({ "kind": "cash", "amount": "0" }), 400, "bad-amount", "amount"),
        row("POST", &tenders, json!({ "kind": "cash", "amount": 5 }), 400, "wrong-type", "amount"),
        row("POST", &tenders, json!({ "kind": "cash", "amount": "1.001" }), 400, "bad-amount", "amount"),
        row("POST", &tenders, json!({ "kind": "gold", "amount": "1" }), 400, "bad-tender", "kind"),
        row("POST", &tenders, json!({ "kind": "card", "amount": "1", "terminal_id": "T" }), 400, "missing-field", "approval_code"),
        row("POST", &tenders, json!({ "kind": "card", "amount": "1", "approval_code": "A", "terminal_id": "T", "last_four": "12345" }), 400, "bad-tender", "kind"),
        row("POST", &tenders, json!({ "kind": "card", "amount": "1", "approval_code": "4111111111111111", "terminal_id": "T" }), 400, "bad-tender", "kind"),
        row("DELETE", format!("{tenders}/{}", "1".repeat(32)), json!(null), 404, "no-such-tender", "tender"),
        // sales
        row("POST", &sale, json!({}), 422, "tenders-short", "tenders"),
        row("POST", &sale, cash("3.38"), 422, "tenders-short", "tenders"),
        row("POST", &sale, json!({ "tenders": [{ "kind": "card", "amount": "5", "approval_code": "A", "terminal_id": "T" }] }), 422, "too-much-by-card", "tenders"),
        row("POST", &sale, json!({ "tenders": [{ "kind": "cash", "amount": "5", "tip": "1" }] }), 400, "unknown-field", "tenders[0].tip"),
        row("POST", &sale, json!({ "tenders": {} }), 400, "wrong-type", "tenders"),
        row("POST", &sale, json!({ "receipt": "yes" }), 400, "wrong-type", "receipt"),
        row("POST", &sale, json!({ "customer": "x".repeat(65) }), 400, "bad-text", "customer"),
        row("POST", format!("{nobody}/sale"), cash("5"), 404, "no-such-cart", "cart"),
        row("POST", format!("{nobody}/park"), json!({}), 404, "no-such-cart", "cart"),
        row("POST", format!("{nobody}/take"), json!(null), 404, "no-such-cart", "cart"),
        row("POST", format!("{nobody}/void"), json!(null), 404, "no-such-cart", "cart"),
        row("POST", format!("{cart}/park"), json!({ "note": "a\nb" }), 400, "bad-text", "note"),
        row("POST", "/v1/carts", json!({ "name": 7 }), 400, "wrong-type", "name"),
        // returns
        row("POST", "/v1/returns", json!({ "lines": [] }), 400, "missing-field", "lines"),
        row("POST", "/v1/returns", back(json!({ "qty": "1" })), 400, "missing-field", "lines[0].code"),
        row("POST", "/v1/returns", back(json!({ "code": "71053", "qty": "-1" })), 400, "bad-quantity", "lines[0].qty"),
        row("POST", "/v1/returns", back(json!({ "original_line": 0, "qty": "1" })), 400, "no-original", "original"),
        row("POST", "/v1/returns", back(json!({ "original_line": 70_000, "qty": "1" })), 400, "wrong-type", "lines[0].original_line"),
        row("POST", "/v1/returns", json!({ "lines": [{ "code": "71053", "qty": "1" }], "tenders": [{ "kind": "cash", "amount": "3.40" }] }), 422, "refund-differs", "tenders"),
        row("POST", "/v1/returns", json!({ "original": "zz", "lines": [{ "original_line": 0, "qty": "1" }] }), 400, "bad-id", "original"),
        row("POST", "/v1/returns", json!({ "original": "0".repeat(64), "lines": [{ "original_line": 0, "qty": "1" }] }), 404, "no-such-sale", "sale"),
        row("POST", "/v1/returns", json!({ "original": sold, "lines": [{ "original_line": 9, "qty": "1" }], "tenders": [] }), 404, "no-such-line", "lines"),
        row("POST", "/v1/returns", json!({ "original": sold, "lines": [{ "original_line": 0, "qty": "2" }], "tenders": [] }), 409, "returned-already", "lines"),
        row("POST", format!("{no_sale}/void"), json!({ "reason": "x" }), 404, "no-such-sale", "sale"),
        row("POST", format!("/v1/sales/{sold}/void"), json!({}), 400, "missing-field", "reason"),
        row("POST", format!("/v1/sales/{sold}/void"), json!({ "reason": " " }), 400, "bad-text", ""),
        row("POST", format!("{no_sale}/print"), json!({}), 404, "no-such-sale", "sale"),
        // goods and days
        row("POST", "/v1/stock-movements", json!({ "reason": "theft", "lines": [] }), 400, "bad-reason", "reason"),
        row("POST", "/v1/stock-movements", json!({ "reason": "damage", "lines": [] }), 400, "missing-field", "lines"),
        row("POST", "/v1/stock-movements", json!({ "reason": "damage", "lines": [{ "code": "71053", "qty": "0" }] }), 400, "bad-quantity", "lines[0].qty"),
        row("POST", "/v1/stock-movements", json!({ "reason": "count", "lines": [{ "code": "71053", "qty": "-1" }] }), 400, "bad-quantity", "lines[0].qty"),
        row("POST", "/v1/stock-movements", json!({ "reason": "damage", "lines": [{ "code": "71053", "qty": "1" }, { "code": "A", "qty": "x" }] }), 400, "bad-quantity", "lines[1].qty"),
        row("POST", "/v1/stock-movements", json!({ "reason": "receipt", "lines": many }), 400, "too-many", "lines"),
        row("POST", "/v1/day", json!({ "date": "2011-02-29" }), 400, "bad-day", "date"),
        row("POST", "/v1/day", json!({}), 400, "missing-field", "date"),
        row("POST", "/v1/day/close", json!({ "date": "1999-01-01" }), 409, "no-day", ""),
        row("POST", "/v1/day?x=1", json!({ "date": "2010-12-01" }), 400, "unknown-parameter", "x"),
    ];

    let before = everything(&shop, &cart).await;
    for (at, (method, path, body, status, code, field)) in table.into_iter().enumerate() {
        let (got, answer) = shop.call(method, &path, &format!("bad{at}"), body.clone()).await;
        let error = &answer["error"];
        let found = (got, error["code"].as_str().unwrap_or("?"), error["field"].as_str().unwrap_or(""));
        assert_eq!(
            found,
            (status, code, field),
            "{method} {path} {:.200}: {:.300}",
            body.to_string(),
            answer.to_string()
        );
        assert!(!text(&error["screen"]).is_empty() && !text(&error["log"]).is_empty());
    }
    assert_eq!(everything(&shop, &cart).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_the_answer_is_json_with_a_code() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    let host = shop.door.address.to_string();
    let bearer = format!("Bearer {}", shop.door.token);
    let json_kind = ("content-type", "application/json");
    let (key, host, token) =
        (("idempotency-key", "k"), ("host", host.as_str()), ("authorization", bearer.as_str()));
    let long = "x".repeat(129);
    let big = " ".repeat((1 << 20) + 1);
    #[rustfmt::skip]
    let table: Vec<Raw<'_>> = vec![
        ("GET", "/v1/status", vec![host], "", 401, "unauthorized"),
        ("GET", "/v1/status", vec![host, ("authorization", "Bearer x")], "", 401, "unauthorized"),
        ("GET", "/nowhere", vec![host], "", 401, "unauthorized"),
        ("GET", "/v1/status", vec![("host", "evil.example"), token], "", 403, "foreign-host"),
        ("GET", "/v1/status", vec![host, token, ("origin", "https://evil.example")], "", 403, "foreign-origin"),
        ("GET", "/nowhere", vec![host, token], "", 404, "no-such-path"),
        ("DELETE", "/v1/status", vec![host, token], "", 405, "method-not-allowed"),
        ("GET", "/v1/items/NOBODY", vec![host, token], "", 404, "no-such-item"),
        ("GET", "/v1/items/%00", vec![host, token], "", 400, "bad-code"),
        ("GET", "/v1/stock?limit=0", vec![host, token], "", 400, "bad-limit"),
        ("GET", "/v1/stock?limit=1&limit=2", vec![host, token], "", 400, "bad-query"),
        ("GET", "/v1/stock?page=1", vec![host, token], "", 400, "unknown-parameter"),
        ("GET", "/v1/carts?state=gone", vec![host, token], "", 400, "bad-state"),
        ("GET", "/v1/sales?day=today", vec![host, token], "", 400, "bad-day"),
        ("GET", "/v1/sales/12", vec![host, token], "", 400, "bad-id"),
        ("POST", "/v1/carts", vec![host, token, json_kind], "{}", 400, "missing-key"),
        ("POST", "/v1/carts", vec![host, token, json_kind, key, key], "{}", 400, "bad-key"),
        ("POST", "/v1/carts", vec![host, token, json_kind, ("idempotency-key", "")], "{}", 400, "bad-key"),
        ("POST", "/v1/carts", vec![host, token, json_kind, ("idempotency-key", &long)], "{}", 400, "bad-key"),
        ("POST", "/v1/carts", vec![host, token, json_kind, key], "{", 400, "bad-json"),
        ("POST", "/v1/carts", vec![host, token, json_kind, key], "\u{feff}{}", 400, "bad-json"),
        ("POST", "/v1/carts", vec![host, token, key], "{}", 415, "not-json"),
        ("POST", "/v1/carts", vec![host, token, key, ("content-type", "text/plain")], "{}", 415, "not-json"),
        ("POST", "/v1/carts", vec![host, token, json_kind, key], &big, 413, "body-too-large"),
    ];
    for (method, path, headers, body, status, code) in table {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let (got, answer) = shop.door.send(request).await.unwrap();
        assert_eq!(
            (got, answer["error"]["code"].as_str()),
            (status, Some(code)),
            "{method} {path}: {answer}"
        );
    }
    assert_eq!(shop.get("/v1/carts").await["carts"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn deeply_nested_json_is_refused_and_costs_nobody_the_till() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    let deep = "[".repeat(100_000);
    let request = Request::builder()
        .method("POST")
        .uri("/v1/carts")
        .header("host", shop.door.address.to_string())
        .header("authorization", format!("Bearer {}", shop.door.token))
        .header("content-type", "application/json")
        .header("idempotency-key", "k")
        .body(Full::new(Bytes::from(deep)))
        .unwrap();
    let (status, answer) = shop.door.send(request).await.unwrap();
    assert_eq!((status, answer["error"]["code"].as_str()), (400, Some("bad-json")));
    shop.sell_a_lantern("a").await;
}
