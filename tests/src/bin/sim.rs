//! See [`toko_tests::sim::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_tests::sim::cli::run()
}
