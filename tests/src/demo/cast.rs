//! The cast: this one executable plays every daemon of the shop, so that real processes run from one command.
//!
//! Invariants: a daemon that the demo started dies with it, whatever ends the demo, because the kernel is asked to see to
//! that; and it is a process group of its own, so that Ctrl-C reaches only the demo, which decides.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, setpgid};

use crate::usage::USAGE;

/// Set for whoever must not outlive the demo: the demo's process number.
pub const PARENT: &str = "TOKO_DEMO_PARENT";

/// What may stand behind `--as`.
const PARTS: &str = "hubd, hubctl, terminal-agent, hqd, virtual-printer";

/// Plays a part if the arguments ask for one (`demo --as hubd …`); nothing if they do not.
pub fn play(args: &[OsString]) -> Option<ExitCode> {
    let [_, flag, rest @ ..] = args else { return None };
    if flag != "--as" {
        return None;
    }
    die_with_parent();
    let part = rest.first().and_then(|part| part.to_str()).unwrap_or_default();
    Some(match part {
        "hubd" => hubd::run(rest),
        "hubctl" => hubd::ctl::run(rest),
        "terminal-agent" => terminal_agent::run(rest),
        "hqd" => hqd::run(rest),
        "virtual-printer" => toko_devices::virtual_printer::run(rest),
        _ => {
            // Nobody is left to tell if this fails.
            let _ =
                writeln!(std::io::stderr(), "demo: --as takes one of {PARTS}, then that program's arguments");
            ExitCode::from(USAGE)
        }
    })
}

/// Sees to it that this process ends with the one that [`PARENT`] names, if it names one.
pub fn die_with_parent() {
    if let Some(parent) = std::env::var(PARENT).ok().and_then(|text| text.parse().ok()) {
        bind_to(parent);
    }
}

fn bind_to(parent: i32) {
    // Where the kernel refuses either, the demo still kills what it holds; only a killed demo would leave daemons behind.
    let _ = setpgid(None, None);
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // It may have died before the kernel was asked.
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(parent) {
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn only_as_asks_for_a_part() {
        assert!(play(&args(&["demo", "--json"])).is_none());
        assert!(play(&args(&["demo"])).is_none());
    }

    #[test]
    fn a_part_that_is_not_in_the_play_is_a_wrong_command_line() {
        let code = play(&args(&["demo", "--as", "postgres"]));
        assert_eq!(format!("{code:?}"), format!("{:?}", Some(ExitCode::from(USAGE))));
    }
}
