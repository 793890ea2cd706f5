//! The way to a printer while it is held: bytes out, replies in, each wait with a deadline and a stop.
//!
//! Whatever is waited for, meanwhile the drawer's pulses go out and the printer's own news comes in. Questions in real
//! time, and pulses, stand only where a command of the job may begin, since inside of one they would be its data. What a display
//! behind the printer is to show stands between jobs alone, whole, and anew on each link.
//! Invariants: answers do not name their question, so questions go out in the order in which their answers are awaited; what
//! was asked on one link is not awaited on the next.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::cable::{self, Address, Cable, Finished, Roots};
use crate::escpos::Question;
use crate::model::Language;
use crate::owner::{Behind, News, Pulses};
use crate::reply::{Replies, Reply};
use crate::status::PrinterStatus;
use crate::tongue;

mod turn;

use turn::{Turn, bounded, turn};

/// A printer's link, up or down.
#[derive(Debug)]
pub(crate) struct Link {
    address: String,
    roots: Roots,
    language: Language,
    cable: Option<Cable>,
    replies: Replies,
    heard: VecDeque<Heard>,
    /// Questions in real time that are out, or go out before anything else.
    asked: VecDeque<Asked>,
    urgent: Vec<u8>,
    /// Whether the next byte that goes out may begin a command.
    at_seam: bool,
    /// Whether it told its state unasked, over this link or an earlier one.
    reports: bool,
    /// Whether a job is going out, or no more may be said.
    in_job: bool,
    pulses: Pulses,
    behind: Behind,
    news: News,
}

/// What was asked in real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    One(Question),
    /// All of it at once, as a Star tells it.
    Whole,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The answer to a question in real time.
    Answer(Question, u8),
    /// The whole state, asked for.
    Whole(PrinterStatus),
    /// Anything else but news of its state.
    Reply(Reply),
}

/// What somebody wants of a printer that is not linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Pulse,
    Drawing,
}

/// What an owner has served over the link beside its jobs.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) pulses: Pulses,
    pub(crate) behind: Behind,
    pub(crate) news: News,
}

/// Why a wait ended without what it waited for.
#[derive(Debug)]
pub(crate) enum Cut {
    /// We were asked to stop.
    Stopped,
    /// The deadline passed.
    Late,
    /// The link broke.
    Lost(io::Error),
}

enum Step {
    Sent(usize),
    Heard(Heard),
}

/// Whose bytes go out next.
enum Out {
    Urgent,
    Pulse,
    Job,
}

