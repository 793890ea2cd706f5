//! All stores behind one port: who there is, and what can be asked about or done for them.
//!
//! Cheap questions are answered from views; what changes something is done one at a time, so that two people who add the
//! same store at once get one store.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use toko_crdt::sign::SecretKey;
use toko_crdt::{KvError, NodeId};
use toko_retail::currency::Currency;
use tracing::info;

use crate::cli::By;
use crate::control::Refusal;
use crate::home::{Home, StoreFolder};
use crate::publish::{self, Goods};
use crate::report::{self, Days};
use crate::tenant::{Common, OpenTenantError, Tenant};

/// Stores that may wait to be served, which takes no time.
const NEWS_MAX: usize = 16;
/// Stores that are opened at a time: most of an opening is waiting for the disk.
const OPENING_MAX: usize = 8;
/// How often somebody who waits for all of them hears how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// The running headquarters.
#[derive(Debug)]
pub(crate) struct Headquarters {
    home: Home,
    common: Common,
    stores: RwLock<BTreeMap<NodeId, Arc<Tenant>>>,
    changing: Mutex<()>,
    to_serve: mpsc::Sender<Arc<Tenant>>,
}

/// Opens stores, some at a time.
async fn open_all(
    folders: Vec<StoreFolder>,
    common: &Common,
) -> Result<BTreeMap<NodeId, Arc<Tenant>>, OpenTenantError> {
    let (count, mut said) = (folders.len(), Instant::now());
    let (mut folders, mut opening, mut stores) = (folders.into_iter(), JoinSet::new(), BTreeMap::new());
    loop {
        while opening.len() < OPENING_MAX
            && let Some(folder) = folders.next()
        {
            let common = common.clone();
            opening.spawn(async move { Tenant::open(folder, &common).await });
        }
        let Some(opened) = opening.join_next().await else { return Ok(stores) };
        let tenant = opened??;
        stores.insert(tenant.node(), Arc::new(tenant));
        if said.elapsed() >= SAY_EVERY {
            info!(open = stores.len(), of = count, "opening stores");
            said = Instant::now();
        }
    }
}

impl Headquarters {
    /// Opens every store of a directory. Each one that is to be served comes out of the channel.
    ///
    /// Errors: any store that does not open; none is left out in silence.
    pub(crate) async fn open(
        home: Home,
        common: Common,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Arc<Tenant>>), OpenTenantError> {
        let stores = open_all(home.stores()?, &common).await?;
        let (to_serve, served) = mpsc::channel(stores.len() + NEWS_MAX);
        for tenant in stores.values() {
            // There is room for all of them.
            let _ = to_serve.try_send(Arc::clone(tenant));
        }
        let stores = RwLock::new(stores);
        let changing = Mutex::default();
        Ok((Arc::new(Self { home, common, stores, changing, to_serve }), served))
    }

