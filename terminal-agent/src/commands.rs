//! What each command does, and with which exit code it ends.

use clap::Parser;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use tokio::net::lookup_host;
use tokio::runtime::{Builder, Runtime};
use toko_crdt::StoreId;
use toko_crdt::member::name_is_sane;
use toko_daemon::life::{self, Signals};
use toko_daemon::settings::{Problems, Settings};
use toko_daemon::{exit, log};
use toko_mesh::enrol::{Code, CodeKind};
use toko_mesh::node::setup::{SetupError, enrol_terminal};
use tracing::error;

use crate::ask::Door;
use crate::cli::{Cli, Command, ConfigCommand, DrawerCommand, Place};
use crate::config::{self, Config};
use crate::desk::Desk;
use crate::draw::Draw;
use crate::service::{Agent, StartError, meaning};

/// Threads that work on requests; the store has its own.
const WORKERS: usize = 2;

/// Why a command ended: a code and what to say.
struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    fn new(code: u8, text: impl ToString) -> Self {
        Self { code, text: text.to_string() }
    }
}

type Done = Result<(), Failure>;

/// Runs the command line.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(problem) => {
            let code = if problem.use_stderr() { exit::USAGE } else { exit::OK };
            // Where neither stream takes the text, the code still says it.
            drop(problem.print());
            return ExitCode::from(code);
        }
    };
    let done = match cli.command {
        Command::Enrol { code, hub, name, place } => enrol(&place, &code, hub.as_deref(), name),
        Command::Run { place } => sell(&place),
        Command::Status { json, place } => status(&place, json),
        Command::Drawer { what: DrawerCommand::Learn { stands, json, place } } => {
            learn_drawer(&place, stands.as_deref(), json)
        }
        Command::Config { what: ConfigCommand::Check { place } } => check(&place),
    };
    match done {
        Ok(()) => ExitCode::from(exit::OK),
        Err(Failure { code, text }) => {
            drop(writeln!(io::stderr(), "terminal-agent: {text}"));
            ExitCode::from(code)
        }
    }
}

fn configured(place: &Place) -> Result<(Config, Settings), Failure> {
    config::load(&place.data(), place.config.as_deref(), &place.flags)
        .map_err(|problems| of_config(&problems))
}

fn of_config(problems: &Problems) -> Failure {
    Failure::new(exit::CONFIG, format!("the configuration cannot be used:\n{problems}"))
}

fn runtime(workers: usize) -> Result<Runtime, Failure> {
    let built = Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    built.map_err(|problem| Failure::new(exit::FAILED, format!("no threads to work with: {problem}")))
}

fn sell(place: &Place) -> Done {
    let (config, _) = configured(place)?;
    log::start(&config.log.filter, if config.log.json { log::Form::Json } else { log::Form::Text });
    let data = place.data();
    runtime(WORKERS)?.block_on(async {
        let mut signals = Signals::heed().map_err(|problem| {
            Failure::new(exit::FAILED, format!("signals cannot be listened for: {problem}"))
        })?;
        let mut agent = Agent::start(&data, &config).await.map_err(|problem| {
            let text = log::with_causes(&problem);
            error!(err = %text, data = %data.display(), "the terminal did not start");
            Failure::new(start_code(&problem), text)
        })?;
        life::ready();
        let was_told = agent.until_stopped(&mut signals).await;
        agent.stop().await;
        log::finish();
        match was_told {
            true => Ok(()),
            false => Err(Failure::new(exit::STORE, "a part of the terminal ended by itself; see the log")),
        }
    })
}

/// The port of a hub that was given without one.
const HUB_PORT: u16 = 7420;

fn enrol(place: &Place, code: &str, hub: Option<&str>, name: Option<String>) -> Done {
    let code = Code::parse(CodeKind::Enrol, code)
        .map_err(|problem| Failure::new(exit::USAGE, format!("the code cannot be right: {problem}")))?;
    if let Some(wrong) = name.as_deref().filter(|name| !name_is_sane(name)) {
        let text =
            format!("{wrong:?} is no name: 1 to 64 bytes, no control characters, no space at either end");
        return Err(Failure::new(exit::USAGE, text));
    }
    log::start("warn", log::Form::Text);
    let data = place.data();
    let enrolled = runtime(1)?.block_on(async {
        let addresses = match hub {
            None => Vec::new(),
            Some(hub) => resolved(hub).await?,
        };
        enrol_terminal(&data, &code, &addresses, name, &meaning())
            .await
            .map_err(|problem| Failure::new(enrol_code(&problem), log::with_causes(&problem)))
    })?;
    say(&format!(
        "This is terminal {} ({}) of store {}.\nNext: terminal-agent run --data {}\n",
        enrolled.number,
        enrolled.name,
        StoreId::of(&enrolled.root).short(),
        data.display()
    ))
}

async fn resolved(hub: &str) -> Result<Vec<SocketAddr>, Failure> {
    let with_port = if hub.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
        format!("[{hub}]:{HUB_PORT}")
    } else if hub.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        hub.to_owned()
    } else {
        format!("{hub}:{HUB_PORT}")
    };
    match lookup_host(&with_port).await {
        Ok(found) => Ok(found.collect()),
        Err(problem) => Err(Failure::new(exit::PEER, format!("the hub's address {with_port}: {problem}"))),
    }
}

