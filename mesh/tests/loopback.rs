//! Whole nodes over real QUIC on 127.0.0.1: what a shop sees when boxes come, go, and do not belong.

mod loopback_shop;

use loopback_shop::*;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_crdt::Lane;
use toko_crdt::member::StatementError;
use toko_crdt::sign::SecretKey;
use toko_mesh::endpoint::Endpoint;
use toko_mesh::enrol::{EnrolError, Refusal, SecretError};
use toko_mesh::find::Ladder;
use toko_mesh::identity::Role;
use toko_mesh::node::NodeConfig;
use toko_mesh::node::setup::{PendingStore, SetupError, enrol_terminal, take_in_store};
use toko_mesh::node::{AdminError, AlertCode, Node};
use toko_mesh::store::Verdict;

#[tokio::test]
async fn a_sale_reaches_everybody_through_the_hub_and_shows_who_holds_it() {
    let shop = Shop::open().await;
    let (one, two) = (shop.terminal("Till 1").await, shop.terminal("Till 2").await);
    until_linked(&one, &shop.hub).await;
    until_linked(&two, &shop.hub).await;
    let sale = sell(&one, "tea").await;
    until_seen(&shop.hub, &sale).await;
    until_seen(&two, &sale).await;
    let all = |node: &Node| node.holders(&sale.place).unwrap().len() == 3;
    until(&one, "the till knows that three hold its sale", all).await;
    let root = shop.hub.frontier().root();
    for node in [&one, &two] {
        until(node, "all hold the same", |node| node.frontier().root() == root).await;
        assert_eq!(status(node).await.digests, status(&shop.hub).await.digests);
    }
    assert!(one.hub_alive());
}

#[tokio::test]
async fn with_the_hub_dead_terminals_keep_each_other_up_to_date() {
    let shop = Shop::open().await;
    let (one, two) = (shop.terminal("Till 1").await, shop.terminal("Till 2").await);
    until_linked(&one, &two).await;
    shop.hub.shutdown().await.unwrap();
    until(&one, "the hub is seen to be dead", |node| !node.hub_alive()).await;
    let sales = [sell(&one, "tea").await, sell(&two, "milk").await];
    let parked = scan(&one, "a parked cart").await;
    for node in [&one, &two] {
        for sale in &sales {
            until_seen(node, sale).await;
        }
        until_seen(node, &parked).await;
    }
    let Shop { dir, hub, .. } = shop;
    let addr = hub.listen_addr();
    drop(hub);
    let hub = start(dir.path().join("hub"), Role::Hub, addr).await;
    for sale in sales.iter().chain([&parked]) {
        until_seen(&hub, sale).await;
    }
    until(&one, "the hub is seen to live", Node::hub_alive).await;
}

#[tokio::test]
async fn a_terminal_that_was_off_catches_up_when_it_comes_back() {
    let shop = Shop::open().await;
    let (one, two) = (shop.terminal("Till 1").await, shop.terminal("Till 2").await);
    until_linked(&two, &shop.hub).await;
    two.shutdown().await.unwrap();
    drop(two);
    let mut last = sell(&one, "first").await;
    for number in 0..100 {
        last = sell(&one, &format!("sale {number}")).await;
    }
    let two = shop.restart("Till 2").await;
    until_seen(&two, &last).await;
    let of_hub = || shop.hub.frontier().root();
    for node in [&one, &two] {
        until(node, "both hold what the hub holds", |node| node.frontier().root() == of_hub()).await;
    }
}

#[tokio::test]
async fn a_revoked_terminals_link_ends_and_it_cannot_come_back() {
    let shop = Shop::open().await;
    let (one, two) = (shop.terminal("Till 1").await, shop.terminal("Till 2").await);
    until_linked(&one, &shop.hub).await;
    until_linked(&two, &one).await;
    let sale = sell(&one, "tea").await;
    until_seen(&two, &sale).await;
    shop.hub.revoke(one.id()).await.unwrap();
    until_unlinked(&shop.hub, one.id()).await;
    until_unlinked(&two, one.id()).await;
    until_unlinked(&one, shop.hub.id()).await;
    let error = shop.hub.revoke(one.id()).await.unwrap_err();
    assert!(matches!(error, AdminError::AlreadyRevoked(_)), "{error}");
    one.shutdown().await.unwrap();
    drop(one);
    let one = shop.restart("Till 1").await;
    let refused = async {
        let mut links = one.links_changed();
        let mut look = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            let alerts = status(&one).await.alerts;
            let told = |alert: &toko_mesh::node::Alert| {
                matches!(alert.code, AlertCode::RefusedByPeer | AlertCode::Revoked)
            };
            if alerts.iter().any(told) {
                return;
            }
            tokio::select! {
                changed = links.changed() => changed.unwrap(),
                _ = look.tick() => {}
            }
        }
    };
    assert!(timeout(SOON, refused).await.is_ok(), "{:#?}", status(&one).await);
    let late = sell(&one, "a sale after the end").await;
    assert!(late.parked.is_none(), "it sells on by itself");
    assert!(shop.hub.entry(&late.place).unwrap().is_none());
    let after = sell(&two, "milk").await;
    until_seen(&shop.hub, &after).await;
    assert!(one.entry(&after.place).unwrap().is_none());
}

