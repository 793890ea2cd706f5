//! The boxes of a shop: real processes, each in its own namespace, with what a person or a power cut can do to them.
//!
//! Invariants: processes are started by the thread that lives as long as the run, because the kernel ends them with it;
//! nothing is waited for without a deadline; a box that dies by itself is an error wherever something is awaited.
//!
//! `DIR/NAME` is what a box keeps, `DIR/NAME.log` what it said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cashier::{API, Cashier, Counter};
use super::failure::Failure;
use super::ledger::Ledger;
use super::wire::{Wire, address};
use crate::demo::cast::PARENT;
use crate::demo::stop::StopSign;
use crate::demo::trouble::Trouble;
use crate::door::{Answer, Api, DoorError, ask_command, run_command};
use crate::process::{Cost, Daemon, Program, this_binary, wait_until};

/// The hub.
pub const HUB: &str = "hub";
/// Headquarters.
pub const HQ: &str = "hq";
/// The terminals.
pub const TILLS: [&str; 3] = ["till-1", "till-2", "till-3"];
/// The business day.
pub const DAY: &str = "2010-12-01";
/// The store, as headquarters calls it.
pub const STORE: &str = "Corner shop";
/// How long anything may take: debug builds on a busy machine included.
pub const SOON: Duration = Duration::from_secs(60);
/// How long one question may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `hubd`.
    Hub,
    /// `terminal-agent`.
    Till,
    /// `hqd`.
    Headquarters,
}

impl Part {
    fn program(self) -> &'static str {
        match self {
            Self::Hub => "hubd",
            Self::Till => "terminal-agent",
            Self::Headquarters => "hqd",
        }
    }
}

/// One machine.
#[derive(Debug)]
pub struct Machine {
    part: Part,
    /// Where it keeps its books.
    pub data: PathBuf,
    /// The last number of its address.
    pub last: u8,
    /// As for `--set`.
    pub settings: Vec<String>,
    daemon: Option<Daemon>,
    is_frozen: bool,
}

/// Everything that runs.
#[derive(Debug)]
pub struct Shop {
    /// Cashiers go home first.
    pub(super) cashiers: Vec<Cashier>,
    machines: BTreeMap<&'static str, Machine>,
    /// The network; it goes after the processes in it.
    pub wire: Wire,
    /// Which machine is the hub.
    pub hub: &'static str,
    /// What was promised.
    pub ledger: Arc<Ledger>,
    dir: PathBuf,
    exe: PathBuf,
    stop: StopSign,
    pub(super) shifts: u32,
}

impl Shop {
    /// A network without boxes. `dir` is fresh.
    pub fn on(wire: Wire, dir: &Path, stop: StopSign) -> Result<Self, Failure> {
        let exe = this_binary().map_err(|e| Failure::system("cannot find this executable", e))?;
        let (cashiers, machines, ledger) = Default::default();
        Ok(Self { cashiers, machines, wire, hub: HUB, ledger, dir: dir.to_owned(), exe, stop, shifts: 0 })
    }

    /// The directory of all boxes.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts a box on the network; it does not run yet. Settings are as for `--set`.
    pub fn place(
        &mut self,
        name: &'static str,
        part: Part,
        last: u8,
        settings: &[&str],
    ) -> Result<(), Failure> {
        self.wire.plug(name, last)?;
        let (data, settings) =
            (self.dir.join(name), settings.iter().map(|setting| (*setting).to_owned()).collect());
        self.machines.insert(name, Machine { part, data, last, settings, daemon: None, is_frozen: false });
        Ok(())
    }

    /// Takes a box away for good; its directory stays.
    pub fn remove(&mut self, name: &'static str) {
        self.machines.remove(name);
        self.wire.unplug(name);
    }

    /// A box.
    pub fn machine(&self, name: &str) -> &Machine {
        let Some(machine) = self.machines.get(name) else {
            unreachable!("{name} is placed before it is used")
        };
        machine
    }

    /// A box, to change it.
    pub fn machine_mut(&mut self, name: &str) -> &mut Machine {
        let Some(machine) = self.machines.get_mut(name) else {
            unreachable!("{name} is placed before it is used")
        };
        machine
    }

    /// Where a box listens for links.
    pub fn address(&self, name: &str) -> String {
        let machine = self.machine(name);
        let port = match machine.part {
            Part::Hub => 7_420,
            Part::Till => 7_421,
            Part::Headquarters => 7_430,
        };
        format!("{}:{port}", address(machine.last))
    }

