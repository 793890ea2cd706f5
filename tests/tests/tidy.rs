//! The rules of the house, one test each. What cannot be checked by reading stands in the review, not here.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use toko_tests::tree::{Package, Page, ROOMS, packages, page, pages, root, sources};

#[path = "tidy/chance.rs"]
mod chance;
#[path = "tidy/faults.rs"]
mod faults;
#[path = "tidy/locks.rs"]
mod locks;
#[path = "tidy/mutants.rs"]
mod mutants;
#[path = "tidy/next.rs"]
mod next;

/// Which of our packages a room may use. Arrows go down only.
const ARROWS: [(&str, &[&str]); 11] = [
    ("crdt", &[]),
    ("retail", &["toko-crdt"]),
    ("mesh", &["toko-crdt"]),
    ("devices", &[]),
    ("paper", &["toko-crdt", "toko-retail", "toko-mesh", "toko-devices"]),
    ("daemon", &[]),
    ("hubd", &["toko-crdt", "toko-retail", "toko-mesh", "toko-devices", "toko-paper", "toko-daemon"]),
    (
        "terminal-agent",
        &["toko-crdt", "toko-retail", "toko-mesh", "toko-devices", "toko-paper", "toko-daemon"],
    ),
    ("hqd", &["toko-crdt", "toko-retail", "toko-mesh", "toko-daemon"]),
    (
        "hostile",
        &[
            "toko-crdt",
            "toko-retail",
            "toko-mesh",
            "toko-devices",
            "toko-daemon",
            "hubd",
            "terminal-agent",
            "hqd",
        ],
    ),
    (
        "tests",
        &[
            "toko-crdt",
            "toko-retail",
            "toko-mesh",
            "toko-devices",
            "toko-paper",
            "toko-daemon",
            "hubd",
            "terminal-agent",
            "hqd",
            "toko-hostile",
        ],
    ),
];

/// Each outside door and who may open it.
const DOORS: [(&str, &[&str]); 21] = [
    ("automerge", &["crdt"]),
    ("postcard", &["crdt"]),
    ("quinn", &["mesh"]),
    ("quinn-proto", &["mesh"]),
    ("quinn-udp", &["mesh"]),
    ("rustls", &["mesh"]),
    ("mdns-sd", &["mesh"]),
    ("bincode", &["mesh"]),
    // The benchmark measures redb bare, beside the node.
    ("redb", &["mesh", "tests"]),
    ("rust_decimal", &["retail"]),
    ("evdev", &["devices"]),
    ("serialport", &["devices"]),
    ("tokio-serial", &["devices"]),
    ("nusb", &["devices"]),
    ("rusb", &["devices"]),
    // Tests: the bare server beside which a call is measured.
    ("axum", &["hubd", "terminal-agent", "hqd", "tests"]),
    ("hyper", &["daemon", "terminal-agent"]),
    ("sd-notify", &["daemon"]),
    ("tracing-subscriber", &["daemon"]),
    ("ureq", &["tests"]),
    ("indicatif", &["tests"]),
];

/// Parts that take time and seeds as values and give effects as values.
const PURE: [&str; 15] = [
    "crdt/src",
    "retail/src",
    "mesh/src/proto",
    "devices/src/drawn",
    "devices/src/escpos",
    "devices/src/html",
    "devices/src/ink",
    "devices/src/page",
    "devices/src/star",
    "devices/src/cable/address.rs",
    "devices/src/label",
    "devices/src/scale/answer.rs",
    "devices/src/scale/weighing.rs",
    "devices/src/scanner/keys.rs",
    "devices/src/scanner/scan.rs",
];
const IMPURE: [&str; 10] = [
    "tokio",
    "Instant::now",
    "SystemTime::now",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "rand::",
    "getrandom",
];

const DAEMONS: [&str; 3] = ["hubd", "terminal-agent", "hqd"];

fn all_packages() -> Vec<Package> {
    packages().unwrap()
}

fn none<T: std::fmt::Debug>(found: &[T], rule: &str) {
    assert!(found.is_empty(), "{rule}: {found:#?}");
}

