//! `demo`: one real trading day through a shop whose boxes die, or, with `--as`, one of the daemons.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_tests::demo::run(std::env::args_os())
}
