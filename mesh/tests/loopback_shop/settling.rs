//! Carts that are done go everywhere once the hub says so, and what somebody may still finish stays (F45).

use super::*;
use std::collections::BTreeMap;
use toko_crdt::body::CartChange;
use toko_crdt::book::{rows, settled};
use toko_crdt::cart::{Actor, Cart};
use toko_crdt::clock::UnixMicros;
use toko_crdt::settling::Settling;
use toko_crdt::{CartId, KvError, KvRead};

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
    found_store(&dir.path().join("hub"), &with_carts()).unwrap();
    let hub = open(dir.path().join("hub"), Role::Hub).await;
    let till = enrol(dir, &hub, "Till 1").await;
    let till = open(till, Role::Terminal).await;
    until_linked(&till, &hub).await;
    let opens = sell(&till, "the first sale").await;
    let now = till.entry(&opens.place).unwrap().unwrap().at().wall();
    (hub, till, now)
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
