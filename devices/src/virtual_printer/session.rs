//! The printer's socket: one session at a time, as printers have it; others wait at the door.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::machine::{Effect, Machine};
use super::paper::Tray;
use super::{Counts, Faults};

/// The running printer: its machine, its tray, and what its owner sees and sets.
pub(super) struct Running {
    pub(super) machine: Machine,
    pub(super) tray: Tray,
    pub(super) faults: watch::Receiver<Faults>,
    /// Bytes until the link is cut; [`NEVER`] for a good cable.
    pub(super) link_left: Arc<AtomicU64>,
    pub(super) counts: watch::Sender<Counts>,
}

/// Why a session ended.
enum End {
    Closed,
    Stopped,
}

impl Running {
    /// Serves until it is stopped.
    ///
    /// Errors: the disk refused a piece of paper.
    pub(super) async fn serve(mut self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        self.obey_faults()?;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                changed = self.faults.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    // Nobody listens to the answers; the paper comes out all the same.
                    self.obey_faults()?;
                }
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    self.counts.send_modify(|counts| counts.sessions += 1);
                    match self.session(stream, &stop).await? {
                        End::Closed => {}
                        End::Stopped => return Ok(()),
                    }
                }
            }
        }
    }

    async fn session(&mut self, mut stream: TcpStream, stop: &CancellationToken) -> io::Result<End> {
        let mut bytes = vec![0; READ_BYTES];
        let mut idle_until = Instant::now() + IDLE;
        loop {
            let faults = *self.faults.borrow();
            let left = usize::try_from(self.link_left.load(Ordering::Relaxed)).unwrap_or(READ_BYTES).max(1);
            let room = self.machine.room().min(READ_BYTES).min(left);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(End::Stopped),
                changed = self.faults.changed() => {
                    if changed.is_err() {
                        return Ok(End::Stopped);
                    }
                    let answers = self.obey_faults()?;
                    if !say(&mut stream, &answers).await {
                        return Ok(End::Closed);
                    }
                }
                () = tokio::time::sleep_until(idle_until) => return Ok(End::Closed),
                read = stream.read(&mut bytes[..room]), if room > 0 && !faults.hang => {
                    let n = match read {
                        Ok(0) | Err(_) => return Ok(End::Closed),
                        Ok(n) => n,
                    };
                    idle_until = Instant::now() + IDLE;
                    self.machine.receive(&bytes[..n]);
                    let answers = self.settle()?;
                    if self.link_is_cut(n) || !say(&mut stream, &answers).await {
                        return Ok(End::Closed);
                    }
                }
            }
        }
    }

    /// Counts received bytes down to where the link is to be cut.
    fn link_is_cut(&self, n: usize) -> bool {
        let left = self.link_left.load(Ordering::Relaxed);
        if left == NEVER {
            return false;
        }
        let left = left.saturating_sub(n as u64);
        self.link_left.store(if left == 0 { NEVER } else { left }, Ordering::Relaxed);
        left == 0
    }

    fn obey_faults(&mut self) -> io::Result<Vec<u8>> {
        let faults = *self.faults.borrow_and_update();
        self.machine.set_faults(faults);
        self.settle()
    }

    /// Puts what was printed into the tray and answers what is to be said.
    ///
    /// Files are written in place: they are small, and a printer that waits for its tray is what a printer is.
    fn settle(&mut self) -> io::Result<Vec<u8>> {
        let mut answers = Vec::new();
        for effect in self.machine.effects() {
            match effect {
                Effect::Say(bytes) => answers.extend(bytes),
                Effect::Piece(piece) => {
                    self.tray.keep(&piece)?;
                    self.counts.send_modify(|counts| counts.pieces += 1);
                }
                Effect::Pulse => self.counts.send_modify(|counts| counts.pulses += 1),
            }
        }
        Ok(answers)
    }
}

/// Whether the host took the answers; one that never reads is shown the door.
async fn say(stream: &mut TcpStream, answers: &[u8]) -> bool {
    answers.is_empty() || matches!(timeout(SAY, stream.write_all(answers)).await, Ok(Ok(())))
}

/// No cut of the link is set.
pub(super) const NEVER: u64 = u64::MAX;

const READ_BYTES: usize = 16 * 1024;
/// As network cards of printers do.
const IDLE: Duration = Duration::from_secs(300);
const SAY: Duration = Duration::from_secs(5);
