//! One store: its key, its desk for newcomers, its books, and nothing of any other store.
//!
//! A store *waits* until a hub has shown the code that was given out; then its root key is known, its books are opened, and
//! it is *joining* until the store's own statement that this key is headquarters has come; from then on it has *joined*.
//!
//! Invariants: the root key is noted durably before the hub hears "joined", and never replaced by another; a code that is
//! given out while a store is joining closes its books until the code was used or has expired, so that a hub whose first
//! try broke off can come again. Absent on purpose: dialling. Headquarters listens, stores come.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toko_crdt::sign::{PublicKey, SecretKey};
use toko_crdt::{KvError, NodeId};
use toko_mesh::endpoint::{Arrival, Endpoint};
use toko_mesh::enrol::{Code, CodeKind, Desk, FrontDesk, Joining, OpenError, take_in};
use toko_mesh::tls::Gate as _;
use toko_mesh::tls::{self, TlsError, TlsKey};
use toko_retail::currency::Currency;
use tracing::{error, info, warn};

use crate::books::{Books, BooksError, Site};
use crate::door::Door;
use crate::home::StoreFolder;
use crate::publish;
use crate::serve::with_causes;

/// How long a newcomer may take to read our last word.
const LAST_WORD: Duration = Duration::from_secs(2);
/// How long a command waits for a store that is joining: its statement is on its way.
const JOINING: Duration = Duration::from_secs(10);
/// Newcomers that are talked to at once.
const TALKS_MAX: usize = 4;
/// How often a store without books looks whether its code is still good.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How far a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// No hub has come with a code yet.
    Waiting,
    /// A hub came; its statement that we are headquarters is on its way.
    Joining,
    /// The books flow.
    Joined,
}

impl Word {
    /// As status shows it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Joining => "joining",
            Self::Joined => "joined",
        }
    }
}

/// Why a store did not open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum OpenTenantError {
    /// Its key.
    #[error("its key cannot be used")]
    Key(#[from] TlsError),
    /// Its books.
    #[error(transparent)]
    Books(#[from] BooksError),
    /// Two folders of one store would be counted twice.
    #[error("another folder here is of the same store, and is open: its root key is the same")]
    Twice,
}

/// Why no code was given out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum NoCodeError {
    /// It has joined.
    #[error("{0} has joined already; its hub, or the hub that replaces it, needs no code")]
    Joined(String),
    /// The desk.
    #[error(transparent)]
    Desk(#[from] OpenError),
}

/// What all stores of headquarters share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    /// The port.
    pub(crate) endpoint: Endpoint,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The least time between two watermarks of a store.
    pub(crate) watermark_every: Duration,
    /// Which root key is whose, so that no store joins under two names.
    pub(crate) roots: Arc<Mutex<BTreeMap<PublicKey, NodeId>>>,
}

/// One store of headquarters.
#[derive(Debug)]
pub(crate) struct Tenant {
    node: NodeId,
    name: String,
    currency: Currency,
    key: SecretKey,
    tls: TlsKey,
    common: Common,
    folder: Mutex<StoreFolder>,
    desk: Arc<FrontDesk>,
    books: RwLock<Option<Books>>,
    /// Open from before a code is given out, until somebody serves it.
    door: Mutex<Option<Door>>,
    /// Held while the store joins, or its books are opened or closed.
    joining: tokio::sync::Mutex<()>,
    /// The books were closed to let a hub in.
    closed: Notify,
}

impl Common {
    /// Notes whose root key this is. Whether it is nobody else's.
    fn claim(&self, root: PublicKey, node: NodeId) -> bool {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        *roots.entry(root).or_insert(node) == node
    }

    /// The store's folder was taken away: it may join again.
    pub(crate) fn disclaim(&self, node: NodeId) {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, owner| *owner != node);
    }
}

