//! `paper`: what really came out, by Toko's hub and by CUPS, on the same printer with the same faults.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_tests::paper::run(std::env::args_os())
}