    /// Whether its process is there, frozen or not.
    pub fn runs(&self, name: &str) -> bool {
        self.machine(name).daemon.is_some()
    }

    /// The terminals whose processes run and may answer.
    pub fn tills(&self) -> Vec<&'static str> {
        let awake =
            |machine: &Machine| machine.part == Part::Till && machine.daemon.is_some() && !machine.is_frozen;
        self.machines.iter().filter(|(_, machine)| awake(machine)).map(|(name, _)| *name).collect()
    }

    /// Starts a box and waits until it answers.
    pub fn start(&mut self, name: &'static str) -> Result<(), Failure> {
        self.start_with(name, &[])
    }

    /// Likewise, with something in its environment.
    pub fn start_with(&mut self, name: &'static str, env: &[(&str, &str)]) -> Result<(), Failure> {
        self.launch(name, env)?;
        self.wait(&format!("{name} to answer"), |shop| shop.status(name).map(drop))
    }

    /// Starts a box and does not wait.
    pub fn launch(&mut self, name: &'static str, env: &[(&str, &str)]) -> Result<(), Failure> {
        let (mut args, log) = (self.wire.inside(name), self.dir.join(format!("{name}.log")));
        let machine = self.machine(name);
        args.push("env".into());
        args.push(format!("{PARENT}={}", std::process::id()));
        args.extend(env.iter().map(|(key, value)| format!("{key}={value}")));
        args.extend([self.exe.display().to_string(), "--as".into(), machine.part.program().into()]);
        args.extend(["run".into(), "--data".into(), machine.data.display().to_string()]);
        args.extend(machine.settings.iter().flat_map(|setting| ["--set".into(), setting.clone()]));
        let program = Program { name: name.into(), exe: args.remove(0).into(), args, env: Vec::new(), log };
        let daemon = Daemon::start(&program)?;
        let machine = self.machine_mut(name);
        (machine.daemon, machine.is_frozen) = (Some(daemon), false);
        Ok(())
    }

    /// Starts one of the suite's own tools in a box. It ends with what is returned.
    pub fn tool(&self, name: &str, tool: &str, args: &[&str]) -> Result<Daemon, Failure> {
        let mut words = self.wire.inside(name);
        words.extend([self.exe.display().to_string(), "--as".into(), tool.into()]);
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        let program = Program {
            name: tool.into(),
            exe: words.remove(0).into(),
            args: words,
            env: vec![(PARENT.into(), std::process::id().to_string())],
            log: self.dir.join(format!("{tool}.log")),
        };
        Ok(Daemon::start(&program)?)
    }

    /// SIGKILL, as a power cut.
    pub fn kill(&mut self, name: &str) -> Result<(), Failure> {
        self.machine_mut(name).daemon.take().map_or(Ok(()), Daemon::kill)?;
        Ok(())
    }

    /// SIGTERM, and it must end.
    pub fn stop(&mut self, name: &str) -> Result<(), Failure> {
        if let Some(daemon) = self.machine_mut(name).daemon.take() {
            daemon.stop(SOON)?;
        }
        Ok(())
    }

    /// SIGSTOP: it hangs, and its sockets stay.
    pub fn freeze(&mut self, name: &str) -> Result<(), Failure> {
        self.process(name)?.hang()?;
        self.machine_mut(name).is_frozen = true;
        Ok(())
    }

    /// SIGCONT.
    pub fn thaw(&mut self, name: &str) -> Result<(), Failure> {
        self.process(name)?.go_on()?;
        self.machine_mut(name).is_frozen = false;
        Ok(())
    }

    fn process(&self, name: &str) -> Result<&Daemon, Failure> {
        let daemon = self.machine(name).daemon.as_ref();
        daemon.ok_or_else(|| Failure::wrong(format!("{name} does not run")))
    }

    /// Memory and processor time of a box.
    pub fn cost(&self, name: &str) -> Result<Cost, Failure> {
        let cost = self.machine(name).daemon.as_ref().and_then(Daemon::cost);
        cost.ok_or_else(|| Failure::wrong(format!("{name} is not there to be measured")))
    }

    /// Everything that a box wrote.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(format!("{name}.log"))).unwrap_or_default()
    }

    /// How a box is, by its own word.
    pub fn status(&self, name: &str) -> Result<Value, String> {
        let words = |silent: DoorError| silent.to_string();
        match self.machine(name).part {
            Part::Hub => self.hubctl_of(name, &["status"]).map_err(words),
            Part::Headquarters => self.hqd(&["status"]).map_err(words),
            Part::Till => self.get(name, "/v1/status"),
        }
    }

    /// `hubctl`.
    pub fn hubctl(&self, args: &[&str]) -> Result<Value, DoorError> {
        self.hubctl_of(self.hub, args)
    }

    /// `hubctl` on another hub.
    pub fn hubctl_of(&self, name: &str, args: &[&str]) -> Result<Value, DoorError> {
        let data = self.machine(name).data.display().to_string();
        self.ask(&[&["hubctl", "--json", "--data", &data], args].concat())
    }

    /// `hqd`, as a client.
    pub fn hqd(&self, args: &[&str]) -> Result<Value, DoorError> {
        let data = self.machine(HQ).data.display().to_string();
        self.ask(&[&["hqd"], args, &["--json", "--data", &data]].concat())
    }

    /// Runs one of the programs for the JSON that it prints.
    pub fn ask(&self, args: &[&str]) -> Result<Value, DoorError> {
        ask_command(&self.exe, &[&["--as"], args].concat(), ANSWER_WITHIN)
    }

    /// Runs one of the programs inside a box to its end.
    pub fn order_in(&self, name: &str, args: &[&str]) -> Result<String, DoorError> {
        let (inside, exe) = (self.wire.inside(name), self.exe.display().to_string());
        let mut words: Vec<&str> = inside.iter().skip(1).map(String::as_str).collect();
        words.extend([exe.as_str(), "--as"]);
        words.extend(args);
        let program = inside.first().map_or("ip", String::as_str);
        let printed = run_command(Path::new(program), &words, SOON)?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    /// One request to a till, from inside its box.
    pub fn call(
        &self,
        till: &str,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let token = self.machine(till).data.join("api-token");
        let answer = self.wire.door(till).run(|| {
            let token = std::fs::read_to_string(&token).unwrap_or_default();
            let header = key.map(|key| ("Idempotency-Key", key));
            Api::new(API, token.trim(), ANSWER_WITHIN).call(method, path, header.as_slice(), body)
        })?;
        Ok(answer?)
    }

    /// What a till says, or why it does not.
    pub fn get(&self, till: &str, path: &str) -> Result<Value, String> {
        let answer = self.call(till, "GET", path, None, None).map_err(|silent| silent.in_full())?;
        answer.granted().map_err(|refused| refused.to_string())
    }

    /// Looks until it is so; until then `look` says what it sees.
    ///
    /// Errors: the deadline; a box that died by itself; the stop sign.
    pub fn wait<T>(
        &mut self,
        what: &str,
        look: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<T, Failure> {
        self.wait_for(what, SOON, look)
    }

    /// Likewise, with a deadline of its own.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<T, Failure> {
        wait_until(what, deadline, || {
            if self.stop.is_up() {
                return Ok(Err(Failure::Trouble(Trouble::Interrupted)));
            }
            if let Err(ended) = self.all_run() {
                return Ok(Err(ended));
            }
            look(self).map(Ok)
        })?
    }

    /// Waits until the status of a box is as wanted, and says how long that took.
    pub fn until(
        &mut self,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Duration, Failure> {
        let started = Instant::now();
        self.wait(&format!("{what} at {name}"), |shop| {
            let status = shop.status(name)?;
            if wanted(&status) { Ok(()) } else { Err(status.to_string()) }
        })?;
        Ok(started.elapsed())
    }

    fn all_run(&mut self) -> Result<(), Failure> {
        let daemons = self.machines.values_mut().filter_map(|machine| machine.daemon.as_mut());
        for daemon in daemons {
            daemon.still_runs()?;
        }
        Ok(())
    }

    /// A cashier's place at a till.
    pub(super) fn counter(&self, till: &'static str) -> Counter {
        let (door, token) = (self.wire.door(till), self.machine(till).data.join("api-token"));
        Counter { till, door, token, ledger: Arc::clone(&self.ledger) }
    }
}

/// Whether an alert with this code is among those of a status.
pub fn has_alert(status: &Value, code: &str) -> bool {
    status["alerts"].as_array().is_some_and(|alerts| alerts.iter().any(|alert| alert["code"] == code))
}

/// Links of a status that carry entries.
pub fn settled(status: &Value) -> usize {
    let links = status["links"].as_array().map_or(&[][..], Vec::as_slice);
    links.iter().filter(|link| link["settled"] == true).count()
}
