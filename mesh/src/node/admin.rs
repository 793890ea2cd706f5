//! Who belongs to the store, as the hub decides it: codes, newcomers, revocations, headquarters.

use crate::endpoint::Arrival;
use crate::enrol::{self, Code, EnrolError, HostError, JoiningStore, OpenError as NoCode, RecoveryCode};
use crate::find::Rung;
use crate::node::Node;
use crate::node::open::{ADDRESSES_FILE, save_ladder};
use crate::node::shared::Shared;
use crate::store::{Append, Appended, SaveError, Wait};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;
use toko_crdt::frontier::Frontier;
use toko_crdt::member::{Claim, Members, Statement, StatementError};
use toko_crdt::sign::PublicKey;
use toko_crdt::{Body, Lane, NodeId};
use tracing::{debug, info};

/// How many journals a revocation names: as many as fit into a statement, with room to spare.
pub(super) const CUT_LINES_MAX: usize = 480;

/// Why membership did not change.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Only the hub does that.
    #[error("this node is not the hub of its store")]
    NotTheHub,
    /// No such node.
    #[error("node {} is not known here", .0.short())]
    Unknown(NodeId),
    /// It is out already.
    #[error("node {} is revoked already", .0.short())]
    AlreadyRevoked(NodeId),
    /// A hub does not revoke itself.
    #[error("a hub does not revoke itself; make another hub first")]
    Itself,
    /// No code was made.
    #[error(transparent)]
    Code(#[from] NoCode),
    /// The recovery code is another store's.
    #[error("this recovery code is not this store's")]
    OtherRoot,
    /// Every terminal number is taken.
    #[error("no terminal number is left")]
    NoNumber,
    /// The statement does not hold.
    #[error("the statement does not hold")]
    Statement(#[from] StatementError),
    /// Headquarters did not take the store in.
    #[error(transparent)]
    Headquarters(#[from] EnrolError),
    /// No address of headquarters was given.
    #[error("no address of headquarters is known")]
    NoAddress,
    /// The address of headquarters was not kept; without it the store would not find headquarters again.
    #[error("the address of headquarters was not kept")]
    AddressNotKept(#[source] io::Error),
    /// The statement was not saved.
    #[error("the statement was not saved")]
    NotSaved(#[from] SaveError),
}

impl Node {
    /// Gives out a code for a new terminal that will be called `name`: 15 minutes, 5 tries, one use.
    pub fn open_code(&self, name: &str) -> Result<Code, AdminError> {
        let desk = self.shared.desk.as_ref().filter(|_| self.shared.is_hub()).ok_or(AdminError::NotTheHub)?;
        Ok(desk.open(Some(name.to_owned()))?)
    }

    /// Ends a node's membership: its links end within a second everywhere, and it cannot come back. What it wrote up to now
    /// stands; what else of it turns up stands flagged.
    ///
    /// Shape: with a hub that was succeeded goes what it alone said of others, so that a stolen one lets nobody in; this hub
    /// says again, before, what of that is known here.
    pub async fn revoke(&self, node: NodeId) -> Result<Appended, AdminError> {
        let shared = &self.shared;
        let members = self.members();
        let term = own_term(shared, &members)?;
        if node == shared.node {
            return Err(AdminError::Itself);
        }
        if !members.roles(&node).any() {
            return Err(AdminError::Unknown(node));
        }
        if members.revoked(&node).is_some() {
            return Err(AdminError::AlreadyRevoked(node));
        }
        for claim in members.said_only_by(&node) {
            let again = Statement::sign(&shared.store_id, shared.key(), in_term(claim, term));
            declare(shared, again).await?;
        }
        let cut = cut_of(&shared.store.reader().frontier(), &node);
        let statement = Statement::sign(&shared.store_id, shared.key(), Claim::Revoked { term, node, cut });
        info!(peer = %node.short(), "revoking");
        declare(shared, statement).await
    }

    /// Writes a statement into this hub's books, for everybody: one that the root key signed, or the hub itself.
    pub async fn add_statement(&self, statement: Statement) -> Result<Appended, AdminError> {
        let mut members = (*self.members()).clone();
        members.add(statement.clone())?;
        if !members.roles(&self.shared.node).is_hub() {
            return Err(AdminError::NotTheHub);
        }
        declare(&self.shared, statement).await
    }

    /// Joins headquarters: redeems its code, then lets the root key name it. Nothing is written if headquarters refuses.
    pub async fn join_headquarters(
        &self,
        code: &Code,
        addresses: &[SocketAddr],
        recovery: &RecoveryCode,
    ) -> Result<NodeId, AdminError> {
        let shared = &self.shared;
        let members = self.members();
        own_term(shared, &members)?;
        if recovery.0.public() != *members.root() {
            return Err(AdminError::OtherRoot);
        }
        let store =
            JoiningStore { root: *members.root(), statements: members.statements().cloned().collect() };
        // A socket of its own: this conversation is over in a second, and nobody answers on it.
        let listen = SocketAddr::new(unspecified(shared.listen), 0);
        let endpoint = shared.config.machine.bind(listen, None).map_err(|error| {
            AdminError::Headquarters(EnrolError::Talk(enrol::TalkError::Broken(error.to_string())))
        })?;
        let mut last = AdminError::NoAddress;
        for addr in addresses {
            match enrol::join_hq(&endpoint, &shared.tls, code, *addr, &store).await {
                Ok(key) => {
                    let claim = Claim::Headquarters { key };
                    let node = NodeId::of(&key);
                    keep_address(shared, node, *addr).map_err(AdminError::AddressNotKept)?;
                    let statement = Statement::sign(&shared.store_id, &recovery.0, claim);
                    self.add_statement(statement).await?;
                    info!(peer = %node.short(), %addr, "joined headquarters");
                    return Ok(node);
                }
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

/// The hub's side of an enrolment, from the first byte to the durable statement.
pub(super) async fn welcome(shared: &Arc<Shared>, arrival: &Arrival) {
    let Some(desk) = shared.desk.as_ref() else { return };
    let members = || shared.store.reader().members();
    let admit = |key: PublicKey, name: String| async move {
        admit(shared, key, name).await.map_err(|error| error.to_string())
    };
    let addresses = match shared.addrs.as_slice() {
        [] => arrival
            .connection
            .local_ip()
            .map(|ip| SocketAddr::new(ip, shared.listen.port()))
            .into_iter()
            .collect(),
        told => told.to_vec(),
    };
    match enrol::welcome(arrival, desk, &addresses, members, admit).await {
        Ok(welcomed) => {
            info!(peer = %welcomed.node.short(), number = welcomed.number, name = %welcomed.name, "terminal enrolled");
        }
        Err(HostError::Refused(err)) => info!(%err, "a newcomer was refused"),
        Err(err) => debug!(%err, "a newcomer went away"),
    }
}

/// Makes a terminal: the lowest number that nobody ever had, so that no receipt series is used twice.
async fn admit(shared: &Shared, key: PublicKey, name: String) -> Result<(), AdminError> {
    let _one_at_a_time = shared.numbering.lock().await;
    let members = shared.store.reader().members();
    let term = own_term(shared, &members)?;
    let nodes = members.nodes();
    let taken: BTreeSet<u16> =
        nodes.iter().flat_map(|node| members.roles(node).terminal).map(|(number, _)| number).collect();
    let number = (1..u16::MAX).find(|number| !taken.contains(number)).ok_or(AdminError::NoNumber)?;
    let claim = Claim::Terminal { term, key, number, name };
    declare(shared, Statement::sign(&shared.store_id, shared.key(), claim)).await?;
    Ok(())
}

/// Keeps where headquarters is before it is named: no neighbour tells it, and a hub that loses power now must find it again.
fn keep_address(shared: &Shared, node: NodeId, addr: SocketAddr) -> io::Result<()> {
    let bytes = {
        let mut board = shared.board();
        board.ladder.worked(node, addr, Rung::Configured);
        board.ladder.encode()
    };
    let disk = shared.dir.own_disk()?;
    save_ladder(&*disk, &bytes)?;
    disk.sync(ADDRESSES_FILE)?;
    disk.sync_dir()
}

async fn declare(shared: &Shared, statement: Statement) -> Result<Appended, AdminError> {
    let append = Append { lane: Lane::Books, body: Body::Member(statement), saw: None, wait: Wait::Synced };
    Ok(shared.store.append(append).await?)
}

/// The same claim, by the hub of this term.
fn in_term(claim: Claim, term: u64) -> Claim {
    match claim {
        Claim::Terminal { key, number, name, .. } => Claim::Terminal { term, key, number, name },
        Claim::Revoked { node, cut, .. } => Claim::Revoked { term, node, cut },
        by_root => by_root,
    }
}

/// What is held of a node's journals: of its longest ones, where it had more runs than a statement can name.
fn cut_of(held: &Frontier, node: &NodeId) -> Frontier {
    let mut lines: Vec<_> = held.lines().filter(|(journal, _)| journal.node == *node).collect();
    lines.sort_by_key(|(_, head)| std::cmp::Reverse(head.seq));
    lines.into_iter().take(CUT_LINES_MAX).map(|(journal, head)| (*journal, *head)).collect()
}

/// The term in which this node is the hub now.
fn own_term(shared: &Shared, members: &Members) -> Result<u64, AdminError> {
    match members.hub() {
        Some((term, node)) if node == shared.node => Ok(term),
        _ => Err(AdminError::NotTheHub),
    }
}

fn unspecified(like: SocketAddr) -> std::net::IpAddr {
    match like {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::frontier::Head;
    use toko_crdt::ids::{JournalId, Run};
    use toko_crdt::member::STATEMENT_BYTES_MAX;
    use toko_crdt::sign::SecretKey;
    use toko_crdt::{Hash, StoreId};

    #[test]
    fn a_till_of_many_runs_is_revoked_by_a_statement_that_everybody_can_read() {
        let key = SecretKey::from_seed([7; 32]);
        let line = |run: u64| {
            let journal = JournalId { node: key.node(), run: Run(run << 40), lane: Lane::Books };
            (journal, Head { seq: u64::MAX - run, hash: Hash([255; 32]) })
        };
        let held: Frontier = (1..2_000).map(line).collect();
        let cut = cut_of(&held, &key.node());
        assert!(cut.head(&line(1).0).is_some(), "the longest journals are named");
        let store = StoreId::of(&key.public());
        let claim = Claim::Revoked { term: u64::MAX, node: key.node(), cut };
        let bytes = Statement::sign(&store, &key, claim).encode();
        assert!(bytes.len() <= STATEMENT_BYTES_MAX, "{} bytes", bytes.len());
        assert!(Statement::decode(&bytes).is_ok());
    }
}
