//! The `terminal-agent` program.

fn main() {}
