//! The stage: a fresh directory, the processes in it, the cables between them, and who may be asked what.
//!
//! Invariants: every box is reached through its relay and knows others only by theirs; every process is started by the
//! thread that lives as long as the demo, because the kernel ends it with that thread; dropping the stage ends all.
//!
//! `DIR/NAME` is what a box keeps, `DIR/settings/NAME.toml` its settings, `DIR/logs/NAME.log` what it said.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::cast::PARENT;
use super::stop::StopSign;
use super::trouble::Trouble;
use crate::door::{ask_command, run_command};
use crate::lan::Lan;
use crate::process::{Daemon, Program, this_binary, wait_until};

/// The receipt printer.
pub const PRINTER: &str = "printer";
/// Headquarters.
pub const HQ: &str = "hq";
/// The hub.
pub const HUB: &str = "hub";
/// The terminals.
pub const TILLS: [&str; 3] = ["till-1", "till-2", "till-3"];

/// How long anything that the demo waits for may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long one question to a daemon may take.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How much of each log a failure shows.
const TAIL_LINES: usize = 12;

/// Everything that runs.
#[derive(Debug)]
pub struct Stage {
    dir: PathBuf,
    exe: PathBuf,
    stop: StopSign,
    /// The cables.
    pub lan: Lan,
    programs: BTreeMap<&'static str, Program>,
    running: BTreeMap<&'static str, Daemon>,
    doors: BTreeMap<&'static str, SocketAddr>,
}

