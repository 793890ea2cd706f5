//! A disk in memory that forgets like a real one: for tests of this crate and of every crate above it.
//!
//! Purpose: power cuts, torn writes, failing syncs and full disks at an exact operation, the same each time for one seed.
//!
//! Invariants: what was synced survives every [`SimDisk::power_cut`]. Of what was not, any subset of sectors (512 B or
//! 4 KiB, by seed) survives; changes of length and of names survive in order, as a journalling file system keeps them,
//! up to some point. A dead disk answers nothing until it is started again.
//!
//! Absent on purpose: time. A slow disk is the business of whoever owns the clock.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::disk::{Disk, check_name};

mod dice;
mod file;

pub use dice::Dice;
use file::{Change, NameChange, SimFile};

/// A simulated disk. Clones are handles of one disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// What shall go wrong, counted in operations from the moment it is set. All absent: a good disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The machine dies at this operation that changes something (0: the next one); it does not happen.
    pub die_at_op: Option<u64>,
    /// The machine dies at this sync (0: the next one); it does not happen.
    pub die_at_sync: Option<u64>,
    /// This sync answers an I/O error once; what it should have kept is lost, though reads still show it.
    pub fail_sync: Option<u64>,
    /// This write answers an I/O error once, half of it done.
    pub fail_write: Option<u64>,
    /// All files together may take this many bytes.
    pub capacity: Option<u64>,
    /// Syncs answer "done" and do nothing: the negative control of every power-cut test.
    pub lying_syncs: bool,
}

/// What a disk did not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Writes and syncs that ended in an error.
    pub errors: u64,
    /// What there was no room for.
    pub full: u64,
}

#[derive(Clone, Debug, Default)]
struct State {
    files: BTreeMap<u64, SimFile>,
    next_file: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameChange>,
    faults: Faults,
    dead: bool,
    ops: u64,
    syncs: u64,
    bytes_written: u64,
    refused: Refused,
    /// Its syncs lie, whatever else is set, and after every power cut too.
    liar: bool,
}

