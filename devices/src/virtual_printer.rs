//! A receipt printer that needs no paper: speaks port 9100, writes what is on paper as text, and can be made to fail.
//!
//! It reads ESC/POS by the command reference, apart from our encoder (only the tables of code pages are shared), so that
//! a mistake in one shows in the other. Invariants: memory is bounded whatever is sent; a piece of paper is a whole file;
//! a mark is echoed only after its paper is written. Absent on purpose: page mode, logos kept in the printer, other
//! characters than those of three code pages.
//!
//! `DIR/paper/NNNNN.txt` is what stands on each piece, `NNNNN.png` what it looks like if that is wanted, `DIR/log.jsonl` one
//! [`LoggedV1`] a piece.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod bars;
mod door;
mod drawer;
mod font;
mod machine;
mod paper;
mod picture;
mod piece;
mod program;
mod session;
mod token;

pub use door::Door;
pub use drawer::Sensor;
pub use machine::Machine;
pub use paper::{Copies, LoggedV1, copies_by_job, logged};
pub use piece::Piece;

use crate::display::{Glass, VirtualDisplay};
use door::Listening;
use paper::Tray;
use session::{Accident, Mishap, Order, Running, SharedAccident};

/// What is wrong with the printer. All of it can change while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// No paper: says so, keeps what it is sent, prints it when there is paper again.
    pub paper_out: bool,
    /// Little paper: says so and prints.
    pub paper_near_end: bool,
    /// Rows of paper on a new roll that is put in whenever faults are set; then it is out. `None` never ends.
    pub roll_rows: Option<u32>,
    /// The cover is open: as without paper.
    pub cover_open: bool,
    /// The next cut jams. After the jam is cleared the host (`DLE ENQ`) or a cover that is opened and closed makes it go on.
    pub cutter_jammed: bool,
    /// The head is too hot: as without paper, and it goes on by itself.
    pub overheated: bool,
    /// Broken: as without paper, until it is mended and then switched off and on.
    pub broken: bool,
    /// Reads everything, says that all is well, prints nothing.
    pub swallow: bool,
    /// Takes sessions and then does nothing at all.
    pub hang: bool,
    /// Takes no session: hosts wait at the door.
    pub hang_at_door: bool,
    /// A model that does not know marks: it passes over `GS ( H` in silence.
    pub no_marks: bool,
    /// A model that only listens: it prints and never answers anything.
    pub no_answers: bool,
    /// Answers come so much later.
    pub reply_delay: Duration,
    /// Answers that come later come in one breath.
    pub reply_merged: bool,
    /// Every answer comes twice.
    pub reply_twice: bool,
    /// A pulse does not open the drawer.
    pub drawer_stuck: bool,
    /// Rows of dots by which it moves the paper in a second; while it does, it reads and says nothing. `None` takes no time. One of
    /// 250 mm a second with 8 rows a millimetre has 2 000.
    pub rows_a_second: Option<u32>,
}

/// What the printer has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pieces of paper cut off.
    pub pieces: u64,
    /// Drawer pulses, whole ones.
    pub pulses: u64,
    /// How often the drawer went from closed to open, by pulse or by key.
    pub openings: u64,
    /// Sessions taken.
    pub sessions: u64,
    /// Bytes received, in all sessions.
    pub bytes: u64,
    /// How often it was switched off and on.
    pub power_cycles: u64,
    /// Rows of dots by which the paper moved.
    pub rows: u64,
}

/// How to set the printer up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is to be found.
    pub door: Door,
    /// Where its paper goes.
    pub out: PathBuf,
    /// Whether its paper is kept as PNG files too.
    pub pictures: bool,
    /// Characters a row.
    pub columns: usize,
    /// What the drawer's switch tells.
    pub sensor: Sensor,
    /// A line display on the same cable, if there is one.
    pub display: Option<Glass>,
    /// What is wrong with it at first.
    pub faults: Faults,
}

impl Options {
    /// A printer without faults on any free port of this machine, 48 characters a row, its paper in `out` as text.
    pub fn new(out: impl Into<PathBuf>) -> Options {
        Options {
            door: Door::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))),
            out: out.into(),
            pictures: false,
            columns: 48,
            sensor: Sensor::None,
            display: None,
            faults: Faults::default(),
        }
    }
}

