//! `hubctl`: administers a running hub over its Unix socket.

use std::process::ExitCode;

fn main() -> ExitCode {
    hubd::ctl::run(std::env::args_os())
}
