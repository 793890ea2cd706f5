//! Exit codes, the same for every daemon and tool. Source: the numbers of `sysexits.h`.
//!
//! The units list [`USAGE`] and [`CONFIG`] in `RestartPreventExitStatus=`: starting again will not help there.

/// Everything was done.
pub const OK: u8 = 0;
/// It did not work out, and the message says why.
pub const FAILED: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 64;
/// The store directory or the disk: missing, foreign, locked, broken or full.
pub const STORE: u8 = 74;
/// The other side: not reached, not trusted, or it refused.
pub const PEER: u8 = 76;
/// The configuration.
pub const CONFIG: u8 = 78;
