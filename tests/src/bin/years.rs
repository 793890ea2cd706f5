//! `years`: what a hub and a till keep over years of selling, sealing and pruning.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_tests::years::run(std::env::args_os())
}
