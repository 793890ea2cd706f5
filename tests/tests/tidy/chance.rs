//! What a simulated shop plays must do the same again from one seed: no dice of the async runtime, no clock but its own.

use toko_tests::tree::{Page, sources};

use super::{names, none};

/// Rooms whose code a simulated shop runs, and the simulator itself.
const PLAYED: [&str; 8] = [
    "crdt/src",
    "retail/src",
    "mesh/src",
    "hubd/src",
    "paper/src",
    "terminal-agent/src",
    "tests/src/sim",
    "tests/src/sim.rs",
];
/// Wakes its listeners in an order drawn at random; `toko_mesh::bell` does not.
const WATCH: &str = "sync::watch";

/// What in this code is left to chance or to the clock of the machine.
fn left_to_chance(code: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let groups = |of: &str| {
        let of = format!("{of}::{{");
        code.split(&of)
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(group, _)| group.to_owned())
            .collect::<Vec<_>>()
    };
    if names(code, WATCH) || groups("sync").iter().any(|group| names(group, "watch")) {
        found.push("tokio::sync::watch");
    }
    let mut branches = code.split("select! {").skip(1);
    if branches.any(|rest| !rest.trim_start().starts_with("biased;")) {
        found.push("a select! that is not biased");
    }
    if names(code, "std::time::Instant") || groups("std::time").iter().any(|group| names(group, "Instant")) {
        found.push("std::time::Instant");
    }
    if names(code, "RandomState") || names(code, "join_all") || names(code, "stable_id") {
        found.push("an order that is drawn anew in each process");
    }
    found
}

/// One place measures what a real machine took: how fast a simulation was played. The other names the type because a trait of
/// QUIC does, and is told every moment.
fn may_measure(page: &Page) -> bool {
    ["tests/src/sim/cli.rs", "mesh/src/endpoint/window.rs"].contains(&page.path.as_str())
}

#[test]
fn what_a_simulated_shop_plays_leaves_nothing_to_chance() {
    assert_eq!(left_to_chance("use tokio::sync::{mpsc, watch};"), ["tokio::sync::watch"]);
    assert_eq!(left_to_chance("tokio::select! {\n () = a => {} }").len(), 1);
    assert_eq!(left_to_chance("use std::time::{Duration, Instant};").len(), 1);
    assert!(left_to_chance("tokio::select! {\n biased; () = a => {} } fn watch_for_clones() {}").is_empty());
    let mut wrong = Vec::new();
    for room in PLAYED {
        let pages = sources(room);
        assert!(!pages.is_empty(), "{room} is gone; name what is played anew");
        for page in pages.iter().filter(|page| !page.is_test() && !may_measure(page)) {
            wrong.extend(left_to_chance(&page.code()).iter().map(|what| format!("{}: {what}", page.path)));
        }
    }
    none(&wrong, "one seed is one day, in whatever process");
}
