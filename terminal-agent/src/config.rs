//! The terminal's configuration: every knob, with unit, default and cost. The shipped `systemd/terminal-agent.toml` equals the
//! default.
//!
//! A terminal needs no file: who it is stands in its data directory, and what it sells comes from the store. Absent on purpose:
//! a switch for plaintext, and prices.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toko_daemon::settings::{Millis, Problems, Settings};
use toko_devices::scale::{Protocol, ScaleConfig, Unit, Weight};
use toko_devices::scanner::ScannerAddress;
use toko_devices::{Address, Roots};
use toko_retail::currency::Currency;
use toko_retail::ops::limits::{TEXT_CHARS_MAX, WORD_CHARS_MAX};
use toko_retail::paper::OWN_PRINTER;
use toko_retail::text::check_text;

mod counter;
mod drawer;
mod printer;
pub use counter::{Display, DisplayConfig, DisplayPlace, Scanner};
pub use drawer::{Drawer, DrawerConfig, DrawerPlace};
pub use printer::{Printer, PrinterConfig, Prints};

/// Where a terminal keeps its store unless told otherwise; the unit's `StateDirectory=` is the same place.
pub const DATA_DEFAULT: &str = "/var/lib/toko/terminal-agent";
/// Prefix of the environment variables that set a knob: `TOKO_TERMINAL_API_LISTEN`.
pub const ENVIRONMENT: &str = "TOKO_TERMINAL";

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// How the till screen reaches this terminal.
    pub api: Api,
    /// How this terminal reaches the store.
    pub links: Links,
    /// How it sells.
    pub till: Till,
    /// What stands on its receipts.
    pub receipt: Receipt,
    /// The scale.
    pub scale: Scale,
    /// The printer of its own.
    pub printer: Printer,
    /// The cash drawer.
    pub drawer: Drawer,
    /// The customer's display.
    pub display: Display,
    /// The scanner.
    pub scanner: Scanner,
    /// How far back it keeps what happened.
    pub history: History,
    /// The log.
    pub log: Log,
}

/// How far back a terminal keeps what happened. It lets go only of what the hub has sealed, what came out alike here, and
/// what headquarters holds, where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Days that sales and all other books are kept entry by entry, for receipts and returns. Costs disk: about a kilobyte a sale.
    pub books_days: u32,
    /// Days that the log is kept as it was written, with all that happened on the floor. Costs disk: about six kilobytes a sale.
    pub floor_days: u32,
}

impl Default for History {
    fn default() -> Self {
        Self { books_days: 400, floor_days: 7 }
    }
}

/// How the till screen reaches this terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// TCP address and port of the API. Loopback only; port 0 takes a free one, which then stands in `api-addr`.
    pub listen: String,
    /// Requests that are worked on at once; more wait. Each may hold a body of 1 MiB.
    pub requests_at_once: u16,
    /// How long one request may take, waiting included. Longer hides a hanging disk from the till screen.
    pub patience: Millis,
}

/// How this terminal reaches the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// UDP address and port for hub and other terminals. One port carries everything.
    pub listen: String,
    /// Addresses to tell others instead of the one that they see, such as one behind a port forwarding. Usually empty.
    pub advertise: Vec<String>,
    /// Addresses of the hub to try besides those remembered from before. Needed only where mDNS is filtered.
    pub hub: Vec<String>,
    /// Addresses of other terminals to try, likewise.
    pub peers: Vec<String>,
    /// Whether to find others by mDNS and be found. Costs a packet a minute or so.
    pub mdns: bool,
}

/// How it sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Till {
    /// ISO 4217 code of the currency that is sold in while there is no catalogue, which says it otherwise.
    pub currency: String,
    /// Name of the time zone for receipts and for the business day that a sale opens by itself, such as `Europe/London`; empty
    /// takes the machine's.
    pub time_zone: String,
}

/// What stands on its receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Lines at the top: the shop's name, its address, its tax number.
    pub header: Vec<String>,
    /// Lines at the bottom.
    pub footer: Vec<String>,
    /// Characters in a line of `GET /v1/sales/{sale}/receipt`: 48 on 80 mm paper, 32 on 58 mm.
    pub columns: u16,
    /// Which printer receipts are asked for, by the name that its owner gave it.
    pub printer: String,
    /// After how long nobody wants a receipt any more that could not be printed; `0ms` means never. Longer prints old receipts
    /// when a printer comes back.
    pub wanted_for: Millis,
}