fn enrol_code(problem: &SetupError) -> u8 {
    match problem {
        SetupError::Bind(_) | SetupError::NoHub | SetupError::Enrol(_) | SetupError::Tls(_) => exit::PEER,
        _ => exit::STORE,
    }
}

fn start_code(problem: &StartError) -> u8 {
    match problem {
        StartError::Listen { .. } => exit::FAILED,
        StartError::Zone(_) => exit::CONFIG,
        _ => exit::STORE,
    }
}

fn check(place: &Place) -> Done {
    let (_, settings) = configured(place)?;
    let mut out = String::new();
    for (key, value, origin) in settings.origins() {
        out.push_str(&format!("{key} = {value}  # {origin}\n"));
    }
    say(&out)
}

fn status(place: &Place, json: bool) -> Done {
    let answer = ask(place, hyper::Method::GET, "/v1/status", None)?;
    say(&if json { format!("{answer:#}\n") } else { in_words(&answer) })
}

/// Asks the running terminal.
fn ask(place: &Place, method: hyper::Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let door = door(&place.data())?;
    let drawn = Draw::new().map_err(|problem| Failure::new(exit::FAILED, problem))?.id();
    let key = body.map(|_| toko_crdt::hash::hex(&drawn));
    let (code, answer) = runtime(1)?
        .block_on(door.call(method, path, key.as_deref(), body))
        .map_err(|silent| Failure::new(exit::PEER, silent))?;
    if code != 200 {
        let log = answer["error"]["log"].as_str().unwrap_or("no reason given");
        return Err(Failure::new(exit::FAILED, format!("the terminal refused: {log}")));
    }
    Ok(answer)
}

fn learn_drawer(place: &Place, stands: Option<&str>, json: bool) -> Done {
    let lesson = |stands: &str| {
        let body = json!({ "stands": stands });
        ask(place, hyper::Method::POST, "/v1/drawer/learn", Some(&body))
    };
    let answer = match stands {
        Some(stands) => lesson(stands)?,
        None => {
            wait_for("Shut the drawer")?;
            lesson("shut")?;
            wait_for("Open the drawer, with its key if need be")?;
            lesson("open")?
        }
    };
    if json {
        return say(&format!("{answer:#}\n"));
    }
    match answer["sensor"].as_str() {
        Some(sensor) => say(&format!("Learnt: {sensor}.\n")),
        None => say("Noted; now open it, and say so with --stands open.\n"),
    }
}

/// Waits until a person has done it.
fn wait_for(what: &str) -> Done {
    if !io::stdin().is_terminal() {
        let text =
            "nobody is here to move the drawer; say how it stands with --stands shut, then --stands open";
        return Err(Failure::new(exit::USAGE, text));
    }
    drop(write!(io::stderr(), "{what}, then press Enter. "));
    let unread = |problem| Failure::new(exit::FAILED, format!("standard input: {problem}"));
    io::stdin().lock().read_line(&mut String::new()).map_err(unread)?;
    Ok(())
}

fn door(data: &Path) -> Result<Door, Failure> {
    let desk = Desk::new(data);
    let unreadable = |problem| Failure::new(exit::STORE, format!("{}: {problem}", data.display()));
    let never = || {
        let text = format!("no terminal ever ran in {}; give its data directory with --data", data.display());
        Failure::new(exit::PEER, text)
    };
    let address = desk.address().map_err(unreadable)?.ok_or_else(never)?;
    Ok(Door { address, token: desk.token().map_err(unreadable)? })
}

fn in_words(status: &Value) -> String {
    let text = |path: &str| match status.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "none".to_owned(),
        Some(other) => other.to_string(),
    };
    let linked =
        |path: &str| if status.pointer(path) == Some(&Value::Bool(true)) { "linked" } else { "away" };
    let links = status["links"]
        .as_array()
        .map_or(0, |links| links.iter().filter(|link| link["settled"] == true).count());
    let codes: String = status["parked_codes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(code, count)| format!(", {count} {code}"))
        .collect();
    let mut out = format!(
        "{} (terminal {}, series {})\n\
         business day  {}\n\
         catalogue     {} items, {}\n\
         carts         {} open here, {} parked\n\
         hub           {}\n\
         links         {links} alive\n\
         parked        {} entries{}\n\
         books         {}\n\
         floor         {}\n\
         API           {}\n",
        text("/terminal/name"),
        text("/terminal/number"),
        text("/series"),
        text("/business_day"),
        text("/catalogue/items"),
        text("/currency"),
        text("/carts/open"),
        text("/carts/parked"),
        linked("/hub/linked"),
        text("/parked"),
        codes,
        text("/digests/books"),
        text("/digests/floor"),
        text("/api"),
    );
    for alert in status["alerts"].as_array().into_iter().flatten() {
        out.push_str(&format!("! {}\n", alert["text"].as_str().unwrap_or_default()));
    }
    out
}

fn say(text: &str) -> Done {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // Whoever reads has read enough, such as `head`.
        Err(problem) if problem.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(problem) => Err(Failure::new(exit::FAILED, format!("nothing can be printed: {problem}"))),
    }
}
