//! Which machine it was, and when: figures mean nothing without.

use std::fs::read_to_string;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use toko_crdt::clock::UnixMicros;

/// The machine and the moment.
#[derive(Clone, Debug)]
pub struct Place {
    cores: usize,
    processor: String,
    kernel: String,
    file_system: String,
    load: String,
    at: String,
}

impl Place {
    /// This machine, now. `dir` is where it is written to.
    pub fn of(dir: &Path) -> Self {
        let first = |path: &str| read_to_string(path).ok();
        let cpu = first("/proc/cpuinfo").and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
            Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
        });
        let kernel = first("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
        let load =
            first("/proc/loadavg").map(|text| text.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: cpu.unwrap_or_else(unknown),
            kernel: kernel.unwrap_or_else(unknown),
            file_system: first("/proc/self/mountinfo")
                .and_then(|text| disk_of(&text, dir))
                .unwrap_or_else(unknown),
            load: load.unwrap_or_else(unknown),
            at: terminal_agent::wall::utc(now()),
        }
    }

    /// Two lines for people.
    pub fn words(&self) -> String {
        let Self { cores, processor, kernel, file_system, load, at } = self;
        format!(
            "{at}, {cores} cores of {processor}, Linux {kernel}\non {file_system}, load {load} at the start\n"
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "at": self.at, "cores": self.cores, "processor": self.processor, "kernel": self.kernel,
            "disk": self.file_system, "load": self.load,
        })
    }
}

/// The wall clock.
pub fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn unknown() -> String {
    "?".to_owned()
}

/// `ext4 (/dev/vda)`: the mount with the longest path above `dir`.
fn disk_of(mounts: &str, dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4)?.to_owned();
        let mut kind = right.split(' ');
        dir.starts_with(&point).then_some((point.len(), format!("{} ({})", kind.next()?, kind.next()?)))
    };
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length).map(|(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_the_one_mounted_nearest() {
        let dir = tempfile::tempdir().unwrap();
        let near = dir.path().canonicalize().unwrap();
        let mounts = format!(
            "1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 0:5 / {} rw shared:1 - tmpfs none rw\n3 1 0:6 / /nowhere rw - xfs x rw\n",
            near.display()
        );
        assert_eq!(disk_of(&mounts, &near).unwrap(), "tmpfs (none)");
        assert_eq!(disk_of(&mounts, Path::new("/")).unwrap(), "ext4 (/dev/vda)");
    }

    #[test]
    fn this_machine_has_cores_and_a_kernel() {
        let place = Place::of(Path::new("."));
        assert!(place.words().contains("cores of") && place.json()["cores"].as_u64() > Some(0));
    }
}
