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
    /// Until when the paper moves; what it did so far comes out then.
    pub(super) moves_until: Option<Instant>,
    /// When it last stood still. What is read right then moves it from there on, as if it had been read ahead.
    pub(super) stood: Instant,
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
                () = moved(self.moves_until), if self.moves_until.is_some() => {
                    self.moves_until = None;
                    self.settle()?;
                }
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
            let window = if faults.rows_a_second.is_some() { READ_BYTES_AT_A_PACE } else { READ_BYTES };
            let room = self.machine.room().min(window).min(self.bytes_before_accident());
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
                () = moved(self.moves_until), if self.moves_until.is_some() => {
                    self.stood = self.moves_until.take().unwrap_or(self.stood);
                    let answers = self.settle()?;
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
                read = wire.read(&mut bytes[..room]), if room > 0 && !faults.hang && self.moves_until.is_none() => {
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
                    self.moves_until = self.moves(faults.rows_a_second);
                    if mishap.is_none() && self.moves_until.is_some() {
                        continue;
                    }
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

    /// Until when the paper moves for what was just received; nothing if that takes no time.
    fn moves(&mut self, rows_a_second: Option<u32>) -> Option<Instant> {
        let rows = self.machine.rows();
        let before = self.counts.borrow().rows;
        self.counts.send_if_modified(|counts| std::mem::replace(&mut counts.rows, rows) != rows);
        let moved = rows.saturating_sub(before);
        let pace = u64::from(rows_a_second?.max(1));
        let now = Instant::now();
        let from = if now.saturating_duration_since(self.stood) < READ_AHEAD { self.stood } else { now };
        (moved > 0).then(|| from + Duration::from_micros(moved.saturating_mul(1_000_000) / pace))
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
        if faults.rows_a_second.is_none() {
            self.moves_until = None;
        } else if self.moves_until.is_some() {
            // What the paper moves for comes out when it has.
            return Ok(Vec::new());
        }
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

async fn moved(until: Option<Instant>) {
    if let Some(until) = until {
        tokio::time::sleep_until(until).await;
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
/// A line or two of text, so that what is asked in between is not answered much later.
const READ_BYTES_AT_A_PACE: usize = 64;
/// Later than a timer is, earlier than a host answers.
const READ_AHEAD: Duration = Duration::from_millis(2);
/// As network cards of printers do.
const IDLE: Duration = Duration::from_secs(300);
const SAY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::super::{Options, VirtualPrinter};
    use super::*;

    #[tokio::test]
    async fn while_the_paper_moves_nothing_comes_out_and_nothing_is_read() {
        let out = tempfile::tempdir().unwrap();
        let mut options = Options::new(out.path());
        // Five minutes for what is asked of it.
        options.faults.rows_a_second = Some(1);
        let printer = VirtualPrinter::spawn(options).await.unwrap();
        let mut host = TcpStream::connect(printer.address()).await.unwrap();
        let job = [b"a row\n".repeat(10).as_slice(), b"\x1bi\x1d(H\x06\x0000wxyz"].concat();
        host.write_all(&job).await.unwrap();
        let mut counts = printer.counts();
        let seen = *counts.wait_for(|counts| counts.rows > 0).await.unwrap();
        assert_eq!((seen.pieces, seen.bytes), (0, 64));
        // Mended it prints the rest at once, and then says so.
        printer.set_faults(|faults| faults.rows_a_second = None);
        let mut echo = [0; 7];
        host.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"\x37\x22wxyz\x00");
        assert_eq!((counts.borrow().pieces, counts.borrow().rows), (1, 300));
    }

    const LATE: Duration = Duration::from_secs(3);

    fn faults(change: impl FnOnce(&mut Faults)) -> Faults {
        let mut faults = Faults::default();
        change(&mut faults);
        faults
    }

    /// What is said, breath by breath, and when, of three answers that come together.
    async fn breaths(faults: Faults) -> Vec<(Duration, Vec<u8>)> {
        let (mut saying, mut breaths, began) = (Saying::default(), Vec::new(), Instant::now());
        saying.take(vec![b"a".to_vec(), b"bc".to_vec()], faults);
        saying.take(vec![b"d".to_vec()], faults);
        while timeout(2 * LATE, saying.due()).await.is_ok() {
            breaths.push((began.elapsed(), saying.now(faults)));
        }
        breaths
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_said_at_once_and_those_that_wait_together() {
        assert_eq!(breaths(Faults::default()).await, [(Duration::ZERO, b"abcd".to_vec())]);
    }

    #[tokio::test(start_paused = true)]
    async fn late_answers_come_late_and_each_by_itself() {
        let late = faults(|faults| faults.reply_delay = LATE);
        let said = breaths(late).await;
        assert!(said.iter().all(|(at, _)| *at >= LATE), "{said:?}");
        assert_eq!(said.into_iter().map(|(_, said)| said).collect::<Vec<_>>(), [&b"a"[..], b"bc", b"d"]);
    }

    #[tokio::test(start_paused = true)]
    async fn late_answers_that_are_merged_come_late_and_in_one_breath() {
        let merged = faults(|faults| (faults.reply_delay, faults.reply_merged) = (LATE, true));
        let said = breaths(merged).await;
        assert!(said[0].0 >= LATE, "{said:?}");
        assert_eq!(said.into_iter().map(|(_, said)| said).collect::<Vec<_>>(), [b"abcd"]);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_come_twice_do_so_one_behind_the_other() {
        let twice = faults(|faults| faults.reply_twice = true);
        assert_eq!(breaths(twice).await, [(Duration::ZERO, b"aabcbcdd".to_vec())]);
        let late = Faults { reply_delay: LATE, ..twice };
        let said: Vec<Vec<u8>> = breaths(late).await.into_iter().map(|(_, said)| said).collect();
        assert_eq!(said, [&b"a"[..], b"a", b"bc", b"bc", b"d", b"d"]);
    }
}
