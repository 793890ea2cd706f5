//! A receipt printer on TCP whose paper is text files: `virtual-printer --listen 127.0.0.1:9100 --out DIR`.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_devices::virtual_printer::run(std::env::args_os())
}
