//! The source of the project, read as text, so that `tests/tidy.rs` can judge it.
//!
//! Invariants: what is looked at is what a clone holds (`target` and `.git` are not); "code" is a source file without its
//! comments, its strings and its tests, so that a rule is not broken by talking about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folders of the workspace's packages, from the bottom up.
pub const ROOMS: [&str; 11] = [
    "crdt",
    "retail",
    "mesh",
    "devices",
    "paper",
    "daemon",
    "hubd",
    "terminal-agent",
    "hqd",
    "hostile",
    "tests",
];

/// A file of the tree.
#[derive(Clone, Debug)]
pub struct Page {
    /// From the root, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Page {
    /// Its code; see the module's head.
    pub fn code(&self) -> String {
        without_tests(&without_words(&self.text))
    }

    /// Whether it holds nothing but tests.
    pub fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
            && !self.path.starts_with("tests/src/")
    }
}

/// A package's `Cargo.toml`.
#[derive(Clone, Debug)]
pub struct Package {
    /// `crdt`.
    pub room: &'static str,
    /// `toko-crdt`.
    pub name: String,
    /// The caption.
    pub description: String,
    /// What it depends on in any build: its own, build and development dependencies.
    pub uses: BTreeSet<String>,
    /// Dependencies that do not take their version from the workspace.
    pub unpinned: BTreeSet<String>,
    /// Whether it takes the workspace's lints.
    pub has_house_lints: bool,
}

/// The root of the source, two folders above nothing: the one that holds all rooms.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file of the tree. Files that are no text (compressed data) are left out.
pub fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    collect(&root(), "", &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every Rust file below a folder or at a path.
pub fn sources(under: &str) -> Vec<Page> {
    let inside = |page: &Page| page.path == under || page.path.starts_with(&format!("{under}/"));
    pages().into_iter().filter(|page| page.path.ends_with(".rs") && inside(page)).collect()
}

/// A file's text, or nothing if it is not there.
pub fn page(path: &str) -> Option<String> {
    std::fs::read_to_string(root().join(path)).ok()
}

/// All packages.
///
/// Errors: the room whose `Cargo.toml` is not what a package has, and why.
pub fn packages() -> Result<Vec<Package>, String> {
    ROOMS
        .into_iter()
        .map(|room| package(room).map_err(|reason| format!("{room}/Cargo.toml: {reason}")))
        .collect()
}

fn package(room: &'static str) -> Result<Package, String> {
    let text = page(&format!("{room}/Cargo.toml")).ok_or("missing")?;
    let manifest: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
    let about = |field: &str| {
        let field = manifest.get("package").and_then(|package| package.get(field));
        field.and_then(toml::Value::as_str).map(str::to_owned).ok_or("no name or no description")
    };
    let mut dependencies: BTreeMap<String, bool> = BTreeMap::new();
    let mut tables = vec![&manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, wanted) in table.get(kind).and_then(toml::Value::as_table).into_iter().flatten() {
                let named = wanted.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                let pinned = wanted.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                *dependencies.entry(named.to_owned()).or_insert(true) &= pinned;
            }
        }
    }
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    Ok(Package {
        room,
        name: about("name")?,
        description: about("description")?,
        unpinned: dependencies.iter().filter(|(_, pinned)| !**pinned).map(|(name, _)| name.clone()).collect(),
        uses: dependencies.into_keys().collect(),
        has_house_lints: lints.and_then(toml::Value::as_bool) == Some(true),
    })
}

fn collect(folder: &Path, path: &str, found: &mut Vec<Page>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name == "target" || name == ".git" {
            continue;
        }
        let (at, path) = (entry.path(), if path.is_empty() { name } else { format!("{path}/{name}") });
        if at.is_dir() {
            collect(&at, &path, found);
        } else if let Ok(text) = std::fs::read_to_string(&at) {
            found.push(Page { path, text });
        }
    }
}

/// Rust without comments and without what stands in strings; lines stay lines.
fn without_words(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut code, mut at) = (String::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let rest = &text[at..];
        let skipped = match bytes[at] {
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => block_comment(rest),
            b'"' => quoted(rest),
            b'r' if !ends_in_a_word(&code) => raw_string(rest).unwrap_or(0),
            b'\'' => letter(rest).unwrap_or(0),
            _ => 0,
        };
        if skipped == 0 {
            let letter = rest.chars().next().map_or(1, char::len_utf8);
            code.push_str(&rest[..letter]);
            at += letter;
        } else {
            code.extend(rest[..skipped].chars().filter(|letter| *letter == '\n'));
            at += skipped;
        }
    }
    code
}

fn ends_in_a_word(code: &str) -> bool {
    code.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn quoted(text: &str) -> usize {
    let mut escaped = true; // The opening mark is no closing one.
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A letter such as `'x'`, `'"'` or `'\''`; nothing for a lifetime.
fn letter(text: &str) -> Option<usize> {
    let inside = &text[1..];
    if inside.starts_with('\\') {
        return inside.get(2..)?.find('\'').map(|at| at + 4);
    }
    let length = inside.chars().next()?.len_utf8();
    inside[length..].starts_with('\'').then_some(length + 2)
}

/// Code without its `#[cfg(test)] mod … { … }`; what stands after them stays.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, tests)) = rest.split_once("#[cfg(test)]\nmod ") {
        kept.push_str(before);
        let mut depth = 0_usize;
        let end = tests.char_indices().find(|(_, letter)| match letter {
            '{' => {
                depth += 1;
                false
            }
            '}' => {
                depth = depth.saturating_sub(1);
                depth == 0
            }
            other => *other == ';' && depth == 0,
        });
        rest = end.map_or("", |(at, _)| &tests[at + 1..]);
    }
    kept + rest
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let inside = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + inside.find(&end).map_or(inside.len(), |at| at + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_is_left_without_comments_strings_and_tests() {
        let text = r##"
//! Never `std::fs`.
use a::b; // nor std::net
/* nor /* std::env */ here */
const A: &str = "std::fs \" still";
const B: &str = r#"std::"fs"#;
const C: (char, char) = ('"', '\''); fn for_r() {}
fn kept<'a>(x: &'a str) { x.len(); }
#[cfg(test)]
mod tests { fn f() { let brace = '}'; } use std::fs; }
fn after_the_tests() -> char { '\u{7b}' }
"##;
        let code = Page { path: "x.rs".into(), text: text.into() }.code();
        assert!(!code.contains("std::") && !code.contains("brace"), "{code}");
        for kept in
            ["use a::b;", "fn for_r() {}", "fn after_the_tests()", "fn kept<'a>(x: &'a str) { x.len(); }"]
        {
            assert!(code.contains(kept), "{code}");
        }
    }

    #[test]
    fn this_room_is_found_with_what_it_uses() {
        let packages = packages().unwrap();
        let tests = packages.iter().find(|package| package.room == "tests").unwrap();
        assert_eq!(tests.name, "toko-tests");
        assert!(tests.uses.contains("toml") && tests.has_house_lints);
        assert!(sources("tests/src").iter().any(|page| page.path == "tests/src/tree.rs"));
    }
}
