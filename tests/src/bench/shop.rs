//! A real shop: this executable as hub and three terminals (or more), linked on the loopback, with 100 000 items.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Bench;
use super::goods::{CURRENCY, ITEMS};
use super::trouble::Trouble;
use super::wire::Wire;
use crate::demo::cast::PARENT;
use crate::door::{Api, ask_command, run_command};
use crate::process::{
    Cost, Daemon, ProcessError, Program, free_tcp_port, free_udp_port, this_binary, wait_until,
};

/// Terminals.
pub const TILLS: usize = 3;
/// The most terminals that are told of each other by their settings, and that all keep links to each other.
const NAMED_MAX: usize = 8;
/// How many others a terminal keeps a link to in a larger shop.
const PEERS_CHOSEN: usize = 4;
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node: what it is started as, and the process while it runs.
#[derive(Debug)]
pub struct Node {
    /// Its data directory.
    pub data: PathBuf,
    program: Program,
    daemon: Option<Daemon>,
}

/// A hub and three terminals.
#[derive(Debug)]
pub struct Shop {
    exe: PathBuf,
    /// The hub.
    pub hub: Node,
    /// Where it listens.
    pub hub_at: SocketAddr,
    /// The terminals, each with the address of its API.
    pub tills: Vec<(Node, SocketAddr)>,
    /// How long it took from importing the catalogue until every terminal priced from it.
    pub stocked: Duration,
    /// What the hub, then each terminal cost once the catalogue was loaded.
    pub loaded: Vec<Cost>,
}

impl Shop {
    /// A shop with three terminals.
    pub fn open(bench: &Bench) -> Result<Self, Trouble> {
        Self::found(bench, "shop", TILLS)
    }

    /// A shop with the items of the bench.
    pub fn found(bench: &Bench, name: &str, tills: usize) -> Result<Self, Trouble> {
        Self::found_in(&bench.fresh(name)?, &bench.goods.csv, ITEMS, tills)
    }

    /// Founds a store in `dir`, enrols terminals, imports so many items, and waits until all are linked and have them.
    pub fn found_in(dir: &Path, csv: &str, items: u64, tills: usize) -> Result<Self, Trouble> {
        let exe = this_binary()?;
        let hub_at = udp()?;
        let place = settle(
            dir,
            "hub",
            &format!(
                "[shop]\nname = \"Bench\"\ncurrency = \"{CURRENCY}\"\n\n[links]\nlisten = \"{hub_at}\"\nmdns = false\n"
            ),
        )?;
        let init = [
            &["--as", "hubd", "init", "--json", "--name", "Bench", "--currency", CURRENCY][..],
            &[&place[0], &place[1]],
        ];
        ask_command(&exe, &init.concat(), PATIENCE)?;
        let mut shop = Self {
            hub: Node::of(dir, &exe, "hub", "hubd", &place),
            hub_at,
            exe,
            tills: Vec::new(),
            stocked: Duration::ZERO,
            loaded: Vec::new(),
        };
        shop.hub.start()?;
        shop.until_hub()?;
        shop.enrol(dir, tills)?;
        shop.stock_up(dir, csv, items)?;
        Ok(shop)
    }

    /// Waits until the hub takes commands.
    pub fn until_hub(&self) -> Result<(), Trouble> {
        let socket = self.hub.data.join("hubctl.sock");
        wait_until("the hub", PATIENCE, || UnixStream::connect(&socket).map_err(|error| error.to_string()))?;
        Ok(())
    }

    fn enrol(&mut self, dir: &Path, tills: usize) -> Result<(), Trouble> {
        let hub = self.hub_at;
        let listen: Vec<SocketAddr> = (0..tills).map(|_| udp()).collect::<Result<_, _>>()?;
        for (nth, own) in listen.iter().enumerate() {
            let name = format!("till-{}", nth + 1);
            let api = SocketAddr::from((Ipv4Addr::LOCALHOST, free_tcp_port()?));
            // A few are named; in a larger shop the hub tells where the others are.
            let named = if tills > NAMED_MAX { &[][..] } else { &listen[..] };
            let peers: Vec<String> =
                named.iter().filter(|peer| *peer != own).map(ToString::to_string).collect();
            let place = settle(
                dir,
                &name,
                &format!(
                    "[api]\nlisten = \"{api}\"\n\n[links]\nlisten = \"{own}\"\nhub = [\"{hub}\"]\npeers = {peers:?}\nmdns = false\n\n[till]\ncurrency = \"{CURRENCY}\"\ntime_zone = \"UTC\"\n"
                ),
            )?;
            let code = self.hubctl(&["enrol", &name])?;
            let code = code["code"].as_str().unwrap_or_default();
            let hub = hub.to_string();
            let enrol = [
                &["--as", "terminal-agent", "enrol", code, "--hub", &hub][..],
                &place.each_ref().map(String::as_str),
            ];
            run_command(&self.exe, &enrol.concat(), PATIENCE)?;
            let mut till = Node::of(dir, &self.exe, &name, "terminal-agent", &place);
            till.start()?;
            self.tills.push((till, api));
        }
        Ok(())
    }

