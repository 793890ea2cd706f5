//! Other workspaces of this tree build our rooms too, by lock files of their own. What those say of a room must be what is.

use std::collections::{BTreeMap, BTreeSet};

use toko_tests::tree::root;

use super::none;

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

#[test]
fn every_lock_file_says_of_a_room_what_the_first_says() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let ours = rooms(&read("Cargo.lock"));
    assert!(ours["toko-tests"].contains("toko-mesh"), "{ours:?}");
    let of_rooms = |needed: &BTreeSet<String>| -> BTreeSet<String> {
        needed.iter().filter(|name| ours.contains_key(*name)).cloned().collect()
    };
    let mut wrong = Vec::new();
    for other in OTHERS {
        for (room, needed) in rooms(&read(other)) {
            match ours.get(&room) {
                // What only its tests need is named in the first alone, and is nobody's room.
                Some(here) if of_rooms(here) != of_rooms(&needed) => {
                    wrong.push(format!(
                        "{other}: {room}; run cargo metadata in that folder, without --locked"
                    ));
                }
                _ => {}
            }
        }
    }
    none(&wrong, "a lock file of another workspace is behind");
}
