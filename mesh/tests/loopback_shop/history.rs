//! History over real QUIC on 127.0.0.1: seals, pruned logs, and a blank terminal that begins from a snapshot (F45, F47).

use super::*;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toko_crdt::Hash;
use toko_crdt::sign::SecretKey;
use toko_mesh::endpoint::Endpoint;
use toko_mesh::enrol::RecoveryCode;
use toko_mesh::identity::Role;
use toko_mesh::log::LogConfig;
use toko_mesh::node::setup::{Meaning, PendingStore, Spot, enrol_terminal, found_store, take_in_store};
use toko_mesh::node::{AlertCode, History, Node, NodeConfig};
use toko_mesh::store::{StoreConfig, Verdict};

/// A node that keeps no more than it must, in small segments.
async fn start_thrifty(dir: PathBuf, role: Role) -> Node {
    let Meaning { fold, scope } = meaning();
    Node::open(thrifty(dir, role), fold, scope).await.unwrap()
}

fn thrifty(dir: PathBuf, role: Role) -> NodeConfig {
    NodeConfig {
        history: History { books_days: 0, floor_days: 0 },
        store: sizes(),
        watermark_every: Duration::from_millis(50),
        ..NodeConfig::new(dir, role, here())
    }
}

fn sizes() -> StoreConfig {
    let log = LogConfig { segment_bytes: 32 << 10, ..LogConfig::default() };
    StoreConfig { log, ..StoreConfig::default() }
}

/// Where a node of such sizes comes to be.
fn spot(dir: &Path) -> Spot {
    Spot { store: sizes(), ..Spot::from(dir) }
}

/// Headquarters that the hub's store has joined, on a port of its own.
async fn join_headquarters(dir: &Path, hub: &Node, recovery: &RecoveryCode) -> Node {
    let endpoint = Endpoint::bind(here()).unwrap();
    let serving = endpoint.clone();
    tokio::spawn(async move { serving.serve(CancellationToken::new()).await });
    let key = SecretKey::from_seed([77; 32]);
    let pending = PendingStore::open(&endpoint, &key).unwrap();
    let (code, address) = (pending.code().unwrap(), [endpoint.local_addr().unwrap()]);
    let books = dir.join("headquarters");
    let take_in = pending.wait(|joining| {
        take_in_store(spot(&books), &key, &joining, &meaning()).unwrap();
        async { Ok(()) }
    });
    let (joined, _) = tokio::join!(hub.join_headquarters(&code, &address, recovery), take_in);
    joined.unwrap();
    let Meaning { fold, scope } = meaning();
    Node::open_on(&endpoint, thrifty(books.clone(), Role::Headquarters), fold, scope).await.unwrap()
}

async fn enrol(dir: &tempfile::TempDir, hub: &Node, name: &str) -> Node {
    let code = hub.open_code(name).unwrap();
    let path = dir.path().join(name);
    enrol_terminal(spot(&path), &code, &[hub.listen_addr()], None, &meaning()).await.unwrap();
    start_thrifty(path, Role::Terminal).await
}

#[tokio::test]
async fn a_blank_terminal_begins_from_a_snapshot_where_nobody_holds_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    found_store(spot(&dir.path().join("hub")), &meaning()).unwrap();
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
async fn what_headquarters_wrote_itself_keeps_no_history_from_going() {
    let dir = tempfile::tempdir().unwrap();
    let founded = found_store(spot(&dir.path().join("hub")), &meaning()).unwrap();
    let hub = start_thrifty(dir.path().join("hub"), Role::Hub).await;
    let headquarters = join_headquarters(dir.path(), &hub, &founded.recovery).await;
    let spoke = |node: &Node| {
        let frontier = node.frontier();
        frontier.lines().any(|(journal, _)| journal.node == headquarters.id())
    };
    let till = enrol(&dir, &hub, "Till 1").await;
    until_linked(&till, &hub).await;
    sell(&till, "the first").await;
    until(&hub, "headquarters said what it holds", spoke).await;
    let text = "x".repeat(400);
    let mut last = None;
    for n in 0..150 {
        last = Some(sell(&till, &format!("{n} {text}")).await);
    }
    let last = last.unwrap();
    let held = |node: &Node| node.holders(&last.place).unwrap().contains(&headquarters.id());
    until(&hub, "headquarters said that it holds the last sale", held).await;
    hub.seal().await.unwrap();
    let pruned = |node: &Node| !node.store().reader().is_whole();
    until(&hub, "the hub lets go of what the seal covers", pruned).await;
    until(&till, "the till does so too", pruned).await;
    assert!(headquarters.store().reader().is_whole(), "headquarters keeps everything");
}

