//! `hqd`: headquarters.

use std::process::ExitCode;

fn main() -> ExitCode {
    hqd::run(std::env::args_os())
}
