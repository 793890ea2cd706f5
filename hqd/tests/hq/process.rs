//! `hqd` as a process of its own, as systemd starts it.

use crate::store::SOON;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::time::{Instant, timeout};
use toko_daemon::ask::{Ask, Method};

/// Files that a shell allows, far fewer than the system does: fewer than the stores of one test keep open.
const SHELL_FILES: u32 = 128;
/// How long it may take to say that it is ready, for each store.
const READY_EACH: Duration = Duration::from_secs(1);

/// An `hqd` of its own process. Killed when it is dropped.
pub(crate) struct Hqd {
    process: Child,
    ask: Ask,
    log: PathBuf,
    /// The socket that systemd would give it.
    systemd: UnixDatagram,
}

/// What a process has of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Threads that are named by their work: a store's own.
    pub(crate) store_threads: u64,
    pub(crate) threads: u64,
    pub(crate) files: u64,
    pub(crate) memory_kib: u64,
    /// Time that it had of processors so far.
    pub(crate) processor_ms: u64,
}

impl Hqd {
    /// Starts one, and waits until it says that it is ready. Returns how long that took.
    pub(crate) async fn start(data: &Path, stores: u64) -> (Self, Duration) {
        let (notify, log) = (data.with_extension("notify"), data.with_extension("log"));
        let systemd = UnixDatagram::bind(&notify).unwrap();
        let began = Instant::now();
        let process = Command::new("sh")
            .args(["-c", &format!("ulimit -S -n {SHELL_FILES} && exec \"$0\" \"$@\"")])
            .args([env!("CARGO_BIN_EXE_hqd"), "run", "--set", "links.listen=127.0.0.1:0", "--data"])
            .arg(data)
            .env("NOTIFY_SOCKET", &notify)
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let hqd = Self { process, ask: Ask::new("hqd", data.join("hqd.sock")), log, systemd };
        hqd.says("READY=1", SOON + READY_EACH * u32::try_from(stores).unwrap()).await;
        (hqd, began.elapsed())
    }

    /// Waits until it says something to systemd; what it said before is passed over.
    pub(crate) async fn says(&self, word: &str, patience: Duration) {
        let mut said = Vec::new();
        let wait = async {
            let mut buffer = [0; 4_096];
            while !said.iter().any(|line| line == word) {
                let length = self.systemd.recv(&mut buffer).await.unwrap();
                said.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned));
            }
        };
        assert!(timeout(patience, wait).await.is_ok(), "no {word}: {said:?}\n{}", self.log());
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask.ask(Method::GET, path, None).await.unwrap()
    }

    pub(crate) fn footprint(&self) -> Footprint {
        let proc = Path::new("/proc").join(self.process.id().to_string());
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let figures: BTreeMap<&str, u64> = status
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter_map(|(key, rest)| Some((key, rest.split_whitespace().next()?.parse().ok()?)))
            .collect();
        let tasks = fs::read_dir(proc.join("task")).unwrap().map(|task| task.unwrap().path().join("comm"));
        let names = tasks.filter_map(|comm| fs::read_to_string(comm).ok());
        Footprint {
            store_threads: names.filter(|name| name.starts_with("toko-")).count() as u64,
            threads: figures["Threads"],
            files: fs::read_dir(proc.join("fd")).unwrap().count() as u64,
            memory_kib: figures["VmRSS"],
            processor_ms: processor_ms(&proc),
        }
    }

    /// Stops it as systemd does, and waits until it is gone. Returns how long that took.
    pub(crate) async fn stop(mut self) -> Duration {
        let began = Instant::now();
        rustix::process::kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let mut process = std::mem::replace(&mut self.process, Command::new("true").spawn().unwrap());
        let ended = tokio::task::spawn_blocking(move || process.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{ended}\n{}", self.log());
        began.elapsed()
    }
}

/// The kernel counts in hundredths of a second.
fn processor_ms(proc: &Path) -> u64 {
    let stat = fs::read_to_string(proc.join("stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let field = |nth: usize| after_name.split(' ').nth(nth).unwrap().parse::<u64>().unwrap();
    (field(11) + field(12)) * 10
}

impl Drop for Hqd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
