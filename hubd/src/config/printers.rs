//! `[printer]` and `[[printers]]`: which printers there are, whom they serve, and which takes over.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use toko_daemon::settings::Millis;
use toko_devices::{Address, Model, Picture, SystemFonts};
use toko_paper::settings;
use toko_retail::paper::OWN_PRINTER;
use toko_retail::text::check_name;

/// A receipt printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Printer {
    /// Where the printer hangs: `192.168.1.50:9100`, `usb:` and its serial number, or another cable as
    /// [`toko_devices::Address`] is written; empty means that `[printer]` is none.
    pub address: String,
    /// What receipts and lists call it, and terminals ask for.
    pub name: String,
    /// Terminals, by name or number, whose receipts come out here although they ask for the printer of `[printer]`.
    pub serves: Vec<String>,
    /// Another printer, by name, that takes over receipts of which nothing was sent while this one cannot print; empty: none.
    pub fall_back: String,
    /// How long this one may be unable to print before the other takes over. Shorter sends customers to another counter for
    /// a change of paper.
    pub fall_back_after: Millis,
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
    /// How long a printer that has a receipt and says that it waits for paper, its cover or the like is waited for before the
    /// receipt is in doubt. Longer means fewer doubts, and receipts behind it that wait.
    pub patience: Millis,
    /// After how long without work the printer is let go of, so that other hosts get a turn; `0ms`: never. A printer that is
    /// held says at once that its paper is out.
    pub let_go: Millis,
}

impl Default for Printer {
    fn default() -> Self {
        Self {
            address: String::new(),
            name: "receipts".into(),
            serves: Vec::new(),
            fall_back: String::new(),
            fall_back_after: Millis(15_000),
            model: String::new(),
            columns: 48,
            sign: String::new(),
            fonts: Vec::new(),
            in_doubt: "reprint".into(),
            confirm: Millis(10_000),
            patience: Millis(600_000),
            let_go: Millis(10_000),
        }
    }
}

/// A printer that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrinterConfig {
    /// Where it hangs, looked up at each connection.
    pub address: Address,
    /// Its name.
    pub name: String,
    /// Terminals whose receipts come out here, by name or number.
    pub serves: Vec<String>,
    /// The name of the printer that takes over.
    pub fall_back: Option<String>,
    /// How long this one may be unable to print first.
    pub fall_back_after: Millis,
    /// What it is like.
    pub model: Model,
    /// What stands on top of receipts.
    pub sign: Option<Picture>,
    /// Fonts for scripts that it lacks.
    pub fonts: SystemFonts,
    /// Whether a receipt in doubt is printed again, marked; otherwise it is held.
    pub reprint: bool,
    /// How long to wait for its confirmation.
    pub confirm: Millis,
    /// How long to wait for a hand at it.
    pub patience: Millis,
    /// After how long without work it is let go of; zero for never.
    pub let_go: Millis,
}

