//! The printer on the counter, the person beside it, and the paper that lies there.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use toko_devices::virtual_printer::{
    Copies, Counts, Faults, LoggedV1, Options, VirtualPrinter, copies_by_job, logged,
};

use crate::bench::trouble::Trouble;

/// Bytes that are more than questions about the printer's state.
const QUESTIONS_BYTES_MAX: u64 = 64;
/// How long anything at the printer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A virtual printer and its tray.
#[derive(Debug)]
pub struct Counter {
    /// The printer, to be broken and mended.
    pub printer: VirtualPrinter,
    out: PathBuf,
    runtime: Runtime,
}

/// A moment that somebody waits for.
#[derive(Debug)]
pub struct Moment<'a> {
    counter: &'a Counter,
    task: JoinHandle<Option<Instant>>,
}

impl Counter {
    /// Sets up a printer whose paper falls into `out`.
    pub fn open(out: &Path) -> Result<Self, Trouble> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let printer = runtime.block_on(VirtualPrinter::spawn(Options::new(out)))?;
        Ok(Self { printer, out: out.to_owned(), runtime })
    }

    /// Where the printer listens.
    pub fn address(&self) -> SocketAddr {
        self.printer.address()
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        *self.printer.counts().borrow()
    }

    /// Waits for the first byte of a receipt from now on.
    pub fn first_byte(&self) -> Moment<'_> {
        let before = self.counts().bytes;
        self.moment(move |counts| counts.bytes > before + QUESTIONS_BYTES_MAX)
    }

    /// Waits for so many more pieces of paper.
    pub fn pieces(&self, more: u64) -> Moment<'_> {
        let before = self.counts().pieces;
        self.moment(move |counts| counts.pieces >= before + more)
    }

    fn moment(&self, holds: impl FnMut(&Counts) -> bool + Send + Sync + 'static) -> Moment<'_> {
        let mut counts = self.printer.counts();
        let task = self.runtime.spawn(async move {
            let came = tokio::time::timeout(PATIENCE, counts.wait_for(holds)).await;
            came.is_ok_and(|counts| counts.is_ok()).then(Instant::now)
        });
        Moment { counter: self, task }
    }

    /// A person takes the printer off and on.
    pub fn power_cycle(&self) {
        self.runtime.block_on(self.printer.power_cycle());
    }

    /// A person puts everything right that can be put right.
    pub fn mend(&self) {
        self.printer.no_accident();
        self.printer.set_faults(|faults| *faults = Faults::default());
    }

    /// Copies of a job on paper.
    pub fn copies(&self, on_paper: &str) -> io::Result<Copies> {
        Ok(copies_by_job(&self.out)?.get(on_paper).copied().unwrap_or_default())
    }

    /// Every piece of paper so far.
    pub fn log(&self) -> io::Result<Vec<LoggedV1>> {
        logged(&self.out)
    }

    /// What stands on a piece.
    pub fn text(&self, n: u64) -> io::Result<String> {
        std::fs::read_to_string(self.out.join("paper").join(format!("{n:05}.txt")))
    }
}

impl Moment<'_> {
    /// When it came.
    pub fn came(self) -> Result<Instant, Trouble> {
        let came = self.counter.runtime.block_on(self.task);
        let silent = || Trouble::product("waiting for the printer")("nothing came for two minutes");
        came.ok().flatten().ok_or_else(silent)
    }
}