impl SimDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that says that it has synced and never has: no node can keep its word on it, and an oracle that does not
    /// notice is none.
    #[must_use]
    pub fn that_lies() -> Self {
        Self { state: Arc::new(Mutex::new(State { liar: true, ..State::default() })) }
    }

    /// From now on, this goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Cuts the power and returns the disk as the next start finds it, without faults. This one is dead.
    ///
    /// Shape: of what was not synced, `seed` decides what survived.
    #[must_use]
    pub fn power_cut(&self, seed: u64) -> SimDisk {
        let mut old = self.lock();
        old.dead = true;
        let mut dice = Dice::new(seed);
        let mut names = old.durable_names.clone();
        let kept = dice.below(old.unsynced_names.len() as u64 + 1);
        for change in old.unsynced_names.iter().take(index(kept)) {
            change.apply(&mut names);
        }
        let files = old.files.iter().map(|(id, file)| (*id, file.after_power_cut(&mut dice))).collect();
        let (next_file, liar, refused) = (old.next_file, old.liar, old.refused);
        let durable_names = names.clone();
        let state = State { files, next_file, durable_names, names, liar, refused, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Cuts the power where nothing is kept but what was synced: what a node may not count on, it does not get. This one is
    /// dead.
    #[must_use]
    pub fn power_cut_at_its_worst(&self) -> SimDisk {
        let mut old = self.lock();
        old.dead = true;
        old.at_its_worst()
    }

    /// What [`SimDisk::power_cut_at_its_worst`] would leave now. This one goes on.
    #[must_use]
    pub fn at_its_worst(&self) -> SimDisk {
        self.lock().at_its_worst()
    }

    /// Kills the process only: everything written stays visible, un-synced as it was. This handle is dead.
    #[must_use]
    pub fn process_killed(&self) -> SimDisk {
        let mut old = self.lock();
        old.dead = true;
        let state = State { faults: Faults::default(), dead: false, ..old.clone() };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// A copy of the whole disk, as somebody makes of a virtual machine or a directory. This one goes on.
    #[must_use]
    pub fn copied(&self) -> SimDisk {
        let (faults, refused) = (Faults::default(), Refused::default());
        SimDisk { state: Arc::new(Mutex::new(State { faults, refused, ..self.lock().clone() })) }
    }

    /// Operations so far that changed something, syncs among them.
    pub fn ops(&self) -> u64 {
        self.lock().ops
    }

    /// Syncs of files and of the directory so far.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Bytes written so far, space that was only reserved not counted.
    pub fn bytes_written(&self) -> u64 {
        self.lock().bytes_written
    }

    /// What it did not do so far, in its lives before power cuts too.
    pub fn refused(&self) -> Refused {
        self.lock().refused
    }

    /// Bytes that all files take, space that is only reserved among them.
    pub fn bytes_held(&self) -> u64 {
        self.lock().used()
    }

    /// True once a fault has killed the machine, or its power was cut.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Flips one bit of a file, in memory and on the platter: bit rot.
    ///
    /// Errors: `NotFound`, or `UnexpectedEof` past the end; nothing changed then.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) -> io::Result<()> {
        let mut state = self.lock();
        let file = state.file(name)?;
        for copy in [&mut file.visible, &mut file.durable] {
            let byte = copy.get_mut(index(offset)).ok_or(io::ErrorKind::UnexpectedEof)?;
            *byte ^= 1 << (bit % 8);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn at_its_worst(&self) -> SimDisk {
        let names = self.durable_names.clone();
        let files = self.files.iter().map(|(id, file)| (*id, file.as_synced())).collect();
        let (next_file, liar, refused) = (self.next_file, self.liar, self.refused);
        let durable_names = names.clone();
        let state = State { files, next_file, durable_names, names, liar, refused, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Counts an operation that changes something, and dies at the one that was chosen.
    fn tick(&mut self) -> io::Result<()> {
        self.alive()?;
        self.dead = count_down(&mut self.faults.die_at_op);
        self.alive()?;
        self.ops += 1;
        Ok(())
    }

    fn tick_sync(&mut self) -> io::Result<()> {
        self.alive()?;
        self.dead = count_down(&mut self.faults.die_at_sync);
        self.tick()?;
        self.syncs += 1;
        Ok(())
    }

    fn id(&self, name: &str) -> io::Result<u64> {
        check_name(name)?;
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no {name}")))
    }

    fn file(&mut self, name: &str) -> io::Result<&mut SimFile> {
        let id = self.id(name)?;
        self.files.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|f| f.visible.len() as u64).sum()
    }

    fn free(&self) -> u64 {
        self.faults.capacity.unwrap_or(1 << 40).saturating_sub(self.used())
    }

    /// There is no room for it.
    fn no_room(&mut self) -> io::Error {
        self.refused.full += 1;
        io::ErrorKind::StorageFull.into()
    }

    /// The disk fails.
    fn fails(&mut self, what: &'static str) -> io::Error {
        self.refused.errors += 1;
        io::Error::other(what)
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.lock();
        state.alive()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        check_name(name)?;
        let mut state = self.lock();
        state.tick()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if state.free() < bytes {
            return Err(state.no_room());
        }
        let id = state.next_file;
        state.next_file += 1;
        let mut file = SimFile::default();
        file.change(Change::Len(index(bytes)));
        state.files.insert(id, file);
        state.change_name(NameChange::Make(name.to_owned(), id));
        Ok(())
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        let mut state = self.lock();
        state.alive()?;
        Ok(state.file(name)?.visible.len() as u64)
    }

    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.alive()?;
        let from = index(offset);
        let part = state.file(name)?.visible.get(from..from.saturating_add(buf.len()));
        buf.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.tick()?;
        let free = index(state.free());
        let mut fits = bytes.len();
        let mut result = Ok(());
        if count_down(&mut state.faults.fail_write) {
            fits /= 2;
            result = Err(state.fails("simulated write error"));
        }
        let file = state.file(name)?;
        let room = file.visible.len().saturating_sub(index(offset)).saturating_add(free);
        let too_much = fits > room;
        fits = fits.min(room);
        file.change(Change::Write(index(offset), bytes[..fits].to_vec()));
        state.bytes_written += fits as u64;
        if too_much { Err(state.no_room()) } else { result }
    }

    fn set_len(&self, name: &str, bytes: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.tick()?;
        let free = state.free();
        let file = state.file(name)?;
        if bytes.saturating_sub(file.visible.len() as u64) > free {
            return Err(state.no_room());
        }
        file.change(Change::Len(index(bytes)));
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.tick_sync()?;
        let fails = count_down(&mut state.faults.fail_sync);
        let lies = state.faults.lying_syncs || state.liar;
        let file = state.file(name)?;
        if fails {
            file.unsynced.clear();
            return Err(state.fails("simulated sync error"));
        }
        if !lies {
            for change in std::mem::take(&mut file.unsynced) {
                change.apply(&mut file.durable);
            }
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(to)?;
        let mut state = self.lock();
        state.tick()?;
        state.id(from)?;
        state.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.tick()?;
        state.id(name)?;
        state.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.tick_sync()?;
        if count_down(&mut state.faults.fail_sync) {
            return Err(state.fails("simulated sync error"));
        }
        if !state.faults.lying_syncs && !state.liar {
            state.unsynced_names.clear();
            state.durable_names = state.names.clone();
            let named: Vec<u64> = state.names.values().copied().collect();
            state.files.retain(|id, _| named.contains(id));
        }
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        let state = self.lock();
        state.alive()?;
        Ok(state.free())
    }
}

/// Counts a planned fault down; true when it is due.
fn count_down(plan: &mut Option<u64>) -> bool {
    match plan {
        Some(0) => {
            *plan = None;
            true
        }
        Some(n) => {
            *n -= 1;
            false
        }
        None => false,
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
