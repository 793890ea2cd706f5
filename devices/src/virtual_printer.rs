//! A receipt printer that needs no paper: speaks port 9100, writes what is on paper as text, and can be made to fail.
//!
//! It reads ESC/POS by the command reference, apart from our encoder (only the tables of code pages are shared), so that
//! a mistake in one shows in the other. Invariants: memory is bounded whatever is sent; a piece of paper is a whole file;
//! a mark is echoed only after its paper is written. Absent on purpose: sizes, pictures and the look of paper.
//!
//! `DIR/paper/NNNNN.txt` is what stands on each piece, `DIR/log.jsonl` one [`LoggedV1`] a piece.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::{Parser, ValueEnum};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod machine;
mod paper;
mod piece;
mod session;
mod token;

pub use machine::Machine;
pub use paper::{Copies, LoggedV1, copies_by_job, logged};
pub use piece::Piece;

use paper::Tray;
use session::{NEVER, Running};

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
    /// Reads everything, says that all is well, prints nothing.
    pub swallow: bool,
    /// Takes sessions and then does nothing at all.
    pub hang: bool,
    /// A model that does not know marks: it passes over `GS ( H` in silence.
    pub no_marks: bool,
    /// A model that only listens: it prints and never answers anything.
    pub no_answers: bool,
}

/// What the printer has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pieces of paper cut off.
    pub pieces: u64,
    /// Drawer pulses, whole ones.
    pub pulses: u64,
    /// Sessions taken.
    pub sessions: u64,
}

/// How to set the printer up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 takes any.
    pub listen: SocketAddr,
    /// Where its paper goes.
    pub out: PathBuf,
    /// Characters a row.
    pub columns: usize,
    /// What is wrong with it at first.
    pub faults: Faults,
}

/// A virtual printer that runs beside its owner. Dropping it switches it off.
#[derive(Debug)]
pub struct VirtualPrinter {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    link_left: Arc<AtomicU64>,
    counts: watch::Receiver<Counts>,
    stop: CancellationToken,
    tasks: JoinSet<io::Result<()>>,
}

impl VirtualPrinter {
    /// Opens the tray, listens, and serves from then on.
    ///
    /// Errors: the address is taken, or the directory cannot be written.
    pub async fn spawn(options: Options) -> io::Result<VirtualPrinter> {
        let tray = Tray::open(&options.out)?;
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let (faults, set_faults) = watch::channel(options.faults);
        let (count, counts) = watch::channel(Counts::default());
        let link_left = Arc::new(AtomicU64::new(NEVER));
        let running = Running {
            machine: Machine::new(options.columns),
            tray,
            faults: set_faults,
            link_left: Arc::clone(&link_left),
            counts: count,
        };
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(running.serve(listener, stop.clone()));
        Ok(VirtualPrinter { address, faults, link_left, counts, stop, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks or mends it, now.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    /// Cuts the link once it has received so many more bytes. What it received it still prints.
    pub fn cut_link_after(&self, bytes: u64) {
        self.link_left.store(bytes, Ordering::Relaxed);
    }

    /// What it has done so far, to look at or to wait for.
    #[must_use]
    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.clone()
    }

    /// Switches it off.
    ///
    /// Errors: a piece of paper could not be written.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stop.cancel();
        self.ended().await
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

/// A receipt printer on TCP whose paper is text files.
#[derive(Debug, Parser)]
#[command(name = "virtual-printer", version, after_help = EXAMPLE)]
struct Args {
    /// Address to listen on; port 0 takes any. The first line of output names it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Directory for paper/NNNNN.txt, one file a piece, and log.jsonl, one line a piece.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Characters a row: 48 or 42 on 80 mm paper, 32 on 58 mm.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u8).range(16..=96))]
    columns: u8,
    /// Something that is wrong with it. May be given several times.
    #[arg(long, value_enum)]
    fault: Vec<Fault>,
}

/// A name on the command line for one of [`Faults`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fault {
    PaperOut,
    PaperNearEnd,
    CoverOpen,
    Swallow,
    Hang,
    NoMarks,
    NoAnswers,
}

/// Runs the program `virtual-printer` until SIGTERM or SIGINT. `args` starts with the program's name.
///
/// Exit codes: 0 told to stop, 64 usage, 74 the directory cannot be written, 78 the address cannot be listened on.
pub fn run<I, T>(args: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(asked) => {
            let usage = if asked.use_stderr() { USAGE } else { 0 };
            return if asked.print().is_ok() { ExitCode::from(usage) } else { ExitCode::from(DISK) };
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(serve(args)),
        Err(e) => Err((DISK, format!("could not start: {e}"))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, said)) => {
            // There is nobody left to tell if this fails.
            let _ = writeln!(io::stderr(), "virtual-printer: {said}");
            ExitCode::from(code)
        }
    }
}

async fn serve(args: Args) -> Result<(), (u8, String)> {
    let mut faults = Faults::default();
    for fault in args.fault {
        match fault {
            Fault::PaperOut => faults.paper_out = true,
            Fault::PaperNearEnd => faults.paper_near_end = true,
            Fault::CoverOpen => faults.cover_open = true,
            Fault::Swallow => faults.swallow = true,
            Fault::Hang => faults.hang = true,
            Fault::NoMarks => faults.no_marks = true,
            Fault::NoAnswers => faults.no_answers = true,
        }
    }
    let signals = |kind| signal(kind).map_err(|e| (DISK, format!("could not wait for signals: {e}")));
    let (mut terminate, mut interrupt) =
        (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let (listen, out) = (args.listen, args.out.display().to_string());
    let options = Options { listen, out: args.out, columns: usize::from(args.columns), faults };
    let mut printer = VirtualPrinter::spawn(options).await.map_err(|e| match e.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => {
            (CONFIG, format!("could not listen on {listen}: {e}"))
        }
        _ => (DISK, format!("could not start on {listen} with paper in {out}: {e}")),
    })?;
    // Whoever started us may not read.
    let _ = writeln!(io::stdout(), "listening on {}", printer.address());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        ended = printer.ended() => return ended.map_err(|e| (DISK, format!("could not keep paper in {out}: {e}"))),
    }
    printer.stop().await.map_err(|e| (DISK, format!("could not keep paper in {out}: {e}")))
}

const EXAMPLE: &str = "Example:
  virtual-printer --listen 127.0.0.1:9100 --out /tmp/printer
  printf 'Hello\\n\\035VB\\000' > /dev/tcp/127.0.0.1/9100
  cat /tmp/printer/paper/00001.txt";

const USAGE: u8 = 64;
const DISK: u8 = 74;
const CONFIG: u8 = 78;