#[tokio::test]
async fn headquarters_that_comes_after_books_went_says_so_and_gets_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let founded = found_store(spot(&dir.path().join("hub")), &meaning()).unwrap();
    let hub = start_thrifty(dir.path().join("hub"), Role::Hub).await;
    let till = enrol(&dir, &hub, "Till 1").await;
    until_linked(&till, &hub).await;
    let text = "x".repeat(400);
    let mut last = None;
    for n in 0..150 {
        last = Some(sell(&till, &format!("{n} {text}")).await);
    }
    until_seen(&hub, &last.unwrap()).await;
    hub.seal().await.unwrap();
    until(&hub, "the hub lets go of what the seal covers", |node| !node.store().reader().is_whole()).await;

    let headquarters = join_headquarters(dir.path(), &hub, &founded.recovery).await;
    until_linked(&headquarters, &hub).await;
    let mut changed = headquarters.links_changed();
    let alerts = timeout(SOON, async {
        loop {
            let alerts = status(&headquarters).await.alerts;
            if !alerts.is_empty() {
                break alerts;
            }
            changed.changed().await.unwrap();
        }
    });
    let alerts = alerts.await.expect("it says what it cannot have");
    assert_eq!(alerts.iter().map(|alert| alert.code).collect::<Vec<_>>(), [AlertCode::HistoryGone]);
    assert_eq!(alerts[0].node, Some(hub.id()));
    // A journal that begins now arrives whole.
    till.shutdown().await.unwrap();
    drop(till);
    let till = start_thrifty(dir.path().join("Till 1"), Role::Terminal).await;
    let sale = sell(&till, "the first of another run").await;
    until_seen(&headquarters, &sale).await;
}

#[tokio::test]
async fn what_headquarters_alone_keeps_a_terminal_gets_through_the_hub() {
    let dir = tempfile::tempdir().unwrap();
    let founded = found_store(spot(&dir.path().join("hub")), &meaning()).unwrap();
    let hub = start_thrifty(dir.path().join("hub"), Role::Hub).await;
    let headquarters = join_headquarters(dir.path(), &hub, &founded.recovery).await;
    let till = enrol(&dir, &hub, "Till 1").await;
    until_linked(&till, &hub).await;
    let text = "x".repeat(400);
    let mut sales = Vec::new();
    for n in 0..150 {
        let sale = sell(&till, &format!("{n} {text}")).await;
        // More at once than half a segment of this log holds it would not take.
        if n % 15 == 0 {
            until_seen(&headquarters, &sale).await;
        }
        sales.push(sale);
    }
    let [first, second, third, fourth, .., last] = sales.as_slice() else { panic!("sales") };
    let held = |node: &Node| node.holders(&last.place).unwrap().contains(&headquarters.id());
    until(&hub, "headquarters said that it holds the last sale", held).await;
    hub.seal().await.unwrap();
    for node in [&hub, &till] {
        let gone = |node: &Node| node.store().reader().is_pruned(&third.place.journal, third.place.seq);
        until(node, "the shop lets go of what headquarters holds", gone).await;
        assert!(node.entry_by_hash(&first.hash).unwrap().is_none());
    }
    let blank = enrol(&dir, &hub, "Till 2").await;
    until_linked(&blank, &hub).await;
    until_linked(&hub, &headquarters).await;

    let fetched = blank.fetch_entry(&first.hash).await.unwrap().expect("the hub asks headquarters for it");
    assert_eq!(Some(fetched), headquarters.entry(&first.place).unwrap());
    // Two that ask at once, at one node and at two, and one that asks for what nobody has.
    let (one, other) = tokio::join!(blank.fetch_entry(&fourth.hash), blank.fetch_entry(&fourth.hash));
    for got in [one, other] {
        assert_eq!(got.unwrap(), headquarters.entry(&fourth.place).unwrap());
    }
    let (one, other) = tokio::join!(blank.fetch_entry(&second.hash), till.fetch_entry(&second.hash));
    assert_eq!((one.unwrap().map(|entry| entry.hash()), other.unwrap().map(|entry| entry.hash())), {
        let second = Some(second.hash);
        (second, second)
    });
    assert_eq!(blank.fetch_entry(&Hash([7; 32])).await.unwrap(), None);
    // Headquarters itself is not asked on for: what it does not have is not there.
    assert_eq!(headquarters.fetch_entry(&Hash([7; 32])).await.unwrap(), None);

    // What came once the hub gives again; the rest waits for headquarters.
    headquarters.shutdown().await.unwrap();
    until_unlinked(&hub, headquarters.id()).await;
    assert!(till.fetch_entry(&first.hash).await.unwrap().is_some());
    assert_eq!(till.fetch_entry(&third.hash).await.unwrap(), None);
    for node in [blank, till, hub] {
        node.shutdown().await.unwrap();
    }
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
