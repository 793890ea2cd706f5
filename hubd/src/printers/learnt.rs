//! What a probe found out about each printer, kept in the hub's data directory: it is a fact about the machine that stands
//! there and no news of the shop, so it is no entry.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use toko_devices::{Level, Model, Probed};
use tracing::warn;

/// The file's name.
const FILE: &str = "printers.json";

/// What is known of all printers.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    file: PathBuf,
    printers: Mutex<BTreeMap<String, LearntV1>>,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct FileV1 {
    version: u8,
    printers: BTreeMap<String, LearntV1>,
}

/// What was learnt of one printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LearntV1 {
    /// What it confirms, 0 to 3.
    level: u8,
    /// Whether it tells changes unasked.
    pub(crate) reports_changes: bool,
    /// The level of the drawer's sensor while it was probed.
    pub(crate) drawer_level: Option<bool>,
    /// Code pages of which a person said that their letters are others.
    #[serde(default)]
    pub(crate) wrong_pages: Vec<u8>,
    /// Rows that the cutter cuts off unless so many more are fed.
    #[serde(default)]
    pub(crate) more_feed: u8,
    /// When, in seconds of the Unix epoch by the hub's clock.
    pub(crate) at_unix_s: u64,
}

impl LearntV1 {
    /// What a probe found; what a person said before stands.
    pub(crate) fn new(probed: &Probed, before: Option<LearntV1>, at_unix_s: u64) -> Option<LearntV1> {
        let (wrong_pages, more_feed) =
            before.map(|before| (before.wrong_pages, before.more_feed)).unwrap_or_default();
        Some(LearntV1 {
            level: toko_paper::job::level_number(probed.level()?),
            reports_changes: probed.reports_changes,
            drawer_level: probed.drawer_level,
            wrong_pages,
            more_feed,
            at_unix_s,
        })
    }

    /// The printer's model as it turned out to be.
    pub(crate) fn model(&self, model: Model) -> Model {
        model.corrected(&self.wrong_pages, self.more_feed)
    }

    pub(crate) fn level(&self) -> Level {
        match self.level {
            0 => Level::Sent,
            1 => Level::Drained,
            2 => Level::Processed,
            _ => Level::Printed,
        }
    }
}

impl Learnt {
    /// Reads what there is. A file that cannot be read is no reason not to print: it is told, and everything is learnt anew.
    pub(crate) fn read(data: &Path) -> Learnt {
        let file = data.join(FILE);
        let printers = match std::fs::read(&file) {
            Ok(bytes) => match serde_json::from_slice::<FileV1>(&bytes) {
                Ok(FileV1 { version: 1, printers }) => printers,
                Ok(FileV1 { version, .. }) => {
                    warn!(file = %file.display(), version, "what was learnt of printers is of a newer hub; probe them again");
                    BTreeMap::new()
                }
                Err(err) => {
                    warn!(file = %file.display(), %err, "what was learnt of printers is not to be read; probe them again");
                    BTreeMap::new()
                }
            },
            Err(_) => BTreeMap::new(),
        };
        Learnt { file, printers: Mutex::new(printers) }
    }

    pub(crate) fn of(&self, printer: &str) -> Option<LearntV1> {
        self.printers.lock().unwrap_or_else(PoisonError::into_inner).get(printer).cloned()
    }

    /// Keeps what was learnt, whole or not at all.
    pub(crate) fn keep(&self, printer: &str, learnt: LearntV1) -> io::Result<()> {
        let mut printers = self.printers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = printers.clone();
        all.insert(printer.to_owned(), learnt);
        let bytes = serde_json::to_vec_pretty(&FileV1 { version: 1, printers: all.clone() })?;
        let aside = self.file.with_extension("json.new");
        let mut file = std::fs::File::create(&aside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, &self.file)?;
        *printers = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_is_there_after_a_restart_and_spoilt_bytes_are_learnt_anew() {
        let dir = tempfile::tempdir().unwrap();
        let learnt = Learnt::read(dir.path());
        assert_eq!(learnt.of("receipts"), None);
        let found = LearntV1 {
            level: 2,
            reports_changes: true,
            drawer_level: Some(true),
            wrong_pages: vec![16],
            more_feed: 2,
            at_unix_s: 7,
        };
        learnt.keep("receipts", found.clone()).unwrap();
        assert_eq!(Learnt::read(dir.path()).of("receipts"), Some(found));
        let bytes = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(bytes.starts_with("{\n  \"version\": 1,"), "{bytes}");
        // What an older hub wrote.
        let older: String = bytes.lines().filter(|line| !line.contains("more_feed")).collect();
        std::fs::write(dir.path().join(FILE), older).unwrap();
        assert_eq!(Learnt::read(dir.path()).of("receipts").unwrap().more_feed, 0);
        std::fs::write(dir.path().join(FILE), &bytes[..20]).unwrap();
        assert_eq!(Learnt::read(dir.path()).of("receipts"), None);
    }
}
