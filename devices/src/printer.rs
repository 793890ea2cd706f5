//! Drives one receipt printer over any cable: asks, sends, and finds out what happened.
//!
//! Invariants: `NotPrinted` means that no byte of the job was handed to the network, so sending it again is safe;
//! from the first byte on the end is `Printed`, at the level that the printer confirmed, or `InDoubt`. Each wait has a
//! deadline and obeys the caller's stop. A job that was interrupted, also by an earlier process, is cut off the paper
//! before the next one starts. Absent on purpose: repeating anything ([`crate::spool`] decides that), and the queue: a
//! printer serves one session, so its one owner calls one method at a time.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::cable::Roots;
use crate::escpos::{self, DrawerPin, Model, ProcessId};
use crate::fonts::SystemFonts;
use crate::link::{Cut, Link};
use crate::outcome::{Doubt, Level, NotSent, Opening, Outcome};
use crate::page::Page;
use crate::reply::Reply;
use crate::status::PrinterStatus;

/// One printer, as a shop configures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrinterConfig {
    /// Where it hangs, as [`Address`](crate::cable::Address) is written: `192.168.1.40:9100`, `usb:SERIAL`.
    pub address: String,
    /// Where this machine lists its devices.
    pub roots: Roots,
    /// Its paper, characters and language.
    pub model: Model,
    /// Fonts for what its code pages lack.
    pub fonts: SystemFonts,
    /// The least that counts as printed. A printer that answers nothing needs `Sent` or `Drained`, and then its dead
    /// twin is taken for it.
    pub believe: Level,
    /// How long to wait for what.
    pub deadlines: Deadlines,
}

/// How long to wait for what. Longer means fewer doubts and a longer queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a session.
    pub connect: Duration,
    /// For the answers to a status question.
    pub status: Duration,
    /// For the network to take a job.
    pub send: Duration,
    /// For the printer to confirm a job, from its last byte on.
    pub confirm: Duration,
    /// For the echo of a mark after the job was processed, until it is known whether this printer echoes at all.
    pub echo: Duration,
    /// For a printer that confirms nothing to close the session.
    pub drain: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            connect: Duration::from_secs(2),
            status: Duration::from_secs(1),
            send: Duration::from_secs(10),
            confirm: Duration::from_secs(20),
            echo: Duration::from_secs(5),
            drain: Duration::from_secs(2),
        }
    }
}

impl PrinterConfig {
    /// A printer at an address, with the defaults: 80 mm paper, believed from [`Level::Processed`] on.
    #[must_use]
    pub fn at(address: impl Into<String>) -> PrinterConfig {
        PrinterConfig {
            address: address.into(),
            roots: Roots::default(),
            model: Model::default(),
            fonts: SystemFonts::default(),
            believe: Level::Processed,
            deadlines: Deadlines::default(),
        }
    }
}

/// One printer and what was learnt of it. It connects for each call and lets go afterwards, so that others get a turn.
#[derive(Debug)]
pub struct Printer {
    config: PrinterConfig,
    /// Something may stand half printed: true from the first byte of a job until it is confirmed, and at first.
    suspect: bool,
    echoes: Echoes,
    mark: u32,
}

/// Whether this printer echoes marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Echoes {
    Unknown,
    Yes,
    No,
}

impl Printer {
    /// A printer of which nothing is known yet; nothing is sent.
    #[must_use]
    pub fn new(config: PrinterConfig) -> Printer {
        // A mark of an earlier process may still be echoed, so they start anywhere.
        let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_le_bytes();
        Printer { config, suspect: true, echoes: Echoes::Unknown, mark: u32::from_le_bytes([a, b, c, d]) }
    }

    /// Prints a page and finds out what happened.
    pub async fn print(&mut self, page: &Page, stop: &CancellationToken) -> Outcome {
        let job = self.config.model.encode(page, &self.config.fonts);
        let started = Instant::now();
        let outcome = match self.ready(stop).await {
            Ok((link, answers)) => self.deliver(link, answers, &job, stop).await,
            Err(why) => Outcome::NotPrinted { why },
        };
        let (bytes, elapsed_ms) = (job.len(), started.elapsed().as_millis());
        match &outcome {
            Outcome::Printed { level } => debug!(%level, bytes, elapsed_ms, "page printed"),
            Outcome::NotPrinted { why } => warn!(err = %why, bytes, elapsed_ms, "page not printed"),
            Outcome::InDoubt { why } => warn!(err = %why, bytes, elapsed_ms, "page in doubt"),
        }
        outcome
    }

