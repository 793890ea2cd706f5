//! The one owner of a printer and of the drawer on it: holds the link, works off what is asked, and tells what it sees.
//!
//! Everybody else has a cheap handle. A print waits its turn; a drawer's pulse does not: it goes out over the same link in the
//! middle of a job and without paper, within its time to live or never. Invariants: one session at a time, so two
//! jobs never mix; a pulse is sent at most once; each inbox is bounded, and what a full one does stands at each method.
//! Whoever waits is answered, also when the owner stops.
//!
//! The link is kept while there is work, is spoken on while it is kept, and is let go of when the printer has been idle, so that
//! others get a turn. A printer with a drawer whose key openings matter is never let go of: only over a link can it tell.
//!
//! ```
//! use tokio_util::sync::CancellationToken;
//! use toko_devices::virtual_printer::{Options, VirtualPrinter};
//! use toko_devices::{Habits, Opening, Owner, Page, PrinterConfig, Pulse};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let paper = tempfile::tempdir()?;
//! let there = VirtualPrinter::spawn(Options::new(paper.path())).await?;
//! let stop = CancellationToken::new();
//! let (printer, owner) = Owner::new(PrinterConfig::at(there.address().to_string()), Habits::default(), stop.clone());
//! let mut tasks = tokio::task::JoinSet::new();
//! tasks.spawn(owner.run());
//!
//! let outcome = printer.print(Page::new().line("CORNER SHOP").cut()).await;
//! assert!(matches!(outcome, toko_devices::Outcome::Printed { .. }));
//! // This drawer has no sensor, so nobody knows more than that the pulse was sent.
//! let opening = printer.open_drawer(Pulse::default()).await;
//! assert!(matches!(opening, Opening::NotConfirmed { .. }));
//! stop.cancel();
//! # tasks.join_next().await;
//! # Ok::<(), std::io::Error>(())
//! # }).unwrap();
//! ```

mod behind;
mod news;
mod pulse;

use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::cable::{Address, Roots, plugged_in};
use crate::escpos::DrawerPin;
use crate::link::{Served, Wish};
use crate::model::Model;
use crate::outcome::{Doubt, NoEdge, NotSent, Opening, Outcome};
use crate::page::Page;
use crate::printer::{Printer, PrinterConfig};
use crate::probe::Probed;
use crate::profile::Polarity;
use crate::status::PrinterStatus;

pub(crate) use behind::Behind;
pub(crate) use news::News;
pub use news::{Edge, Seen};
use pulse::Order;
pub(crate) use pulse::Pulses;

/// How an owner treats the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// After how long without work the link is let go of; nothing: never, which a drawer's key openings need.
    pub let_go: Option<Duration>,
    /// How often a printer is spoken to over a link that is kept. Network cards of printers end idle sessions after minutes.
    pub keep_alive: Duration,
    /// How often a printer whose link is down is asked how it is.
    pub look_every: Duration,
}

impl Default for Habits {
    /// Let go after 10 s, speak every 20 s, look every 30 s.
    fn default() -> Habits {
        Habits {
            let_go: Some(Duration::from_secs(10)),
            keep_alive: Duration::from_secs(20),
            look_every: Duration::from_secs(30),
        }
    }
}

impl Habits {
    /// Of a printer whose drawer tells when somebody opens it by key or by force: it can only over a link that is kept, and one
    /// without paper tells nothing unasked. Others get no turn.
    #[must_use]
    pub fn with_drawer(self) -> Habits {
        Habits { let_go: None, keep_alive: DRAWER_LOOK, ..self }
    }
}

/// One pulse for a drawer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Which drawer of the printer.
    pub pin: DrawerPin,
    /// What its sensor says while it is open. While that is unknown, any move of the sensor counts as opening.
    pub polarity: Polarity,
    /// How long the pulse is wanted. It never goes out later.
    pub ttl: Duration,
}

impl Default for Pulse {
    /// The first drawer, of a polarity that was not learnt, within 5 s.
    fn default() -> Pulse {
        Pulse { pin: DrawerPin::Pin2, polarity: Polarity::Unknown, ttl: PULSE_TTL }
    }
}

/// A handle to a printer that an [`Owner`] holds. Clones are cheap and speak with the same owner.
#[derive(Clone, Debug)]
pub struct OwnedPrinter {
    work: mpsc::Sender<Work>,
    pulses: mpsc::Sender<Order>,
    seen: watch::Receiver<Seen>,
    edges: broadcast::Sender<Edge>,
    drawings: watch::Sender<Vec<u8>>,
}

/// What is worked off in order.
#[derive(Debug)]
enum Work {
    Print { page: Page, done: oneshot::Sender<Outcome> },
    Status { done: oneshot::Sender<Result<PrinterStatus, NotSent>> },
    Probe { name: String, done: oneshot::Sender<Probed> },
    Learn { model: Model, done: oneshot::Sender<()> },
}

