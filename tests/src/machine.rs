//! The bare machine: what its disk, redb and loopback do without any of us in between.
//!
//! Invariants: measured in the same run as the product, because only ratios travel between machines; a percentile is a
//! sample that was taken (nearest rank, in whole nanoseconds), never an average.
//!
//! Absent on purpose: verdicts. A figure is printed, never asserted: a slow machine is no fault.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redb::{Database, TableDefinition};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const ANY_ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("any-rows");
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

/// A file that is written to and synced, one record a round. It goes with this value.
#[derive(Debug)]
pub struct RawLog {
    path: PathBuf,
    file: File,
    record: Vec<u8>,
    at: u64,
    /// Where to begin again; nothing for a file that grows.
    end: Option<u64>,
}

/// Records that a reserved file holds before it is written over from its beginning.
const RESERVED_ROUNDS: usize = 4_096;

impl RawLog {
    /// A file in `dir` for records of `bytes`.
    pub fn create(dir: &Path, bytes: usize, room: Room) -> Result<Self, MachineError> {
        let path = dir.join(format!("raw-{room:?}"));
        let mut file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
        let end = match room {
            Room::Growing => None,
            Room::Reserved => Some(reserve(&mut file, bytes)?),
        };
        Ok(Self { path, file, record: vec![0xa5; bytes], at: 0, end })
    }

    /// Writes the next record and calls `fdatasync`.
    pub fn round(&mut self) -> Result<Duration, MachineError> {
        if self.end.is_some_and(|end| self.at >= end) {
            self.at = 0;
        }
        let started = Instant::now();
        self.file.write_all_at(&self.record, self.at)?;
        self.file.sync_data()?;
        let took = started.elapsed();
        self.at += self.record.len() as u64;
        Ok(took)
    }
}

impl Drop for RawLog {
    fn drop(&mut self) {
        // It lies in a directory that is removed as a whole.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn reserve(file: &mut File, bytes: usize) -> io::Result<u64> {
    let zeroes = vec![0; bytes];
    for _ in 0..RESERVED_ROUNDS {
        file.write_all(&zeroes)?;
    }
    file.sync_all()?;
    Ok((bytes * RESERVED_ROUNDS) as u64)
}

/// Inserts rows of `row_bytes` under ascending keys, `per_commit` rows a durable commit.
pub fn redb_insert(dir: &Path, rows: u64, row_bytes: usize, per_commit: u64) -> Result<Rate, MachineError> {
    let path = dir.join("raw-rows.redb");
    let elapsed = insert(&path, rows, row_bytes, per_commit.max(1)).map_err(Box::new)?;
    std::fs::remove_file(&path)?;
    Ok(Rate { rows, bytes: rows * row_bytes as u64, elapsed })
}

/// Inserts rows as they are, each commit its share of all of them in the order of their keys, as whoever applies one batch of
/// changes after the other would.
pub fn redb_insert_rows(
    dir: &Path,
    rows: &[(Vec<u8>, Vec<u8>)],
    commits: usize,
) -> Result<Rate, MachineError> {
    let path = dir.join("raw-rows.redb");
    let elapsed = insert_rows(&path, rows, commits.max(1)).map_err(Box::new)?;
    std::fs::remove_file(&path)?;
    let bytes = rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
    Ok(Rate { rows: rows.len() as u64, bytes, elapsed })
}

fn insert_rows(path: &Path, rows: &[(Vec<u8>, Vec<u8>)], commits: usize) -> Result<Duration, redb::Error> {
    let database = Database::create(path)?;
    let started = Instant::now();
    for commit in 0..commits {
        let write = database.begin_write()?;
        {
            let mut table = write.open_table(ANY_ROWS)?;
            for (key, value) in rows.iter().skip(commit).step_by(commits) {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        write.commit()?;
    }
    Ok(started.elapsed())
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

/// The processor time of a thread that, `answers` times a second, is woken by a datagram of `bytes` and sends one back, over
/// `long`: what a node at rest cannot go below.
pub fn udp_rest(bytes: usize, answers: u32, long: Duration) -> Result<Duration, MachineError> {
    let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    far.connect(near.local_addr()?)?;
    near.connect(far.local_addr()?)?;
    near.set_read_timeout(Some(ECHO_WAIT))?;
    let rounds = u32::try_from(long.as_millis()).unwrap_or(u32::MAX).saturating_mul(answers) / 1_000;
    let pause = Duration::from_secs(1) / answers.max(1);
    std::thread::scope(|scope| {
        let answering = scope.spawn(move || {
            let (mut buffer, spent) = (vec![0; bytes.max(1)], thread_time());
            for _ in 0..rounds {
                let length = near.recv(&mut buffer)?;
                near.send(&buffer[..length])?;
            }
            Ok::<_, io::Error>(thread_time().saturating_sub(spent))
        });
        let datagram = vec![0x3c; bytes];
        for _ in 0..rounds {
            std::thread::sleep(pause);
            far.send(&datagram)?;
        }
        Ok(answering.join().map_err(|_| io::Error::other("the answers ended early"))??)
    })
}

/// Processor time of this thread so far.
fn thread_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(spent).unwrap_or_default()
}

/// Somebody on the loopback who answers each question over TCP at once, on one connection.
#[derive(Debug)]
pub struct TcpEcho {
    stream: TcpStream,
    ask: Vec<u8>,
    answer: Vec<u8>,
    far: Option<JoinHandle<()>>,
}

impl TcpEcho {
    /// Questions of `ask` bytes, answers of `answer` bytes.
    pub fn start(ask: usize, answer: usize) -> Result<Self, MachineError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (mut theirs, _) = listener.accept()?;
        for end in [&stream, &theirs] {
            end.set_nodelay(true)?;
        }
        stream.set_read_timeout(Some(ECHO_WAIT))?;
        let (ask, answer) = (vec![0x3c; ask.max(1)], vec![0x3e; answer.max(1)]);
        let (mut heard, said) = (ask.clone(), answer.clone());
        let far = std::thread::spawn(move || {
            // It ends with the connection.
            while theirs.read_exact(&mut heard).and_then(|()| theirs.write_all(&said)).is_ok() {}
        });
        Ok(Self { stream, ask, answer, far: Some(far) })
    }

    /// One question, until its whole answer is here.
    pub fn round(&mut self) -> Result<Duration, MachineError> {
        let started = Instant::now();
        self.stream.write_all(&self.ask)?;
        self.stream.read_exact(&mut self.answer)?;
        Ok(started.elapsed())
    }
}

impl Drop for TcpEcho {
    fn drop(&mut self) {
        // Whether it was open still or not, it is closed now, and the other thread sees that.
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(far) = self.far.take() {
            let _ = far.join();
        }
    }
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
            let mut log = RawLog::create(dir.path(), 900, room).unwrap();
            assert!((0..5).all(|_| log.round().is_ok()));
        }
        assert_eq!(redb_insert(dir.path(), 25, 100, 10).unwrap().bytes, 2_500);
        let rows: Vec<_> = (0..25_u8).map(|n| (vec![n], vec![n; 9])).collect();
        let inserted = redb_insert_rows(dir.path(), &rows, 3).unwrap();
        assert_eq!((inserted.rows, inserted.bytes), (25, 250));
        assert_eq!(udp_echo(64, 5).unwrap().rounds, 5);
        let mut echo = TcpEcho::start(300, 500).unwrap();
        assert!((0..5).all(|_| echo.round().is_ok()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(matches!(udp_echo(64, 0), Err(MachineError::NoRounds)));
        assert!(udp_rest(64, 200, Duration::from_millis(50)).unwrap() < Duration::from_millis(50));
    }
}
