//! A simulated box: what a node takes from its machine, on a disk and a network in memory and by a clock that may be wrong.
//!
//! Invariants: whatever is drawn here follows from the seed and from how much was drawn before; the wall clock follows from
//! the simulation's clock and from what was done to this one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use toko_crdt::Hash;
use toko_crdt::clock::UnixMicros;
use toko_crdt::sign::{PublicKey, SecretKey};
use toko_mesh::endpoint::{BindError, Endpoint};
use toko_mesh::enrol::NoRandomness;
use toko_mesh::identity::{CreateDirError, DataDir, NewDir, OpenDirError, Role};
use toko_mesh::machine::{Disks, Machine, Patience, World};
use toko_mesh::sim_disk::{Faults, Refused, SimDisk};
use toko_mesh::sim_net::SimNet;

/// The port of every node.
pub const PORT: u16 = 7_443;
/// When a simulation begins, by a clock that is right, unless it is said otherwise: 2026-11-23T08:00:00Z.
pub const OPENING: UnixMicros = UnixMicros(1_795_420_800_000_000);
/// How long a sync takes on a disk that is well.
pub const SYNC: Duration = Duration::from_millis(1);
/// A clock that shows less has forgotten what year it is: 2000-01-01T00:00:00Z.
const LONG_AGO: i64 = 946_684_800_000_000;
const DAY_MICROS: u64 = 86_400_000_000;

/// A box. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    net: SimNet,
    ip: IpAddr,
    seed: u64,
    /// What a clock that is right showed when the simulation began.
    opening: UnixMicros,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    dir: Option<NewDir>,
    own: SimDisk,
    journal: SimDisk,
    blobs: SimDisk,
    drawn: u64,
    clock: Clock,
    sync: Duration,
    /// How long the sync before took, and until when one of those may still be under way.
    lingers: (Duration, Duration),
    down: bool,
    /// The power goes at the next answer that counts, and this decides what is left.
    aimed: Option<u64>,
    felt: Felt,
}

/// What a box felt of what went wrong with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Felt {
    /// Its power went.
    pub power: u64,
    /// What ran on it was killed.
    pub killed: u64,
    /// It woke up in 1970.
    pub woke_in_1970: u64,
    /// It was told a time that is wrong by less than a day,
    pub drifted: u64,
    /// by more,
    pub jumped: u64,
    /// or one of before there were shops like this.
    pub long_ago: u64,
    /// It waited for a disk that stalled.
    pub stalled: u64,
    /// What its disk did not do.
    pub refused: Refused,
}

/// Everything on the disks of a box at one moment, as somebody copies it.
#[derive(Clone, Debug)]
pub struct Image {
    dir: Option<NewDir>,
    own: SimDisk,
    journal: SimDisk,
    blobs: SimDisk,
}

/// What is wrong with a clock.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// Ahead by this much.
    ahead_micros: i64,
    /// And faster by so many millionths.
    fast_ppm: i64,
    /// Since then.
    since: Duration,
}

impl Host {
    /// Box number `nth` on a network: switched on, its disk empty, its clock right.
    #[must_use]
    pub fn new(net: &SimNet, seed: u64, nth: u8) -> Self {
        Self::at(net, seed, address(0, nth))
    }

    /// Such a box at an address of a network. Two at one address draw alike, unless their seeds differ.
    #[must_use]
    pub fn at(net: &SimNet, seed: u64, ip: IpAddr) -> Self {
        let state = State { sync: SYNC, ..State::default() };
        Self::of(Inner { net: net.clone(), ip, seed, opening: OPENING, state: Mutex::new(state) })
    }

    /// The same box before anything was written, in a simulation that began at another time.
    #[must_use]
    pub fn opened(self, at: UnixMicros) -> Self {
        let Inner { net, ip, seed, .. } = &*self.inner;
        let state = std::mem::take(&mut *self.lock());
        Self::of(Inner { net: net.clone(), ip: *ip, seed: *seed, opening: at, state: Mutex::new(state) })
    }

    fn of(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// The same box before anything was written, with a disk for log and views that never keeps what it says.
    #[must_use]
    pub fn on_a_disk_that_lies(self) -> Self {
        self.lock().journal = SimDisk::that_lies();
        self
    }

    /// The machine that a node on it sees.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine::of(self.clone())
    }

