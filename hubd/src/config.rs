//! The hub's configuration: every knob, with unit, default and cost. The shipped `systemd/hubd.toml` equals the default.

use crate::drawers::config::{self as drawers, Drawer, DrawerConfig};
use crate::labels::config::{Labels, LabelsConfig};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toko_daemon::settings::{Millis, Problems, Settings};
use toko_retail::currency::Currency;
use toko_retail::text::check_name;

mod printers;

pub use printers::{Printer, PrinterConfig};

/// Where a hub keeps its store unless told otherwise.
pub const DATA_DEFAULT: &str = "/var/lib/toko/hub";
/// Prefix of the environment variables that set a knob: `TOKO_HUBD_LINKS_LISTEN`.
pub const ENVIRONMENT: &str = "TOKO_HUBD";

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The shop.
    pub shop: Shop,
    /// How terminals reach the hub.
    pub links: Links,
    /// How `hubctl` reaches the hub.
    pub control: Control,
    /// Headquarters, where the shop has one.
    pub headquarters: Headquarters,
    /// How far back the hub keeps what happened.
    pub history: History,
    /// The receipt printer.
    pub printer: Printer,
    /// More of them.
    pub printers: Vec<Printer>,
    /// The cash drawers.
    pub drawers: Vec<Drawer>,
    /// The label printer.
    pub labels: Labels,
    /// The log.
    pub log: Log,
}

/// How far back the hub keeps what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// How often the hub seals what it holds, for every node to go over. Each seal costs an entry of about 80 bytes a journal,
    /// and every node one more fold of what came since the last.
    pub seal_every: Millis,
    /// Days that sales and all other books are kept entry by entry, for receipts, returns and whoever asks. Costs disk: about
    /// a kilobyte a sale. Headquarters keeps everything, whatever this says.
    pub books_days: u32,
    /// Days that the log is kept as it was written, with all that happened on the floor. Costs disk: about six kilobytes a sale.
    pub floor_days: u32,
}

/// The shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// What stands on top of receipts.
    pub name: String,
    /// ISO 4217 code of the currency in which the hub's own catalogues are priced.
    pub currency: String,
}

/// How terminals reach the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// UDP address and port to listen on. One port carries everything.
    pub listen: String,
    /// Addresses to tell others instead of the one that they see, such as one behind a port forwarding. Usually empty.
    pub advertise: Vec<String>,
    /// Whether to announce the hub by mDNS. Costs a packet a minute or so; terminals find the hub without it once they know it.
    pub mdns: bool,
}

/// How `hubctl` reaches the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Path of the Unix socket; empty means `hubctl.sock` in the data directory. Whoever may write to it is an administrator.
    pub socket: String,
}

/// Headquarters, where the shop has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Headquarters {
    /// Where headquarters listens, as host and port. The address that `hubctl join-hq` used is remembered; more are only needed when it moves.
    pub addresses: Vec<String>,
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

impl Default for Shop {
    fn default() -> Self {
        Self { name: "Toko".into(), currency: "EUR".into() }
    }
}

