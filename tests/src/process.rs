//! Foreign processes: started with their output in a file, waited for with a deadline, killed as a power cut would.
//!
//! Invariants: a [`Daemon`] that is dropped is dead and reaped, unless it was [released](Daemon::release); nothing waits
//! without a deadline, and a deadline that passes says what was waited for and what was seen last.
//!
//! Absent on purpose: any knowledge of what the daemons do. Their state is asked for at their doors (see [`crate::door`]).

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How often a foreign process is looked at while something is awaited.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The end of a log that an error carries.
const TAIL_BYTES_MAX: u64 = 4 << 10;

/// Why a process did not do what was wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The operating system refused.
    #[error("{name} could not be {verb}")]
    Refused {
        /// Which process.
        name: String,
        /// `started`, `signalled` …
        verb: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ended by itself.
    #[error("{name} ended by itself ({status}); the end of its log:\n{tail}")]
    Ended {
        /// Which process.
        name: String,
        /// How.
        status: ExitStatus,
        /// The last lines it wrote.
        tail: String,
    },
    /// It did not stop when told to, and was killed.
    #[error("{name} did not stop within {waited_ms} ms and was killed; the end of its log:\n{tail}")]
    Stubborn {
        /// Which process.
        name: String,
        /// How long it was given.
        waited_ms: u128,
        /// The last lines it wrote.
        tail: String,
    },
}

/// A condition that did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {waited_ms} ms for {what}; last seen: {last}")]
pub struct TooLate {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub waited_ms: u128,
    /// What the last look saw.
    pub last: String,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// What people call it: `hub`, `till-1`. Also the name of its log.
    pub name: String,
    /// The executable; [`this_binary`] for one that re-executes itself.
    pub exe: PathBuf,
    /// Its arguments, such as `["--as", "hubd", "run"]`.
    pub args: Vec<String>,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
    /// Where its standard output and error go, appended.
    pub log: PathBuf,
}

/// The executable that is running now.
pub fn this_binary() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// A running process that dies with this value.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Starts it. Its standard input is empty.
    pub fn start(program: &Program) -> Result<Self, ProcessError> {
        let refused = |source| ProcessError::Refused { name: program.name.clone(), verb: "started", source };
        let log = OpenOptions::new().create(true).append(true).open(&program.log).map_err(refused)?;
        let child = Command::new(&program.exe)
            .args(&program.args)
            .envs(program.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(refused)?)
            .stderr(log)
            .spawn()
            .map_err(refused)?;
        Ok(Self { name: program.name.clone(), log: program.log.clone(), child: Some(child) })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process number while it is held.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Errors: [`ProcessError::Ended`] if it is not running any more.
    pub fn still_runs(&mut self) -> Result<(), ProcessError> {
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) => {
                Err(ProcessError::Ended { name: self.name.clone(), status, tail: tail_of(&self.log) })
            }
            Some(Err(source)) => Err(self.refused("looked at", source)),
            _ => Ok(()),
        }
    }

    /// SIGSTOP: it hangs with its sockets open.
    pub fn hang(&self) -> Result<(), ProcessError> {
        self.signal(Signal::STOP, "stopped")
    }

    /// SIGCONT: it goes on where it was.
    pub fn go_on(&self) -> Result<(), ProcessError> {
        self.signal(Signal::CONT, "continued")
    }

    fn signal(&self, signal: Signal, verb: &'static str) -> Result<(), ProcessError> {
        let told = self.child.as_ref().map_or(Ok(()), |child| kill_process(Pid::from_child(child), signal));
        told.map_err(|e| self.refused(verb, e.into()))
    }

    /// SIGKILL, as a power cut: nothing is flushed. Returns when it is gone.
    pub fn kill(mut self) -> Result<(), ProcessError> {
        self.end().map_err(|source| self.refused("killed", source))
    }

    /// SIGTERM, then its exit status; SIGKILL and [`ProcessError::Stubborn`] once `deadline` has passed.
    pub fn stop(mut self, deadline: Duration) -> Result<ExitStatus, ProcessError> {
        self.still_runs()?;
        self.signal(Signal::TERM, "stopped")?;
        self.wait(deadline)
    }

    /// Waits until it ends by itself.
    ///
    /// Errors: [`ProcessError::Stubborn`], and it is dead, once `deadline` has passed.
    pub fn wait(mut self, deadline: Duration) -> Result<ExitStatus, ProcessError> {
        let started = Instant::now();
        loop {
            let Some(child) = self.child.as_mut() else {
                unreachable!("only release and end take the child, and both take the daemon with it");
            };
            match child.try_wait() {
                Ok(Some(status)) => {
                    self.child = None;
                    return Ok(status);
                }
                Ok(None) if started.elapsed() < deadline => std::thread::sleep(LOOK_EVERY),
                Ok(None) => break,
                Err(source) => return Err(self.refused("awaited", source)),
            }
        }
        let waited_ms = started.elapsed().as_millis();
        self.end().map_err(|source| self.refused("killed", source))?;
        Err(ProcessError::Stubborn { name: self.name.clone(), waited_ms, tail: tail_of(&self.log) })
    }

    /// Lets it outlive this value, for `--keep`. Returns its process number.
    pub fn release(mut self) -> Option<u32> {
        self.child.take().map(|child| child.id())
    }

    /// The file that it writes to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self) -> String {
        tail_of(&self.log)
    }

    /// What it costs right now, from `/proc`; nothing if it is gone.
    pub fn cost(&self) -> Option<Cost> {
        Cost::of(self.pid()?)
    }

    fn refused(&self, verb: &'static str, source: std::io::Error) -> ProcessError {
        ProcessError::Refused { name: self.name.clone(), verb, source }
    }

    fn end(&mut self) -> std::io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nobody is left to tell; a process that cannot be killed is gone already.
        let _ = self.end();
    }
}

