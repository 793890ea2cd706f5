//! Disks that are full, directories that are empty, foreign or half there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use toko_tests::door::Answer;

use crate::rig::till::paid;
use crate::rig::{Hub, LANTERN, Shop, Till, agree, copy, refused, text};

mod run_alone {
    use super::*;

    /// F07.
    #[test]
    fn an_empty_foreign_or_damaged_directory_is_never_taken_for_a_new_node() {
        let mut shop = Shop::open(1);
        shop.tills[0].sell("a");
        shop.agrees(1, LANTERN);
        shop.hub.kill();
        let (hub, till) = (shop.hub.data.clone(), shop.tills[0].data.clone());
        let spoilt = shop.dir.path().join("spoilt");
        let refuses = |daemon: &str, words: &str| {
            let before = listing(&spoilt);
            let (exit, said) = refused(&[daemon, "run", "--data", text(&spoilt)]);
            assert!(exit == 74 && said.contains(words), "{exit} {said}");
            assert!(said.contains(text(&spoilt)), "{said}");
            assert_eq!(listing(&spoilt), before, "nothing was changed");
        };
        let spoil = |how: &dyn Fn(&Path)| {
            drop(fs::remove_dir_all(&spoilt));
            copy(&hub, &spoilt);
            // A power cut leaves no socket that anybody listens on.
            drop(fs::remove_file(spoilt.join("hubctl.sock")));
            how(&spoilt);
        };
        for daemon in ["hubd", "terminal-agent"] {
            drop(fs::remove_dir_all(&spoilt));
            refuses(daemon, "is missing; this node keeps its data there, so either the disk is not mounted");
            fs::create_dir(&spoilt).unwrap();
            refuses(daemon, "is empty; this node keeps its data there, so either the disk is not mounted");
            fs::write(spoilt.join("holiday.jpg"), "x").unwrap();
            refuses(daemon, "holds \"holiday.jpg\" and no file STORE, so it is not a node's directory");
        }
        spoil(&|dir| {
            fs::remove_file(dir.join("STORE")).unwrap();
            fs::remove_file(dir.join("hubd.toml")).unwrap();
            fs::remove_dir_all(dir.join("journal")).unwrap();
            fs::create_dir(dir.join("journal")).unwrap();
        });
        refuses("hubd", "was being set up when that was cut short");
        spoil(&|dir| fs::remove_file(dir.join("STORE")).unwrap());
        refuses("hubd", "its file STORE is gone, and its journal is not empty");
        spoil(&|dir| fs::remove_file(dir.join("node.key")).unwrap());
        refuses("hubd", "its key file node.key is gone");
        spoil(&|dir| assert!(fs::copy(till.join("node.key"), dir.join("node.key")).is_ok()));
        refuses("hubd", "its key file node.key is another node's");
        spoil(&|dir| fs::remove_dir_all(dir.join("journal")).unwrap());
        refuses("hubd", "its journal is gone");
        spoil(&|dir| {
            for part in files(&dir.join("journal")) {
                fs::remove_file(part).unwrap();
            }
        });
        let (exit, said) = refused(&["hubd", "run", "--data", text(&spoilt)]);
        assert!(exit == 74 && said.contains("its journal knows of no member"), "{exit} {said}");
        spoil(&|dir| fs::write(dir.join("STORE"), "toko-store 9\n").unwrap());
        refuses("hubd", "was made by a newer build");
        spoil(&|_| ());
        refuses("terminal-agent", "is a hub's directory, this is a terminal");

        // Meanwhile the till sells, and the hub is whole.
        shop.tills[0].sell("b");
        shop.hub.start();
        shop.agrees(2, 2 * LANTERN);
    }

    /// F02, F06.
    #[test]
    fn what_a_disk_spoilt_is_set_aside_and_its_peers_give_it_back() {
        let mut shop = Shop::open(2);
        (0..6).for_each(|at| drop(shop.tills[0].sell(&format!("a{at}"))));
        let before = shop.agrees(6, 6 * LANTERN);
        shop.tills[0].kill();
        spoil_the_tail(&shop.tills[0].data);
        shop.tills[0].start();
        let number = shop.tills[0].sell("b")["number"].as_str().unwrap().to_owned();
        let series: u32 = number.split('-').nth(1).unwrap().parse().unwrap();
        assert!(series >= 1_000, "{number}: what it had numbered may be spoilt");
        let after = shop.agrees(7, 7 * LANTERN);
        assert_ne!(after.digests[0], before.digests[0]);
        shop.tills[0].alerts("disk-spoilt");
        shop.hub.kill();
        spoil_the_tail(&shop.hub.data);
        shop.hub.start();
        assert_eq!(shop.agrees(7, 7 * LANTERN).digests[0], after.digests[0]);
        shop.hub.alerts("disk-spoilt");
        let next = shop.tills[0].sell("c");
        assert_eq!(next["number"], format!("1-{series}-000002"), "one series for one damage");
        shop.agrees(8, 8 * LANTERN);
    }