/// A virtual printer that runs beside its owner. Dropping it switches it off.
#[derive(Debug)]
pub struct VirtualPrinter {
    door: Door,
    faults: watch::Sender<Faults>,
    orders: mpsc::Sender<Order>,
    accident: SharedAccident,
    counts: watch::Receiver<Counts>,
    shown: watch::Receiver<[String; 2]>,
    stop: CancellationToken,
    tasks: JoinSet<io::Result<()>>,
}

impl VirtualPrinter {
    /// Opens the tray and the door, and serves from then on.
    ///
    /// Errors: the door cannot be opened, or the directory cannot be written.
    pub async fn spawn(options: Options) -> io::Result<VirtualPrinter> {
        let tray = Tray::open(&options.out, options.pictures)?;
        let listening = Listening::open(&options.door).await?;
        let door = listening.door()?;
        let (faults, set_faults) = watch::channel(options.faults);
        let (count, counts) = watch::channel(Counts::default());
        let (show, shown) = watch::channel(Default::default());
        let (orders, obey) = mpsc::channel(ORDERS_MAX);
        let accident = SharedAccident::default();
        let mut machine = Machine::new(options.columns);
        machine.fit_drawer(options.sensor);
        let running = Running {
            machine,
            tray,
            faults: set_faults,
            orders: obey,
            accident: Arc::clone(&accident),
            counts: count,
            display: options.display.map(VirtualDisplay::new),
            shown: show,
            moves_until: None,
            stood: Instant::now(),
        };
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(running.serve(listening, stop.clone()));
        Ok(VirtualPrinter { door, faults, orders, accident, counts, shown, stop, tasks })
    }

    /// Where it is to be found, with the port that was free.
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Where it listens on TCP; an address of nobody if it stands behind another door.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match &self.door {
            Door::Tcp(address) => *address,
            Door::Unix(_) | Door::Pty(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        }
    }

    /// Breaks or mends it, now.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    /// Cuts the link once it has received so many more bytes. What it received it still prints.
    pub fn cut_link_after(&self, bytes: u64) {
        self.plan(bytes, Mishap::LinkDrop);
    }

    /// Resets the link once it has received so many more bytes. What it received it still prints.
    pub fn reset_link_after(&self, bytes: u64) {
        self.plan(bytes, Mishap::LinkReset);
    }

    /// Takes its power for a moment once it has received so many more bytes. What it was not done with is lost.
    pub fn power_cycle_after(&self, bytes: u64) {
        self.plan(bytes, Mishap::PowerCycle);
    }

    /// Takes back an accident that has not happened.
    pub fn no_accident(&self) {
        *self.accident.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Opens the cover and closes it, as a person does who clears a jam.
    pub async fn open_and_close_cover(&self) {
        self.order(Order::OpenAndCloseCover).await;
    }

    /// Takes its power for a moment: link and buffer are lost, what is on the paper stays.
    pub async fn power_cycle(&self) {
        self.order(Order::PowerCycle).await;
    }

    /// Opens the drawer with its key.
    pub async fn open_drawer(&self) {
        self.order(Order::Drawer { open: true }).await;
    }

    /// Shuts the drawer.
    pub async fn close_drawer(&self) {
        self.order(Order::Drawer { open: false }).await;
    }

    /// What it has done so far, to look at or to wait for.
    #[must_use]
    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.clone()
    }

    /// What the display on its cable shows, to look at or to wait for: both rows.
    #[must_use]
    pub fn shown(&self) -> watch::Receiver<[String; 2]> {
        self.shown.clone()
    }

    /// Switches it off.
    ///
    /// Errors: a piece of paper could not be written.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stop.cancel();
        self.ended().await
    }

    fn plan(&self, after: u64, what: Mishap) {
        *self.accident.lock().unwrap_or_else(PoisonError::into_inner) = Some(Accident { after, what });
    }

    async fn order(&self, order: Order) {
        // A printer that has ended obeys nobody.
        let _ = self.orders.send(order).await;
    }

    /// Waits until it ends by itself, which only a full or broken disk makes it do.
    async fn ended(&mut self) -> io::Result<()> {
        match self.tasks.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(panicked)) => Err(io::Error::other(panicked)),
            None => Ok(()),
        }
    }
}

/// Runs the program `virtual-printer` until SIGTERM or SIGINT. `args` starts with the program's name.
///
/// Exit codes: 0 told to stop, 64 usage, 74 the directory cannot be written, 78 the door cannot be opened.
pub fn run<I, T>(args: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    program::run(args)
}

const ORDERS_MAX: usize = 16;