    /// Asks the printer how it is.
    ///
    /// Errors: [`NotSent`] if it cannot be asked or does not answer.
    pub async fn status(&mut self, stop: &CancellationToken) -> Result<PrinterStatus, NotSent> {
        let mut link = self.connect(stop).await?;
        link.status(self.config.deadlines.status, stop).await.map_err(|cut| self.not_sent(cut))
    }

    /// Opens the drawer: one pulse, in its place among the printing if the printer is online, at once if it is not,
    /// because a drawer does not wait for paper. To a printer that does not answer nothing is sent: it could open later,
    /// with nobody there.
    pub async fn drawer_pulse(&mut self, pin: DrawerPin, stop: &CancellationToken) -> Opening {
        let within = self.config.deadlines.status;
        let asked = match self.connect(stop).await {
            Ok(mut link) => match link.status(within, stop).await {
                Ok(status) => Ok((link, status)),
                Err(cut) => Err(self.not_sent(cut)),
            },
            Err(why) => Err(why),
        };
        let (mut link, status) = match asked {
            Ok(asked) => asked,
            Err(why) => return Opening::NotPulsed { why },
        };
        let in_order = status.can_print() && !self.suspect;
        let mut bytes = Vec::new();
        if in_order {
            bytes.extend(escpos::drawer_pulse(pin));
            bytes.extend(escpos::ask_when_processed());
        } else {
            bytes.extend(escpos::drawer_pulse_now(pin));
            bytes.extend(escpos::ask(escpos::Question::Printer));
        }
        let deadline = Instant::now() + within;
        self.suspect |= in_order;
        match link.send(&bytes, deadline, stop).await {
            Err((0, cut)) => return Opening::NotPulsed { why: self.not_sent(cut) },
            Err((sent, cut)) => return Opening::InDoubt { why: Doubt::after(sent, bytes.len(), cut) },
            Ok(()) => {}
        }
        loop {
            match link.hear(deadline, stop).await {
                Ok(Reply::InOrder(_)) if in_order => {
                    self.suspect = false;
                    return Opening::Pulsed;
                }
                Ok(Reply::RealTime(_)) if !in_order => return Opening::Pulsed,
                Ok(_) => {}
                Err(Cut::Late) => {
                    let why = Doubt::Unconfirmed { reached: Level::Sent, status: Some(status) };
                    return Opening::InDoubt { why };
                }
                Err(cut) => return Opening::InDoubt { why: Doubt::after(bytes.len(), bytes.len(), cut) },
            }
        }
    }

    async fn connect(&self, stop: &CancellationToken) -> Result<Link, NotSent> {
        let deadline = Instant::now() + self.config.deadlines.connect;
        match Link::connect(&self.config.address, &self.config.roots, deadline, stop).await {
            Err(Cut::Late) => Err(NotSent::Unreachable {
                address: self.config.address.clone(),
                error: "no session in time".to_owned(),
            }),
            Err(cut) => Err(self.not_sent(cut)),
            Ok(link) => Ok(link),
        }
    }

    /// A session with a printer that said that it can print, and whether it said anything.
    async fn ready(&self, stop: &CancellationToken) -> Result<(Link, bool), NotSent> {
        let mut link = self.connect(stop).await?;
        match link.status(self.config.deadlines.status, stop).await {
            Ok(status) if status.can_print() => Ok((link, true)),
            Ok(status) => Err(NotSent::NotReady { status }),
            Err(Cut::Late) if self.config.believe <= Level::Drained => Ok((link, false)),
            Err(cut) => Err(self.not_sent(cut)),
        }
    }

