//! What a person should know: copies of one key, forks, a broken disk, doors that stay shut.
//!
//! An alert says what was seen and what to do, never who is guilty. It is derived each time it is asked for, from the views
//! and the board, so that it goes when its cause goes. What has no end by itself, since it happened once (a copy, a fork), goes
//! when a person has settled it; a new finding about the same node is a new alert.

use crate::identity::Role;
use crate::node::late::{self, Late};
use crate::node::seals;
use crate::node::shared::Shared;
use crate::store::{SaveError, SlowDisk};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;
use toko_crdt::book::rows;
use toko_crdt::frontier::Frontier;
use toko_crdt::hash::hex;
use toko_crdt::member::Members;
use toko_crdt::{Hash, JournalId, KvError, KvRead, NodeId};
use tracing::{error, warn};

mod copies;
mod notes;

use copies::{Copy, copies};
pub(crate) use notes::Notes;
pub use notes::SettleError;

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
    /// The disk keeps people waiting for seconds, again and again.
    DiskSlow,
    /// The disk spoilt what it had kept; the node went on from what stands before.
    DiskSpoilt,
    /// An old part of the log is not what was written; a slow look found that.
    LogDamaged,
    /// A peer does not let this node in.
    RefusedByPeer,
    /// Somebody else answers where the hub or headquarters should be.
    WrongPeer,
    /// This node was revoked.
    Revoked,
    /// No hub is known.
    NoHub,
    /// This node was the hub, and another one is.
    Succeeded,
    /// The root key names two hubs of one term.
    TwoHubs,
    /// Entries are kept and not in the books.
    Parked,
    /// Entries of a revoked node that the hub had not seen when it revoked it. They count.
    AfterRevocation,
    /// The store let go of books that headquarters does not hold.
    HistoryGone,
    /// At one and the same place, this node and the hub made different things of the books or the floor.
    SealDiffers,
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
            Self::DiskSlow => "disk-slow",
            Self::DiskSpoilt => "disk-spoilt",
            Self::LogDamaged => "log-damaged",
            Self::RefusedByPeer => "refused-by-peer",
            Self::WrongPeer => "wrong-peer",
            Self::Revoked => "revoked",
            Self::NoHub => "no-hub",
            Self::HistoryGone => "history-gone",
            Self::SealDiffers => "seal-differs",
            Self::Succeeded => "hub-succeeded",
            Self::TwoHubs => "two-hubs",
            Self::Parked => "parked-entries",
            Self::AfterRevocation => "after-revocation",
        }
    }

    /// What a person should do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::CloneSeen => {
                "both sell on and nothing is counted twice: find the second machine with a copy of this data directory, stop it, and enrol it as a terminal of its own; then hubctl alerts settle"
            }
            Self::RestoreSeen => {
                "nothing is lost: its peers give back what the copy lacked, and its receipts go on in a new series; check why an old copy was started, then hubctl alerts settle"
            }
            Self::Fork => {
                "nothing is lost: both branches count; find out whether a machine was copied while it ran, then hubctl alerts settle"
            }
            Self::DiskBroken => "check the disk of this machine, then start it again",
            Self::DiskSlow => {
                "nothing is lost, each sale waits until it is safe: see whether something else writes to this disk or it is nearly full; cards and disks that are worn stall before they fail, so have another one ready"
            }
            Self::DiskSpoilt => {
                "its peers give back what they hold, and receipts go on in a new series: replace the disk; if sales of its last minutes before are missing on the hub, only these files have them; if this is the hub and refuses a terminal now, that terminal's enrolment was in them, and a blank machine that hubd recover makes the hub gets it from the terminals; then settle this alert, and remove them"
            }
            Self::LogDamaged => {
                "selling goes on, and what is shown is right, but this part can be given to nobody any more: see that the others hold all there is (hubctl status), stop this machine, set its file journal/views.redb aside and start it; it sets aside what is damaged, and its peers give back what they hold. Replace the disk. If this is the hub and refuses a terminal afterwards, that terminal's enrolment was in the damaged part: make a blank machine the hub with hubd recover, since the terminals hold it"
            }
            Self::RefusedByPeer => {
                "see on the hub whether this node was revoked; where the peer is headquarters, whether this store is open there (hqd stores); otherwise wait until the peer has caught up"
            }
            Self::WrongPeer => {
                "nothing was exchanged: check the address in the configuration; if this machine moved to another store, enrol it there as a new terminal"
            }
            Self::Revoked => {
                "this node no longer belongs to the store; enrol it as a new terminal if it should"
            }
            Self::HistoryGone => {
                "stores keep books for history.books_days, and no longer where headquarters held them: stop hqd and put its newest backup in place; what no backup holds is in the store's sums, which hubctl sales shows, and what was begun since arrives as before"
            }
            Self::SealDiffers => {
                "nothing is lost, the journals are whole: check disk and memory of that machine, stop it, set its files views.redb and sealed.redb aside, start it, and seal again with hubctl seal"
            }
            Self::NoHub => "start the hub, or make another machine the hub with the recovery code",
            Self::Succeeded => {
                "this machine is the hub no more and does no harm: leave it on until nobody lacks what it holds (hubctl status), then switch it off; to make it the hub again, empty its directory and use hubd recover"
            }
            Self::TwoHubs => {
                "harmless, and one too many: only the hub that hubctl status shows enrols and prints; keep that one and put the other out with hubctl revoke, or use hubd recover once more on the machine that should be the hub"
            }
            Self::AfterRevocation => {
                "they count, as whoever paid is in the right; look at each: hubctl quarantine list shows them"
            }
            Self::Parked => {
                "nothing is lost and nothing waits for them: look at hubctl quarantine list on the hub"
            }
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
    /// Names this very finding; what was settled is hidden by it.
    pub id: String,
    /// Whether a person has settled it. *Shape*: never, for what goes by itself when its cause goes.
    pub settled: bool,
}

