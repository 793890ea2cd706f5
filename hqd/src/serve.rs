//! `hqd run`: opens the directory, the port and the socket, says "ready", and stops in stages.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tokio_util::sync::CancellationToken;
use toko_daemon::{exit, life};
use toko_mesh::endpoint::{CloseCode, Endpoint};
use tracing::{error, info};

use crate::config::Config;
use crate::control;
use crate::headquarters::{self, Headquarters};
use crate::home::Home;
use crate::shut::TRY_EVERY;
use crate::tenant::{Common, Tenant};

/// How long commands in hand may take when stopping.
const COMMANDS: Duration = Duration::from_secs(5);
/// How long links may take to finish the frame in hand.
const LINKS: Duration = Duration::from_secs(5);
/// How long the books of all stores may take to be saved, as long as one after the other is. They are durable without; the next
/// start is quicker with.
const BOOKS: Duration = Duration::from_secs(60);
/// How long the port may take to say goodbye.
const PORT: Duration = Duration::from_secs(2);
/// How often systemd is told how it is.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Why headquarters does not run, or stopped by itself.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// What every store needs did not open; in words.
    #[error("{0}")]
    Open(String),
    /// The UDP port is not to be had; in words.
    #[error("links.listen: {0}")]
    Bind(String),
    /// The control socket.
    #[error("control.socket: {path}: {source}")]
    Socket {
        /// Where.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives no threads or signals.
    #[error("the system does not give what hqd needs")]
    System(#[from] std::io::Error),
    /// Something ended that must not.
    #[error("{0} ended by itself; the log says why")]
    Ended(String),
}

impl RunError {
    /// The exit code that says so.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Open(_) => exit::STORE,
            // A port that is taken may be free a second later; a file in the way stays there.
            Self::Socket { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => exit::CONFIG,
            Self::Bind(_) | Self::Socket { .. } | Self::System(_) | Self::Ended(_) => exit::FAILED,
        }
    }
}

/// Runs headquarters until a signal.
pub(crate) fn run(home: Home, config: Config) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let stop = CancellationToken::new();
        let server = Server::open(home, config).await?;
        let mut signals = life::Signals::heed()?;
        let served = server.serve(stop.clone());
        tokio::pin!(served);
        tokio::select! {
            done = &mut served => done,
            why = signals.until_stopped(&stop) => {
                info!(why, "stopping");
                stop.cancel();
                served.await
            }
        }
    });
    // Who still waits for a disk had its time.
    runtime.shutdown_background();
    done
}

/// A headquarters whose stores are open and whose port and socket are there. Nobody is answered before [`Server::serve`].
#[derive(Debug)]
pub struct Server {
    headquarters: Arc<Headquarters>,
    endpoint: Endpoint,
    listen: SocketAddr,
    /// Ends the links of all stores.
    links: CancellationToken,
    control: UnixListener,
    socket: PathBuf,
    to_serve: mpsc::Receiver<Arc<Tenant>>,
}

impl Server {
    /// Opens every store, the port and the socket. A store that does not open keeps nobody else from being served.
    ///
    /// Errors: see [`RunError`]; nothing runs then.
    pub async fn open(home: Home, config: Config) -> Result<Self, RunError> {
        let fresh = headquarters::random().map_err(RunError::Open)?;
        let key = home.port_key(&fresh).map_err(|problem| RunError::Open(with_causes(&problem)))?;
        let bound = Endpoint::bind_again(config.listen, &key).map(Endpoint::far);
        let endpoint = bound.map_err(|problem| RunError::Bind(with_causes(&problem)))?;
        let listen = endpoint.local_addr()?;
        let (name, data) = (home.name().to_owned(), home.dir().display().to_string());
        let watermark_every = config.watermark_every.into();
        let links = CancellationToken::new();
        let (roots, stop) = (Arc::default(), links.clone());
        let common = Common { endpoint: endpoint.clone(), listen, watermark_every, roots, stop };
        let opened = Headquarters::open(home, common).await;
        let (headquarters, to_serve) = opened.map_err(|problem| RunError::Open(with_causes(&problem)))?;
        let socket = config.socket;
        let in_the_way = |source| RunError::Socket { path: socket.display().to_string(), source };
        let control = control::listen(&socket).map_err(in_the_way)?;
        info!(
            version = env!("CARGO_PKG_VERSION"), %name, %data, %listen, socket = %socket.display(),
            stores = headquarters.all().len(), not_open = headquarters.not_open(), "headquarters runs"
        );
        Ok(Self { headquarters, endpoint, listen, links, control, socket, to_serve })
    }

    /// Where stores reach it.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Serves stores and commands until it is told to stop, or until a part of it ends by itself; then stops in stages.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), RunError> {
        let Self { headquarters, endpoint, listen, links, control, socket, to_serve } = self;
        let ended = Running { headquarters, endpoint, listen, links }.run(control, to_serve, &stop).await;
        let _ = std::fs::remove_file(&socket);
        ended
    }
}