/// The scale of this terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Where it hangs, such as `serial:/dev/ttyUSB0?baud=9600&frame=7E1`; empty means that there is none.
    pub address: String,
    /// How it speaks: `toledo-8217`, `nci` or `cas`.
    pub protocol: String,
    /// What it weighs in, and the shop sells by: `kg`, `g`, `lb` or `oz`. A scale that names another one is refused.
    pub unit: String,
    /// The least that is a weight, in that unit; a scale in a draught shows a step or two.
    pub least: String,
    /// For how long to wait until what lies there comes to rest.
    pub within: Millis,
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

impl Default for Api {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7480".into(), requests_at_once: 32, patience: Millis(10_000) }
    }
}

impl Default for Links {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:7421".into(),
            advertise: Vec::new(),
            hub: Vec::new(),
            peers: Vec::new(),
            mdns: true,
        }
    }
}

impl Default for Till {
    fn default() -> Self {
        Self { currency: "EUR".into(), time_zone: String::new() }
    }
}

impl Default for Receipt {
    fn default() -> Self {
        Self {
            header: Vec::new(),
            footer: Vec::new(),
            columns: 48,
            printer: "receipts".into(),
            wanted_for: Millis(24 * 3_600_000),
        }
    }
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            address: String::new(),
            protocol: "toledo-8217".into(),
            unit: "kg".into(),
            least: "0.005".into(),
            within: Millis(3_000),
        }
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
    /// TCP address of the API, on loopback.
    pub api_listen: SocketAddr,
    /// Requests that are worked on at once.
    pub requests_at_once: u16,
    /// How long one request may take.
    pub patience: Millis,
    /// UDP address for the mesh.
    pub listen: SocketAddr,
    /// Addresses to tell others.
    pub advertise: Vec<SocketAddr>,
    /// Addresses of the hub to try.
    pub hub: Vec<SocketAddr>,
    /// Addresses of other terminals to try.
    pub peers: Vec<SocketAddr>,
    /// Whether to use mDNS.
    pub mdns: bool,
    /// The currency without a catalogue.
    pub currency: Currency,
    /// Name of the time zone; empty for the machine's.
    pub time_zone: String,
    /// What stands on receipts.
    pub receipt: Receipt,
    /// The scale, if there is one.
    pub scale: Option<ScaleConfig>,
    /// The printer of its own.
    pub printer: Option<PrinterConfig>,
    /// The cash drawer.
    pub drawer: Option<DrawerConfig>,
    /// The customer's display, if there is one.
    pub display: Option<DisplayConfig>,
    /// The scanner, if there is one.
    pub scanner: Option<ScannerAddress>,
    /// How far back to keep history entry by entry.
    pub history: toko_mesh::node::History,
    /// The log.
    pub log: Log,
}

impl File {
    /// Parses every value once.
    ///
    /// Errors: every value that is none, together, each with its key.
    pub fn parse(self) -> Result<Config, Problems> {
        let mut problems = Vec::new();
        let api_listen = address(&mut problems, "api.listen", &self.api.listen);
        if api_listen.is_some_and(|addr| !addr.ip().is_loopback()) {
            let listen = &self.api.listen;
            problems.push(format!("api.listen: {listen} is not on loopback, such as 127.0.0.1:7480"));
        }
        within(&mut problems, "api.requests_at_once", self.api.requests_at_once, 1, 1_024);
        if !(500..=120_000).contains(&self.api.patience.0) {
            problems.push(format!("api.patience: {} is not between 500ms and 2min", self.api.patience));
        }
        let listen = address(&mut problems, "links.listen", &self.links.listen);
        let advertise = addresses(&mut problems, "links.advertise", &self.links.advertise);
        let hub = addresses(&mut problems, "links.hub", &self.links.hub);
        let peers = addresses(&mut problems, "links.peers", &self.links.peers);
        let currency = Currency::parse(&self.till.currency)
            .map_err(|problem| problems.push(format!("till.currency: {problem}")))
            .ok();
        if let Err(problem) = crate::wall::Wall::in_zone(&self.till.time_zone) {
            problems.push(format!("till.time_zone: {problem}"));
        }
        self.receipt.check(&mut problems);
        let scale = self.scale.parse(&mut problems);
        let printer = self.printer.parse(&mut problems);
        let drawer = self.drawer.parse(printer.as_ref(), &mut problems);
        let display = self.display.parse(printer.as_ref(), &mut problems);
        let scanner = self.scanner.parse(&mut problems);
        let History { books_days, floor_days } = self.history;
        if floor_days == 0 || books_days < floor_days {
            problems.push(format!(
                "history.books_days: {books_days} and history.floor_days: {floor_days}: the floor is kept a day at least, books at least as long"
            ));
        }
        match (api_listen, listen, currency) {
            (Some(api_listen), Some(listen), Some(currency)) if problems.is_empty() => Ok(Config {
                api_listen,
                requests_at_once: self.api.requests_at_once,
                patience: self.api.patience,
                listen,
                advertise,
                hub,
                peers,
                mdns: self.links.mdns,
                currency,
                time_zone: self.till.time_zone,
                receipt: self.receipt,
                scale,
                printer,
                drawer,
                display,
                scanner,
                history: toko_mesh::node::History { books_days, floor_days },
                log: self.log,
            }),
            _ => Err(Problems(problems)),
        }
    }
}

