//! Older and newer builds beside each other: two values of one fold stand for them, over whole nodes (F41, F42).

use super::{Lan, sell, sold, until};
use toko_crdt::{Body, Lane};
use toko_mesh::node::Node;
use toko_mesh::store::Wait;

#[tokio::test(start_paused = true)]
async fn what_a_newer_build_wrote_is_kept_handed_on_and_counts_after_the_upgrade() {
    let mut lan = Lan::found(3, 1).await;
    lan.enrol(2).await;
    lan.enrol(1).await;
    sell(&lan.tills[0], "tea").await;
    sell(&lan.tills[1], "milk").await;
    // An op of its own version, and a body of a family that neither of them knows.
    let newer = sell(&lan.tills[0], "v2 bread").await;
    let unknown = Body::Unknown(vec![0x7e, 1, 9]);
    let unknown = lan.tills[0].append(Lane::Books, unknown, None, Wait::Synced).await.unwrap();
    let last = sell(&lan.tills[0], "jam").await;
    for node in [&lan.hub, &lan.tills[1]] {
        until(node, "all that the newer one wrote", |node| node.entry(&last.place).unwrap().is_some()).await;
        until(node, "all that it can read", |node| sold(node) == 3).await;
        assert_eq!(codes(node).await, ["newer", "newer"]);
    }
    until(&lan.tills[0], "all that it can read", |node| sold(node) == 4).await;
    assert_eq!(codes(&lan.tills[0]).await, ["newer"]);
    same(&[&lan.hub, &lan.tills[1]]).await;

    // Only older ones are left to hand it on, and they do, to the byte.
    lan.tills[0].shutdown().await.unwrap();
    lan.enrol(2).await;
    until(&lan.tills[2], "what older ones hand on", |node| node.entry(&last.place).unwrap().is_some()).await;
    until(&lan.tills[2], "all that it can read", |node| sold(node) == 4).await;
    assert_eq!(codes(&lan.tills[2]).await, ["newer"]);
    for place in [newer.place, unknown.place] {
        assert_eq!(lan.tills[2].entry(&place).unwrap(), lan.hub.entry(&place).unwrap());
    }

    // The upgrade; and a way back, which is no trap.
    lan.upgrade(1, 2).await;
    assert_eq!((sold(&lan.tills[1]), codes(&lan.tills[1]).await), (4, vec!["newer"]));
    same(&[&lan.tills[1], &lan.tills[2]]).await;
    lan.upgrade(1, 1).await;
    assert_eq!((sold(&lan.tills[1]), codes(&lan.tills[1]).await), (3, vec!["newer", "newer"]));
    let after = sell(&lan.tills[2], "after").await;
    until(&lan.tills[1], "a sale of a newer till", |node| node.entry(&after.place).unwrap().is_some()).await;
    same(&[&lan.hub, &lan.tills[1]]).await;
    lan.upgrade(1, 2).await;
    same(&[&lan.tills[1], &lan.tills[2]]).await;
    lan.close().await;
}

async fn codes(node: &Node) -> Vec<&'static str> {
    node.status().await.unwrap().parked.iter().map(|parked| parked.code.word()).collect()
}

/// Waits until these hold the same, and then they show the same.
async fn same(nodes: &[&Node]) {
    for node in nodes {
        let root = nodes[0].frontier().root();
        until(node, "all hold the same", |node| node.frontier().root() == root).await;
    }
    let digests = nodes[0].status().await.unwrap().digests;
    for node in nodes {
        assert_eq!(node.status().await.unwrap().digests, digests);
    }
}
