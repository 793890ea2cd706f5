//! The hub's configuration: every knob, with unit, default and cost. The shipped `systemd/hubd.toml` equals the default.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toko_daemon::settings::{Millis, Problems, Settings};
use toko_devices::{Model, Picture, Profile, SystemFonts};
use toko_retail::currency::Currency;
use toko_retail::text::check_name;

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

/// The receipt printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Printer {
    /// Where an ESC/POS printer hangs: `192.168.1.50:9100`, `usb:` and its serial number, or another cable as
    /// [`toko_devices::Address`] is written; empty means that the hub prints nothing.
    pub address: String,
    /// What receipts call it.
    pub name: String,
    /// Its model, such as `epson/tm-t20iii`: its language, code pages, codes and cutter. Empty means a common one of `columns`.
    pub model: String,
    /// Characters in a line: 48 on 80 mm paper, 32 on 58 mm. A model that is named has its own.
    pub columns: u16,
    /// A PNG file that stands on top of receipts; empty means none.
    pub sign: String,
    /// Font files and folders for scripts that the printer lacks; where Debian keeps fonts is looked into after them.
    pub fonts: Vec<PathBuf>,
    /// What to do when nobody knows whether a receipt is on paper: `reprint` prints it again with a banner, `hold` waits for a person.
    pub in_doubt: String,
    /// How long to wait for the printer to say that a receipt is on paper. Longer holds up the next receipt when a printer hangs.
    pub confirm: Millis,
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

impl Default for Printer {
    fn default() -> Self {
        Self {
            address: String::new(),
            name: "receipts".into(),
            model: String::new(),
            columns: 48,
            sign: String::new(),
            fonts: Vec::new(),
            in_doubt: "reprint".into(),
            confirm: Millis(10_000),
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
    /// The receipt printer, if there is one.
    pub printer: Option<PrinterConfig>,
    /// The log.
    pub log: Log,
}

/// A printer that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrinterConfig {
    /// Where it hangs, looked up at each connection.
    pub address: toko_devices::Address,
    /// Its name.
    pub name: String,
    /// What it is like.
    pub model: Model,
    /// What stands on top of receipts.
    pub sign: Option<Picture>,
    /// Fonts for scripts that it lacks.
    pub fonts: SystemFonts,
    /// Whether a receipt in doubt is printed again, marked; otherwise it is held.
    pub reprint: bool,
    /// How long to wait for its confirmation, in milliseconds.
    pub confirm: Millis,
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
        let reprint = match self.printer.in_doubt.as_str() {
            "reprint" => true,
            "hold" => false,
            other => {
                problems.push(format!("printer.in_doubt: \"{other}\" is neither \"reprint\" nor \"hold\""));
                false
            }
        };
        if !(24..=96).contains(&self.printer.columns) {
            problems.push(format!("printer.columns: {} is not between 24 and 96", self.printer.columns));
        }
        let model = model(&self.printer, &mut problems);
        let sign = sign(&self.printer.sign, model.dots, &mut problems);
        if !(500..=120_000).contains(&self.printer.confirm.0) {
            problems.push(format!("printer.confirm: {} is not between 500ms and 2min", self.printer.confirm));
        }
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
        let printer = match self.printer.address.as_str() {
            "" => None,
            text => match text.parse::<toko_devices::Address>() {
                Ok(address) => Some(PrinterConfig {
                    address,
                    name: self.printer.name,
                    model,
                    sign,
                    fonts: SystemFonts::at(self.printer.fonts),
                    reprint,
                    confirm: self.printer.confirm,
                }),
                Err(problem) => {
                    problems.push(format!("printer.address: {problem}"));
                    None
                }
            },
        };
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
                printer,
                log: self.log,
            }),
            _ => Err(Problems(problems)),
        }
    }
}

/// The model of the printer that is named, or a common one.
fn model(printer: &Printer, problems: &mut Vec<String>) -> Model {
    let columns = usize::from(printer.columns);
    let common = if columns <= 34 { Model::paper_58mm() } else { Model::paper_80mm() };
    match Profile::named(&printer.model) {
        Some(profile) => profile.model,
        None if printer.model.is_empty() => Model { columns, ..common },
        None => {
            let like = Profile::like(&printer.model).join(", ");
            let like =
                if like.is_empty() { "leave it empty".to_owned() } else { format!("there are {like}") };
            problems.push(format!("printer.model: \"{}\" is not known; {like}", printer.model));
            common
        }
    }
}

/// The sign in a file, no wider than the paper.
fn sign(file: &str, dots: usize, problems: &mut Vec<String>) -> Option<Picture> {
    if file.is_empty() {
        return None;
    }
    let read = std::fs::read(file).map_err(|problem| problem.to_string());
    match read.and_then(|bytes| Picture::from_png(&bytes, dots).map_err(|problem| problem.to_string())) {
        Ok(picture) => Some(picture),
        Err(problem) => {
            problems.push(format!("printer.sign: {file}: {problem}"));
            None
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

    #[test]
    fn a_printer_may_hang_on_any_cable_and_the_old_spelling_of_a_network_one_stands() {
        for text in ["192.168.1.50:9100", "printer.lan:9100", "usb:J7Q-0012", "serial:/dev/ttyS0?baud=38400"]
        {
            let mut file = File::default();
            file.printer.address = text.into();
            let printer = file.parse(Path::new("/x")).unwrap().printer.unwrap();
            assert_eq!(printer.address, text.parse().unwrap());
        }
        let mut file = File::default();
        file.printer.address = "serial:/dev/ttyS0?baud=fast".into();
        let Problems(problems) = file.parse(Path::new("/x")).unwrap_err();
        assert_eq!(
            problems,
            [
                "printer.address: \"serial:/dev/ttyS0?baud=fast\", from character 19 on: \"fast\" is no number of bits a second, such as 9600"
            ]
        );
    }

    #[test]
    fn a_printer_is_chosen_by_its_model_and_a_mistyped_one_is_answered_with_those_like_it() {
        let parse = |model: &str, sign: &str| {
            let mut file = File::default();
            file.printer.address = "192.168.1.50:9100".into();
            file.printer.model = model.into();
            file.printer.sign = sign.into();
            file.parse(Path::new("/nowhere")).map_err(|problems| problems.to_string())
        };
        let printer = parse("epson/tm-t88v", "").unwrap().printer.unwrap();
        assert_eq!((printer.model.columns, printer.model.dots), (42, 512));
        assert_eq!(parse("", "").unwrap().printer.unwrap().model, Model::paper_80mm());
        let said = parse("epson/tm-t88", "/nowhere/sign.png").unwrap_err();
        assert!(
            said.contains("printer.model: \"epson/tm-t88\" is not known; there are epson/tm-t88"),
            "{said}"
        );
        assert!(said.contains("printer.sign: /nowhere/sign.png: "), "{said}");
    }
}
