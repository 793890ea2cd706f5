//! Faults on purpose stay where they belong: listed, one hook each, in no release.

use std::collections::BTreeMap;

use toko_tests::mutants::list::{Mutant, all};
use toko_tests::tree::{ROOMS, page, pages, sources};

use super::{DAEMONS, none};

/// The one module of the pure parts that may read the environment, and only under the feature: it chooses the mutant.
pub(crate) const CHOICE: &str = "crdt/src/mutant.rs";
/// Written in two parts, so that this page has no hook.
const HOOK: &str = concat!("mutant", "!(\"");

/// Each hook's name, with the files that it stands in. The module that defines the macro shows examples.
fn hooks() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in pages().into_iter().filter(|page| page.path.ends_with(".rs") && page.path != CHOICE) {
        for rest in page.text.split(HOOK).skip(1) {
            let name = rest.split('"').next().unwrap_or_default().to_owned();
            found.entry(name).or_default().push(page.path.clone());
        }
    }
    found
}

#[test]
fn every_mutant_is_listed_and_has_one_hook_at_its_place() {
    let hooks = hooks();
    let mut listed: BTreeMap<&str, Mutant> = BTreeMap::new();
    for mutant in all() {
        assert!(listed.insert(mutant.name, mutant).is_none(), "{} is listed twice", mutant.name);
        let word = mutant
            .name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        assert!(word && !mutant.breaks.is_empty() && !mutant.seen_by.is_empty(), "{mutant:?}");
        let places = hooks.get(mutant.name).map_or(&[][..], Vec::as_slice);
        assert_eq!(places, [mutant.place], "the hook of {}", mutant.name);
    }
    none(
        &hooks.iter().filter(|(name, _)| !listed.contains_key(name.as_str())).collect::<Vec<_>>(),
        "hooks that tests/src/mutants/list.rs does not name",
    );
    assert!(listed.len() >= 40, "{} mutants; there were more", listed.len());
}

#[test]
fn suites_that_should_see_a_mutant_exist() {
    let mut wrong = Vec::new();
    for mutant in all() {
        for spec in mutant.seen_by {
            let suite = spec.split(' ').next().unwrap_or(spec);
            let known = suite.split_once('/').is_some_and(|(room, part)| {
                let target = [format!("{room}/tests/{part}.rs"), format!("{room}/tests/{part}/main.rs")];
                let library = part == "lib" && ROOMS.contains(&room);
                library || target.iter().any(|file| page(file).is_some())
            });
            if !known {
                wrong.push(format!("{}: {spec}", mutant.name));
            }
        }
    }
    none(&wrong, "no such suite");
}

#[test]
fn no_release_contains_a_mutant() {
    // The feature does not compile where debug assertions are off, as in every release profile of this workspace.
    let choice = page(CHOICE).unwrap();
    let guard = choice.split_once("compile_error!").map(|(before, _)| before).unwrap_or_default();
    assert!(
        guard.trim_end().ends_with("#[cfg(all(feature = \"mutants\", not(debug_assertions)))]"),
        "{CHOICE}"
    );
    let workspace: toml::Table = page("Cargo.toml").unwrap().parse().unwrap();
    for (name, profile) in workspace["profile"].as_table().unwrap() {
        let switched = profile.get("debug-assertions");
        assert!(
            name == "dev" || switched.is_none(),
            "profile {name} keeps debug assertions, so mutants compile"
        );
    }
    // And nothing asks for it but the feature of the same name.
    for room in ROOMS {
        let manifest: toml::Table = page(&format!("{room}/Cargo.toml")).unwrap().parse().unwrap();
        let features = manifest.get("features").and_then(toml::Value::as_table);
        for (feature, wants) in features.into_iter().flatten().filter(|(name, _)| *name != "mutants") {
            assert!(!wants.to_string().contains("mutants"), "{room}: feature {feature} switches mutants on");
        }
        for (kind, table) in manifest.iter().filter(|(kind, _)| kind.ends_with("dependencies")) {
            assert!(!table.to_string().contains("mutants"), "{room}: {kind} switch mutants on");
        }
    }
    assert!(!workspace["workspace"]["dependencies"].to_string().contains("mutants"), "Cargo.toml");
    for daemon in DAEMONS {
        let asked = sources(&format!("{daemon}/src"))
            .into_iter()
            .find(|page| page.text.contains("feature = \"mutants\""));
        assert_eq!(asked.map(|page| page.path), None, "a daemon is the same with and without");
    }
}

#[test]
fn the_environment_is_read_under_the_feature_only() {
    let code = toko_tests::tree::Page { path: CHOICE.to_owned(), text: page(CHOICE).unwrap() }.code();
    let reading = code.split("#[cfg(feature = )]").nth(1).unwrap_or_default();
    assert_eq!(code.matches("std::env").count(), 1, "{CHOICE}");
    assert!(reading.contains("std::env") && reading.contains("fn at_work"), "{CHOICE}");
}
