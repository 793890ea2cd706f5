//! A till that comes new to an old shop has rows of sales that it never had the entries of.

use crate::common::CATALOGUE;
use crate::shop::{Till, hub_until, publish, sell};
use hyper::Method;
use serde_json::{Value, json};
use terminal_agent::service::meaning;
use toko_mesh::identity::Role;
use toko_mesh::log::LogConfig;
use toko_mesh::node::setup::{Spot, found_store};
use toko_mesh::node::{History, Node, NodeConfig};
use toko_mesh::store::StoreConfig;

/// So many that the first of them fill a segment of the log.
const SALES: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sold_before_a_till_was_there_is_listed_shown_and_taken_back_or_the_till_says_where_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let log = LogConfig { segment_bytes: 32 << 10, ..LogConfig::default() };
    let store = StoreConfig { log, ..StoreConfig::default() };
    let data = dir.path().join("hub");
    found_store(Spot { store, ..Spot::from(data.as_path()) }, &meaning()).unwrap();
    // It keeps what its rows lead to, and of the rest nothing: whoever comes new begins from a snapshot.
    let history = History { floor_days: 0, books_days: 0 };
    let config = NodeConfig::new(data, Role::Hub, "127.0.0.1:0".parse().unwrap());
    let config = NodeConfig { history, store, ..config };
    let hub = Node::open(config, meaning().fold, meaning().scope).await.unwrap();
    publish(&hub, CATALOGUE, 1).await;
    let old = Till::new(dir.path(), &hub, "Till 1").await;
    old.until("/v1/status", "the catalogue", |status| status["catalogue"]["items"] == 4).await;
    for nth in 0..SALES {
        sell(&old, &format!("{nth}")).await;
    }
    let sales = old.get("/v1/sales").await.1["sales"].clone();
    let id = |nth: usize| sales[nth]["sale"].as_str().unwrap().to_owned();
    old.until(&format!("/v1/sales/{}", id(SALES - 1)), "the hub holds it", |sale| {
        sale["holders"]["devices"].as_u64() > Some(0)
    })
    .await;
    hub.seal().await.unwrap();
    hub_until(&hub, "it lets go of its first segment", |hub| !hub.store().reader().is_whole()).await;
    old.agent.stop().await;

    let new = Till::new(dir.path(), &hub, "Till 2").await;
    let day = sales[0]["day"].as_str().unwrap();
    let list = format!("/v1/sales?day={day}");
    let listed = new.until(&list, "all sales", |list| list["sales"].as_array().unwrap().len() == SALES).await;
    let (first, known) = (&listed["sales"][0], &sales[0]);
    assert_eq!(first["subtotal"], Value::Null, "it has no entry of it: {first}");
    for said in ["sale", "number", "total", "rounding", "tendered", "change", "line_count", "at", "cart"] {
        assert_eq!(first[said], known[said], "{said}");
    }

    // What its entry says comes from the hub.
    let (status, shown) = new.get(&format!("/v1/sales/{}", id(0))).await;
    assert_eq!((status, shown["lines"][0]["code"].as_str()), (200, Some("71053")), "{shown}");
    assert_eq!(new.get(&format!("/v1/sales/{}/receipt", id(1))).await.0, 200);
    let back = |nth: usize| {
        json!({
            "original": id(nth), "lines": [{ "original_line": 0, "qty": "1" }], "reason": "dented",
            "tenders": [{ "kind": "cash", "amount": "3.39" }],
        })
    };
    assert_eq!(new.post("/v1/returns", "r2", back(2)).await["total"], "-3.39");

    // Without the hub: what was shown before, and for the rest a word about what to do. It sells on.
    hub.shutdown().await.unwrap();
    assert_eq!(new.get(&format!("/v1/sales/{}", id(0))).await.0, 200);
    let asked = [
        new.get(&format!("/v1/sales/{}", id(3))).await,
        new.door.call(Method::POST, "/v1/returns", Some("r3"), Some(&back(3))).await.unwrap(),
    ];
    for (status, refused) in asked {
        assert_eq!((status, refused["error"]["code"].as_str()), (503, Some("kept-elsewhere")), "{refused}");
    }
    assert_eq!(new.get(&list).await.1["sales"].as_array().unwrap().len(), SALES + 1, "with the return");
    sell(&new, "on").await;
    new.agent.stop().await;
}
