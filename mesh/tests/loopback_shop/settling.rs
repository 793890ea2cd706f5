//! Carts that are done go everywhere once the hub says so, and what somebody may still finish stays (F45).

use super::*;
use std::collections::BTreeMap;
use toko_crdt::body::CartChange;
use toko_crdt::book::{rows, settled};
use toko_crdt::cart::{Actor, Cart};
use toko_crdt::clock::UnixMicros;
use toko_crdt::member::{Claim, Statement};
use toko_crdt::settling::Settling;
use toko_crdt::sign::SecretKey;
use toko_crdt::{CartId, KvError, KvRead};
use toko_mesh::store::{Append, Verdict};

const DAY: i64 = 86_400_000_000;

/// Ops of the floor: `o` or `d` (done), then the cart. All that was said of a cart is in table `52`.
struct Carts;

fn said_done(kv: &dyn KvRead, cart: &CartId) -> Result<bool, KvError> {
    let mut done = false;
    kv.scan(&[&[0x52], cart.0.as_slice()].concat(), &mut |_, said| {
        done |= said == b"d";
        true
    })?;
    Ok(done)
}

impl Fold for Carts {
    fn version(&self) -> u32 {
        1
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        let about = effect.op.split_first().and_then(|(_, cart)| Some(CartId(cart.try_into().ok()?)));
        match about.filter(|_| effect.entry.journal().lane == Lane::Floor) {
            Some(cart) if settled::is_settled(kv, &cart)? => Ok(()),
            Some(cart) => Ok(kv.put(&[&[0x52], cart.0.as_slice(), &effect.id.0].concat(), &effect.op[..1])?),
            None => Ok(kv.put(&[&[0x10], effect.id.0.as_slice()].concat(), effect.op)?),
        }
    }

    fn settle(&self, kv: &mut dyn Kv, settling: &Settling) -> Result<(), KvError> {
        let ended = settled::rows_settled(kv, 0x52, settling)?;
        ended.iter().try_for_each(|row| kv.delete(row))
    }

    fn books_due(&self, kv: &dyn KvRead, before: UnixMicros) -> Result<Vec<Vec<u8>>, KvError> {
        let said = books_settled(kv)?;
        Ok(said.is_none().then(|| [b"B", before.0.to_be_bytes().as_slice()].concat()).into_iter().collect())
    }

    fn carts(&self, kv: &dyn KvRead, before: UnixMicros) -> Result<BTreeMap<CartId, bool>, KvError> {
        let carts = settled::carts_before(kv, 0x52, before)?;
        carts.into_iter().map(|cart| Ok((cart, !said_done(kv, &cart)?))).collect()
    }
}

/// Up to where the hub said that books are settled.
fn books_settled(kv: &dyn KvRead) -> Result<Option<UnixMicros>, KvError> {
    let mut said = None;
    kv.scan(&[0x10], &mut |_, op| {
        let before = op.strip_prefix(b"B").and_then(|before| before.try_into().ok());
        said = before.map(|before| UnixMicros(i64::from_be_bytes(before)));
        said.is_none()
    })?;
    Ok(said)
}

fn with_carts() -> Meaning {
    Meaning { fold: Arc::new(Carts), scope: Arc::new(Everybody) }
}

async fn open(dir: PathBuf, role: Role) -> Node {
    let Meaning { fold, scope } = with_carts();
    Node::open(NodeConfig::new(dir, role, here()), fold, scope).await.unwrap()
}

/// A hub and a till that are linked, and the time as the till has it.
async fn shop(dir: &TempDir) -> (Node, Node, UnixMicros) {
    let (hub, till, now, _) = shop_with_its_root(dir).await;
    (hub, till, now)
}

/// Likewise, with the root key.
async fn shop_with_its_root(dir: &TempDir) -> (Node, Node, UnixMicros, RecoveryCode) {
    let founded = found_store(&dir.path().join("hub"), &with_carts()).unwrap();
    let hub = open(dir.path().join("hub"), Role::Hub).await;
    let till = enrol(dir, &hub, "Till 1").await;
    let till = open(till, Role::Terminal).await;
    until_linked(&till, &hub).await;
    let opens = sell(&till, "the first sale").await;
    let now = till.entry(&opens.place).unwrap().unwrap().at().wall();
    (hub, till, now, founded.recovery)
}

