//! What the peer says: greetings, roots and lines are taken here, the rest goes to whoever it concerns.

use super::api::{Output, Violation};
use super::telling::Heard;
use super::{Session, State};
use crate::proto::frame::{Frame, Lines, PeerAddrs, VERSION, VERSION_MAX};
use crate::proto::pack::UNPACKS_FROM;
use std::sync::Arc;
use toko_crdt::{Hash, JournalId};

/// How often a frontier may have to be told anew before the peer is taken for broken.
const RESYNCS_MAX: u64 = 16;

/// How often a second a peer's hints about others are listened to.
const HINTS_MAX: u32 = 64;

impl Session {
    pub(super) fn frame(&mut self, frame: Frame) -> Result<(), Violation> {
        let needs = match &frame {
            Frame::Hello(_) => return self.hello(frame),
            Frame::Bye { .. } => State::New,
            Frame::Root { .. } | Frame::Bases(_) | Frame::Statements(_) | Frame::WantStatements => {
                State::Hailed
            }
            _ => State::Settled,
        };
        if self.state < needs {
            return Err(Violation::OutOfState { frame: frame.name() });
        }
        match frame {
            Frame::Bye { code, reason } => self.over(code, reason, true),
            Frame::Bases(seals) => self.agree(&seals),
            Frame::Root { root, members } => {
                self.agree(&[]);
                return self.root(root, members);
            }
            Frame::Pulse { root, members } => return self.pulse(root, members),
            Frame::Lines(lines) => return self.lines(&lines),
            Frame::WantLines => {
                let frames = self.telling.tell_whole();
                self.send_all(frames);
                return self.count_resync();
            }
            Frame::Statements(list) => {
                let heard = self.roll.hear(&list).ok_or(Violation::TooMuch { what: "statements" })?;
                self.out.push_back(Output::Statements(heard));
            }
            Frame::WantStatements => {
                let frames = self.roll.tell_all(self.now);
                self.send_all(frames);
            }
            Frame::Want { journal, from, to } => return self.wanted(journal, from, to),
            Frame::Batch { journal, entries } => return self.batch(journal, &entries),
            Frame::Fragment(piece) => return self.fragment(piece),
            Frame::NoEntries { journal, .. } => {
                self.puller.failed(self.now, &self.telling, &journal);
            }
            Frame::WantBlob { hash, offset } if !self.blobs.want(hash, offset) => {
                return Err(Violation::TooMuch { what: "blobs asked for" });
            }
            Frame::WantBlob { .. } => {}
            Frame::BlobPart(part) => self.blobs.part(self.now, part, &mut self.out),
            Frame::NoBlob { hash } => self.blobs.missing(hash, &mut self.out),
            Frame::Sealed { seal, equal } => self.out.push_back(Output::PeerSealed { seal, equal }),
            Frame::Pruned { journal, from } => self.out.push_back(Output::PeerPruned { journal, from }),
            Frame::WantSnapshot { seal } => self.snapshot_wanted(seal),
            Frame::Snapshot { seal, manifest } => self.out.push_back(Output::SnapshotAt { seal, manifest }),
            Frame::Peers(peers) => {
                self.hinted(peers);
            }
            Frame::Hello(_) => {}
        }
        Ok(())
    }

    /// Hints. Beyond what a shop has to tell in a second they are dropped, and then nothing is confirmed any more: an empty
    /// telling confirms the oldest that is not confirmed yet.
    fn hinted(&mut self, peers: Vec<PeerAddrs>) {
        self.hints += 1;
        if self.hints > HINTS_MAX {
            self.hints_dropped = true;
            return;
        }
        if !peers.is_empty() && !self.hints_dropped {
            self.send(Frame::Peers(Vec::new()));
        }
        self.out.push_back(Output::PeerAddrs(peers));
    }