impl Receipt {
    fn check(&self, problems: &mut Vec<String>) {
        within(problems, "receipt.columns", self.columns, 24, 96);
        for (key, lines) in [("receipt.header", &self.header), ("receipt.footer", &self.footer)] {
            for text in lines {
                if let Err(problem) = check_text("a line", text, TEXT_CHARS_MAX) {
                    problems.push(format!("{key}: {problem}"));
                }
            }
        }
        if let Err(problem) = check_text("the printer's name", &self.printer, WORD_CHARS_MAX) {
            problems.push(format!("receipt.printer: {problem}"));
        }
        if self.printer == OWN_PRINTER {
            let own = "is what a terminal's own printer is called; set printer.address instead";
            problems.push(format!("receipt.printer: \"{OWN_PRINTER}\" {own}"));
        }
        if self.wanted_for.0 / 1_000 > u64::from(u32::MAX) {
            problems.push(format!("receipt.wanted_for: {} is too long", self.wanted_for));
        }
    }

    /// [`Receipt::wanted_for`] in whole seconds; a part of a second counts as one, so that only `0ms` means for ever.
    #[must_use]
    pub fn wanted_for_s(&self) -> u32 {
        u32::try_from(self.wanted_for.0.div_ceil(1_000)).unwrap_or(u32::MAX)
    }
}

impl Scale {
    /// The scale as the device layer takes it. Settings are checked although there is none yet.
    fn parse(&self, problems: &mut Vec<String>) -> Option<ScaleConfig> {
        let mut note =
            |key: &str, problem: &dyn std::fmt::Display| problems.push(format!("scale.{key}: {problem}"));
        let address = match self.address.as_str() {
            "" => None,
            text => text.parse::<Address>().map_err(|problem| note("address", &problem)).ok(),
        };
        let protocol = self.protocol.parse::<Protocol>().map_err(|problem| note("protocol", &problem)).ok();
        let unit = Unit::named(self.unit.as_bytes());
        if unit.is_none() {
            note("unit", &format!("\"{}\" is none of kg, g, lb and oz", self.unit));
        }
        let least = unit.and_then(|unit| Weight::parse(&self.least, unit));
        if unit.is_some() && least.is_none() {
            note("least", &format!("\"{}\" is no weight, such as 0.005", self.least));
        }
        if !(500..=30_000).contains(&self.within.0) {
            note("within", &format!("{} is not between 500ms and 30s", self.within));
        }
        Some(ScaleConfig {
            address: address?,
            roots: Roots::default(),
            protocol: protocol?,
            unit: unit?,
            least,
            within: self.within.into(),
        })
    }
}

fn address(problems: &mut Vec<String>, key: &str, text: &str) -> Option<SocketAddr> {
    let parsed = text.parse::<SocketAddr>();
    parsed
        .map_err(|_| {
            problems.push(format!("{key}: \"{text}\" is no address and port, such as 192.168.1.10:7420"))
        })
        .ok()
}

