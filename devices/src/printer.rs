//! Drives one receipt printer over any cable: asks, sends, and finds out what happened.
//!
//! Invariants: `NotPrinted` means that no byte of the job was handed to the network, so sending it again is safe;
//! from the first byte on the end is `Printed`, at the level that the printer confirmed, `InDoubt`, or, of a printer that is
//! known to confirm nothing, `Sent`. Each wait has a deadline and obeys the caller's stop. A job that was interrupted, also by an earlier process, is cut off the paper
//! before the next one starts. Before a doubt is told, the printer is asked again: one that has the job and says that it waits for
//! paper is waited for, and one whose link broke is linked again, to hear whether it still tells the end of the job.
//! Absent on purpose: repeating anything ([`crate::spool`] decides that), and the queue: a printer serves one session, so its
//! one owner ([`crate::owner`]) calls one method at a time.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::link::{Cut, Heard, Link, Served};
use crate::model::{Job, Model};
use crate::outcome::{Doubt, Level, NotSent, Outcome};
use crate::page::Page;
use crate::probe::{self, Probed};
use crate::reply::Reply;
use crate::status::PrinterStatus;
use crate::tongue::{self, Mark};

mod config;
mod wait;

pub use config::{Deadlines, PrinterConfig};
use wait::Wait;

