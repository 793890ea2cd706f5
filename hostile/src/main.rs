//! `hostile list | seeds | enter TARGET FILE…`: the doors that strangers knock at, without the fuzzer.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_hostile::cli::run(std::env::args().skip(1))
}
