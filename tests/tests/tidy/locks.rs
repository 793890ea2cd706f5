//! Other workspaces of this tree build our rooms too, by lock files of their own. What those say of a room must be what is.

use std::collections::{BTreeMap, BTreeSet};

use toko_tests::tree::root;

use super::{all_packages, none};

/// Lock files of workspaces that build our rooms, beside the first.
const OTHERS: [&str; 3] = ["fuzz/Cargo.lock", "tests/peers/Cargo.lock", "devices/tests/oracles/Cargo.lock"];

/// Packages without a source, which are this tree's, each with what it needs, by name.
fn rooms(lock: &str) -> BTreeMap<String, BTreeSet<String>> {
    let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
    let packages = lock.split("[[package]]").filter(|package| !package.contains("\nsource = "));
    let room = |package: &str| {
        let name = package.lines().find_map(|line| quoted(line.strip_prefix("name = ")?))?;
        // A version is named where a lock file has two of a crate.
        let needed = package.lines().filter(|line| line.starts_with(" \"")).filter_map(quoted);
        let needed = needed.filter_map(|needed| needed.split(' ').next().map(str::to_owned));
        Some((name, needed.collect()))
    };
    packages.filter_map(room).collect()
}

/// What a manifest says that its package needs, on any system.
fn needed(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().unwrap();
    let on = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let tables = on.map(|(_, of)| of.get("dependencies")).chain([manifest.get("dependencies")]);
    let names = tables.flatten().filter_map(toml::Value::as_table).flat_map(|table| table.keys());
    names.cloned().collect()
}

#[test]
fn every_lock_file_says_of_a_room_what_its_manifest_says() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    // What only tests need is named in the first lock alone; so the manifests say what a room needs.
    let ours: BTreeMap<String, BTreeSet<String>> = all_packages()
        .into_iter()
        .map(|package| (package.name, needed(&read(&format!("{}/Cargo.toml", package.room)))))
        .collect();
    assert!(ours["toko-mesh"].contains("toko-crdt") && ours["toko-mesh"].contains("quinn"), "{ours:?}");
    let mut wrong = Vec::new();
    for other in OTHERS {
        for (room, there) in rooms(&read(other)) {
            if ours.get(&room).is_some_and(|here| *here != there) {
                wrong.push(format!("{other}: {room}; run cargo metadata in that folder, without --locked"));
            }
        }
    }
    none(&wrong, "a lock file of another workspace is behind");
}
