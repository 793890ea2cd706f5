//! Headquarters' configuration: every knob, with unit, default and cost. The shipped `systemd/hqd.toml` equals the default.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toko_daemon::settings::{Millis, Problems, Settings};

/// Where headquarters keeps its stores unless told otherwise.
pub const DATA_DEFAULT: &str = "/var/lib/toko/hq";
/// Prefix of the environment variables that set a knob: `TOKO_HQD_LINKS_LISTEN`.
pub const ENVIRONMENT: &str = "TOKO_HQD";
/// How many stores one headquarters is meant for. The unit's limits follow from what one takes; a test holds them together.
pub const STORES_MAX: u64 = 5_000;
/// The settings file in the data directory, where there is one.
pub const FILE: &str = "hqd.toml";

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// How stores reach headquarters.
    pub links: Links,
    /// What headquarters says about the books it holds.
    pub books: Books,
    /// How `hqd` commands reach the running `hqd`.
    pub control: Control,
    /// The log.
    pub log: Log,
}

/// How stores reach headquarters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// UDP address and port to listen on. One port carries all stores.
    pub listen: String,
}

/// What headquarters says about the books it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Books {
    /// The least time between two watermarks of a store, that is, between two entries that tell it what is safe here.
    /// Shorter costs an entry each time; longer keeps the store from pruning a little longer.
    pub watermark_every: Millis,
}

/// How `hqd` commands reach the running `hqd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Path of the Unix socket; empty means `hqd.sock` in the data directory. Whoever may write to it is an administrator.
    pub socket: String,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// What to log, as `tracing` filters are written: `info`, `info,toko_mesh=debug`.
    pub filter: String,
    /// Whether each line is a JSON object.
    pub json: bool,
}

impl Default for Links {
    fn default() -> Self {
        Self { listen: "0.0.0.0:7430".into() }
    }
}

impl Default for Books {
    fn default() -> Self {
        Self { watermark_every: Millis(10_000) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), json: false }
    }
}

/// The file, parsed once: addresses are addresses, and limits hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// UDP address to listen on.
    pub listen: SocketAddr,
    /// The least time between two watermarks of a store.
    pub watermark_every: Millis,
    /// The control socket.
    pub socket: PathBuf,
    /// The log.
    pub log: Log,
}

/// The longest path that a Unix socket may have, in bytes, the closing zero not counted.
const SOCKET_BYTES_MAX: usize = 107;
const WATERMARK_MS: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;

impl File {
    /// Parses every value once.
    ///
    /// Errors: every value that is none, together, each with its key.
    pub fn parse(self, data: &Path) -> Result<Config, Problems> {
        let mut problems = Vec::new();
        let text = &self.links.listen;
        let listen = text.parse::<SocketAddr>().ok();
        if listen.is_none() {
            problems.push(format!("links.listen: \"{text}\" is no address and port, such as 0.0.0.0:7430"));
        }
        let every = self.books.watermark_every;
        if !WATERMARK_MS.contains(&every.0) {
            problems.push(format!("books.watermark_every: {every} is not between 1s and 1h"));
        }
        let socket = match self.control.socket.as_str() {
            "" => data.join("hqd.sock"),
            path => PathBuf::from(path),
        };
        if socket.as_os_str().len() > SOCKET_BYTES_MAX {
            let shown = socket.display();
            problems.push(format!(
                "control.socket: {shown} is longer than the {SOCKET_BYTES_MAX} bytes that a Unix socket's path may have"
            ));
        }
        match listen {
            Some(listen) if problems.is_empty() => {
                Ok(Config { listen, watermark_every: every, socket, log: self.log })
            }
            _ => Err(Problems(problems)),
        }
    }
}

/// Lays all layers over each other: `file` if it is given, else `hqd.toml` in the data directory if that is there.
///
/// Errors: a file that cannot be read.
pub fn layers(data: &Path, file: Option<&Path>, flags: &[(String, String)]) -> Result<Settings, Problems> {
    let mut settings = Settings::of(&File::default());
    let inside = data.join(FILE);
    let path = file.or_else(|| inside.exists().then_some(inside.as_path()));
    if let Some(path) = path {
        match std::fs::read_to_string(path) {
            Ok(text) => settings.file(&path.display().to_string(), &text),
            Err(problem) => return Err(Problems(vec![format!("{}: {problem}", path.display())])),
        }
    }
    settings.environment(ENVIRONMENT, std::env::vars());
    for (key, value) in flags {
        settings.flag(key, value);
    }
    Ok(settings)
}

/// Reads all layers.
///
/// Errors: every problem of every layer, together.
pub fn load(data: &Path, file: Option<&Path>, flags: &[(String, String)]) -> Result<Config, Problems> {
    layers(data, file, flags)?.finish::<File>()?.parse(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_is_the_default() {
        let mut settings = Settings::of(&File::default());
        settings.file("systemd/hqd.toml", include_str!("../../systemd/hqd.toml"));
        assert_eq!(settings.finish::<File>().unwrap(), File::default());
        assert!(settings.origins().all(|(_, _, origin)| origin == "systemd/hqd.toml"), "it names every knob");
    }

    #[test]
    fn every_bad_value_is_named_with_its_key() {
        let mut file = File::default();
        file.links.listen = "here".into();
        file.books.watermark_every = Millis(1);
        file.control.socket = "x".repeat(200);
        let Problems(problems) = file.parse(Path::new("/x")).unwrap_err();
        let keys: Vec<&str> = problems.iter().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(keys, ["links.listen", "books.watermark_every", "control.socket"]);
    }

    #[test]
    fn the_socket_lies_in_the_data_directory_unless_told_otherwise() {
        let config = File::default().parse(Path::new("/x")).unwrap();
        assert_eq!(config.socket, Path::new("/x/hqd.sock"));
    }
}
