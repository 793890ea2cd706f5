//! All stores behind one port: who there is, and what can be asked about or done for them.
//!
//! Cheap questions are answered from views; what changes something is done one at a time, so that two people who add the
//! same store at once get one store.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use toko_crdt::sign::SecretKey;
use toko_crdt::{KvError, NodeId};
use toko_retail::currency::Currency;
use tracing::{error, info};

use crate::cli::By;
use crate::control::Refusal;
use crate::home::{Home, HomeError};
use crate::publish::{self, Goods};
use crate::report::{self, Days};
use crate::shut::{self, Shut, ShutStores};
use crate::tenant::{Common, Tenant};

/// Stores that may wait to be served, which takes no time.
const NEWS_MAX: usize = 16;
/// Stores that are opened at a time: most of an opening is waiting for the disk.
const OPENING_MAX: usize = 8;
/// How often somebody who waits for all of them hears how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Why headquarters did not open at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// The directory of all stores.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The machine gives no randomness; in words.
    #[error("{0}")]
    NoRandomness(String),
}

/// Headquarters is stopping: nothing new is served.
#[derive(Debug, Clone, Copy, Error)]
#[error("headquarters is stopping")]
struct Stopping;

/// The running headquarters.
#[derive(Debug)]
pub(crate) struct Headquarters {
    home: Home,
    common: Common,
    stores: RwLock<BTreeMap<NodeId, Arc<Tenant>>>,
    shut: ShutStores,
    changing: Mutex<()>,
    to_serve: mpsc::Sender<Arc<Tenant>>,
}

impl Headquarters {
    /// Opens the stores of a directory. Each one that is to be served comes out of the channel; those that do not open are
    /// noted, said, and tried again by whoever asks.
    ///
    /// Errors: the directory that all stores are in. That no store opens is none: whoever looks is told.
    pub(crate) async fn open(
        home: Home,
        common: Common,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Arc<Tenant>>), OpenError> {
        let folders = home.folders()?;
        let (to_serve, served) = mpsc::channel(folders.len() + NEWS_MAX);
        let shut = ShutStores::behind(&common.endpoint, random().map_err(OpenError::NoRandomness)?);
        let (stores, changing) = (RwLock::default(), Mutex::default());
        let headquarters = Self { home, common, stores, shut, changing, to_serve };
        headquarters.open_all(folders).await;
        Ok((Arc::new(headquarters), served))
    }

    /// Opens stores, some at a time.
    async fn open_all(&self, folders: Vec<PathBuf>) {
        let (count, mut said) = (folders.len(), Instant::now());
        let (mut folders, mut opening) = (folders.into_iter(), JoinSet::new());
        let mut under_way: BTreeMap<task::Id, PathBuf> = BTreeMap::new();
        loop {
            while opening.len() < OPENING_MAX
                && let Some(dir) = folders.next()
            {
                let (common, folder) = (self.common.clone(), dir.clone());
                let task = opening.spawn(async move { shut::open(&folder, &common).await });
                under_way.insert(task.id(), dir);
            }
            let Some(opened) = opening.join_next_with_id().await else { break };
            let id = opened.as_ref().map_or_else(task::JoinError::id, |(id, _)| *id);
            let dir = under_way.remove(&id).unwrap_or_default();
            let opened =
                opened.map_or_else(|panic| Err(Shut::at(&dir, panic.to_string())), |(_, opened)| opened);
            match opened {
                Ok(tenant) => drop(self.take(tenant).await),
                Err(shut) => self.shut.note(shut),
            }
            if said.elapsed() >= SAY_EVERY {
                info!(open = self.all().len(), of = count, "opening stores");
                said = Instant::now();
            }
        }
        if count > 0 && self.shut.count() == count {
            error!(stores = count, path = %self.home.dir().display(), "no store opened; nothing is collected until one does");
        }
    }