async fn enrol(dir: &TempDir, hub: &Node, name: &str) -> PathBuf {
    let (code, path) = (hub.open_code(name).unwrap(), dir.path().join(name));
    enrol_terminal(&path, &code, &[hub.listen_addr()], None, &with_carts()).await.unwrap();
    path
}

async fn says(node: &Node, said: u8, cart: CartId) -> Appended {
    let op = [&[said], cart.0.as_slice()].concat();
    node.append(Lane::Floor, Body::Op(op), None, Wait::Synced).await.unwrap()
}

fn is_settled(node: &Node, cart: CartId) -> bool {
    node.read(|kv| settled::is_settled(kv, &cart)).unwrap()
}

/// Carts that have rows of either kind.
fn on_the_floor(node: &Node) -> Vec<CartId> {
    let read = |kv: &dyn KvRead| {
        let all = [0x40, 0x52].map(|table| settled::carts_before(kv, table, UnixMicros(i64::MAX)));
        all.into_iter().collect::<Result<Vec<_>, _>>()
    };
    let mut all = node.read(read).unwrap().concat();
    all.sort_unstable();
    all.dedup();
    all
}

#[tokio::test]
async fn carts_that_are_done_go_everywhere_after_a_seal_and_a_parked_one_stays_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, till, now) = shop(&dir).await;
    let cart = |days: i64, n: u8| CartId::made(UnixMicros(now.0 - days * DAY), [n; 16]);
    let [done, parked, fresh] = [cart(9, 1), cart(9, 2), cart(0, 3)];
    for cart in [done, parked, fresh] {
        says(&till, b'o', cart).await;
    }
    let run = says(&till, b'd', done).await.place.journal.run;
    let mut filled = Cart::open(done, Actor::of(&till.id(), run), [[0_u8; 0]; 0]).unwrap();
    let change = filled.set("customer", b"7").unwrap().unwrap();
    let change = Body::Cart(CartChange { cart: done, change, idem: None });
    till.append(Lane::Floor, change, None, Wait::Synced).await.unwrap();
    let last = says(&till, b'd', fresh).await;
    until_seen(&hub, &last).await;
    assert_eq!(hub.read(|kv| rows::cart_changes(kv, &done)).unwrap().len(), 1);

    hub.seal().await.unwrap();
    for node in [&hub, &till] {
        until(node, "what is done is settled", |node| is_settled(node, done)).await;
        assert_eq!(on_the_floor(node), [parked, fresh]);
        until(node, "books are settled, after carts", |node| {
            node.read(|kv| books_settled(kv)).unwrap().is_some()
        })
        .await;
    }
    let root = hub.frontier().root();
    until(&till, "all hold the same", |node| node.frontier().root() == root).await;
    assert_eq!(status(&till).await.digests, status(&hub).await.digests);

    // Somebody comes for the parked one after all.
    let last = says(&till, b'd', parked).await;
    until_seen(&hub, &last).await;
    hub.seal().await.unwrap();
    for node in [&hub, &till] {
        until(node, "it goes with the next settling", |node| is_settled(node, parked)).await;
        assert_eq!(on_the_floor(node), [fresh]);
        assert_eq!(node.read(|kv| settled::settlings(kv)).unwrap().len(), 1, "one word stands");
    }
    let parked = |node: &Node| node.store().reader().parked().unwrap();
    assert_eq!((parked(&hub), parked(&till)), (vec![], vec![]));
}

#[tokio::test]
async fn carts_wait_a_month_for_a_terminal_that_nobody_has_heard_of() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, till, now) = shop(&dir).await;
    enrol(&dir, &hub, "Till 2").await;
    let cart = |days: i64, n: u8| CartId::made(UnixMicros(now.0 - days * DAY), [n; 16]);
    let (recent, old) = (cart(9, 1), cart(31, 2));
    says(&till, b'd', recent).await;
    let last = says(&till, b'd', old).await;
    until_seen(&hub, &last).await;
    hub.seal().await.unwrap();
    until(&till, "what is too old is settled", |node| is_settled(node, old)).await;
    assert_eq!(on_the_floor(&till), [recent], "the silent one may know more of this one");
}

