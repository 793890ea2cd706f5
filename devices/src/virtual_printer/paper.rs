//! Where the virtual printer's paper goes: a file a piece, a line a piece in a log, and counting them again.
//!
//! Invariants: a file under `paper/` is whole, because it is renamed into place; its log line follows it. Numbers go on
//! where an earlier run ended.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::piece::Piece;

/// The tray under the printer.
#[derive(Debug)]
pub(super) struct Tray {
    paper: PathBuf,
    pictures: bool,
    log: File,
    last: u64,
}

/// One line of `log.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedV1 {
    /// Number of the piece, from 1; its text is `paper/NNNNN.txt`.
    pub n: u64,
    /// The print job that the piece names, if it names one.
    pub job: Option<String>,
    /// Whether it is under the banner of a possible duplicate.
    pub marked: bool,
    /// Bytes that the printer worked through for it.
    pub bytes: u64,
    /// When it was cut off, in microseconds of the Unix epoch, by this machine's clock.
    pub at: u64,
}

/// How many copies of one job are on paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Without the banner.
    pub plain: u32,
    /// Under the banner of a possible duplicate.
    pub marked: u32,
}

impl Tray {
    pub(super) fn open(out: &Path, pictures: bool) -> io::Result<Tray> {
        let paper = out.join("paper");
        fs::create_dir_all(&paper)?;
        let mut log = OpenOptions::new().read(true).append(true).create(true).open(out.join(LOG))?;
        // A run that was killed may have left half a line.
        if log.seek(SeekFrom::End(0))? > 0 {
            log.seek(SeekFrom::End(-1))?;
            let mut end = [0];
            log.read_exact(&mut end)?;
            if end != *b"\n" {
                log.write_all(b"\n")?;
            }
        }
        let mut last = 0;
        for file in fs::read_dir(&paper)? {
            let name = file?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".txt")?.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(Tray { paper, pictures, log, last })
    }

    pub(super) fn keep(&mut self, piece: &Piece) -> io::Result<()> {
        let n = self.last + 1;
        let (temporary, file) =
            (self.paper.join(format!("{n:05}.tmp")), self.paper.join(format!("{n:05}.txt")));
        if self.pictures {
            fs::write(self.paper.join(format!("{n:05}.png")), piece.png()?)?;
        }
        fs::write(&temporary, piece.text())?;
        fs::rename(temporary, file)?;
        self.last = n;
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        let line = LoggedV1 {
            n,
            job: piece.job(),
            marked: piece.marked(),
            bytes: piece.bytes(),
            at: u64::try_from(at).unwrap_or(u64::MAX),
        };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        self.log.write_all(&line)
    }
}

/// What a printer's log says, in the order of printing.
///
/// Shape: empty if nothing was printed yet. Half a line, left by a run that was killed, is passed over.
/// Errors: if the log is there and cannot be read.
pub fn logged(out: &Path) -> io::Result<Vec<LoggedV1>> {
    match fs::read_to_string(out.join(LOG)) {
        Ok(log) => Ok(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// The copies on paper of each job, from a printer's log.
///
/// Errors: if the log is there and cannot be read.
pub fn copies_by_job(out: &Path) -> io::Result<BTreeMap<String, Copies>> {
    let mut jobs: BTreeMap<String, Copies> = BTreeMap::new();
    for line in logged(out)? {
        if let Some(job) = line.job {
            let copies = jobs.entry(job).or_default();
            let which = if line.marked { &mut copies.marked } else { &mut copies.plain };
            *which += 1;
        }
    }
    Ok(jobs)
}

const LOG: &str = "log.jsonl";

#[cfg(test)]
mod tests {
    use super::super::Machine;
    use super::*;

    #[test]
    fn numbers_go_on_after_a_restart_and_half_a_log_line_does_no_harm() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let pieces = Machine::new(42).print(b"Job a1\n\x1bi     POSSIBLE DUPLICATE\nJob a1\n\x1bi");
        Tray::open(dir.path(), false)?.keep(&pieces[0])?;
        let mut log = OpenOptions::new().append(true).open(dir.path().join(LOG))?;
        log.write_all(b"{\"n\":2,\"jo")?;
        Tray::open(dir.path(), false)?.keep(&pieces[1])?;

        assert_eq!(logged(dir.path())?.iter().map(|line| line.n).collect::<Vec<_>>(), [1, 2]);
        let copies = copies_by_job(dir.path())?;
        assert_eq!(copies.get("a1"), Some(&Copies { plain: 1, marked: 1 }));
        assert_eq!(fs::read_to_string(dir.path().join("paper/00001.txt"))?, "Job a1\n");
        Ok(())
    }

    #[test]
    fn a_printer_that_never_printed_has_an_empty_log() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        assert_eq!(logged(dir.path())?, []);
        Ok(())
    }
}