/// The task that owns a printer. It does nothing until it [runs](Owner::run).
#[derive(Debug)]
pub struct Owner {
    printer: Printer,
    /// Where it is plugged in, if it is a cable that can tell; nothing for a bad address, which each connection says.
    place: Option<Address>,
    roots: Roots,
    habits: Habits,
    work: mpsc::Receiver<Work>,
    stop: CancellationToken,
    /// When the link had work last, and when anything was said over it.
    worked: Instant,
    spoke: Instant,
    /// When a printer without a link is looked at next.
    look: Instant,
}

/// What to do next.
enum Next {
    Work(Option<Work>),
    Pulse,
    Look,
    LetGo,
    Nothing,
}

impl Owner {
    /// A printer's owner and the first handle to it. Run the owner in a task; it ends by `stop`, or with the last handle.
    #[must_use]
    pub fn new(config: PrinterConfig, habits: Habits, stop: CancellationToken) -> (OwnedPrinter, Owner) {
        let (work, inbox) = mpsc::channel(WORK_MAX);
        let (pulses, pulses_inbox) = mpsc::channel(PULSES_MAX);
        let (drawings, wanted) = watch::channel(Vec::new());
        let news = News::default();
        let handle = OwnedPrinter { work, pulses, seen: news.watch(), edges: news.edges(), drawings };
        let (place, roots) = (config.address.parse().ok(), config.roots.clone());
        let served = Served { pulses: Pulses::from(pulses_inbox), behind: Behind::from(wanted), news };
        let printer = Printer::held(config, served);
        let now = Instant::now();
        let owner =
            Owner { printer, place, roots, habits, work: inbox, stop, worked: now, spoke: now, look: now };
        (handle, owner)
    }

    /// Owns the printer until it is told to stop. It looks at once how the printer is.
    pub async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let next = if self.printer.link().is_up() { self.linked().await } else { self.unlinked().await };
            match next {
                Next::Work(Some(work)) => self.take(work).await,
                // Nobody is left to work for.
                Next::Work(None) => break,
                Next::Pulse => {
                    if let Err(why) = self.look_now().await {
                        self.printer.link().pulses().give_up(&why);
                    }
                    self.worked = Instant::now();
                }
                Next::Look => drop(self.look_now().await),
                Next::LetGo => {
                    debug!("idle printer let go of");
                    self.printer.link().let_go();
                    self.look = Instant::now() + self.habits.look_every;
                }
                Next::Nothing => {}
            }
        }
        self.end();
    }

    /// One turn with a link: work, or pulses and news, or it is time to speak or to let go.
    async fn linked(&mut self) -> Next {
        let now = Instant::now();
        let speak = self.spoke + self.habits.keep_alive;
        let let_go = self.habits.let_go.map(|idle| self.worked + idle);
        let link = self.printer.link();
        let until = match link.pulses().wake() {
            Some(wake) => wake + TICK,
            None if let_go.is_some_and(|at| now >= at) => return Next::LetGo,
            None if now >= speak => return Next::Look,
            None => let_go.map_or(speak, |at| at.min(speak)),
        };
        tokio::select! {
            biased;
            work = self.work.recv() => Next::Work(work),
            idled = link.idle(until, &self.stop) => {
                if idled.is_err() {
                    // Whoever was linked a moment ago is looked for at once, unless that happens again and again.
                    self.look = self.spoke + LOOK_AGAIN;
                }
                Next::Nothing
            }
        }
    }

    /// One turn without a link: work, a pulse, or time to look.
    async fn unlinked(&mut self) -> Next {
        let link = self.printer.link();
        if link.pulses().busy() {
            return Next::Pulse;
        }
        let plugged_in = async {
            match &self.place {
                Some(place) => plugged_in(place, &self.roots).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Next::Nothing,
            wish = link.next_wish() => match wish {
                Wish::Pulse => Next::Pulse,
                Wish::Drawing => Next::Look,
            },
            work = self.work.recv() => Next::Work(work),
            () = plugged_in => Next::Look,
            () = sleep_until(self.look) => Next::Look,
        }
    }

    async fn take(&mut self, work: Work) {
        match work {
            Work::Print { page, done } => {
                let outcome = self.printer.print(&page, &self.stop).await;
                // Whoever asked may have gone; the paper is there all the same.
                drop(done.send(outcome));
            }
            Work::Status { done } => drop(done.send(self.printer.status(&self.stop).await)),
            Work::Probe { name, done } => drop(done.send(self.printer.probe(&name, &self.stop).await)),
            Work::Learn { model, done } => {
                self.printer.write_for(model);
                // Whoever taught it may have gone.
                let _ = done.send(());
                return;
            }
        }
        self.worked = Instant::now();
        self.spoke_now();
    }

    async fn look_now(&mut self) -> Result<PrinterStatus, NotSent> {
        let asked = self.printer.status(&self.stop).await;
        self.spoke_now();
        asked
    }

    fn spoke_now(&mut self) {
        self.spoke = Instant::now();
        self.look = self.spoke + self.habits.look_every;
    }

    /// Answers whoever still waits.
    fn end(mut self) {
        self.printer.link().let_go();
        self.printer.link().pulses().end(&NotSent::Stopped);
        self.work.close();
        while let Ok(work) = self.work.try_recv() {
            match work {
                Work::Print { done, .. } => drop(done.send(Outcome::NotPrinted { why: NotSent::Stopped })),
                Work::Status { done } => drop(done.send(Err(NotSent::Stopped))),
                Work::Probe { done, .. } => {
                    drop(done.send(Probed::without(Outcome::NotPrinted { why: NotSent::Stopped })));
                }
                Work::Learn { .. } => {}
            }
        }
    }
}

