//! A till that comes back goes on: with its carts, its numbers and its keys.

use crate::common::{Shop, text};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_open_cart_goes_on_and_no_key_does_anything_twice() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    shop.post("/v1/day", "day", json!({ "date": "2010-12-01" })).await;
    let first = shop.sell_a_lantern("first").await;
    let back = json!({
        "lines": [{ "code": "71053", "qty": "1" }], "tenders": [{ "kind": "cash", "amount": "3.39" }],
    });
    let returned = shop.post("/v1/returns", "back", back.clone()).await;
    let gone = json!({ "reason": "write_off", "lines": [{ "code": "71053", "qty": "1" }] });
    let written_off = shop.post("/v1/stock-movements", "gone", gone.clone()).await;
    let cart = shop.cart("c").await;
    let path = format!("/v1/carts/{cart}");
    let body = json!({ "code": "85123A", "qty": "6" });
    let line = shop.post(&format!("{path}/lines"), "l1", body.clone()).await;
    let id = text(&line["line"]["line"]);
    shop.call("PATCH", &format!("{path}/lines/{id}"), "l1b", json!({ "qty": "4" })).await;
    shop.post(&format!("{path}/lines"), "l2", json!({ "code": "POST", "qty": "1" })).await;
    shop.post(&format!("{path}/tenders"), "t", json!({ "kind": "cash", "amount": "20.00" })).await;
    let before = shop.get(&path).await;
    shop.close().await;

    let shop = Shop::open(dir.path(), 1).await;
    assert_eq!(shop.get(&path).await, before);
    assert_eq!(shop.get("/v1/day").await["date"], "2010-12-01");
    assert_eq!(shop.get("/v1/carts?state=open").await["carts"][0]["cart"], cart.as_str());
    // Each key again: the first answer, or the thing as it is now, and nothing twice.
    assert_eq!(shop.cart("c").await, cart);
    let again = shop.post(&format!("{path}/lines"), "l1", body).await;
    assert_eq!((text(&again["line"]["line"]), text(&again["line"]["qty"])), (id.clone(), "4.000".into()));
    shop.call("PATCH", &format!("{path}/lines/{id}"), "l1b", json!({ "qty": "4" })).await;
    shop.post(&format!("{path}/tenders"), "t", json!({ "kind": "cash", "amount": "20.00" })).await;
    assert_eq!(shop.post("/v1/returns", "back", back).await, returned);
    assert_eq!(shop.post("/v1/stock-movements", "gone", gone).await, written_off);
    let sold = format!("/v1/carts/{}/sale", text(&first["cart"]));
    let paid = json!({ "tenders": [{ "kind": "cash", "amount": "5.00" }] });
    assert_eq!(shop.post(&sold, "first-s", paid).await, first);
    let (status, refused) =
        shop.call("POST", &format!("{path}/lines"), "l1", json!({ "code": "POST", "qty": "1" })).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (422, Some("idempotency-key-reused")));
    assert_eq!(shop.get(&path).await, before);
    // And on it goes: the same line, a new one, the sale with the next number.
    shop.call("PATCH", &format!("{path}/lines/{id}"), "l1c", json!({ "qty": "5" })).await;
    shop.post(&format!("{path}/lines"), "l3", json!({ "code": "71053", "qty": "1" })).await;
    let sale = shop
        .post(&format!("{path}/sale"), "s", json!({ "tenders": [{ "kind": "cash", "amount": "20" }] }))
        .await;
    assert_eq!((text(&sale["total"]), text(&sale["change"])), ("34.14".into(), "5.86".into()));
    assert_eq!(sale["number"], "1-1-000003");
    shop.close().await;

    let shop = Shop::open(dir.path(), 1).await;
    assert_eq!(shop.get(&path).await["state"], "sold");
    assert_eq!(shop.get("/v1/carts").await["carts"], json!([]));
    assert_eq!(shop.sell_a_lantern("next").await["number"], "1-1-000004");
    assert_eq!(shop.get("/v1/totals").await["sales"], 3);
    assert_eq!(shop.get("/v1/stock/71053").await["qty"], "-3.000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_may_be_the_first_thing_that_a_new_process_does() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    let sale = text(&shop.sell_a_lantern("a").await["sale"]);
    shop.close().await;
    let shop = Shop::open(dir.path(), 1).await;
    let back = json!({
        "original": sale, "lines": [{ "original_line": 0, "qty": "1" }],
        "tenders": [{ "kind": "cash", "amount": "3.39" }],
    });
    assert_eq!(shop.post("/v1/returns", "r", back).await["number"], "1-1-000002");
}
