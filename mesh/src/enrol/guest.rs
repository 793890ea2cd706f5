//! The side that comes with a code.

use super::wire::{self, FrameV1, TalkError, receive, receive_statements, send, send_statements};
use super::{Code, CodeKind, EnrolError, Refusal, TALK};
use crate::endpoint::{CloseCode, Dial, DialError, Distance, Endpoint, close, explain};
use crate::tls::{self, Expect, Protocol, TlsKey, peer_key};
use quinn::{Connection, RecvStream, SendStream};
use std::net::SocketAddr;
use toko_crdt::NodeId;
use toko_crdt::ids::StoreId;
use toko_crdt::member::{Members, Statement};
use toko_crdt::sign::PublicKey;

/// What an enrolled terminal takes home: all of it is signed, and was checked.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// The store's root key.
    pub root: PublicKey,
    /// Everything the hub knows about members, root's statements first; ours is among them.
    pub statements: Vec<Statement>,
    /// Our number, on every receipt.
    pub number: u16,
    /// What people call us.
    pub name: String,
    /// The hub that let us in.
    pub hub: NodeId,
    /// Where the hub may be found: where we found it, then what it says.
    pub addresses: Vec<SocketAddr>,
}

/// A store on its way to headquarters.
#[derive(Clone, Debug)]
pub struct JoiningStore {
    /// The store's root key.
    pub root: PublicKey,
    /// Its member statements, root's first.
    pub statements: Vec<Statement>,
}

/// The hub that a terminal's code is for, met and proven. It waits to be shown the code.
#[derive(Debug)]
pub struct HubMet {
    /// The store's root key.
    pub root: PublicKey,
    /// The hub.
    pub hub: NodeId,
    addr: SocketAddr,
    connection: Connection,
    to: SendStream,
    from: RecvStream,
}

/// Meets the hub of a terminal's code at `addr`. The code's secret is not told.
///
/// Errors: see [`EnrolError`]; the code is as good as before.
pub async fn meet_hub(
    endpoint: &Endpoint,
    key: &TlsKey,
    code: &Code,
    addr: SocketAddr,
) -> Result<HubMet, EnrolError> {
    if code.kind != CodeKind::Enrol {
        return Err(Refusal::Kind.into());
    }
    let dial = Dial {
        addr,
        name: tls::store_name(&code.fingerprint),
        expect: Expect::Anyone,
        protocol: Protocol::Newcomer,
        distance: Distance::Near,
        introduction: None,
    };
    let connection = knock(endpoint, key, &dial).await?;
    let met = in_time(&connection, addr, async {
        let (to, mut from) = open(&connection, CodeKind::Enrol).await?;
        let (root, statements) = match receive(&mut from).await? {
            FrameV1::Here { root, statements } => (PublicKey(root), statements),
            FrameV1::No { why } => return Err(Refusal::from_byte(why).into()),
            _ => return Err(TalkError::Unexpected.into()),
        };
        let shown = receive_statements(&mut from, statements).await?;
        let hub = check_hub(&connection, code, root, shown)?;
        Ok((root, hub, to, from))
    });
    match met.await {
        Ok((root, hub, to, from)) => Ok(HubMet { root, hub, addr, connection, to, from }),
        Err(error) => {
            close(&connection, CloseCode::Done);
            Err(error)
        }
    }
}

impl HubMet {
    /// Redeems the code, whose hub this is. `key` is the one that it was met with.
    ///
    /// Errors: see [`EnrolError`]; asking again with the same key and code after a broken conversation is safe.
    pub async fn ask(
        mut self,
        key: &TlsKey,
        code: &Code,
        name: Option<String>,
    ) -> Result<Enrolled, EnrolError> {
        let (to, from) = (&mut self.to, &mut self.from);
        let asked = in_time(&self.connection, self.addr, async {
            // The hub is who the code says. Only now the secret.
            send(to, &FrameV1::Ask { secret: code.secret, name }).await?;
            let (count, addresses) = match receive(from).await? {
                FrameV1::Welcome { statements, addresses } => (statements, wire::read_addresses(&addresses)),
                FrameV1::No { why } => return Err(Refusal::from_byte(why).into()),
                _ => return Err(TalkError::Unexpected.into()),
            };
            let statements = receive_statements(from, count).await?;
            let members = collect(self.root, &statements);
            let Some((number, name)) = members.roles(&key.node()).terminal.first().cloned() else {
                return Err(Refusal::Statements.into());
            };
            let elsewhere = addresses.into_iter().filter(|known| *known != self.addr);
            let addresses = std::iter::once(self.addr).chain(elsewhere).collect();
            Ok(Enrolled { root: self.root, statements, number, name, hub: self.hub, addresses })
        });
        let asked = asked.await;
        close(&self.connection, CloseCode::Done);
        asked
    }
}

