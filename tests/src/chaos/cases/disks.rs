//! Disks that are full or take no more writes: F04, F08.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::failure::{Failure, must};
use super::super::shop::{Shop, TILLS, has_alert};
use super::super::wire::run;
use super::Seen;

/// The till whose disk it is.
const TILL: &str = TILLS[2];
/// What fills the rest of a journal, and no sale has it.
const BULKY: &str = "CRATE-OF-TOMATO-TINS-400G-FROM-THE-OTHER-STORE-1";
/// Lines of a return that fills, a penny each.
const RETURNED_LINES: usize = 300;
const RETURNED_PENCE: i64 = 300;
/// What a small disk has free at first.
const MORE_BYTES: u64 = 64 << 20;
/// Some ten megabytes have to go through the API.
const FILLED_WITHIN: Duration = Duration::from_secs(240);

/// F04: the disk fills; the till sells on from what it reserved, then refuses clearly, and goes on when there is room.
pub fn full(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let disk = move_onto_small_disk(shop, seen)?;
    let ballast = disk.mount.join("ballast");
    fill(&ballast)?;
    let mark = shop.ledger.mark();
    shop.sells(TILL, 5)?;
    must(!shop.ledger.refusals_since(&mark).iter().any(|refusal| refusal.till == TILL), || {
        "a full disk refused sales at once: there is no journal reserved".into()
    })?;
    let mut fillers = 0;
    let refused = shop.wait_for("the disk to be full to the last byte", FILLED_WITHIN, |shop| {
        let key = format!("filler-{}-{fillers}", shop.shifts);
        let answer = shop.call(TILL, "POST", "/v1/returns", Some(&key), Some(&taken_back()));
        let answer = answer.map_err(|silent| silent.in_full())?;
        if answer.status != 201 {
            return Ok(answer);
        }
        shop.ledger.give_back(RETURNED_PENCE, &answer.body);
        fillers += 1;
        Err(format!("{fillers} large returns fit"))
    })?;
    let error = &refused.body["error"];
    let is_clear = refused.status == 503 && error["log"].to_string().contains("the disk is full; make room");
    must(is_clear, || format!("refused with {}: {}", refused.status, refused.body))?;
    shop.all_sell(&TILLS[..2], 2)?;
    seen.note(format!(
        "sold on with no room left; {fillers} large returns later it said {}",
        error["screen"]
    ));
    fs::remove_file(&ballast).map_err(|e| Failure::system("cannot make room", e))?;
    shop.sells(TILL, 3)?;
    seen.note("sold again without a restart");
    move_back(shop, disk)
}