struct Running {
    headquarters: Arc<Headquarters>,
    endpoint: Endpoint,
    listen: SocketAddr,
    links: CancellationToken,
}

impl Running {
    async fn run(
        self,
        control: UnixListener,
        mut to_serve: mpsc::Receiver<Arc<Tenant>>,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        // Commands end first, links after them.
        let (commands, links) = (CancellationToken::new(), self.links.clone());
        let mut desk: JoinSet<String> = JoinSet::new();
        let routes = control::routes(Arc::clone(&self.headquarters));
        let no_more = commands.clone().cancelled_owned();
        desk.spawn(async move {
            let ended = axum::serve(control, routes).with_graceful_shutdown(no_more).await;
            ended.map_or_else(
                |problem| format!("the control socket ({problem})"),
                |()| "the control socket".into(),
            )
        });
        let mut parts: JoinSet<String> = JoinSet::new();
        let (endpoint, until) = (self.endpoint.clone(), links.clone());
        parts.spawn(async move {
            endpoint.serve(until).await;
            "the UDP port".into()
        });
        parts.spawn(watch(Arc::clone(&self.headquarters), links.clone()));
        parts.spawn(keep_trying(Arc::clone(&self.headquarters), links.clone()));
        let mut stores = Served::default();
        life::ready();
        let ended = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(tenant) = to_serve.recv() => stores.serve(tenant),
                Some((tenant, panic)) = stores.next_panic() => {
                    self.headquarters.shut(&tenant, panic);
                    stores.end(tenant);
                }
                Some(part) = parts.join_next() => break Err(ended(part)),
                Some(part) = desk.join_next() => break Err(ended(part)),
            }
        };
        if let Err(err) = &ended {
            error!(%err, "stopping");
        }
        self.stop((commands, desk), parts, stores).await;
        ended
    }

    async fn stop(
        self,
        (commands, mut desk): (CancellationToken, JoinSet<String>),
        mut parts: JoinSet<String>,
        mut stores: Served,
    ) {
        commands.cancel();
        life::stage("commands", COMMANDS, async { while desk.join_next().await.is_some() {} }).await;
        self.links.cancel();
        let ended = async {
            while parts.join_next().await.is_some() {}
            while stores.tasks.join_next().await.is_some() {}
        };
        life::stage("links", LINKS, ended).await;
        life::stage("books", BOOKS, self.headquarters.close()).await;
        life::stage("port", PORT, self.endpoint.close(CloseCode::Stopping)).await;
        info!(listen = %self.listen, "headquarters stopped");
    }
}

/// The stores that are served, each by a task of its own: what goes wrong there is that store's alone.
#[derive(Default)]
struct Served {
    tasks: JoinSet<()>,
    tenants: BTreeMap<task::Id, Arc<Tenant>>,
}

impl Served {
    fn serve(&mut self, tenant: Arc<Tenant>) {
        let task = self.tasks.spawn(Arc::clone(&tenant).serve());
        self.tenants.insert(task.id(), tenant);
    }

    /// Closes what is left of a store whose task panicked.
    fn end(&mut self, tenant: Arc<Tenant>) {
        self.tasks.spawn(async move { tenant.end().await });
    }

    /// The next store whose task panicked. `None` where nothing is served.
    async fn next_panic(&mut self) -> Option<(Arc<Tenant>, String)> {
        loop {
            let (id, panic) = match self.tasks.join_next_with_id().await? {
                Ok((id, ())) => (id, None),
                Err(panic) => (panic.id(), Some(panic.to_string())),
            };
            if let (Some(tenant), Some(panic)) = (self.tenants.remove(&id), panic) {
                return Some((tenant, panic));
            }
        }
    }
}

/// An error with all its causes.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

fn ended(part: Result<String, tokio::task::JoinError>) -> RunError {
    RunError::Ended(part.unwrap_or_else(|problem| problem.to_string()))
}

/// Tries stores that did not open again, slowly, until it is told to stop.
async fn keep_trying(headquarters: Arc<Headquarters>, stop: CancellationToken) -> String {
    let mut tick = interval_at(Instant::now() + TRY_EVERY, TRY_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let tried = async {
            tick.tick().await;
            headquarters.try_again(None).await
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return "the retries".into(),
            _ = tried => {}
        }
    }
}

/// Tells systemd how it is, and that stores take what is written. One that does not is shut, and ends nothing else.
async fn watch(headquarters: Arc<Headquarters>, stop: CancellationToken) -> String {
    let every = life::watchdog_every().map_or(STATUS_EVERY, |every| every.min(STATUS_EVERY));
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return "the watch".into(),
            _ = tick.tick() => {}
        }
        headquarters.look_after_all().await;
        life::alive();
        life::status(&headquarters.words());
    }
}