/// Whether `word` stands in `code` as a name of its own, not inside a longer one.
fn names(code: &str, word: &str) -> bool {
    let part_of_a_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| {
        let glued_before = code[..at].ends_with(part_of_a_name);
        let glued_after =
            word.ends_with(part_of_a_name) && code[at + word.len()..].starts_with(part_of_a_name);
        !glued_before && !glued_after
    })
}

/// Spells out `use std::{fs, io};` as `std::fs std::io`, so that a group hides nothing.
fn with_whole_paths(code: &str) -> String {
    let groups = code.split("use std::{").skip(1).filter_map(|rest| rest.split_once(';'));
    let spelt = groups
        .flat_map(|(group, _)| group.split(['{', '}', ',']).map(|name| format!(" std::{}", name.trim())));
    code.to_owned() + &spelt.collect::<String>()
}

#[test]
fn the_reader_of_these_rules_finds_names_and_only_names() {
    assert!(names("use std::fs;", "std::fs") && names("ring::rand::SystemRandom", "rand::"));
    assert!(!names("std::fsx", "std::fs") && !names("strand::x", "rand::") && !names("mytokio::x", "tokio"));
    let code = with_whole_paths("use std::{collections::{BTreeMap}, fs::File, io};");
    assert!(names(&code, "std::fs") && !names(&code, "std::net"));
}

#[test]
fn arrows_between_rooms_go_down_only_and_siblings_never_meet() {
    let ours: BTreeSet<String> = all_packages().into_iter().map(|package| package.name).collect();
    let mut wrong = Vec::new();
    for package in all_packages() {
        let (_, may) = ARROWS.iter().find(|(room, _)| *room == package.room).unwrap();
        let up = package.uses.iter().filter(|used| ours.contains(*used) && !may.contains(&used.as_str()));
        wrong.extend(up.map(|used| format!("{} uses {used}", package.room)));
    }
    none(&wrong, "README § Architecture");
}

#[test]
fn nobody_but_tests_depends_on_a_binary() {
    let wrong: Vec<_> = all_packages()
        .into_iter()
        .filter(|package| {
            !["hostile", "tests"].contains(&package.room)
                && DAEMONS.iter().any(|daemon| package.uses.contains(*daemon))
        })
        .map(|package| package.name)
        .collect();
    none(&wrong, "these depend on a binary's library");
}

#[test]
fn every_outside_door_has_one_owner() {
    let mut wrong = Vec::new();
    for package in all_packages() {
        for (door, owners) in DOORS {
            if package.uses.contains(door) && !owners.contains(&package.room) {
                wrong.push(format!("{} uses {door}, which belongs to {owners:?}", package.room));
            }
        }
    }
    none(&wrong, "README § Architecture");
}

#[test]
fn what_is_stored_merged_or_sent_by_a_foreign_crate_is_named_in_one_source_file() {
    for (room, door) in [("crdt", "automerge"), ("crdt", "postcard"), ("mesh", "bincode")] {
        let using: Vec<String> = sources(&format!("{room}/src"))
            .into_iter()
            .filter(|page| !page.is_test())
            .filter(|page| names(&page.code(), &format!("{door}::")))
            .map(|page| page.path)
            .collect();
        assert_eq!(using.len(), 1, "{door} is named in {using:?}; one adapter module owns it");
    }
}

#[test]
fn pure_parts_know_no_clock_chance_file_socket_or_environment() {
    let mut wrong = Vec::new();
    for part in PURE {
        let inside = [sources(part), sources(&format!("{part}.rs"))].concat();
        assert!(!inside.is_empty(), "{part} is gone; name the pure parts anew");
        // The module that chooses a mutant is no part of a release; `mutants` looks after it.
        for page in inside.into_iter().filter(|page| !page.is_test() && page.path != mutants::CHOICE) {
            let code = with_whole_paths(&page.code());
            let found = IMPURE.iter().filter(|word| names(&code, word));
            wrong.extend(found.map(|word| format!("{}: {word}", page.path)));
        }
    }
    none(&wrong, "README § Architecture: pure parts know no clock, chance, file, socket or environment");
}

