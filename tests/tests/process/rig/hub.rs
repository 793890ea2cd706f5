//! The hub as a process, and `hubctl` on its socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toko_tests::door::{DoorError, ask_command};
use toko_tests::process::{Daemon, wait_until};

use super::{Books, DAY, DEMO, SOON, daemon_of, has_alert, order, refused, text, udp};

/// A hub, running or not.
pub(crate) struct Hub {
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    /// The store's recovery code.
    pub(crate) recovery: String,
    logs: PathBuf,
    exe: PathBuf,
    process: Option<Daemon>,
}

impl Hub {
    /// Founds a store in `dir/name` and starts its hub.
    pub(crate) fn found(dir: &Path, name: &str) -> Self {
        let data = dir.join(name);
        let init = ["hubd", "init", "--name", name, "--currency", "GBP", "--json", "--data", text(&data)];
        let told: Value = serde_json::from_str(&order(&init)).unwrap();
        let recovery = told["recovery_code"].as_str().unwrap().to_owned();
        let mut hub =
            Self { data, listen: udp(), recovery, logs: dir.to_owned(), exe: DEMO.into(), process: None };
        hub.start();
        hub
    }

    /// Makes the hub of the next term in `dir/name` out of what one node knows, and starts it.
    pub(crate) fn recover(dir: &Path, name: &str, code: &str, from: SocketAddr) -> Self {
        let (mut hub, told) = Self::recover_with(dir, name, code, &["--peer", &from.to_string()]);
        assert_eq!(told["dark"], serde_json::json!([]), "{told}");
        hub.start();
        hub
    }

    /// Likewise, with more words on the command line; it does not run yet. Returns what the command told, too.
    pub(crate) fn recover_with(dir: &Path, name: &str, code: &str, more: &[&str]) -> (Self, Value) {
        let (data, listen) = (dir.join(name), udp());
        let at = format!("links.listen={listen}");
        let mut args = vec!["hubd", "recover", code, "--name", name, "--json", "--data", text(&data)];
        args.extend(["--set", "links.mdns=false", "--set", &at]);
        args.extend(more);
        let told = serde_json::from_str(&order(&args)).unwrap();
        let (recovery, logs) = (code.to_owned(), dir.to_owned());
        (Self { data, listen, recovery, logs, exe: DEMO.into(), process: None }, told)
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Likewise, with something in its environment.
    pub(crate) fn start_with(&mut self, env: &[(&str, &str)]) {
        let listen = format!("links.listen={}", self.listen);
        let args = ["hubd", "run", "--data", text(&self.data), "--set", "links.mdns=false", "--set", &listen];
        let name = self.data.file_name().unwrap().to_str().unwrap();
        let process = self.process.insert(daemon_of(&self.exe, &self.logs, name, &args, env));
        wait_until("the hub to answer", SOON, || {
            process.still_runs().unwrap_or_else(|ended| panic!("{ended}"));
            hubctl(&self.data, &["status"]).map_err(|silent| silent.to_string())
        })
        .unwrap();
    }

    /// From the next start on it is of this build.
    pub(crate) fn becomes(&mut self, exe: &Path) {
        self.exe = exe.to_owned();
    }

    /// SIGTERM, and it must end well.
    pub(crate) fn stop(&mut self) {
        let status = self.take().stop(SOON).unwrap();
        assert!(status.success(), "{status}");
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.take().kill().unwrap();
    }

    /// Its process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().and_then(Daemon::pid).expect("the hub runs")
    }

    /// SIGSTOP: it hangs with its sockets open.
    pub(crate) fn hang(&self) {
        self.process.as_ref().expect("the hub runs").hang().unwrap();
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) {
        self.process.as_ref().expect("the hub runs").go_on().unwrap();
    }

    /// The process, for whoever ends it.
    pub(crate) fn take(&mut self) -> Daemon {
        self.process.take().expect("the hub runs")
    }

    /// Asks it.
    pub(crate) fn ctl(&self, args: &[&str]) -> Value {
        hubctl(&self.data, args).unwrap()
    }

    /// Asks it for what it must refuse.
    pub(crate) fn refuses(&self, args: &[&str]) -> (i32, String) {
        refused(&[&["hubctl", "--json", "--data", text(&self.data)], args].concat())
    }

    /// A one-time code for a new terminal.
    pub(crate) fn code(&self, name: &str) -> String {
        self.ctl(&["enrol", name])["code"].as_str().unwrap().to_owned()
    }

    /// Imports a catalogue.
    pub(crate) fn import(&self, csv: &str) {
        let file = self.logs.join("items.csv");
        std::fs::write(&file, csv).unwrap();
        self.ctl(&["catalogue", "import", text(&file)]);
    }

    /// What it says of the books.
    pub(crate) fn books(&self) -> Result<Books, String> {
        let ask = |args: &[&str]| hubctl(&self.data, args).map_err(|silent| silent.to_string());
        let totals = ask(&["sales", "--day", DAY])?;
        Ok(Books::of(&ask(&["status"])?, &totals["days"][0]))
    }

    /// The state of a terminal, by its name: `linked`, `dark`, `revoked`.
    pub(crate) fn state_of(&self, terminal: &str) -> String {
        let terminals = self.ctl(&["terminals"]);
        let rows = terminals["terminals"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == terminal).unwrap();
        row["state"].as_str().unwrap().to_owned()
    }

    /// Waits until its status is as wanted.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_until(&format!("{what} at the hub"), SOON, || {
            let status = hubctl(&self.data, &["status"]).map_err(|silent| silent.to_string())?;
            if wanted(&status) { Ok(status) } else { Err(status.to_string()) }
        })
        .unwrap()
    }

    /// Waits for an alert.
    pub(crate) fn alerts(&self, code: &str) {
        self.until(code, |status| has_alert(status, code));
    }
}

fn hubctl(data: &Path, args: &[&str]) -> Result<Value, DoorError> {
    let all = [&["--as", "hubctl", "--json", "--data", text(data)], args].concat();
    ask_command(Path::new(DEMO), &all, SOON)
}
