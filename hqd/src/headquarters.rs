//! All stores behind one port: who there is, and what can be asked about or done for them.
//!
//! Cheap questions are answered from views; what changes something is done one at a time, so that two people who add the
//! same store at once get one store.

mod doors;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use thiserror::Error;
use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;
use toko_crdt::NodeId;
use toko_crdt::sign::SecretKey;
use toko_retail::currency::Currency;
use tracing::info;

use crate::cli::By;
use crate::control::Refusal;
use crate::home::{Home, HomeError};
use crate::publish::{self, Goods};
use crate::report::{self, Days, ReportError};
use crate::room;
use crate::serve::with_causes;
use crate::shut::{self, Shut, ShutStores};
use crate::tenant::{Common, Tenant};

/// Stores that may wait to be served, which takes no time.
const NEWS_MAX: usize = 16;

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
        self.take(tenant, None).await.map_err(|stopping| failed(&stopping))
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

    /// A report over one store or all. A store whose books cannot be read is shut, and left out by name.
    pub(crate) fn report(&self, name: Option<&str>, days: Days, by: By) -> Result<Value, Refusal> {
        let stores = match name {
            Some(name) => vec![self.named(name)?],
            None => self.all(),
        };
        let mut rows = Vec::new();
        for store in stores {
            match store.report(days, by) {
                Ok(found) => rows.extend(found),
                Err(ReportError::Kv(problem)) => self.shut(&store, with_causes(&problem)),
                Err(problem) => {
                    let problem = format!("{}: {problem}", store.name());
                    return Err(Refusal::failed("there is no report", &problem));
                }
            }
        }
        if let Some(name) = name {
            self.named(name)?;
        }
        let mut answer = json!({ "by": by.word(), report::list_key(by): rows });
        if name.is_none() && self.shut.count() > 0 {
            answer["not_open"] = json!(self.shut_names());
        }
        Ok(answer)
    }

    fn shut_names(&self) -> Vec<String> {
        self.shut.all().iter().map(Shut::called).collect()
    }

    /// The row and the alerts of a store, unless its books cannot be read: then it is shut.
    async fn shown(&self, store: &Arc<Tenant>) -> Option<(Value, Vec<Value>)> {
        store.shown().await.map_err(|problem| self.shut(store, with_causes(&problem))).ok()
    }

    /// Every store, as `hqd stores` shows it.
    pub(crate) async fn stores(&self) -> Value {
        self.look_after_all().await;
        let mut rows = Vec::new();
        for store in self.all() {
            rows.extend(self.shown(&store).await.map(|(row, _)| row));
        }
        rows.extend(self.shut.all().iter().map(Shut::row));
        json!({ "stores": rows })
    }

    /// How headquarters is.
    pub(crate) async fn status(&self) -> Value {
        self.look_after_all().await;
        let (mut rows, mut alerts) = (Vec::new(), Vec::new());
        for store in self.all() {
            if let Some((row, more)) = self.shown(&store).await {
                rows.push(row);
                alerts.extend(more);
            }
        }
        for shut in self.shut.all() {
            rows.push(shut.row());
            alerts.push(shut.alert());
        }
        let places = self.places();
        alerts.extend(spawn_blocking(move || room::alerts(&places)).await.unwrap_or_default());
        json!({
            "headquarters": {
                "name": self.home.name(),
                "id": self.home.id(),
                "version": env!("CARGO_PKG_VERSION"),
                "listen": self.common.listen.to_string(),
                "data": self.home.dir().display().to_string(),
            },
            "stores": rows,
            "alerts": alerts,
        })
    }

    /// Where things are written: headquarters' own directory, then each store's.
    fn places(&self) -> Vec<(Option<String>, PathBuf)> {
        let own = (None, self.home.dir().to_owned());
        let stores = self.all().into_iter().map(|store| (Some(store.name()), store.place()));
        std::iter::once(own).chain(stores).collect()
    }

    /// How it is in a few words, for systemd: "3 stores, 2 linked", "3 stores, 2 linked, 1 not open".
    pub(crate) fn words(&self) -> String {
        let stores = self.all();
        let linked = stores.iter().filter(|store| store.is_linked()).count();
        let shut = self.shut.count();
        let all = stores.len() + shut;
        let noun = if all == 1 { "store" } else { "stores" };
        let not_open = if shut == 0 { String::new() } else { format!(", {shut} not open") };
        format!("{all} {noun}, {linked} linked{not_open}")
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
