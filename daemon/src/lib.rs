//! a process that systemd keeps alive: its settings, its log, its readiness, its control socket, its stopping in stages.
//!
//! What `hubd`, `terminal-agent` and `hqd` do alike before and after their own work: [`settings`] from file, environment and
//! flags, with the origin of each value; [`log`] to standard error; [`life`], from "ready" through the signal to the last
//! stage; [`ask`] and [`table`], for the tools that speak to a daemon; [`exit`], the codes by which a unit file tells a
//! hopeless start from a bad day.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use toko_daemon::settings::{Millis, Settings};
//!
//! #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Links {
//!     patience: Millis,
//! }
//! #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     links: Links,
//! }
//!
//! let mut settings = Settings::of(&Config::default());
//! settings.file("hub.toml", "[links]\npatience = \"250ms\"\n");
//! settings.flag("links.patience", "2s");
//! let config: Config = settings.finish().expect("every key is known");
//! assert_eq!(config.links.patience, Millis(2_000));
//! ```
//!
//! Absent on purpose: anything about shops or journals, and the daemon's side of its socket.

pub mod ask;
pub mod exit;
pub mod life;
pub mod log;
pub mod settings;
pub mod table;
