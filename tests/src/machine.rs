//! The bare machine: what its disk, redb and loopback do without any of us in between.
//!
//! Invariants: measured in the same run as the product, because only ratios travel between machines; a percentile is a
//! sample that was taken (nearest rank, in whole nanoseconds), never an average.
//!
//! Absent on purpose: verdicts. A figure is printed, never asserted: a slow machine is no fault.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use redb::{Database, TableDefinition};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const ECHO_WAIT: Duration = Duration::from_secs(5);

/// Why a measurement did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// Disk or loopback refused.
    #[error("the bare machine could not be measured")]
    Io(#[from] io::Error),
    /// redb refused.
    #[error("redb could not be measured")]
    Redb(#[from] Box<redb::Error>),
    /// There was nothing to measure.
    #[error("no round was asked for")]
    NoRounds,
}

/// How long something took, over many rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How many samples.
    pub rounds: usize,
    /// Half took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// 999 of 1 000 took no longer.
    pub p999: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Spread {
    /// Shape: nearest rank; nothing without samples.
    pub fn of(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        let rank = |per_mille: usize| {
            let nth = (samples.len() * per_mille).div_ceil(1_000);
            samples.get(nth.max(1) - 1).copied()
        };
        Some(Self {
            rounds: samples.len(),
            p50: rank(500)?,
            p99: rank(990)?,
            p999: rank(999)?,
            max: rank(1_000)?,
        })
    }
}

/// How much was done in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Rows.
    pub rows: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Until the last commit was durable.
    pub elapsed: Duration,
}

impl Rate {
    /// Rows a second, rounded down.
    pub fn rows_per_second(&self) -> u64 {
        let nanos = self.elapsed.as_nanos().max(1);
        u64::try_from(u128::from(self.rows) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

/// Where the bytes of an append go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// To the end of a file that grows with each.
    Growing,
    /// Into a file that was written in full and synced before, as a preallocated log is.
    Reserved,
}

/// Appends `bytes` and calls `fdatasync`, `rounds` times; each round is one sample.
pub fn append_and_sync(dir: &Path, bytes: usize, rounds: usize, room: Room) -> Result<Spread, MachineError> {
    let path = dir.join("raw-append");
    let mut file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
    if room == Room::Reserved {
        reserve(&mut file, bytes, rounds)?;
    }
    let record = vec![0xa5; bytes];
    let (mut samples, mut at) = (Vec::with_capacity(rounds), 0);
    for _ in 0..rounds {
        let started = Instant::now();
        file.write_all_at(&record, at)?;
        file.sync_data()?;
        samples.push(started.elapsed());
        at += record.len() as u64;
    }
    std::fs::remove_file(&path)?;
    Spread::of(samples).ok_or(MachineError::NoRounds)
}

fn reserve(file: &mut File, bytes: usize, rounds: usize) -> io::Result<()> {
    let zeroes = vec![0; bytes];
    for _ in 0..rounds {
        file.write_all(&zeroes)?;
    }
    file.sync_all()
}

/// Inserts rows of `row_bytes` under ascending keys, `per_commit` rows a durable commit.
pub fn redb_insert(dir: &Path, rows: u64, row_bytes: usize, per_commit: u64) -> Result<Rate, MachineError> {
    let path = dir.join("raw-rows.redb");
    let elapsed = insert(&path, rows, row_bytes, per_commit.max(1)).map_err(Box::new)?;
    std::fs::remove_file(&path)?;
    Ok(Rate { rows, bytes: rows * row_bytes as u64, elapsed })
}

fn insert(path: &Path, rows: u64, row_bytes: usize, per_commit: u64) -> Result<Duration, redb::Error> {
    let database = Database::create(path)?;
    let row = vec![0x5a; row_bytes];
    let started = Instant::now();
    let mut next = 0;
    while next < rows {
        let end = rows.min(next + per_commit);
        let write = database.begin_write()?;
        {
            let mut table = write.open_table(ROWS)?;
            for key in next..end {
                table.insert(key, row.as_slice())?;
            }
        }
        write.commit()?;
        next = end;
    }
    Ok(started.elapsed())
}

/// Sends a datagram of `bytes` over the loopback to another thread and back, `rounds` times.
pub fn udp_echo(bytes: usize, rounds: usize) -> Result<Spread, MachineError> {
    let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    far.connect(near.local_addr()?)?;
    near.connect(far.local_addr()?)?;
    far.set_read_timeout(Some(ECHO_WAIT))?;
    near.set_read_timeout(Some(ECHO_WAIT))?;
    let samples = std::thread::scope(|scope| {
        let echo = scope.spawn(move || {
            let mut buffer = vec![0; bytes.max(1)];
            for _ in 0..rounds {
                let length = far.recv(&mut buffer)?;
                far.send(&buffer[..length])?;
            }
            Ok::<_, io::Error>(())
        });
        let (datagram, mut buffer) = (vec![0x3c; bytes], vec![0; bytes.max(1)]);
        let mut samples = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let started = Instant::now();
            near.send(&datagram)?;
            near.recv(&mut buffer)?;
            samples.push(started.elapsed());
        }
        echo.join().map_err(|_| io::Error::other("the echo ended early"))??;
        Ok::<_, io::Error>(samples)
    })?;
    Spread::of(samples).ok_or(MachineError::NoRounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let millis = |n: u64| Duration::from_millis(n);
        let spread = Spread::of((1..=1_000).rev().map(millis).collect()).unwrap();
        assert_eq!(
            (spread.p50, spread.p99, spread.p999, spread.max),
            (millis(500), millis(990), millis(999), millis(1_000))
        );
        let one = Spread::of(vec![millis(7)]).unwrap();
        assert_eq!((one.p50, one.p99, one.max), (millis(7), millis(7), millis(7)));
        let three = Spread::of(vec![millis(3), millis(1), millis(2)]).unwrap();
        assert_eq!((three.p50, three.p99), (millis(2), millis(3)));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn a_rate_is_rounded_down() {
        let rate = Rate { rows: 1_999, bytes: 0, elapsed: Duration::from_secs(2) };
        assert_eq!(rate.rows_per_second(), 999);
    }

    #[test]
    fn every_measurement_leaves_the_directory_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        for room in [Room::Growing, Room::Reserved] {
            assert_eq!(append_and_sync(dir.path(), 900, 5, room).unwrap().rounds, 5);
        }
        assert_eq!(redb_insert(dir.path(), 25, 100, 10).unwrap().bytes, 2_500);
        assert_eq!(udp_echo(64, 5).unwrap().rounds, 5);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(matches!(append_and_sync(dir.path(), 9, 0, Room::Growing), Err(MachineError::NoRounds)));
    }
}
