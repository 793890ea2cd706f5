//! `recovery`: how long a blank machine takes to become the hub of a shop, or, with `--as`, one of the daemons.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_tests::recovery::run(std::env::args_os())
}