    /// Every store, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Tenant>> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Arc<Tenant>> = stores.values().cloned().collect();
        all.sort_by_key(|store| (store.name(), store.node()));
        all
    }

    fn named(&self, name: &str) -> Result<Arc<Tenant>, Refusal> {
        let is_named = |store: &Arc<Tenant>| store.name() == name || store.node().to_string() == name;
        self.all().into_iter().find(is_named).ok_or_else(|| {
            Refusal::not_there("no-such-store", format!("no store is called \"{name}\"; see `hqd stores`"))
        })
    }

    /// Makes a store, or takes the one of that name, and gives out a code for it.
    pub(crate) async fn add_store(&self, name: &str, currency: &str) -> Result<Value, Refusal> {
        let currency = Currency::parse(currency)
            .map_err(|problem| Refusal::asked_wrongly("bad-currency", problem.to_string()))?;
        let _one_at_a_time = self.changing.lock().await;
        let store = match self.named(name) {
            Ok(store) if store.currency() == currency => store,
            Ok(store) => {
                let words = format!("{name} is there and sells in {}, not in {currency}", store.currency());
                return Err(Refusal::not_now("other-currency", words));
            }
            Err(_) => self.make_store(name, currency).await?,
        };
        let code =
            store.open_code().await.map_err(|problem| Refusal::not_now("no-code", problem.to_string()))?;
        info!(store = %name, node = %store.node().short(), "a code was given out");
        Ok(json!({
            "store": name,
            "node": store.node().to_string(),
            "code": code.to_string(),
            "minutes": toko_mesh::enrol::CODE_MINUTES,
            "tries": toko_mesh::enrol::TRIES_MAX,
            "listen": self.common.listen.to_string(),
            "currency": currency.code(),
        }))
    }

    async fn make_store(&self, name: &str, currency: Currency) -> Result<Arc<Tenant>, Refusal> {
        let failed = |problem: &dyn std::fmt::Display| Refusal::failed("the store was not added", problem);
        let key = SecretKey::from_seed(random().map_err(|problem| failed(&problem))?);
        let folder = self.home.add_store(name, currency, key)?;
        let tenant = Tenant::open(folder, &self.common).await;
        let tenant = Arc::new(tenant.map_err(|problem| failed(&problem))?);
        self.stores
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant.node(), Arc::clone(&tenant));
        self.to_serve.send(Arc::clone(&tenant)).await.map_err(|_| failed(&"headquarters is stopping"))?;
        Ok(tenant)
    }

    /// Publishes a catalogue for one store, or for all that have joined; those that have not are named.
    pub(crate) async fn publish(&self, goods: &Goods, store: Option<&str>) -> Result<Value, Refusal> {
        let _one_at_a_time = self.changing.lock().await;
        let wanted = match store {
            Some(name) => vec![self.named(name)?],
            None => self.all(),
        };
        let (mut stores, mut left_out) = (Vec::new(), Vec::new());
        for store in wanted {
            if store.until_joined().await {
                stores.push(store);
            } else {
                left_out.push(store.name());
            }
        }
        if let (Some(name), []) = (store, stores.as_slice()) {
            let words = format!("{name} has not joined yet; see `hqd stores`");
            return Err(Refusal::not_now("not-joined", words));
        }
        let mut answer = publish::publish(goods, &stores).await?;
        answer["left_out"] = json!(left_out);
        Ok(answer)
    }

    /// A report over one store or all.
    pub(crate) fn report(&self, store: Option<&str>, days: Days, by: By) -> Result<Value, Refusal> {
        let stores = match store {
            Some(name) => vec![self.named(name)?],
            None => self.all(),
        };
        let mut rows = Vec::new();
        for store in stores {
            let Some(books) = store.books() else { continue };
            let name = store.name();
            let found = books.read(|kv| Ok(report::rows(kv, &name, days, by)))?;
            let mut found = found.map_err(|problem| Refusal::failed("there is no report", &problem))?;
            if by == By::Store {
                for row in &mut found {
                    books.show_seal(row)?;
                }
            }
            rows.extend(found);
        }
        Ok(json!({ "by": by.word(), report::list_key(by): rows }))
    }

    /// Every store, as `hqd stores` shows it.
    pub(crate) async fn stores(&self) -> Result<Value, Refusal> {
        let mut rows = Vec::new();
        for store in self.all() {
            rows.push(store.shown().await?.0);
        }
        Ok(json!({ "stores": rows }))
    }

    /// How headquarters is.
    pub(crate) async fn status(&self) -> Result<Value, Refusal> {
        let (mut rows, mut alerts) = (Vec::new(), Vec::new());
        for store in self.all() {
            let (row, more) = store.shown().await?;
            rows.push(row);
            alerts.extend(more);
        }
        Ok(json!({
            "headquarters": {
                "name": self.home.name(),
                "id": self.home.id(),
                "version": env!("CARGO_PKG_VERSION"),
                "listen": self.common.listen.to_string(),
                "data": self.home.dir().display().to_string(),
            },
            "stores": rows,
            "alerts": alerts,
        }))
    }

    /// How it is in a few words, for systemd: "3 stores, 2 linked".
    pub(crate) async fn words(&self) -> Result<String, KvError> {
        let stores = self.all();
        let mut linked = 0;
        for store in &stores {
            linked += usize::from(store.is_linked().await?);
        }
        let noun = if stores.len() == 1 { "store" } else { "stores" };
        Ok(format!("{} {noun}, {linked} linked", stores.len()))
    }

    /// Whether every store's books still take what is written; the first that does not says why.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        for store in self.all() {
            if let Some(books) = store.books() {
                books.probe().await.map_err(|problem| format!("{}: {problem}", store.name()))?;
            }
        }
        Ok(())
    }

    /// Saves and closes the books of every store.
    pub(crate) async fn close(&self) {
        let mut closing = JoinSet::new();
        for store in self.all() {
            closing.spawn(async move { store.close().await });
        }
        while closing.join_next().await.is_some() {}
    }
}

/// Fresh random bytes of the machine.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], String> {
    toko_mesh::enrol::random().map_err(|problem| problem.to_string())
}
