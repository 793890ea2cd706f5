//! A till on a directory of its own, with its API on a real socket.

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use terminal_agent::ask::{Door, Method};
use terminal_agent::config::{Config, File};
use terminal_agent::desk::Desk;
use terminal_agent::service::Agent;
use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::entry::Draft;
use toko_crdt::ids::JournalId;
use toko_crdt::member::{Claim, Statement};
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Entry, Hash, Lane, Run, StoreId};
use toko_mesh::blobs::Blobs;
use toko_mesh::identity::{DataDir, Role};
use toko_mesh::store::{Store, StoreConfig, StoreSetup, StoreThread};
use toko_retail::bundle::publish_catalogue;
use toko_retail::catalogue::Catalogue;
use toko_retail::currency::Currency;
use toko_retail::ops::{BundleActivatedV1, BundleKind, OpV1, What};
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
    agent: Agent,
}

/// The settings of a till in a test: a free port, and British money.
pub(crate) fn config() -> Config {
    let mut file = File::default();
    file.api.listen = "127.0.0.1:0".into();
    file.links.listen = "127.0.0.1:0".into();
    file.links.mdns = false;
    file.till.currency = "GBP".into();
    file.receipt.header = vec!["CORNER SHOP".into()];
    file.parse().unwrap()
}

/// Makes the directory of till `number`, as enrolment by its hub would, with the hub's catalogue.
pub(crate) async fn enrol(data: &Path, number: u8) {
    let [root, hub, till] = [1, 2, 10 + number].map(|seed| SecretKey::from_seed([seed; 32]));
    let store_id = StoreId::of(&root.public());
    let dir = DataDir::create(data, root.public(), till.clone(), Role::Terminal, UnixMicros(0)).unwrap();
    let setup = StoreSetup {
        disk: dir.journal_disk().unwrap(),
        root: root.public(),
        key: till.clone(),
        mint_run: Box::new(|| unreachable!("nothing is written here")),
        fold: Arc::new(ShopFold),
        scope: Arc::new(ShopScope),
        config: StoreConfig::default(),
    };
    let store = StoreThread::start(Store::open(setup).unwrap(), Arc::new(|| UnixMicros(1))).unwrap();
    let claims = vec![
        Statement::sign(&store_id, &root, Claim::Hub { term: 1, key: hub.public() }),
        Statement::sign(
            &store_id,
            &hub,
            Claim::Terminal {
                term: 1,
                key: till.public(),
                number: number.into(),
                name: format!("Till {number}"),
            },
        ),
    ];
    store.handle().statements(claims).await.unwrap();
    let catalogue = Catalogue::import(CATALOGUE.as_bytes(), Currency::parse("GBP").unwrap(), &[]).unwrap();
    let (published, blob) = publish_catalogue(&catalogue, "week 48", &[]).unwrap();
    Blobs::open(dir.blobs_disk().unwrap(), 1 << 20).unwrap().put(&blob).unwrap();
    let activated = BundleActivatedV1 { kind: BundleKind::Catalogue, blob: published.blob, rev: 1 };
    let ops = [What::BundlePublished(published), What::BundleActivated(activated)];
    store.handle().ingest(hub_journal(&store_id, &hub, ops)).await.unwrap();
    store.stop().await.unwrap();
}

fn hub_journal(store: &StoreId, hub: &SecretKey, ops: impl IntoIterator<Item = What>) -> Vec<Entry> {
    let journal = JournalId { node: hub.node(), run: Run(1), lane: Lane::Books };
    let bodies = ops.into_iter().map(|what| Body::Op(OpV1::new(what).encode()));
    let mut prev = Hash::ZERO;
    (1..)
        .zip([Body::first()].into_iter().chain(bodies))
        .map(|(seq, body)| {
            let at = Hlc { micros: seq, tick: 0 };
            let entry = Draft { journal, seq, prev, at, saw: None, body: body.encode() }.sign(store, hub);
            prev = entry.hash();
            entry
        })
        .collect()
}

impl Shop {
    /// Opens (or opens again) till `number` in `dir`.
    pub(crate) async fn open(dir: &Path, number: u8) -> Self {
        Self::open_with(dir, number, &config()).await
    }

    /// The same, with settings of its own.
    pub(crate) async fn open_with(dir: &Path, number: u8, config: &Config) -> Self {
        let data = dir.join(format!("till-{number}"));
        if !data.exists() {
            enrol(&data, number).await;
        }
        let agent = Agent::start(&data, config).await.unwrap();
        let door = Door { address: agent.address(), token: Desk::new(&data).token().unwrap() };
        Self { door, agent }
    }

    /// Stops in order.
    pub(crate) async fn close(self) {
        self.agent.stop().await;
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.door.call(Method::GET, path, None, None).await.unwrap();
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    pub(crate) async fn call(&self, method: &str, path: &str, key: &str, body: Value) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
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
