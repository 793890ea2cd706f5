//! The recovery code's conversation: who belongs to the store, and where are they?
//!
//! The asker's end of the connection is the root key itself, proven by the handshake; the other end must be a member by
//! what it shows. Reading only: the new hub introduces itself later, as a member ([`crate::tls::introduction`]).

use super::guest::{clearer, collect, open};
use super::host::{accept, finish};
use super::wire::{self, FrameV1, TalkError, receive, receive_statements, send, send_statements};
use super::{CodeKind, EnrolError, HostError, Refusal, TALK};
use crate::endpoint::{Arrival, CloseCode, Dial, DialError, Distance, Endpoint, close};
use crate::find::NODES_MAX;
use crate::tls::{self, Expect, Protocol, TlsKey, peer_key};
use quinn::Connection;
use std::net::SocketAddr;
use toko_crdt::NodeId;
use toko_crdt::ids::StoreId;
use toko_crdt::member::{Members, Statement};
use toko_crdt::sign::PublicKey;

/// How many addresses of each node are told.
const ADDRESSES_TOLD: usize = 4;

/// What one node of the store told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Who told it.
    pub by: NodeId,
    /// The statements that it holds; all of them hold.
    pub members: Members,
    /// Where nodes of the store may be: hints.
    pub known: Vec<(NodeId, Vec<SocketAddr>)>,
}

/// Asks whoever answers at `addr` who belongs to the store of this root key.
///
/// Errors: nothing was changed anywhere.
pub async fn ask_members(
    endpoint: &Endpoint,
    root: &TlsKey,
    addr: SocketAddr,
    distance: Distance,
) -> Result<Told, EnrolError> {
    let store = StoreId::of(&root.public());
    let dial = Dial {
        addr,
        name: tls::store_name(&tls::store_fingerprint(&store)),
        expect: Expect::Anyone,
        protocol: Protocol::Recovery,
        distance,
        introduction: None,
    };
    let refused = |error| match error {
        DialError::Refused { .. } => EnrolError::OtherRoot,
        error => EnrolError::Dial(error),
    };
    let connection = endpoint.dial(&dial, root).await.map_err(refused)?;
    let result = match tokio::time::timeout(TALK, talk(&connection, root.public())).await {
        Ok(result) => result.map_err(|error| match clearer(&connection, addr, error) {
            EnrolError::NotEnrolling => EnrolError::OtherRoot,
            error => error,
        }),
        Err(_) => Err(TalkError::TooLong.into()),
    };
    close(&connection, CloseCode::Done);
    result
}

async fn talk(connection: &Connection, root: PublicKey) -> Result<Told, EnrolError> {
    let by = NodeId::of(&peer_key(connection).ok_or(TalkError::Unexpected)?);
    let (_to, mut from) = open(connection, CodeKind::Recovery).await?;
    let count = match receive(&mut from).await? {
        FrameV1::Here { root: theirs, statements } if theirs == root.0 => statements,
        FrameV1::Here { .. } => return Err(EnrolError::OtherRoot),
        FrameV1::No { why } => return Err(Refusal::from_byte(why).into()),
        _ => return Err(TalkError::Unexpected.into()),
    };
    let members = collect(root, &receive_statements(&mut from, count).await?);
    let FrameV1::Known { nodes } = receive(&mut from).await? else {
        return Err(TalkError::Unexpected.into());
    };
    if !members.roles_of(&by).any() {
        return Err(Refusal::Statements.into());
    }
    let known = nodes.iter().take(NODES_MAX);
    let known = known.map(|(node, addrs)| (NodeId(*node), wire::read_addresses(addrs))).collect();
    Ok(Told { by, members, known })
}

/// Answers whoever has proven to hold the root key.
pub async fn tell_members(
    arrival: &Arrival,
    members: &Members,
    known: &[(NodeId, Vec<SocketAddr>)],
) -> Result<(), HostError> {
    let talk = async {
        let (mut to, _from) = accept(arrival, CodeKind::Recovery).await?;
        let statements: Vec<&Statement> = members.statements().collect();
        send(&mut to, &FrameV1::Here { root: members.root().0, statements: wire::count(statements.len()) })
            .await?;
        send_statements(&mut to, statements.into_iter()).await?;
        let nodes = known.iter().take(NODES_MAX);
        // A few of each, so that as many nodes as there may be fit into one frame.
        let few = |addrs: &[SocketAddr]| addrs.iter().take(ADDRESSES_TOLD).copied().collect::<Vec<_>>();
        let nodes = nodes.map(|(node, addrs)| (node.0, wire::write_addresses(&few(addrs)))).collect();
        send(&mut to, &FrameV1::Known { nodes }).await?;
        finish(&mut to).await;
        Ok(())
    };
    tokio::time::timeout(TALK, talk).await.unwrap_or(Err(TalkError::TooLong.into()))
}
