//! The suites: test programs of every room, built once with the feature `mutants`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::tree::root;

/// A test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// The executable.
    pub exe: PathBuf,
    /// The room that it is run in, as cargo does.
    pub room: PathBuf,
}

/// Test programs by name: `mesh/power_cut`; `mesh/lib` for the examples beside the code.
pub type Suites = BTreeMap<String, Suite>;

/// Why there are no suites.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Cargo could not be started.
    #[error("cargo could not be run")]
    Cargo(#[source] std::io::Error),
    /// It said why on standard error.
    #[error("the suites were not built")]
    Failed,
}

/// Builds every test program of the workspace with the mutants in it, unoptimised.
///
/// Errors: see [`BuildError`]. What cargo has to say goes to standard error.
pub fn build() -> Result<Suites, BuildError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // What `cargo run` said of this program: a build that hears it takes libraries for stale that every other build made.
    let of_this_program = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    std::env::vars_os()
        .filter(|(name, _)| of_this_program.iter().any(|word| name.to_string_lossy().starts_with(word)))
        .for_each(|(name, _)| _ = build.env_remove(name));
    let built = build
        .args(["test", "--workspace", "--locked", "--no-run", "--features", "toko-tests/mutants"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(BuildError::Cargo)?;
    if !built.status.success() {
        return Err(BuildError::Failed);
    }
    Ok(read(&String::from_utf8_lossy(&built.stdout)))
}

/// Test programs among cargo's messages. Those of binaries are left out: what a binary does is in its library.
fn read(messages: &str) -> Suites {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    artifacts.filter_map(|artifact| named(&artifact)).collect()
}

fn named(artifact: &Value) -> Option<(String, Suite)> {
    let kind = artifact.pointer("/target/kind/0")?.as_str()?;
    if artifact.pointer("/profile/test") != Some(&Value::Bool(true)) || kind == "bin" {
        return None;
    }
    let exe = PathBuf::from(artifact.get("executable")?.as_str()?);
    let room = Path::new(artifact.get("manifest_path")?.as_str()?).parent()?.to_owned();
    let part = if kind == "test" { artifact.pointer("/target/name")?.as_str()? } else { "lib" };
    Some((format!("{}/{part}", room.file_name()?.to_str()?), Suite { exe, room }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_named_by_room_and_program() {
        let message = |kind: &str, name: &str, test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": "/shop/mesh/Cargo.toml", "executable": "/x/y",
                "target": { "kind": [kind], "name": name }, "profile": { "test": test },
            })
            .to_string()
        };
        let lines = [
            "warning: not JSON".to_owned(),
            message("lib", "toko_mesh", true),
            message("lib", "toko_mesh", false),
            message("test", "power_cut", true),
            message("bin", "hubd", true),
        ];
        let suites = read(&lines.join("\n"));
        assert_eq!(suites.keys().collect::<Vec<_>>(), ["mesh/lib", "mesh/power_cut"]);
        assert_eq!(suites["mesh/lib"].room, Path::new("/shop/mesh"));
    }
}
