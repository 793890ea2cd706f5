//! The hub from start to stop: open, listen, serve, and stop in stages.

use crate::config::{self, Config};
use crate::desk::{self, Desk};
use crate::drawers::{self, Drawers};
use crate::names::{self, Names};
use crate::paper::Paper;
use crate::printers::Printers;
use crate::{Failure, Place, seals, shelf};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toko_daemon::{exit, life, log};
use toko_mesh::identity::Role;
use toko_mesh::node::recover::is_recovering;
use toko_mesh::node::{Node, NodeConfig, NodeStatus, OpenError};
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;
use tracing::{error, info};

/// How often `systemctl status` gets a fresh line.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// How long the desk may finish what it is doing, and the printer the receipt in hand.
const TASKS_STOP: Duration = Duration::from_secs(5);
/// How long links and store may take.
const NODE_STOP: Duration = Duration::from_secs(8);

/// Runs the hub until it is told to stop.
pub(crate) fn run(place: &Place) -> Result<(), Failure> {
    if is_recovering(&place.data) {
        let words =
            "the recovery of this hub was cut short; run `hubd recover` again first (it needs no code now)";
        return Err(Failure::new(exit::CONFIG, words));
    }
    let loaded = config::load(&place.data, place.config.as_deref(), &place.set);
    let (config, _) = loaded.map_err(|problems| Failure::new(exit::CONFIG, problems))?;
    log::start(&config.log.filter, if config.log.json { log::Form::Json } else { log::Form::Text });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|problem| Failure::new(exit::FAILED, problem))?;
    let done = runtime.block_on(serve(&place.data, config));
    log::finish();
    // All has stopped in stages; a resolver that does not answer is not waited for.
    runtime.shutdown_background();
    done
}

async fn serve(data: &Path, config: Config) -> Result<(), Failure> {
    let node_config = NodeConfig {
        advertise: config.advertise.clone(),
        headquarters: names::numbers(&config.headquarters),
        mdns: config.mdns,
        history: config.history,
        ..NodeConfig::new(data.to_owned(), Role::Hub, config.listen)
    };
    let node = Node::open(node_config, Arc::new(ShopFold), Arc::new(ShopScope)).await.map_err(not_opened)?;
    // Before anybody is answered.
    let mut signals = life::Signals::heed().map_err(|problem| Failure::new(exit::FAILED, problem))?;
    let stop = CancellationToken::new();
    let listener = bind(&config.socket).map_err(|problem| {
        Failure::new(exit::STORE, format!("control socket {}: {problem}", config.socket.display()))
    })?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        data = %data.display(),
        links = %node.listen_addr(),
        control = %config.socket.display(),
        printers = %config.printers.iter().map(|p| format!("{} at {}", p.name, p.address)).collect::<Vec<_>>().join(", "),
        "hub listens"
    );

    let mut tasks = Tasks::new(&stop);
    let (printers, owners) = Printers::new(&config.printers, &config.drawers, data, &stop);
    let printers = Arc::new(printers);
    let drawers = drawers::shared(&node, &config.drawers, &printers)
        .map_err(|problem| Failure::new(exit::STORE, problem))?;
    let names = Arc::new(Names::default());
    let shared = Arc::new(Desk {
        node: node.clone(),
        names: Arc::clone(&names),
        config: config.clone(),
        printers: Arc::clone(&printers),
        drawers: Arc::clone(&drawers),
        label_printer: tokio::sync::Mutex::default(),
    });
    let desk_stop = CancellationToken::new();
    tasks.spawn("desk", {
        let asked_to_stop = desk_stop.clone().cancelled_owned();
        let serving = axum::serve(listener, desk::routes(shared)).with_graceful_shutdown(asked_to_stop);
        async move {
            if let Err(err) = serving.await {
                error!(%err, "the control socket failed");
            }
        }
    });
    tasks.spawn("names", names::follow(node.clone(), config.headquarters.clone(), names, stop.child_token()));
    tasks.spawn("shelf", shelf::follow(node.clone(), stop.child_token()));
    tasks.spawn("seals", seals::keep(node.clone(), config.seal_every, stop.child_token()));
    tasks.spawn("pulse", pulse(node.clone(), stop.child_token()));
    for owner in owners {
        let stop = stop.clone();
        tasks.spawn("printer", async move {
            owner.run().await;
            // It ends by itself once another machine is the hub.
            stop.cancelled().await;
        });
    }
    tasks.spawn("drawers", Drawers::new(node.clone(), drawers, stop.child_token()).run());
    for station in printers.all() {
        let (shop_name, stop) = (config.shop_name.clone(), stop.child_token());
        let paper = Paper::new(node.clone(), shop_name, Arc::clone(&printers), Arc::clone(station), stop);
        tasks.spawn("paper", paper.run());
    }
    life::ready();

    let why = tokio::select! {
        biased;
        why = signals.until_stopped(&stop) => why,
        name = tasks.one_ends() => {
            error!(task = name, "a part of the hub ended early; stopping");
            "a part ended early"
        }
    };
    info!(why, "stopping");
    desk_stop.cancel();
    stop.cancel();
    life::stage("desk, shelf and printer", TASKS_STOP, tasks.drain()).await;
    let _ = std::fs::remove_file(&config.socket);
    life::stage("links and store", NODE_STOP, async {
        if let Err(err) = node.shutdown().await {
            error!(%err, "the last checkpoint was not kept; the log is whole");
        }
    })
    .await;
    if why == "a part ended early" {
        Err(Failure::new(exit::FAILED, "a part of the hub ended early, see the log"))
    } else {
        Ok(())
    }
}