impl Link {
    /// A link that is down.
    pub(crate) fn new(address: &str, roots: &Roots, language: Language, owner: Served) -> Link {
        let Served { pulses, behind, news } = owner;
        Link {
            address: address.to_owned(),
            roots: roots.clone(),
            language,
            cable: None,
            replies: Replies::of(tongue::dialect(language)),
            heard: VecDeque::new(),
            asked: VecDeque::new(),
            urgent: Vec::new(),
            at_seam: true,
            reports: false,
            in_job: false,
            pulses,
            behind,
            news,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.cable.is_some()
    }

    /// Opens a session with whatever the address names, unless there is one; a printer that is not plugged in is waited for.
    pub(crate) async fn connect(&mut self, deadline: Instant, stop: &CancellationToken) -> Result<(), Cut> {
        if self.is_up() {
            return Ok(());
        }
        let wrong = |problem| Cut::Lost(io::Error::new(io::ErrorKind::InvalidInput, problem));
        let address: Address = self.address.parse().map_err(wrong)?;
        match bounded(deadline, stop, cable::connect(&address, &self.roots)).await {
            Ok(cable) => {
                self.cable = Some(cable);
                self.replies = Replies::of(tongue::dialect(self.language));
                self.at_seam = true;
                self.in_job = false;
                // Half a drawing leaves a printer deaf, and a display that was away shows nothing.
                self.behind.draw_again();
                self.news.linked(true);
                Ok(())
            }
            Err(Cut::Late) => Err(cable::absent(&address, &self.roots).map_or(Cut::Late, Cut::Lost)),
            Err(cut) => Err(cut),
        }
    }

    /// Ends the session; a pulse that is out is answered as it stands.
    pub(crate) fn let_go(&mut self) {
        self.cable = None;
        self.heard.clear();
        self.asked.clear();
        self.urgent.clear();
        self.pulses.link_lost("the link was let go of");
        self.news.linked(false);
    }

    /// Sends all of `bytes`, with what is urgent at their `seams`; on failure says how many were handed to the system.
    pub(crate) async fn send(
        &mut self,
        bytes: &[u8],
        seams: &[usize],
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<(), (usize, Cut)> {
        let (mut sent, mut kept) = (0, VecDeque::new());
        self.in_job = true;
        let done = loop {
            if sent == bytes.len() {
                break Ok(());
            }
            let far = seams.iter().copied().find(|seam| *seam >= sent + PIECE_BYTES);
            let piece = &bytes[sent..far.unwrap_or(bytes.len()).min(bytes.len())];
            match self.step(piece, deadline, stop).await {
                Ok(Step::Sent(n)) => {
                    sent += n;
                    self.at_seam = sent == bytes.len() || seams.contains(&sent);
                }
                // Whoever sends has no ear for it yet.
                Ok(Step::Heard(heard)) if kept.len() < KEPT_MAX => kept.push_back(heard),
                Ok(Step::Heard(_)) => {}
                Err(cut) => break Err((sent, cut)),
            }
        };
        kept.append(&mut self.heard);
        self.heard = kept;
        self.in_job = done.is_err();
        // Dots of the job may have been something to a display that hears them.
        self.behind.draw_again();
        done
    }

    /// The next thing that the printer says and that is no news of its state.
    pub(crate) async fn hear(&mut self, deadline: Instant, stop: &CancellationToken) -> Result<Heard, Cut> {
        loop {
            if let Step::Heard(heard) = self.step(&[], deadline, stop).await? {
                return Ok(heard);
            }
        }
    }

    /// Asks the printer how it is.
    pub(crate) async fn status(
        &mut self,
        within: Duration,
        stop: &CancellationToken,
    ) -> Result<PrinterStatus, Cut> {
        let deadline = Instant::now() + within;
        let mut status = PrinterStatus::default();
        if self.language == Language::EscPos {
            let first = [Question::Printer, Question::Offline, Question::Paper];
            self.learn(&first, &mut status, deadline, stop).await?;
            if status.error.is_some() {
                self.learn(&[Question::Error], &mut status, deadline, stop).await?;
            }
        } else {
            self.ask(Asked::Whole);
            loop {
                if let Heard::Whole(whole) = self.hear(deadline, stop).await? {
                    status = whole;
                    break;
                }
            }
        }
        self.news.status(status);
        Ok(status)
    }

    /// Fills up a mark that may be torn, before anything is asked: filled up by a question it comes back as noise, in which the
    /// next mark is not heard.
    pub(crate) fn fill(&mut self) {
        self.urgent.extend(tongue::fill(self.language));
    }

    /// Asks to be told each change from now on. A printer that cannot is silent about it.
    pub(crate) fn watch(&mut self) {
        self.urgent.extend(tongue::watch(self.language));
    }

    /// Serves the pulses and hears the news until something else is heard or the link breaks.
    pub(crate) async fn idle(&mut self, until: Instant, stop: &CancellationToken) -> Result<(), Cut> {
        match self.hear(until, stop).await {
            Ok(_) | Err(Cut::Late) => Ok(()),
            Err(cut) => Err(cut),
        }
    }

    /// Takes the next pulse that somebody wants, or hears that the display behind it is to show something else. Never ends where
    /// nobody can want either.
    pub(crate) async fn next_wish(&mut self) -> Wish {
        tokio::select! {
            biased;
            () = self.pulses.next() => Wish::Pulse,
            () = self.behind.changed() => Wish::Drawing,
        }
    }

    /// Whether it tells changes unasked, and the last level of the drawer's sensor.
    pub(crate) fn told(&self) -> (bool, Option<bool>) {
        (self.reports, self.news.drawer_level())
    }

    pub(crate) fn pulses(&mut self) -> &mut Pulses {
        &mut self.pulses
    }

    pub(crate) fn news(&mut self) -> &mut News {
        &mut self.news
    }

    /// Closes our side and waits until the printer closes its own, having read all. The link is down afterwards.
    pub(crate) async fn drain(&mut self, within: Duration, stop: &CancellationToken) -> Result<(), Cut> {
        let deadline = Instant::now() + within;
        let Some(cable) = &mut self.cable else { return Err(Cut::Lost(io::ErrorKind::NotConnected.into())) };
        self.in_job = true;
        match bounded(deadline, stop, cable.finish()).await? {
            Finished::ClosesInTurn => {}
            Finished::Taken => return Ok(()),
            Finished::Unknown => return Err(Cut::Late),
        }
        loop {
            match self.hear(deadline, stop).await {
                Ok(_) => {}
                Err(Cut::Lost(e)) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(cut) => return Err(cut),
            }
        }
    }

    async fn learn(
        &mut self,
        questions: &[Question],
        status: &mut PrinterStatus,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<(), Cut> {
        for question in questions {
            self.ask(Asked::One(*question));
        }
        for question in questions {
            loop {
                match self.hear(deadline, stop).await? {
                    Heard::Answer(asked, answer) if asked == *question => {
                        status.learn(asked, answer);
                        break;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, what: Asked) {
        match what {
            Asked::One(question) => self.urgent.extend(crate::escpos::ask(question)),
            Asked::Whole => self.urgent.extend(crate::star::ASK_STATUS),
        }
        self.asked.push_back(what);
    }

    /// Asks for the level of the drawer's sensor, unless that is asked already.
    fn ask_level(&mut self) {
        let question = match self.language {
            Language::EscPos => Asked::One(Question::Printer),
            Language::StarPrnt | Language::StarLine => Asked::Whole,
        };
        if !self.asked.contains(&question) {
            self.ask(question);
        }
    }

    /// Whichever comes first: some of `out` goes, or something is heard.
    async fn step(&mut self, out: &[u8], deadline: Instant, stop: &CancellationToken) -> Result<Step, Cut> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(Step::Heard(heard));
            }
            let now = Instant::now();
            if self.pulses.tick(now) {
                self.ask_level();
            }
            // A printer that chatters without end must not outrun its deadline.
            if now >= deadline {
                return Err(Cut::Late);
            }
            if self.at_seam && !self.in_job && self.language == Language::EscPos {
                self.urgent.extend(self.behind.take());
            }
            let wake = self.pulses.wake().map_or(deadline, |wake| wake.min(deadline));
            let Some(cable) = &mut self.cable else {
                return Err(Cut::Lost(io::ErrorKind::NotConnected.into()));
            };
            let (whose, bytes) = match self.pulses.ready().filter(|_| self.at_seam) {
                _ if self.at_seam && !self.urgent.is_empty() => (Out::Urgent, Cow::from(self.urgent.clone())),
                Some(pin) => (Out::Pulse, Cow::from(tongue::pulse(self.language, pin))),
                None => (Out::Job, Cow::from(out)),
            };
            let mut read = [0; 512];
            let turned = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Cut::Stopped),
                turned = turn(cable, &bytes, &mut read) => turned,
                () = self.pulses.next() => continue,
                () = self.behind.changed(), if !self.in_job => continue,
                () = sleep_until(wake) => continue,
            };
            match (turned, whose) {
                (Ok(Turn::Wrote(n)), Out::Urgent) if n > 0 => drop(self.urgent.drain(..n)),
                (Ok(Turn::Wrote(n)), Out::Pulse) if n > 0 => {
                    // Half a pulse is finished before anything else.
                    self.urgent = bytes[n..].to_vec();
                    self.pulses.sent(Instant::now());
                    self.ask_level();
                }
                (Ok(Turn::Wrote(n)), Out::Job) if n > 0 => return Ok(Step::Sent(n)),
                (Ok(Turn::Wrote(_)), _) => return Err(self.lost(io::ErrorKind::WriteZero.into())),
                (Ok(Turn::Read(0)), _) => return Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
                (Ok(Turn::Read(n)), _) => read[..n].iter().for_each(|byte| self.take(*byte)),
                (Err(error), _) => return Err(self.lost(error)),
            }
        }
    }

    fn lost(&mut self, error: io::Error) -> Cut {
        self.pulses.link_lost(&error.to_string());
        self.cable = None;
        self.heard.clear();
        self.asked.clear();
        self.urgent.clear();
        self.news.linked(false);
        Cut::Lost(error)
    }

    fn take(&mut self, byte: u8) {
        let Some(reply) = self.replies.push(byte) else { return };
        match reply {
            // An answer that nobody asked for, or that came twice.
            Reply::RealTime(_) if !matches!(self.asked.front(), Some(Asked::One(_))) => {}
            Reply::RealTime(answer) => {
                let Some(Asked::One(question)) = self.asked.pop_front() else { return };
                if question == Question::Printer {
                    let mut told = PrinterStatus::default();
                    told.learn(question, answer);
                    self.level(told.drawer_level);
                }
                self.heard.push_back(Heard::Answer(question, answer));
            }
            Reply::Automatic(bytes) => self.state(bytes.into(), true),
            Reply::Sii(told) => self.state(told.into(), true),
            Reply::Star(told) => {
                self.state(told.into(), !self.asked.contains(&Asked::Whole));
                if self.asked.pop_front_if(|asked| *asked == Asked::Whole).is_some() {
                    self.heard.push_back(Heard::Whole(told.into()));
                }
            }
            reply => self.heard.push_back(Heard::Reply(reply)),
        }
    }

    fn state(&mut self, status: PrinterStatus, unasked: bool) {
        self.reports |= unasked;
        self.news.status(status);
        self.level(status.drawer_level);
    }

    fn level(&mut self, level: bool) {
        let ours = self.pulses.level(level, Instant::now());
        self.news.level(level, ours);
    }
}

/// Bytes of a job between two looks at what is urgent; a serial line of 9 600 bit/s takes them in a second.
const PIECE_BYTES: usize = 1_024;
/// Replies that are kept for whoever listens after sending.
const KEPT_MAX: usize = 64;