#[test]
fn the_caption_of_each_room_is_the_same_in_manifest_source_and_readme() {
    let readme = page("README.md").unwrap_or_default();
    let row =
        |package: &Package| format!("| `{}/` | `{}` | {} |", package.room, package.name, package.description);
    for package in all_packages() {
        let head = page(&format!("{}/src/lib.rs", package.room)).unwrap_or_default();
        let first = head.lines().next().unwrap_or_default();
        assert_eq!(first, format!("//! {}", package.description), "{}/src/lib.rs, line 1", package.room);
        let cells = |line: &str| line.split('|').map(str::trim).collect::<Vec<_>>().join("|");
        let wanted = cells(&row(&package)).replace(&format!("|`{}`|", package.name), "|");
        let found = readme.lines().map(|line| {
            // The middle cell may say more than the package's name (`hubd` also holds `hubctl`).
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            match parts[..] {
                ["", room, name, caption, ""] if name.starts_with(&format!("`{}`", package.name)) => {
                    format!("|{room}|{caption}|")
                }
                _ => String::new(),
            }
        });
        assert!(found.into_iter().any(|line| line == wanted), "README.md lacks the row {}", row(&package));
    }
}

#[test]
fn a_main_is_a_page_long_at_most() {
    let mut wrong = Vec::new();
    for daemon in DAEMONS {
        let main = page(&format!("{daemon}/src/main.rs")).unwrap();
        if main.lines().count() > 80 {
            wrong.push(daemon);
        }
    }
    none(&wrong, "main.rs is longer than 80 lines in");
}

#[test]
fn every_room_takes_versions_and_lints_from_the_workspace() {
    for package in all_packages() {
        assert!(package.has_house_lints, "{} has no [lints] workspace = true", package.room);
        none(&package.unpinned.iter().collect::<Vec<_>>(), &format!("{} pins for itself", package.room));
    }
    let workspace: toml::Table = page("Cargo.toml").unwrap().parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    assert_eq!(members.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>(), ROOMS);
    assert!(!workspace.contains_key("package"), "the root holds versions, lints and profiles, no code");
}

#[test]
fn exceptions_to_lints_are_narrow_and_expected() {
    let wrong: Vec<String> = pages()
        .into_iter()
        .filter(|page| page.path.ends_with(".rs"))
        .filter(|page| ["#![allow", "#[allow", "#![expect"].iter().any(|word| page.code().contains(word)))
        .map(|page| page.path)
        .collect();
    none(&wrong, "use #[expect(lint, reason = …)] on the narrowest item instead of allow in");
}

#[test]
fn every_crate_of_others_comes_from_the_public_registry() {
    let lock: toml::Table = page("Cargo.lock").unwrap().parse().unwrap();
    let sources: BTreeSet<&str> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| package.get("source").and_then(toml::Value::as_str))
        .collect();
    assert_eq!(sources, BTreeSet::from(["registry+https://github.com/rust-lang/crates.io-index"]));
    assert!(page(".cargo/config.toml").is_none(), "no clone brings another registry along");
}

#[test]
fn no_page_names_a_place_of_one_machine() {
    let places = ["work", "root", "farm", "home"].map(|place| format!("/{place}/"));
    let named_at = |page: &Page| {
        page.text.lines().enumerate().find_map(|(at, line)| {
            let place = places.iter().find(|place| {
                // Only where a path begins: `target/root/x` is no place of a machine.
                line.match_indices(place.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-$})>".contains(c))
                })
            })?;
            Some(format!("{}:{}: {place}", page.path, at + 1))
        })
    };
    let wrong: Vec<String> = pages().iter().filter_map(named_at).collect();
    none(&wrong, "paths that exist on one machine only");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in pages().into_iter().filter(|page| page.path.ends_with(".md")) {
        let folder = root().join(&page.path).parent().unwrap().to_owned();
        for link in
            page.text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
        {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                wrong.push(format!("{}: {link}", page.path));
            }
        }
    }
    none(&wrong, "dead links");
}

#[test]
fn the_readme_has_one_line_that_runs_all_tests() {
    let readme = page("README.md").unwrap_or_default();
    let lines: Vec<&str> = readme.lines().filter(|line| line.starts_with("cargo test")).collect();
    assert_eq!(lines.len(), 1, "README.md has one line that starts with `cargo test`: {lines:?}");
    let demos = readme.lines().filter(|line| line.trim() == "cargo run --release --bin demo").count();
    assert!(demos >= 1, "README.md names the demo's command on a line of its own");
}