impl Default for Links {
    fn default() -> Self {
        Self { listen: "0.0.0.0:7420".into(), advertise: Vec::new(), mdns: true }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { seal_every: Millis(24 * 3_600_000), books_days: 400, floor_days: 7 }
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
    /// What stands on top of receipts.
    pub shop_name: String,
    /// The currency of the hub's own catalogues.
    pub currency: Currency,
    /// UDP address to listen on.
    pub listen: SocketAddr,
    /// Addresses to tell others.
    pub advertise: Vec<SocketAddr>,
    /// Whether to announce by mDNS.
    pub mdns: bool,
    /// Where headquarters may be: host and port; names are looked up while it is not reached.
    pub headquarters: Vec<String>,
    /// The control socket.
    pub socket: PathBuf,
    /// How often to seal.
    pub seal_every: Millis,
    /// How far back to keep history entry by entry.
    pub history: toko_mesh::node::History,
    /// The receipt printers; the first is the one of `[printer]`, if that has an address.
    pub printers: Vec<PrinterConfig>,
    /// The cash drawers.
    pub drawers: Vec<DrawerConfig>,
    /// The label printer, if there is one.
    pub labels: Option<LabelsConfig>,
    /// The log.
    pub log: Log,
}

impl File {
    /// Parses every value once.
    ///
    /// Errors: every value that is none, together, each with its key.
    pub fn parse(self, data: &Path) -> Result<Config, Problems> {
        let mut problems = Vec::new();
        let mut address = |key: &str, text: &str| {
            text.parse::<SocketAddr>()
                .map_err(|_| {
                    problems
                        .push(format!("{key}: \"{text}\" is no address and port, such as 192.168.1.10:7420"))
                })
                .ok()
        };
        let listen = address("links.listen", &self.links.listen);
        let advertise =
            self.links.advertise.iter().filter_map(|text| address("links.advertise", text)).collect();
        let printers = printers::parse(self.printer, self.printers, &mut problems);
        if !(60_000..=7 * 24 * 3_600_000).contains(&self.history.seal_every.0) {
            problems.push(format!(
                "history.seal_every: {} is not between 1min and 168h",
                self.history.seal_every
            ));
        }
        if self.history.floor_days == 0 || self.history.books_days < self.history.floor_days {
            problems.push(format!(
                "history.books_days: {} and history.floor_days: {}: the floor is kept a day at least, books at least as long",
                self.history.books_days, self.history.floor_days
            ));
        }
        for text in self.headquarters.addresses.iter().filter(|text| !is_host_and_port(text)) {
            problems.push(format!(
                "headquarters.addresses: \"{text}\" is no host and port, such as hq.example.com:7430"
            ));
        }
        let names: Vec<String> = printers.iter().map(|printer| printer.name.clone()).collect();
        let drawers = drawers::parse(self.drawers, &names, &mut problems);
        let labels = self.labels.parse(&mut problems);
        let currency = Currency::parse(&self.shop.currency)
            .map_err(|problem| problems.push(format!("shop.currency: {problem}")))
            .ok();
        if let Err(problem) = check_name("shop.name", &self.shop.name, 120) {
            problems.push(problem.to_string());
        }
        let socket = match self.control.socket.as_str() {
            "" => data.join("hubctl.sock"),
            path => PathBuf::from(path),
        };
        match (listen, currency) {
            (Some(listen), Some(currency)) if problems.is_empty() => Ok(Config {
                shop_name: self.shop.name,
                currency,
                listen,
                advertise,
                mdns: self.links.mdns,
                headquarters: self.headquarters.addresses,
                socket,
                seal_every: self.history.seal_every,
                history: toko_mesh::node::History {
                    books_days: self.history.books_days,
                    floor_days: self.history.floor_days,
                },
                printers,
                drawers,
                labels,
                log: self.log,
            }),
            _ => Err(Problems(problems)),
        }
    }
}

/// Whether a text is `host:port`.
pub(crate) fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Reads all layers: `file` if it is given, else `hubd.toml` in the data directory if that is there.
///
/// Errors: every problem of every layer, together. The layers come back too, for `config check`.
pub fn load(
    data: &Path,
    file: Option<&Path>,
    flags: &[(String, String)],
) -> Result<(Config, Settings), Problems> {
    let mut settings = Settings::of(&File::default());
    let inside = data.join("hubd.toml");
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
    let file: File = settings.finish()?;
    Ok((file.parse(data)?, settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_is_the_default() {
        let mut settings = Settings::of(&File::default());
        settings.file("systemd/hubd.toml", include_str!("../../systemd/hubd.toml"));
        assert_eq!(settings.finish::<File>().unwrap(), File::default());
        assert!(
            settings.origins().all(|(_, _, origin)| origin == "systemd/hubd.toml"),
            "it names every knob"
        );
    }

    #[test]
    fn every_bad_value_is_named_with_its_key() {
        let mut file = File::default();
        file.links.listen = "here".into();
        file.printer.in_doubt = "pray".into();
        file.printer.columns = 4;
        file.printer.address = "printer".into();
        let Problems(problems) = file.parse(Path::new("/x")).unwrap_err();
        let keys: Vec<&str> = problems.iter().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(keys, ["links.listen", "printer.in_doubt", "printer.columns", "printer.address"]);
    }
}
