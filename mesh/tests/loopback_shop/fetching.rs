//! Two who want the same thing at once, where one link leads to it.

use super::relay::Relay;
use super::*;
use toko_crdt::Hash;

/// More than is under way at once.
fn picture() -> Vec<u8> {
    (0..1_000_000_u32).flat_map(|n| n.to_le_bytes()).take(900_000).collect()
}

/// Two ask at the same moment; how many bytes each got. They are the picture's, if there are any.
async fn both_fetch(node: &Node, hash: &Hash) -> [Option<usize>; 2] {
    let both = async { tokio::join!(node.blob(hash), node.blob(hash)) };
    let (one, other) = timeout(SOON, both).await.expect("neither waits for ever");
    [one, other].map(|got| {
        let got = got.unwrap();
        assert!(got.as_ref().is_none_or(|bytes| *bytes == picture()), "they got something else");
        got.map(|bytes| bytes.len())
    })
}

#[tokio::test]
async fn two_who_fetch_one_blob_at_once_both_get_it_and_it_travels_once() {
    let shop = Shop::open().await;
    let till = shop.terminal("Till 1").await;
    until_linked(&till, &shop.hub).await;
    let bytes = picture().len();
    let hash = shop.hub.blob_put(picture()).await.unwrap();
    assert_eq!(both_fetch(&till, &hash).await, [Some(bytes); 2]);
    let links = status(&till).await.links;
    let came: u64 = links.iter().map(|link| link.frame_bytes_in).sum();
    let once = bytes as u64;
    assert!((once..once * 3 / 2).contains(&came), "{came} of {once} bytes came: {links:#?}");
}

#[tokio::test]
async fn two_who_fetch_over_a_link_that_ends_in_between_are_both_told_and_get_it_over_the_next() {
    let shop = Shop::open().await;
    shop.hub.shutdown().await.unwrap();
    let Shop { dir, hub, .. } = shop;
    drop(hub);
    let path = |name: &str| dir.path().join(name);
    let Meaning { fold, scope } = meaning();
    let (relay, nobody) = (Relay::open().await, Relay::open().await);
    let behind =
        NodeConfig { advertise: vec![relay.addr], ..NodeConfig::new(path("hub"), Role::Hub, here()) };
    let hub = Node::open(behind, fold, scope).await.unwrap();
    relay.leads_to(hub.listen_addr());
    let code = hub.open_code("Till 1").unwrap();
    enrol_terminal(&path("till"), &code, &[relay.addr], None, &meaning()).await.unwrap();
    let Meaning { fold, scope } = meaning();
    // The hub finds no way to it but the one that it came by.
    let till =
        NodeConfig { advertise: vec![nobody.addr], ..NodeConfig::new(path("till"), Role::Terminal, here()) };
    let till = Node::open(till, fold, scope).await.unwrap();
    until_linked(&till, &hub).await;

    let hash = hub.blob_put(picture()).await.unwrap();
    relay.cut_after(picture().len() / 4);
    assert_eq!(both_fetch(&till, &hash).await, [None; 2]);
    until_unlinked(&till, hub.id()).await;
    until_unlinked(&hub, till.id()).await;
    relay.cut(false);
    until_linked(&till, &hub).await;
    assert_eq!(both_fetch(&till, &hash).await, [Some(picture().len()); 2]);
}
