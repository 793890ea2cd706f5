//! What a node takes from the machine that it runs on: files, a wall clock, randomness, a socket, and who waits for the disk.
//!
//! Purpose: everything that is not decided by a node's own code comes through one noun, so that a whole shop can run inside
//! one process, on simulated disks and a simulated network, and do the same again from one seed. [`Machine::real`] is the
//! machine that we are on, and what every configuration has unless it says otherwise.
//!
//! Invariants: with the real machine each method is the call of the operating system that it names, nothing more. Monotonic
//! time is tokio's, which a simulation holds; nobody here or above asks the operating system for it.
//!
//! Absent on purpose: mDNS and name resolution, which a simulated shop does without.

use crate::disk::Disk;
use crate::endpoint::{BindError, Endpoint};
use crate::enrol::NoRandomness;
use crate::identity::{CreateDirError, DataDir, NewDir, OpenDirError, Role};
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;
use toko_crdt::clock::UnixMicros;
use toko_crdt::sign::SecretKey;

/// A machine. Clones are handles of the same one.
#[derive(Clone)]
pub struct Machine {
    world: Arc<dyn World>,
    /// Work that is done aside.
    aside: TaskTracker,
}

/// The parts of a machine: the real one, or one that is simulated.
pub trait World: fmt::Debug + Send + Sync {
    /// The wall clock, as good as it is.
    fn wall(&self) -> UnixMicros;

    /// Fills `out` with bytes that nobody can guess.
    fn random(&self, out: &mut [u8]) -> Result<(), NoRandomness>;

    /// Opens the directory of a node that exists.
    fn open_dir(&self, path: &Path, role: Role) -> Result<DataDir, OpenDirError>;

    /// Makes the directory of a new node.
    fn create_dir(&self, path: &Path, new: NewDir) -> Result<DataDir, CreateDirError>;

    /// Removes what [`World::create_dir`] made, so that setting up can be tried again.
    fn clear_dir(&self, path: &Path) -> std::io::Result<()>;

    /// Binds a socket; with the node's key where a node was perhaps killed on it a moment ago.
    fn bind(&self, listen: SocketAddr, key: Option<&SecretKey>) -> Result<Endpoint, BindError>;

    /// Who waits for the disk.
    fn patience(&self) -> Patience;
}

/// Who waits while the disk works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Threads of their own: nobody else is held up.
    Threads,
    /// The one task that asks. The disk answers at once, as it is in memory, and a group of appends takes this long.
    Task {
        /// How long the next group takes.
        sync: Duration,
    },
}

impl Machine {
    /// The machine that we are on.
    #[must_use]
    pub fn real() -> Self {
        Self::of(RealWorld)
    }

    /// A machine made of these parts.
    pub fn of(world: impl World + 'static) -> Self {
        Self { world: Arc::new(world), aside: TaskTracker::new() }
    }

    /// The same machine for somebody who knows of his own work aside when it is done.
    #[must_use]
    pub(crate) fn for_one(&self) -> Self {
        Self { world: Arc::clone(&self.world), aside: TaskTracker::new() }
    }

    /// The wall clock, as good as it is.
    #[must_use]
    pub fn wall(&self) -> UnixMicros {
        self.world.wall()
    }

    /// Fresh random bytes.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut out = [0; N];
        self.world.random(&mut out)?;
        Ok(out)
    }

    /// Who waits for the disk.
    #[must_use]
    pub fn patience(&self) -> Patience {
        self.world.patience()
    }

    /// Does work that waits for the disk, where nobody is held up by it.
    ///
    /// Errors: the work panicked.
    pub async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        match self.patience() {
            Patience::Threads => self.aside.spawn_blocking(work).await,
            Patience::Task { .. } => Ok(work()),
        }
    }

    /// Returns when all work that was begun aside is done, also what nobody waits for any more.
    pub(crate) async fn is_done_aside(&self) {
        self.aside.close();
        self.aside.wait().await;
    }

    /// Opens the directory of a node that exists.
    pub fn open_dir(&self, path: &Path, role: Role) -> Result<DataDir, OpenDirError> {
        self.world.open_dir(path, role)
    }

    /// Makes the directory of a new node.
    pub fn create_dir(&self, path: &Path, new: NewDir) -> Result<DataDir, CreateDirError> {
        self.world.create_dir(path, new)
    }

    /// Removes what [`Machine::create_dir`] made.
    pub fn clear_dir(&self, path: &Path) -> std::io::Result<()> {
        self.world.clear_dir(path)
    }

    /// Binds a socket; with the node's key where a node was perhaps killed on it a moment ago.
    pub fn bind(&self, listen: SocketAddr, key: Option<&SecretKey>) -> Result<Endpoint, BindError> {
        self.world.bind(listen, key)
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::real()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.world.fmt(f)
    }
}

#[derive(Debug)]
struct RealWorld;

impl World for RealWorld {
    fn wall(&self) -> UnixMicros {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => UnixMicros(micros(since)),
            Err(before) => UnixMicros(-micros(before.duration())),
        }
    }

    fn random(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        SystemRandom::new().fill(out).map_err(|_| NoRandomness)
    }

    fn open_dir(&self, path: &Path, role: Role) -> Result<DataDir, OpenDirError> {
        DataDir::open(path, role)
    }

    fn create_dir(&self, path: &Path, new: NewDir) -> Result<DataDir, CreateDirError> {
        DataDir::create(path, new.root, new.key, new.role, new.created)
    }

    fn clear_dir(&self, path: &Path) -> std::io::Result<()> {
        let remove = |path: &Path| {
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
        };
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_name() != "lost+found" {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    fn bind(&self, listen: SocketAddr, key: Option<&SecretKey>) -> Result<Endpoint, BindError> {
        match key {
            Some(key) => Endpoint::bind_again(listen, key),
            None => Endpoint::bind(listen),
        }
    }

    fn patience(&self) -> Patience {
        Patience::Threads
    }
}

/// The disks of a directory that is no directory of this machine.
#[derive(Clone, Debug)]
pub struct Disks {
    /// Small files of the node's own: addresses, and what a daemon notes beside them.
    pub own: Arc<dyn Disk>,
    /// Log and views.
    pub journal: Arc<dyn Disk>,
    /// Blobs.
    pub blobs: Arc<dyn Disk>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use tokio::select;

    #[tokio::test]
    async fn work_aside_is_waited_for_although_whoever_began_it_is_gone() {
        let machine = Machine::real().for_one();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        {
            let mut begun = pin!(machine.aside(move || ends.recv()));
            select! {
                biased;
                _ = &mut begun => panic!("it ended by itself"),
                () = async {} => {}
            }
        }
        let mut done = pin!(machine.is_done_aside());
        select! {
            biased;
            () = &mut done => panic!("it still works"),
            () = async {} => {}
        }
        end.send(()).unwrap();
        done.await;
    }
}
