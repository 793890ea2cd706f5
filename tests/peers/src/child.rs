//! A server's process: started, spoken to, ended. It ends with this value.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::trouble::Trouble;

/// A process.
#[derive(Debug)]
pub(crate) struct Child {
    child: tokio::process::Child,
    pid: u32,
}

impl Child {
    /// This program in another part, with its arguments as JSON.
    pub(crate) fn ourselves<A: Serialize>(part: &str, args: &A) -> Result<Self, Trouble> {
        let args = serde_json::to_string(args).map_err(Trouble::of("starting a server"))?;
        Self::start(&toko_tests::process::this_binary()?, &["part", part, &args])
    }

    /// Any program. What it says of itself goes where ours goes.
    pub(crate) fn start(program: &Path, args: &[&str]) -> Result<Self, Trouble> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().map_err(Trouble::of(format!("starting {}", program.display())))?;
        let pid = child.id().ok_or_else(|| Trouble::new("starting a server", "it is gone already"))?;
        Ok(Self { child, pid })
    }

    /// What it reads and what it writes; once.
    pub(crate) fn pipes(&mut self) -> Result<(ChildStdin, ChildStdout), Trouble> {
        let (input, output) = (self.child.stdin.take(), self.child.stdout.take());
        input.zip(output).ok_or_else(|| Trouble::new("speaking to a server", "somebody does already"))
    }

    /// Its id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(mut self, patience: Duration) -> Result<(), Trouble> {
        let ended = timeout(patience, self.child.wait()).await;
        let status = ended.map_err(Trouble::of("waiting for a server's end"))??;
        if status.success() { Ok(()) } else { Err(Trouble::new("a server", status.to_string())) }
    }

    /// Kills it.
    pub(crate) async fn kill(mut self) -> Result<(), Trouble> {
        Ok(self.child.kill().await?)
    }
}
