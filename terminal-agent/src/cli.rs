//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

use crate::config::DATA_DEFAULT;

/// What `--help` says at its end.
const EXAMPLES: &str = "\
Examples:
  terminal-agent enrol KXQ2-…            join the store, with the code that `hubctl enrol \"Till 3\"` printed
  terminal-agent run                     sell (systemd does this)
  terminal-agent status                  how this terminal is
  terminal-agent drawer learn            teach what the sensor of the drawer on its own printer means
  terminal-agent config check            every setting, its value and where it came from

The API listens on loopback: its address stands in DATA/api-addr, its token in DATA/api-token.

Exit codes: 0 done, 1 did not work out, 64 wrong command line, 74 store or disk, 76 the other side, 78 configuration.";

/// One terminal: sells with or without anybody else; the local API and the till screen.
#[derive(Debug, Parser)]
#[command(name = "terminal-agent", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Join a store with a one-time code of its hub
    Enrol {
        /// The code that `hubctl enrol` printed
        code: String,
        /// Address of the hub, where it is not found by itself, such as 192.168.1.10:7420
        #[arg(long)]
        hub: Option<String>,
        /// What the shop calls this terminal, where the hub has not said it
        #[arg(long)]
        name: Option<String>,
        /// Where its store and settings are.
        #[command(flatten)]
        place: Place,
    },
    /// Sell, until told to stop
    Run {
        /// Where its store and settings are.
        #[command(flatten)]
        place: Place,
    },
    /// Say how the running terminal is
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Where its store and settings are.
        #[command(flatten)]
        place: Place,
    },
    /// Teach the cash drawer that hangs on this terminal's own printer
    Drawer {
        /// What to do with it.
        #[command(subcommand)]
        what: DrawerCommand,
    },
    /// Look at the configuration
    Config {
        /// What to do with it.
        #[command(subcommand)]
        what: ConfigCommand,
    },
}

/// What to do with the drawer.
#[derive(Debug, Subcommand)]
pub enum DrawerCommand {
    /// Teach what its sensor means: asks to shut the drawer, then to open it
    #[command(
        after_help = "Examples:\n  terminal-agent drawer learn\n  terminal-agent drawer learn --stands shut && terminal-agent drawer learn --stands open"
    )]
    Learn {
        /// How the drawer stands now, for scripts: first `shut`, then `open`
        #[arg(long, value_name = "shut|open", value_parser = ["shut", "open"])]
        stands: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Where its store and settings are.
        #[command(flatten)]
        place: Place,
    },
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with its value and where it came from, or every problem
    Check {
        /// Where its store and settings are.
        #[command(flatten)]
        place: Place,
    },
}

/// Where the terminal's store and settings are.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Directory of this terminal's key, log and views [default: $STATE_DIRECTORY or /var/lib/toko/terminal-agent]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Settings file [default: terminal-agent.toml in the data directory, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one setting, such as api.listen=127.0.0.1:0; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub flags: Vec<(String, String)>,
}

impl Place {
    /// The data directory: flag, then systemd's state directory, then the default.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        let from_systemd = || {
            let listed = std::env::var("STATE_DIRECTORY").ok()?;
            let first = listed.split(':').next().filter(|path| !path.is_empty())?;
            Some(PathBuf::from(first))
        };
        self.data.clone().or_else(from_systemd).unwrap_or_else(|| PathBuf::from(DATA_DEFAULT))
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as api.listen=127.0.0.1:0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_setting_without_a_value_is_refused() {
        assert!(Cli::try_parse_from(["terminal-agent", "run", "--set", "api.listen"]).is_err());
        let cli = Cli::try_parse_from(["terminal-agent", "run", "--data", "/x", "--set", "a.b=c=d"]).unwrap();
        let Command::Run { place } = cli.command else { panic!("run") };
        assert_eq!(place.flags, [("a.b".to_owned(), "c=d".to_owned())]);
        assert_eq!(place.data(), PathBuf::from("/x"));
    }
}
