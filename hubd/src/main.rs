//! `hubd`: the store's hub.

use std::process::ExitCode;

fn main() -> ExitCode {
    hubd::run(std::env::args_os())
}
