//! The printer's cable: one session at a time, as printers have it; others wait at the door.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::door::{Listening, Wire};
use super::machine::{Effect, Machine};
use super::paper::Tray;
use super::{Counts, Faults};
use crate::display::VirtualDisplay;

/// The running printer: its machine, its tray, and what its owner sees and sets.
pub(super) struct Running {
    pub(super) machine: Machine,
    pub(super) tray: Tray,
    pub(super) faults: watch::Receiver<Faults>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) accident: SharedAccident,
    pub(super) counts: watch::Sender<Counts>,
    pub(super) display: Option<VirtualDisplay>,
    pub(super) shown: watch::Sender<[String; 2]>,
}

/// Something that a hand does to the printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    PowerCycle,
    OpenAndCloseCover,
    Drawer { open: bool },
}

/// Something that will happen once so many more bytes have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accident {
    pub(super) after: u64,
    pub(super) what: Mishap,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The link is closed; what came is kept.
    LinkDrop,
    /// The link is reset; what came is kept.
    LinkReset,
    /// The printer loses its power for a moment, and all that it was not done with.
    PowerCycle,
}

pub(super) type SharedAccident = Arc<Mutex<Option<Accident>>>;

/// Why a session ended.
enum End {
    Closed,
    Stopped,
}

/// What the printer says, on its way to the host.
#[derive(Default)]
struct Saying {
    waiting: VecDeque<(Instant, Vec<u8>)>,
}

impl Running {
    /// Serves until it is stopped.
    ///
    /// Errors: the disk refused a piece of paper.
    pub(super) async fn serve(mut self, door: Listening, stop: CancellationToken) -> io::Result<()> {
        self.obey_faults()?;
        loop {
            let open = !self.faults.borrow().hang_at_door;
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
                Some(order) = self.orders.recv() => drop(self.obey(order)?),
                accepted = door.accept(), if open => {
                    let Ok(wire) = accepted else { continue };
                    self.counts.send_modify(|counts| counts.sessions += 1);
                    match self.session(wire, &stop).await? {
                        End::Closed => {}
                        End::Stopped => return Ok(()),
                    }
                }
            }
        }
    }

    async fn session(&mut self, mut wire: Wire, stop: &CancellationToken) -> io::Result<End> {
        let mut bytes = vec![0; READ_BYTES];
        let mut idle_until = Instant::now() + IDLE;
        let mut saying = Saying::default();
        loop {
            let faults = *self.faults.borrow();
            let room = self.machine.room().min(READ_BYTES).min(self.bytes_before_accident());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(End::Stopped),
                changed = self.faults.changed() => {
                    if changed.is_err() {
                        return Ok(End::Stopped);
                    }
                    let answers = self.obey_faults()?;
                    saying.take(answers, faults);
                }
                Some(order) = self.orders.recv() => {
                    let answers = self.obey(order)?;
                    if order == Order::PowerCycle {
                        wire.reset();
                        return Ok(End::Closed);
                    }
                    saying.take(answers, faults);
                }
                () = saying.due() => {
                    let answers = saying.now(faults);
                    if !matches!(timeout(SAY, wire.write_all(&answers)).await, Ok(Ok(()))) {
                        // A host that never reads is shown the door.
                        return Ok(End::Closed);
                    }
                }
                () = tokio::time::sleep_until(idle_until) => return Ok(End::Closed),
                read = wire.read(&mut bytes[..room]), if room > 0 && !faults.hang => {
                    let n = match read {
                        Ok(0) | Err(_) => return Ok(End::Closed),
                        Ok(n) => n,
                    };
                    idle_until = Instant::now() + IDLE;
                    self.counts.send_modify(|counts| counts.bytes += n as u64);
                    let mishap = self.mishap_within(n);
                    if let Some(display) = &mut self.display {
                        display.receive(&bytes[..n]);
                        self.shown.send_replace(display.rows());
                    }
                    self.machine.receive(&bytes[..n]);
                    let answers = self.settle()?;
                    match mishap {
                        None => saying.take(answers, faults),
                        Some(Mishap::LinkDrop) => return Ok(End::Closed),
                        Some(Mishap::LinkReset) => {
                            wire.reset();
                            return Ok(End::Closed);
                        }
                        Some(Mishap::PowerCycle) => {
                            self.obey(Order::PowerCycle)?;
                            wire.reset();
                            return Ok(End::Closed);
                        }
                    }
                }
            }
        }
    }

    fn bytes_before_accident(&self) -> usize {
        let accident = self.accident.lock().unwrap_or_else(PoisonError::into_inner);
        accident.map_or(READ_BYTES, |accident| usize::try_from(accident.after).unwrap_or(READ_BYTES).max(1))
    }

    /// Counts received bytes down to the accident.
    fn mishap_within(&self, n: usize) -> Option<Mishap> {
        let mut accident = self.accident.lock().unwrap_or_else(PoisonError::into_inner);
        let coming = accident.as_mut()?;
        coming.after = coming.after.saturating_sub(n as u64);
        if coming.after > 0 {
            return None;
        }
        accident.take().map(|accident| accident.what)
    }

    fn obey_faults(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let faults = *self.faults.borrow_and_update();
        self.machine.set_faults(faults);
        self.settle()
    }

    fn obey(&mut self, order: Order) -> io::Result<Vec<Vec<u8>>> {
        match order {
            Order::PowerCycle => {
                self.machine.power_cycle();
                self.counts.send_modify(|counts| counts.power_cycles += 1);
            }
            Order::OpenAndCloseCover => {
                let faults = *self.faults.borrow();
                self.machine.set_faults(Faults { cover_open: true, ..faults });
                self.machine.set_faults(faults);
            }
            Order::Drawer { open } => self.machine.move_drawer(open),
        }
        self.settle()
    }

    /// Puts what was printed into the tray and answers what is to be said.
    ///
    /// Files are written in place: they are small, and a printer that waits for its tray is what a printer is.
    fn settle(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut answers = Vec::new();
        for effect in self.machine.effects() {
            match effect {
                Effect::Say(bytes) => answers.push(bytes),
                Effect::Piece(piece) => {
                    self.tray.keep(&piece)?;
                    self.counts.send_modify(|counts| counts.pieces += 1);
                }
                Effect::Pulse => self.counts.send_modify(|counts| counts.pulses += 1),
                Effect::Opened => self.counts.send_modify(|counts| counts.openings += 1),
            }
        }
        Ok(answers)
    }
}

impl Saying {
    fn take(&mut self, answers: Vec<Vec<u8>>, faults: Faults) {
        let due = Instant::now() + faults.reply_delay;
        for answer in answers {
            if faults.reply_twice {
                self.waiting.push_back((due, answer.clone()));
            }
            self.waiting.push_back((due, answer));
        }
    }

    /// When the next has to be said; never, if nothing waits.
    async fn due(&self) {
        match self.waiting.front() {
            Some((due, _)) => tokio::time::sleep_until(*due).await,
            None => std::future::pending().await,
        }
    }

    /// The next one, or all that wait in one breath.
    fn now(&mut self, faults: Faults) -> Vec<u8> {
        let count = if faults.reply_merged || faults.reply_delay.is_zero() { self.waiting.len() } else { 1 };
        self.waiting.drain(..count.min(self.waiting.len())).flat_map(|(_, answer)| answer).collect()
    }
}

const READ_BYTES: usize = 16 * 1024;
/// As network cards of printers do.
const IDLE: Duration = Duration::from_secs(300);
const SAY: Duration = Duration::from_secs(5);
