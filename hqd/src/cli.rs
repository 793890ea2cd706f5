//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

use crate::config::DATA_DEFAULT;

/// What `--help` says at its end.
const EXAMPLES: &str = "\
Examples:
  hqd init --name \"Head office\"                 make a headquarters out of an empty directory, once
  hqd run                                       collect the books (systemd does this)
  hqd add-store \"High Street\" --currency GBP    print the code for `hubctl join-hq CODE --hq ADDRESS`
  hqd publish items.csv --all                   give all stores this catalogue
  hqd stores                                    which stores there are, and how far behind
  hqd open-store \"High Street\"                  try a store again that did not open, once it is mended
  hqd report --day 2026-11-20                   what each store took on a day
  hqd report --by item --store \"High Street\" --csv

All but init, run and config speak to the running hqd through its socket.

Exit codes: 0 done, 1 refused, 64 wrong command line, 74 directory or disk, 76 hqd does not answer, 78 configuration.";

/// headquarters: merges many stores into one database; publishes prices; takes online orders.
#[derive(Debug, Parser)]
#[command(name = "hqd", version, about = "Headquarters: collects the books of many stores and publishes their prices", after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a headquarters out of an empty directory
    Init {
        /// What people call it
        #[arg(long, default_value = "headquarters")]
        name: String,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// Collect the books of all stores, until told to stop
    Run {
        /// Where its stores and settings are.
        #[command(flatten)]
        place: Place,
    },
    /// Make a key for a store and print the code with which its hub joins (15 minutes, 5 tries, one use)
    ///
    /// For a store that is there already it prints a new code: for a hub that was late, or for the hub that replaced it.
    AddStore {
        /// What people call the store, such as "High Street"
        name: String,
        /// ISO 4217 code of what its prices are in
        #[arg(long, default_value = "EUR")]
        currency: String,
        /// How to answer.
        #[command(flatten)]
        ask: AskArgs,
    },
    /// The stores: whether they joined, when they were last heard, what is missing, the digest of their books
    Stores {
        /// How to answer.
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Try stores again that did not open: all of them, or one
    ///
    /// hqd serves the others meanwhile, and tries these by itself each minute.
    OpenStore {
        /// What people call the store, or its folder where its name cannot be read [default: all]
        name: Option<String>,
        /// How to answer.
        #[command(flatten)]
        ask: AskArgs,
    },
    /// How headquarters is
    Status {
        /// How to answer.
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Publish a catalogue; each store's hub fetches it and makes it count
    Publish {
        /// CSV of items: the columns of `hubctl catalogue import`
        file: PathBuf,
        /// CSV of tax codes, where items name some: the columns of `hubctl catalogue import --taxes`
        #[arg(long, value_name = "FILE")]
        taxes: Option<PathBuf>,
        /// For this store only
        #[arg(long, value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
        store: Option<String>,
        /// For every store that has joined
        #[arg(long)]
        all: bool,
        /// What to call it [default: the file's name]
        #[arg(long)]
        name: Option<String>,
        /// How to answer.
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Sales, returns, write-offs and takings: per store, day or item
    Report {
        /// This store only
        #[arg(long, value_name = "NAME")]
        store: Option<String>,
        /// This business day only, such as 2026-11-20
        #[arg(long, conflicts_with_all = ["from", "to"])]
        day: Option<String>,
        /// From this business day on
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// Up to and with this business day
        #[arg(long, value_name = "DAY")]
        to: Option<String>,
        /// One row for each
        #[arg(long, value_enum, default_value_t = By::Day)]
        by: By,
        /// As CSV
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        /// How to answer.
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Look at the configuration
    Config {
        /// What to do with it.
        #[command(subcommand)]
        what: ConfigCommand,
    },
}

/// What a report has one row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Each store
    Store,
    /// Each store and day
    Day,
    /// Each store and item, over all days that are asked for
    Item,
    /// Each store, day and item
    ItemDay,
}

impl By {
    /// The word on the command line and in a query.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Day => "day",
            Self::Item => "item",
            Self::ItemDay => "item-day",
        }
    }
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with its value and where it came from, or every problem
    Check {
        /// Where its stores and settings are.
        #[command(flatten)]
        place: Place,
    },
}

/// How a command that asks the running `hqd` answers.
#[derive(Debug, Clone, Args)]
pub struct AskArgs {
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
    /// The control socket itself, where the settings do not say it
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Where its stores and settings are.
    #[command(flatten)]
    pub place: Place,
}

/// Where headquarters' stores and settings are.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Directory of keys, logs and views of all stores [default: $TOKO_HQ_DATA, $STATE_DIRECTORY or /var/lib/toko/hq]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Settings file [default: hqd.toml in the data directory, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one setting, such as links.listen=127.0.0.1:0; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub flags: Vec<(String, String)>,
}

impl Place {
    /// The data directory: flag, then environment, then systemd's state directory, then the default.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        let named = |variable: &str| {
            let listed = std::env::var(variable).ok()?;
            let first = listed.split(':').next().filter(|path| !path.is_empty())?;
            Some(PathBuf::from(first))
        };
        let from_environment = || named("TOKO_HQ_DATA").or_else(|| named("STATE_DIRECTORY"));
        self.data.clone().or_else(from_environment).unwrap_or_else(|| PathBuf::from(DATA_DEFAULT))
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as links.listen=127.0.0.1:0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["hqd"], args].concat())
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn publishing_needs_one_store_or_all_of_them() {
        assert!(parse(&["publish", "a.csv"]).is_err());
        assert!(parse(&["publish", "a.csv", "--all", "--store", "A"]).is_err());
        assert!(parse(&["publish", "a.csv", "--all"]).is_ok());
        assert!(parse(&["publish", "a.csv", "--store", "A"]).is_ok());
    }

    #[test]
    fn a_report_is_of_one_day_or_of_a_range_and_has_one_form() {
        assert!(parse(&["report", "--day", "2010-12-01", "--to", "2010-12-02"]).is_err());
        assert!(parse(&["report", "--json", "--csv"]).is_err());
        let cli = parse(&["report", "--by", "item-day", "--from", "2010-12-01"]).unwrap();
        let Command::Report { by, .. } = cli.command else { panic!("report") };
        assert_eq!((by, by.word()), (By::ItemDay, "item-day"));
    }

    #[test]
    fn a_setting_without_a_value_is_refused() {
        assert!(parse(&["run", "--set", "links.listen"]).is_err());
        let cli = parse(&["run", "--data", "/x", "--set", "a.b=c=d"]).unwrap();
        let Command::Run { place } = cli.command else { panic!("run") };
        assert_eq!(place.flags, [("a.b".to_owned(), "c=d".to_owned())]);
        assert_eq!(place.data(), PathBuf::from("/x"));
    }
}