    /// F07.
    #[test]
    fn views_that_are_gone_are_made_again_from_the_log() {
        let mut shop = Shop::open(1);
        (0..5).for_each(|at| drop(shop.tills[0].sell(&format!("a{at}"))));
        let before = shop.agrees(5, 5 * LANTERN);
        shop.hub.kill();
        shop.tills[0].stop();
        for journal in [shop.hub.data.join("journal"), shop.tills[0].data.join("journal")] {
            let views: Vec<PathBuf> =
                files(&journal).into_iter().filter(|file| file.ends_with("views.redb")).collect();
            assert_eq!(views.len(), 1, "{:?}", listing(&journal));
            fs::remove_file(&views[0]).unwrap();
        }
        shop.hub.start();
        shop.tills[0].start();
        assert_eq!(shop.agrees(5, 5 * LANTERN).digests[0], before.digests[0]);
        assert_eq!(shop.tills[0].sell("b")["number"], "1-1-000006");
    }

    /// F04.
    #[test]
    fn a_node_that_does_not_fit_on_its_disk_is_not_set_up_by_halves() {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path().join("small disk");
        let Some(disk) = SmallDisk::mount(&mount, 8) else { return };
        let inside = mount.join("hub");
        for place in [&mount, &inside] {
            let (exit, said) =
                refused(&["hubd", "init", "--name", "Shop", "--currency", "GBP", "--data", text(place)]);
            assert!(exit == 74 && said.contains("No space left on device"), "{exit} {said}");
            assert_eq!(listing(place), [], "nothing is left behind");
        }
        // A till finds that out before it shows its code, which is good for another disk then.
        let hub = Hub::found(dir.path(), "hub");
        let (code, at) = (hub.code("Till 1"), hub.listen.to_string());
        let enrol = ["terminal-agent", "enrol", &code, "--hub", &at, "--data", text(&inside)];
        let (exit, said) = refused(&enrol);
        assert!(exit == 74 && said.contains("No space left on device"), "{exit} {said}");
        assert_eq!(listing(&mount), [], "nothing is left behind");
        drop(Till::enrol_with(dir.path(), &dir.path().join("Till 1"), &hub, "Till 1", &code));
        drop(disk);
    }

    /// F04.
    #[test]
    fn a_full_disk_refuses_clearly_loses_nothing_and_sells_again_once_there_is_room() {
        let mut shop = Shop::open(1);
        let mount = shop.dir.path().join("small disk");
        let Some(disk) = SmallDisk::mount(&mount, 48) else { return };
        let mut till = Till::enrol_in(shop.dir.path(), &mount.join("till"), &shop.hub, "Till 2");
        till.start();
        till.until("the catalogue", |status| status["catalogue"]["items"] == 2);
        till.sell("a");
        agree(&shop.hub, &[&till], 1, LANTERN);
        // Nobody else needs to hear what fills this disk.
        shop.hub.kill();
        shop.tills[0].kill();
        disk.fill();

        // Large things are refused first; what still fits still sells.
        let (mut kept, mut papers, mut refused) = (0, 1, Vec::new());
        for lines in [2_400, 240, 24, 2] {
            let fills = (0..500).find_map(|at| {
                let (key, goods) = (format!("back-{lines}-{at}"), taken_back(lines));
                let answer = till.try_post("/v1/returns", &key, &goods);
                if answer.status != 201 {
                    return Some((key, goods, answer));
                }
                (kept, papers) = (kept + lines, papers + 1);
                None
            });
            let (key, goods, answer) = fills.expect("the disk fills");
            assert_full(&answer);
            refused.push((key, goods, lines));
        }
        let log = till.log();
        assert!(log.contains("the last reserve is in use: make room"), "{log}");
        let mut sold = 1;
        let refused_sale = loop {
            assert!(sold < 500, "the disk fills");
            match try_sell(&till, &format!("full-{sold}")) {
                Ok(_) => (sold, papers) = (sold + 1, papers + 1),
                Err(answer) => break answer,
            }
        };
        assert_full(&refused_sale);
        // What is known can be looked at, and nothing of what was refused is in it.
        let seen = |till: &Till| {
            let stock = till.get(&format!("/v1/stock/{BULKY}"))["qty"].clone();
            (stock, till.get("/v1/totals")["sales"].as_i64())
        };
        let expected = |kept: usize, sold: i64| (json!(format!("{kept}.000")), Some(sold));
        assert_eq!(seen(&till), expected(kept, sold));

        disk.make_room();
        // Without a restart; and what was refused can be asked for again under its key.
        let sale = try_sell(&till, &format!("full-{sold}")).unwrap();
        sold += 1;
        assert_eq!(sale["number"], format!("2-1-{:06}", papers + 1), "no number was lost to a refusal");
        for (key, goods, lines) in refused {
            assert_eq!(till.try_post("/v1/returns", &key, &goods).status, 201);
            kept += lines;
        }
        assert_eq!(seen(&till), expected(kept, sold));
        till.kill();
        till.start();
        assert_eq!(seen(&till), expected(kept, sold), "all that was acknowledged is there");
        till.stop();
    }
}

