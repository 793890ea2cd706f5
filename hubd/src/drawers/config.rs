//! The cash drawers of the shop, as they stand in the hub's configuration.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use toko_daemon::settings::Millis;
use toko_devices::DrawerPin;
use toko_retail::drawer::at_its_till;
use toko_retail::text::check_name;

/// One `[[drawers]]` of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawer {
    /// What its terminal calls it, under `drawer.name` there.
    pub name: String,
    /// The printer that it hangs on, by its name. The hub never lets go of it, or openings by key would go unseen; so no terminal
    /// prints on it while the hub runs.
    pub printer: String,
    /// Which of the printer's drawers: 1 or 2. Nearly every printer has one socket, and its cable wires the first.
    #[serde(default = "first")]
    pub connector: u8,
    /// Numbers of the terminals whose drawer it is, as `hubctl terminals` shows them. Nobody else opens it.
    pub terminals: Vec<u16>,
    /// After how long open an alert is raised; `0ms` means never.
    #[serde(default = "two_minutes")]
    pub left_open: Millis,
}

fn first() -> u8 {
    1
}

fn two_minutes() -> Millis {
    Millis(120_000)
}

/// A drawer that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawerConfig {
    /// Its name.
    pub name: String,
    /// The printer that it hangs on.
    pub printer: String,
    /// Which of the printer's drawers.
    pub pin: DrawerPin,
    /// The terminals whose drawer it is; one at least.
    pub terminals: Vec<u16>,
    /// After how long open an alert is raised, if at all.
    pub left_open: Option<Duration>,
}

/// Most drawers of a shop: one for each of many tills, and no more than one look at all of them may cost.
const DRAWERS_MAX: usize = 64;

/// Parses the drawers of a file; `printers` are the names of those that are there.
pub(crate) fn parse(
    drawers: Vec<Drawer>,
    printers: &[String],
    problems: &mut Vec<String>,
) -> Vec<DrawerConfig> {
    if drawers.len() > DRAWERS_MAX {
        problems.push(format!("drawers: {} of them, {DRAWERS_MAX} at most", drawers.len()));
    }
    let (mut names, mut sensors) = (BTreeSet::new(), BTreeSet::new());
    let mut parsed = Vec::new();
    for drawer in drawers.into_iter().take(DRAWERS_MAX) {
        let Drawer { name, printer, connector, terminals, left_open } = drawer;
        let mut note = |key: &str, problem: String| problems.push(format!("drawers.{key}: {problem}"));
        if let Err(problem) = check_name("the name", &name, toko_retail::ops::limits::WORD_CHARS_MAX) {
            note("name", problem.to_string());
        }
        if at_its_till(&name) {
            note("name", format!("\"{name}\": names that begin with @ are those of terminals' own drawers"));
        }
        if !names.insert(name.clone()) {
            note("name", format!("two drawers are called \"{name}\""));
        }
        if !printers.contains(&printer) {
            let there = if printers.is_empty() { "none".to_owned() } else { printers.join(", ") };
            note(
                "printer",
                format!("\"{name}\" hangs on \"{printer}\", and there is no such printer; there is {there}"),
            );
        }
        let pin = match connector {
            1 => DrawerPin::Pin2,
            2 => DrawerPin::Pin5,
            other => {
                note("connector", format!("{other} of \"{name}\" is neither 1 nor 2"));
                DrawerPin::Pin2
            }
        };
        if !sensors.insert(printer.clone()) {
            // A printer has one line for the sensor, whatever hangs on its sockets.
            note(
                "printer",
                format!("two drawers hang on \"{printer}\", and nobody could tell which of them moved"),
            );
        }
        if terminals.is_empty() {
            note(
                "terminals",
                format!("nobody may open \"{name}\"; write the numbers of its terminals, such as [1]"),
            );
        }
        let left_open = (left_open.0 > 0).then(|| left_open.into());
        parsed.push(DrawerConfig { name, printer, pin, terminals, left_open });
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawer(name: &str) -> Drawer {
        Drawer {
            name: name.into(),
            printer: "receipts".into(),
            connector: 1,
            terminals: vec![1],
            left_open: Millis(0),
        }
    }

    #[test]
    fn a_drawer_hangs_on_one_socket_of_a_printer_and_belongs_to_somebody() {
        let printers = ["receipts".to_owned(), "bar".to_owned()];
        let mut problems = Vec::new();
        let right = Drawer { connector: 2, printer: "bar".into(), ..drawer("right") };
        let parsed = parse(vec![drawer("left"), right.clone()], &printers, &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!((parsed[0].pin, parsed[1].pin), (DrawerPin::Pin2, DrawerPin::Pin5));
        assert_eq!(parsed[0].left_open, None);

        let nobodys = Drawer { terminals: Vec::new(), connector: 3, printer: "attic".into(), ..drawer("a") };
        parse(vec![right.clone(), right, nobodys], &printers, &mut problems);
        let keys: Vec<&str> = problems.iter().filter_map(|line| line.split(':').next()).collect();
        let expected =
            ["drawers.name", "drawers.printer", "drawers.printer", "drawers.connector", "drawers.terminals"];
        assert_eq!(keys, expected, "{problems:?}");
    }
}
