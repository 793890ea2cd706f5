//! The real program: its commands, its exit codes, a power cut in the middle of a cart, and an orderly stop.

use crate::common::{Shop, enrol, text};
use serde_json::json;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use terminal_agent::ask::Door;
use terminal_agent::desk::Desk;
use tokio::net::UnixDatagram;

const PROGRAM: &str = env!("CARGO_BIN_EXE_terminal-agent");
const SOON: Duration = Duration::from_secs(20);

fn program(args: &[&str], data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).arg("--data").arg(data);
    command.env_remove("STATE_DIRECTORY").env_remove("NOTIFY_SOCKET");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(args: &[&str], data: &Path) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program(args, data).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A till that runs as a process; it dies with the value.
struct Running {
    child: Child,
    door: Door,
}

impl Running {
    async fn start(data: &Path) -> Self {
        let desk = Desk::new(data);
        drop(std::fs::remove_file(data.join("api-addr")));
        let settings = ["run", "--set", "api.listen=127.0.0.1:0", "--set", "till.currency=GBP"];
        let links = ["--set", "links.listen=127.0.0.1:0", "--set", "links.mdns=false"];
        // It says when it is ready, as to systemd.
        let ear = data.with_extension("ready");
        drop(std::fs::remove_file(&ear));
        let listening = UnixDatagram::bind(&ear).unwrap();
        let mut command = program(&[&settings[..], &links[..]].concat(), data);
        let mut child = command.env("NOTIFY_SOCKET", &ear).spawn().unwrap();
        let ready = async {
            let mut said = [0; 512];
            loop {
                let count = listening.recv(&mut said).await.unwrap();
                if said[..count].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                    return;
                }
            }
        };
        if tokio::time::timeout(SOON, ready).await.is_err() {
            drop(child.kill());
            let output = child.wait_with_output().unwrap();
            panic!("the till did not come up: {}", String::from_utf8_lossy(&output.stderr));
        }
        let (address, token) = (desk.address().unwrap().unwrap(), desk.token().unwrap());
        Self { child, door: Door { address, token } }
    }

    async fn call(&self, method: &str, path: &str, key: &str, body: serde_json::Value) -> serde_json::Value {
        let method = hyper::Method::from_bytes(method.as_bytes()).unwrap();
        let body = if body.is_null() { None } else { Some(body) };
        let (status, answer) = self.door.call(method, path, Some(key), body.as_ref()).await.unwrap();
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

mod run_alone {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn kill_9_in_the_middle_of_a_cart_and_it_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("till");
        enrol(&data, 1).await;
        let till = Running::start(&data).await;
        let cart = text(&till.call("POST", "/v1/carts", "c", json!({})).await["cart"]);
        let lines = format!("/v1/carts/{cart}/lines");
        for at in 0..5 {
            till.call("POST", &lines, &format!("l{at}"), json!({ "code": "71053", "qty": "1" })).await;
        }
        // Whatever must be durable takes what came before it along.
        till.call(
            "POST",
            &format!("/v1/carts/{cart}/tenders"),
            "t",
            json!({ "kind": "cash", "amount": "20" }),
        )
        .await;
        drop(till);

        let till = Running::start(&data).await;
        let seen = till.call("GET", &format!("/v1/carts/{cart}"), "-", json!(null)).await;
        assert_eq!((seen["lines"].as_array().unwrap().len(), seen["due"].as_str()), (5, Some("0.00")));
        till.call("POST", &lines, "l4", json!({ "code": "71053", "qty": "1" })).await;
        till.call("POST", &lines, "l5", json!({ "code": "71053", "qty": "1" })).await;
        let sale = format!("/v1/carts/{cart}/sale");
        let first =
            till.call("POST", &sale, "s", json!({ "tenders": [{ "kind": "cash", "amount": "1" }] })).await;
        assert_eq!((first["total"].as_str(), first["line_count"].as_u64()), (Some("20.34"), Some(6)));
        drop(till);

        let till = Running::start(&data).await;
        let again =
            till.call("POST", &sale, "s", json!({ "tenders": [{ "kind": "cash", "amount": "1" }] })).await;
        assert_eq!(again, first);
        let totals = till.call("GET", "/v1/totals", "-", json!(null)).await;
        assert_eq!(totals["sales"], 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sigterm_stops_in_stages_and_status_is_told_to_whoever_asks() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("till");
        enrol(&data, 2).await;
        let mut till = Running::start(&data).await;
        let (code, out, _) = said(&["status"], &data);
        assert!(code == 0 && out.starts_with("Till 2 (terminal 2, series 1)"), "{code} {out}");
        let (code, out, _) = said(&["status", "--json"], &data);
        let status: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, status["catalogue"]["items"].as_u64()), (0, Some(4)));
        let (code, _, err) = said(&["run", "--set", "api.listen=127.0.0.1:0"], &data);
        assert!(code == 74 && err.contains("open in another process"), "{code} {err}");
        let pid = rustix::process::Pid::from_child(&till.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = till.child.wait().unwrap();
        let mut log = String::new();
        std::io::Read::read_to_string(&mut till.child.stderr.take().unwrap(), &mut log).unwrap();
        assert!(status.success(), "{log}");
        for stage in ["requests in hand", "carts saved", "node closed"] {
            assert!(log.contains(stage), "{stage}: {log}");
        }
        let (code, _, err) = said(&["status"], &data);
        assert!(code == 76 && err.contains("does not answer"), "{code} {err}");
    }
}

#[test]
fn a_wrong_command_line_a_wrong_setting_and_a_wrong_directory_have_their_codes() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = said(&["sell"], dir.path());
    assert!(code == 64 && err.contains("sell"), "{code} {err}");
    let (code, _, err) = said(&["run", "--set", "api.listen=0.0.0.0:1", "--set", "tea.milk=yes"], dir.path());
    assert!(code == 78 && err.contains("tea.milk"), "{code} {err}");
    let (code, _, err) = said(&["run", "--set", "api.listen=0.0.0.0:1"], dir.path());
    assert!(code == 78 && err.contains("not on loopback"), "{code} {err}");
    let (code, _, err) = said(&["run"], dir.path());
    assert!(code == 74 && err.contains("empty"), "{code} {err}");
    std::fs::write(dir.path().join("holiday.jpg"), "x").unwrap();
    let (code, _, err) = said(&["run"], dir.path());
    assert!(code == 74 && err.contains("holiday.jpg"), "{code} {err}");
    let (code, out, _) = said(&["config", "check", "--set", "receipt.columns=32"], dir.path());
    assert!(code == 0 && out.contains("receipt.columns = 32  # flag"), "{code} {out}");
    assert!(out.contains("api.listen = \"127.0.0.1:7480\"  # default"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tills_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    let second =
        terminal_agent::service::Agent::start(&dir.path().join("till-1"), &crate::common::config()).await;
    assert!(second.unwrap_err().to_string().contains("open in another process"));
    shop.close().await;
}
