//! How fast all is well: from the promise to the first byte and to the word "printed", and receipts a second, on a printer that
//! takes no time and on one that moves its paper as real ones do.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use toko_devices::{Model, Page, Style, escpos};

use super::Side;
use super::counter::Counter;
use super::hub::Hub;
use super::spooler::{Job, Said, Spooler};
use crate::bench::trouble::Trouble;
use crate::machine::Spread;
use crate::process::wait_until;

/// Receipts that are timed one by one.
const ONE_BY_ONE: usize = 50;
/// Receipts that are asked for at once.
const AT_ONCE: u64 = 60;
/// Rows of dots by which a real printer moves its paper in a second: 250 mm, 8 rows a millimetre.
const REAL_ROWS_A_SECOND: u32 = 2_000;
/// Receipts that are asked for at once where the paper takes its time.
const AT_ONCE_FOR_REAL: u64 = 20;
/// How long a receipt may take when nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// How fast a spooler is.
#[derive(Clone, Copy, Debug)]
pub struct Paces {
    /// From the promise until a receipt begins to arrive at the printer; nothing if it arrived before.
    pub first_byte: Spread,
    /// From the promise until it lies in the tray.
    pub on_paper: Spread,
    /// From the promise until the spooler says that it is printed.
    pub confirmed: Spread,
    /// Receipts a thousand seconds, when many wait.
    pub per_1000_s: u64,
    /// The same on a printer that moves its paper as a real one does.
    pub for_real: ForReal,
}

/// Receipts on a printer whose paper takes its time.
#[derive(Clone, Copy, Debug)]
pub struct ForReal {
    /// Receipts a thousand seconds, when many wait.
    pub per_1000_s: u64,
    /// As many as come out if the paper never stands still.
    pub most_per_1000_s: u64,
}

impl ForReal {
    /// What came out of a hundred that could.
    pub fn per_cent(self) -> u64 {
        (self.per_1000_s * 100 + self.most_per_1000_s / 2) / self.most_per_1000_s.max(1)
    }
}

/// The first receipt, for its text.
pub fn first_receipt(hub: &mut Hub, counter: &Counter) -> Result<String, Trouble> {
    let piece = counter.pieces(1);
    let job = hub.ask()?;
    piece.came()?;
    until_printed(hub, &job)?;
    Ok(counter.text(1)?)
}

/// Times one receipt after the other, then many.
pub fn of(side: &mut Side) -> Result<Paces, Trouble> {
    let (mut first_byte, mut on_paper, mut confirmed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ONE_BY_ONE {
        let (began, cut) = (side.counter.first_byte(), side.counter.pieces(1));
        let job = side.spooler.ask()?;
        let said = until_printed(side.spooler.as_ref(), &job)?;
        first_byte.push(began.came()?.saturating_duration_since(job.promised));
        on_paper.push(cut.came()?.saturating_duration_since(job.promised));
        confirmed.push(said.saturating_duration_since(job.promised));
    }
    let took = many(side, AT_ONCE)?;
    let for_real = for_real(side)?;
    let spread = |times: Vec<Duration>| {
        Spread::of(times).ok_or_else(|| Trouble::product("timing receipts")("there were none"))
    };
    Ok(Paces {
        first_byte: spread(first_byte)?,
        on_paper: spread(on_paper)?,
        confirmed: spread(confirmed)?,
        per_1000_s: per_1000_s(AT_ONCE - 1, took),
        for_real,
    })
}

/// How long it takes from the first piece of paper to the last one, of so many receipts that wait.
fn many(side: &mut Side, receipts: u64) -> Result<Duration, Trouble> {
    let (first, last) = (side.counter.pieces(1), side.counter.pieces(receipts));
    let mut jobs = Vec::new();
    for _ in 0..receipts {
        jobs.push(side.spooler.ask()?);
    }
    let took = last.came()?.saturating_duration_since(first.came()?);
    for job in &jobs {
        until_printed(side.spooler.as_ref(), job)?;
    }
    Ok(took)
}

/// How much of what a real printer's pace allows comes out.
fn for_real(side: &mut Side) -> Result<ForReal, Trouble> {
    side.counter.printer.set_faults(|faults| faults.rows_a_second = Some(REAL_ROWS_A_SECOND));
    let before = side.counter.counts().rows;
    let took = many(side, AT_ONCE_FOR_REAL)?;
    // Of all of them: each is as long as the others.
    let rows = (side.counter.counts().rows - before).max(1);
    side.counter.mend();
    Ok(ForReal {
        per_1000_s: per_1000_s(AT_ONCE_FOR_REAL - 1, took),
        most_per_1000_s: AT_ONCE_FOR_REAL * u64::from(REAL_ROWS_A_SECOND) * 1_000 / rows,
    })
}

/// Receipts a thousand seconds that the same printer takes from a host that asks nothing and keeps nothing.
pub fn bare(dir: &Path, like: &Counter) -> Result<u64, Trouble> {
    let text = like.text(1)?;
    let page = text.lines().fold(Page::new(), |page, row| page.text(row, Style::PLAIN)).cut();
    let bytes = escpos::encode(&page, &Model::paper_80mm());
    let counter = Counter::open(&dir.join("paper-of-nobody"))?;
    let mut stream = TcpStream::connect(counter.address())?;
    let (first, last) = (counter.pieces(1), counter.pieces(AT_ONCE));
    for _ in 0..AT_ONCE {
        stream.write_all(&bytes)?;
    }
    let took = last.came()?.saturating_duration_since(first.came()?);
    Ok(per_1000_s(AT_ONCE - 1, took))
}

fn per_1000_s(receipts: u64, took: Duration) -> u64 {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    receipts.saturating_mul(1_000_000_000) / micros
}

fn until_printed(spooler: &dyn Spooler, job: &Job) -> Result<Instant, Trouble> {
    wait_until("a receipt", PATIENCE, || match spooler.said(job) {
        Ok(Said::Printed) => Ok(Ok(Instant::now())),
        Ok(other) => Err(format!("{other:?}")),
        Err(trouble) => Ok(Err(trouble)),
    })?
}
