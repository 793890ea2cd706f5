//! What a person should know: copies of one key, forks, a broken disk, doors that stay shut.
//!
//! An alert says what was seen and what to do, never who is guilty. It is derived each time it is asked for, from the views
//! and the board, so that it goes when its cause goes.

use crate::node::shared::Shared;
use crate::store::SaveError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;
use toko_crdt::body::Continued;
use toko_crdt::book::rows;
use toko_crdt::frontier::Frontier;
use toko_crdt::{JournalId, KvError, KvRead, Lane, NodeId, Run};
use tracing::error;

/// How long two processes of one node must both live before they are called a clone: a restart looks the same until then.
const CLONE_AFTER: Duration = Duration::from_secs(4);

/// What kind of trouble.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum AlertCode {
    /// Two machines work with one node's key.
    CloneSeen,
    /// A node went on from an older state than others hold of it.
    RestoreSeen,
    /// A journal has two continuations and was closed.
    Fork,
    /// The store saves nothing any more.
    DiskBroken,
    /// A peer does not let this node in.
    RefusedByPeer,
    /// This node was revoked.
    Revoked,
    /// No hub is known, or several claim one term.
    NoHub,
}

impl AlertCode {
    /// A short word for lists and scripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::CloneSeen => "clone-seen",
            Self::RestoreSeen => "restore-seen",
            Self::Fork => "fork",
            Self::DiskBroken => "disk-broken",
            Self::RefusedByPeer => "refused-by-peer",
            Self::Revoked => "revoked",
            Self::NoHub => "no-hub",
        }
    }

    /// What a person should do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::CloneSeen => {
                "find the second machine with a copy of this data directory, stop it, and enrol it as a terminal of its own"
            }
            Self::RestoreSeen => {
                "nothing is lost: its peers give back what the copy lacked; check why an old copy was started"
            }
            Self::Fork => {
                "nothing is lost: both branches count; find out whether a machine was copied while it ran"
            }
            Self::DiskBroken => "check the disk of this machine, then start it again",
            Self::RefusedByPeer => {
                "see on the hub whether this node was revoked; otherwise wait until the peer has caught up"
            }
            Self::Revoked => {
                "this node no longer belongs to the store; enrol it as a new terminal if it should"
            }
            Self::NoHub => "start the hub, or make another machine the hub with the recovery code",
        }
    }
}

impl fmt::Display for AlertCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One thing that a person should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// What kind.
    pub code: AlertCode,
    /// About whom, where it is about a node.
    pub node: Option<NodeId>,
    /// What was seen.
    pub what: String,
}

/// Everything that a person should know now.
pub(super) fn alerts(
    shared: &Shared,
    kv: &dyn KvRead,
    alive: &Result<(), SaveError>,
) -> Result<Vec<Alert>, KvError> {
    let mut out = Vec::new();
    let mut note = |code, node, what| out.push(Alert { code, node, what });
    if let Err(SaveError::Broken { why }) = alive {
        note(AlertCode::DiskBroken, None, why.to_string());
    }
    let members = shared.members.now();
    if members.revoked(&shared.node).is_some() {
        note(AlertCode::Revoked, Some(shared.node), "the hub ended this node's membership".into());
    }
    if members.hub().is_none() {
        note(AlertCode::NoHub, None, "no statement names a hub that stands".into());
    }
    let frontier = shared.store.reader().frontier();
    let (mut clones, mut refused) = (BTreeSet::new(), BTreeMap::new());
    {
        let board = shared.board();
        clones.extend(board.clones.iter().copied());
        refused.extend(board.refused_by.iter().map(|(node, why)| (*node, why.clone())));
    }
    for node in &clones {
        note(AlertCode::CloneSeen, Some(*node), "two processes with its key were linked at one time".into());
    }
    for (node, why) in refused {
        note(AlertCode::RefusedByPeer, Some(node), why);
    }
    for node in members.nodes() {
        for finding in copies(kv, &node, &frontier)? {
            match finding {
                Copy::Clone if !clones.contains(&node) => {
                    let what = "two of its runs continue one and the same entry".into();
                    note(AlertCode::CloneSeen, Some(node), what);
                }
                Copy::Clone => {}
                Copy::Restore { lost } => {
                    let what = format!("a run began {lost} entries below what is held of the run before");
                    note(AlertCode::RestoreSeen, Some(node), what);
                }
            }
        }
    }
    for closed in rows::closed_all(kv)? {
        let what = format!("journal {:?} has two continuations after entry {}", closed.journal, closed.at);
        note(AlertCode::Fork, Some(closed.journal.node), what);
    }
    out.sort_by_key(|alert| (alert.code, alert.node));
    out.dedup_by_key(|alert| (alert.code, alert.node, alert.what.clone()));
    Ok(out)
}