#[tokio::test]
async fn the_hub_says_after_a_seal_up_to_where_books_are_settled_and_a_till_never_does() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, till, _) = shop(&dir).await;
    // Ages count from what a terminal wrote last, where that is older than the seal.
    let last = says(&till, b'o', CartId([9; 16])).await;
    until_seen(&hub, &last).await;
    let heard = till.entry(&last.place).unwrap().unwrap().at().wall();
    hub.seal().await.unwrap();
    for node in [&hub, &till] {
        let said = |node: &Node| node.read(|kv| books_settled(kv)).unwrap();
        until(node, "books are settled", |node| said(node).is_some()).await;
        assert_eq!(said(node), Some(UnixMicros(heard.0 - 400 * DAY)));
    }
    let by: Vec<_> = hub
        .read(|kv| {
            let mut found = Vec::new();
            kv.scan(&[0x10], &mut |key, op| {
                if op.starts_with(b"B") {
                    found.push(toko_crdt::EffectId(key[1..].try_into().unwrap()));
                }
                true
            })?;
            found
                .into_iter()
                .map(|effect| Ok(rows::place_of(kv, effect)?.unwrap().journal.node))
                .collect::<Result<_, KvError>>()
        })
        .unwrap();
    assert_eq!(by, [hub.id()], "once, by the hub");
    till.shutdown().await.unwrap();
    hub.shutdown().await.unwrap();
}

/// The hub goes over a seal that the key of `by` writes as the hub of a later term.
async fn goes_over_a_seal_of(by: &Node, hub: &Node) {
    let body = Body::Seal(by.store().reader().cut().unwrap());
    let sealed =
        by.store().append(Append { lane: Lane::Books, body, saw: None, wait: Wait::Synced }).await.unwrap();
    let is_equal = |hub: &Node| {
        let seals = hub.seals().unwrap();
        seals.iter().any(|seal| seal.entry == sealed.hash && seal.verdict == Some(Verdict::Equal))
    };
    until(hub, "the hub that was went over the new one's seal", is_equal).await;
}

#[tokio::test]
async fn a_hub_that_lost_its_term_settles_nothing_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, till, now, root) = shop_with_its_root(&dir).await;
    let done = CartId::made(UnixMicros(now.0 - 9 * DAY), [1; 16]);
    let last = says(&till, b'd', done).await;
    until_seen(&hub, &last).await;
    till.shutdown().await.unwrap();
    let key =
        SecretKey::from_seed(std::fs::read(dir.path().join("Till 1/node.key")).unwrap().try_into().unwrap());
    assert_eq!(key.node(), till.id());
    drop(till);

    // It seals, and nobody has gone over that yet when it hears that its term is over.
    hub.seal().await.unwrap();
    until(&hub, "it went over its own", |hub| hub.seals().unwrap()[0].verdict == Some(Verdict::Equal)).await;
    let claim = Claim::Hub { term: 2, key: key.public() };
    let succeeded = Statement::sign(&hub.store_id(), &root.0, claim);
    hub.store().statements(vec![succeeded]).await.unwrap();
    until(&hub, "it is the hub no more", |hub| !hub.is_hub()).await;

    // Now somebody has, which is when a hub settles what is a week old.
    let till = open(dir.path().join("Till 1"), Role::Terminal).await;
    let confirmed =
        |hub: &Node| hub.seals().unwrap().iter().any(|seal| seal.confirmed_by.contains(&till.id()));
    until(&hub, "the till found the same", confirmed).await;
    // What a node does about seals it does one after the other: with the second of these the first has had its consequences.
    goes_over_a_seal_of(&till, &hub).await;
    goes_over_a_seal_of(&till, &hub).await;
    for node in [&hub, &till] {
        assert!(!is_settled(node, done));
        assert_eq!(node.read(|kv| settled::settlings(kv)).unwrap(), vec![]);
    }
}
