//! A till on a directory of its own, with its API on a real socket.
#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use terminal_agent::api::{ApiSetup, bind, router, serve};
use terminal_agent::ask::Door;
use terminal_agent::config::Receipt;
use terminal_agent::desk::Desk;
use terminal_agent::draw::Draw;
use terminal_agent::ledger::Ledger;
use terminal_agent::shelf::{Shelf, Stocked};
use terminal_agent::till::{Clerk, ClerkSetup, Till};
use terminal_agent::wall::Wall;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toko_crdt::Run;
use toko_crdt::clock::UnixMicros;
use toko_crdt::member::{Claim, Statement};
use toko_crdt::sign::SecretKey;
use toko_crdt::StoreId;
use toko_mesh::disk::RealDisk;
use toko_mesh::store::{Store, StoreConfig, StoreSetup, StoreThread};
use toko_retail::catalogue::Catalogue;
use toko_retail::currency::Currency;
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;

pub(crate) const CATALOGUE: &str = "sku,name,price,codes,decimals,service\n\
    85123A,WHITE HANGING HEART T-LIGHT HOLDER,2.55,,0,no\n\
    71053,WHITE METAL LANTERN,3.39,036000291452,0,no\n\
    APPLES,APPLES LOOSE,1.999,plu:4011,3,no\n\
    POST,POSTAGE,18.00,,0,yes\n";

/// A running till.
pub(crate) struct Shop {
    pub(crate) door: Door,
    store: StoreThread,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMicros(i64::try_from(since.as_micros()).unwrap())
}

impl Shop {
    /// Opens (or opens again) till `number` in `dir`.
    pub(crate) async fn open(dir: &Path, number: u8) -> Self {
        let [root, hub, till] = [1, 2, 10 + number].map(|seed| SecretKey::from_seed([seed; 32]));
        let store_id = StoreId::of(&root.public());
        std::fs::create_dir_all(dir.join("journal")).unwrap();
        let mut draw = Draw::new().unwrap();
        let setup = StoreSetup {
            disk: Arc::new(RealDisk::open(&dir.join("journal")).unwrap()),
            root: root.public(),
            key: till.clone(),
            mint_run: Box::new(move || Run(u64::from_be_bytes(draw.bytes()[..8].try_into().unwrap()))),
            fold: Arc::new(ShopFold),
            scope: Arc::new(ShopScope),
            config: StoreConfig::default(),
        };
        let store = StoreThread::start(Store::open(setup).unwrap(), Arc::new(now)).unwrap();
        let name = format!("Till {number}");
        let claims = [
            Statement::sign(&store_id, &root, Claim::Hub { term: 1, key: hub.public() }),
            Statement::sign(
                &store_id,
                &hub,
                Claim::Terminal { term: 1, key: till.public(), number: number.into(), name },
            ),
        ];
        store.handle().statements(claims.to_vec()).await.unwrap();
        Self::start(dir, store, Ledger::new, till).await
    }

    async fn start(
        dir: &Path,
        store: StoreThread,
        ledger: fn(toko_mesh::store::StoreHandle, toko_crdt::NodeId) -> Ledger,
        key: SecretKey,
    ) -> Self {
        let gbp = Currency::parse("GBP").unwrap();
        let ledger = ledger(store.handle(), key.node());
        let shelf = Shelf::new(gbp);
        let catalogue = Catalogue::import(CATALOGUE.as_bytes(), gbp, &[]).unwrap();
        shelf.swap(Stocked { bundle: catalogue.bundle(), name: "week 48".into(), rev: 1, catalogue });
        let (wall, desk) = (Wall::in_zone("").unwrap(), Desk::new(dir));
        let receipt = Receipt { header: vec!["CORNER SHOP".into()], ..Receipt::default() };
        let clerk = Clerk::start(ClerkSetup {
            ledger: ledger.clone(),
            shelf: shelf.clone(),
            wall: wall.clone(),
            desk: desk.clone(),
            receipt: receipt.clone(),
            terminal: ledger.terminal().unwrap().0,
        })
        .unwrap();
        let (till, work) = Till::new(clerk);
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let token = desk.token().unwrap();
        let router = router(ApiSetup {
            token: token.clone(),
            address,
            at_once: 8,
            patience: Duration::from_secs(10),
            till,
            ledger,
            shelf,
            wall,
            receipt,
        });
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(work.run(stop.clone()));
        tasks.spawn(serve(listener, router, stop.clone()));
        Self { door: Door { address, token }, store, stop, tasks }
    }

    /// Stops everything without a word to the store, which ends when its last handle is gone.
    pub(crate) async fn drop_dead(mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        self.store.stop().await.unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.door.call(hyper::Method::GET, path, None, None).await.unwrap();
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    pub(crate) async fn call(&self, method: &str, path: &str, key: &str, body: Value) -> (u16, Value) {
        let method = hyper::Method::from_bytes(method.as_bytes()).unwrap();
        let body = if body.is_null() { None } else { Some(body) };
        self.door.call(method, path, Some(key), body.as_ref()).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Value {
        let (status, answer) = self.call("POST", path, key, body).await;
        assert!(status == 200 || status == 201, "POST {path}: {status} {answer}");
        answer
    }

    /// Opens a cart and gives its id.
    pub(crate) async fn cart(&self, key: &str) -> String {
        text(&self.post("/v1/carts", key, json!({})).await["cart"])
    }

    /// Rings up one lantern for cash and gives the sale.
    pub(crate) async fn sell_a_lantern(&self, key: &str) -> Value {
        let cart = self.cart(&format!("{key}-c")).await;
        let line = json!({ "code": "71053", "qty": "1" });
        self.post(&format!("/v1/carts/{cart}/lines"), &format!("{key}-l"), line).await;
        let paid = json!({ "tenders": [{ "kind": "cash", "amount": "5.00" }] });
        self.post(&format!("/v1/carts/{cart}/sale"), &format!("{key}-s"), paid).await
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is a string")).to_owned()
}
