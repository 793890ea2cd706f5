//! The roll call: member statements travel before the journals of whoever they name.
//!
//! Statements go out when the roots of the two sets differ, and at once when one is new here; never one that the peer is
//! known to have. Sets only grow, so both end with the union of what each accepts.

use super::api::Roster;
use super::pull::later;
use crate::proto::frame::{Frame, ITEM_BYTES, ITEMS_MAX, PAYLOAD_BYTES_MAX};
use std::collections::BTreeSet;
use std::sync::Arc;
use toko_crdt::Hash;
use toko_crdt::clock::UnixMicros;
use toko_crdt::member::{STATEMENTS_MAX, Statement};

/// How often statements are asked for, and given, as a whole.
const ALL_MICROS: i64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Roll {
    ours: Arc<Roster>,
    /// What the peer sent or was sent.
    shared: BTreeSet<Hash>,
    asked_at: Option<UnixMicros>,
    given_at: Option<UnixMicros>,
}

impl Roll {
    pub(super) fn new(ours: Arc<Roster>) -> Self {
        Self { ours, shared: BTreeSet::new(), asked_at: None, given_at: None }
    }

    /// Root of our set.
    pub(super) fn root(&self) -> Hash {
        self.ours.root
    }

    /// Our set changed.
    pub(super) fn replace(&mut self, ours: Arc<Roster>) {
        self.ours = ours;
    }

    /// The peer told the root of its set: what it may lack goes out.
    pub(super) fn compare(&mut self, theirs: Hash) -> Vec<Frame> {
        if theirs == self.ours.root {
            self.shared.extend(self.ours.statements.iter().map(|(hash, _)| *hash));
            return Vec::new();
        }
        self.tell_new()
    }

    /// What the peer is not known to have.
    pub(super) fn tell_new(&mut self) -> Vec<Frame> {
        let new = self.ours.statements.iter().filter(|(hash, _)| self.shared.insert(*hash));
        pack(new.map(|(_, bytes)| bytes.clone()))
    }

    /// Everything: the peer asks because an author is not known there. Seldom, however often it asks.
    pub(super) fn tell_all(&mut self, now: UnixMicros) -> Vec<Frame> {
        if !due(&mut self.given_at, now) {
            return Vec::new();
        }
        self.shared.clear();
        self.tell_new()
    }

    /// Asks for everything, if that was not done just now.
    pub(super) fn ask(&mut self, now: UnixMicros) -> Option<Frame> {
        due(&mut self.asked_at, now).then_some(Frame::WantStatements)
    }

    /// Statements came. What does not decode is of a newer build, or rubbish, and is left out; `None` if it is too much.
    pub(super) fn hear(&mut self, list: &[Arc<[u8]>]) -> Option<Vec<Statement>> {
        let statements: Vec<Statement> =
            list.iter().filter_map(|bytes| Statement::decode(bytes).ok()).collect();
        self.shared.extend(statements.iter().map(Statement::hash));
        (self.shared.len() <= 2 * STATEMENTS_MAX).then_some(statements)
    }
}

fn due(last: &mut Option<UnixMicros>, now: UnixMicros) -> bool {
    let due = last.is_none_or(|last| later(last, ALL_MICROS) <= now);
    if due {
        *last = Some(now);
    }
    due
}

fn pack(statements: impl Iterator<Item = Arc<[u8]>>) -> Vec<Frame> {
    let (mut out, mut list, mut bytes) = (Vec::new(), Vec::new(), 0);
    for statement in statements {
        let cost = statement.len() + ITEM_BYTES;
        if !list.is_empty() && (bytes + cost > PAYLOAD_BYTES_MAX || list.len() == ITEMS_MAX) {
            out.push(Frame::Statements(std::mem::take(&mut list)));
            bytes = 0;
        }
        list.push(statement);
        bytes += cost;
    }
    if !list.is_empty() {
        out.push(Frame::Statements(list));
    }
    out
}