impl Alert {
    fn new(code: AlertCode, node: Option<NodeId>, what: String) -> Self {
        Self::of(code, node, what, &[])
    }

    /// One that is about this evidence.
    fn of(code: AlertCode, node: Option<NodeId>, what: String, evidence: &[u8]) -> Self {
        let node_bytes = node.map_or([0; 32], |node| node.0);
        // A copy that is called a restore today and a clone tomorrow is one thing to settle.
        let word = if code == AlertCode::RestoreSeen { AlertCode::CloneSeen.word() } else { code.word() };
        let hash = Hash::of("toko/alert/1", &[word.as_bytes(), &node_bytes, evidence]);
        Self { code, node, what, id: hex(&hash.0[..4]), settled: false }
    }

    /// Whether a person may settle it: it happened, and does not end by itself.
    fn may_settle(&self) -> bool {
        matches!(
            self.code,
            AlertCode::CloneSeen
                | AlertCode::RestoreSeen
                | AlertCode::Fork
                | AlertCode::AfterRevocation
                | AlertCode::DiskSpoilt
        )
    }
}

/// Everything that a person should know now, and what was settled, as these members are.
pub(super) fn alerts(
    shared: &Shared,
    members: &Members,
    kv: &dyn KvRead,
    alive: &Result<(), SaveError>,
) -> Result<Vec<Alert>, KvError> {
    let mut out = Vec::new();
    out.extend(of_this_node(shared, members, alive));
    let (mut clones, mut refused, mut strangers) =
        (shared.notes().clones(), BTreeMap::new(), BTreeMap::new());
    {
        let board = shared.board();
        clones.extend(board.clones.iter().copied());
        refused.extend(board.refused_by.iter().map(|(node, why)| (*node, why.clone())));
        let apart = board.strangers.iter().filter(|(node, _)| !board.is_linked(node));
        strangers.extend(apart.map(|(node, addrs)| (*node, addrs.clone())));
    }
    out.extend(spoilt(shared));
    out.extend(slow(shared));
    let damaged = shared.damaged.lock().unwrap_or_else(PoisonError::into_inner).clone();
    out.extend(damaged.into_iter().map(|what| Alert::new(AlertCode::LogDamaged, Some(shared.node), what)));
    for (node, why) in refused {
        out.push(Alert::new(AlertCode::RefusedByPeer, Some(node), why));
    }
    for (node, addrs) in strangers {
        let addrs: Vec<String> = addrs.iter().map(ToString::to_string).collect();
        let addrs = addrs.join(" and ");
        let whom = if members.roles(&node).headquarters { "headquarters" } else { "hub" };
        let what = format!("who answers at {addrs} is not this store's {whom}");
        out.push(Alert::new(AlertCode::WrongPeer, Some(node), what));
    }
    let frontier = shared.store.reader().frontier();
    for node in members.nodes() {
        let found = copies(shared, kv, &node, &frontier)?;
        out.extend(of_copies(node, &found, clones.contains(&node)));
    }
    out.extend(after_revocation(members, &frontier));
    for closed in rows::closed_all(kv)? {
        let what = format!("journal {:?} has two continuations after entry {}", closed.journal, closed.at);
        let evidence = format!("{:?} {}", closed.journal, closed.at);
        let alert = Alert::of(AlertCode::Fork, Some(closed.journal.node), what, evidence.as_bytes());
        out.push(alert);
    }
    let parked = parked_words(&rows::parked_all(kv)?);
    out.extend(parked.map(|what| Alert::new(AlertCode::Parked, None, what)));
    out.extend(gone(shared, &frontier));
    let differ = seals::differences(shared, kv, members)?.into_iter();
    out.extend(differ.map(|(node, what)| Alert::new(AlertCode::SealDiffers, Some(node), what)));
    out.sort_by_key(|alert| (alert.code, alert.node));
    out.dedup_by_key(|alert| (alert.code, alert.node, alert.what.clone()));
    shared.notes().settle_known(&mut out);
    Ok(out)
}

