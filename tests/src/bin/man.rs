//! `man`: writes a manual page for each program and each of its commands, from the same source as `--help`.

use clap::CommandFactory;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("man: name a directory for the pages, such as: cargo run --bin man -- target/man");
        return ExitCode::from(64);
    };
    match write(&dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("man: {}: {problem}", dir.display());
            ExitCode::from(74)
        }
    }
}

fn write(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let programs = [
        hubd::command(),
        hubd::ctl::command(),
        terminal_agent::cli::Cli::command(),
        hqd::cli::Cli::command(),
    ];
    for program in programs {
        clap_mangen::generate_to(program, dir)?;
    }
    Ok(())
}
