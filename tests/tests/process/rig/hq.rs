//! Headquarters as a process, and `hqd`'s commands on its socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toko_tests::door::{DoorError, ask_command};
use toko_tests::process::{Daemon, wait_until};

use super::{DAY, DEMO, Hub, SOON, daemon, order, text, udp};

/// A headquarters of one store, running or not.
pub(crate) struct Hq {
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    logs: PathBuf,
    process: Option<Daemon>,
}

/// What people call the store there.
const STORE: &str = "High Street";

impl Hq {
    /// Makes a headquarters in `dir/hq`, starts it, and lets a hub join.
    pub(crate) fn join(dir: &Path, hub: &Hub) -> Self {
        let data = dir.join("hq");
        order(&["hqd", "init", "--name", "Head office", "--data", text(&data)]);
        let mut hq = Self { data, listen: udp(), logs: dir.to_owned(), process: None };
        hq.start();
        let code = hq.ctl(&["add-store", STORE, "--currency", "GBP"])["code"].as_str().unwrap().to_owned();
        let safe = dir.join("recovery-code");
        std::fs::write(&safe, &hub.recovery).unwrap();
        hub.ctl(&["join-hq", &code, "--hq", &hq.listen.to_string(), "--recovery-code", text(&safe)]);
        hq
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) {
        let listen = format!("links.listen={}", self.listen);
        let args =
            ["hqd", "run", "--data", text(&self.data), "--set", &listen, "--set", "books.watermark_every=1s"];
        let process = self.process.insert(daemon(&self.logs, "hq", &args, &[]));
        wait_until("headquarters to answer", SOON, || {
            process.still_runs().unwrap_or_else(|ended| panic!("{ended}"));
            hqd(&self.data, &["stores"]).map_err(|silent| silent.to_string())
        })
        .unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("headquarters runs").kill().unwrap();
    }

    /// SIGTERM, and it must end well.
    pub(crate) fn stop(&mut self) {
        let status = self.process.take().expect("headquarters runs").stop(SOON).unwrap();
        assert!(status.success(), "{status}");
    }

    /// Asks it.
    pub(crate) fn ctl(&self, args: &[&str]) -> Value {
        hqd(&self.data, args).unwrap()
    }

    /// Gives all stores a catalogue.
    pub(crate) fn publish(&self, name: &str, csv: &str) {
        let file = self.logs.join(format!("{name}.csv"));
        std::fs::write(&file, csv).unwrap();
        self.ctl(&["publish", text(&file), "--all", "--name", name]);
    }

    /// Waits until it holds what the hub holds and made the same of it, and that is what was sold.
    pub(crate) fn agrees(&self, hub: &Hub, sales: i64, net: &str) {
        wait_until("headquarters to hold what the hub holds", SOON, || {
            let ask = |args: &[&str]| hqd(&self.data, args).map_err(|silent| silent.to_string());
            let store = ask(&["stores"])?["stores"][0].clone();
            let status = hub.ctl(&["status"]);
            let report = ask(&["report", "--day", DAY])?["days"][0].clone();
            let same = store["frontier"] == status["books_frontier"]
                && store["digests"]["books"] == status["digests"]["books"];
            let right = report["sales"] == sales && report["net"] == net;
            if same && right { Ok(()) } else { Err(format!("{store} {report}")) }
        })
        .unwrap();
    }

    /// Alerts that it shows.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let answer = self.ctl(&["status"]);
        let alerts = answer["alerts"].as_array().cloned().unwrap_or_default();
        alerts.iter().map(|alert| alert["code"].as_str().unwrap().to_owned()).collect()
    }
}

fn hqd(data: &Path, args: &[&str]) -> Result<Value, DoorError> {
    let all = [&["--as", "hqd"], args, &["--json", "--data", text(data)]].concat();
    ask_command(Path::new(DEMO), &all, SOON)
}
