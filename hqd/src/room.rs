//! Room on the disks that stores lie on. A full one is no failure: stores refuse what comes, and go on by themselves once
//! there is room. Somebody has to make it.

use rustix::fs::statvfs;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Less than the next part of one store's log and what it holds back beside: books that come are refused soon, or are already.
const LEAST_BYTES: u64 = 4 << 20;
/// What a person should do.
const ADVICE: &str = "make room on this disk: what its stores sell is refused here until then, the stores keep it and sell on, and it comes by itself \
once there is room; nothing has to be started again";

/// An alert for each disk that is full. `places` are directories, each with the store whose it is, or nobody's own; the
/// first place on a disk names it.
pub(crate) fn alerts(places: &[(Option<String>, PathBuf)]) -> Vec<Value> {
    let mut disks = BTreeMap::new();
    for (store, path) in places {
        if let Ok(about) = std::fs::metadata(path) {
            disks.entry(about.dev()).or_insert((store, path));
        }
    }
    let full = disks.into_values().filter_map(|(store, path)| {
        let bytes = free(path).ok().filter(|bytes| *bytes < LEAST_BYTES)?;
        let log = format!("{} KiB are left on the disk of {}", bytes >> 10, path.display());
        Some(json!({ "store": store, "code": "disk-full", "screen": ADVICE, "log": log, "node": null }))
    });
    full.collect()
}

fn free(path: &Path) -> io::Result<u64> {
    let space = statvfs(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}
