//! The terminal from start to stop.
//!
//! Started from below: node, catalogue, till, API, and only then "ready". Stopped from above, in stages, each with a deadline
//! and a line in the log: the API takes no more requests and finishes those in hand; the till does what waits and saves its
//! carts; the node saves and closes.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toko_daemon::life::{self, Signals};
use toko_mesh::identity::Role;
use toko_mesh::node::setup::Meaning;
use toko_mesh::node::{Node, NodeConfig, OpenError};
use toko_mesh::store::StoreConfig;
use toko_retail::drawer::own_drawer;
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;
use tracing::{info, warn};

use crate::api::{self, ApiSetup};
use crate::config::{Config, DisplayConfig, DrawerConfig, DrawerPlace, Prints};
use crate::customer::Customer;
use crate::desk::Desk;
use crate::follow;
use crate::heard;
use crate::ledger::Ledger;
use crate::own_drawer::OwnDrawer;
use crate::printing::{Beside, Printing};
use crate::scale::Weigher;
use crate::scans::Scans;
use crate::shelf::Shelf;
use crate::till::{CashDrawer, Clerk, ClerkSetup, Refusal, Till};
use crate::wall::Wall;

/// How long requests in hand may take when the terminal stops.
pub const STOP_API: Duration = Duration::from_secs(5);
/// How long the till may take to save its carts.
pub const STOP_TILL: Duration = Duration::from_secs(5);
/// How long the node may take to close.
pub const STOP_NODE: Duration = Duration::from_secs(8);

