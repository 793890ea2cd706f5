//! Revocation, felt: over real QUIC on a network in memory, by a clock that the test holds (F18).
//!
//! What is timed here is simulated time, so that a verdict is about the order of events and not about the machine.

use super::{Lan, sell, sold, until, until_links};
use std::time::Duration;
use tokio::time::Instant;
use toko_crdt::{Lane, NodeId};
use toko_mesh::node::{AlertCode, Node};

/// Within this a revocation is felt on every link: well before the next but one tick of anybody.
const FELT: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_revocation_ends_every_link_of_the_node_within_a_second_and_nobody_elses() {
    let mut worst = Duration::ZERO;
    for seed in 0..6 {
        let lan = Lan::open(seed, 3).await;
        let (hub, out) = (&lan.hub, &lan.tills[0]);
        let sale = sell(out, "tea").await;
        for node in lan.nodes() {
            until(node, "the sale", |node| node.entry(&sale.place).unwrap().is_some()).await;
        }
        let began = Instant::now();
        hub.revoke(out.id()).await.unwrap();
        for node in lan.nodes().filter(|node| node.id() != out.id()) {
            until_links(node, "its link ends", |links| !links.contains(&out.id())).await;
        }
        until_links(out, "all its links end", |links| links.is_empty()).await;
        worst = worst.max(began.elapsed());
        assert!(worst <= FELT, "seed {seed}: felt after {worst:?}");
        // The others go on as if nothing had been, and what it sold stands.
        let after = sell(&lan.tills[1], "milk").await;
        for node in [&lan.hub, &lan.tills[2]] {
            until(node, "the next sale", |node| node.entry(&after.place).unwrap().is_some()).await;
            assert!(node.entry(&sale.place).unwrap().is_some());
            assert!(late(node).await.is_empty());
        }
        assert!(out.entry(&after.place).unwrap().is_none(), "it hears nothing any more");
        lan.close().await;
    }
    println!("revoked to felt on all links, worst of six shops: {worst:?} of simulated time");
}

#[tokio::test(start_paused = true)]
async fn whoever_the_hub_cannot_reach_hears_of_it_from_another_till() {
    let lan = Lan::open(17, 3).await;
    let [out, behind] = [&lan.tills[0], &lan.tills[2]];
    lan.cut(&lan.hub, behind, true);
    until(behind, "the hub is dark", |node| !node.hub_alive()).await;
    let began = Instant::now();
    lan.hub.revoke(out.id()).await.unwrap();
    until_links(behind, "its link to the revoked one ends", |links| !links.contains(&out.id())).await;
    println!("heard through another till after {:?} of simulated time", began.elapsed());
    assert!(began.elapsed() <= 3 * FELT, "{:?}", began.elapsed());
    lan.close().await;
}

#[tokio::test(start_paused = true)]
async fn sales_above_the_cut_that_reach_a_good_member_stand_everywhere_and_are_flagged() {
    let lan = Lan::open(4, 2).await;
    let [out, good] = [&lan.tills[0], &lan.tills[1]];
    let seen = sell(out, "tea").await;
    until(&lan.hub, "the sale", |node| node.entry(&seen.place).unwrap().is_some()).await;
    // The hub is cut from both; they trade on, and the hub ends one of them meanwhile.
    for till in [out, good] {
        lan.cut(&lan.hub, till, true);
        until(till, "the hub is dark", |node| !node.hub_alive()).await;
    }
    let paid = sell(out, "milk").await;
    until(good, "a paid sale", |node| node.entry(&paid.place).unwrap().is_some()).await;
    lan.hub.revoke(out.id()).await.unwrap();
    assert!(lan.hub.entry(&paid.place).unwrap().is_none());
    lan.cut(&lan.hub, good, false);
    until(&lan.hub, "the paid sale", |node| node.entry(&paid.place).unwrap().is_some()).await;
    until_links(good, "the revocation", |links| !links.contains(&out.id())).await;
    for node in [&lan.hub, good] {
        assert_eq!(sold(node), 2, "both sales count");
        assert!(node.status().await.unwrap().parked.is_empty());
        assert_eq!(late(node).await, [(out.id(), "1 entries".to_owned())]);
        let found = node.late();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].journal.lane, found[0].from, found[0].to),
            (Lane::Books, paid.place.seq, paid.place.seq)
        );
    }
    assert_eq!(lan.hub.status().await.unwrap().digests, good.status().await.unwrap().digests);
    lan.close().await;
}

/// Whom an alert names, and how much of it came late.
async fn late(node: &Node) -> Vec<(NodeId, String)> {
    let alerts = node.status().await.unwrap().alerts;
    let late = alerts.into_iter().filter(|alert| alert.code == AlertCode::AfterRevocation);
    late.map(|alert| (alert.node.unwrap(), alert.what.split(" of it").next().unwrap().to_owned())).collect()
}
