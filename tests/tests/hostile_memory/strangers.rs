//! A stranger on the network: what a node holds for somebody whom it does not know.

use std::time::{Duration, Instant};

use terminal_agent::service::meaning;
use toko_mesh::identity::Role;
use toko_mesh::node::setup::found_store;
use toko_mesh::node::{Node, NodeConfig};
use toko_tests::attack::{first_packets, rubbish, send};

use super::{Count, allowed, say};

/// All that strangers may make a node hold.
const IN_ALL: usize = 8 << 20;
/// What the first handshakes may take before a flood is told from a shop that wakes up: eight of them, with their keys.
const FIRST: usize = 1 << 20;
/// How long a node may take to forget a stranger: the deadline of a handshake and some.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(30);

async fn node(dir: &std::path::Path) -> Node {
    let data = dir.join("hub");
    found_store(&data, &meaning()).unwrap();
    let config = NodeConfig::new(data, Role::Hub, "127.0.0.1:0".parse().unwrap());
    Node::open(config, meaning().fold, meaning().scope).await.unwrap()
}

/// Sends packets a few at a time, so that the kernel drops none, and looks at the highest mark.
async fn flood(node: &Node, count: &Count, packets: &[Vec<u8>]) -> (usize, usize) {
    let mut sent = 0;
    for some in packets.chunks(64) {
        sent += send(node.listen_addr(), some, 64).unwrap();
        // A turn for the node: it is alive, whatever comes.
        node.probe().await.unwrap();
        tokio::task::yield_now().await;
    }
    (sent, count.peak())
}

/// Looks until no more than `bytes` is held.
async fn forgotten(count: &Count, bytes: usize) {
    let began = Instant::now();
    while count.held() > bytes {
        assert!(began.elapsed() < FORGOTTEN_WITHIN, "{} bytes are still held", count.held());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_stranger_makes_a_node_hold_four_bytes_for_each_that_it_sends_and_8_mib_in_all() {
    let mut count = Count::begin();
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let node = node(dir.path()).await;
        let first = first_packets(2_000, node.id()).await.unwrap();
        let floods = [
            ("packets that are no handshake", rubbish(8_000, 1)),
            ("first packets of eight handshakes", first[..8].to_vec()),
            ("first packets of two thousand handshakes", first.clone()),
            ("the same once more", first.iter().rev().cloned().collect()),
        ];
        for (what, packets) in &floods {
            count.again();
            let (sent, peak) = flood(&node, &count, packets).await;
            say(what, sent, peak, count.held());
            assert!(peak <= allowed(sent, FIRST).min(IN_ALL), "{what}: {sent} bytes took {peak}");
            forgotten(&count, FIRST / 2).await;
        }
        node.shutdown().await.unwrap();
    });
}
