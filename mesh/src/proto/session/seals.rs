//! Seals on a link: which one each side went over last, and how a peer that lacks pruned history gets a snapshot.
//!
//! The snapshot itself travels as blobs; here only its name does. One is made at a time, however often it is asked for.

use super::api::Output;
use super::{Session, State};
use crate::proto::frame::Frame;
use toko_crdt::{Hash, JournalId};

#[derive(Debug, Default)]
pub(super) struct Seals {
    /// The last one that this node went over, and whether the same came out.
    ours: Option<(Hash, bool)>,
    /// The one that the peer asked for and that is being made.
    making: Option<Hash>,
}

impl Session {
    /// This node went over a seal.
    pub(super) fn sealed(&mut self, seal: Hash, equal: bool) {
        let news = self.seals.ours.replace((seal, equal)) != Some((seal, equal));
        if news && self.state == State::Settled {
            self.tell_seal();
        }
    }

    pub(super) fn tell_seal(&mut self) {
        if let Some((seal, equal)) = self.seals.ours {
            self.send(Frame::Sealed { seal, equal });
        }
    }

    /// What the peer asked for begins in history that is no longer here.
    pub(super) fn gone(&mut self, journal: JournalId, from: u64) {
        if self.server.gone(&journal, from) {
            // Builds that do not know the second frame understand the first.
            self.send(Frame::NoEntries { journal, from });
            self.send(Frame::Pruned { journal, from });
        }
    }

    /// The peer asks for a snapshot.
    pub(super) fn snapshot_wanted(&mut self, seal: Hash) {
        if self.seals.making.replace(seal).is_none() {
            self.out.push_back(Output::LoadSnapshot { seal });
        }
    }

    /// The snapshot is made, or there is none.
    pub(super) fn snapshot_loaded(&mut self, seal: Hash, manifest: Option<Hash>) {
        if self.state != State::Settled {
            return;
        }
        self.send(Frame::Snapshot { seal, manifest });
        match self.seals.making.take() {
            Some(other) if other != seal => self.snapshot_wanted(other),
            _ => {}
        }
    }
}
