//! How long a blank machine takes to become the hub: a shop's terminals in this process, each with the shop's whole history,
//! and the real `hubd recover` beside them as a process of its own.
//!
//! The history is made once, by the hub and its terminals; then every terminal gets the hub's log and views, which say the
//! same, and the hub is thrown away. The clock runs from the command's start to its end: asking, signing, links, entries
//! proven, logged and folded, the catalogue of 100 000 items, the last checkpoint.
//!
//! Absent on purpose: floor entries, since carts of days gone by are settled; headquarters, which is not needed.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use terminal_agent::service::meaning;
use tokio::task::JoinSet;
use toko_mesh::identity::Role;
use toko_mesh::node::setup::{enrol_terminal, found_store};
use toko_mesh::node::{Node, NodeConfig};
use toko_mesh::store::StoreHandle;
use toko_retail::currency::Currency;

use crate::bench::goods::{CURRENCY, Goods};
use crate::bench::place::Place;
use crate::bench::store::{counted, sale};
use crate::bench::trouble::Trouble;
use crate::demo::cast::play;
use crate::process::free_udp_port;
use crate::usage;

/// Writers of one terminal, while the history is made.
const WRITERS: u64 = 64;
/// How long the terminals may take to hear the new hub's first word.
const SETTLING: Duration = Duration::from_secs(30);
/// A shop waits for no longer than this for its new hub.
const WHOLE_MS_MAX: u64 = 60_000;

/// Measures how long a blank machine takes to become the hub.
#[derive(Clone, Debug, Parser)]
#[command(name = "recovery", version)]
struct Args {
    /// Terminals, each of which holds everything.
    #[arg(long, default_value_t = 24)]
    terminals: u64,
    /// Days of history.
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// Sales of eight lines on each day.
    #[arg(long, default_value_t = 5_000)]
    sales: u64,
    /// Where to work; a temporary directory, gone afterwards, when left out. Needs about 2 KiB for each sale and terminal.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `recovery` with these arguments.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = play(&args) {
        return code;
    }
    let args: Args = match usage::read(args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match measure(&args) {
        Ok((text, holds)) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) if holds => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        },
        Err(trouble) => {
            say(&trouble.in_full());
            ExitCode::FAILURE
        }
    }
}

/// What came out, and whether the new hub has what the terminals had, in time.
fn measure(args: &Args) -> Result<(String, bool), Trouble> {
    let temporary;
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => {
            temporary = tempfile::tempdir()?;
            temporary.path().to_owned()
        }
    };
    std::fs::create_dir_all(&dir)?;
    let place = Place::of(&dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let answer = runtime.block_on(shop(args, &dir))?;
    runtime.shutdown_timeout(Duration::from_secs(5));
    let in_time = answer["whole_ms"].as_u64().is_some_and(|took| took <= WHOLE_MS_MAX);
    let holds = answer["equal"] == true && in_time;
    if args.json {
        let mut answer = answer;
        answer["place"] = place.json();
        return Ok((format!("{answer:#}\n"), holds));
    }
    let rows = [
        ("terminals, each with everything", "terminals"),
        ("days of history", "days"),
        ("entries", "entries"),
        ("items of the catalogue", "items"),
        ("hubd recover, from start to end", "whole_ms"),
        ("entries a second", "per_second"),
        ("digests and frontier equal a terminal's", "equal"),
    ];
    let mut text = place.words();
    for (words, key) in rows {
        let unit = if key.ends_with("_ms") { " ms" } else { "" };
        text.push_str(&format!("  {words:<42} {:>10}{unit}\n", answer[key].to_string()));
    }
    if !in_time {
        text.push_str(&format!("  it took longer than {WHOLE_MS_MAX} ms\n"));
    }
    Ok((text, holds))
}

async fn shop(args: &Args, dir: &Path) -> Result<Value, Trouble> {
    say("making the history");
    let goods = Arc::new(Goods::make()?);
    let hub_dir = dir.join("hub");
    let founded = found_store(&hub_dir, &meaning()).map_err(Trouble::product("founding a store"))?;
    let names: Vec<String> = (1..=args.terminals).map(|nth| format!("Till {nth}")).collect();
    history(args, dir, &names, &goods).await?;
    let mut tills = Vec::new();
    let mut addresses = Vec::new();
    for name in &names {
        let at = SocketAddr::from(([127, 0, 0, 1], free_udp_port()?));
        addresses.push(at);
        tills.push(open(&dir.join(name), Role::Terminal, at, Vec::new()).await?);
    }
    let Some(till) = tills.first() else { return Err(Trouble::product("a shop")("it has no terminal")) };
    say(&format!("{} terminals hold {} entries each; the blank machine begins", tills.len(), entries(till)));

    let new = dir.join("new hub");
    let started = Instant::now();
    recover(&new, &founded.recovery.to_string(), &addresses).await?;
    let whole = started.elapsed();

    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let hub = open(&new, Role::Hub, here, Vec::new()).await?;
    let failed = "looking at the books";
    let equal = loop {
        let [ours, theirs] = [hub.status().await, till.status().await];
        let (ours, theirs) =
            (ours.map_err(Trouble::product(failed))?, theirs.map_err(Trouble::product(failed))?);
        let equal = ours.digests == theirs.digests && ours.frontier_root == theirs.frontier_root;
        if equal || started.elapsed() > whole + SETTLING {
            break equal;
        }
        // The hub's own first word is on its way to the tills.
        let _ = tokio::time::timeout(Duration::from_secs(1), till.changed().changed()).await;
    };
    let items =
        hub.read(hubd::shelf::shown).map_err(Trouble::product(failed))?.map_or(0, |shown| shown.items);
    let entries = entries(&hub);
    for node in tills.into_iter().chain([hub]) {
        node.shutdown().await.map_err(Trouble::product("closing a node"))?;
    }
    let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
    Ok(json!({
        "terminals": args.terminals,
        "days": args.days,
        "entries": entries,
        "items": items,
        "whole_ms": millis,
        "per_second": entries * 1_000 / millis.max(1),
        "equal": equal,
    }))
}

