//! The targets by hand: a list for `fuzz/run.sh`, the seeds of every corpus, and one input alone.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use super::{TARGETS, Target, target};

/// Runs `list`, `seeds`, or `enter TARGET FILE…`.
///
/// Errors: exit code 1 with a sentence; an input that breaks what must hold panics.
pub fn run(args: impl Iterator<Item = String>) -> ExitCode {
    let args: Vec<String> = args.collect();
    let said = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => Ok(list()),
        ["seeds"] => TARGETS.iter().map(write_seeds).collect(),
        ["enter", name, ref files @ ..] => enter(name, files),
        _ => Err("hostile list | hostile seeds | hostile enter TARGET FILE...".to_owned()),
    };
    let (text, code) = match said {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(why) => (format!("hostile: {why}\n"), ExitCode::FAILURE),
    };
    // Whoever closed the pipe does not want the rest.
    let _ = std::io::stdout().write_all(text.as_bytes());
    code
}

fn list() -> String {
    TARGETS.iter().fold(String::new(), |mut text, Target { name, what, bytes_max, .. }| {
        let _ = writeln!(text, "{name}\t{bytes_max}\t{what}");
        text
    })
}

/// Writes the seeds of a target into its corpus; what the fuzzer found stays as it is.
fn write_seeds(target: &Target) -> Result<String, String> {
    let folder = target.corpus_path();
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(failed)?;
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-")) {
            std::fs::remove_file(&path).map_err(failed)?;
        }
    }
    let seeds = (target.seeds)();
    for (seed, at) in seeds.iter().zip(1..) {
        std::fs::write(folder.join(format!("seed-{at:02}")), seed).map_err(failed)?;
    }
    Ok(format!("{}: {} seeds\n", target.name, seeds.len()))
}

fn enter(name: &str, files: &[&str]) -> Result<String, String> {
    let target = target(name).ok_or_else(|| format!("{name} is no target"))?;
    for file in files {
        (target.enter)(&std::fs::read(file).map_err(|error| format!("{file}: {error}"))?);
    }
    Ok(format!("{name}: {} inputs, and all of it holds\n", files.len()))
}
