//! Who pulls what: one for all sessions of a node, so that two peers are not asked for the same entries.
//!
//! A claim runs out by itself, so a session that hangs gives way to another one. Nothing here is needed for correctness:
//! entries that come twice are duplicates. It saves bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use toko_crdt::JournalId;
use toko_crdt::clock::UnixMicros;

/// A shared table of claims. Clones are handles to one table.
#[derive(Clone, Debug, Default)]
pub struct Claims(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    sessions: u64,
    held: BTreeMap<JournalId, Claim>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    session: u64,
    until: UnixMicros,
}

impl Claims {
    /// A number for a new session.
    #[must_use]
    pub(crate) fn enter(&self) -> u64 {
        let mut table = self.table();
        table.sessions += 1;
        table.sessions
    }

    /// Claims a journal, or extends a claim, until some time.
    ///
    /// Errors: until when another session holds it.
    pub(crate) fn take(
        &self,
        journal: &JournalId,
        session: u64,
        now: UnixMicros,
        until: UnixMicros,
    ) -> Result<(), UnixMicros> {
        let mut table = self.table();
        match table.held.get(journal) {
            Some(claim) if claim.session != session && claim.until > now => Err(claim.until),
            _ => {
                table.held.insert(*journal, Claim { session, until });
                Ok(())
            }
        }
    }

    /// Gives a journal back.
    pub(crate) fn release(&self, journal: &JournalId, session: u64) {
        let mut table = self.table();
        if table.held.get(journal).is_some_and(|claim| claim.session == session) {
            table.held.remove(journal);
        }
    }

    /// Gives everything back: the session is over.
    pub(crate) fn leave(&self, session: u64) {
        self.table().held.retain(|_, claim| claim.session != session);
    }

    /// A table whose holder panicked is still a table: claims run out by themselves.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::{Lane, NodeId, Run};

    #[test]
    fn a_claim_keeps_others_out_until_it_is_given_back_or_runs_out() {
        let journal = JournalId { node: NodeId([1; 32]), run: Run(1), lane: Lane::Books };
        let claims = Claims::default();
        let (one, other) = (claims.enter(), claims.enter());
        let at = UnixMicros;
        assert_eq!(claims.take(&journal, one, at(0), at(10)), Ok(()));
        assert_eq!(claims.take(&journal, other, at(5), at(15)), Err(at(10)));
        assert_eq!(claims.take(&journal, other, at(10), at(20)), Ok(()), "it ran out");
        claims.release(&journal, one);
        assert_eq!(claims.take(&journal, one, at(11), at(21)), Err(at(20)), "only the holder gives it back");
        claims.leave(other);
        assert_eq!(claims.take(&journal, one, at(11), at(21)), Ok(()));
    }
}
