//! What the suite plays itself inside a namespace, as a process of its own: a forger of mDNS.

use std::ffi::OsString;
use std::process::ExitCode;

/// Plays a tool if the arguments ask for one.
pub fn play(_args: &[OsString]) -> Option<ExitCode> {
    None
}
