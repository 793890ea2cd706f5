//! The shop's receipt printers: who owns each, whom it serves, and where a receipt is to come out.
//!
//! A terminal asks for paper by a printer's name. Where its receipt comes out is worked out anew at each look, from the
//! settings and from the entries about the job: it is with the printer that was said to start it last, so whoever becomes
//! hub finds it there. Invariant: a receipt is with one printer at a time, since only that one's owner works on it, and only
//! its owner or a person hands it on.

pub(crate) mod care;
pub(crate) mod learnt;
pub(crate) mod show;

use crate::answers;
use crate::config::PrinterConfig;
use crate::drawers::config::DrawerConfig;
use learnt::Learnt;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use toko_crdt::NodeId;
use toko_crdt::member::Members;
use toko_devices::{Deadlines, Habits, Level, Outcome, OwnedPrinter, Owner};
use toko_paper::job;
use toko_retail::views::PrintJob;

/// How the work at a printer is.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// In a few words.
    pub(crate) words: String,
    /// Jobs that are to come out here.
    pub(crate) queued: usize,
    /// Those of them that wait for a person.
    pub(crate) held: usize,
    /// The job that the printer has now.
    pub(crate) printing: Option<[u8; 16]>,
    /// What it confirmed last.
    pub(crate) level: Option<Level>,
    /// What came of prints since the hub started.
    pub(crate) counts: Counts,
}

/// What came of prints, told apart by what is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// On paper, as the printer said.
    pub(crate) printed: u64,
    /// Given to a printer that confirms nothing.
    pub(crate) sent: u64,
    pub(crate) not_printed: u64,
    pub(crate) in_doubt: u64,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Printed { .. } => &mut self.printed,
            Outcome::Sent { .. } => &mut self.sent,
            Outcome::NotPrinted { .. } => &mut self.not_printed,
            Outcome::InDoubt { .. } => &mut self.in_doubt,
        } += 1;
    }

    /// By name.
    pub(crate) fn named(self) -> [(&'static str, u64); 4] {
        [
            ("printed", self.printed),
            ("sent", self.sent),
            ("not_printed", self.not_printed),
            ("in_doubt", self.in_doubt),
        ]
    }
}

/// One printer, with a handle to its owner.
#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) config: PrinterConfig,
    pub(crate) printer: OwnedPrinter,
    state: Mutex<State>,
    /// Makes its task look at its jobs at once.
    pub(crate) wake: Notify,
    /// Ends its owner, and with it the link: another machine is the hub.
    pub(crate) let_go: CancellationToken,
}

/// What people want of jobs, until it is done. A hub that died forgot it; whoever still wants it says so again.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// Jobs in doubt to be printed again.
    pub(crate) again: BTreeSet<[u8; 16]>,
    /// Jobs to be tried at once.
    pub(crate) soon: BTreeSet<[u8; 16]>,
}

/// All printers of this hub.
#[derive(Debug, Default)]
pub(crate) struct Printers {
    stations: Vec<Arc<Station>>,
    wishes: Mutex<Wishes>,
    /// Held by whoever takes a job to print, hands one on, or says a word about one: one at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
    pub(crate) learnt: Learnt,
}

impl Printers {
    /// The printers of the settings, each with its owner, which has to be run.
    pub(crate) fn new(
        configs: &[PrinterConfig],
        drawers: &[DrawerConfig],
        data: &Path,
        stop: &CancellationToken,
    ) -> (Printers, Vec<Owner>) {
        let learnt = Learnt::read(data);
        let (mut stations, mut owners) = (Vec::new(), Vec::new());
        for config in configs {
            let let_go = stop.child_token();
            let has_drawer = drawers.iter().any(|drawer| drawer.printer == config.name);
            let habits = match has_drawer {
                true => habits(config).with_drawer(),
                false => habits(config),
            };
            let (printer, owner) = Owner::new(driver(config, &learnt), habits, let_go.clone());
            owners.push(owner);
            stations.push(Arc::new(Station {
                config: config.clone(),
                printer,
                state: Mutex::default(),
                wake: Notify::new(),
                let_go,
            }));
        }
        (Printers { stations, learnt, ..Printers::default() }, owners)
    }

    pub(crate) fn all(&self) -> &[Arc<Station>] {
        &self.stations
    }

