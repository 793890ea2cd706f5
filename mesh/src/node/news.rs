//! What every link of a node must hear, in order: entries that became durable, members, the hub's life, the tick.
//!
//! Invariants: a link that joins gets a state and every change after it, never one before; a link that cannot keep up gets
//! the state anew instead of a gap. New entries are read and encoded once for all links that push them.

use crate::proto::session::{Base, Fresh, Roster};
use crate::store::StoreReader;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::ids::EntryRef;
use toko_crdt::member::Members;
use toko_crdt::{Hash, JournalId, NodeId};

/// How many bulletins a link may lag behind. More, and it gets the state anew.
const BACKLOG: usize = 256;
/// New entries that are read along at once; a larger stretch is read by the links that push it.
const FRESH_ENTRIES_MAX: u64 = 16;
const FRESH_BYTES_MAX: usize = 64 * 1024;

/// One thing that changed.
#[derive(Clone, Debug)]
pub(crate) enum Bulletin {
    /// Entries of peers are here and not yet durable: whoever pushes may pass them on.
    Came(Arc<[Fresh]>),
    /// Entries became durable here.
    News { delta: Arc<Frontier>, fresh: Arc<[Fresh]> },
    /// The members changed.
    Roster(Arc<Roster>),
    /// The hub went or came.
    Hub(bool),
    /// This node went over a seal: the entry that says it, and whether the same came out.
    Sealed(Hash, bool),
    /// A second went by.
    Tick,
    /// Too much changed at once: this is how it is.
    Anew(Now),
}

/// How it is.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    pub(crate) frontier: Arc<Frontier>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) hub_alive: bool,
    pub(crate) sealed: Option<(Hash, bool)>,
    /// What a link that begins now may leave unsaid where the peer has it too.
    pub(crate) bases: Vec<Base>,
}

/// Where links hear what changed.
#[derive(Clone, Debug)]
pub(crate) struct Newsroom(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    now: Mutex<Now>,
    wire: broadcast::Sender<Bulletin>,
}

/// One link's ear.
#[derive(Debug)]
pub(crate) struct News {
    room: Newsroom,
    wire: broadcast::Receiver<Bulletin>,
}

impl Newsroom {
    pub(crate) fn new(frontier: Frontier, members: &Members, hub_alive: bool, bases: Vec<Base>) -> Self {
        let (frontier, roster) = (Arc::new(frontier), Arc::new(Roster::of(members)));
        let now = Mutex::new(Now { frontier, roster, hub_alive, sealed: None, bases });
        Self(Arc::new(Inner { now, wire: broadcast::Sender::new(BACKLOG) }))
    }

    /// An ear, and how it is at that moment.
    pub(crate) fn join(&self) -> (News, Now) {
        let now = self.now();
        let news = News { room: self.clone(), wire: self.0.wire.subscribe() };
        (news, now.clone())
    }

    /// The durable frontier may have moved on. New entries are read along of one author, where only its own are pushed, or of
    /// all.
    pub(crate) fn look_at(&self, reader: &StoreReader, author: Option<NodeId>) {
        let frontier = reader.frontier();
        let mut now = self.now();
        let delta = frontier.delta(&now.frontier);
        if goes_back(&frontier, &delta, &now.frontier) {
            // That is rare, and not a delta: links take no line for news that is below what they told.
            now.frontier = Arc::new(frontier);
            let state = now.clone();
            self.publish(Bulletin::Anew(state));
            return;
        }
        if delta.is_empty() {
            return;
        }
        let fresh = fresh_of(&delta, &now.frontier, reader, author);
        now.frontier = Arc::new(frontier);
        self.publish(Bulletin::News { delta: Arc::new(delta), fresh });
    }

    /// Entries of peers may have come that are not durable yet.
    pub(crate) fn look_at_what_came(&self, reader: &StoreReader) {
        let fresh =
            |(place, bytes): (EntryRef, Arc<[u8]>)| Fresh { journal: place.journal, seq: place.seq, bytes };
        let came: Arc<[Fresh]> = reader.take_came().into_iter().map(fresh).collect();
        if !came.is_empty() {
            let _now = self.now();
            self.publish(Bulletin::Came(came));
        }
    }

    /// The members may have changed.
    pub(crate) fn look_at_members(&self, members: &Members) {
        let mut now = self.now();
        if now.roster.root != members.root_hash() {
            now.roster = Arc::new(Roster::of(members));
            self.publish(Bulletin::Roster(Arc::clone(&now.roster)));
        }
    }

