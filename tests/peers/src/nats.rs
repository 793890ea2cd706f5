//! NATS JetStream's column: one stream on disk with `sync_interval: always`, so that its acknowledgement means what a sale's
//! does. A terminal is a client: it publishes, and an ordered consumer gives it everything; what it was given it keeps in memory.
//! Nothing is durable at a terminal, and no terminal can sell without the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use toko_tests::process::free_tcp_port;

use crate::cable::Cable;
use crate::child::Child;
use crate::measure::Peer;
use crate::trouble::Trouble;

const STREAM: &str = "SHOP";
const SUBJECT: &str = "shop.sales";
/// Dials again soon: the kindest that its settings allow.
const REDIAL: Duration = Duration::from_millis(100);
/// How often the client is looked at while it connects for the first time, which no figure counts.
const LOOK: Duration = Duration::from_millis(20);

/// Where the server's program is.
pub(crate) static SERVER: OnceLock<PathBuf> = OnceLock::new();

/// A server and its terminals.
pub(crate) struct Nats {
    hub: Child,
    at: SocketAddr,
    tills: Vec<Till>,
    cable: Option<Cable>,
}

struct Till {
    client: Client,
    sales: jetstream::Context,
    /// The highest number of the stream that it was given; it is given all, in order.
    has: watch::Receiver<u64>,
    _kept: Arc<Mutex<Vec<Bytes>>>,
    _task: JoinSet<()>,
}

async fn connect(at: SocketAddr) -> Result<Client, Trouble> {
    let options = ConnectOptions::new().retry_on_initial_connect().ignore_discovered_servers();
    let options = options.reconnect_delay_callback(|_| REDIAL).connection_timeout(Duration::from_secs(5));
    let client = options.connect(at.to_string()).await.map_err(Trouble::of("connecting to NATS"))?;
    while client.connection_state() != State::Connected {
        tokio::time::sleep(LOOK).await;
    }
    Ok(client)
}

impl Till {
    async fn open(at: SocketAddr) -> Result<Self, Trouble> {
        let client = connect(at).await?;
        let sales = jetstream::new(client.clone());
        let stream = sales.get_stream(STREAM).await.map_err(Trouble::of("finding the stream"))?;
        let config = OrderedConfig { deliver_subject: client.new_inbox(), ..OrderedConfig::default() };
        let consumer = stream.create_consumer(config).await.map_err(Trouble::of("a consumer"))?;
        let mut messages = consumer.messages().await.map_err(Trouble::of("a consumer"))?;
        let (tell, has) = watch::channel(0);
        let kept = Arc::<Mutex<Vec<Bytes>>>::default();
        let (keep, mut task) = (Arc::clone(&kept), JoinSet::new());
        task.spawn(async move {
            while let Some(message) = messages.next().await {
                // An ordered consumer heals itself; what it says meanwhile is no message.
                let Ok(message) = message else { continue };
                let Ok(number) = message.info().map(|info| info.stream_sequence) else { continue };
                keep.lock().unwrap_or_else(PoisonError::into_inner).push(message.payload.clone());
                tell.send_replace(number);
            }
        });
        Ok(Self { client, sales, has, _kept: kept, _task: task })
    }
}

impl Peer for Nats {
    type Id = u64;

    async fn open(dir: &Path, tills: usize, cables: bool) -> Result<Self, Trouble> {
        let port = free_tcp_port()?;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (config, log) = (dir.join("nats.conf"), dir.join("nats.log"));
        let store = dir.join("jetstream");
        std::fs::write(
            &config,
            format!("listen: \"{at}\"\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n"),
        )?;
        let program =
            SERVER.get().ok_or_else(|| Trouble::new("starting NATS", "where is it? --nats says"))?;
        let args =
            ["-c".to_owned(), config.display().to_string(), "-l".to_owned(), log.display().to_string()];
        let hub = Child::start(program, &args.each_ref().map(String::as_str))?;
        let sales = jetstream::new(connect(at).await?);
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: vec![SUBJECT.to_owned()],
            storage: stream::StorageType::File,
            ..stream::Config::default()
        };
        sales.create_stream(config).await.map_err(Trouble::of("making the stream"))?;
        let cable = if cables { Some(Cable::lay(at).await?) } else { None };
        let mut shop = Self { hub, at, tills: Vec::new(), cable };
        for nth in 0..tills {
            let at = shop.cable.as_ref().filter(|_| nth + 1 == tills).map_or(at, |cable| cable.address);
            shop.tills.push(Till::open(at).await?);
        }
        Ok(shop)
    }

    async fn sell(&self, till: usize, sale: Vec<u8>) -> Result<u64, Trouble> {
        let sold =
            self.tills[till].sales.publish(SUBJECT, sale.into()).await.map_err(Trouble::of("a sale"))?;
        Ok(sold.await.map_err(Trouble::of("a sale"))?.sequence)
    }

    async fn shown(&self, till: usize, id: &u64) -> Result<(), Trouble> {
        let mut has = self.tills[till].has.clone();
        has.wait_for(|number| number >= id).await.map(drop).map_err(Trouble::of("waiting for a sale"))
    }

    async fn cut(&mut self, cut: bool) -> Result<(), Trouble> {
        let (Some(cable), Some(last)) = (&self.cable, self.tills.last()) else { return Ok(()) };
        cable.cut(cut);
        while cut && last.client.connection_state() == State::Connected {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn alone() -> Result<(), &'static str> {
        Err("the server is where a sale becomes safe; without it a client has nowhere to put one")
    }

    async fn join(&mut self) -> Result<usize, Trouble> {
        self.tills.push(Till::open(self.at).await?);
        Ok(self.tills.len() - 1)
    }

    fn hub(&self) -> u32 {
        self.hub.pid()
    }

    async fn stop(self) -> Result<(), Trouble> {
        drop(self.tills);
        self.hub.kill().await
    }
}
