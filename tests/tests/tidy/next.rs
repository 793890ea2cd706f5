//! The rehearsal of the next version stays where it belongs: in one module, behind its feature, in no release.

use toko_tests::tree::{ROOMS, page, pages};

use super::none;

/// The feature, as a manifest and a command name it.
const FEATURE: &str = "next";

#[test]
fn no_release_contains_the_rehearsal_of_the_next_version() {
    let module = page("retail/src/next.rs").unwrap();
    let guard = module.split_once("compile_error!").map(|(before, _)| before).unwrap_or_default();
    assert!(guard.trim_end().ends_with("#[cfg(not(debug_assertions))]"), "it compiles in no release profile");
    for room in ROOMS {
        let manifest: toml::Table = page(&format!("{room}/Cargo.toml")).unwrap().parse().unwrap();
        let features = manifest.get("features").and_then(toml::Value::as_table);
        for (feature, wants) in features.into_iter().flatten() {
            let asks = feature == "default" || wants.to_string().contains(FEATURE);
            assert!(!asks || feature == FEATURE, "{room}: feature {feature} asks for the next version");
        }
    }
    // One script asks for it.
    let asks = |text: &str| text.contains(&format!("--features {FEATURE}"));
    let others: Vec<_> = pages()
        .into_iter()
        .filter(|page| asks(&page.text) && page.path != "tests/skew.sh" && !page.path.ends_with(".rs"))
        .filter(|page| !page.path.ends_with(".md"))
        .map(|page| page.path)
        .collect();
    none(&others, "only tests/skew.sh builds the next version");
}
