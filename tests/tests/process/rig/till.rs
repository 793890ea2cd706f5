//! A till as a process, and its API as a till screen uses it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use toko_tests::door::{Answer, Api, DoorError};
use toko_tests::process::{Daemon, wait_until};

use super::{Books, DAY, DEMO, Hub, SOON, daemon_of, has_alert, order, text, udp};

/// How long one request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A terminal, running or not.
pub(crate) struct Till {
    pub(crate) name: String,
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    hub: SocketAddr,
    logs: PathBuf,
    exe: PathBuf,
    running: Option<(Daemon, Api)>,
}

impl Till {
    /// Enrols a new terminal; it does not run yet.
    pub(crate) fn enrol(dir: &Path, hub: &Hub, name: &str) -> Self {
        Self::enrol_in(dir, &dir.join(name), hub, name)
    }

    /// Likewise, in a directory of its own choice. Its log goes to `dir`.
    pub(crate) fn enrol_in(dir: &Path, data: &Path, hub: &Hub, name: &str) -> Self {
        Self::enrol_with(dir, data, hub, name, &hub.code(name))
    }

    /// Likewise, with a code that was asked for before.
    pub(crate) fn enrol_with(dir: &Path, data: &Path, hub: &Hub, name: &str, code: &str) -> Self {
        let at = hub.listen.to_string();
        let said = order(&["terminal-agent", "enrol", code, "--hub", &at, "--data", text(data)]);
        assert!(said.contains(name), "{said}");
        Self::over(dir, data, hub.listen, name)
    }

    /// A terminal over a directory that is there already.
    pub(crate) fn over(dir: &Path, data: &Path, hub: SocketAddr, name: &str) -> Self {
        let (name, data, logs) = (name.to_owned(), data.to_owned(), dir.to_owned());
        Self { name, data, listen: udp(), hub, logs, exe: DEMO.into(), running: None }
    }

    /// Points it at another hub, from the next start on.
    pub(crate) fn point_at(&mut self, hub: SocketAddr) {
        self.hub = hub;
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Likewise, with something in its environment.
    pub(crate) fn start_with(&mut self, env: &[(&str, &str)]) {
        let mut process = self.launch(&[], env);
        let api = wait_until(&format!("{} to answer", self.name), SOON, || {
            process.still_runs().unwrap_or_else(|ended| panic!("{ended}"));
            let api = self.reach()?;
            api.get("/v1/status").map(|_| api).map_err(|silent| silent.to_string())
        });
        self.running = Some((process, api.unwrap()));
    }

    /// Its API, as far as the process that was started last has said where that is.
    pub(crate) fn reach(&self) -> Result<Api, String> {
        let at = std::fs::read_to_string(self.data.join("api-addr")).map_err(|absent| absent.to_string())?;
        let token = std::fs::read_to_string(self.data.join("api-token")).unwrap();
        Ok(Api::new(&format!("http://{}", at.trim()), token.trim(), ANSWER_WITHIN))
    }

    /// Starts a process, with more settings, and waits for nothing.
    pub(crate) fn launch(&self, more: &[&str], env: &[(&str, &str)]) -> Daemon {
        // What stands there is where it, or whom it was copied from, listened before.
        drop(std::fs::remove_file(self.data.join("api-addr")));
        let settings = [
            "api.listen=127.0.0.1:0".to_owned(),
            "till.currency=GBP".to_owned(),
            "links.mdns=false".to_owned(),
            format!("links.listen={}", self.listen),
            format!("links.hub={}", self.hub),
        ];
        let mut args = vec!["terminal-agent", "run", "--data", text(&self.data)];
        settings.iter().for_each(|setting| args.extend(["--set", setting]));
        more.iter().for_each(|setting| args.extend(["--set", setting]));
        daemon_of(&self.exe, &self.logs, &self.name, &args, env)
    }

    /// From the next start on it is of this build.
    pub(crate) fn becomes(&mut self, exe: &Path) {
        self.exe = exe.to_owned();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.take().kill().unwrap();
    }

    /// SIGTERM, and it must end well.
    pub(crate) fn stop(&mut self) {
        let status = self.take().stop(SOON).unwrap();
        assert!(status.success(), "{status}");
    }

    /// Whether it was started and not stopped.
    pub(crate) fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// The process, for whoever ends it.
    pub(crate) fn take(&mut self) -> Daemon {
        self.running.take().expect("the till runs").0
    }

    /// Its process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().and_then(|(process, _)| process.pid()).expect("the till runs")
    }

