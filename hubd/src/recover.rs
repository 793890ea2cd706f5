//! `hubd recover`: a blank machine becomes the store's hub, and the books flow back from the terminals.
//!
//! Three steps, each told as it is taken: ask who belongs to the store; sign, and make the directory; hold everything that
//! whoever is there holds. A step that fails before the directory is made has changed nothing. After it the directory goes on
//! by itself: `hubd recover` without a code takes a recovery up where it was cut short, and until that is done `hubd run`
//! refuses, since such a hub does not yet know what its predecessor printed.

use crate::begin::write_settings;
use crate::config::{self, Config, Shop};
use crate::names::resolved;
use crate::{Failure, Place, shelf};
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toko_crdt::{KvError, KvRead, NodeId};
use toko_daemon::{exit, life, log};
use toko_mesh::enrol::RecoveryCode;
use toko_mesh::identity::{DataDir, Role};
use toko_mesh::machine::Machine;
use toko_mesh::node::recover::{self, CatchUp, Places, RecoverError};
use toko_mesh::node::setup::Meaning;
use toko_mesh::node::{Node, NodeConfig};
use toko_retail::currency::Currency;
use toko_retail::scope::ShopScope;
use toko_retail::text::check_name;
use toko_retail::views::{self, ShopFold};

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long a node that is not there is waited for, since somebody came last.
const GRACE: Duration = Duration::from_secs(6);
/// How long the first terminal is waited for.
const FIRST: Duration = Duration::from_secs(60);

/// What does not come for so long, although whoever says to hold it is there, comes later or never: the hub goes on without.
const STALLED: Duration = Duration::from_secs(30);

/// What `hubd recover` needs to know.
#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    /// The recovery code; `-` reads it from standard input. Asked for on a terminal when left out.
    code: Option<String>,
    /// Where a terminal of the store is, such as 192.168.1.21:7420. May be repeated; one is enough, it knows the others.
    #[arg(long = "peer", value_name = "HOST:PORT")]
    peers: Vec<String>,
    /// Where headquarters is, for a shop that has one, such as hq.example.com:7430.
    #[arg(long, value_name = "HOST:PORT")]
    hq: Option<String>,
    /// What stands on top of receipts; can be set later in hubd.toml.
    #[arg(long)]
    name: Option<String>,
    /// ISO 4217 code of the hub's own catalogues; that of the last sales when left out.
    #[arg(long)]
    currency: Option<String>,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

/// Makes this machine the hub.
pub(crate) fn recover(place: &Place, asked: &Recover) -> Result<(), Failure> {
    check(asked)?;
    let loaded = config::load(&place.data, place.config.as_deref(), &place.set);
    let (config, _) = loaded.map_err(|problems| Failure::new(exit::CONFIG, problems))?;
    let begun = recover::is_recovering(&place.data);
    let code = match (&asked.code, begun) {
        (None, true) => None,
        (given, _) => Some(read_code(given.as_deref())?),
    };
    if !begun {
        recover::check_blank(&place.data).map_err(refused)?;
    }
    log::start("warn", log::Form::Text);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|problem| Failure::new(exit::FAILED, problem))?;
    runtime.block_on(async {
        match (begun, &code) {
            (true, Some(code)) => same_store(&place.data, code)?,
            (false, Some(code)) => succeed(place, asked, &config, code).await?,
            (_, None) => say("going on where the recovery was cut short"),
        }
        get_back(place, asked, &config).await
    })
}

fn check(asked: &Recover) -> Result<(), Failure> {
    if let Some(name) = &asked.name {
        check_name("--name", name, 120).map_err(|problem| Failure::new(exit::USAGE, problem))?;
    }
    if let Some(currency) = &asked.currency {
        Currency::parse(currency)
            .map_err(|problem| Failure::new(exit::USAGE, format!("--currency: {problem}")))?;
    }
    Ok(())
}

fn read_code(given: Option<&str>) -> Result<RecoveryCode, Failure> {
    let text = match given {
        Some(text) if text != "-" => text.to_owned(),
        given => {
            if given.is_none() && !io::stdin().is_terminal() {
                let words = "give the recovery code, or - to read it from standard input";
                return Err(Failure::new(exit::USAGE, words));
            }
            if given.is_none() {
                let _ = write!(io::stderr(), "Recovery code of the store: ");
            }
            let mut line = String::new();
            let read = io::stdin().lock().take(4096).read_line(&mut line);
            read.map_err(|problem| Failure::new(exit::USAGE, problem))?;
            line
        }
    };
    let parsed = RecoveryCode::parse(text.trim());
    parsed.map_err(|problem| Failure::new(exit::USAGE, format!("the code cannot be right: {problem}")))
}