/// The control socket, for its owner only. One that a dead hub left behind is taken over; the store's lock has made sure
/// that no other hub runs here.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => return Err(problem),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Tells systemd how the shop is, and that the store still takes work.
async fn pulse(node: Node, stop: CancellationToken) {
    let every = life::watchdog_every().map_or(STATUS_EVERY, |limit| limit.min(STATUS_EVERY));
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match node.probe().await {
            Ok(()) => life::alive(),
            Err(err) => error!(%err, "the store takes no work"),
        }
        if let Ok(status) = node.status().await {
            life::status(&words(&status));
        }
    }
}

/// The shop in one line: "3 terminals, HQ 12 entries behind".
fn words(status: &NodeStatus) -> String {
    let terminals =
        status.links.iter().filter(|link| Some(link.peer) != status.headquarters.map(|hq| hq.node)).count();
    let hq = match status.headquarters {
        None => "no HQ".to_owned(),
        Some(hq) if hq.alive && hq.behind == 0 => "HQ has all".to_owned(),
        Some(hq) => format!("HQ {}{} entries behind", if hq.alive { "" } else { "dark, " }, hq.behind),
    };
    format!("{terminals} terminals, {hq}")
}

pub(crate) fn not_opened(problem: OpenError) -> Failure {
    let code = match &problem {
        OpenError::Bind(_) => exit::PEER,
        _ => exit::STORE,
    };
    Failure::caused(code, &problem)
}

/// The hub's own tasks; if one ends early, the hub stops and says which.
struct Tasks {
    set: JoinSet<&'static str>,
    stop: CancellationToken,
}

impl Tasks {
    fn new(stop: &CancellationToken) -> Self {
        Self { set: JoinSet::new(), stop: stop.clone() }
    }

    fn spawn(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.set.spawn(async move {
            work.await;
            name
        });
    }

    /// The name of a task that ended although nobody told it to.
    async fn one_ends(&mut self) -> &'static str {
        match self.set.join_next().await {
            Some(Ok(name)) if !self.stop.is_cancelled() => name,
            Some(Err(_)) => "a task that panicked",
            _ => std::future::pending().await,
        }
    }

    async fn drain(&mut self) {
        while self.set.join_next().await.is_some() {}
    }
}