    /// Its API, as it runs now.
    pub(crate) fn api(&self) -> &Api {
        &self.running.as_ref().expect("the till runs").1
    }

    /// What it wrote last.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.logs.join(format!("{}.log", self.name))).unwrap()
    }

    /// One `POST`.
    pub(crate) fn post(&self, path: &str, key: &str, body: &Value) -> Result<Value, DoorError> {
        self.api().post(path, Some(key), body)
    }

    /// One `POST`, whatever comes of it.
    pub(crate) fn try_post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.api().call("POST", path, &[("Idempotency-Key", key)], Some(body)).unwrap()
    }

    /// One `GET`.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.api().get(path).unwrap()
    }

    /// Opens a cart.
    pub(crate) fn cart(&self, key: &str) -> String {
        self.post("/v1/carts", key, &json!({})).unwrap()["cart"].as_str().unwrap().to_owned()
    }

    /// Scans one lantern.
    pub(crate) fn scan(&self, cart: &str, key: &str) {
        let line = json!({ "code": "71053", "qty": "1" });
        self.post(&format!("/v1/carts/{cart}/lines"), key, &line).unwrap();
    }

    /// Turns a cart into a sale, paid in cash.
    pub(crate) fn close(&self, cart: &str, key: &str, cash: &str) -> Value {
        self.post(&format!("/v1/carts/{cart}/sale"), key, &paid(cash)).unwrap()
    }

    /// Sells one lantern. Every key is used once.
    pub(crate) fn sell(&self, key: &str) -> Value {
        sell(self.api(), key)
    }

    /// How it is.
    pub(crate) fn status(&self) -> Value {
        self.get("/v1/status")
    }

    /// What it says of the books.
    pub(crate) fn books(&self) -> Result<Books, String> {
        let ask = |path: &str| self.api().get(path).map_err(|silent| silent.to_string());
        let totals = ask(&format!("/v1/totals?day={DAY}"))?;
        Ok(Books::of(&ask("/v1/status")?, &totals))
    }

    /// Waits until its status is as wanted.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until_at("/v1/status", what, wanted)
    }

    /// Waits until it answers as wanted.
    pub(crate) fn until_at(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_until(&format!("{what} at {}", self.name), SOON, || {
            let answer = self.api().get(path).map_err(|silent| silent.to_string())?;
            if wanted(&answer) { Ok(answer) } else { Err(answer.to_string()) }
        })
        .unwrap()
    }

    /// Waits for an alert.
    pub(crate) fn alerts(&self, code: &str) {
        self.until(code, |status| has_alert(status, code));
    }
}

/// Sells one lantern over an API: a cart, a line, a sale.
pub(crate) fn sell(api: &Api, key: &str) -> Value {
    let post = |path: &str, step: &str, body: Value| api.post(path, Some(&format!("{key}-{step}")), &body);
    let cart = post("/v1/carts", "cart", json!({})).unwrap();
    let path = format!("/v1/carts/{}", cart["cart"].as_str().unwrap());
    post(&format!("{path}/lines"), "line", json!({ "code": "71053", "qty": "1" })).unwrap();
    post(&format!("{path}/sale"), "sale", paid("3.39")).unwrap()
}

/// A closing, paid in cash.
pub(crate) fn paid(cash: &str) -> Value {
    json!({ "tenders": [{ "kind": "cash", "amount": cash }] })
}