/// Whether the directory that was begun is of the code's store.
fn same_store(data: &Path, code: &RecoveryCode) -> Result<(), Failure> {
    let dir = DataDir::open(data, Role::Hub).map_err(|problem| Failure::caused(exit::STORE, &problem))?;
    if dir.sentinel().root == code.0.public() {
        say("going on where the recovery was cut short");
        return Ok(());
    }
    let words = format!("{} was begun with the recovery code of another store", data.display());
    Err(Failure::new(exit::STORE, words))
}

/// Asks, signs, and makes the directory.
async fn succeed(
    place: &Place,
    asked: &Recover,
    config: &Config,
    code: &RecoveryCode,
) -> Result<(), Failure> {
    let mut places = Places { mdns: config.mdns, ..Places::default() };
    for host in &asked.peers {
        places.near.extend(addresses_of("--peer", host).await?);
    }
    match &asked.hq {
        Some(host) => places.far.extend(addresses_of("--hq", host).await?),
        None => places.far = resolved(&config.headquarters).await,
    }
    if places.near.is_empty() && places.far.is_empty() && !places.mdns {
        let words = "name a terminal with --peer HOST:PORT, since links.mdns is off";
        return Err(Failure::new(exit::USAGE, words));
    }
    say("looking for the store's terminals");
    let found = recover::find_store(&Machine::real(), code, &places).await.map_err(refused)?;
    let meaning = Meaning { fold: Arc::new(ShopFold), scope: Arc::new(ShopScope) };
    let done = recover::succeed(&*place.data, code, &found, &meaning).map_err(refused)?;
    say(&format!(
        "{} answered; this machine is the hub of store {} in term {}",
        found.answered.len(),
        done.store.short(),
        done.term
    ));
    Ok(())
}

async fn addresses_of(what: &str, host: &str) -> Result<Vec<std::net::SocketAddr>, Failure> {
    match lookup_host(host).await {
        Ok(found) => Ok(found.collect()),
        Err(problem) => {
            let words = format!("{what}: {host} is no host and port that resolves: {problem}");
            Err(Failure::new(exit::USAGE, words))
        }
    }
}

/// Runs the node until it holds what whoever is there holds.
async fn get_back(place: &Place, asked: &Recover, config: &Config) -> Result<(), Failure> {
    let data = &place.data;
    let mut hq = resolved(&config.headquarters).await;
    if let Some(host) = &asked.hq {
        hq.extend(addresses_of("--hq", host).await?);
    }
    let mut peers = Vec::new();
    for host in &asked.peers {
        peers.extend(addresses_of("--peer", host).await?);
    }
    let node_config = NodeConfig {
        advertise: config.advertise.clone(),
        headquarters: hq,
        mdns: config.mdns,
        peers,
        ..NodeConfig::new(data.clone(), Role::Hub, config.listen)
    };
    let opened = Node::open(node_config, Arc::new(ShopFold), Arc::new(ShopScope)).await;
    let node = opened.map_err(crate::hub::not_opened)?;
    let mut signals = life::Signals::heed().map_err(|problem| Failure::new(exit::FAILED, problem))?;
    let stop = CancellationToken::new();
    let done = tokio::select! {
        biased;
        done = until_whole(&node) => done,
        why = signals.until_stopped(&stop) => Err(Failure::new(exit::FAILED, format!("cut short by {why}"))),
    };
    let done = match done {
        Ok(state) => finish(&node, place, asked, config).await.map(|()| state),
        Err(failure) => Err(failure),
    };
    let outcome = done.map(|state| outcome(&node, &state, asked.json));
    let saved = node.shutdown().await;
    let text = outcome.map_err(|mut failure| {
        failure.message.push_str("; nothing is lost, run `hubd recover` again (it needs no code now)");
        failure
    })?;
    saved.map_err(|problem| Failure::caused(exit::STORE, &problem))?;
    let noted = node.recovered();
    noted.map_err(|problem| Failure::new(exit::STORE, format!("{}: {problem}", data.display())))?;
    io::stdout().write_all(text.as_bytes()).map_err(|problem| Failure::new(exit::FAILED, problem))
}

