//! Stores that did not open, or that could not go on: each is named with its folder, why, and what to do, and is tried again
//! while the others are served.
//!
//! Only what is a store's own keeps it shut: its folder, its key, its books. A full disk does not: it heals by itself. Nobody
//! answers to its name meanwhile, so its hub is refused in the handshake and says so; the store sells on. Absent on purpose:
//! mending. What does not open is not touched.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_crdt::NodeId;
use toko_crdt::sign::SecretKey;
use toko_mesh::endpoint::Endpoint;
use toko_mesh::tls::TlsKey;
use toko_mesh::tls::tenants::{self, Registration};
use tracing::{debug, error, info};

use crate::home::{StoreFolder, name_in};
use crate::serve::with_causes;
use crate::tenant::{Common, Tenant};

/// How often what is shut is tried again, one store after the other. Slow: an opening may read a whole log.
pub(crate) const TRY_EVERY: Duration = Duration::from_secs(60);
/// How long whoever tries one again waits until it is closed.
const CLOSED_SOON: Duration = Duration::from_secs(5);
/// The code of the alert, and of what is refused because of it.
pub(crate) const CODE: &str = "store-not-open";
/// What a person should do.
const ADVICE: &str = "the other stores are served, and this one sells on without headquarters: mend what is named here (rights, disk, an hqd too old for it), \
or put this store's folder back from a backup; hqd tries it again each minute, `hqd open-store` at once. If it cannot be mended, \
move its folder out of stores/ and add the store anew: its hub gives back what it still keeps";

/// A store that did not open, or could not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shut {
    /// Its folder.
    pub(crate) dir: PathBuf,
    /// What people call it, where the folder still tells.
    pub(crate) name: Option<String>,
    /// Headquarters' node in it, where the key can be read.
    pub(crate) node: Option<NodeId>,
    /// What went wrong, with all causes.
    pub(crate) why: String,
}

impl Shut {
    /// A folder of which nothing else is known.
    pub(crate) fn at(dir: &Path, why: String) -> Self {
        Self { name: name_in(dir), dir: dir.to_owned(), node: None, why }
    }

    /// What to call it: its name, else its folder's.
    pub(crate) fn called(&self) -> String {
        let folder = || self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(folder)
    }

    /// As `hqd stores` shows it.
    pub(crate) fn row(&self) -> Value {
        json!({
            "store": self.called(),
            "node": self.node.map(|node| node.to_string()),
            "state": "not-open",
            "path": self.dir.display().to_string(),
            "why": self.why,
        })
    }

    /// As `hqd status` shows it.
    pub(crate) fn alert(&self) -> Value {
        json!({
            "store": self.called(),
            "code": CODE,
            "screen": ADVICE,
            "log": format!("{}: {}", self.dir.display(), self.why),
            "node": self.node.map(|node| node.to_string()),
        })
    }

    fn say(&self, what: &str) {
        error!(
            store = %self.called(), path = %self.dir.display(), err = %self.why, advice = ADVICE,
            "{what}; the others are served"
        );
    }
}

/// Opens the store of a folder.
pub(crate) async fn open(dir: &Path, common: &Common) -> Result<Tenant, Shut> {
    let folder = StoreFolder::read(dir).map_err(|problem| Shut::at(dir, problem.to_string()))?;
    let (name, node) = (folder.name.clone(), folder.node());
    let shut = |why: String| Shut { dir: dir.to_owned(), name: Some(name), node: Some(node), why };
    Tenant::open(folder, common).await.map_err(|problem| shut(with_causes(&problem)))
}

/// All that are shut, by folder.
#[derive(Debug)]
pub(crate) struct ShutStores {
    list: RwLock<BTreeMap<PathBuf, Shut>>,
    /// Those that were open, and may not be closed yet.
    closing: Mutex<BTreeMap<PathBuf, CancellationToken>>,
    /// Held while they are tried again.
    pub(crate) trying: tokio::sync::Mutex<()>,
    _nobody: Option<Registration>,
}

impl ShutStores {
    /// None yet. `seed` is any secret.
    pub(crate) fn behind(endpoint: &Endpoint, seed: [u8; 32]) -> Self {
        Self {
            list: RwLock::default(),
            closing: Mutex::default(),
            trying: tokio::sync::Mutex::default(),
            _nobody: nobody(endpoint, seed),
        }
    }

    /// Every one, by folder.
    pub(crate) fn all(&self) -> Vec<Shut> {
        self.read().values().cloned().collect()
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.read().len()
    }

    /// The one that people call that, or any whose name cannot be read: it may be the one.
    pub(crate) fn maybe(&self, name: &str) -> Option<Shut> {
        let list = self.read();
        let named =
            |shut: &&Shut| shut.called() == name || shut.node.is_some_and(|node| node.to_string() == name);
        let nameless = || list.values().find(|shut| shut.name.is_none());
        list.values().find(named).or_else(nameless).cloned()
    }

    /// Notes one, and says so unless that is known already.
    pub(crate) fn note(&self, shut: Shut) {
        if self.read().get(&shut.dir) == Some(&shut) {
            debug!(path = %shut.dir.display(), "it still does not open");
            return;
        }
        shut.say("a store did not open");
        self.write().insert(shut.dir.clone(), shut);
    }

    /// Notes one that was open and could not go on, and says so. `ended` tells when it is closed.
    pub(crate) fn note_failed(&self, shut: Shut, ended: CancellationToken) {
        shut.say("the books of a store failed and are closed");
        self.closing.lock().unwrap_or_else(PoisonError::into_inner).insert(shut.dir.clone(), ended);
        self.write().insert(shut.dir.clone(), shut);
    }

    /// Waits a little until one that could not go on is closed. Whether it is: until then it cannot be opened.
    pub(crate) async fn is_closed(&self, dir: &Path) -> bool {
        let ended = self.closing.lock().unwrap_or_else(PoisonError::into_inner).get(dir).cloned();
        let Some(ended) = ended else { return true };
        let closed = timeout(CLOSED_SOON, ended.cancelled()).await.is_ok();
        if closed {
            self.closing.lock().unwrap_or_else(PoisonError::into_inner).remove(dir);
        }
        closed
    }

    /// It opened, or its folder was taken away.
    pub(crate) fn forget(&self, shut: &Shut, what: &str) {
        info!(store = %shut.called(), path = %shut.dir.display(), "{what}");
        self.write().remove(&shut.dir);
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<PathBuf, Shut>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<PathBuf, Shut>> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tenant that lets nobody in. A port with a single tenant takes any name for that one's, and the hub of a store that is
/// shut would meet another store's key there.
fn nobody(endpoint: &Endpoint, seed: [u8; 32]) -> Option<Registration> {
    let key = TlsKey::new(&SecretKey::from_seed(seed)).ok()?;
    let (inbox, _) = tokio::sync::mpsc::channel(1);
    let tenant = tenants::Tenant { key, members: None, gate: None, inbox };
    Some(endpoint.tenants().register(vec!["nobody".into()], tenant))
}
