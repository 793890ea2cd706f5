//! A till through its own door: what a front end can do, and what is refused.

use crate::common::{Shop, text};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_is_rung_up_paid_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 3).await;
    shop.post("/v1/day", "day", json!({ "date": "2010-12-01" })).await;
    let cart = shop.cart("c").await;
    let lines = format!("/v1/carts/{cart}/lines");
    let heart = shop.post(&lines, "l1", json!({ "code": "85123A", "qty": "6" })).await;
    assert_eq!((text(&heart["line"]["value"]), text(&heart["subtotal"])), ("15.30".into(), "15.30".into()));
    // By its GTIN in 13 digits, at another price.
    let lantern =
        json!({ "code": "0036000291452", "qty": "2", "unit_price": "3.00", "price_reason": "dented" });
    let lantern = shop.post(&lines, "l2", lantern).await;
    assert_eq!(lantern["line"]["sku"], "71053");
    assert_eq!(
        (text(&lantern["line"]["list_price"]), text(&lantern["subtotal"])),
        ("3.39".into(), "21.30".into())
    );
    let weighed = shop.post(&lines, "l3", json!({ "code": "4011", "qty": "1.250" })).await;
    assert_eq!(
        (text(&weighed["line"]["value"]), text(&weighed["subtotal"])),
        ("2.50".into(), "23.80".into())
    );
    let path = format!("{lines}/{}", text(&heart["line"]["line"]));
    let (status, fewer) = shop.call("PATCH", &path, "l1b", json!({ "qty": "4" })).await;
    assert_eq!((status, text(&fewer["subtotal"])), (200, "18.70".into()));
    let path = format!("{lines}/{}", text(&lantern["line"]["line"]));
    let (status, gone) = shop.call("DELETE", &path, "l2b", json!(null)).await;
    assert_eq!((status, gone["lines"].as_u64(), text(&gone["subtotal"])), (200, Some(2), "12.70".into()));

    let card = json!({
        "kind": "card", "amount": "10.00", "approval_code": "A1B2", "terminal_id": "T7", "last_four": "4242",
    });
    let paid = shop.post(&format!("/v1/carts/{cart}/tenders"), "t", card).await;
    assert_eq!((text(&paid["tendered"]), text(&paid["due"])), ("10.00".into(), "2.70".into()));
    let closing = json!({
        "tenders": [{ "kind": "cash", "amount": "5.00" }], "customer": "17850", "external": "536365", "receipt": true,
    });
    let sale = shop.post(&format!("/v1/carts/{cart}/sale"), "s", closing).await;
    assert_eq!(sale["number"], "3-1-000001");
    assert_eq!((text(&sale["total"]), text(&sale["change"])), ("12.70".into(), "2.30".into()));
    assert_eq!((text(&sale["day"]), sale["kind"].as_str()), ("2010-12-01".into(), Some("sale")));

    let id = text(&sale["sale"]);
    let whole = shop.get(&format!("/v1/sales/{id}")).await;
    assert_eq!(whole["lines"][0]["qty"], "4.000");
    assert_eq!(whole["customer"], "17850");
    assert_eq!(whole["holders"]["this_till"], true);
    assert_eq!(whole["print"][0]["state"], "asked");
    assert_eq!(whole["tenders"][0]["last_four"], "4242");
    let receipt = shop.get(&format!("/v1/sales/{id}/receipt")).await;
    assert!(text(&receipt["text"]).contains("CORNER SHOP"), "{receipt}");
    assert!(text(&receipt["text"]).contains("3-1-000001"), "{receipt}");
    assert_eq!(shop.get("/v1/stock/85123A").await["qty"], "-4.000");
    assert_eq!(shop.get("/v1/stock/0036000291452").await["qty"], "0.000", "removed from the cart");
    let totals = shop.get("/v1/totals").await;
    assert_eq!((totals["sales"].as_u64(), totals["money"][0]["net"].as_str()), (Some(1), Some("12.70")));
    let list = shop.get("/v1/sales?day=2010-12-01&limit=1").await;
    assert_eq!((list["sales"][0]["sale"].as_str(), list["next"].as_str()), (Some(id.as_str()), None));
    assert_eq!(shop.get(&format!("/v1/carts/{cart}")).await["state"], "sold");
    assert_eq!(shop.get("/v1/carts").await["carts"], json!([]));
    let next = shop.sell_a_lantern("next").await;
    assert_eq!(next["number"], "3-1-000002");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_a_key_answers_the_same_and_another_body_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    let cart = shop.cart("c").await;
    assert_eq!(shop.cart("c").await, cart);
    let lines = format!("/v1/carts/{cart}/lines");
    let body = json!({ "code": "71053", "qty": "1" });
    let first = shop.post(&lines, "l", body.clone()).await;
    assert_eq!(shop.post(&lines, "l", body.clone()).await, first);
    let (status, refused) = shop.call("POST", &lines, "l", json!({ "code": "71053", "qty": "2" })).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (422, Some("idempotency-key-reused")));
    assert_eq!(refused["error"]["field"], "Idempotency-Key");
    let path = format!("/v1/carts/{cart}/sale");
    let paid = json!({ "tenders": [{ "kind": "cash", "amount": "3.39" }] });
    let sale = shop.post(&path, "s", paid.clone()).await;
    assert_eq!(shop.post(&path, "s", paid).await, sale);
    let (status, refused) = shop.call("POST", &path, "s", json!({})).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (422, Some("idempotency-key-reused")));
    let (status, refused) = shop.call("POST", &path, "s2", json!({})).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("cart-done")));
    assert_eq!(shop.get("/v1/totals").await["sales"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_parked_taken_and_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    let cart = shop.cart("c").await;
    let path = format!("/v1/carts/{cart}");
    shop.post(&format!("{path}/lines"), "l", json!({ "code": "71053", "qty": "1" })).await;
    let parked = shop.post(&format!("{path}/park"), "p", json!({ "note": "the lady with the dog" })).await;
    assert_eq!((parked["state"].as_str(), parked["turn"].as_u64()), (Some("parked"), Some(2)));
    let listed = shop.get("/v1/carts?state=parked").await;
    assert_eq!(listed["carts"][0]["name"], "the lady with the dog");
    assert_eq!(
        (listed["carts"][0]["lines"].as_u64(), listed["carts"][0]["total"].as_str()),
        (Some(1), Some("3.39"))
    );
    let (status, refused) =
        shop.call("POST", &format!("{path}/lines"), "l2", json!({ "code": "71053", "qty": "1" })).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("cart-parked")));
    let taken = shop.post(&format!("{path}/take"), "t", json!(null)).await;
    assert_eq!((taken["state"].as_str(), taken["turn"].as_u64()), (Some("open"), Some(3)));
    shop.post(&format!("{path}/lines"), "l3", json!({ "code": "71053", "qty": "1" })).await;
    let money = shop.post(&format!("{path}/tenders"), "m", json!({ "kind": "cash", "amount": "1.00" })).await;
    let (status, refused) = shop.call("POST", &format!("{path}/void"), "v", json!(null)).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("money-taken")));
    let tender = text(&money["tenders"][0]["tender"]);
    let (status, back) = shop.call("DELETE", &format!("{path}/tenders/{tender}"), "b", json!(null)).await;
    assert_eq!((status, back["tendered"].as_str()), (200, Some("0.00")));
    let gone = shop.post(&format!("{path}/void"), "v2", json!(null)).await;
    assert_eq!(gone["state"], "voided");
    assert_eq!(shop.get("/v1/carts").await["carts"], json!([]));
    let (status, refused) = shop.call("POST", &format!("{path}/take"), "t2", json!(null)).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("cart-done")));
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_come_back_with_and_without_their_receipt_and_a_sale_is_voided() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    let sale = text(&shop.sell_a_lantern("a").await["sale"]);
    let back = json!({
        "original": sale, "lines": [{ "original_line": 0, "qty": "1" }], "reason": "dented",
        "tenders": [{ "kind": "cash", "amount": "3.39" }],
    });
    let returned = shop.post("/v1/returns", "r", back.clone()).await;
    assert_eq!((returned["kind"].as_str(), returned["total"].as_str()), (Some("return"), Some("-3.39")));
    assert_eq!(shop.post("/v1/returns", "r", back.clone()).await, returned);
    let (status, refused) = shop.call("POST", "/v1/returns", "r2", back).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("returned-already")));
    let loose = json!({
        "lines": [{ "code": "M", "qty": "2", "unit_price": "1.10", "name": "Manual" }],
        "tenders": [{ "kind": "cash", "amount": "2.20" }], "external": "C536379",
    });
    let loose = shop.post("/v1/returns", "r3", loose).await;
    assert_eq!((loose["total"].as_str(), loose["external"].as_str()), (Some("-2.20"), Some("C536379")));
    let wrong = text(&shop.sell_a_lantern("b").await["sale"]);
    let void =
        shop.post(&format!("/v1/sales/{wrong}/void"), "v", json!({ "reason": "wrong customer" })).await;
    assert_eq!(
        (void["kind"].as_str(), void["total"].as_str(), void["change"].as_str()),
        (Some("void"), Some("-3.39"), Some("0.00"))
    );
    let (status, refused) =
        shop.call("POST", &format!("/v1/sales/{wrong}/void"), "v2", json!({ "reason": "again" })).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("returned-already")));
    let totals = shop.get("/v1/totals").await;
    assert_eq!(totals["money"][0]["net"], "-2.20");
    assert_eq!(shop.get("/v1/stock/71053").await["qty"], "0.000");
    assert_eq!(shop.get("/v1/stock/M").await["qty"], "2.000");
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_are_written_off_received_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    let moved =
        |reason: &str, qty: &str| json!({ "reason": reason, "lines": [{ "code": "71053", "qty": qty }] });
    let gone = shop.post("/v1/stock-movements", "w", moved("write_off", "3")).await;
    assert_eq!(gone["lines"][0]["qty"], "-3.000");
    shop.post("/v1/stock-movements", "r", moved("receipt", "10")).await;
    shop.post("/v1/stock-movements", "d", moved("damage", "1")).await;
    assert_eq!(shop.get("/v1/stock/71053").await["qty"], "6.000");
    let counted = shop.post("/v1/stock-movements", "c", moved("count", "4")).await;
    assert_eq!(
        (counted["lines"][0]["qty"].as_str(), counted["lines"][0]["counted"].as_str()),
        (Some("-2.000"), Some("4.000"))
    );
    assert_eq!(shop.post("/v1/stock-movements", "c", moved("count", "4")).await, counted);
    assert_eq!(shop.get("/v1/stock?limit=1").await["items"], json!([{ "sku": "71053", "qty": "4.000" }]));
    let (status, refused) = shop.call("POST", "/v1/stock-movements", "x", moved("write_off", "-1")).await;
    assert_eq!((status, refused["error"]["field"].as_str()), (400, Some("lines[0].qty")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_opened_closed_and_a_late_sale_still_is_a_sale() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    assert_eq!(shop.get("/v1/day").await["date"], json!(null));
    let opened = shop.post("/v1/day", "d", json!({ "date": "2010-12-01" })).await;
    assert_eq!(opened["date"], "2010-12-01");
    shop.post("/v1/day", "d2", json!({ "date": "2010-12-01" })).await;
    shop.sell_a_lantern("a").await;
    let closed = shop.post("/v1/day/close", "z", json!({})).await;
    assert_eq!((closed["date"].as_str(), closed["closed"].as_bool()), (Some("2010-12-01"), Some(true)));
    assert_eq!(shop.get("/v1/totals?day=2010-12-01").await["closed"], true);
    let (status, refused) = shop.call("POST", "/v1/day", "d3", json!({ "date": "2010-12-01" })).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("day-closed")));
    let today = text(&shop.sell_a_lantern("b").await["day"]);
    assert_ne!(today, "2010-12-01", "the sale opened its own day");
    assert_eq!(shop.get("/v1/day").await["date"], today.as_str());
}