/// Whether this is a headquarters that lacks what its store has in sums only.
fn gone(shared: &Shared, frontier: &Frontier) -> Option<Alert> {
    if shared.role != Role::Headquarters {
        return None;
    }
    let pruned = shared.seals().pruned_by.clone();
    let is_lacking =
        |(journal, from): &(JournalId, u64)| frontier.head(journal).is_none_or(|head| head.seq < *from);
    let (peer, (journal, from)) = pruned.into_iter().find(|(_, lacking)| is_lacking(lacking))?;
    let what =
        format!("it let go of entry {from} of {journal:?}, which this node does not hold, nor what follows");
    Some(Alert::new(AlertCode::HistoryGone, Some(peer), what))
}

/// What came to light of revoked nodes, one alert for each; what comes later is another thing to settle.
fn after_revocation(members: &Members, frontier: &Frontier) -> Vec<Alert> {
    let mut found = BTreeMap::<NodeId, (u64, String)>::new();
    for Late { journal, from, to } in late::late(members, frontier) {
        let (count, evidence) = found.entry(journal.node).or_default();
        *count += to - from + 1;
        evidence.push_str(&format!("{journal:?} {from}-{to} "));
    }
    let alert = |(node, (count, evidence)): (NodeId, (u64, String))| {
        let what =
            format!("{count} entries of it came to light that the hub had not seen when it revoked it");
        Alert::of(AlertCode::AfterRevocation, Some(node), what, evidence.as_bytes())
    };
    found.into_iter().map(alert).collect()
}

/// What this machine's disk spoilt, one alert for each time.
fn spoilt(shared: &Shared) -> Vec<Alert> {
    let parts = shared.store.reader().set_aside().unwrap_or_else(|err| {
        warn!(%err, "whether the disk spoilt anything is not to be had");
        Vec::new()
    });
    let each = parts.chunk_by(|one, other| one.number == other.number).map(|parts| {
        let files: Vec<&str> = parts.iter().map(|part| part.file.as_str()).collect();
        let files = files.join(", ");
        let what =
            format!("the disk of this machine spoilt what it had kept; set aside in its journal as {files}");
        Alert::of(AlertCode::DiskSpoilt, Some(shared.node), what, files.as_bytes())
    });
    each.collect()
}

