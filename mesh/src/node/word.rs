//! The root key's word for a new hub: kept by whoever is shown it, told to whoever asks, and asked for by whoever met a hub that
//! it does not know.
//!
//! A hub that succeeded another shows its word with each dial ([`crate::tls::introduction`]). It cannot dial everybody: it
//! does not know where they are, or of two boxes with one key it reaches one. The others dial where the hub was, or hear the
//! new one announce itself, and find somebody who is no member. They ask that one, on a connection that is for nothing
//! else, and what is told counts for the key that was proven there and for no other.
//!
//! Invariants: one asking at a time, of one address not more often than every few seconds; nothing that is told changes
//! anything but the root key's own signed word.

use crate::endpoint::{Arrival, CloseCode, Dial, Distance, Endpoint, close};
use crate::identity::Role;
use crate::node::shared::Shared;
use crate::tls::introduction::{ALPN_BYTES_MAX, Introduction};
use crate::tls::{self, Expect, Protocol, peer_key};
use quinn::Connection;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use toko_crdt::NodeId;
use toko_crdt::member::{Claim, Statement};
use tracing::{debug, info, warn};

/// How long one conversation may take. It is one small answer.
const TALK: Duration = Duration::from_secs(5);
/// How long an address that was asked is not asked again.
const AGAIN: Duration = Duration::from_secs(5);
/// How many addresses are remembered as asked. *Full*: nobody is asked until the oldest may be asked again.
const ASKED_MAX: usize = 64;

/// Who was asked for a word lately.
#[derive(Debug, Default)]
pub(super) struct Asking {
    under_way: bool,
    asked: BTreeMap<SocketAddr, Instant>,
}

impl Asking {
    /// Whether `addr` is to be asked now. Then it is: [`Asking::done`] says when that is over.
    pub(super) fn begin(&mut self, addr: SocketAddr, now: Instant) -> bool {
        self.asked.retain(|_, at| now < *at + AGAIN);
        if self.under_way || self.asked.contains_key(&addr) || self.asked.len() >= ASKED_MAX {
            return false;
        }
        self.asked.insert(addr, now);
        self.under_way = true;
        true
    }

    /// Whoever was asked has answered, or has not.
    pub(super) fn done(&mut self) {
        self.under_way = false;
    }
}

/// The root key's word for this node in its last term.
pub(super) fn own_statement(shared: &Shared) -> Option<Statement> {
    let members = shared.members.now();
    let term_of = |statement: &Statement| match statement.claim() {
        Claim::Hub { term, key } if NodeId::of(key) == shared.node => Some(*term),
        _ => None,
    };
    let own = members.statements().filter_map(|statement| Some((term_of(statement)?, statement)));
    own.max_by_key(|(term, _)| *term).map(|(_, statement)| statement.clone())
}

/// What a hub that succeeded another says of itself.
pub(super) fn own(shared: &Shared) -> Option<Introduction> {
    if shared.role != Role::Hub {
        return None;
    }
    let word = own_statement(shared)?;
    let succeeded = matches!(word.claim(), Claim::Hub { term, .. } if *term > 1);
    succeeded.then(|| Introduction::of(&word)).flatten()
}

/// Keeps the root key's word for a hub that introduced itself. `false` where it could not be saved.
pub(super) async fn keep(shared: &Shared, word: &Introduction) -> bool {
    let statement = word.statement().clone();
    let hub = statement.subject();
    match shared.store.statements(vec![statement]).await {
        Ok(_) => {
            info!(peer = %hub.short(), "a new hub showed the root key's word");
            true
        }
        Err(err) => {
            warn!(peer = %hub.short(), %err, "a new hub's statement was not saved");
            false
        }
    }
}

/// Tells a member the root key's word for this node; nothing, where there is none to tell.
pub(super) async fn tell(shared: &Shared, arrival: &Arrival) {
    let word = own(shared).map(|word| word.to_bytes()).unwrap_or_default();
    let telling = async {
        let (mut to, _) = arrival.connection.open_bi().await.ok()?;
        to.write_all(&word).await.ok()?;
        to.finish().ok()?;
        to.stopped().await.ok()
    };
    if timeout(TALK, telling).await.ok().flatten().is_none() {
        debug!(from = %arrival.connection.remote_address(), "whoever asked for our word went away");
    }
    close(&arrival.connection, CloseCode::Done);
}

/// Asks whoever answers at `addr` for the root key's word, and keeps it. `None`: nothing was learnt, nothing changed.
pub(super) async fn ask(shared: &Shared, endpoint: &Endpoint, addr: SocketAddr) -> Option<NodeId> {
    let name = tls::store_name(&tls::store_fingerprint(&shared.store_id));
    let (expect, protocol, distance) = (Expect::Anyone, Protocol::Word, Distance::Near);
    let dial = Dial { addr, name, expect, protocol, distance, introduction: None };
    let connection = match endpoint.dial(&dial, &shared.tls).await {
        Ok(connection) => connection,
        Err(err) => {
            debug!(%addr, %err, "nobody there says who it is");
            return None;
        }
    };
    let told = timeout(TALK, listen(&connection)).await.ok().flatten();
    close(&connection, CloseCode::Done);
    let (key, word) = (peer_key(&connection)?, told?);
    let node = NodeId::of(&key);
    let members = shared.members.now();
    let news = !members.is_member(&node)
        && (word.makes_member(&key, &members) || toko_crdt::mutant!("believe-what-a-stranger-says"));
    (news && keep(shared, &word).await).then_some(node)
}

async fn listen(connection: &Connection) -> Option<Introduction> {
    let (_, mut from) = connection.accept_bi().await.ok()?;
    Introduction::from_bytes(&from.read_to_end(ALPN_BYTES_MAX).await.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn one_is_asked_at_a_time_and_nobody_often() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        assert!(asking.begin(addr(1), now));
        assert!(!asking.begin(addr(2), now), "one at a time");
        asking.done();
        assert!(asking.begin(addr(2), now), "somebody else");
        asking.done();
        assert!(!asking.begin(addr(1), now + AGAIN - Duration::from_millis(1)), "too soon");
        assert!(asking.begin(addr(1), now + AGAIN));
    }

    #[test]
    fn what_is_remembered_of_it_is_bounded() {
        let (mut asking, now) = (Asking::default(), Instant::now());
        let asked = (1..=1_000).filter(|port| {
            asking.done();
            asking.begin(addr(*port), now)
        });
        assert_eq!(asked.count(), ASKED_MAX);
        assert!(asking.begin(addr(2_000), now + AGAIN), "and room is made");
    }
}