/// A code as long as codes are, so that few requests fill a disk.
const BULKY: &str = "CRATE-OF-TOMATO-TINS-400G-FROM-THE-OTHER-STORE-1";

/// A return of some 300 bytes a line.
fn taken_back(lines: usize) -> Value {
    let (name, memo) = ("n".repeat(120), "m".repeat(120));
    let line = json!({ "code": BULKY, "qty": "1", "unit_price": "0.01", "name": name, "memo": memo });
    let money = format!("{}.{:02}", lines / 100, lines % 100);
    json!({ "lines": vec![line; lines], "tenders": [{ "kind": "cash", "amount": money }] })
}

fn assert_full(answer: &Answer) {
    let error = &answer.body["error"];
    let code = error["code"].as_str().unwrap();
    assert!(answer.status == 503 && ["not-saved", "lines-not-saved"].contains(&code), "{}", answer.body);
    assert!(error["log"].as_str().unwrap().contains("the disk is full; make room"), "{error}");
}

/// Sells a lantern, or says which step was refused.
fn try_sell(till: &Till, key: &str) -> Result<Value, Answer> {
    let post = |path: &str, step: &str, body: Value| {
        let answer = till.try_post(path, &format!("{key}-{step}"), &body);
        if answer.status == 201 { Ok(answer.body) } else { Err(answer) }
    };
    let cart = post("/v1/carts", "cart", json!({}))?;
    let path = format!("/v1/carts/{}", cart["cart"].as_str().unwrap());
    post(&format!("{path}/lines"), "line", json!({ "code": "71053", "qty": "1" }))?;
    post(&format!("{path}/sale"), "sale", paid("3.39"))
}

/// A file system in memory that ends with this value.
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Nothing where the machine does not let us, said aloud.
    pub(crate) fn mount(path: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { path: path.to_owned() });
        }
        // Past the capture of test output, because nobody reads what a passed test said.
        let why = "no tmpfs can be mounted here, so there is no small disk to fill; run it as root";
        writeln!(std::io::stderr(), "skipped: {why}").unwrap();
        None
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let ballast = self.path.join("ballast");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(ballast).unwrap();
        let block = [0_u8; 4_096];
        while file.write_all(&block).is_ok() {}
    }

    /// Gives it all back.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.path.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that a process which is about to die does not keep it.
        drop(Command::new("umount").arg("-l").arg(&self.path).status());
    }
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect();
    all.sort();
    all
}

/// Flips one bit a fifth before the end of what a node has written last.
fn spoil_the_tail(data: &Path) {
    let is_log =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("log-"));
    let file = files(&data.join("journal")).into_iter().rfind(is_log).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end / 5 * 4] ^= 4;
    fs::write(&file, bytes).unwrap();
}

/// Every file below a directory, with its length.
fn listing(dir: &Path) -> Vec<(PathBuf, u64)> {
    files(dir).into_iter().map(|path| (path.clone(), fs::metadata(&path).unwrap().len())).collect()
}
