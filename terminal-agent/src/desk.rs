//! The files beside the store that belong to this terminal alone: the API's token and address, and the series of its receipts.
//!
//! Each is written whole: to a new file, synced, renamed over the old one.

use rustix::fs::{Mode, OFlags};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toko_crdt::Run;
use toko_crdt::hash::hex;
use toko_mesh::disk::{self, Disk};

use crate::draw::Draw;

/// File of the bearer token, mode 0600.
pub const TOKEN: &str = "api-token";
/// File of the address that the API is bound to.
pub const ADDRESS: &str = "api-addr";
/// File of the series that receipts are numbered in.
pub const SERIES: &str = "receipt-series";

/// The most that such a file holds.
const TEXT_BYTES_MAX: u64 = 4_096;

/// The terminal's own files in its data directory.
#[derive(Debug, Clone)]
pub struct Desk {
    data: PathBuf,
    lent: Option<Arc<dyn Disk>>,
}

/// The series that receipts are numbered in, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesNote {
    /// The series.
    pub series: u32,
    /// The run that began it.
    pub since: Run,
    /// What the disk had spoilt last when it began; numbers that were used since may be among that.
    pub spoilt: Option<u64>,
}

impl Desk {
    /// The files in `data`.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { data: data.to_path_buf(), lent: None }
    }

    /// The same files on a disk that somebody lends, where there is no directory.
    #[must_use]
    pub fn lent(disk: Arc<dyn Disk>) -> Self {
        Self { data: PathBuf::new(), lent: Some(disk) }
    }

    /// The token; drawn and written at the first call.
    ///
    /// Errors: of the disk, or a file that holds no token.
    pub fn token(&self) -> io::Result<String> {
        match self.read(TOKEN)? {
            Some(token) if token.len() >= 32 && token.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(token),
            Some(_) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "{} holds no token; remove it and a new one is drawn",
                    self.data.join(TOKEN).display()
                ),
            )),
            None => {
                let token = hex(&Draw::new().map_err(io::Error::other)?.bytes());
                self.write(TOKEN, &token)?;
                Ok(token)
            }
        }
    }

    /// Writes where the API listens.
    pub fn set_address(&self, address: SocketAddr) -> io::Result<()> {
        self.write(ADDRESS, &address.to_string())
    }

    /// Where the API listens, or listened last.
    pub fn address(&self) -> io::Result<Option<SocketAddr>> {
        Ok(self.read(ADDRESS)?.and_then(|text| text.parse().ok()))
    }

    /// The series that was noted last.
    ///
    /// Errors: of the disk, or a file that holds something else.
    pub fn series(&self) -> io::Result<Option<SeriesNote>> {
        let Some(text) = self.read(SERIES)? else { return Ok(None) };
        let read = || {
            let mut words = text.split(' ');
            let hex = |word: &str| u64::from_str_radix(word, 16).ok();
            let series = words.next()?.parse().ok()?;
            let since = Run(hex(words.next()?)?);
            let spoilt = words.next().map(|word| hex(word).ok_or(())).transpose().ok()?;
            words.next().is_none().then_some(SeriesNote { series, since, spoilt })
        };
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("{SERIES} holds {text:?}"));
        read().map(Some).ok_or_else(wrong)
    }

    /// Notes a series before anything is numbered in it.
    pub fn set_series(&self, note: SeriesNote) -> io::Result<()> {
        let spoilt = note.spoilt.map(|what| format!(" {what:016x}")).unwrap_or_default();
        self.write(SERIES, &format!("{} {:016x}{spoilt}", note.series, note.since.0))
    }

    fn read(&self, name: &str) -> io::Result<Option<String>> {
        if let Some(disk) = &self.lent {
            let bytes = disk::read_whole(&**disk, name, TEXT_BYTES_MAX)?;
            return Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()));
        }
        let mut text = String::new();
        match File::open(self.data.join(name)) {
            Ok(file) => file.take(TEXT_BYTES_MAX).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(text.trim().to_owned()))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        if let Some(disk) = &self.lent {
            return disk::replace(&**disk, name, format!("{text}\n").as_bytes());
        }
        let fresh = self.data.join(format!("{name}.new"));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(&fresh, flags, Mode::RUSR | Mode::WUSR)?);
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&fresh, self.data.join(name))?;
        File::open(&self.data)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_token_is_drawn_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let desk = Desk::new(dir.path());
        let token = desk.token().unwrap();
        assert_eq!((token.len(), desk.token().unwrap()), (64, token));
        let mode = fs::metadata(dir.path().join(TOKEN)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_empty_token_is_refused_and_never_believed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(TOKEN), "\n").unwrap();
        assert!(Desk::new(dir.path()).token().unwrap_err().to_string().contains("holds no token"));
    }

    #[test]
    fn address_and_series_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let desk = Desk::new(dir.path());
        assert_eq!((desk.address().unwrap(), desk.series().unwrap()), (None, None));
        desk.set_address("127.0.0.1:7480".parse().unwrap()).unwrap();
        let note = SeriesNote { series: 7, since: Run(0xab), spoilt: None };
        desk.set_series(note).unwrap();
        assert_eq!(desk.series().unwrap(), Some(note));
        let note = SeriesNote { spoilt: Some(0xcd), ..note };
        desk.set_series(note).unwrap();
        assert_eq!(desk.address().unwrap(), "127.0.0.1:7480".parse().ok());
        assert_eq!(desk.series().unwrap(), Some(note));
    }
}