/// Memory and processor time of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Resident now, in KiB.
    pub resident_kib: u64,
    /// Resident at most so far, in KiB.
    pub resident_kib_max: u64,
    /// Processor time so far, user and system, in clock ticks of 10 ms.
    pub cpu_ticks: u64,
}

impl Cost {
    /// Reads `/proc/<pid>`.
    pub fn of(pid: u32) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name stands in brackets and may hold spaces; fields are counted after it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            resident_kib: kib("VmRSS:")?,
            resident_kib_max: kib("VmHWM:")?,
            cpu_ticks: ticks(11)? + ticks(12)?,
        })
    }
}

fn tail_of(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    read().unwrap_or_else(|e| format!("(no log: {e})"))
}

/// Looks every [`LOOK_EVERY`] until `look` is `Ok`, at most for `deadline`. What `look` complains of last is told.
pub fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, TooLate> {
    let started = Instant::now();
    loop {
        match look() {
            Ok(seen) => return Ok(seen),
            Err(last) if started.elapsed() >= deadline => {
                return Err(TooLate {
                    what: what.to_owned(),
                    waited_ms: started.elapsed().as_millis(),
                    last,
                });
            }
            // A foreign process offers nothing to wait on but another look.
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// Below what Linux deals out by itself (32768 and up), so that a port whose owner is dead does not fall to a stranger.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A UDP port of the loopback that is free now, another one each time. If somebody takes it before it is used, then the
/// start fails and says so.
pub fn free_udp_port() -> std::io::Result<u16> {
    free_port(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).map(drop))
}

/// A TCP port of the loopback that is free now, likewise.
pub fn free_tcp_port() -> std::io::Result<u16> {
    free_port(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop))
}

fn free_port(bind: impl Fn(u16) -> std::io::Result<()>) -> std::io::Result<u16> {
    static DEALT: AtomicU16 = AtomicU16::new(0);
    let span = u32::from(PORTS.end - PORTS.start);
    // Processes side by side begin at different places.
    let first = std::process::id().wrapping_mul(7_919) % span;
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for _ in 0..1_000 {
        let step = u32::from(DEALT.fetch_add(1, Ordering::Relaxed));
        let Ok(offset) = u16::try_from((first + step) % span) else { continue };
        match bind(PORTS.start + offset) {
            Ok(()) => return Ok(PORTS.start + offset),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(dir: &Path, script: &str) -> Daemon {
        Daemon::start(&Program {
            name: "shell".into(),
            exe: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![("WORD".into(), "tomato".into())],
            log: dir.join("shell.log"),
        })
        .unwrap()
    }

    fn has_said(daemon: &Daemon, word: &str) {
        wait_until("the shell to speak", SOON, || match daemon.log_tail() {
            tail if tail.contains(word) => Ok(()),
            tail => Err(tail),
        })
        .unwrap();
    }

    #[test]
    fn a_process_that_ends_by_itself_shows_the_end_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut daemon = shell(dir.path(), "echo $WORD; echo disk full >&2; exit 74");
        let error = wait_until("its end", SOON, || daemon.still_runs().err().ok_or("runs".into())).unwrap();
        assert_eq!(
            error.to_string(),
            "shell ended by itself (exit status: 74); the end of its log:\ntomato\ndisk full"
        );
    }

    #[test]
    fn sigterm_is_answered_and_sigkill_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let polite = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let daemon = shell(dir.path(), polite);
        has_said(&daemon, "up");
        assert!(daemon.stop(SOON).unwrap().success());
        let daemon = shell(dir.path(), "trap 'echo farewell' TERM; echo again; while :; do sleep 0.01; done");
        has_said(&daemon, "again");
        let cost = daemon.cost().unwrap();
        assert!(cost.resident_kib > 0 && cost.resident_kib_max >= cost.resident_kib);
        let pid = daemon.pid().unwrap();
        daemon.kill().unwrap();
        assert_eq!(Cost::of(pid), None, "reaped");
        assert!(!tail_of(&dir.path().join("shell.log")).contains("farewell"));
    }

    #[test]
    fn a_process_that_ignores_sigterm_is_killed_at_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let daemon = shell(dir.path(), "trap '' TERM; echo deaf; while :; do sleep 0.01; done");
        has_said(&daemon, "deaf");
        let said = daemon.stop(Duration::from_millis(50)).unwrap_err().to_string();
        assert!(said.starts_with("shell did not stop within ") && said.ends_with("deaf"), "{said}");
    }

    #[test]
    fn a_process_dies_with_the_value_that_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let daemon = shell(dir.path(), "exec sleep 600");
        let pid = daemon.pid().unwrap();
        drop(daemon);
        assert_eq!(Cost::of(pid), None);
    }

    #[test]
    fn a_deadline_says_what_was_awaited_and_what_was_seen() {
        let late =
            wait_until::<()>("the hub", Duration::ZERO, || Err("connection refused".into())).unwrap_err();
        assert_eq!(late.to_string(), "waited 0 ms for the hub; last seen: connection refused");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let said = Daemon::start(&Program {
            name: "hub".into(),
            exe: dir.path().join("missing"),
            args: Vec::new(),
            env: Vec::new(),
            log: dir.path().join("hub.log"),
        })
        .unwrap_err();
        assert_eq!(said.to_string(), "hub could not be started");
    }
}
