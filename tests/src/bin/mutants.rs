//! `mutants`: breaks the shop on purpose, one fault at a time, and sees whether the tests notice.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_tests::mutants::run(std::env::args_os())
}
