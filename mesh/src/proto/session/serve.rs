//! Sending entries, asked for or pushed, within a window of bytes that the peer has not acknowledged.
//!
//! Invariants: entries of one journal leave in the order of their numbers; at most one load is under way; what is sent and
//! not acknowledged stays within [`WINDOW_BYTES`], or is one single entry.

use super::api::{Fresh, Output};
use super::pull::later;
use crate::proto::frame::{Fragment, Frame, ITEM_BYTES, ITEMS_MAX, PAYLOAD_BYTES_MAX};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use toko_crdt::JournalId;
use toko_crdt::clock::UnixMicros;
use toko_crdt::frontier;

/// How much may be on its way without an acknowledgement.
pub(super) const WINDOW_BYTES: usize = 512 * 1024;
/// How much is read from the log at once.
const LOAD_BYTES: usize = 128 * 1024;
/// Below this much room in the window, the next load waits for an acknowledgement.
const ROOM_BYTES: usize = 16 * 1024;
/// What is not acknowledged after this long is taken for refused: the peer will ask.
const ACK_MICROS: i64 = 10_000_000;
/// How many journals a peer may have asked for at once.
pub(super) const JOBS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Server {
    jobs: BTreeMap<JournalId, Job>,
    /// Round robin over the jobs.
    turn: VecDeque<JournalId>,
    loading: Option<(JournalId, u64)>,
    /// The last number that was sent, or that came from the peer itself, where its lines do not say so yet.
    sent: BTreeMap<JournalId, u64>,
    unacked: VecDeque<Unacked>,
    unacked_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    next: u64,
    to: u64,
    /// The window must have this much room: the next entry did not fit.
    room_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Unacked {
    journal: JournalId,
    to: u64,
    bytes: usize,
    at: UnixMicros,
}

impl Server {
    /// The last number that the peer holds or was sent, given what its lines say.
    pub(super) fn known(&self, journal: &JournalId, told: u64) -> u64 {
        self.sent.get(journal).map_or(told, |sent| told.max(*sent))
    }

    /// Entries up to `seq` came from the peer itself: they are not sent back.
    pub(super) fn came(&mut self, journal: JournalId, seq: u64) {
        if self.sent.len() >= frontier::LINES_MAX {
            // Forgotten, it is sent once more than needed.
            self.sent.clear();
        }
        let sent = self.sent.entry(journal).or_default();
        *sent = seq.max(*sent);
    }

    /// What came from the peer, or was sent to it, did not get in.
    pub(super) fn forget(&mut self, journal: &JournalId) {
        self.sent.remove(journal);
    }

    /// The peer asks. `false` if it asks for too much at once.
    pub(super) fn want(&mut self, journal: JournalId, from: u64, to: u64) -> bool {
        // It lacks what it asks for: whatever of it was sent before did not get in.
        self.unacked.retain(|item| item.journal != journal || item.to < from);
        self.unacked_bytes = self.unacked.iter().map(|item| item.bytes).sum();
        self.sent.remove(&journal);
        self.add(journal, from, to);
        self.jobs.len() <= JOBS_MAX
    }

    fn add(&mut self, journal: JournalId, next: u64, to: u64) {
        self.jobs.insert(journal, Job { next, to, room_bytes: 0 });
        if !self.turn.contains(&journal) {
            self.turn.push_back(journal);
        }
    }

    /// New entries `from..=to` go out unasked, if the peer was up to date (`told` is what its lines say). `false` if not.
    pub(super) fn push(
        &mut self,
        now: UnixMicros,
        journal: JournalId,
        told: u64,
        (from, to): (u64, u64),
        fresh: &[Fresh],
        out: &mut VecDeque<Output>,
    ) -> bool {
        if let Some(job) = self.jobs.get_mut(&journal) {
            let follows = job.to + 1 == from;
            if follows {
                job.to = to;
            }
            return follows;
        }
        if self.known(&journal, told) >= to {
            return true;
        }
        if self.known(&journal, told) + 1 != from || self.jobs.len() >= JOBS_MAX {
            return false;
        }
        let at_hand = at_hand(fresh, &journal, from, to);
        let bytes: usize = at_hand.iter().flatten().map(|entry| entry.len()).sum();
        match at_hand {
            Some(entries) if self.unacked_bytes + bytes <= WINDOW_BYTES => {
                self.send(now, journal, from, &entries, out);
            }
            _ => self.add(journal, from, to),
        }
        true
    }

    /// Entries of one journal that are at hand and not durable yet go out, if they are what the peer lacks next and the window
    /// has room; otherwise they wait until they are.
    pub(super) fn push_ahead(
        &mut self,
        now: UnixMicros,
        journal: JournalId,
        told: u64,
        entries: &[Fresh],
        out: &mut VecDeque<Output>,
    ) {
        let next = self.known(&journal, told) + 1;
        let lacking: Vec<Arc<[u8]>> =
            entries.iter().filter(|entry| entry.seq >= next).map(|entry| Arc::clone(&entry.bytes)).collect();
        let follows = entries.iter().any(|entry| entry.seq == next) && !self.jobs.contains_key(&journal);
        let bytes: usize = lacking.iter().map(|entry| entry.len()).sum();
        if follows && self.unacked_bytes + bytes <= WINDOW_BYTES {
            self.send(now, journal, next, &lacking, out);
        }
    }

    /// The peer holds a journal durably up to `seq`.
    pub(super) fn acked(&mut self, journal: &JournalId, seq: u64) {
        if self.sent.get(journal).is_some_and(|sent| *sent <= seq) {
            self.sent.remove(journal);
        }
        self.unacked.retain(|item| item.journal != *journal || item.to > seq);
        self.unacked_bytes = self.unacked.iter().map(|item| item.bytes).sum();
    }

    /// Takes what waits too long for refused.
    pub(super) fn expire(&mut self, now: UnixMicros) {
        let limit = later(now, -ACK_MICROS);
        while let Some(item) = self.unacked.pop_front_if(|item| item.at <= limit) {
            self.unacked_bytes -= item.bytes;
            self.sent.remove(&item.journal);
        }
    }

    /// The next load, if there is something to send and room for it.
    pub(super) fn load(&mut self) -> Option<Output> {
        if self.loading.is_some() {
            return None;
        }
        let room = WINDOW_BYTES.saturating_sub(self.unacked_bytes);
        for _ in 0..self.turn.len() {
            let journal = self.turn.pop_front()?;
            let Some(job) = self.jobs.get(&journal) else { continue };
            self.turn.push_back(journal);
            if self.unacked_bytes > 0 && room < job.room_bytes.max(ROOM_BYTES) {
                continue;
            }
            self.loading = Some((journal, job.next));
            let bytes_max = room.min(LOAD_BYTES);
            return Some(Output::Load { journal, from: job.next, to: job.to, bytes_max });
        }
        None
    }

    /// Entries were read.
    pub(super) fn loaded(
        &mut self,
        now: UnixMicros,
        journal: JournalId,
        from: u64,
        entries: &[Arc<[u8]>],
        out: &mut VecDeque<Output>,
    ) {
        if self.loading != Some((journal, from)) {
            return;
        }
        self.loading = None;
        // Asked again from elsewhere in the meantime: what was read is not what is wanted now.
        let Some(job) = self.jobs.get(&journal).copied().filter(|job| job.next == from) else { return };
        if entries.is_empty() {
            self.jobs.remove(&journal);
            out.push_back(Output::Send(Frame::NoEntries { journal, from }));
            return;
        }
        let count = usize::try_from(job.to - from + 1).unwrap_or(usize::MAX).min(entries.len());
        let fits = self.fitting(&entries[..count]);
        let room_bytes = entries.get(fits).filter(|_| fits < count).map_or(0, |e| e.len().min(WINDOW_BYTES));
        if fits > 0 {
            self.send(now, journal, from, &entries[..fits], out);
        }
        let next = from + fits as u64;
        if next > job.to {
            self.jobs.remove(&journal);
        } else {
            self.jobs.insert(journal, Job { next, to: job.to, room_bytes });
        }
    }

    /// What was to be read is no longer here. `false` if it was not to be read, or not from there.
    pub(super) fn gone(&mut self, journal: &JournalId, from: u64) -> bool {
        if self.loading != Some((*journal, from)) {
            return false;
        }
        self.loading = None;
        let here = self.jobs.get(journal).is_some_and(|job| job.next == from);
        if here {
            self.jobs.remove(journal);
        }
        here
    }

    /// How many of these the window has room for; one always, if nothing else is on its way.
    fn fitting(&self, entries: &[Arc<[u8]>]) -> usize {
        let mut bytes = self.unacked_bytes;
        let fits = entries.iter().take_while(|entry| {
            let first = bytes == 0;
            bytes += entry.len();
            first || bytes <= WINDOW_BYTES
        });
        fits.count()
    }

    fn send(
        &mut self,
        now: UnixMicros,
        journal: JournalId,
        from: u64,
        entries: &[Arc<[u8]>],
        out: &mut VecDeque<Output>,
    ) {
        let to = from + entries.len() as u64 - 1;
        let bytes = entries.iter().map(|entry| entry.len()).sum();
        self.unacked.push_back(Unacked { journal, to, bytes, at: now });
        self.unacked_bytes += if toko_crdt::mutant!("send-without-a-window") { 0 } else { bytes };
        self.sent.insert(journal, to);
        out.extend(pack(journal, from, entries).into_iter().map(Output::Send));
    }
}

/// The entries `from..=to` of a journal, if all of them are at hand.
fn at_hand(fresh: &[Fresh], journal: &JournalId, from: u64, to: u64) -> Option<Vec<Arc<[u8]>>> {
    let ours = fresh.iter().filter(|f| f.journal == *journal && (from..=to).contains(&f.seq));
    let mut next = from;
    let mut out = Vec::new();
    for entry in ours {
        if entry.seq != next {
            return None;
        }
        next += 1;
        out.push(entry.bytes.clone());
    }
    (next == to + 1).then_some(out)
}

/// Cuts consecutive entries into frames.
fn pack(journal: JournalId, from: u64, entries: &[Arc<[u8]>]) -> Vec<Frame> {
    let mut out = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for (seq, entry) in (from..).zip(entries) {
        let cost = entry.len() + ITEM_BYTES;
        if !batch.is_empty() && (bytes + cost > PAYLOAD_BYTES_MAX || batch.len() == ITEMS_MAX) {
            out.push(Frame::Batch { journal, entries: std::mem::take(&mut batch) });
            bytes = 0;
        }
        if cost > PAYLOAD_BYTES_MAX {
            out.extend(fragments(journal, seq, entry));
        } else {
            batch.push(entry.clone());
            bytes += cost;
        }
    }
    if !batch.is_empty() {
        out.push(Frame::Batch { journal, entries: batch });
    }
    out
}

fn fragments(journal: JournalId, seq: u64, entry: &[u8]) -> impl Iterator<Item = Frame> {
    let small = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let total = small(entry.len());
    entry.chunks(PAYLOAD_BYTES_MAX).enumerate().map(move |(index, piece)| {
        let offset = small(index * PAYLOAD_BYTES_MAX);
        Frame::Fragment(Fragment { journal, seq, offset, total, bytes: piece.to_vec() })
    })
}