impl Stage {
    /// An empty stage in `dir`, which is there already.
    ///
    /// Errors: the directory is not empty or cannot be written.
    pub fn in_dir(dir: &Path, stop: StopSign) -> Result<Self, Trouble> {
        let refused = |what: &str| Trouble::system(format!("{what} {}", dir.display()));
        let dir = dir.canonicalize().map_err(refused("cannot find"))?;
        if fs::read_dir(&dir).map_err(refused("cannot list"))?.next().is_some() {
            return Err(Trouble::NotFresh { dir: dir.display().to_string() });
        }
        for folder in ["settings", "logs"] {
            fs::create_dir(dir.join(folder)).map_err(refused("cannot write to"))?;
        }
        let exe = this_binary().map_err(Trouble::system("cannot find the demo's own executable"))?;
        let (lan, programs, running, doors) = Default::default();
        Ok(Self { dir, exe, stop, lan, programs, running, doors })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What a box keeps.
    pub fn data(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The sign that ends all waiting.
    pub fn stop_sign(&self) -> &StopSign {
        &self.stop
    }

    /// Where a terminal answers, or anybody else who has a TCP port.
    pub fn door(&self, name: &str) -> Option<SocketAddr> {
        self.doors.get(name).copied()
    }

    /// Writes down how a box is started: as whom, with which arguments, and where it will answer on TCP if it does.
    pub fn cast(&mut self, name: &'static str, args: &[&str], door: Option<SocketAddr>) {
        let program = Program {
            name: name.into(),
            exe: self.exe.clone(),
            args: ["--as"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
            env: vec![(PARENT.into(), std::process::id().to_string())],
            log: self.dir.join("logs").join(format!("{name}.log")),
        };
        self.programs.insert(name, program);
        if let Some(door) = door {
            self.doors.insert(name, door);
        }
    }

    /// Writes a box's settings and returns the path.
    pub fn settle(&self, name: &str, toml: &str) -> Result<String, Trouble> {
        let path = self.dir.join("settings").join(format!("{name}.toml"));
        fs::write(&path, toml).map_err(Trouble::system(format!("cannot write {}", path.display())))?;
        Ok(path.display().to_string())
    }

    /// Starts a box that was cast. It may take a moment until it answers; see [`Stage::wait_up`].
    pub fn start(&mut self, name: &'static str) -> Result<(), Trouble> {
        let Some(program) = self.programs.get(name) else {
            unreachable!("{name} is cast before it is started");
        };
        self.running.insert(name, Daemon::start(program)?);
        Ok(())
    }

    /// SIGKILL, as a power cut.
    pub fn kill(&mut self, name: &str) -> Result<(), Trouble> {
        self.running.remove(name).map_or(Ok(()), Daemon::kill)?;
        Ok(())
    }

    /// Hands a process over to whoever stops it.
    pub fn take(&mut self, name: &str) -> Option<Daemon> {
        self.running.remove(name)
    }

    /// Errors: somebody who should run ended by itself.
    pub fn all_run(&mut self) -> Result<(), Trouble> {
        self.running.values_mut().try_for_each(Daemon::still_runs)?;
        Ok(())
    }

    /// Whether a box opens its door: its control socket, or its TCP port.
    pub fn is_up(&self, name: &str) -> bool {
        let socket = |file: &str| UnixStream::connect(self.data(name).join(file)).is_ok();
        match name {
            HUB => socket("hubctl.sock"),
            HQ => socket("hqd.sock"),
            _ => self.door(name).is_some_and(|door| TcpStream::connect(door).is_ok()),
        }
    }

    /// Waits until a box opens its door.
    pub fn wait_up(&mut self, name: &'static str) -> Result<(), Trouble> {
        self.wait(&format!("{name} to answer"), |stage| {
            Ok(if stage.is_up(name) { Ok(()) } else { Err("its door is closed".into()) })
        })
    }

    /// Looks until `look` finds something; until then it says what it sees instead.
    ///
    /// Errors: what `look` fails with; a process that ended meanwhile; the deadline; the stop sign.
    pub fn wait<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Result<Result<T, String>, Trouble>,
    ) -> Result<T, Trouble> {
        wait_until(what, PATIENCE, || {
            if self.stop.is_up() {
                return Ok(Err(Trouble::Interrupted));
            }
            match self.all_run().and_then(|()| look(self)) {
                Ok(Ok(found)) => Ok(Ok(found)),
                Ok(Err(seen)) => Err(seen),
                Err(trouble) => Ok(Err(trouble)),
            }
        })?
    }

    /// Asks the hub by `hubctl`.
    pub fn hubctl(&self, args: &[&str]) -> Result<Value, Trouble> {
        let data = self.data(HUB).display().to_string();
        self.ask(&[&["hubctl", "--json", "--data", &data], args].concat())
    }

    /// Asks headquarters by `hqd`.
    pub fn hqd(&self, args: &[&str]) -> Result<Value, Trouble> {
        let data = self.data(HQ).display().to_string();
        self.ask(&[&["hqd"], args, &["--json", "--data", &data]].concat())
    }

    /// Runs one of the programs to its end, for the JSON that it prints.
    pub fn ask(&self, args: &[&str]) -> Result<Value, Trouble> {
        Ok(ask_command(&self.exe, &[&["--as"], args].concat(), ANSWER_WITHIN)?)
    }

    /// Runs one of the programs to its end.
    pub fn order(&self, args: &[&str]) -> Result<(), Trouble> {
        run_command(&self.exe, &[&["--as"], args].concat(), ANSWER_WITHIN)?;
        Ok(())
    }

    /// The last lines of every log.
    pub fn tails(&self) -> String {
        let mut all = String::new();
        for program in self.programs.values() {
            let text = fs::read_to_string(&program.log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            all.push_str(&format!("--- {}\n", program.log.display()));
            for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                all.push_str(line);
                all.push('\n');
            }
        }
        all
    }

    /// Stops everybody as systemd would, the hub last but the printer.
    ///
    /// Errors: the first who did not stop in time; the others are stopped all the same.
    pub fn stop_all(&mut self) -> Result<(), Trouble> {
        let mut first = Ok(());
        for name in TILLS.iter().chain(&[HQ, HUB, PRINTER]) {
            if let Some(daemon) = self.running.remove(name)
                && let Err(stubborn) = daemon.stop(ANSWER_WITHIN)
                && first.is_ok()
            {
                first = Err(stubborn.into());
            }
        }
        first
    }
}

/// A text in an answer.
///
/// Errors: [`Trouble::Odd`] if it is not there.
pub fn text<'a>(who: &str, answer: &'a Value, pointer: &str) -> Result<&'a str, Trouble> {
    answer.pointer(pointer).and_then(Value::as_str).ok_or_else(|| odd(who, answer, pointer))
}

/// A whole number in an answer.
pub fn number(who: &str, answer: &Value, pointer: &str) -> Result<u64, Trouble> {
    answer.pointer(pointer).and_then(Value::as_u64).ok_or_else(|| odd(who, answer, pointer))
}

/// A list in an answer.
pub fn list<'a>(who: &str, answer: &'a Value, pointer: &str) -> Result<&'a [Value], Trouble> {
    let found = answer.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice);
    found.ok_or_else(|| odd(who, answer, pointer))
}

fn odd(who: &str, answer: &Value, pointer: &str) -> Trouble {
    let said: String = answer.to_string().chars().take(400).collect();
    Trouble::Odd { who: who.into(), what: pointer.into(), said }
}
