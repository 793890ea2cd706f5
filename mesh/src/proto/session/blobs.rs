//! Blobs: a catalogue or a picture, fetched from one peer a few parts at a time.

use super::api::Output;
use super::pull::later;
use crate::proto::frame::{BlobPart, Frame, PAYLOAD_BYTES_MAX};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use toko_crdt::Hash;
use toko_crdt::clock::UnixMicros;

/// How many bytes are sent for each [`Frame::WantBlob`].
const GROUP_BYTES: usize = 2 * PAYLOAD_BYTES_MAX;
/// How many blobs are fetched at once on one link; the driver's others wait in order.
const FETCHES_MAX: usize = 2;
/// How many blobs may wait to be fetched.
const WAITING_MAX: usize = 64;
/// How many requests of the peer may wait.
pub(super) const ASKED_MAX: usize = 8;
/// How long an answer may take.
const PART_MICROS: i64 = 5_000_000;

#[derive(Debug, Default)]
pub(super) struct Blobs {
    fetching: BTreeMap<Hash, Fetch>,
    waiting: VecDeque<(Hash, u64)>,
    asked: VecDeque<(Hash, u64)>,
    loading: Option<(Hash, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Fetch {
    next: u64,
    group_end: u64,
    moved_at: UnixMicros,
}

impl Blobs {
    /// This node wants a blob.
    pub(super) fn fetch(&mut self, hash: Hash, offset: u64, out: &mut VecDeque<Output>) {
        if self.waiting.len() >= WAITING_MAX {
            out.push_back(Output::BlobMissing { hash });
        } else if !self.fetching.contains_key(&hash) && self.waiting.iter().all(|(other, _)| *other != hash) {
            self.waiting.push_back((hash, offset));
        }
    }

    /// The peer wants a blob. `false` if it asks for too much at once.
    pub(super) fn want(&mut self, hash: Hash, offset: u64) -> bool {
        self.asked.push_back((hash, offset));
        self.asked.len() <= ASKED_MAX
    }

    /// A part came. One that was not asked for is dropped.
    pub(super) fn part(&mut self, now: UnixMicros, part: BlobPart, out: &mut VecDeque<Output>) {
        let BlobPart { hash, offset, total, bytes } = part;
        let Some(fetch) = self.fetching.get_mut(&hash).filter(|fetch| fetch.next == offset) else { return };
        fetch.next += bytes.len() as u64;
        fetch.moved_at = now;
        let (next, group_end) = (fetch.next, fetch.group_end);
        out.push_back(Output::BlobPart { hash, offset, total, bytes });
        if next >= total {
            self.fetching.remove(&hash);
        } else if next >= group_end {
            fetch.group_end = next + GROUP_BYTES as u64;
            out.push_back(Output::Send(Frame::WantBlob { hash, offset: next }));
        }
    }

    /// The peer does not have it.
    pub(super) fn missing(&mut self, hash: Hash, out: &mut VecDeque<Output>) {
        if self.fetching.remove(&hash).is_some() {
            out.push_back(Output::BlobMissing { hash });
        }
    }

    /// A slice was read, or there is none.
    pub(super) fn loaded(
        &mut self,
        hash: Hash,
        offset: u64,
        slice: Option<(u64, Arc<[u8]>)>,
        out: &mut VecDeque<Output>,
    ) {
        if self.loading.take_if(|loading| *loading == (hash, offset)).is_none() {
            return;
        }
        let whole = slice.filter(|(total, bytes)| {
            let end = offset.checked_add(bytes.len() as u64);
            end.is_some_and(|end| end <= *total) && (*total == 0 || !bytes.is_empty())
        });
        let Some((total, bytes)) = whole else {
            out.push_back(Output::Send(Frame::NoBlob { hash }));
            return;
        };
        let mut offset = offset;
        let mut rest = &bytes[..bytes.len().min(GROUP_BYTES)];
        loop {
            let (piece, later) = rest.split_at(rest.len().min(PAYLOAD_BYTES_MAX));
            let part = BlobPart { hash, offset, total, bytes: piece.into() };
            out.push_back(Output::Send(Frame::BlobPart(part)));
            offset += piece.len() as u64;
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Starts what is free to start.
    pub(super) fn pump(&mut self, now: UnixMicros, out: &mut VecDeque<Output>) {
        while self.fetching.len() < FETCHES_MAX
            && let Some((hash, offset)) = self.waiting.pop_front()
        {
            let group_end = offset.saturating_add(GROUP_BYTES as u64);
            self.fetching.insert(hash, Fetch { next: offset, group_end, moved_at: now });
            out.push_back(Output::Send(Frame::WantBlob { hash, offset }));
        }
        if self.loading.is_none()
            && let Some((hash, offset)) = self.asked.pop_front()
        {
            self.loading = Some((hash, offset));
            out.push_back(Output::LoadBlob { hash, offset, bytes_max: GROUP_BYTES });
        }
    }

    /// Gives up what waits too long.
    pub(super) fn expire(&mut self, now: UnixMicros, out: &mut VecDeque<Output>) {
        let limit = later(now, -PART_MICROS);
        let late: Vec<Hash> = self
            .fetching
            .iter()
            .filter(|(_, fetch)| fetch.moved_at <= limit)
            .map(|(hash, _)| *hash)
            .collect();
        late.into_iter().for_each(|hash| self.missing(hash, out));
    }

    /// The session is over: whatever was to be fetched here is to be fetched elsewhere.
    pub(super) fn abandon(&mut self, out: &mut VecDeque<Output>) {
        let waiting = self.waiting.drain(..).map(|(hash, _)| hash);
        let all: Vec<Hash> = self.fetching.keys().copied().chain(waiting).collect();
        self.fetching.clear();
        out.extend(all.into_iter().map(|hash| Output::BlobMissing { hash }));
    }
}