    /// The printer of `[printer]`, or the only or first one.
    pub(crate) fn first(&self) -> Option<&Arc<Station>> {
        self.stations.first()
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Station>> {
        self.stations.iter().find(|station| station.config.name == name)
    }

    /// The printer that has a job now.
    pub(crate) fn printing(&self, job: &[u8; 16]) -> Option<&Arc<Station>> {
        self.stations.iter().find(|station| station.state().printing == Some(*job))
    }

    /// Where a job is to come out: where it was tried or moved to last, else where it was meant to.
    pub(crate) fn place(&self, job: &PrintJob, members: &Members) -> Option<&Arc<Station>> {
        if job::printed_at_its_till(job) && !toko_crdt::mutant!("print-what-a-till-prints") {
            return None;
        }
        let tried = job.attempts.iter().filter(|attempt| !attempt.printer.is_empty());
        let last = tried.max_by_key(|attempt| attempt.attempt);
        last.and_then(|attempt| self.named(&attempt.printer)).or_else(|| self.meant(job, members))
    }

    /// Where a job was meant to come out; nothing if no printer here is called so.
    pub(crate) fn meant(&self, job: &PrintJob, members: &Members) -> Option<&Arc<Station>> {
        let configs: Vec<&PrinterConfig> = self.stations.iter().map(|station| &station.config).collect();
        let nth = meant(&configs, &job.printer, &names(members, &job.asked_by))?;
        self.stations.get(nth)
    }

    /// Forgets what was wanted of jobs that are done.
    pub(crate) fn forget_all_but(&self, open: &[PrintJob]) {
        let is_open = |id: &[u8; 16]| open.iter().any(|job| job.job == *id);
        let mut wishes = self.wishes();
        wishes.again.retain(is_open);
        wishes.soon.retain(is_open);
    }

    pub(crate) fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Station {
    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn say(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The printer is through with a job.
    pub(crate) fn is_through(&self, outcome: &Outcome) {
        self.say(|state| {
            state.printing = None;
            state.counts.add(outcome);
            state.words = match outcome {
                Outcome::Printed { level } => format!("prints, {level}"),
                Outcome::Sent { level } => format!("is sent to and confirms nothing, {level}"),
                Outcome::NotPrinted { why } => why.to_string(),
                Outcome::InDoubt { why } => why.to_string(),
            };
            if let Outcome::Printed { level } | Outcome::Sent { level } = outcome {
                state.level = Some(*level);
            }
        });
    }

    /// Why nothing comes out of it now, in words; nothing while it prints.
    pub(crate) fn trouble(&self) -> Option<String> {
        let seen = self.printer.seen().borrow().clone();
        match (&seen.trouble, &seen.status) {
            (Some(why), _) => Some(why.to_string()),
            (None, Some(status)) if !status.can_print() => Some(format!("printer is not ready: {status}")),
            _ => None,
        }
    }

    /// What a person should do about it; nothing if it prints and goes on printing.
    pub(crate) fn what_to_do(&self) -> Option<String> {
        let seen = self.printer.seen().borrow().clone();
        match (&seen.trouble, &seen.status) {
            (Some(_), _) => {
                let address = &self.config.address;
                Some(format!("Switch the printer on and look at its cable; it is looked for at {address}."))
            }
            (None, Some(status)) => status.what_to_do().map(str::to_owned),
            (None, None) => None,
        }
    }
}

/// By which names the settings may call a terminal: its name and its number.
fn names(members: &Members, node: &NodeId) -> Vec<String> {
    let numbers = members.roles(node).terminal.into_iter().map(|(number, _)| number.to_string());
    std::iter::once(answers::name_of(members, node)).chain(numbers).collect()
}

/// Which printer a terminal means by a name. The first is everybody's unless another serves the terminal, and is meant by a
/// terminal that was told no name; any other is meant by its name.
fn meant(printers: &[&PrinterConfig], asked: &str, terminal: &[String]) -> Option<usize> {
    let named = printers.iter().position(|printer| printer.name == asked);
    let serves =
        printers.iter().position(|printer| printer.serves.iter().any(|name| terminal.contains(name)));
    match named {
        Some(nth) if nth > 0 => Some(nth),
        _ => {
            let no_name = asked.is_empty() || asked == NAME_DEFAULT;
            serves.or(named).or((no_name && !printers.is_empty()).then_some(0))
        }
    }
}

/// What a terminal asks for that was told no printer's name.
const NAME_DEFAULT: &str = "receipts";

/// How a printer is driven, with what was learnt of it.
fn driver(config: &PrinterConfig, learnt: &Learnt) -> toko_devices::PrinterConfig {
    let mut driver = toko_devices::PrinterConfig::at(config.address.to_string());
    driver.deadlines =
        Deadlines { confirm: config.confirm.into(), patience: config.patience.into(), ..driver.deadlines };
    let learnt = learnt.of(&config.name);
    driver.model = learnt.as_ref().map_or(config.model, |learnt| learnt.model(config.model));
    driver.fonts = config.fonts.clone();
    driver.learnt = learnt.map(|learnt| learnt.level());
    driver
}

fn habits(config: &PrinterConfig) -> Habits {
    let let_go = Some(config.let_go).filter(|millis| millis.0 > 0).map(Into::into);
    Habits { let_go, ..Habits::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{File, Printer};

    fn printers() -> Vec<PrinterConfig> {
        let printer = |name: &str, serves: &[&str]| Printer {
            name: name.into(),
            address: "10.0.0.1:9100".into(),
            serves: serves.iter().map(|name| (*name).to_owned()).collect(),
            ..Printer::default()
        };
        let mut file = File { printer: printer("receipts", &[]), ..File::default() };
        file.printers = vec![printer("back", &["Till 2", "3"]), printer("kitchen", &[])];
        file.parse(Path::new("/x")).unwrap().printers
    }

    #[test]
    fn a_terminal_prints_where_it_is_served_unless_it_names_another_printer() {
        let printers = printers();
        let configs: Vec<&PrinterConfig> = printers.iter().collect();
        let at = |asked: &str, name: &str, number: &str| {
            let nth = meant(&configs, asked, &[name.to_owned(), number.to_owned()])?;
            configs.get(nth).map(|printer| printer.name.as_str())
        };
        assert_eq!(at("receipts", "Till 1", "1"), Some("receipts"));
        assert_eq!(at("", "Till 1", "1"), Some("receipts"));
        assert_eq!(at("receipts", "Till 2", "2"), Some("back"), "by name");
        assert_eq!(at("", "Bar", "3"), Some("back"), "by number");
        assert_eq!(at("kitchen", "Till 2", "2"), Some("kitchen"));
        assert_eq!(at("attic", "Till 1", "1"), None);
        assert_eq!(at("attic", "Till 2", "2"), Some("back"));
        let renamed = PrinterConfig { name: "front".into(), ..printers[0].clone() };
        let till = ["Till 1".to_owned()];
        assert_eq!(meant(&[&renamed], "receipts", &till), Some(0), "a terminal that was told no name");
        assert_eq!(meant(&[&renamed], "front", &till), Some(0));
    }
}
