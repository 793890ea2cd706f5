//! One suite against one mutant, or against none: a process with a deadline, ended at the first test that fails.
//!
//! Invariants: whatever ends a trial, its process and those that it started are gone; property tests neither shrink what
//! they find nor keep it, since it is the mutant's and not the product's.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use toko_crdt::mutant::VARIABLE;

use super::suite::Suite;
use crate::demo::stop::StopSign;

/// How often a silent suite is looked at for a wish to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How much of what a suite says is kept.
const LINES_KEPT: usize = 80;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every test passed.
    Passed,
    /// This test failed first.
    Failed(String),
    /// The program ended otherwise than a test program does: an abort, a signal.
    Died(String),
    /// It was not done at the deadline.
    Hung,
    /// Somebody wants all of it to end.
    Stopped,
}

/// A trial that is over.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// The last lines that it said.
    pub said: String,
}

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The program.
    pub suite: &'a Suite,
    /// Only tests whose names hold one of these words; all where there is none.
    pub words: &'a [&'a str],
    /// The mutant.
    pub mutant: Option<&'a str>,
    /// How long it may take.
    pub deadline: Duration,
}

impl Plan<'_> {
    /// Tries it.
    ///
    /// Errors: the program could not be started or looked at.
    pub fn run(&self, stop: &StopSign) -> std::io::Result<Trial> {
        let began = Instant::now();
        let mut group = Group(self.start()?);
        let Some(out) = group.0.stdout.take() else { unreachable!("the pipe that was asked for") };
        let lines = lines_of(out)?;
        let mut said = VecDeque::new();
        let outcome = loop {
            match lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => {
                    let failed = failed_test(&line).filter(|_| self.mutant.is_some());
                    said.push_back(line);
                    if said.len() > LINES_KEPT {
                        said.pop_front();
                    }
                    if let Some(test) = failed {
                        break Outcome::Failed(test);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    break group.end(said.iter(), began + self.deadline)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if stop.is_up() {
                break Outcome::Stopped;
            }
            if began.elapsed() > self.deadline {
                break Outcome::Hung;
            }
        };
        drop(group);
        Ok(Trial { outcome, took: began.elapsed(), said: Vec::from(said).join("\n") })
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.suite.exe);
        command.args(self.words).current_dir(&self.suite.room).env_remove(VARIABLE);
        if let Some(mutant) = self.mutant {
            command.env(VARIABLE, mutant);
        }
        command
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
    }
}

/// A process and those that it started, which end with this value.
struct Group(Child);

impl Group {
    /// It closed its output, so it is about to end.
    fn end<'a>(
        &mut self,
        said: impl Iterator<Item = &'a String>,
        deadline: Instant,
    ) -> std::io::Result<Outcome> {
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                return Ok(match said.filter_map(|line| failed_test(line)).next() {
                    _ if status.success() => Outcome::Passed,
                    Some(test) => Outcome::Failed(test),
                    None => Outcome::Died(status.to_string()),
                });
            }
            // A foreign process offers nothing to wait on but another look.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Outcome::Hung)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody is left to tell; what cannot be killed is gone already.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

fn lines_of(out: impl std::io::Read + Send + 'static) -> std::io::Result<Receiver<String>> {
    let (tell, lines) = channel();
    std::thread::Builder::new().name("suite".into()).spawn(move || {
        for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
            if tell.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}

/// The name in `test a::b ... FAILED`.
fn failed_test(line: &str) -> Option<String> {
    let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
    Some(name.trim_end_matches(" - should panic").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A suite that is a shell; its "words" are `-c` and a script.
    fn shell(script: &str, mutant: Option<&str>, deadline: Duration) -> Trial {
        let suite = Suite { exe: "/bin/sh".into(), room: PathBuf::from("/") };
        let plan = Plan { suite: &suite, words: &["-c", script], mutant, deadline };
        plan.run(&StopSign::default()).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_first_test_that_fails_ends_a_trial() {
        let trial = shell("echo 'test a::b ... ok'; echo 'test a::c ... FAILED'; sleep 600", Some("x"), LONG);
        assert_eq!(trial.outcome, Outcome::Failed("a::c".into()));
        let trial = shell("echo \"test a::$TOKO_MUTANT ... FAILED\"; sleep 600", Some("x"), LONG);
        assert_eq!(trial.outcome, Outcome::Failed("a::x".into()), "the mutant is named to the suite");
    }

    #[test]
    fn without_a_mutant_all_tests_run_and_what_they_said_is_kept() {
        let trial = shell("echo 'test a ... FAILED'; echo why; exit 101", None, LONG);
        assert_eq!(trial.outcome, Outcome::Failed("a".into()));
        assert!(trial.said.ends_with("why"), "{}", trial.said);
        assert_eq!(shell("echo 'test a ... ok'", None, LONG).outcome, Outcome::Passed);
    }

    #[test]
    fn a_suite_that_dies_or_hangs_says_so() {
        assert_eq!(shell("kill -9 $$", Some("x"), LONG).outcome, Outcome::Died("signal: 9 (SIGKILL)".into()));
        assert_eq!(shell("sleep 600", Some("x"), Duration::from_millis(10)).outcome, Outcome::Hung);
    }
}