    fn hello(&mut self, frame: Frame) -> Result<(), Violation> {
        let hello = match frame {
            Frame::Hello(hello) if self.state == State::Opened => hello,
            other => return Err(Violation::OutOfState { frame: other.name() }),
        };
        if hello.store != self.config.store && !toko_crdt::mutant!("talk-to-another-store") {
            return Err(Violation::OtherStore { theirs: hello.store });
        }
        if hello.version_min > VERSION_MAX || hello.version_max < VERSION {
            return Err(Violation::Version { min: hello.version_min, max: hello.version_max });
        }
        self.pushing = self.config.push && hello.push;
        self.peer_unpacks = hello.version_max >= UNPACKS_FROM || toko_crdt::mutant!("pack-for-everybody");
        let leak = toko_crdt::mutant!("leak-the-floor-to-headquarters");
        let lanes = if leak { self.config.lanes } else { self.lanes_at_most().and(hello.lanes) };
        self.out.push_back(Output::Greeted { incarnation: hello.incarnation, lanes });
        if !hello.addrs.is_empty() {
            let peer = PeerAddrs { node: self.config.peer, addrs: hello.addrs };
            self.out.push_back(Output::PeerAddrs(vec![peer]));
        }
        self.telling.restrict(lanes);
        self.state = State::Hailed;
        if self.bases.is_empty() {
            self.agree(&[]);
        }
        Ok(())
    }

    /// The peer said which seals it went over, or that it says none by coming to its root: what stays unsaid is agreed on, and
    /// our root goes out. *Shape*: both choose alike, the newest of both or else the lowest that both name.
    fn agree(&mut self, theirs: &[Hash]) {
        if self.state != State::Hailed {
            return;
        }
        self.state = State::Greeted;
        let bases = std::mem::take(&mut self.bases);
        let same = bases.iter().filter(|base| theirs.contains(&base.seal));
        let newest = bases.first().filter(|base| theirs.first() == Some(&base.seal));
        let base = newest.or(same.min_by_key(|base| base.seal)).map(|base| &base.frontier);
        let root = self.telling.open(base);
        if !self.telling.base().is_empty() {
            self.out.push_back(Output::PeerStandsOn(Arc::clone(self.telling.base())));
        }
        self.send(Frame::Root { root, members: self.roll.root() });
    }

    /// The peer's root: the first one settles how the conversation begins, the others are checks and keep-alives.
    fn root(&mut self, root: Hash, members: Hash) -> Result<(), Violation> {
        let statements = self.roll.compare(members);
        self.send_all(statements);
        if self.state == State::Settled {
            let heard = self.telling.check(root);
            return self.heard(heard);
        }
        self.state = State::Settled;
        let frames = if self.telling.opened(root) {
            self.out.push_back(Output::PeerHolds(self.telling.theirs_beyond().clone()));
            self.telling.tell_changes()
        } else {
            self.telling.tell_whole()
        };
        self.send_all(frames);
        self.tell_seal();
        Ok(())
    }

    fn lines(&mut self, lines: &Lines) -> Result<(), Violation> {
        if lines.lines.lines().any(|(journal, _)| !self.telling.lanes().has(journal.lane)) {
            return Err(Violation::Lane);
        }
        let heard = self.telling.hear(lines);
        for (journal, head) in lines.lines.lines() {
            self.server.acked(journal, head.seq);
            self.puller.review(self.now, &self.telling, journal);
            self.ask_about_conflict(journal);
        }
        if lines.whole {
            self.puller.review_all(self.now, &self.telling);
            self.puller.hurry(self.now);
        }
        if !lines.lines.is_empty() {
            self.out.push_back(Output::PeerHolds(lines.lines.clone()));
        }
        self.heard(heard)
    }

    /// Equal numbers with different heads are a fork: the peer's entry is asked for, the store makes the proof.
    fn ask_about_conflict(&mut self, journal: &JournalId) {
        if let (Some(ours), Some(theirs)) = (self.telling.ours(journal), self.telling.theirs(journal))
            && ours.seq == theirs.seq
            && ours.hash != theirs.hash
            && !toko_crdt::mutant!("overlook-two-heads")
            && let Some(want) = self.puller.ask_place(*journal, theirs.seq)
        {
            self.send(want);
        }
    }

    fn heard(&mut self, heard: Heard) -> Result<(), Violation> {
        match heard {
            Heard::Fits => Ok(()),
            Heard::TooMany => Err(Violation::TooMuch { what: "lines" }),
            Heard::Mismatch => {
                self.send(Frame::WantLines);
                self.count_resync()
            }
        }
    }

    fn count_resync(&mut self) -> Result<(), Violation> {
        self.counters.resyncs += 1;
        if self.counters.resyncs > RESYNCS_MAX {
            return Err(Violation::TooMuch { what: "frontiers told anew" });
        }
        Ok(())
    }
}
