//! The drawer at the till: asked to open for cash, and without a sale for a reason and a name. Nobody here owns one.

use crate::common::{Shop, config, text};
use serde_json::{Value, json};
use terminal_agent::config::{Config, DrawerConfig, DrawerPlace};

fn with_drawer() -> Config {
    let mut config = config();
    config.drawer = Some(DrawerConfig { place: DrawerPlace::Hub("left".into()), opens_with_cash: true });
    config
}

async fn last(shop: &Shop) -> Value {
    shop.get("/v1/drawer").await["last"].clone()
}

/// Sells one lantern, paid like this.
async fn sell(shop: &Shop, key: &str, tenders: Value) -> Value {
    let cart = shop.cart(&format!("{key}-c")).await;
    let line = json!({ "code": "71053", "qty": "1" });
    shop.post(&format!("/v1/carts/{cart}/lines"), &format!("{key}-l"), line).await;
    let paid = json!({ "tenders": tenders, "cashier": "ann" });
    shop.post(&format!("/v1/carts/{cart}/sale"), &format!("{key}-s"), paid).await
}

/// Waits until the last opening is for this sale: nobody waits for the ask, so it may come a moment later.
async fn until_asked_for(shop: &Shop, sale: &Value) -> Value {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let last = last(shop).await;
        if last["sale"] == *sale {
            return last;
        }
        assert!(tokio::time::Instant::now() < deadline, "{last} is not for {sale}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cash_of_a_sale_a_return_or_a_void_asks_for_the_drawer_and_a_card_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open_with(dir.path(), 1, &with_drawer()).await;
    shop.post("/v1/day", "day", json!({ "date": "2010-12-01" })).await;
    let card = json!([{ "kind": "card", "amount": "3.39", "approval_code": "A", "terminal_id": "T" }]);
    sell(&shop, "card", card).await;
    assert_eq!(last(&shop).await, Value::Null);

    let sold = sell(&shop, "cash", json!([{ "kind": "cash", "amount": "5.00" }])).await;
    let asked = until_asked_for(&shop, &sold["sale"]).await;
    assert_eq!((asked["reason"].as_str(), asked["cashier"].as_str()), (Some("sale"), Some("ann")));
    assert_eq!(asked["outcome"], "asked");
    let void = format!("/v1/sales/{}/void", text(&sold["sale"]));
    let voided = shop.post(&void, "void", json!({ "reason": "typo" })).await;
    until_asked_for(&shop, &voided["sale"]).await;
    // The first answer again, and no second ask.
    shop.post(&void, "void", json!({ "reason": "typo" })).await;
    let totals = shop.get("/v1/totals").await;
    assert_eq!(totals["drawer"]["for_sales"], 2, "{totals}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sale_it_opens_for_a_reason_and_a_name_and_nobody_claims_to_know_how_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open_with(dir.path(), 1, &with_drawer()).await;
    shop.post("/v1/day", "day", json!({ "date": "2010-12-01" })).await;
    for (body, code, field) in [
        (json!({ "cashier": "bob" }), "missing-field", "reason"),
        (json!({ "reason": "sale", "cashier": "bob" }), "bad-reason", "reason"),
        (json!({ "reason": "no_sale" }), "missing-field", "cashier"),
        (json!({ "reason": "no_sale", "cashier": "bob", "drawer": "right" }), "unknown-field", "drawer"),
    ] {
        let (status, refused) = shop.call("POST", "/v1/drawer/open", "bad", body).await;
        assert_eq!(status, 400, "{refused}");
        assert_eq!(
            (refused["error"]["code"].as_str(), refused["error"]["field"].as_str()),
            (Some(code), Some(field))
        );
    }
    let ask = json!({ "reason": "safe_drop", "cashier": "bob", "note": "noon" });
    let asked = shop.post("/v1/drawer/open", "drop", ask.clone()).await;
    assert_eq!(shop.post("/v1/drawer/open", "drop", ask).await, asked, "one key, one opening");
    let drawer = shop.get("/v1/drawer").await;
    assert_eq!((drawer["state"].as_str(), &drawer["at"]), (Some("unknown"), &Value::Null));
    assert_eq!(drawer["last"]["opening"], asked["opening"]);
    assert_eq!(drawer["last"]["reason"], "safe_drop");
    assert_eq!(shop.get("/v1/totals").await["drawer"]["without_sale"], 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_without_a_drawer_asks_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    shop.sell_a_lantern("one").await;
    let ask = json!({ "reason": "no_sale", "cashier": "bob" });
    let (status, refused) = shop.call("POST", "/v1/drawer/open", "k", ask).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (404, Some("no-drawer")));
    assert_eq!(shop.get("/v1/totals").await["drawer"]["for_sales"], 0);
    shop.close().await;
}
