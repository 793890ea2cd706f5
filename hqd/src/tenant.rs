//! One store: its key, its desk for newcomers, its books, and nothing of any other store.
//!
//! A store *waits* until a hub has shown the code that was given out; then its root key is known, its books are opened, and
//! it is *joining* until the store's own statement that this key is headquarters has come; from then on it has *joined*.
//!
//! Invariants: the root key is noted durably before the hub hears "joined", and never replaced by another; a code that is
//! given out while a store is joining closes its books until the code was used or has expired, so that a hub whose first
//! try broke off can come again. Absent on purpose: dialling. Headquarters listens, stores come.

mod joining;
mod row;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use toko_crdt::NodeId;
use toko_crdt::sign::{PublicKey, SecretKey};
use toko_mesh::endpoint::Endpoint;
use toko_mesh::enrol::{Code, CodeKind, Desk, FrontDesk, OpenError};
use toko_mesh::store::SaveError;
use toko_mesh::tls::{self, TlsError, TlsKey};
use toko_retail::currency::Currency;

use crate::books::{Books, BooksError, Site};
use crate::door::Door;
use crate::home::StoreFolder;

/// How long a command waits for a store that is joining: its statement is on its way.
const JOINING: Duration = Duration::from_secs(10);

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
    /// Headquarters stops.
    pub(crate) stop: CancellationToken,
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
    /// This store is served no more: headquarters stops, or it was given up.
    stop: CancellationToken,
    /// Nobody serves it any more, and nothing of it is open unless headquarters stops.
    ended: CancellationToken,
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
            stop: common.stop.child_token(),
            ended: CancellationToken::new(),
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

    /// Whether the store's hub is linked just now.
    pub(crate) fn is_linked(&self) -> bool {
        self.books().is_some_and(|books| books.is_linked())
    }

    /// Whether its books, where they are open, still take what is written. A full disk is no failure: what comes is refused
    /// until there is room.
    pub(crate) async fn probe(&self) -> Result<(), SaveError> {
        let Some(books) = self.books() else { return Ok(()) };
        match books.probe().await {
            // Whoever closed them meanwhile had a reason.
            Err(SaveError::Stopped) if self.books().is_none() => Ok(()),
            Err(SaveError::DiskFull) => Ok(()),
            answer => answer,
        }
    }

    /// Headquarters goes on without this store. Whoever serves it closes its books; then [`Tenant::ended`] says so.
    pub(crate) fn give_up(&self) {
        self.stop.cancel();
    }

    /// Tells when nobody serves it any more.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Where its books are, or will be.
    pub(crate) fn place(&self) -> PathBuf {
        let folder = self.folder();
        if folder.root.is_some() { folder.books() } else { folder.dir().to_owned() }
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder().dir().to_owned()
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

    /// Serves the store until headquarters stops, or until it was given up: then its books are closed at the end.
    pub(crate) async fn serve(self: Arc<Self>) {
        while !self.stop.is_cancelled() {
            match self.books() {
                None => self.wait_for_hub().await,
                Some(books) => {
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => {}
                        () = self.closed.notified() => {}
                        () = books.listen() => {}
                    }
                }
            }
        }
        self.end().await;
    }

    /// Closes the books of a store that was given up, and waits until nobody has them in hand. Headquarters that stops closes
    /// them itself.
    pub(crate) async fn end(&self) {
        if !self.common.stop.is_cancelled() {
            let gone = self.books().map(|books| books.gone());
            self.close().await;
            if let Some(gone) = gone {
                gone.cancelled().await;
            }
        }
        self.ended.cancel();
    }

    /// Saves and closes the books.
    pub(crate) async fn close(&self) {
        let books = self.books.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(books) = books {
            books.close().await;
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
