//! Entries of revoked nodes that the hub had not seen when it revoked them. They count like any others: a paid sale is not
//! un-paid because of who rang it up. But a person should look at them.

use crate::node::Node;
use crate::node::admin::CUT_LINES_MAX;
use toko_crdt::JournalId;
use toko_crdt::frontier::Frontier;
use toko_crdt::member::Members;

/// A stretch of a revoked node's journal above the cut of its revocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Late {
    /// The journal.
    pub journal: JournalId,
    /// The first number above the cut.
    pub from: u64,
    /// The last that is here.
    pub to: u64,
}

impl Node {
    /// What came to light of revoked nodes that the hub had not seen when it revoked them. It counts.
    #[must_use]
    pub fn late(&self) -> Vec<Late> {
        late(&self.members(), &self.frontier())
    }
}

pub(super) fn late(members: &Members, held: &Frontier) -> Vec<Late> {
    let mut out = Vec::new();
    for node in members.nodes() {
        let Some(cut) = members.revoked(&node) else { continue };
        // A cut that names as many journals as it may says nothing of those that it does not name.
        let is_whole = cut.lines().count() < CUT_LINES_MAX;
        for (journal, head) in held.lines().filter(|(journal, _)| journal.node == node) {
            let seen = cut.head(journal).map(|head| head.seq);
            if let Some(seen) = seen.or(is_whole.then_some(0)).filter(|seen| head.seq > *seen) {
                out.push(Late { journal: *journal, from: seen + 1, to: head.seq });
            }
        }
    }
    out
}
