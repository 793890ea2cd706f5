//! Cables that are pulled: a terminal cut from everybody sells on, and when it is back everybody holds the same.

use super::relay::Relay;
use super::*;
use toko_mesh::identity::Role;
use toko_mesh::node::setup::enrol_terminal;
use toko_mesh::node::{Node, NodeConfig};

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

#[tokio::test]
async fn a_terminal_that_is_cut_off_sells_on_and_comes_back() {
    let shop = Shop::open().await;
    shop.hub.shutdown().await.unwrap();
    let hub = cabled(NodeConfig::new(shop.path("hub"), Role::Hub, here())).await;
    let mut tills = Vec::new();
    for name in ["Till 1", "Till 2"] {
        let (path, code) = (shop.path(name), hub.node.open_code(name).unwrap());
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
