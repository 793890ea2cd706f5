//! A stranger on the network: what a node holds for somebody whom it does not know.
//!
//! Packets that can be made beforehand are sent from here. Those who hold conversations run in a process of their own, so that
//! what they take is not counted.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use terminal_agent::service::meaning;
use tokio::task::JoinSet;
use toko_crdt::ids::NodeId;
use toko_mesh::endpoint::{Dial, Distance, Endpoint};
use toko_mesh::identity::Role;
use toko_mesh::node::setup::found_store;
use toko_mesh::node::{Node, NodeConfig};
use toko_mesh::tls::{Expect, Protocol, TlsKey, store_name};
use toko_tests::attack::{Tap, first_packets, rubbish, send, strange_key, stranger};

use super::{Count, allowed, say};

/// All that strangers may make a node hold.
const IN_ALL: usize = 8 << 20;
/// What the first handshakes may take before a flood is told from a shop that wakes up: eight of them, with their keys.
const FIRST: usize = 1 << 20;
/// A process that attacks is told by this variable whom, and how.
const WHOM: &str = "TOKO_STRANGERS_KNOCK_AT";
/// How many handshakes are begun and not ended, of each kind.
const BEGUN: usize = 100;
/// How many handshakes are ended by keys that nobody knows.
const ENDED: usize = 200;
/// How many strangers come at once and say that they are newcomers.
const NEWCOMERS: usize = 24;
/// The first two packets of a handshake have so many bytes each at least (RFC 9000, section 14.1); the third is not counted.
const PACKET_BYTES: usize = 1_200;
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

/// Handshakes that stop after one, two or three packets, then some whose key is refused in the end.
async fn shake(node: NodeId, at: SocketAddr, key: &TlsKey) {
    let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into()).unwrap();
    for packets in 1..=3 {
        let taps: Vec<Tap> = (0..BEGUN).map(|_| Tap::new(at, packets).unwrap()).collect();
        let mut dials = JoinSet::new();
        for tap in &taps {
            let (endpoint, key, dial) = (endpoint.clone(), key.clone(), stranger(tap.addr(), node));
            dials.spawn(async move { endpoint.dial(&dial, &key).await.is_ok() });
        }
        while dials.join_next().await.is_some() {}
    }
    for _ in 0..ENDED {
        if let Ok(connection) = endpoint.dial(&stranger(at, node), key).await {
            connection.closed().await;
        }
    }
}

/// What a newcomer says that nobody who has a code says: lengths that are not kept, too much, a list of nothing.
fn speeches() -> Vec<Vec<u8>> {
    let frame = |announced: u32, body: &[u8]| [&announced.to_le_bytes()[..], body].concat();
    vec![
        // Version 1, what a hub says of the store's nodes: one of them, at sixty thousand addresses of no letters.
        frame(60_038, &[&[1, 8, 1][..], &[7; 32], &[0xe0, 0xd4, 3], &[0; 60_000]].concat()),
        Vec::new(),
        frame(64 * 1024, &[1]),
        frame(u32::MAX, &[0; 200]),
        frame(1_024, &[0xff; 1_000]),
        frame(64 * 1024, &vec![1; 300_000]),
    ]
}

/// Newcomers who talk on both of their streams, and listen to nothing, until the node has had enough of them.
async fn crowd(guests: usize, name: String, at: SocketAddr, key: &TlsKey) {
    let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let (expect, protocol, distance) = (Expect::Anyone, Protocol::Newcomer, Distance::Near);
    let dial = Dial { addr: at, name, expect, protocol, distance, introduction: None };
    let mut crowd = JoinSet::new();
    for (guest, speech) in (0..guests).zip(speeches().into_iter().cycle()) {
        let (endpoint, key, dial) = (endpoint.clone(), key.clone(), dial.clone());
        crowd.spawn(async move {
            let Ok(connection) = endpoint.dial(&dial, &key).await else { return };
            let mut held = Vec::new();
            for knocks in 0..2 {
                let Ok((mut to, from)) = connection.open_bi().await else { return };
                // Half of them knock first, as they should.
                let knock = [&[3, 0, 0, 0, 1, 0, 1][..], &speech].concat();
                let said = if guest % 2 == knocks { &knock } else { &speech };
                drop(tokio::time::timeout(FORGOTTEN_WITHIN / 10, to.write_all(said)).await);
                held.push((to, from));
            }
            connection.closed().await;
        });
    }
    while crowd.join_next().await.is_some() {}
}

#[test]
fn a_process_attacks_when_it_is_told_whom() {
    let Ok(whom) = std::env::var(WHOM) else { return };
    let [how, at, name] = whom.split(' ').collect::<Vec<_>>()[..] else { panic!("{whom} is nobody") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (at, key) = (at.parse().unwrap(), strange_key(77).unwrap());
    runtime.block_on(async {
        match how {
            "shake" => shake(NodeId::parse(name).unwrap(), at, &key).await,
            guests => crowd(guests.parse().unwrap(), name.to_owned(), at, &key).await,
        }
    });
}

/// Has another process attack, and waits until it is done.
async fn attacked(whom: String) {
    let attack = tokio::task::spawn_blocking(move || {
        let test = "strangers::a_process_attacks_when_it_is_told_whom";
        Command::new(std::env::current_exe().unwrap()).args([test, "--exact"]).env(WHOM, whom).status()
    });
    assert!(attack.await.unwrap().unwrap().success(), "the attacker gave up");
}

#[test]
fn a_stranger_who_talks_makes_a_node_hold_no_more_than_one_who_floods() {
    let mut count = Count::begin();
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let node = node(dir.path()).await;
        let at = node.listen_addr();
        let code = node.open_code("Till 1").unwrap();
        let attacks = [
            (
                "handshakes that end badly, or never",
                format!("shake {at} {}", node.id()),
                ((1 + 2 + 2) * BEGUN + 2 * ENDED) * PACKET_BYTES,
            ),
            (
                "one newcomer with a list of nothing",
                format!("1 {at} {}", store_name(&code.fingerprint)),
                PACKET_BYTES + speeches()[0].len(),
            ),
            (
                "newcomers without a code, who talk",
                format!("{NEWCOMERS} {at} {}", store_name(&code.fingerprint)),
                NEWCOMERS * PACKET_BYTES + speeches().concat().len(),
            ),
        ];
        for (what, whom, sent) in attacks {
            count.again();
            attacked(whom).await;
            let peak = count.peak();
            say(what, sent, peak, count.held());
            assert!(peak <= allowed(sent, FIRST).min(IN_ALL), "{what}: {sent} bytes took {peak}");
            forgotten(&count, FIRST / 2).await;
            node.probe().await.unwrap();
        }
        node.shutdown().await.unwrap();
    });
}
