//! Bits that flip in old parts of the log are found while everybody sells, and come back from a peer (F06).

use super::*;
use std::fs;
use toko_mesh::log::LogConfig;
use toko_mesh::node::AlertCode;
use toko_mesh::node::setup::Spot;
use toko_mesh::store::StoreConfig;

async fn open(dir: PathBuf, peers: Vec<SocketAddr>) -> Node {
    let Meaning { fold, scope } = meaning();
    let mut config = NodeConfig::new(dir, Role::Hub, here());
    config.peers = peers;
    config.store = sizes();
    Node::open(config, fold, scope).await.unwrap()
}

/// Segments that are full after a few dozen sales.
fn sizes() -> StoreConfig {
    let log = LogConfig { segment_bytes: 256 << 10, ..LogConfig::default() };
    StoreConfig { log, ..StoreConfig::default() }
}

async fn damage(node: &Node) -> Vec<String> {
    let alerts = node.alerts().await.unwrap();
    let found = alerts.into_iter().filter(|alert| alert.code == AlertCode::LogDamaged);
    found.map(|alert| alert.what).collect()
}

#[tokio::test]
async fn a_bit_that_flips_in_an_old_segment_is_told_and_a_peer_gives_back_what_it_spoilt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub");
    found_store(Spot { store: sizes(), ..Spot::from(&path) }, &meaning()).unwrap();
    let hub = open(path.clone(), Vec::new()).await;
    // Who belongs to the shop stands before the damage: a hub that forgot its tills would let none of them in.
    let till = dir.path().join("till");
    let code = hub.open_code("Till 1").unwrap();
    enrol_terminal(&till, &code, &[hub.listen_addr()], None, &meaning()).await.unwrap();
    let till = start(till, Role::Terminal, here()).await;
    for nth in 0..60 {
        sell(&hub, &format!("{nth} {}", "x".repeat(8_000))).await;
    }
    hub.checkpoint().await.unwrap();
    assert!(hub.store().reader().old_segments().unwrap().contains(&1));
    let last = sell(&hub, "the last one").await;
    until_seen(&till, &last).await;
    hub.scrub().await.unwrap();
    assert_eq!(damage(&hub).await, Vec::<String>::new());

    let file = path.join("journal/log-00000001.seg");
    let mut bytes = fs::read(&file).unwrap();
    bytes[128 << 10] ^= 8;
    fs::write(&file, bytes).unwrap();
    hub.scrub().await.unwrap();
    let told = damage(&hub).await;
    assert!(told.len() == 1 && told[0].contains("log-00000001.seg"), "{told:?}");
    let sold = sell(&hub, "it sells on").await;
    until_seen(&till, &sold).await;

    // What the advice says.
    let before = hub.frontier();
    hub.shutdown().await.unwrap();
    drop(hub);
    fs::rename(path.join("journal/views.redb"), dir.path().join("views.redb")).unwrap();
    let hub = open(path, vec![till.listen_addr()]).await;
    until(&hub, "the peer gives everything back", |hub| {
        before.lacks(&hub.frontier()).is_empty() && hub.frontier().lacks(&before).is_empty()
    })
    .await;
    hub.scrub().await.unwrap();
    assert_eq!(damage(&hub).await, Vec::<String>::new());
    assert!(!hub.store().reader().set_aside().unwrap().is_empty());
    sell(&hub, "and on").await;
}