    /// Its address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.inner.ip
    }

    /// Where its node listens.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.inner.ip, PORT)
    }

    /// The disk of log and views.
    #[must_use]
    pub fn disk(&self) -> SimDisk {
        self.lock().journal.clone()
    }

    /// What is wrong with that disk from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().journal.set_faults(faults);
    }

    /// How long a group of appends takes from now on.
    pub fn set_sync(&self, sync: Duration) {
        let now = self.inner.net.elapsed();
        let mut state = self.lock();
        state.lingers = (state.sync, now + state.sync);
        state.sync = sync;
    }

    /// How long a group may take that somebody waits for now: one of a moment ago may still be under way.
    #[must_use]
    pub fn sync_felt(&self) -> Duration {
        let now = self.inner.net.elapsed();
        let state = self.lock();
        let (before, until) = state.lingers;
        if now < until { state.sync.max(before) } else { state.sync }
    }

    /// How long a group of appends takes.
    #[must_use]
    pub fn sync(&self) -> Duration {
        self.lock().sync
    }

    /// Power goes: the network hears nothing of it any more, and of what was not synced the seed decides what is left.
    pub fn cut_power(&self, seed: u64) {
        self.inner.net.switch_off(self.inner.ip);
        let mut state = self.lock();
        state.felt.power += u64::from(!state.down);
        state.down = true;
        state.own = state.own.power_cut(seed);
        state.journal = state.journal.power_cut(seed ^ 1);
        state.blobs = state.blobs.power_cut(seed ^ 2);
    }

    /// The power is to go at the moment of the next answer that counts: nothing later can make up for a sync that was skipped.
    pub fn aim(&self, seed: Option<u64>) {
        self.lock().aimed = seed;
    }

    /// Somebody was answered something that counts. Whether the power is to go at that, and what decides what is left.
    #[must_use]
    pub fn answered(&self) -> Option<u64> {
        self.lock().aimed.take()
    }

    /// Power goes, and nothing is left but what was synced.
    pub fn cut_power_at_its_worst(&self) {
        self.inner.net.switch_off(self.inner.ip);
        let mut state = self.lock();
        state.felt.power += u64::from(!state.down);
        state.down = true;
        state.own = state.own.power_cut_at_its_worst();
        state.journal = state.journal.power_cut_at_its_worst();
        state.blobs = state.blobs.power_cut_at_its_worst();
    }

    /// A copy of its disks. Whatever runs on it goes on.
    #[must_use]
    pub fn image(&self) -> Image {
        let state = self.lock();
        Image {
            dir: state.dir.clone(),
            own: state.own.copied(),
            journal: state.journal.copied(),
            blobs: state.blobs.copied(),
        }
    }

    /// A copy takes the place of its disks. Nothing may run on it.
    pub fn put(&self, image: &Image) {
        let mut state = self.lock();
        // The copy begins to count anew.
        let Refused { errors, full } = state.journal.refused();
        state.felt.refused.errors += errors;
        state.felt.refused.full += full;
        state.dir = image.dir.clone();
        state.own = image.own.copied();
        state.journal = image.journal.copied();
        state.blobs = image.blobs.copied();
    }

    /// What a node of this box would find if it started now: the store's root key, its own, and the disk of log and views.
    #[must_use]
    pub fn found(&self) -> Option<(PublicKey, SecretKey, SimDisk)> {
        let state = self.lock();
        let dir = state.dir.as_ref()?;
        Some((dir.root, dir.key.clone(), state.journal.copied()))
    }

    /// The process goes, the machine stays: everything written is still there.
    pub fn kill(&self) {
        self.inner.net.switch_off(self.inner.ip);
        let mut state = self.lock();
        state.felt.killed += u64::from(!state.down);
        state.down = true;
        state.own = state.own.process_killed();
        state.journal = state.journal.process_killed();
        state.blobs = state.blobs.process_killed();
    }

    /// Power is back.
    pub fn switch_on(&self) {
        self.inner.net.switch_on(self.inner.ip);
        let forgot = self.wall().0 < LONG_AGO;
        let mut state = self.lock();
        state.down = false;
        state.felt.woke_in_1970 += u64::from(forgot);
    }

    /// What it felt so far.
    #[must_use]
    pub fn felt(&self) -> Felt {
        let state = self.lock();
        let (mut felt, now) = (state.felt, state.journal.refused());
        felt.refused.errors += now.errors;
        felt.refused.full += now.full;
        felt
    }

    /// Whether power is off.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.lock().down
    }

    /// The clock jumps ahead by so much (back, below zero).
    pub fn jump(&self, micros: i64) {
        let now = self.inner.net.elapsed();
        let mut state = self.lock();
        state.clock = Clock { ahead_micros: state.clock.ahead(now).saturating_add(micros), ..state.clock };
        state.clock.since = now;
    }

    /// The clock runs fast by so many millionths (slow, below zero).
    pub fn drift(&self, fast_ppm: i64) {
        let now = self.inner.net.elapsed();
        let mut state = self.lock();
        state.clock = Clock { ahead_micros: state.clock.ahead(now), fast_ppm, since: now };
    }

    /// The clock is as it woke up without a battery: 1970.
    pub fn forget_time(&self) {
        let now = self.inner.net.elapsed();
        let right = self.inner.opening.0.saturating_add(micros(now));
        self.lock().clock = Clock { ahead_micros: -right, fast_ppm: 0, since: now };
    }

    /// Somebody sets the clock.
    pub fn set_right(&self) {
        self.lock().clock = Clock::default();
    }

    fn draw(&self, out: &mut [u8]) {
        for part in out.chunks_mut(32) {
            let drawn = {
                let mut state = self.lock();
                state.drawn += 1;
                state.drawn
            };
            let ip = self.inner.ip.to_string();
            let words = [&self.inner.seed.to_be_bytes()[..], ip.as_bytes(), &drawn.to_be_bytes()];
            part.copy_from_slice(&Hash::of("toko/sim/random/1", &words).0[..part.len()]);
        }
    }

    fn disks(&self) -> Disks {
        let state = self.lock();
        Disks {
            own: Arc::new(state.own.clone()),
            journal: Arc::new(state.journal.clone()),
            blobs: Arc::new(state.blobs.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    fn ahead(&self, now: Duration) -> i64 {
        let since = micros(now.saturating_sub(self.since));
        self.ahead_micros
            .saturating_add(since / 1_000_000 * self.fast_ppm + since % 1_000_000 * self.fast_ppm / 1_000_000)
    }
}

impl World for Host {
    fn wall(&self) -> UnixMicros {
        let now = self.inner.net.elapsed();
        let mut state = self.lock();
        let ahead = state.clock.ahead(now);
        let shown = self.inner.opening.0.saturating_add(micros(now)).saturating_add(ahead);
        match (ahead.unsigned_abs(), shown < LONG_AGO) {
            (0, _) => {}
            (_, true) => state.felt.long_ago += 1,
            (wrong, _) if wrong < DAY_MICROS => state.felt.drifted += 1,
            _ => state.felt.jumped += 1,
        }
        UnixMicros(shown)
    }

    fn random(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        self.draw(out);
        Ok(())
    }

    fn open_dir(&self, path: &Path, role: Role) -> Result<DataDir, OpenDirError> {
        let made = self.lock().dir.clone();
        match made {
            Some(new) if new.role == role => Ok(DataDir::lent(path, new, self.disks())),
            Some(new) => {
                Err(OpenDirError::OtherRole { path: path.to_owned(), found: new.role, wanted: role })
            }
            None => Err(OpenDirError::Nothing { path: path.to_owned(), what: "empty" }),
        }
    }

    fn create_dir(&self, path: &Path, new: NewDir) -> Result<DataDir, CreateDirError> {
        let mut state = self.lock();
        if state.dir.is_some() {
            let example = "STORE".to_owned();
            return Err(CreateDirError::Occupied { path: path.to_owned(), example });
        }
        state.dir = Some(new.clone());
        drop(state);
        Ok(DataDir::lent(path, new, self.disks()))
    }

    fn clear_dir(&self, _path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.dir = None;
        (state.own, state.journal, state.blobs) = (SimDisk::new(), SimDisk::new(), SimDisk::new());
        Ok(())
    }

    fn bind(&self, listen: SocketAddr, key: Option<&SecretKey>) -> Result<Endpoint, BindError> {
        let mut seed = [0; 32];
        self.draw(&mut seed);
        self.inner.net.endpoint(SocketAddr::new(self.inner.ip, listen.port()), key, seed)
    }

    fn patience(&self) -> Patience {
        let sync = self.sync();
        self.lock().felt.stalled += u64::from(sync > SYNC);
        Patience::Task { sync }
    }
}

/// The address of box `nth` in network `net` of the shop's.
#[must_use]
pub fn address(net: u8, nth: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, net, 10 + nth))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