/// Why a terminal did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The node stayed closed.
    #[error(transparent)]
    Node(#[from] OpenError),
    /// Nobody enrolled it, as far as its store knows.
    #[error("no statement of a hub says that this terminal belongs to the store; enrol it again")]
    NotEnrolled,
    /// Views or files could not be read.
    #[error(transparent)]
    Till(#[from] Refusal),
    /// A file of the terminal's own.
    #[error("the terminal's own files in {data} could not be used")]
    Desk {
        /// The data directory.
        data: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The API's address.
    #[error("the API cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The time zone.
    #[error("till.time_zone: {0}")]
    Zone(String),
}

/// A running terminal.
#[derive(Debug)]
pub struct Agent {
    node: Node,
    address: SocketAddr,
    tasks: JoinSet<&'static str>,
    stop_api: CancellationToken,
    stop_till: CancellationToken,
    stop_rest: CancellationToken,
}

impl Agent {
    /// Starts the terminal whose store is in `data`.
    ///
    /// Errors: see [`StartError`].
    pub async fn start(data: &Path, config: &Config) -> Result<Self, StartError> {
        let meaning = meaning();
        let node = Node::open(node_config(data, config), meaning.fold, meaning.scope).await?;
        let ledger = Ledger::new(node.clone());
        let (number, name) = ledger.terminal().ok_or(StartError::NotEnrolled)?;
        let desk = Desk::new(data);
        let desk_failed = |source| StartError::Desk { data: data.display().to_string(), source };
        let token = desk.token().map_err(desk_failed)?;
        let wall = Wall::in_zone(&config.time_zone).map_err(StartError::Zone)?;
        let shelf = Shelf::new(config.currency);
        follow::stock(&ledger, &shelf).await?;
        let [stop_api, stop_till, stop_rest] = [(); 3].map(|()| CancellationToken::new());
        let printing = config.printer.clone();
        let printing = printing
            .map(|printer| {
                let beside = Beside {
                    drawer: config.drawer.as_ref().is_some_and(DrawerConfig::is_on_own_printer),
                    display: config.display.as_ref().is_some_and(DisplayConfig::is_behind_own_printer),
                };
                Printing::new(node.clone(), printer, config.receipt.clone(), beside, &stop_rest)
            })
            .transpose()
            .map_err(Refusal::from)?;
        let (drawer, own_drawer) =
            drawer(&node, config.drawer.as_ref(), number, printing.as_ref()).map_err(desk_failed)?;
        let drawer_name = drawer.as_ref().map(|drawer| drawer.name.clone());
        let clerk = Clerk::start(ClerkSetup {
            ledger: ledger.clone(),
            shelf: shelf.clone(),
            wall: wall.clone(),
            desk: desk.clone(),
            receipt: config.receipt.clone(),
            own_printer: printing.as_ref().map(Printing::role),
            drawer,
            customer: Customer::new(config.display.clone(), printing.as_ref().map(Printing::printer)),
            terminal: number,
        })?;
        let (till, work) = Till::new(clerk);
        let listen_failed = |source| StartError::Listen { address: config.api_listen, source };
        let listener = api::bind(config.api_listen).await.map_err(listen_failed)?;
        let address = listener.local_addr().map_err(listen_failed)?;
        desk.set_address(address).map_err(desk_failed)?;
        let scans = Scans::new(config.scanner.clone());
        let router = api::router(ApiSetup {
            token,
            address,
            at_once: usize::from(config.requests_at_once),
            patience: config.patience.into(),
            till: till.clone(),
            ledger: ledger.clone(),
            shelf: shelf.clone(),
            wall: wall.clone(),
            receipt: config.receipt.clone(),
            weigher: Weigher::new(config.scale.clone()),
            drawer: drawer_name,
            own_drawer: own_drawer.as_ref().map(OwnDrawer::desk),
            scans: scans.clone(),
            printer: printing.as_ref().map(Printing::printer),
            shares_printer: printing.as_ref().is_some_and(|printing| printing.role().0 == Prints::HubDark),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(named("api", api::serve(listener, router, stop_api.clone())));
        tasks.spawn(named("till", work.run(stop_till.clone())));
        tasks.spawn(named(
            "catalogue",
            follow::keep_stocked(ledger.clone(), shelf.clone(), stop_rest.clone()),
        ));
        tasks.spawn(named("status", follow::tell(ledger.clone(), shelf, till, stop_rest.clone())));
        tasks.spawn(named("clock", heard::compare(ledger.clone(), wall, stop_rest.clone())));
        tasks.spawn(named("scanner", scans.listen(name.clone(), stop_rest.clone())));
        if let Some(own_drawer) = own_drawer {
            tasks.spawn(named("drawer", own_drawer.run(stop_rest.clone())));
        }
        if let Some(printing) = printing {
            tasks.spawn(named("receipts", printing.run(stop_rest.clone())));
        }
        tasks.spawn(named("watchdog", follow::feed(ledger.clone(), stop_rest.clone())));
        info!(
            version = env!("CARGO_PKG_VERSION"), data = %data.display(), store = %ledger.store().short(),
            terminal = number, name, node = %ledger.me().short(), links = %node.listen_addr(), api = %address, "selling"
        );
        Ok(Self { node, address, tasks, stop_api, stop_till, stop_rest })
    }

    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Waits for a signal, or until a part of the terminal ends by itself, and says which. `true` if it was a signal.
    pub async fn until_stopped(&mut self, signals: &mut Signals) -> bool {
        let never = CancellationToken::new();
        tokio::select! {
            biased;
            why = signals.until_stopped(&never) => {
                info!(why, "stopping");
                true
            }
            Some(ended) = self.tasks.join_next() => {
                match ended {
                    Ok(part) => warn!(part, "a part of the terminal ended by itself; stopping"),
                    Err(err) => warn!(%err, "a part of the terminal failed; stopping"),
                }
                false
            }
        }
    }

    /// Stops in stages.
    pub async fn stop(mut self) {
        self.stop_api.cancel();
        life::stage("requests in hand", STOP_API, self.until_ended("api")).await;
        self.stop_till.cancel();
        life::stage("carts saved", STOP_TILL, self.until_ended("till")).await;
        self.stop_rest.cancel();
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        life::stage("node closed", STOP_NODE, async {
            if let Err(err) = self.node.shutdown().await {
                warn!(%err, "the last checkpoint failed; the log has everything");
            }
        })
        .await;
    }

    /// Waits for one part to end; parts that end meanwhile have nothing to wait for.
    async fn until_ended(&mut self, part: &str) {
        while let Some(ended) = self.tasks.join_next().await {
            if ended.is_ok_and(|name| name == part) {
                return;
            }
        }
    }
}

/// The drawer, as the till has it; and who opens it, where it hangs on the terminal's own printer.
fn drawer(
    node: &Node,
    config: Option<&DrawerConfig>,
    number: u16,
    printing: Option<&Printing>,
) -> io::Result<(Option<CashDrawer>, Option<OwnDrawer>)> {
    let Some(DrawerConfig { place, opens_with_cash }) = config else { return Ok((None, None)) };
    let of = |name, opener| CashDrawer { name, opens_with_cash: *opens_with_cash, opener };
    Ok(match (place, printing) {
        (DrawerPlace::Hub(name), _) => (Some(of(name.clone(), None)), None),
        (DrawerPlace::OwnPrinter { pin, left_open }, Some(printing)) => {
            let (own, opener) = OwnDrawer::new(node.clone(), printing.printer(), number, *pin, *left_open)?;
            (Some(of(own_drawer(number), Some(opener))), Some(own))
        }
        (DrawerPlace::OwnPrinter { .. }, None) => (None, None),
    })
}

/// What this terminal's node makes of the shop's ops.
#[must_use]
pub fn meaning() -> Meaning {
    Meaning { fold: Arc::new(ShopFold), scope: Arc::new(ShopScope) }
}

/// A till has little memory, and reads few old rows: its own carts, today's sales, one item at a time.
const VIEWS_CACHE_BYTES: usize = 3 << 20;
/// What it sold gathers for some 600 sales with their carts before it moves into the database: a move writes a page for nearly
/// each row that it touches, so half as much would cost the disk half as much again for each sale. *Cost*: this memory, and a
/// start after a crash folds so many sales again, in a tenth of a second.
const WAITING_BYTES: usize = 8 << 20;
/// While they move, more gathers; from here on a sale waits for the move.
const WAITING_BYTES_MAX: usize = 12 << 20;

fn node_config(data: &Path, config: &Config) -> NodeConfig {
    NodeConfig {
        advertise: config.advertise.clone(),
        hub: config.hub.clone(),
        peers: config.peers.clone(),
        mdns: config.mdns,
        store: StoreConfig {
            views_cache_bytes: VIEWS_CACHE_BYTES,
            waiting_bytes_soft: WAITING_BYTES,
            waiting_bytes_hurry: WAITING_BYTES,
            waiting_bytes_max: WAITING_BYTES_MAX,
            ..StoreConfig::default()
        },
        history: config.history,
        ..NodeConfig::new(data.to_owned(), Role::Terminal, config.listen)
    }
}

async fn named(name: &'static str, part: impl Future<Output = ()>) -> &'static str {
    part.await;
    name
}