    /// Takes a store that opened, and has it served.
    async fn take(&self, tenant: Tenant) -> Result<Arc<Tenant>, Stopping> {
        let tenant = Arc::new(tenant);
        self.stores
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant.node(), Arc::clone(&tenant));
        self.to_serve.send(Arc::clone(&tenant)).await.map_err(|_| Stopping)?;
        Ok(tenant)
    }

    /// Tries stores that did not open once more: all, or the one of this name. Says which opened, and which still do not.
    pub(crate) async fn try_again(&self, name: Option<&str>) -> (Vec<String>, Vec<Shut>) {
        let _one_at_a_time = self.shut.trying.lock().await;
        let (mut opened, mut still) = (Vec::new(), Vec::new());
        let wanted = |shut: &Shut| name.is_none_or(|name| shut.called() == name);
        for shut in self.shut.all().into_iter().filter(wanted) {
            if std::fs::symlink_metadata(&shut.dir)
                .is_err_and(|problem| problem.kind() == ErrorKind::NotFound)
            {
                shut.node.into_iter().for_each(|node| self.common.disclaim(node));
                self.shut.forget(&shut, "a store that did not open was taken away");
                continue;
            }
            match shut::open(&shut.dir, &self.common).await {
                Ok(tenant) if self.all().iter().any(|other| other.name() == tenant.name()) => {
                    let why =
                        format!("another store here is called {} already; see its store.toml", tenant.name());
                    tenant.close().await;
                    self.shut.note(Shut { why, ..shut.clone() });
                    still.push(shut);
                }
                Ok(tenant) => {
                    opened.push(tenant.name());
                    // Where headquarters is stopping, it closes what it has.
                    let _ = self.take(tenant).await;
                    self.shut.forget(&shut, "a store that did not open is open now");
                }
                Err(shut) => {
                    self.shut.note(shut.clone());
                    still.push(shut);
                }
            }
        }
        (opened, still)
    }

    /// What `hqd open-store` asks for.
    pub(crate) async fn open_store(&self, name: Option<&str>) -> Result<Value, Refusal> {
        if let Some(name) = name
            && !self.shut.all().iter().any(|shut| shut.called() == name)
        {
            let store = self.named(name)?.name();
            return Ok(json!({ "opened": [], "open": [store] }));
        }
        let (opened, still) = self.try_again(name).await;
        if still.is_empty() {
            return Ok(json!({ "opened": opened, "open": [] }));
        }
        let each = still
            .iter()
            .map(|shut| format!("{} is not open: {}: {}", shut.called(), shut.dir.display(), shut.why));
        let refusal = Refusal::not_now(shut::CODE, each.collect::<Vec<_>>().join("\n"));
        Err(if opened.is_empty() { refusal } else { refusal.after(&format!("opened {}", opened.join(", "))) })
    }

    /// Every store, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Tenant>> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Arc<Tenant>> = stores.values().cloned().collect();
        all.sort_by_key(|store| (store.name(), store.node()));
        all
    }

    /// How many stores did not open.
    pub(crate) fn not_open(&self) -> usize {
        self.shut.count()
    }

    fn named(&self, name: &str) -> Result<Arc<Tenant>, Refusal> {
        let is_named = |store: &Arc<Tenant>| store.name() == name || store.node().to_string() == name;
        self.all().into_iter().find(is_named).ok_or_else(|| match self.shut.maybe(name) {
            Some(shut) => not_open(&shut),
            None => Refusal::not_there(
                "no-such-store",
                format!("no store is called \"{name}\"; see `hqd stores`"),
            ),
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
            // Two folders of one name would be two stores.
            Err(_) => match self.shut.maybe(name) {
                Some(shut) => return Err(not_open(&shut)),
                None => self.make_store(name, currency).await?,
            },
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
        let tenant = Tenant::open(folder, &self.common).await.map_err(|problem| failed(&problem))?;
        self.take(tenant).await.map_err(|stopping| failed(&stopping))
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
        answer["not_open"] = json!(if store.is_none() { self.shut_names() } else { Vec::new() });
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
        let mut answer = json!({ "by": by.word(), report::list_key(by): rows });
        if store.is_none() && self.shut.count() > 0 {
            answer["not_open"] = json!(self.shut_names());
        }
        Ok(answer)
    }

    fn shut_names(&self) -> Vec<String> {
        self.shut.all().iter().map(Shut::called).collect()
    }

    /// Every store, as `hqd stores` shows it.
    pub(crate) async fn stores(&self) -> Result<Value, Refusal> {
        let mut rows = Vec::new();
        for store in self.all() {
            rows.push(store.shown().await?.0);
        }
        rows.extend(self.shut.all().iter().map(Shut::row));
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
        for shut in self.shut.all() {
            rows.push(shut.row());
            alerts.push(shut.alert());
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

    /// How it is in a few words, for systemd: "3 stores, 2 linked", "3 stores, 2 linked, 1 not open".
    pub(crate) async fn words(&self) -> Result<String, KvError> {
        let stores = self.all();
        let mut linked = 0;
        for store in &stores {
            linked += usize::from(store.is_linked().await?);
        }
        let shut = self.shut.count();
        let all = stores.len() + shut;
        let noun = if all == 1 { "store" } else { "stores" };
        let not_open = if shut == 0 { String::new() } else { format!(", {shut} not open") };
        Ok(format!("{all} {noun}, {linked} linked{not_open}"))
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

fn not_open(shut: &Shut) -> Refusal {
    let (store, path) = (shut.called(), shut.dir.display());
    let words = format!(
        "{store} is there and its books are not open ({path}); see `hqd status`, mend it, then `hqd open-store`"
    );
    Refusal::not_now(shut::CODE, words).because(&shut.why)
}

/// Fresh random bytes of the machine.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], String> {
    toko_mesh::enrol::random().map_err(|problem| problem.to_string())
}