#[test]
fn units_never_give_up_on_a_till() {
    for daemon in DAEMONS {
        let unit = unit(daemon);
        for (key, wanted) in [
            ("Type", "notify"),
            ("Restart", "always"),
            ("RestartPreventExitStatus", "64 78"),
            ("StartLimitIntervalSec", "0"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
        ] {
            assert_eq!(unit.get(key).map(String::as_str), Some(wanted), "{daemon}.service, {key}");
        }
        assert!(unit.contains_key("User") && unit.contains_key("WatchdogSec"), "{daemon}.service");
        assert_eq!(unit["ExecStart"], format!("/usr/bin/{daemon} run"));
    }
}

#[test]
fn units_keep_the_books_where_the_daemon_looks_for_them() {
    for daemon in DAEMONS {
        let places: Vec<String> = sources(&format!("{daemon}/src"))
            .iter()
            .filter_map(|page| page.text.split_once("const DATA_DEFAULT: &str = \"")?.1.split_once('"'))
            .map(|(place, _)| place.to_owned())
            .collect();
        let kept = format!("/var/lib/{}", unit(daemon)["StateDirectory"]);
        assert_eq!(places, [kept], "{daemon}: DATA_DEFAULT and StateDirectory= of its unit");
    }
}

/// What the daemon gives its stages of stopping, in milliseconds: the second argument of each `life::stage(…)`, either
/// `Duration::from_…(n)` or a constant of the same crate that is one.
fn stages_of_stopping(daemon: &str) -> Vec<u64> {
    let code: String = sources(&format!("{daemon}/src"))
        .into_iter()
        .filter(|page| !page.is_test())
        .flat_map(|page| page.code().chars().filter(|letter| !letter.is_whitespace()).collect::<Vec<_>>())
        .collect();
    let millis = |text: &str| {
        let (unit, rest) = text.strip_prefix("Duration::from_")?.split_once('(')?;
        let value: u64 = rest.split_once(')')?.0.replace('_', "").parse().ok()?;
        Some(if unit == "secs" { value * 1_000 } else { value })
    };
    let deadline = |argument: &str| {
        let name = argument.rsplit("::").next().unwrap_or(argument);
        millis(argument).or_else(|| millis(code.split_once(&format!("const{name}:Duration="))?.1))
    };
    // The first argument is the stage's name, a string, which code does not show.
    let calls = code.split("stage(,").skip(1).filter_map(|call| call.split_once(','));
    calls
        .map(|(argument, _)| {
            deadline(argument)
                .unwrap_or_else(|| panic!("{daemon}: what does the stage of {argument} wait for?"))
        })
        .collect()
}

#[test]
fn units_wait_longer_than_all_stages_of_stopping_together() {
    for daemon in DAEMONS {
        let stages = stages_of_stopping(daemon);
        assert!(!stages.is_empty(), "{daemon} stops in no stage that has a deadline");
        let limit = unit(daemon)["TimeoutStopSec"].trim_end_matches('s').parse::<u64>().unwrap() * 1_000;
        assert!(limit > stages.iter().sum(), "{daemon}.service waits {limit} ms for {stages:?}");
    }
}

#[test]
fn the_licence_gate_guards_the_same_doors() {
    let deny: toml::Table = page("deny.toml").unwrap().parse().unwrap();
    let packages = all_packages();
    let guarded: BTreeMap<&str, BTreeSet<&str>> = deny["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|ban| {
            let wrappers = ban.get("wrappers")?.as_array()?.iter().filter_map(toml::Value::as_str);
            Some((ban.get("crate")?.as_str()?, wrappers.filter(|name| name.starts_with("toko-")).collect()))
        })
        .collect();
    for door in ["automerge", "postcard", "quinn", "redb", "mdns-sd", "bincode", "rust_decimal"] {
        let (_, owners) = DOORS.iter().find(|(name, _)| *name == door).unwrap();
        let owners: BTreeSet<&str> =
            packages.iter().filter(|p| owners.contains(&p.room)).map(|p| p.name.as_str()).collect();
        assert_eq!(guarded.get(door), Some(&owners), "deny.toml, {door}");
    }
}

/// A unit's settings; a key that comes twice has its last value.
fn unit(daemon: &str) -> BTreeMap<String, String> {
    let text = page(&format!("systemd/{daemon}.service")).unwrap();
    let settings = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    settings.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}
