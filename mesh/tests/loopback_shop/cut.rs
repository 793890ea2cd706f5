//! Cables that are pulled: a terminal cut from everybody sells on, and when it is back everybody holds the same.

use super::relay::Relay;
use super::*;
use toko_mesh::identity::Role;
use toko_mesh::node::setup::enrol_terminal;
use toko_mesh::node::{LinkStatus, Node, NodeConfig};

/// A node at the end of a cable.
struct Cabled {
    node: Node,
    relay: Relay,
}

async fn cabled(config: NodeConfig) -> Cabled {
    let relay = Relay::open().await;
    let means = meaning();
    let config = NodeConfig { advertise: vec![relay.addr], ..config };
    let node = Node::open(config, means.fold, means.scope).await.unwrap();
    relay.leads_to(node.listen_addr());
    Cabled { node, relay }
}

fn cut(one: &Cabled, others: &[&Cabled], cut: bool) {
    one.relay.cut(cut);
    for other in others {
        other.relay.block(one.node.listen_addr(), cut);
    }
}

/// Waits until a node's process has heard all that another has to say of where the others are.
async fn until_told(by: &Node, peer: &Node) {
    let wait = async {
        let mut links = by.links_changed();
        let told = |link: &LinkStatus| link.peer == peer.id() && link.settled && link.telling == 0;
        while !status(by).await.links.iter().any(told) {
            links.changed().await.unwrap();
        }
    };
    assert!(timeout(SOON, wait).await.is_ok(), "not told: {:#?}", status(by).await);
}

#[tokio::test]
async fn a_terminal_that_is_cut_off_sells_on_and_comes_back() {
    let shop = Shop::open().await;
    shop.hub.shutdown().await.unwrap();
    let Shop { dir, hub, .. } = shop;
    drop(hub);
    let path = |name: &str| dir.path().join(name);
    let hub = cabled(NodeConfig::new(path("hub"), Role::Hub, here())).await;
    let mut tills = Vec::new();
    for name in ["Till 1", "Till 2"] {
        let (path, code) = (path(name), hub.node.open_code(name).unwrap());
        enrol_terminal(&path, &code, &[hub.relay.addr], None, &meaning()).await.unwrap();
        tills.push(cabled(NodeConfig::new(path, Role::Terminal, here())).await);
    }
    let [one, two] = &tills[..] else { panic!("two tills") };
    until_linked(&one.node, &hub.node).await;
    until_linked(&one.node, &two.node).await;
    let before = sell(&one.node, "tea").await;
    until_seen(&two.node, &before).await;

    cut(one, &[&hub, two], true);
    until(&one.node, "silence is noticed", |node| !node.hub_alive()).await;
    until_unlinked(&one.node, two.node.id()).await;
    until_unlinked(&hub.node, one.node.id()).await;
    let (alone, meanwhile) = (sell(&one.node, "milk").await, sell(&two.node, "bread").await);
    until_seen(&hub.node, &meanwhile).await;
    assert!(hub.node.entry(&alone.place).unwrap().is_none());
    assert!(one.node.entry(&meanwhile.place).unwrap().is_none());

    cut(one, &[&hub, two], false);
    until_seen(&hub.node, &alone).await;
    until_seen(&two.node, &alone).await;
    until_seen(&one.node, &meanwhile).await;
    let of_hub = || hub.node.frontier().root();
    for till in &tills {
        until(&till.node, "all hold the same", |node| node.frontier().root() == of_hub()).await;
        assert_eq!(status(&till.node).await.digests, status(&hub.node).await.digests);
    }
}

#[tokio::test]
async fn a_link_that_comes_back_without_news_says_next_to_nothing() {
    let shop = Shop::open().await;
    shop.hub.shutdown().await.unwrap();
    let Shop { dir, hub, .. } = shop;
    drop(hub);
    let path = |name: &str| dir.path().join(name);
    let hub = cabled(NodeConfig::new(path("hub"), Role::Hub, here())).await;
    let mut tills = Vec::new();
    for name in ["Till 1", "Till 2", "Till 3", "Till 4", "Till 5", "Till 6"] {
        let (path, code) = (path(name), hub.node.open_code(name).unwrap());
        enrol_terminal(&path, &code, &[hub.relay.addr], None, &meaning()).await.unwrap();
        tills.push(cabled(NodeConfig::new(path, Role::Terminal, here())).await);
    }
    let (one, others) = tills.split_first().unwrap();
    let all: Vec<&Cabled> = others.iter().chain([&hub]).collect();
    for other in &all {
        until_linked(&one.node, &other.node).await;
        until_linked(&other.node, &one.node).await;
    }
    let sale = sell(&one.node, "tea").await;
    until_seen(&hub.node, &sale).await;
    until(&one.node, "both hold the same", |node| node.frontier().root() == hub.node.frontier().root()).await;
    // Once cut off and back, everybody has said to everybody where the others are.
    for _ in 0..2 {
        until_told(&one.node, &hub.node).await;
        until_told(&hub.node, &one.node).await;
        cut(one, &all, true);
        until_unlinked(&one.node, hub.node.id()).await;
        until_unlinked(&hub.node, one.node.id()).await;
        cut(one, &all, false);
        until_linked(&one.node, &hub.node).await;
        until_linked(&hub.node, &one.node).await;
    }
    let links = status(&one.node).await.links;
    let link = links.iter().find(|link| link.peer == hub.node.id()).unwrap();
    assert!(link.frame_bytes_out + link.frame_bytes_in <= 512, "{link:#?}");
}