/// What the runs of a node say about copies of its directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Copy {
    Clone,
    Restore { lost: u64 },
}

fn copies(kv: &dyn KvRead, node: &NodeId, frontier: &Frontier) -> Result<Vec<Copy>, KvError> {
    let mut out = Vec::new();
    for lane in Lane::ALL {
        let runs = rows::continuations(kv, node, lane)?;
        out.extend(judge_runs(node, lane, &runs, frontier));
    }
    out.dedup();
    Ok(out)
}

/// Two runs that continue one head are a clone; one that continues below what is held of its previous run is a restore, and
/// where the run before went on by itself, that is what the other one of a clone looks like too.
fn judge_runs(
    node: &NodeId,
    lane: Lane,
    runs: &[(Run, Option<Continued>)],
    frontier: &Frontier,
) -> Vec<Copy> {
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    for (_, before) in runs {
        let place = before.map(|before| (before.run, before.head.seq));
        if !seen.insert(place) {
            out.push(Copy::Clone);
        }
        if let Some(before) = before {
            let journal = JournalId { node: *node, run: before.run, lane };
            let held = frontier.head(&journal).map_or(0, |head| head.seq);
            if held > before.head.seq {
                out.push(Copy::Restore { lost: held - before.head.seq });
            }
        }
    }
    out
}

/// Looks whether two processes of one node have been linked for longer than a restart explains.
pub(super) fn watch_for_clones(shared: &Shared) {
    let now = Instant::now();
    let mut board = shared.board();
    let mut alive: BTreeMap<NodeId, BTreeSet<u64>> = BTreeMap::new();
    for line in board.links.values() {
        if let Some((incarnation, since)) = line.greeted
            && now.duration_since(since) >= CLONE_AFTER
        {
            alive.entry(line.peer).or_default().insert(incarnation);
        }
    }
    // Our own twin has our key, so it is a peer with our own name.
    alive.entry(shared.node).or_default().insert(shared.incarnation);
    for (node, incarnations) in alive {
        if incarnations.len() > 1 && board.clones.insert(node) {
            error!(peer = %node.short(), "two machines work with one node's key: a copied data directory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::Hash;
    use toko_crdt::frontier::Head;

    const NODE: NodeId = NodeId([1; 32]);

    fn after(run: u64, seq: u64) -> Option<Continued> {
        Some(Continued { run: Run(run), head: Head { seq, hash: Hash([7; 32]) } })
    }

    fn judge(runs: &[(u64, Option<Continued>)], held: &[(u64, u64)]) -> Vec<Copy> {
        let runs: Vec<_> = runs.iter().map(|(run, before)| (Run(*run), *before)).collect();
        let line = |(run, seq): &(u64, u64)| {
            let journal = JournalId { node: NODE, run: Run(*run), lane: Lane::Books };
            (journal, Head { seq: *seq, hash: Hash::ZERO })
        };
        judge_runs(&NODE, Lane::Books, &runs, &held.iter().map(line).collect())
    }

    #[test]
    fn restarts_are_no_copies() {
        assert_eq!(judge(&[(1, None), (2, after(1, 5)), (3, after(2, 9))], &[(1, 5), (2, 9), (3, 1)]), []);
    }

    #[test]
    fn two_runs_after_one_head_are_a_clone() {
        assert_eq!(judge(&[(2, after(1, 5)), (3, after(1, 5))], &[(1, 5)]), [Copy::Clone]);
        assert_eq!(
            judge(&[(1, None), (2, None)], &[]),
            [Copy::Clone],
            "an emptied journal with its key kept"
        );
    }

    #[test]
    fn a_run_that_begins_below_what_is_held_is_a_restore() {
        assert_eq!(judge(&[(1, None), (2, after(1, 5))], &[(1, 8)]), [Copy::Restore { lost: 3 }]);
    }
}