impl Tenant {
    /// Opens a store: its books too, where it is known which store it is.
    pub(crate) async fn open(folder: StoreFolder, common: &Common) -> Result<Self, OpenTenantError> {
        let (name, key, node) = (folder.name.clone(), folder.key.clone(), folder.node());
        let tls = TlsKey::new(&key)?;
        let root = folder.root;
        let tenant = Self {
            node,
            currency: folder.currency,
            key,
            tls,
            common: common.clone(),
            folder: Mutex::new(folder),
            desk: Arc::new(FrontDesk::new(Desk::new(CodeKind::JoinHq, tls::node_fingerprint(&node)))),
            books: RwLock::default(),
            door: Mutex::default(),
            joining: tokio::sync::Mutex::default(),
            closed: Notify::new(),
            name,
        };
        if let Some(root) = root {
            if !tenant.common.claim(root, node) {
                return Err(OpenTenantError::Twice);
            }
            tenant.set_books(Books::open(&tenant.site()).await?);
        } else {
            tenant.open_door();
        }
        Ok(tenant)
    }

    /// Headquarters' node in this store.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// What people call the store.
    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    /// What its prices are in.
    pub(crate) fn currency(&self) -> Currency {
        self.currency
    }

    /// Its books, where they are open.
    pub(crate) fn books(&self) -> Option<Books> {
        self.books.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far it has come.
    pub(crate) fn word(&self) -> Word {
        match self.books() {
            Some(books) if books.is_headquarters() => Word::Joined,
            Some(_) => Word::Joining,
            None if self.root().is_some() => Word::Joining,
            None => Word::Waiting,
        }
    }

    /// Whether somebody of the store is linked just now.
    pub(crate) async fn is_linked(&self) -> Result<bool, KvError> {
        match self.books() {
            Some(books) => Ok(!books.status().await?.links.is_empty()),
            None => Ok(false),
        }
    }

    /// Gives out a code for its hub. The door is open before the code is out.
    pub(crate) async fn open_code(&self) -> Result<Code, NoCodeError> {
        let _one_at_a_time = self.joining.lock().await;
        if self.word() == Word::Joined {
            return Err(NoCodeError::Joined(self.name()));
        }
        let code = self.desk.open(None)?;
        if self.books().is_some() {
            self.close().await;
            self.open_door();
            self.closed.notify_one();
        }
        Ok(code)
    }

    /// Waits until the store has joined, where that is under way. Whether it has.
    pub(crate) async fn until_joined(&self) -> bool {
        let Some(books) = self.books() else { return false };
        let _ = tokio::time::timeout(JOINING, books.until_headquarters()).await;
        self.word() == Word::Joined
    }

    /// The store as `hqd stores` shows it, and what somebody should look at.
    pub(crate) async fn shown(&self) -> Result<(Value, Vec<Value>), KvError> {
        let mut row = json!({
            "store": self.name,
            "node": self.node.to_string(),
            "currency": self.currency.code(),
            "state": Word::Waiting.word(),
            "store_id": null,
            "links": [],
            "last_contact_s": null,
            "lacks": null,
            "entries": 0,
            "frontier": null,
            "digests": { "books": null },
            "parked": 0,
            "catalogue": null,
            "seal": null,
            "countersigned": null,
        });
        let books = self.books();
        let status = match &books {
            Some(books) => Some(books.status().await?),
            None => None,
        };
        // After the status, so that books which are shown complete are not shown as still joining.
        row["state"] = json!(self.word().word());
        let (Some(books), Some(status)) = (books, status) else { return Ok((row, Vec::new())) };
        books.show(&status, &mut row);
        books.show_seal(&mut row)?;
        row["catalogue"] = json!(books.read(|kv| publish::shown(kv, self.node))?);
        let alert = |alert: &toko_mesh::node::Alert| {
            json!({
                "store": self.name,
                "code": alert.code.word(),
                "screen": alert.code.advice(),
                "log": alert.what,
                "node": alert.node.map(|node| node.to_string()),
            })
        };
        Ok((row, status.alerts.iter().map(alert).collect()))
    }

    /// Serves the store until it is told to stop.
    pub(crate) async fn serve(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.books() {
                None => self.wait_for_hub(&stop).await,
                Some(books) => {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        () = self.closed.notified() => {}
                        () = books.listen() => return,
                    }
                }
            }
        }
    }

    /// Saves and closes the books.
    pub(crate) async fn close(&self) {
        let books = self.books.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(books) = books {
            books.close().await;
        }
    }

    /// Lets a hub in that comes with a code; ends when books are open. Where the store is known already and the code is no
    /// longer good, the books are opened as they are.
    async fn wait_for_hub(self: &Arc<Self>, stop: &CancellationToken) {
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut door) = door else {
            // The books are being closed; whoever does that opens the door, and then says so.
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.closed.notified() => {}
            }
            return;
        };
        let mut talks: JoinSet<bool> = JoinSet::new();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(joined) = talks.join_next() => if matches!(joined, Ok(true)) { return },
                Some(arrival) = door.next(), if talks.len() < TALKS_MAX => {
                    let tenant = Arc::clone(self);
                    talks.spawn(async move { tenant.meet(&arrival).await });
                }
                _ = look.tick() => {
                    if talks.is_empty() && !self.desk.is_open() && self.reopen().await {
                        return;
                    }
                }
            }
        }
    }

    /// One newcomer. Whether it joined.
    async fn meet(&self, arrival: &Arrival) -> bool {
        let from = arrival.connection.remote_address();
        let taken = take_in(arrival, &self.desk, |joining| self.join(joining)).await;
        // Our last word has arrived, but a connection that goes now takes it along unread: the hub hangs up.
        let _ = tokio::time::timeout(LAST_WORD, arrival.connection.closed()).await;
        match taken {
            Ok(joining) => {
                let hub = NodeId::of(&joining.hub);
                info!(store = %self.name, %from, hub = %hub.short(), "the store joined");
                true
            }
            Err(err) => {
                warn!(store = %self.name, %from, %err, "a newcomer was not let in");
                false
            }
        }
    }

    /// Notes, durably, which store this is, and opens its books.
    async fn join(&self, joining: Joining) -> Result<(), String> {
        let _one_at_a_time = self.joining.lock().await;
        if self.books().is_some() {
            return Err("another hub has just joined with this store's code".into());
        }
        let other = self.root().is_some_and(|known| known != joining.root);
        if other && !toko_crdt::mutant!("another-store-under-one-name") {
            return Err(format!("{} joined before with another root key: that is another store", self.name));
        }
        if !self.common.claim(joining.root, self.node) && !toko_crdt::mutant!("one-store-under-two-names") {
            return Err("the store joined under another name before".into());
        }
        let site = self.site();
        Books::make(&site, &self.key, &joining).await.map_err(|problem| with_causes(&problem))?;
        self.folder().joined(joining.root).map_err(|problem| problem.to_string())?;
        self.set_books(Books::open(&site).await.map_err(|problem| with_causes(&problem))?);
        Ok(())
    }

    /// Opens the books of a store whose root key is known. Whether they are open.
    async fn reopen(&self) -> bool {
        let _one_at_a_time = self.joining.lock().await;
        if self.root().is_none() {
            return false;
        }
        match Books::open(&self.site()).await {
            Ok(books) => {
                self.set_books(books);
                true
            }
            Err(err) => {
                error!(store = %self.name, err = %with_causes(&err), "the books do not open; trying again");
                false
            }
        }
    }

    fn open_door(&self) {
        let door = Door::open(&self.common.endpoint, &self.tls, &self.desk);
        *self.door.lock().unwrap_or_else(PoisonError::into_inner) = Some(door);
    }

    fn site(&self) -> Site {
        let Common { endpoint, listen, watermark_every, .. } = self.common.clone();
        Site { dir: self.folder().books(), endpoint, listen, watermark_every }
    }

    fn root(&self) -> Option<PublicKey> {
        self.folder().root
    }

    fn set_books(&self, books: Books) {
        *self.books.write().unwrap_or_else(PoisonError::into_inner) = Some(books);
    }

    fn folder(&self) -> MutexGuard<'_, StoreFolder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
