//! headquarters: merges many stores into one database; publishes prices; takes online orders.
//!
//! Each store is a tenant of its own: its key, its log, its views, in its own folder; nothing of one is reachable by
//! another. Towards a store headquarters is one more peer that asks for the books lane only; what it holds durably it tells
//! the store by watermarks in its own journal there. Read in this order: [`cli`], [`config`], [`home`], `books`,
//! `tenant`, `shut`, `headquarters`, [`report`], `publish`, `control`, [`serve`].
//!
//! ```
//! let dir = tempfile::tempdir().unwrap();
//! let data = dir.path().join("hq").display().to_string();
//! // An empty directory is never taken for headquarters; `hqd init` makes one.
//! let code = hqd::run(["hqd", "init", "--data", &data, "--name", "Head office"]);
//! assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));
//! ```
//!
//! Absent on purpose, so far: a SQL database, a feed of events, online orders. Nothing here is on a store's selling path.

mod books;
pub mod cli;
pub mod config;
mod control;
mod door;
mod headquarters;
pub mod home;
mod publish;
pub mod report;
mod room;
pub mod serve;
pub mod show;
mod shut;
mod tenant;

use clap::Parser;
use cli::{AskArgs, By, Cli, Command, ConfigCommand, Place};
use home::{Home, HomeError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use toko_daemon::ask::{Ask, AskError, with_query};
use toko_daemon::exit;
use toko_daemon::settings::Problems;

/// Runs `hqd` with these arguments.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(problem) => {
            let _ = problem.print();
            return ExitCode::from(if problem.use_stderr() { exit::USAGE } else { exit::OK });
        }
    };
    match command(&cli.command) {
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::from(exit::OK),
            Err(_) => ExitCode::from(exit::FAILED),
        },
        Err(Failure { code, words }) => {
            let _ = writeln!(io::stderr(), "hqd: {words}");
            ExitCode::from(code)
        }
    }
}

/// Why a command did not work out.
struct Failure {
    code: u8,
    words: String,
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self { code: exit::CONFIG, words: format!("the configuration is wrong:\n{problems}") }
    }
}

impl From<HomeError> for Failure {
    fn from(problem: HomeError) -> Self {
        let code = if matches!(problem, HomeError::Name { .. }) { exit::USAGE } else { exit::STORE };
        Self { code, words: problem.to_string() }
    }
}

impl From<AskError> for Failure {
    fn from(problem: AskError) -> Self {
        Self { code: problem.exit_code(), words: problem.to_string() }
    }
}

fn command(command: &Command) -> Result<String, Failure> {
    match command {
        Command::Init { name, place } => init(place, name),
        Command::Run { place } => serve(place),
        Command::Config { what: ConfigCommand::Check { place } } => check_config(place),
        Command::AddStore { name, currency, ask } => {
            let answer = socket(ask)?.post("/stores", &json!({ "name": name, "currency": currency }))?;
            Ok(shown(ask, &answer, show::added))
        }
        Command::Stores { ask } => Ok(shown(ask, &socket(ask)?.get("/stores")?, show::stores)),
        Command::OpenStore { name, ask } => {
            let answer = socket(ask)?.post("/stores/open", &json!({ "store": name }))?;
            Ok(shown(ask, &answer, show::opened))
        }
        Command::Status { ask } => Ok(shown(ask, &socket(ask)?.get("/status")?, show::status)),
        Command::Publish { file, taxes, store, name, ask, .. } => {
            let stem = || {
                file.file_stem()
                    .map_or_else(|| "catalogue".into(), |stem| stem.to_string_lossy().into_owned())
            };
            let body = json!({
                "name": name.clone().unwrap_or_else(stem),
                "csv": text_of(file)?,
                "taxes": taxes.as_deref().map(text_of).transpose()?,
                "store": store,
            });
            Ok(shown(ask, &socket(ask)?.post("/publish", &body)?, show::published))
        }
        Command::Report { store, day, from, to, by, csv, ask } => {
            let parameters = [
                ("store", store.as_deref()),
                ("day", day.as_deref()),
                ("from", from.as_deref()),
                ("to", to.as_deref()),
                ("by", Some(by.word())),
            ];
            let answer = socket(ask)?.get(&with_query("/report", &parameters))?;
            if let Some(words) = show::not_in_report(&answer) {
                let _ = writeln!(io::stderr(), "hqd: {words}");
            }
            Ok(report_text(ask, &answer, *by, *csv))
        }
    }
}

fn init(place: &Place, name: &str) -> Result<String, Failure> {
    let id = headquarters::random().map_err(|words| Failure { code: exit::FAILED, words })?;
    let data = place.data();
    Home::init(&data, name, &id)?;
    let data = data.display();
    Ok(format!(
        "{name} is in {data}\nNext: `hqd run --data {data}`, then `hqd add-store NAME --data {data}` for each store.\n"
    ))
}

fn serve(place: &Place) -> Result<String, Failure> {
    let data = place.data();
    let config = config::load(&data, place.config.as_deref(), &place.flags)?;
    let form = if config.log.json { toko_daemon::log::Form::Json } else { toko_daemon::log::Form::Text };
    toko_daemon::log::start(&config.log.filter, form);
    let home = Home::open(&data)?;
    allow_files();
    let done = serve::run(home, config);
    toko_daemon::log::finish();
    done.map_err(|problem| Failure { code: problem.exit_code(), words: problem.to_string() })?;
    Ok(String::new())
}

/// A store keeps seven files open: all that the system allows are taken, where a shell gives out fewer.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let all = Rlimit { current: limit.maximum, ..limit };
        if let Err(err) = setrlimit(Resource::Nofile, all) {
            tracing::warn!(%err, files = limit.current, "no more files may be open; raise LimitNOFILE, or ulimit -n");
        }
    }
}

fn check_config(place: &Place) -> Result<String, Failure> {
    let data = place.data();
    let settings = config::layers(&data, place.config.as_deref(), &place.flags)?;
    settings.finish::<config::File>()?.parse(&data)?;
    Ok(settings.origins().map(|(key, value, origin)| format!("{key} = {value}  # {origin}\n")).collect())
}

fn socket(ask: &AskArgs) -> Result<Ask, Failure> {
    let from_settings = || {
        let place = &ask.place;
        config::load(&place.data(), place.config.as_deref(), &place.flags).map(|config| config.socket)
    };
    Ok(Ask::new("hqd", ask.socket.clone().map_or_else(from_settings, Ok)?))
}

fn text_of(file: &Path) -> Result<String, Failure> {
    let wrong = |code, problem: &dyn std::fmt::Display| Failure {
        code,
        words: format!("{}: {problem}", file.display()),
    };
    let bytes = std::fs::read(file).map_err(|problem| wrong(exit::STORE, &problem))?;
    String::from_utf8(bytes).map_err(|problem| {
        let line =
            problem.as_bytes()[..problem.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count()
                + 1;
        wrong(exit::FAILED, &format_args!("line {line} is not UTF-8; save the file as UTF-8"))
    })
}

fn shown(ask: &AskArgs, answer: &Value, show: fn(&Value) -> String) -> String {
    if ask.json { format!("{answer:#}\n") } else { show(answer) }
}

fn report_text(ask: &AskArgs, answer: &Value, by: By, csv: bool) -> String {
    match (ask.json, csv) {
        (true, _) => format!("{answer:#}\n"),
        (false, true) => show::report_csv(answer, by),
        (false, false) => show::report(answer, by),
    }
}