/// One printer and what was learnt of it. By itself it connects for each call and lets go afterwards, so that others get a
/// turn; an [`Owner`](crate::owner::Owner) holds the link.
#[derive(Debug)]
pub struct Printer {
    config: PrinterConfig,
    link: Link,
    /// Whether the link is kept from call to call.
    holds: bool,
    /// Within a call, also one that was dropped half way.
    calling: bool,
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
        let mut printer = Printer::held(config, Served::default());
        printer.holds = false;
        printer
    }

    /// As [`Printer::new`], whose link is kept, serves pulses and a display, and whose state is told.
    pub(crate) fn held(config: PrinterConfig, served: Served) -> Printer {
        // A mark of an earlier process may still be echoed, so they start anywhere.
        let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_le_bytes();
        let link = Link::new(&config.address, &config.roots, config.model.language, served);
        let mark = u32::from_le_bytes([a, b, c, d]);
        let mut printer = Printer {
            config,
            link,
            holds: true,
            calling: false,
            suspect: true,
            echoes: Echoes::Unknown,
            mark,
        };
        if let Some(level) = printer.config.learnt {
            printer.learn(level);
        }
        printer
    }

    /// From now on this is what it confirms.
    fn learn(&mut self, level: Level) {
        self.config.believe = level.min(Level::Processed);
        self.echoes = if level == Level::Printed { Echoes::Yes } else { Echoes::No };
    }

    /// From now on it is written for as this model.
    pub(crate) fn write_for(&mut self, model: Model) {
        self.config.model = Model { language: self.config.model.language, ..model };
    }

    /// Prints a test strip and learns what the printer confirms. What was known before counts for nothing, and comes back if
    /// nothing is learnt.
    pub(crate) async fn probe(&mut self, name: &str, stop: &CancellationToken) -> Probed {
        let job = probe::strip(name, &self.config.model, &self.config.fonts);
        let known = (self.config.believe, self.echoes);
        (self.config.believe, self.echoes) = (Level::Sent, Echoes::Unknown);
        let outcome = self.print_job(&job, stop).await;
        let (reports_changes, drawer_level) = self.link.told();
        let probed = Probed { outcome, reports_changes, drawer_level };
        match probed.level() {
            Some(level) => self.learn(level),
            None => (self.config.believe, self.echoes) = known,
        }
        probed
    }

    /// Prints a page and finds out what happened.
    pub async fn print(&mut self, page: &Page, stop: &CancellationToken) -> Outcome {
        let job = self.config.model.job(page, &self.config.fonts);
        self.print_job(&job, stop).await
    }

    async fn print_job(&mut self, job: &Job, stop: &CancellationToken) -> Outcome {
        let started = Instant::now();
        self.begin();
        self.link.news().printing(true);
        let outcome = match self.ready(stop).await {
            Ok(answers) => self.deliver(answers, job, stop).await,
            Err(why) => Outcome::NotPrinted { why },
        };
        self.link.news().printing(false);
        self.rest(matches!(outcome, Outcome::InDoubt { .. }));
        let (bytes, elapsed_ms) = (job.bytes.len(), started.elapsed().as_millis());
        match &outcome {
            Outcome::Printed { level } => debug!(%level, bytes, elapsed_ms, "page printed"),
            Outcome::Sent { level } => debug!(%level, bytes, elapsed_ms, "page sent"),
            Outcome::NotPrinted { why } => warn!(err = %why, bytes, elapsed_ms, "page not printed"),
            Outcome::InDoubt { why } => warn!(err = %why, bytes, elapsed_ms, "page in doubt"),
        }
        outcome
    }

    /// Asks the printer how it is.
    ///
    /// Errors: [`NotSent`] if it cannot be asked or does not answer.
    pub async fn status(&mut self, stop: &CancellationToken) -> Result<PrinterStatus, NotSent> {
        self.begin();
        let asked = self.ask(stop).await;
        self.rest(false);
        asked
    }

    pub(crate) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Opens the link, unless it is open.
    async fn connect(&mut self, stop: &CancellationToken) -> Result<(), NotSent> {
        let deadline = Instant::now() + self.config.deadlines.connect;
        match self.link.connect(deadline, stop).await {
            Err(cut) => Err(self.not_reached(cut, "no session in time")),
            Ok(()) => Ok(()),
        }
    }

    async fn ask(&mut self, stop: &CancellationToken) -> Result<PrinterStatus, NotSent> {
        let fresh = !self.link.is_up();
        self.connect(stop).await?;
        if fresh && self.suspect {
            self.link.fill();
        }
        match self.link.status(self.config.deadlines.status, stop).await {
            Ok(status) => {
                if fresh && self.holds {
                    self.link.watch();
                }
                Ok(status)
            }
            Err(cut) => {
                self.link.let_go();
                Err(self.not_reached(cut, ""))
            }
        }
    }

    /// Before a call. What an earlier one asked that ended half way is not awaited any more.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.calling, true) {
            self.link.let_go();
        }
    }

    /// After a call: the link is kept or let go of.
    fn rest(&mut self, doubtful: bool) {
        self.calling = false;
        if doubtful || !self.holds {
            self.link.let_go();
        }
    }

    /// A session with a printer that said that it can print, and whether it said anything.
    async fn ready(&mut self, stop: &CancellationToken) -> Result<bool, NotSent> {
        match self.ask(stop).await {
            Ok(status) if status.can_print() => Ok(true),
            Ok(status) => Err(NotSent::NotReady { status }),
            Err(NotSent::Silent { .. }) if self.config.believe <= Level::Drained => {
                self.connect(stop).await?;
                Ok(false)
            }
            Err(why) => Err(why),
        }
    }

    async fn deliver(&mut self, answers: bool, job: &Job, stop: &CancellationToken) -> Outcome {
        self.mark = self.mark.wrapping_add(1);
        let language = self.config.model.language;
        let mark = Mark::nth(language, self.mark);
        let torn = self.suspect && !crate::mutant!("print-on-a-torn-receipt");
        let mut bytes = if torn { tongue::resync(language) } else { Vec::new() };
        let lead = bytes.len();
        bytes.extend(&job.bytes);
        if answers && self.holds {
            // A page begins by initialising, which may have ended it.
            bytes.extend(tongue::watch(language));
        }
        if self.echoes != Echoes::No && answers {
            bytes.extend(mark.ask());
        }
        if answers {
            bytes.extend(tongue::ask_when_processed(language));
        }
        let seams: Vec<usize> = job.seams.iter().map(|seam| lead + seam).collect();
        // Before the first byte, so that it stays true if this future is dropped half way.
        self.suspect = true;
        let deadline = Instant::now() + self.config.deadlines.send;
        let ended = match self.link.send(&bytes, &seams, deadline, stop).await {
            Err((sent, cut)) if sent <= lead || crate::mutant!("call-a-torn-job-unsent") => {
                self.link.let_go();
                return Outcome::NotPrinted { why: self.not_reached(cut, "") };
            }
            Err((sent, cut)) => Err(Doubt::after(sent - lead, bytes.len() - lead, cut)),
            Ok(()) if answers => self.confirm(mark, job.bytes.len(), stop).await,
            Ok(()) => self.without_answers(job.bytes.len(), stop).await,
        };
        match ended {
            Ok(level) => {
                self.suspect = false;
                Outcome::at(level)
            }
            Err(why) => Outcome::InDoubt { why },
        }
    }

    /// Waits for the echo of the mark (L3), or, from a printer that never echoes, for the job to be processed (L2).
    async fn confirm(&mut self, mark: Mark, bytes: usize, stop: &CancellationToken) -> Result<Level, Doubt> {
        let Deadlines { confirm, echo, .. } = self.config.deadlines;
        let mut wait = Wait::new(confirm, self.config.deadlines.patience);
        let mut reached = Level::Sent;
        let status = loop {
            match self.link.hear(wait.deadline, stop).await {
                Ok(Heard::Reply(reply)) if mark.is_in(&reply) => {
                    self.echoes = Echoes::Yes;
                    return Ok(Level::Printed);
                }
                Ok(Heard::Reply(Reply::InOrder(_))) if reached == Level::Sent => {
                    reached = Level::Processed;
                    match self.echoes {
                        Echoes::Yes => {}
                        Echoes::Unknown => wait.deadline = wait.deadline.min(Instant::now() + echo),
                        Echoes::No => wait.deadline = Instant::now(),
                    }
                }
                Ok(_) => {}
                Err(Cut::Late) => {
                    let status = self.still_there(stop).await?;
                    if reached >= Level::Processed || !self.goes_on(&mut wait, status) {
                        break status;
                    }
                }
                Err(Cut::Stopped) => return Err(Doubt::Stopped),
                Err(cut) => return self.ask_again(mark, Doubt::after(bytes, bytes, cut), stop).await,
            }
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

    /// Links a printer again whose link broke behind a whole job: it may still have it, and then tells its end to whoever is
    /// linked.
    async fn ask_again(
        &mut self,
        mark: Mark,
        doubt: Doubt,
        stop: &CancellationToken,
    ) -> Result<Level, Doubt> {
        let again = self.config.deadlines.again;
        let until = Instant::now() + again;
        if again.is_zero() || self.echoes == Echoes::No {
            return Err(doubt);
        }
        while self.ask(stop).await.is_err() {
            if stop.is_cancelled() {
                return Err(Doubt::Stopped);
            }
            if Instant::now() >= until {
                return Err(doubt);
            }
            // Printers need a moment from one session to the next.
            sleep(REOPEN).await;
        }
        let mut wait = Wait::new(again, self.config.deadlines.patience);
        loop {
            match self.link.hear(wait.deadline, stop).await {
                Ok(Heard::Reply(reply)) if mark.is_in(&reply) => {
                    self.echoes = Echoes::Yes;
                    return Ok(Level::Printed);
                }
                Ok(_) => {}
                Err(Cut::Late) => {
                    let status = self.still_there(stop).await?;
                    if !self.goes_on(&mut wait, status) {
                        return Err(doubt);
                    }
                }
                Err(Cut::Stopped) => return Err(Doubt::Stopped),
                Err(_) => return Err(doubt),
            }
        }
    }

    /// How a printer is that has a job; nothing if it does not answer.
    async fn still_there(&mut self, stop: &CancellationToken) -> Result<Option<PrinterStatus>, Doubt> {
        match self.link.status(self.config.deadlines.status, stop).await {
            Ok(status) => Ok(Some(status)),
            Err(Cut::Stopped) => Err(Doubt::Stopped),
            Err(_) => Ok(None),
        }
    }

    /// Whether to wait longer for a printer that has a job and did not end it in time.
    fn goes_on(&mut self, wait: &mut Wait, status: Option<PrinterStatus>) -> bool {
        let goes_on = wait.goes_on(Instant::now(), status);
        self.link.news().waits_for_a_hand(goes_on && wait.for_a_hand);
        goes_on
    }

    /// The end of a job for a printer that answers nothing, which its owner chose to believe.
    async fn without_answers(&mut self, bytes: usize, stop: &CancellationToken) -> Result<Level, Doubt> {
        let drained = self.link.drain(self.config.deadlines.drain, stop).await;
        self.link.let_go();
        let reached = match drained {
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

    fn not_reached(&mut self, cut: Cut, late: &str) -> NotSent {
        let address = self.config.address.clone();
        let why = match cut {
            Cut::Stopped => return NotSent::Stopped,
            Cut::Late if late.is_empty() => NotSent::Silent { address },
            Cut::Late => NotSent::Unreachable { address, error: late.to_owned() },
            Cut::Lost(error) => NotSent::Unreachable { address, error: error.to_string() },
        };
        match why {
            NotSent::Silent { .. } if self.config.believe <= Level::Drained => self.link.news().silent(),
            _ => self.link.news().not_reached(&why),
        }
        why
    }
}

const REOPEN: Duration = Duration::from_millis(200);