/// Every terminal sells its share to the hub; then all get what the hub has, and the hub goes.
async fn history(args: &Args, dir: &Path, names: &[String], goods: &Arc<Goods>) -> Result<(), Trouble> {
    let hub_dir = dir.join("hub");
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let hub = open(&hub_dir, Role::Hub, here, Vec::new()).await?;
    let currency = Currency::parse(CURRENCY).map_err(Trouble::product("the currency"))?;
    let spring = hubd::shelf::Goods { name: "spring", csv: goods.csv.as_bytes(), taxes: None, currency };
    hubd::shelf::import(&hub, &spring).await.map_err(Trouble::product("the catalogue"))?;
    let share = (args.days * args.sales).div_ceil(args.terminals.max(1));
    for (nth, name) in (0..).zip(names) {
        let till_dir = dir.join(name);
        let code = hub.open_code(name).map_err(Trouble::product("a code"))?;
        let at = [hub.listen_addr()];
        let enrolled = enrol_terminal(&till_dir, &code, &at, None, &meaning()).await;
        enrolled.map_err(Trouble::product("enrolling"))?;
        let till = open(&till_dir, Role::Terminal, here, at.to_vec()).await?;
        sell(till.store(), goods, nth * share..(nth + 1) * share).await?;
        let mut changed = hub.changed();
        while !hub.frontier().covers(&till.frontier()) {
            changed.changed().await.map_err(Trouble::product("the hub"))?;
        }
        till.shutdown().await.map_err(Trouble::product("closing a terminal"))?;
    }
    hub.shutdown().await.map_err(Trouble::product("closing the hub"))?;
    drop(hub);
    for name in names {
        for part in ["journal", "blobs"] {
            let (from, to) = (hub_dir.join(part), dir.join(name).join(part));
            std::fs::remove_dir_all(&to)?;
            let copied = Command::new("cp").arg("-a").arg(&from).arg(&to).status()?;
            if !copied.success() {
                return Err(Trouble::product("copying the history")(copied));
            }
        }
    }
    Ok(std::fs::remove_dir_all(&hub_dir)?)
}

async fn sell(store: &StoreHandle, goods: &Arc<Goods>, sales: std::ops::Range<u64>) -> Result<(), Trouble> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, goods, sales) = (store.clone(), Arc::clone(goods), sales.clone());
        writers.spawn(async move {
            for nth in sales.filter(|nth| nth % WRITERS == writer) {
                counted(store.append(sale(&goods, nth)?).await.map_err(Trouble::product("a sale"))?)?;
            }
            Ok::<_, Trouble>(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.map_err(Trouble::product("a writer"))??;
    }
    Ok(())
}

/// The command itself, with its own words on standard error.
async fn recover(dir: &Path, code: &str, peers: &[SocketAddr]) -> Result<(), Trouble> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--as", "hubd", "recover", code, "--name", "shop", "--set", "links.mdns=false"]);
    command.args(["--set", "links.listen=127.0.0.1:0", "--data"]).arg(dir);
    for peer in peers {
        command.args(["--peer", &peer.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.status()).await;
    let ended = ended.map_err(Trouble::product("hubd recover"))??;
    if ended.success() { Ok(()) } else { Err(Trouble::product("hubd recover")(ended)) }
}

async fn open(dir: &Path, role: Role, at: SocketAddr, hub: Vec<SocketAddr>) -> Result<Node, Trouble> {
    let config = NodeConfig { hub, ..NodeConfig::new(dir.to_owned(), role, at) };
    let meaning = meaning();
    Node::open(config, meaning.fold, meaning.scope).await.map_err(Trouble::product("opening a node"))
}

fn entries(node: &Node) -> u64 {
    node.frontier().lines().map(|(_, head)| head.seq).sum()
}

fn say(words: &str) {
    let _ = writeln!(std::io::stderr(), "recovery: {words}");
}