    async fn deliver(
        &mut self,
        mut link: Link,
        answers: bool,
        job: &[u8],
        stop: &CancellationToken,
    ) -> Outcome {
        self.mark = self.mark.wrapping_add(1);
        let mark = ProcessId::nth(self.mark);
        let torn = self.suspect && !crate::mutant!("print-on-a-torn-receipt");
        let mut bytes = if torn { escpos::resync() } else { Vec::new() };
        let lead = bytes.len();
        bytes.extend(job);
        if self.echoes != Echoes::No && answers {
            bytes.extend(escpos::ask_when_printed(mark));
        }
        if answers {
            bytes.extend(escpos::ask_when_processed());
        }
        // Before the first byte, so that it stays true if this future is dropped half way.
        self.suspect = true;
        let deadline = Instant::now() + self.config.deadlines.send;
        let ended = match link.send(&bytes, deadline, stop).await {
            Err((sent, cut)) if sent <= lead || crate::mutant!("call-a-torn-job-unsent") => {
                return Outcome::NotPrinted { why: self.not_sent(cut) };
            }
            Err((sent, cut)) => Err(Doubt::after(sent - lead, bytes.len() - lead, cut)),
            Ok(()) if answers => self.confirm(&mut link, mark, job.len(), stop).await,
            Ok(()) => self.without_answers(&mut link, job.len(), stop).await,
        };
        match ended {
            Ok(level) => {
                self.suspect = false;
                Outcome::Printed { level }
            }
            Err(why) => Outcome::InDoubt { why },
        }
    }

    /// Waits for the echo of the mark (L3), or, from a printer that never echoes, for the job to be processed (L2).
    async fn confirm(
        &mut self,
        link: &mut Link,
        mark: ProcessId,
        bytes: usize,
        stop: &CancellationToken,
    ) -> Result<Level, Doubt> {
        let Deadlines { confirm, echo, status, .. } = self.config.deadlines;
        let mut deadline = Instant::now() + confirm;
        let mut reached = Level::Sent;
        loop {
            match link.hear(deadline, stop).await {
                Ok(Reply::Printed(id)) if id == mark.bytes() || crate::mutant!("believe-any-echo") => {
                    self.echoes = Echoes::Yes;
                    return Ok(Level::Printed);
                }
                Ok(Reply::InOrder(_)) if reached == Level::Sent => {
                    reached = Level::Processed;
                    match self.echoes {
                        Echoes::Yes => {}
                        Echoes::Unknown => deadline = deadline.min(Instant::now() + echo),
                        Echoes::No => break,
                    }
                }
                Ok(_) => {}
                Err(Cut::Late) => break,
                Err(cut) => return Err(Doubt::after(bytes, bytes, cut)),
            }
        }
        let status = match link.status(status, stop).await {
            Ok(status) => Some(status),
            Err(Cut::Stopped) => return Err(Doubt::Stopped),
            Err(_) => None,
        };
        let healthy = status.is_some_and(|status| status.can_print());
        if healthy && reached == Level::Processed && self.echoes == Echoes::Unknown {
            self.echoes = Echoes::No;
        }
        let best = if self.echoes == Echoes::Yes { Level::Printed } else { Level::Processed };
        let enough =
            reached >= self.config.believe && (reached == best || self.config.believe < Level::Processed);
        if healthy && enough { Ok(reached) } else { Err(Doubt::Unconfirmed { reached, status }) }
    }

    /// The end of a job for a printer that answers nothing, which its owner chose to believe.
    async fn without_answers(
        &self,
        link: &mut Link,
        bytes: usize,
        stop: &CancellationToken,
    ) -> Result<Level, Doubt> {
        let reached = match link.drain(self.config.deadlines.drain, stop).await {
            Ok(()) => Level::Drained,
            Err(Cut::Late) => Level::Sent,
            Err(cut) => return Err(Doubt::after(bytes, bytes, cut)),
        };
        if reached >= self.config.believe {
            Ok(reached)
        } else {
            Err(Doubt::Unconfirmed { reached, status: None })
        }
    }

    fn not_sent(&self, cut: Cut) -> NotSent {
        let address = self.config.address.clone();
        match cut {
            Cut::Stopped => NotSent::Stopped,
            Cut::Late => NotSent::Silent { address },
            Cut::Lost(error) => NotSent::Unreachable { address, error: error.to_string() },
        }
    }
}