/// All printers, parsed; the one of `[printer]` first.
pub(super) fn parse(one: Printer, more: Vec<Printer>, problems: &mut Vec<String>) -> Vec<PrinterConfig> {
    let mut printers = Vec::new();
    if one.address.is_empty() {
        // Its other values are checked all the same: a mistake shows before there is a printer.
        drop(parsed("printer", one, problems));
    } else {
        printers.extend(parsed("printer", one, problems));
    }
    for (nth, printer) in more.into_iter().enumerate() {
        let key = format!("printers[{nth}]");
        if printer.address.is_empty() {
            problems.push(format!("{key}.address: a printer without an address; leave the section out"));
        }
        printers.extend(parsed(&key, printer, problems));
    }
    let mut names = BTreeSet::new();
    let mut served = BTreeSet::new();
    for printer in &printers {
        let name = &printer.name;
        if !names.insert(name.as_str()) {
            problems.push(format!("printers: two printers are called \"{name}\"; give each its own name"));
        }
        for terminal in &printer.serves {
            if !served.insert(terminal.as_str()) {
                problems.push(format!("printers: terminal \"{terminal}\" is served by two printers"));
            }
        }
    }
    for printer in &printers {
        let Some(other) = &printer.fall_back else { continue };
        if other == &printer.name || !names.contains(other.as_str()) {
            let known: Vec<&str> = names.iter().copied().filter(|name| *name != printer.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            problems.push(format!(
                "printer \"{}\", fall_back: \"{other}\" is no other printer; there are: {known}",
                printer.name
            ));
        }
    }
    printers
}

fn parsed(key: &str, printer: Printer, problems: &mut Vec<String>) -> Option<PrinterConfig> {
    let reprint = match printer.in_doubt.as_str() {
        "reprint" => true,
        "hold" => false,
        other => {
            problems.push(format!("{key}.in_doubt: \"{other}\" is neither \"reprint\" nor \"hold\""));
            false
        }
    };
    if let Err(problem) = check_name("name", &printer.name, NAME_CHARS_MAX) {
        problems.push(format!("{key}.{problem}"));
    }
    if printer.name == OWN_PRINTER {
        problems.push(format!("{key}.name: \"{OWN_PRINTER}\" is what terminals call their own printers"));
    }
    let model = settings::model(key, &printer.model, printer.columns, problems);
    let sign = settings::sign(key, &printer.sign, model.dots, problems);
    let mut between = |field: &str, value: Millis, least: u64, most: u64, words: &str| {
        if !(least..=most).contains(&value.0) {
            problems.push(format!("{key}.{field}: {value} is not between {words}"));
        }
    };
    between("confirm", printer.confirm, 500, 120_000, "500ms and 2min");
    between("patience", printer.patience, 0, 24 * 3_600_000, "0ms and 24h");
    between("fall_back_after", printer.fall_back_after, 0, 24 * 3_600_000, "0ms and 24h");
    between("let_go", printer.let_go, 0, 24 * 3_600_000, "0ms and 24h");
    if printer.address.is_empty() {
        return None;
    }
    let address = match printer.address.parse::<Address>() {
        Ok(address) => address,
        Err(problem) => {
            problems.push(format!("{key}.address: {problem}"));
            return None;
        }
    };
    Some(PrinterConfig {
        address,
        name: printer.name,
        serves: printer.serves,
        fall_back: Some(printer.fall_back).filter(|name| !name.is_empty()),
        fall_back_after: printer.fall_back_after,
        model,
        sign,
        fonts: SystemFonts::at(printer.fonts),
        reprint,
        confirm: printer.confirm,
        patience: printer.patience,
        let_go: printer.let_go,
    })
}

/// As long as the books keep it.
const NAME_CHARS_MAX: usize = toko_retail::ops::limits::WORD_CHARS_MAX;

#[cfg(test)]
mod tests {
    use crate::config::{File, Printer};
    use std::path::Path;
    use toko_daemon::settings::{Problems, Settings};
    use toko_devices::Model;

    #[test]
    fn more_printers_are_sections_of_their_own_and_each_knob_has_its_default() {
        let mut settings = Settings::of(&File::default());
        let text = "[printer]\naddress = \"10.0.0.1:9100\"\nfall_back = \"back\"\n\
                    [[printers]]\nname = \"back\"\naddress = \"10.0.0.2:9100\"\nserves = [\"Till 2\", \"3\"]\n";
        settings.file("a.toml", text);
        let config = settings.finish::<File>().unwrap().parse(Path::new("/x")).unwrap();
        let names: Vec<&str> = config.printers.iter().map(|printer| printer.name.as_str()).collect();
        assert_eq!(names, ["receipts", "back"]);
        assert_eq!(config.printers[0].fall_back.as_deref(), Some("back"));
        assert_eq!(
            (config.printers[1].serves.len(), config.printers[1].confirm),
            (2, Printer::default().confirm)
        );
    }

    #[test]
    fn printers_that_contradict_each_other_are_refused_together() {
        let mut file = File::default();
        let printer = |name: &str, fall_back: &str, serves: &str| Printer {
            address: "10.0.0.1:9100".into(),
            name: name.into(),
            fall_back: fall_back.into(),
            serves: vec![serves.into()],
            ..Printer::default()
        };
        file.printers = vec![printer("a", "a", "1"), printer("b", "c", "1"), printer("b", "", "2")];
        let Problems(problems) = file.parse(Path::new("/x")).unwrap_err();
        assert_eq!(
            problems,
            [
                "printers: terminal \"1\" is served by two printers",
                "printers: two printers are called \"b\"; give each its own name",
                "printer \"a\", fall_back: \"a\" is no other printer; there are: b",
                "printer \"b\", fall_back: \"c\" is no other printer; there are: a",
            ]
        );
    }

    #[test]
    fn an_unknown_knob_of_a_printer_is_refused() {
        let mut settings = Settings::of(&File::default());
        settings.file("a.toml", "[[printers]]\nname = \"back\"\nadress = \"10.0.0.2:9100\"\n");
        let problem = settings.finish::<File>().unwrap_err().to_string();
        assert!(problem.contains("adress"), "{problem}");
    }

    #[test]
    fn a_printer_may_hang_on_any_cable_and_the_old_spelling_of_a_network_one_stands() {
        for text in ["192.168.1.50:9100", "printer.lan:9100", "usb:J7Q-0012", "serial:/dev/ttyS0?baud=38400"]
        {
            let mut file = File::default();
            file.printer.address = text.into();
            let printer = file.parse(Path::new("/x")).unwrap().printers.remove(0);
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
        let printer = parse("epson/tm-t88v", "").unwrap().printers.remove(0);
        assert_eq!((printer.model.columns, printer.model.dots), (42, 512));
        assert_eq!(parse("", "").unwrap().printers.remove(0).model, Model::paper_80mm());
        let said = parse("epson/tm-t88", "/nowhere/sign.png").unwrap_err();
        assert!(
            said.contains("printer.model: \"epson/tm-t88\" is not known; there are epson/tm-t88"),
            "{said}"
        );
        assert!(said.contains("printer.sign: /nowhere/sign.png: "), "{said}");
    }
}
