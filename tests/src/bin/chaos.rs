//! `chaos`: a shop of real processes, broken on purpose, or, with `--as`, one of the daemons.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_tests::chaos::run(std::env::args_os())
}