/// Whether this machine's disk keeps people waiting.
fn slow(shared: &Shared) -> Option<Alert> {
    let SlowDisk { groups, slow, worst } = shared.store.slow()?;
    let what = format!(
        "the disk of this machine took more than a second {slow} times of {groups} in the last minutes, {:.1} s at worst",
        worst.as_secs_f64()
    );
    Some(Alert::new(AlertCode::DiskSlow, Some(shared.node), what))
}

/// What is wrong with this machine and its place among hubs.
fn of_this_node(shared: &Shared, members: &Members, alive: &Result<(), SaveError>) -> Vec<Alert> {
    let mut out = Vec::new();
    if let Err(SaveError::Broken { why }) = alive {
        out.push(Alert::new(AlertCode::DiskBroken, None, why.to_string()));
    }
    if members.revoked(&shared.node).is_some() {
        let what = "the hub ended this node's membership".into();
        out.push(Alert::new(AlertCode::Revoked, Some(shared.node), what));
    }
    let Some((term, hub)) = members.hub() else {
        out.push(Alert::new(AlertCode::NoHub, None, "no statement names a hub".into()));
        return out;
    };
    if shared.role == Role::Hub && hub != shared.node {
        let what = format!("node {} is the hub, since term {term}", hub.short());
        out.push(Alert::new(AlertCode::Succeeded, Some(hub), what));
    }
    for other in members.hubs_of_last_term().into_iter().filter(|other| *other != hub) {
        let what = format!(
            "the root key names {} and {} hub of term {term}; {0} is the hub, having the lower key",
            hub.short(),
            other.short()
        );
        out.push(Alert::new(AlertCode::TwoHubs, Some(other), what));
    }
    out
}

/// What the findings about copies of one node come to. Two at one time are a clone, whatever the order of their entries looks
/// like: of two machines, one that writes nothing for a while looks like the past of the other.
fn of_copies(node: NodeId, found: &[copies::Finding], live: bool) -> Vec<Alert> {
    let evidence = |of: &dyn Fn(&Copy) -> bool| -> Vec<u8> {
        let runs = found.iter().filter(|(copy, _)| of(copy)).flat_map(|(_, runs)| runs.map(|run| run.0));
        runs.collect::<BTreeSet<u64>>().into_iter().flat_map(u64::to_be_bytes).collect()
    };
    if live || found.iter().any(|(copy, _)| *copy == Copy::Clone) {
        let what = if live {
            "two processes with its key were linked at one time"
        } else {
            "two of its runs continue one and the same entry"
        };
        return vec![Alert::of(AlertCode::CloneSeen, Some(node), what.into(), &evidence(&|_| true))];
    }
    let lost = found.iter().filter_map(|(copy, _)| match copy {
        Copy::Restore { lost } => Some(*lost),
        Copy::Clone => None,
    });
    let lost = lost.max();
    let restored = lost.map(|lost| {
        let what = format!("a run began {lost} entries below what is held of the run before");
        Alert::of(AlertCode::RestoreSeen, Some(node), what, &evidence(&|_| true))
    });
    restored.into_iter().collect()
}

/// How many entries are parked with which code.
fn parked_words(parked: &[rows::Parked]) -> Option<String> {
    let mut counts = BTreeMap::<_, usize>::new();
    parked.iter().for_each(|parked| *counts.entry(parked.code).or_default() += 1);
    let each: Vec<String> = counts.iter().map(|(code, count)| format!("{count} {code}")).collect();
    (!each.is_empty()).then(|| format!("kept, and not in the books: {}", each.join(", ")))
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
            shared.notes().saw_clone(shared, node);
        }
    }
}
