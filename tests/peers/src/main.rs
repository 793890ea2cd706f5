//! the same shop's work done by Toko, samod, NATS JetStream and PouchDB, side by side.
//!
//! `run` makes the work, starts a process for each column (so that one's memory is not another's), and prints one table.
//! `run.sh` beside this folder's manifest installs what the peers need first. README.md says what is fair and what is not.
//!
//! In reading order: [`work`] is what is sold, [`measure`] what is timed; [`toko`], [`samod`], [`nats`] and `pouch/` do it,
//! [`raw`] is the machine; [`table`] shows it.

mod cable;
mod child;
mod measure;
mod nats;
mod raw;
mod samod;
mod synced_log;
mod table;
mod toko;
mod trouble;
mod work;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::{Args, Parser, Subcommand, ValueEnum};
use measure::Column;
use serde::de::DeserializeOwned;
use table::{RAW, TOKO};
use toko_tests::bench::place::Place;
use trouble::Trouble;
use work::Work;

/// The same shop's work by Toko and its peers, side by side.
#[derive(Debug, Parser)]
#[command(name = "peers", version)]
struct Cli {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Measures all columns and prints the table
    Run(Run),
    /// Measures one column and prints it as JSON
    #[command(hide = true)]
    Column { who: Who, work: PathBuf, dir: PathBuf, nats: Option<PathBuf> },
    /// A server of a column
    #[command(hide = true)]
    Part { name: String, args: String },
}

#[derive(Debug, Args)]
struct Run {
    /// A third of the day, for a look
    #[arg(long)]
    quick: bool,
    /// Print JSON on standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// The day
    #[arg(long, default_value = "2010-12-01")]
    day: String,
    /// Another file of the same columns [default: the week that is bundled]
    #[arg(long)]
    input: Option<PathBuf>,
    /// Only this column; may be repeated
    #[arg(long)]
    only: Vec<Who>,
    /// Write to the disk that this directory is on [default: where this executable is]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The program of the NATS server
    #[arg(long)]
    nats: Option<PathBuf>,
    /// The directory with tills.js and its packages
    #[arg(long)]
    pouch: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Who {
    Toko,
    Samod,
    Nats,
    Pouchdb,
    Raw,
}

impl Who {
    const ALL: [Self; 5] = [Self::Toko, Self::Samod, Self::Nats, Self::Pouchdb, Self::Raw];

    fn name(self) -> &'static str {
        match self {
            Self::Toko => TOKO,
            Self::Samod => "samod",
            Self::Nats => "NATS JetStream",
            Self::Pouchdb => "PouchDB",
            Self::Raw => RAW,
        }
    }

    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        What::Run(run) => measure_all(&run),
        What::Column { who, work, dir, nats } => one(who, &work, &dir, nats),
        What::Part { name, args } => part(&name, &args).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            say(&trouble.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Every column in a process of its own, one after the other. True if all came about.
fn measure_all(run: &Run) -> Result<bool, Trouble> {
    let beside = toko_tests::process::this_binary()?;
    let disk = run.dir.as_deref().or(beside.parent()).unwrap_or(Path::new("."));
    let dir = tempfile::Builder::new().prefix("peers-").tempdir_in(disk)?;
    let work = Work::make(run.input.as_deref(), &run.day, run.quick)?;
    let sheet = dir.path().join("work.json");
    work.write(&sheet)?;
    let place = Place::of(dir.path());
    let (mut columns, mut whole) = (Vec::new(), true);
    for who in Who::ALL.into_iter().filter(|who| run.only.is_empty() || run.only.contains(who)) {
        say(who.name());
        let place = dir.path().join(who.word());
        std::fs::create_dir(&place)?;
        let column = match who {
            Who::Pouchdb => pouch(run, &sheet, &place),
            _ => itself(&beside, who, run, &sheet, &place),
        };
        if let Err(trouble) = &column {
            say(&format!("{} did not come about: {trouble}", who.name()));
            whole = false;
        }
        columns.push((who.name(), column.map_err(|trouble| trouble.to_string())));
        std::fs::remove_dir_all(&place)?;
    }
    let text = if run.json {
        format!(
            "{:#}\n",
            serde_json::json!({ "machine": place.json(), "peers": table::json(&work, &columns) })
        )
    } else {
        format!(
            "{}{} of {} on 24 terminals\n\n{}",
            place.words(),
            work.day.len(),
            work.date,
            table::text(&work, &columns)
        )
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(whole)
}

fn itself(program: &Path, who: Who, run: &Run, work: &Path, dir: &Path) -> Result<Column, Trouble> {
    let mut command = Command::new(program);
    command.arg("column").arg(who.word()).arg(work).arg(dir).args(run.nats.as_deref());
    answer(command, who.name())
}

fn pouch(run: &Run, work: &Path, dir: &Path) -> Result<Column, Trouble> {
    let place =
        run.pouch.as_deref().ok_or_else(|| Trouble::new("starting PouchDB", "where is it? --pouch says"))?;
    let mut command = Command::new("node");
    command.args([place.join("tills.js").as_os_str(), work.as_os_str(), dir.as_os_str(), OsStr::new("--")]);
    answer(command, "PouchDB")
}

/// What a process says on its last line.
fn answer(mut command: Command, name: &str) -> Result<Column, Trouble> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(Trouble::new(name, output.status.to_string()));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    parse(said.lines().last().unwrap_or_default())
}

fn one(who: Who, work: &Path, dir: &Path, nats: Option<PathBuf>) -> Result<bool, Trouble> {
    let work = Work::read(work)?;
    if let Some(program) = nats {
        let _ = nats::SERVER.set(program);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let column = match who {
        Who::Toko => runtime.block_on(measure::column::<toko::Toko>(&work, dir)),
        Who::Samod => runtime.block_on(measure::column::<samod::Samod>(&work, dir)),
        Who::Nats => runtime.block_on(measure::column::<nats::Nats>(&work, dir)),
        Who::Raw => raw::column(&work, dir),
        Who::Pouchdb => Err(Trouble::new("PouchDB", "it runs in Node, not here")),
    }?;
    let said = serde_json::to_string(&column).map_err(Trouble::of("writing the column"))?;
    io::stdout().write_all(format!("{said}\n").as_bytes())?;
    Ok(true)
}

fn part(name: &str, args: &str) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match name {
        "toko-hub" => runtime.block_on(toko::hub(parse(args)?)),
        "samod-hub" => runtime.block_on(samod::hub(parse(args)?)),
        other => Err(Trouble::new("starting a server", format!("there is no {other}"))),
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(Trouble::of("reading JSON of another process"))
}

fn say(words: &str) {
    // Progress is a courtesy: a closed standard error stops nothing.
    let _ = writeln!(io::stderr(), "peers: {words}");
}