/// Waits for whoever is there, and tells how far it is.
async fn until_whole(node: &Node) -> Result<CatchUp, Failure> {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = Instant::now();
    let (mut told, mut came, mut moved) = (0, begun, ((0, 0), begun));
    let (mut said, mut said_at) = (String::new(), None::<Instant>);
    loop {
        look.tick().await;
        let state = node.catch_up();
        if state.told.len() > told {
            (told, came) = (state.told.len(), Instant::now());
        }
        let words = words(node, &state);
        if words != said && said_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            say(&words);
            (said, said_at) = (words, Some(Instant::now()));
        }
        if told == 0 && begun.elapsed() >= FIRST {
            return Err(Failure::new(exit::PEER, "no terminal came within a minute"));
        }
        let all_there = missing(node, &state).is_empty() || came.elapsed() >= GRACE;
        if (state.here, state.lacking) != moved.0 {
            moved = ((state.here, state.lacking), Instant::now());
        }
        let has_all = state.lacking == 0 || moved.1.elapsed() >= STALLED;
        if !state.told.is_empty() && has_all && all_there {
            let lacks_blob =
                shelf::fetch(node).await.map_err(|problem| Failure::new(exit::STORE, problem))?;
            if !lacks_blob || came.elapsed() >= GRACE {
                return Ok(state);
            }
        }
    }
}

/// The last things before the hub is whole.
async fn finish(node: &Node, place: &Place, asked: &Recover, config: &Config) -> Result<(), Failure> {
    node.proclaim().await.map_err(|problem| Failure::caused(exit::STORE, &problem))?;
    let inside = place.data.join("hubd.toml");
    if place.config.is_some() || inside.exists() {
        return Ok(());
    }
    let seen = node.read(currency_of).map_err(|problem| Failure::caused(exit::STORE, &problem))?;
    let shop = Shop {
        name: asked.name.clone().unwrap_or_else(|| config.shop_name.clone()),
        currency: asked.currency.clone().unwrap_or_else(|| seen.unwrap_or(config.currency).code().to_owned()),
    };
    write_settings(place, &shop, asked.hq.as_deref())
}

/// What the last day with business was in.
fn currency_of(kv: &dyn KvRead) -> Result<Option<Currency>, KvError> {
    for day in views::days(kv)?.into_iter().rev() {
        if let Some(money) = views::day_totals(kv, day)?.money.first() {
            return Ok(Some(money.net.currency()));
        }
    }
    Ok(None)
}

/// Terminals and headquarters that are not there. Hubs that were succeeded are not waited for.
fn missing(node: &Node, state: &CatchUp) -> Vec<NodeId> {
    let members = node.members();
    let wanted = |node: &&NodeId| members.roles_of(node).is_terminal() || members.roles_of(node).headquarters;
    state.dark.iter().filter(wanted).copied().collect()
}

fn names(node: &Node, nodes: &[NodeId]) -> Vec<String> {
    let members = node.members();
    let mut names: Vec<String> = nodes.iter().map(|node| crate::answers::name_of(&members, node)).collect();
    names.sort();
    names
}

fn words(node: &Node, state: &CatchUp) -> String {
    let missing = names(node, &missing(node, state));
    let dark = if missing.is_empty() { String::new() } else { format!("; dark: {}", missing.join(", ")) };
    format!("{} linked, {} entries here, {} to come{dark}", state.told.len(), state.here, state.lacking)
}

fn outcome(node: &Node, state: &CatchUp, as_json: bool) -> String {
    let (members, dark) = (node.members(), names(node, &missing(node, state)));
    let term = members.hub().map_or(0, |(term, _)| term);
    let linked = names(node, &state.told);
    if as_json {
        let answer = json!({
            "store": node.store_id().to_string(),
            "node": node.id().to_string(),
            "term": term,
            "entries": node.catch_up().here,
            "linked": linked,
            "dark": dark,
            "lacking": state.lacking,
        });
        return format!("{answer:#}\n");
    }
    let mut missing = String::new();
    if !dark.is_empty() {
        missing = format!("Not there: {}. What only they hold comes when they are back.\n", dark.join(", "));
    }
    if state.lacking > 0 {
        missing.push_str(&format!("{} entries did not come yet; the hub goes on asking.\n", state.lacking));
    }
    format!(
        "This machine is the hub of store {} in term {term}, with {} entries from {}.\n{missing}\n\
         Next: hubd run. If the old hub comes back it does no harm: it hands over what it has and shows that it is hub no\n\
         more.\n",
        node.store_id().short(),
        node.catch_up().here,
        linked.join(", "),
    )
}

fn refused(problem: RecoverError) -> Failure {
    let code = match &problem {
        RecoverError::Setup(_) => exit::STORE,
        RecoverError::Nobody { .. } | RecoverError::OtherStore { .. } | RecoverError::Bind(_) => exit::PEER,
        _ => exit::FAILED,
    };
    Failure::caused(code, &problem)
}

/// Progress, for whoever stands beside it; the outcome alone goes to standard output.
fn say(words: &str) {
    let _ = writeln!(io::stderr(), "hubd: {words}");
}
