//! The command line of a program: read, or answered as all our programs answer a wrong one, a plea for help or for the version.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// What a program exits with that was called wrongly.
pub const USAGE: u8 = 64;

/// Reads it.
///
/// Errors: what to exit with; what there is to say is said.
pub fn read<A: Parser>(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<A, ExitCode> {
    A::try_parse_from(args).map_err(|asked| {
        // Nobody is left to tell if this fails.
        let _ = asked.print();
        ExitCode::from(if asked.use_stderr() { USAGE } else { 0 })
    })
}
