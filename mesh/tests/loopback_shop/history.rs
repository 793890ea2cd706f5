//! History over real QUIC on 127.0.0.1: seals, pruned logs, and a blank terminal that begins from a snapshot (F45, F47).

use super::*;
use std::path::PathBuf;
use toko_mesh::identity::Role;
use toko_mesh::log::LogConfig;
use toko_mesh::node::setup::{Meaning, enrol_terminal, found_store};
use toko_mesh::node::{History, Node, NodeConfig};
use toko_mesh::store::{StoreConfig, Verdict};

/// A node that keeps no more than it must, in small segments.
async fn start_thrifty(dir: PathBuf, role: Role) -> Node {
    let Meaning { fold, scope } = meaning();
    // The first segment was made when the directory was, and is as large as they usually are.
    let first = dir.join("journal").join("log-00000001.seg");
    if let Ok(file) = std::fs::OpenOptions::new().write(true).open(first) {
        file.set_len(32 << 10).unwrap();
    }
    let log = LogConfig { segment_bytes: 32 << 10, ..LogConfig::default() };
    let config = NodeConfig {
        history: History { books_days: 0, floor_days: 0 },
        store: StoreConfig { log, ..StoreConfig::default() },
        ..NodeConfig::new(dir, role, here())
    };
    Node::open(config, fold, scope).await.unwrap()
}

async fn enrol(dir: &tempfile::TempDir, hub: &Node, name: &str) -> Node {
    let code = hub.open_code(name).unwrap();
    let path = dir.path().join(name);
    enrol_terminal(&path, &code, &[hub.listen_addr()], None, &meaning()).await.unwrap();
    start_thrifty(path, Role::Terminal).await
}

#[tokio::test]
async fn a_blank_terminal_begins_from_a_snapshot_where_nobody_holds_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    found_store(&dir.path().join("hub"), &meaning()).unwrap();
    let hub = start_thrifty(dir.path().join("hub"), Role::Hub).await;
    let till = enrol(&dir, &hub, "Till 1").await;
    until_linked(&till, &hub).await;
    let text = "x".repeat(400);
    let (mut first, mut last) = (None, None);
    for n in 0..150 {
        let sale = sell(&till, &format!("{n} {text}")).await;
        first.get_or_insert(sale.clone());
        scan(&till, &format!("{n} {text}")).await;
        last = Some(sale);
    }
    let (first, last) = (first.unwrap(), last.unwrap());
    until_seen(&hub, &last).await;
    hub.seal().await.unwrap();
    let pruned = |node: &Node| node.store().reader().is_pruned(&first.place.journal, first.place.seq);
    until(&hub, "the hub lets go of what the seal covers", pruned).await;
    until(&till, "the till does so too", pruned).await;
    let late = sell(&till, "after the seal").await;

    let blank = enrol(&dir, &hub, "Till 2").await;
    until_seen(&blank, &late).await;
    for node in [&till, &blank] {
        let root = hub.frontier().root();
        until(node, "all hold the same", |node| node.frontier().root() == root).await;
        assert_eq!(status(node).await.digests, status(&hub).await.digests);
    }
    assert!(pruned(&blank), "it never had the beginning entry by entry");
    let own = sell(&blank, "its first sale").await;
    until_seen(&hub, &own).await;
    until_seen(&till, &own).await;

    // It goes over the next seal like everybody, and starts again from what it has.
    hub.seal().await.unwrap();
    let gone_over = |node: &Node| node.seals().unwrap()[0].verdict == Some(Verdict::Equal);
    until(&blank, "the blank one went over a seal", gone_over).await;
    blank.shutdown().await.unwrap();
    let path = dir.path().join("Till 2");
    drop(blank);
    std::fs::remove_file(path.join("journal").join("views.redb")).unwrap();
    let blank = start_thrifty(path, Role::Terminal).await;
    let again = sell(&blank, "again").await;
    until_seen(&hub, &again).await;
    assert!(status(&blank).await.alerts.is_empty(), "{:?}", status(&blank).await.alerts);
}

#[tokio::test]
async fn runs_that_ended_weigh_nothing_on_links_and_in_seals() {
    let shop = Shop::open().await;
    let hub = &shop.hub;
    drop(shop.terminal("Till 1").await.shutdown().await);
    for n in 0..24 {
        let till = shop.restart("Till 1").await;
        let sale = sell(&till, &format!("day {n}")).await;
        until_seen(hub, &sale).await;
        till.shutdown().await.unwrap();
    }
    let till = shop.restart("Till 1").await;
    until_linked(&till, hub).await;
    let gone_over = |node: &Node| {
        let seals = node.seals().unwrap();
        let newest = seals.first();
        newest.is_some_and(|seal| seal.verdict == Some(Verdict::Equal) && !seal.confirmed_by.is_empty())
    };
    let first = hub.seal().await.unwrap();
    until(&till, "the till went over the seal", gone_over).await;
    until(hub, "the hub went over it too", gone_over).await;

    // From a new day on, a link speaks of that day.
    till.shutdown().await.unwrap();
    drop(till);
    let till = shop.restart("Till 1").await;
    let sale = sell(&till, "the next day").await;
    until_seen(hub, &sale).await;
    let links = status(&till).await.links;
    let link = links.iter().find(|link| link.peer == hub.id()).unwrap();
    assert!(link.frame_bytes_out < 2_048 && link.frame_bytes_in < 1_024, "{link:#?}");

    // And so does the next seal, which everybody goes over like the first.
    let second = hub.seal().await.unwrap();
    let body_of = |seal: &Appended| hub.entry(&seal.place).unwrap().unwrap().body().unwrap().len();
    assert!(body_of(&first) > 24 * 70 && body_of(&second) < 700, "{} {}", body_of(&first), body_of(&second));
    let newest = |node: &Node| {
        let seals = node.seals().unwrap();
        seals.first().is_some_and(|seal| (seal.entry, seal.verdict) == (second.hash, Some(Verdict::Equal)))
    };
    until(&till, "the till went over the next seal", newest).await;
    until(hub, "the hub went over it too", newest).await;

    // Whoever begins with nothing follows the seals down to the first.
    let late = shop.terminal("Till 2").await;
    until(&late, "a blank till went over the newest seal", newest).await;
    assert_eq!(status(&late).await.digests, status(hub).await.digests);
}
