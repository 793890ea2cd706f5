//! Scales, displays, scanners and label printers that need no hardware. See `virtual-device --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    toko_devices::virtual_device::run(std::env::args_os())
}
