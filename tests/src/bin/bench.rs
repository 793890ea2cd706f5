//! `bench`: how fast Toko is beside the bare machine, or, with `--as`, one of the daemons.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_tests::bench::run(std::env::args_os())
}