impl OwnedPrinter {
    /// Prints a page in its turn and finds out what happened. A full inbox makes it wait.
    ///
    /// If this future is dropped the page may be printed all the same.
    pub async fn print(&self, page: Page) -> Outcome {
        let (done, outcome) = oneshot::channel();
        if self.work.send(Work::Print { page, done }).await.is_err() {
            return Outcome::NotPrinted { why: NotSent::Stopped };
        }
        // An owner that ended without a word may have sent it.
        outcome.await.unwrap_or(Outcome::InDoubt { why: Doubt::Stopped })
    }

    /// Prints a test strip in its turn and learns what the printer confirms; from then on the owner goes by it.
    pub async fn probe(&self, name: &str) -> Probed {
        let (done, probed) = oneshot::channel();
        if self.work.send(Work::Probe { name: name.to_owned(), done }).await.is_err() {
            return Probed::without(Outcome::NotPrinted { why: NotSent::Stopped });
        }
        probed.await.unwrap_or_else(|_| Probed::without(Outcome::InDoubt { why: Doubt::Stopped }))
    }

    /// From the next page on it is written for as this model. Nothing is sent; its language stays what it was.
    pub async fn learn(&self, model: Model) {
        let (done, learnt) = oneshot::channel();
        // An owner that ended writes for nobody.
        if self.work.send(Work::Learn { model, done }).await.is_ok() {
            let _ = learnt.await;
        }
    }

    /// Asks the printer how it is, behind what is printing. What its owner knows without asking is [`OwnedPrinter::seen`].
    ///
    /// Errors: [`NotSent`] if it cannot be asked or does not answer.
    pub async fn status(&self) -> Result<PrinterStatus, NotSent> {
        let (done, status) = oneshot::channel();
        if self.work.send(Work::Status { done }).await.is_err() {
            return Err(NotSent::Stopped);
        }
        status.await.unwrap_or(Err(NotSent::Stopped))
    }

    /// Sends one pulse to the drawer, also while a job prints or the paper is out, and hears whether its sensor moved within a
    /// second. A full inbox refuses it: cashiers who press again and again open the drawer no oftener.
    ///
    /// If this future is dropped the pulse may be sent all the same, within its time to live.
    pub async fn open_drawer(&self, pulse: Pulse) -> Opening {
        let (done, opening) = oneshot::channel();
        let until = Instant::now() + pulse.ttl;
        let order = Order { pin: pulse.pin, polarity: pulse.polarity, until, done };
        match self.pulses.try_send(order) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Opening::NotSent { why: NotSent::Busy },
            Err(mpsc::error::TrySendError::Closed(_)) => return Opening::NotSent { why: NotSent::Stopped },
        }
        // An owner that ended without a word may have sent it.
        let unknown =
            Opening::NotConfirmed { why: NoEdge::LinkLost { error: "the printer's owner stopped".into() } };
        opening.await.unwrap_or(unknown)
    }

    /// Shows this on a display behind the printer: a whole drawing, as [`encode`](crate::display::encode) makes it. It goes out
    /// between jobs and again on each new link; the latest wins. A printer that is not ESC/POS is sent nothing.
    pub(crate) fn show(&self, drawing: Vec<u8>) {
        self.drawings.send_replace(drawing);
    }

    /// How the printer is, to look at or to wait for a change.
    #[must_use]
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Each move of the drawer's sensor from now on, ours and others'. A watcher who is slow is told how many it missed.
    #[must_use]
    pub fn edges(&self) -> broadcast::Receiver<Edge> {
        self.edges.subscribe()
    }
}

/// How long a pulse is wanted: a drawer that opens later opens with nobody there.
pub const PULSE_TTL: Duration = Duration::from_secs(5);
/// How often a printer is asked how its drawer is.
const DRAWER_LOOK: Duration = Duration::from_secs(1);
/// Jobs and questions that may wait in the inbox; more wait outside.
const WORK_MAX: usize = 8;
/// Pulses that may wait; more are refused.
const PULSES_MAX: usize = 4;
/// Behind the moment at which a pulse has to be looked at.
const TICK: Duration = Duration::from_millis(1);
/// Least time between two looks at a printer that ends each session.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