#[tokio::test]
async fn wrong_used_and_foreign_codes_make_no_terminal() {
    let (shop, other) = (Shop::open().await, Shop::open().await);
    let addr = [shop.hub.listen_addr()];
    let path = shop.path("Till 1");
    let code = shop.code("Till 1");
    let mut wrong = code.clone();
    wrong.secret[0] ^= 1;
    let error = enrol_terminal(&path, &wrong, &addr, None, &meaning()).await.unwrap_err();
    let is_wrong =
        matches!(error, SetupError::Enrol(EnrolError::Refused(Refusal::Secret(SecretError::Wrong))));
    assert!(is_wrong, "{error}");
    let error = enrol_terminal(&path, &code, &[other.hub.listen_addr()], None, &meaning()).await.unwrap_err();
    assert!(matches!(error, SetupError::Enrol(EnrolError::NotEnrolling)), "{error}");
    other.code("Till 1");
    let error = enrol_terminal(&path, &code, &[other.hub.listen_addr()], None, &meaning()).await.unwrap_err();
    assert!(matches!(error, SetupError::Enrol(EnrolError::OtherStore)), "{error}");
    assert!(!path.exists(), "nothing was made");
    enrol_terminal(&path, &code, &addr, None, &meaning()).await.unwrap();
    let error = enrol_terminal(&shop.path("Till 2"), &code, &addr, None, &meaning()).await.unwrap_err();
    let is_used = matches!(error, SetupError::Enrol(EnrolError::Refused(Refusal::Secret(SecretError::Used))));
    assert!(is_used, "{error}");
    let error = enrol_terminal(&path, &shop.code("Till 1"), &addr, None, &meaning()).await.unwrap_err();
    assert!(matches!(error, SetupError::Occupied { .. }), "{error}");
}

#[tokio::test]
async fn a_terminal_of_another_store_gets_no_link() {
    let (shop, other) = (Shop::open().await, Shop::open().await);
    let ours = shop.terminal("Till 1").await;
    until_linked(&ours, &shop.hub).await;
    let path = other.path("Till 1");
    enrol_terminal(&path, &other.code("Till 1"), &[other.hub.listen_addr()], None, &meaning()).await.unwrap();
    other.hub.shutdown().await.unwrap();
    // It is sent to our hub by a mistake in its configuration.
    let mut config = NodeConfig::new(path, Role::Terminal, here());
    config.hub = vec![shop.hub.listen_addr()];
    let means = meaning();
    let stranger = Node::open(config, means.fold, means.scope).await.unwrap();
    let failed = async {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            let tried = status(&stranger).await.addresses;
            let at_ours = tried.iter().find(|tried| tried.candidate.addr == shop.hub.listen_addr());
            if at_ours.is_some_and(|tried| tried.worked == Some(false)) {
                return;
            }
            look.tick().await;
        }
    };
    assert!(timeout(SOON, failed).await.is_ok());
    assert!(status(&stranger).await.links.is_empty());
    let statement = ours.members().statements().next().cloned().unwrap();
    let error = other.hub.add_statement(statement).await.unwrap_err();
    assert!(matches!(error, AdminError::Statement(StatementError::OtherStore { .. })), "{error}");
}