/// F08: the file system goes read-only under a till; it acknowledges nothing more, says why, and loses nothing.
pub fn read_only(shop: &mut Shop, seen: &mut Seen) -> Result<(), Failure> {
    let disk = move_onto_small_disk(shop, seen)?;
    shop.sells(TILL, 2)?;
    disk.turn_read_only()?;
    let mark = shop.ledger.mark();
    shop.wait("the till to refuse sales", |shop| {
        let refusals = shop.ledger.refusals_since(&mark);
        match refusals.iter().find(|refusal| refusal.till == TILL) {
            Some(refusal) if refusal.status == 503 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    let refusal = shop.ledger.refusals_since(&mark).into_iter().find(|refusal| refusal.till == TILL);
    shop.until(TILL, "a word about the disk", |status| has_alert(status, "disk-broken"))?;
    let before = shop.ledger.sold_since(&mark, TILL);
    shop.all_sell(&TILLS[..2], 3)?;
    let after = shop.ledger.sold_since(&mark, TILL);
    must(before == after, || {
        format!("{} sales were acknowledged on a disk that takes no writes", after - before)
    })?;
    let said = refusal.map(|refusal| format!("{} ({})", refusal.screen, refusal.log));
    seen.note(format!("it said: {}", said.unwrap_or_default()));
    shop.kill(TILL)?;
    disk.repair()?;
    shop.start(TILL)?;
    shop.sells(TILL, 2)?;
    seen.note("sold again after fsck and a restart");
    move_back(shop, disk)
}

/// Carries a till's directory onto an ext4 with 64 MiB more than it holds by now.
fn move_onto_small_disk(shop: &mut Shop, seen: &mut Seen) -> Result<SmallDisk, Failure> {
    seen.excused.push(TILL);
    let held = held(&shop.machine(TILL).data)
        .map_err(|e| Failure::system("cannot measure a till's directory", e))?;
    let disk = SmallDisk::make(shop.dir(), held + MORE_BYTES)?;
    carry(shop, &disk.mount.join("till"))?;
    Ok(disk)
}

fn move_back(shop: &mut Shop, disk: SmallDisk) -> Result<(), Failure> {
    let home = shop.dir().join(TILL);
    carry(shop, &home)?;
    drop(disk);
    shop.meet()
}

/// Bytes of all files below a directory.
fn held(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for file in fs::read_dir(dir)? {
        let file = file?;
        let about = file.metadata()?;
        bytes += if about.is_dir() { held(&file.path())? } else { about.len() };
    }
    Ok(bytes)
}

/// The directory goes to another place, as one: what stays behind would be a second till.
fn carry(shop: &mut Shop, to: &Path) -> Result<(), Failure> {
    shop.rest()?;
    shop.send_home(TILL);
    shop.stop(TILL)?;
    let from = shop.machine(TILL).data.display().to_string();
    let there = to.display().to_string();
    run(&["cp", "-a", &from, &there])?;
    // What was copied just now is as durable as what the till writes.
    run(&["sync", "-f", &there])?;
    run(&["rm", "-rf", &from])?;
    shop.machine_mut(TILL).data = to.to_owned();
    shop.start(TILL)?;
    shop.sell_on(TILL)?;
    shop.go_on();
    shop.meet()
}

/// A return of some 300 bytes a line.
fn taken_back() -> Value {
    let (name, memo) = ("n".repeat(120), "m".repeat(120));
    let line = json!({ "code": BULKY, "qty": "1", "unit_price": "0.01", "name": name, "memo": memo });
    let money = format!("{}.{:02}", RETURNED_PENCE / 100, RETURNED_PENCE % 100);
    json!({ "lines": vec![line; RETURNED_LINES], "tenders": [{ "kind": "cash", "amount": money }] })
}

fn fill(ballast: &Path) -> Result<(), Failure> {
    let mut file = fs::File::create(ballast).map_err(|e| Failure::system("cannot fill the disk", e))?;
    for block in [vec![0_u8; 1 << 16], vec![0_u8; 512]] {
        while file.write_all(&block).is_ok() {}
    }
    Ok(())
}

/// An ext4 in a file. It ends with this value.
struct SmallDisk {
    image: PathBuf,
    mount: PathBuf,
}

impl SmallDisk {
    fn make(dir: &Path, bytes: u64) -> Result<Self, Failure> {
        let disk = Self { image: dir.join("small.ext4"), mount: dir.join("small") };
        let image = disk.image.display().to_string();
        let made =
            fs::create_dir_all(&disk.mount).and_then(|()| fs::File::create(&disk.image)?.set_len(bytes));
        made.map_err(|e| Failure::system(format!("cannot make {image}"), e))?;
        run(&["mkfs.ext4", "-q", "-F", "-m", "0", &image])?;
        disk.attach().map_err(|refused| {
            Failure::Skipped(format!("no ext4 can be mounted from a file here: {}", refused.in_full()))
        })?;
        Ok(disk)
    }

    fn attach(&self) -> Result<(), Failure> {
        let (image, mount) = (self.image.display().to_string(), self.mount.display().to_string());
        run(&["mount", "-t", "ext4", "-o", "loop,errors=remount-ro", &image, &mount])
    }

    /// What the kernel does when it finds an error on the disk.
    fn turn_read_only(&self) -> Result<(), Failure> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = self.mount.display().to_string();
        let device = mounts.lines().find_map(|line| {
            let mut words = line.split(' ');
            let (device, at) = (words.next()?, words.next()?);
            (at == own).then(|| device.rsplit('/').next().unwrap_or_default().to_owned())
        });
        let trigger = format!("/sys/fs/ext4/{}/trigger_fs_error", device.unwrap_or_default());
        fs::write(&trigger, "chaos")
            .map_err(|e| Failure::Skipped(format!("{trigger} cannot be written: {e}")))
    }

    fn detach(&self) -> Result<(), Failure> {
        run(&["umount", &self.mount.display().to_string()])
    }

    fn repair(&self) -> Result<(), Failure> {
        self.detach()?;
        // It ends with 1 where it mended something, which is what it is for.
        let _ = run(&["e2fsck", "-p", "-f", &self.image.display().to_string()]);
        self.attach()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that a process which is about to die does not keep it.
        let _ = run(&["umount", "-l", &self.mount.display().to_string()]);
        let _ = fs::remove_file(&self.image);
    }
}