    fn stock_up(&mut self, dir: &Path, csv: &str, items: u64) -> Result<(), Trouble> {
        let file = dir.join("items.csv");
        fs::write(&file, csv)?;
        let started = Instant::now();
        self.hubctl(&["catalogue", "import", &file.display().to_string()])?;
        self.until("the catalogue on every terminal", |status| status["catalogue"]["items"] == items)?;
        self.stocked = started.elapsed();
        self.until_linked()?;
        let nodes = std::iter::once(&self.hub).chain(self.tills.iter().map(|(till, _)| till));
        self.loaded = nodes.map(Node::cost).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Stops everybody but the first terminal, or starts them again and waits until all are linked.
    pub fn others(&mut self, run: bool) -> Result<(), Trouble> {
        let tills = self.tills.iter_mut().skip(1).map(|(till, _)| till);
        for node in tills.chain([&mut self.hub]) {
            match run {
                true if node.daemon.is_none() => node.start()?,
                true => {}
                false => node.stop()?,
            }
        }
        if run { self.until_linked() } else { Ok(()) }
    }

    fn until_linked(&mut self) -> Result<(), Trouble> {
        let others = self.tills.len().saturating_sub(1);
        let wanted = 1 + if others > NAMED_MAX { PEERS_CHOSEN } else { others };
        self.until("all links", |status| {
            let links = status["links"].as_array().map_or(&[][..], Vec::as_slice);
            links.iter().filter(|link| link["settled"] == true).count() >= wanted
        })
    }

    /// Asks the hub.
    pub fn hubctl(&self, args: &[&str]) -> Result<Value, Trouble> {
        let data = self.hub.data.display().to_string();
        Ok(ask_command(
            &self.exe,
            &[&["--as", "hubctl", "--json", "--data", &data], args].concat(),
            PATIENCE,
        )?)
    }

    /// Waits until the status of every terminal says so.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<(), Trouble> {
        for at in 0..self.tills.len() {
            wait_until(what, PATIENCE, || {
                if let Err(ended) = self.all_run() {
                    return Ok(Err(ended));
                }
                let status = self.status(at).map_err(|error| error.to_string())?;
                if holds(&status) { Ok(Ok(())) } else { Err(status.to_string().chars().take(400).collect()) }
            })??;
        }
        Ok(())
    }

    /// Waits until all terminals hold the same and can say so.
    pub fn until_agreed(&mut self) -> Result<(), Trouble> {
        Ok(wait_until("all terminals to agree", PATIENCE, || {
            let roots: Result<Vec<Value>, Trouble> =
                (0..TILLS).map(|at| Ok(self.status(at)?["frontier"].clone())).collect();
            let roots = roots.map_err(|error| error.to_string())?;
            if roots.windows(2).all(|two| two[0] == two[1]) { Ok(()) } else { Err(format!("{roots:?}")) }
        })?)
    }

    fn all_run(&mut self) -> Result<(), ProcessError> {
        let tills = self.tills.iter_mut().map(|(till, _)| till);
        let mut all = std::iter::once(&mut self.hub).chain(tills).filter_map(|node| node.daemon.as_mut());
        all.try_for_each(Daemon::still_runs)
    }

    fn status(&self, at: usize) -> Result<Value, Trouble> {
        Ok(self.api(at)?.get("/v1/status")?)
    }

    /// A terminal's API.
    pub fn api(&self, at: usize) -> Result<Api, Trouble> {
        let (till, api) = &self.tills[at];
        Ok(Api::new(&format!("http://{api}"), &till.token()?, PATIENCE))
    }

    /// A till screen's connection to a terminal.
    pub fn wire(&self, at: usize) -> Result<Wire, Trouble> {
        let (till, api) = &self.tills[at];
        Wire::open(*api, &till.token()?)
    }
}

impl Node {
    fn of(dir: &Path, exe: &Path, name: &str, part: &str, place: &[String; 4]) -> Self {
        let words = ["--as", part, "run"].map(str::to_owned).into_iter().chain(place.iter().cloned());
        let program = Program {
            name: name.to_owned(),
            exe: exe.to_owned(),
            args: words.collect(),
            env: vec![
                (PARENT.to_owned(), std::process::id().to_string()),
                // As the units of hub and terminal have it.
                ("MALLOC_ARENA_MAX".to_owned(), "1".to_owned()),
            ],
            log: dir.join(format!("{name}.log")),
        };
        Self { data: dir.join(name), program, daemon: None }
    }

    /// Starts it.
    pub fn start(&mut self) -> Result<(), Trouble> {
        self.daemon = Some(Daemon::start(&self.program)?);
        Ok(())
    }

    /// SIGKILL, as a power cut.
    pub fn kill(&mut self) -> Result<(), Trouble> {
        Ok(self.daemon.take().map_or(Ok(()), Daemon::kill)?)
    }

    /// SIGTERM, and waits.
    pub fn stop(&mut self) -> Result<(), Trouble> {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop(PATIENCE)?;
        }
        Ok(())
    }

    /// The process.
    pub fn daemon(&self) -> Result<&Daemon, Trouble> {
        let gone = || Trouble::product("looking at a process")(format!("{} does not run", self.program.name));
        self.daemon.as_ref().ok_or_else(gone)
    }

    /// What it costs now.
    pub fn cost(&self) -> Result<Cost, Trouble> {
        self.daemon()?.cost().ok_or_else(|| Trouble::product("looking at a process")("it is gone"))
    }

    fn token(&self) -> Result<String, Trouble> {
        Ok(fs::read_to_string(self.data.join("api-token"))?.trim().to_owned())
    }
}

/// Writes a node's settings; what every command about it ends with.
fn settle(dir: &Path, name: &str, toml: &str) -> Result<[String; 4], Trouble> {
    let settings = dir.join(format!("{name}.toml"));
    fs::write(&settings, toml)?;
    let [data, settings] = [dir.join(name), settings].map(|path| path.display().to_string());
    Ok(["--data".to_owned(), data, "--config".to_owned(), settings])
}

fn udp() -> Result<SocketAddr, Trouble> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_udp_port()?)))
}