fn addresses(problems: &mut Vec<String>, key: &str, texts: &[String]) -> Vec<SocketAddr> {
    texts.iter().filter_map(|text| address(problems, key, text)).collect()
}

fn within(problems: &mut Vec<String>, key: &str, found: u16, min: u16, max: u16) {
    if !(min..=max).contains(&found) {
        problems.push(format!("{key}: {found} is not between {min} and {max}"));
    }
}

/// Reads all layers: `file` if it is given, else `terminal-agent.toml` in the data directory if that is there.
///
/// Errors: every problem of every layer, together. The layers come back too, for `config check`.
pub fn load(
    data: &Path,
    file: Option<&Path>,
    flags: &[(String, String)],
) -> Result<(Config, Settings), Problems> {
    let mut settings = Settings::of(&File::default());
    let inside = data.join("terminal-agent.toml");
    let path: Option<PathBuf> = file.map(Path::to_path_buf).or_else(|| inside.exists().then_some(inside));
    if let Some(path) = path {
        match std::fs::read_to_string(&path) {
            Ok(text) => settings.file(&path.display().to_string(), &text),
            Err(problem) => return Err(Problems(vec![format!("{}: {problem}", path.display())])),
        }
    }
    settings.environment(ENVIRONMENT, std::env::vars());
    for (key, value) in flags {
        settings.flag(key, value);
    }
    let file: File = settings.finish()?;
    Ok((file.parse()?, settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_is_the_default() {
        let mut settings = Settings::of(&File::default());
        settings.file("example", include_str!("../../systemd/terminal-agent.toml"));
        let file: File = settings.finish().unwrap();
        assert_eq!(file, File::default());
        assert!(settings.origins().all(|(_, _, origin)| origin == "example"), "it names every knob");
        assert!(file.parse().is_ok());
    }

    #[test]
    fn every_bad_value_is_named_with_its_key() {
        let mut file = File::default();
        file.api.listen = "0.0.0.0:7480".into();
        file.api.requests_at_once = 0;
        file.links.listen = "here".into();
        file.links.peers = vec!["hub.local".into()];
        file.till.currency = "pounds".into();
        file.till.time_zone = "Mars/Olympus".into();
        file.receipt.columns = 4;
        file.receipt.header = vec!["a\u{1b}b".into()];
        file.scale.address = "serial:ttyUSB0".into();
        file.scale.protocol = "telepathy".into();
        file.scale.unit = "stone".into();
        file.scale.within = Millis(1);
        file.printer.address = "10.0.0.1".into();
        file.printer.prints = "never".into();
        file.printer.columns = 4;
        file.printer.confirm = Millis(1);
        file.drawer.name = "left\u{1b}".into();
        file.drawer.hangs_on = "printer".into();
        file.display.address = "serial:ttyUSB1".into();
        file.display.dialect = "morse".into();
        file.scanner.address = "keyboard:".into();
        let Problems(problems) = file.parse().unwrap_err();
        let keys: Vec<&str> = problems.iter().filter_map(|line| line.split(':').next()).collect();
        let expected = [
            "api.listen",
            "api.requests_at_once",
            "links.listen",
            "links.peers",
            "till.currency",
            "till.time_zone",
            "receipt.columns",
            "receipt.header",
            "scale.address",
            "scale.protocol",
            "scale.unit",
            "scale.within",
            "printer.prints",
            "printer.columns",
            "printer.confirm",
            "printer.address",
            "drawer.name",
            "drawer.hangs_on",
            "display.address",
            "display.dialect",
            "scanner.address",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_flag_beats_the_file_and_an_unknown_key_is_refused_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("terminal-agent.toml"), "[api]\nlisten = \"127.0.0.1:1\"\n").unwrap();
        let flags = [("api.listen".to_owned(), "127.0.0.1:0".to_owned())];
        let (config, settings) = load(dir.path(), None, &flags).unwrap();
        assert_eq!(config.api_listen.port(), 0);
        assert!(settings.origins().any(|(key, _, origin)| key == "api.listen" && origin == "flag"));
        std::fs::write(dir.path().join("terminal-agent.toml"), "[api]\nlsten = \"x\"\n").unwrap();
        let problems = load(dir.path(), None, &[]).unwrap_err();
        assert!(problems.to_string().contains("api.lsten: there is no such setting"), "{problems}");
    }
}