    /// The hub went or came. `true` when that is news.
    pub(crate) fn hub(&self, alive: bool) -> bool {
        let mut now = self.now();
        let news = now.hub_alive != alive;
        if news {
            now.hub_alive = alive;
            self.publish(Bulletin::Hub(alive));
        }
        news
    }

    /// This node went over a seal.
    pub(crate) fn sealed(&self, seal: Hash, equal: bool) {
        let mut now = self.now();
        if now.sealed.replace((seal, equal)) != Some((seal, equal)) {
            self.publish(Bulletin::Sealed(seal, equal));
        }
    }

    /// The seals that links which begin now may stand on, newest first.
    pub(crate) fn bases(&self) -> Vec<Base> {
        self.now().bases.clone()
    }

    /// What this node went over lately. Links that are there go on as they began.
    pub(crate) fn stands_on(&self, bases: Vec<Base>) {
        self.now().bases = bases;
    }

    pub(crate) fn tick(&self) {
        self.publish(Bulletin::Tick);
    }

    pub(crate) fn hub_alive(&self) -> bool {
        self.now().hub_alive
    }

    /// Nobody listens while there is no link, which is fine. Published under the lock, so that whoever joins misses nothing.
    fn publish(&self, bulletin: Bulletin) {
        let _ = self.0.wire.send(bulletin);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News {
    /// The next bulletin. Abandoning the wait loses nothing.
    pub(crate) async fn next(&mut self) -> Bulletin {
        match self.wire.recv().await {
            Ok(bulletin) => bulletin,
            Err(_) => {
                let (news, now) = self.room.join();
                *self = news;
                Bulletin::Anew(now)
            }
        }
    }
}

/// Whether journals left the frontier, or end earlier in it than before: a fork was found and closed them.
fn goes_back(frontier: &Frontier, delta: &Frontier, before: &Frontier) -> bool {
    let lower =
        |(journal, head): (&JournalId, &Head)| before.head(journal).is_some_and(|old| head.seq < old.seq);
    frontier.len() != before.len() + new_lines(delta, before) || delta.lines().any(lower)
}

fn new_lines(delta: &Frontier, before: &Frontier) -> usize {
    delta.lines().filter(|(journal, _)| before.head(journal).is_none()).count()
}

/// The new entries themselves, where they are few. Whatever cannot be read is left to the links.
fn fresh_of(
    delta: &Frontier,
    before: &Frontier,
    reader: &StoreReader,
    author: Option<NodeId>,
) -> Arc<[Fresh]> {
    let mut fresh = Vec::new();
    let of_author = |journal: &&JournalId| author.is_none_or(|author| author == journal.node);
    for (journal, head) in delta.lines().filter(|(journal, _)| of_author(journal)) {
        let from = before.head(journal).map_or(0, |head| head.seq) + 1;
        if head.seq - from >= FRESH_ENTRIES_MAX {
            continue;
        }
        for entry in reader.entries(*journal, from, FRESH_BYTES_MAX).unwrap_or_default() {
            fresh.push(Fresh { journal: *journal, seq: entry.seq(), bytes: entry.encode().into() });
        }
    }
    fresh.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::{Lane, NodeId, Run};

    fn held(lines: &[(u64, u64)]) -> Frontier {
        let journal = |run| JournalId { node: NodeId([1; 32]), run: Run(run), lane: Lane::Books };
        let head = |seq: u64| Head { seq, hash: Hash([u8::try_from(seq).unwrap(); 32]) };
        lines.iter().map(|(run, seq)| (journal(*run), head(*seq))).collect()
    }

    /// A fork that was found at a run's third entry: what is left of it is less than links were told.
    #[test]
    fn a_journal_that_a_fork_closed_below_its_end_is_told_anew_and_not_as_news() {
        let before = held(&[(1, 5), (2, 2)]);
        let says = |now: &Frontier| goes_back(now, &now.delta(&before), &before);
        assert!(says(&held(&[(1, 2), (2, 2)])), "closed at the second entry");
        assert!(says(&held(&[(2, 2)])), "closed before the first");
        assert!(says(&held(&[(1, 2), (2, 2), (3, 1)])), "while another run begins");
        assert!(says(&held(&[(2, 2), (3, 1)])));
        assert!(!says(&before) && !says(&held(&[(1, 6), (2, 2), (3, 1)])));
    }
}
