//! samod's column: one Automerge document a day, a key for each sale. The server is a repo in a process of its own, the
//! terminals are repos of this one, each with a storage of its own that is synced (see [`crate::synced_log`]).

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{Automerge, AutomergeError, ROOT, ReadDoc, ScalarValue};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use samod::{BackoffConfig, DialError, Dialer, DocHandle, DocumentId, Repo, Transport};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::ChildStdin;
use url::Url;

use crate::cable::Cable;
use crate::child::Child;
use crate::measure::Peer;
use crate::synced_log::SyncedLog;
use crate::trouble::Trouble;

/// Dials again soon: the kindest that its settings allow.
const BACKOFF: BackoffConfig = BackoffConfig {
    initial_delay: Duration::from_millis(50),
    max_delay: Duration::from_millis(200),
    max_retries: None,
};

/// A server and its terminals.
pub(crate) struct Samod {
    dir: PathBuf,
    hub: Child,
    _ask: ChildStdin,
    at: SocketAddr,
    document: DocumentId,
    tills: Vec<Till>,
    cable: Option<Cable>,
    next: AtomicU64,
}

struct Till {
    repo: Repo,
    log: SyncedLog,
    document: DocHandle,
}

/// What the server's process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HubArgs {
    dir: PathBuf,
}

/// The server's process: makes the document, says where and which, and serves until nobody listens.
pub(crate) async fn hub(args: HubArgs) -> Result<(), Trouble> {
    let repo = Repo::build_tokio().with_storage(SyncedLog::open(&args.dir)?).load().await;
    let stopped = || Trouble::of::<samod::Stopped>("samod's server");
    let document = repo.create(Automerge::new()).await.map_err(stopped())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let at = listener.local_addr()?;
    let acceptor = repo.make_acceptor(url(at)?).map_err(stopped())?;
    let mut out = tokio::io::stdout();
    out.write_all(format!("{at} {}\n", document.document_id()).as_bytes()).await?;
    out.flush().await?;
    let (mut input, mut byte) = (tokio::io::stdin(), [0]);
    loop {
        tokio::select! {
            arrived = listener.accept() => {
                let (stream, _) = arrived?;
                stream.set_nodelay(true)?;
                acceptor.accept(Transport::from_tokio_io(stream)).map_err(stopped())?;
            }
            read = input.read(&mut byte) => if read? == 0 { break },
        }
    }
    repo.stop().await;
    Ok(())
}

fn url(at: SocketAddr) -> Result<Url, Trouble> {
    Url::parse(&format!("tcp://{at}")).map_err(Trouble::of("an address"))
}

/// samod's own dialer leaves small packets to wait; this one does not.
struct Near {
    at: SocketAddr,
    url: Url,
}

impl Dialer for Near {
    type Error = Infallible;

    fn url(&self) -> Url {
        self.url.clone()
    }

    fn connect(&self) -> BoxFuture<'static, Result<Transport, DialError<Infallible>>> {
        let at = self.at;
        async move {
            let stream = TcpStream::connect(at).await.map_err(DialError::transient)?;
            stream.set_nodelay(true).map_err(DialError::transient)?;
            Ok(Transport::from_tokio_io(stream))
        }
        .boxed()
    }
}

impl Till {
    async fn open(dir: &Path, at: SocketAddr, document: &DocumentId) -> Result<Self, Trouble> {
        let log = SyncedLog::open(dir)?;
        let repo = Repo::build_tokio().with_storage(log.clone()).load().await;
        let dialled = repo.dial(BACKOFF, Arc::new(Near { at, url: url(at)? }));
        let dialled = dialled.map_err(Trouble::of("dialling samod's server"))?;
        dialled.established().await.map_err(|_| Trouble::new("dialling samod's server", "it failed"))?;
        let found = repo.find(document.clone()).await.map_err(Trouble::of("finding the document"))?;
        let document = found.ok_or_else(|| Trouble::new("finding the document", "nobody has it"))?;
        Ok(Self { repo, log, document })
    }
}

impl Peer for Samod {
    type Id = String;

    async fn open(dir: &Path, tills: usize, cables: bool) -> Result<Self, Trouble> {
        let mut hub = Child::ourselves("samod-hub", &HubArgs { dir: dir.join("hub") })?;
        let (ask, answers) = hub.pipes()?;
        let said = BufReader::new(answers).lines().next_line().await?.unwrap_or_default();
        let odd = || Trouble::new("starting samod's server", format!("it said {said:?}"));
        let (at, document) = said.split_once(' ').ok_or_else(odd)?;
        let (at, document) = (at.parse().map_err(|_| odd())?, document.parse().map_err(|_| odd())?);
        let cable = if cables { Some(Cable::lay(at).await?) } else { None };
        let (dir, next) = (dir.to_owned(), AtomicU64::new(0));
        let mut shop = Self { dir, hub, _ask: ask, at, document, tills: Vec::new(), cable, next };
        for nth in 0..tills {
            let at = shop.cable.as_ref().filter(|_| nth + 1 == tills).map_or(at, |cable| cable.address);
            shop.tills.push(Till::open(&shop.dir.join(nth.to_string()), at, &shop.document).await?);
        }
        Ok(shop)
    }

    async fn sell(&self, till: usize, sale: Vec<u8>) -> Result<String, Trouble> {
        let key = format!("{till}-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let (till, name) = (&self.tills[till], key.clone());
        let mark = till.log.mark();
        let put = move |document: &mut Automerge| {
            document
                .transact::<_, _, AutomergeError>(|sheet| sheet.put(ROOT, name, ScalarValue::Bytes(sale)))
                .map_err(|failed| failed.error)
        };
        let done = till.document.with_document_async(put).await.map_err(Trouble::of("a sale"))?;
        let done = done.map_err(Trouble::of("a sale"))?;
        let change = done.hash.ok_or_else(|| Trouble::new("a sale", "it changed nothing"))?;
        till.log.is_safe(change, mark).await?;
        Ok(key)
    }

    async fn shown(&self, till: usize, id: &String) -> Result<(), Trouble> {
        let document = &self.tills[till].document;
        let has = || document.with_document(|sheet| matches!(sheet.get(ROOT, id.as_str()), Ok(Some(_))));
        if has() {
            return Ok(());
        }
        let mut changes = std::pin::pin!(document.changes());
        while !has() {
            changes.next().await.ok_or_else(|| Trouble::new("waiting for a sale", "samod stopped"))?;
        }
        Ok(())
    }

    async fn cut(&mut self, cut: bool) -> Result<(), Trouble> {
        if let Some(cable) = &self.cable {
            cable.cut(cut);
        }
        Ok(())
    }

    fn alone() -> Result<(), &'static str> {
        Ok(())
    }

    async fn join(&mut self) -> Result<usize, Trouble> {
        let dir = self.dir.join(self.tills.len().to_string());
        self.tills.push(Till::open(&dir, self.at, &self.document).await?);
        Ok(self.tills.len() - 1)
    }

    fn hub(&self) -> u32 {
        self.hub.pid()
    }

    async fn stop(self) -> Result<(), Trouble> {
        for till in self.tills {
            till.repo.stop().await;
        }
        self.hub.kill().await
    }
}