#[tokio::test]
async fn headquarters_gets_the_books_and_nothing_of_the_floor() {
    let shop = Shop::open().await;
    let till = shop.terminal("Till 1").await;
    let (sale, cart) = (sell(&till, "tea").await, scan(&till, "a cart").await);
    let endpoint = Endpoint::bind(here()).unwrap();
    let (serving, stop) = (endpoint.clone(), CancellationToken::new());
    let stopped = stop.clone();
    tokio::spawn(async move { serving.serve(stopped).await });
    let key = SecretKey::from_seed([99; 32]);
    let pending = PendingStore::open(&endpoint, &key).unwrap();
    let code = pending.code().unwrap();
    let addr = endpoint.local_addr().unwrap();
    let path = shop.path("hq");
    let taken = tokio::spawn({
        let (path, key) = (path.clone(), key.clone());
        async move {
            let remember = |joining| {
                let (path, key) = (path.clone(), key.clone());
                async move { take_in_store(&path, &key, &joining, &meaning()).map_err(|error| error.to_string()) }
            };
            pending.wait(remember).await.unwrap()
        }
    });
    let node = shop.hub.join_headquarters(&code, &[addr], &shop.recovery).await.unwrap();
    assert_eq!(node, key.node());
    let mut kept = Ladder::default();
    kept.load(&std::fs::read(shop.path("hub").join("addresses")).unwrap()).unwrap();
    let kept = kept.candidates(&node).first().map(|candidate| candidate.addr);
    assert_eq!(kept, Some(addr), "the hub finds headquarters even if it loses power now");
    taken.await.unwrap();
    let means = meaning();
    let mut config = NodeConfig::new(path, Role::Headquarters, here());
    config.watermark_every = std::time::Duration::from_secs(1);
    let hq = Node::open_on(&endpoint, config, means.fold, means.scope).await.unwrap();
    until_seen(&hq, &sale).await;
    until_seen(&shop.hub, &cart).await;
    let later = sell(&till, "milk").await;
    until_seen(&hq, &later).await;
    let books = |node: &Node| node.frontier().of_lanes(&[Lane::Books]).root();
    let of_hub = shop.hub.clone();
    until(&hq, "headquarters has all books", |hq| books(hq) == books(&of_hub)).await;
    assert!(hq.entry(&cart.place).unwrap().is_none());
    let at_hq = key.node();
    let holds = |node: &Node| node.holders(&sale.place).unwrap().contains(&at_hq);
    until(&shop.hub, "the hub knows that headquarters holds the sale", holds).await;
    until(&till, "the till knows it by the watermark", holds).await;
    assert!(!till.holders(&cart.place).unwrap().contains(&at_hq));
    let behind = async || status(&till).await.headquarters.map(|hq| hq.behind);
    let caught_up = async {
        let mut changed = till.changed();
        while behind().await != Some(0) {
            changed.changed().await.unwrap();
        }
    };
    assert!(timeout(SOON, caught_up).await.is_ok(), "at a till headquarters is {:?} behind", behind().await);

    shop.hub.seal().await.unwrap();
    let gone_over = |node: &Node| {
        node.seals()
            .unwrap()
            .first()
            .is_some_and(|seal| seal.verdict == Some(Verdict::Equal) && seal.countersigned == Some(true))
    };
    until(&shop.hub, "headquarters countersigns what it found too", gone_over).await;
    until(&till, "the till went over the seal and sees the countersign", gone_over).await;
    let said = |node: &Node| node.seals().unwrap()[0].confirmed_by.contains(&till.id());
    until(&shop.hub, "the hub hears that the till found the same", said).await;
    assert!(status(&shop.hub).await.alerts.is_empty());
    stop.cancel();
}

#[tokio::test]
async fn a_blob_comes_from_whoever_has_it() {
    let shop = Shop::open().await;
    let (one, two) = (shop.terminal("Till 1").await, shop.terminal("Till 2").await);
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(|n| n.to_le_bytes()).take(900_000).collect();
    let hash = shop.hub.blob_put(bytes.clone()).await.unwrap();
    until_linked(&one, &shop.hub).await;
    assert_eq!(one.blob(&hash).await.unwrap(), Some(bytes.clone()));
    until_linked(&two, &one).await;
    shop.hub.shutdown().await.unwrap();
    until(&two, "the hub is seen to be dead", |node| !node.hub_alive()).await;
    assert_eq!(two.blob(&hash).await.unwrap(), Some(bytes));
    assert_eq!(two.blob(&toko_crdt::Hash([1; 32])).await.unwrap(), None);
}

#[tokio::test]
async fn a_copied_directory_is_seen_and_both_go_on() {
    let shop = Shop::open().await;
    let one = shop.terminal("Till 1").await;
    until_linked(&one, &shop.hub).await;
    sell(&one, "tea").await;
    one.shutdown().await.unwrap();
    drop(one);
    copy(&shop.path("Till 1"), &shop.path("copy"));
    let one = shop.restart("Till 1").await;
    let copy = start(shop.path("copy"), Role::Terminal, here()).await;
    // Only when the first goes on after the second began are they known to live side by side.
    let sales = [sell(&one, "milk").await, sell(&copy, "bread").await, sell(&one, "honey").await];
    for sale in &sales {
        until_seen(&shop.hub, sale).await;
    }
    let alerts = status(&shop.hub).await.alerts;
    let is_clone = |alert: &&toko_mesh::node::Alert| alert.code == AlertCode::CloneSeen;
    assert_eq!(alerts.iter().filter(is_clone).count(), 1, "{alerts:?}");
}

#[cfg(test)]
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
