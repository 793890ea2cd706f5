//! Processes as systemd sees them: what they say, how they stop, and what they refuse to start with.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use toko_tests::process::{Daemon, wait_until};

use crate::rig::{SOON, Shop, daemon, order, refused, text, udp};

/// What the daemons' stages may take together, as their units allow it, and some more for a busy machine.
const STOP_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

mod run_alone {
    use super::*;

    #[test]
    fn sigterm_stops_each_daemon_in_stages_and_systemd_is_told() {
        let mut shop = Shop::open(1);
        let dir = shop.dir.path();
        let systemd = Systemd::listen(dir);
        let (hub, till) = (&mut shop.hub, &mut shop.tills[0]);
        till.stop();
        hub.kill();
        hub.start_with(&systemd.env());
        systemd.hears("READY=1");
        till.start_with(&systemd.env());
        systemd.hears("READY=1");
        systemd.hears("STATUS=");
        till.sell("a");
        systemd.sees_off(till.take());
        systemd.sees_off(hub.take());
        assert!(!hub.data.join("hubctl.sock").exists());

        let data = dir.join("hq");
        order(&["hqd", "init", "--name", "Head office", "--data", text(&data)]);
        let listen = format!("links.listen={}", udp());
        let run = ["hqd", "run", "--data", text(&data), "--set", &listen];
        let hq = daemon(dir, "hq", &run, &systemd.env());
        systemd.hears("READY=1");
        systemd.sees_off(hq);

        // What was there is there.
        hub.start();
        till.start();
        assert_eq!(till.sell("b")["number"], "1-1-000002");
    }

    #[test]
    fn a_second_process_on_a_directory_is_refused() {
        let shop = Shop::open(1);
        let (hub, till) = (&shop.hub, &shop.tills[0]);
        for (daemon, data) in [("hubd", &hub.data), ("terminal-agent", &till.data)] {
            let run = [daemon, "run", "--data", text(data), "--set", "links.listen=127.0.0.1:0"];
            let (exit, said) = refused(&run);
            assert!(exit == 74 && said.contains("is open in another process"), "{exit} {said}");
        }
        assert_eq!(till.sell("a")["number"], "1-1-000001");
        assert!(hub.books().is_ok());
    }
}

#[test]
fn an_unknown_setting_is_named_with_its_path_and_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.toml");
    for daemon in ["hubd", "terminal-agent", "hqd"] {
        let data = dir.path().join(daemon);
        for command in [&["run"][..], &["config", "check"]] {
            let run = |more: &[&str]| {
                let (exit, said) = refused(&[&[daemon], command, &["--data", text(&data)], more].concat());
                assert_eq!(exit, 78, "{said}");
                said
            };
            std::fs::write(&file, "[links]\nlsten = \"127.0.0.1:0\"\n[tea]\nmilk = true\n").unwrap();
            let said = run(&["--config", text(&file)]);
            for line in ["links.lsten: there is no such setting", "tea.milk: there is no such setting"] {
                assert!(said.contains(&format!("{}: {line}", file.display())), "{said}");
            }
            std::fs::write(&file, "[links]\nlisten = 7\n").unwrap();
            let said = run(&["--config", text(&file), "--set", "links.colour=red"]);
            assert!(said.contains("links.listen: expected string, found integer"), "{said}");
            assert!(said.contains("flag: links.colour: there is no such setting"), "{said}");
            let said = run(&["--set", "links.listen=here"]);
            assert!(said.contains("links.listen: \"here\" is no address and port"), "{said}");
        }
        assert!(!data.exists());
    }
}

#[test]
fn a_wrong_command_line_is_told_apart_from_a_wrong_setting() {
    for daemon in ["hubd", "terminal-agent", "hqd", "hubctl"] {
        for args in [&[daemon, "--frobnicate"][..], &[daemon, "sing"], &[daemon]] {
            let (exit, said) = refused(args);
            assert!(exit == 64 && said.contains("Usage"), "{args:?}: {exit} {said}");
        }
    }
    for daemon in ["hubd", "terminal-agent", "hqd"] {
        let (exit, said) = refused(&[daemon, "run", "--set", "links.listen"]);
        assert!(exit == 64 && said.contains("KEY=VALUE"), "{exit} {said}");
    }
}

/// The socket that systemd would give its services.
struct Systemd {
    socket: UnixDatagram,
    path: String,
}

impl Systemd {
    fn listen(dir: &Path) -> Self {
        let path = dir.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, path: text(&path).to_owned() }
    }

    fn env(&self) -> [(&str, &str); 1] {
        [("NOTIFY_SOCKET", &self.path)]
    }

    /// Waits until somebody says this; what was said before is passed over.
    fn hears(&self, word: &str) {
        let mut heard = Vec::new();
        wait_until(&format!("{word} to be said"), SOON, || {
            let mut buffer = [0; 4_096];
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    if said.lines().any(|line| line.starts_with(word)) {
                        return Ok(());
                    }
                    heard.push(said);
                }
                Err(nothing) => assert_eq!(nothing.kind(), ErrorKind::WouldBlock, "{nothing}"),
            }
            Err(format!("{heard:?}"))
        })
        .unwrap();
    }

    /// SIGTERM; it says that it stops, and ends well within its deadline, with a line for each stage.
    fn sees_off(&self, daemon: Daemon) {
        let name = daemon.name().to_owned();
        let log = daemon.log().to_owned();
        let status = daemon.stop(STOP_WITHIN).unwrap();
        assert!(status.success(), "{name}: {status}");
        self.hears("STOPPING=1");
        let said = std::fs::read_to_string(log).unwrap();
        let stages = said.lines().filter(|line| line.contains("stage=") && line.contains("stopped")).count();
        assert!(stages >= 2, "{name}: {said}");
        assert!(!said.contains("not done in time"), "{name}: {said}");
    }
}
