//! Addresses that were configured for whoever is there: how often they are dialled while nobody is.

use super::{Host, Lan, PORT, meaning, until_links};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use toko_crdt::NodeId;
use toko_mesh::find::{Rung, WAIT_GUESSED_MAX};
use toko_mesh::identity::Role;
use toko_mesh::machine::Machine;
use toko_mesh::node::setup::{Meaning, enrol_terminal};
use toko_mesh::node::{Node, NodeConfig, NodeStatus};

/// How long it is watched, once waits have grown.
const WATCHED: Duration = Duration::from_secs(600);

/// How often the addresses of a node failed, each.
fn failures(status: &NodeStatus, node: NodeId) -> Vec<u32> {
    let tried = status.addresses.iter().filter(|tried| tried.node == node);
    tried
        .inspect(|tried| assert_eq!(tried.candidate.rung, Rung::Guessed))
        .map(|tried| tried.failures)
        .collect()
}

/// The first till again, with addresses of others in its settings.
async fn start_guessing(lan: &Lan, places: &[SocketAddr]) -> Node {
    let (host, Meaning { fold, scope }) = (&lan.hosts[0], meaning(1));
    let mut config = NodeConfig::new("/node".into(), Role::Terminal, SocketAddr::new(host.ip, PORT + 1));
    config.machine = Machine::of(host.clone());
    config.hub.push(lan.hub_host.listen());
    config.peers.extend(places);
    Node::open(config, fold, scope).await.unwrap()
}

/// Lets simulated time pass.
async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

#[tokio::test(start_paused = true)]
async fn a_guess_at_which_nobody_is_found_is_dialled_every_ten_seconds_and_no_more_often() {
    let mut lan = Lan::found(5, 1).await;
    lan.enrol(1).await;
    let known = lan.hub.members().nodes();
    // A till that was never switched on since it was enrolled: nobody knows where it is.
    let (code, spot) = (lan.hub.open_code("Till 2").unwrap(), Host::new(&lan.net, lan.seed, 2).spot());
    enrol_terminal(spot, &code, &[lan.hub_host.listen()], None, &meaning(1)).await.unwrap();
    let absent = lan.hub.members().nodes().into_iter().find(|node| !known.contains(node)).unwrap();

    let places = ["10.0.0.90:7443", "10.0.0.91:7443"].map(|place| place.parse::<SocketAddr>().unwrap());
    lan.tills.remove(0).shutdown().await.unwrap();
    let till = start_guessing(&lan, &places).await;
    until_links(&till, "a link with the hub", |links| links.contains(&lan.hub.id())).await;

    pass(WAIT_GUESSED_MAX * 4).await;
    let before = failures(&till.status().await.unwrap(), absent);
    let began = Instant::now();
    pass(WATCHED).await;
    let after = failures(&till.status().await.unwrap(), absent);
    let watched = u32::try_from(began.elapsed().as_secs()).unwrap();
    assert_eq!((before.len(), after.len()), (places.len(), places.len()));
    for (before, after) in before.iter().zip(&after) {
        let dials = after - before;
        // Half of each wait is chance.
        let most = watched / 5 + 1;
        let least = watched / 15;
        assert!((least..=most).contains(&dials), "{dials} dials in {watched} s, {least} to {most} are right");
    }
    lan.tills.insert(0, till);
    lan.close().await;
}