/// One part of a conversation, with an end.
async fn in_time<T>(
    connection: &Connection,
    addr: SocketAddr,
    talk: impl Future<Output = Result<T, EnrolError>>,
) -> Result<T, EnrolError> {
    match tokio::time::timeout(TALK, talk).await {
        Ok(result) => result.map_err(|error| clearer(connection, addr, error)),
        Err(_) => Err(TalkError::TooLong.into()),
    }
}

/// Fingerprint, statement, and the key of this very connection: all three, or no secret.
fn check_hub(
    connection: &Connection,
    code: &Code,
    root: PublicKey,
    shown: Vec<Statement>,
) -> Result<NodeId, EnrolError> {
    let pinned = tls::store_fingerprint(&StoreId::of(&root)) == code.fingerprint;
    if !pinned && !toko_crdt::mutant!("tell-any-hub-the-secret") {
        return Err(EnrolError::OtherStore);
    }
    let peer = NodeId::of(&peer_key(connection).ok_or(TalkError::Unexpected)?);
    let members = collect(root, &shown);
    if members.hub().is_some_and(|(_, hub)| hub == peer) { Ok(peer) } else { Err(EnrolError::NotAHub(peer)) }
}

/// Every statement that holds; what does not hold is left out.
pub(super) fn collect(root: PublicKey, statements: &[Statement]) -> Members {
    let mut members = Members::new(root);
    for statement in statements {
        // What does not hold adds nothing, and what is missing shows when we look for it.
        let _ = members.add(statement.clone());
    }
    members
}

/// Redeems a code of headquarters for this hub's store: afterwards HQ knows the store and lets its nodes in.
///
/// Returns HQ's key, which the root key must name in a statement of its own.
pub async fn join_hq(
    endpoint: &Endpoint,
    key: &TlsKey,
    code: &Code,
    addr: SocketAddr,
    store: &JoiningStore,
) -> Result<PublicKey, EnrolError> {
    if code.kind != CodeKind::JoinHq {
        return Err(Refusal::Kind.into());
    }
    let dial = Dial {
        addr,
        name: tls::hq_name(&code.fingerprint),
        expect: Expect::Anyone,
        protocol: Protocol::Newcomer,
        distance: Distance::Far,
        introduction: None,
    };
    let connection = knock(endpoint, key, &dial).await?;
    let joined = in_time(&connection, addr, talk_to_hq(&connection, code, store)).await;
    close(&connection, CloseCode::Done);
    joined
}

async fn talk_to_hq(
    connection: &Connection,
    code: &Code,
    store: &JoiningStore,
) -> Result<PublicKey, EnrolError> {
    let peer = peer_key(connection).ok_or(TalkError::Unexpected)?;
    if tls::node_fingerprint(&NodeId::of(&peer)) != code.fingerprint {
        return Err(EnrolError::NotHeadquarters);
    }
    let (mut to, mut from) = open(connection, CodeKind::JoinHq).await?;
    let statements = wire::count(store.statements.len());
    send(&mut to, &FrameV1::Join { root: store.root.0, secret: code.secret, statements }).await?;
    send_statements(&mut to, store.statements.iter()).await?;
    match receive(&mut from).await? {
        FrameV1::Joined => Ok(peer),
        FrameV1::No { why } => Err(Refusal::from_byte(why).into()),
        _ => Err(TalkError::Unexpected.into()),
    }
}

async fn knock(endpoint: &Endpoint, key: &TlsKey, dial: &Dial) -> Result<Connection, EnrolError> {
    endpoint.dial(dial, key).await.map_err(|error| match error {
        DialError::Refused { .. } => EnrolError::NotEnrolling,
        error => EnrolError::Dial(error),
    })
}

pub(super) async fn open(
    connection: &Connection,
    kind: CodeKind,
) -> Result<(SendStream, RecvStream), TalkError> {
    let (mut to, from) = connection.open_bi().await.map_err(|error| TalkError::Broken(error.to_string()))?;
    send(&mut to, &FrameV1::Knock { kind: kind_byte(kind) }).await?;
    Ok((to, from))
}

pub(super) fn kind_byte(kind: CodeKind) -> u8 {
    match kind {
        CodeKind::Enrol => 1,
        CodeKind::JoinHq => 2,
        CodeKind::Recovery => 3,
    }
}

/// A conversation that broke because the door was shut in our face says so.
pub(super) fn clearer(connection: &Connection, addr: SocketAddr, error: EnrolError) -> EnrolError {
    match (error, connection.close_reason()) {
        (EnrolError::Talk(TalkError::Broken(why)), Some(reason)) => match explain(addr, &reason) {
            DialError::Refused { .. } => EnrolError::NotEnrolling,
            _ => TalkError::Broken(why).into(),
        },
        (error, _) => error,
    }
}
