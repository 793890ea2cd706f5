//! The `terminal-agent` program.

fn main() -> std::process::ExitCode {
    terminal_agent::run(std::env::args_os())
}
