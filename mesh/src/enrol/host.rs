//! The side with the desk: a hub for terminals, headquarters for stores.

use super::guest::kind_byte;
use super::wire::{self, FrameV1, TalkError, receive_of_stranger, receive_statements, send, send_statements};
use super::{CodeKind, FrontDesk, Refusal, TALK};
use crate::endpoint::Arrival;
use quinn::{RecvStream, SendStream};
use std::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;
use toko_crdt::NodeId;
use toko_crdt::member::{Members, Statement, name_is_sane};
use toko_crdt::sign::PublicKey;

/// A terminal that was let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Welcomed {
    /// Who.
    pub node: NodeId,
    /// Its number.
    pub number: u16,
    /// Its name.
    pub name: String,
}

/// A store that shows itself to headquarters with a good code.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The store's root key.
    pub root: PublicKey,
    /// Its statements, all of which hold.
    pub members: Members,
    /// The hub that brought them.
    pub hub: PublicKey,
}

/// Why a newcomer was not let in. The newcomer was told.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostError {
    /// We said no.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The conversation broke off.
    #[error("the conversation broke off")]
    Talk(#[from] TalkError),
}

/// Lets a terminal in that comes with a code.
///
/// `members` gives the set as it is when asked; `admit` makes the terminal's statement under that name and returns when it
/// is durable. It is asked once, and not for a key that is a terminal already: that one gets its answer again.
pub async fn welcome<M, A, F>(
    arrival: &Arrival,
    desk: &FrontDesk,
    addresses: &[SocketAddr],
    members: M,
    admit: A,
) -> Result<Welcomed, HostError>
where
    M: Fn() -> Arc<Members>,
    A: FnOnce(PublicKey, String) -> F,
    F: Future<Output = Result<(), String>>,
{
    let talk = async {
        let (mut to, mut from) = accept(arrival, CodeKind::Enrol).await?;
        let done = welcome_talk(arrival, desk, addresses, (&mut to, &mut from), members, admit).await;
        say_no(&mut to, done).await
    };
    tokio::time::timeout(TALK, talk).await.unwrap_or(Err(TalkError::TooLong.into()))
}

async fn welcome_talk<M, A, F>(
    arrival: &Arrival,
    desk: &FrontDesk,
    addresses: &[SocketAddr],
    (to, from): (&mut SendStream, &mut RecvStream),
    members: M,
    admit: A,
) -> Result<Welcomed, HostError>
where
    M: Fn() -> Arc<Members>,
    A: FnOnce(PublicKey, String) -> F,
    F: Future<Output = Result<(), String>>,
{
    let now = members();
    let by_root: Vec<&Statement> = now.statements().filter(|s| s.issuer() == now.root()).collect();
    send(to, &FrameV1::Here { root: now.root().0, statements: wire::count(by_root.len()) }).await?;
    send_statements(to, by_root.into_iter()).await?;
    let FrameV1::Ask { secret, name } = receive_of_stranger(from).await? else {
        return Err(TalkError::Unexpected.into());
    };
    let node = NodeId::of(&arrival.key);
    if now.revoked(&node).is_some() && !toko_crdt::mutant!("enrol-the-revoked") {
        return Err(HostError::Refused(Refusal::Revoked));
    }
    if !now.roles(&node).is_terminal() {
        let granted = desk.show(&secret).map_err(|error| HostError::Refused(error.into()))?;
        let Some(name) = granted.name.clone().or(name).filter(|name| name_is_sane(name)) else {
            desk.settle(&granted, false);
            return Err(HostError::Refused(Refusal::Name));
        };
        let admitted = admit(arrival.key, name).await;
        desk.settle(&granted, admitted.is_ok());
        if let Err(err) = admitted {
            tracing::error!(%err, "a terminal's statement could not be saved");
            return Err(HostError::Refused(Refusal::NotSaved));
        }
    }
    let now = members();
    let Some((number, name)) = now.roles(&node).terminal.first().cloned() else {
        return Err(HostError::Refused(Refusal::NotSaved));
    };
    let statements = wire::count(now.statements().count());
    send(to, &FrameV1::Welcome { statements, addresses: wire::write_addresses(addresses) }).await?;
    send_statements(to, now.statements()).await?;
    finish(to).await;
    Ok(Welcomed { node, number, name })
}

/// Takes a store in that comes with a code of headquarters. `remember` returns when the store is known durably.
pub async fn take_in<R, F>(arrival: &Arrival, desk: &FrontDesk, remember: R) -> Result<Joining, HostError>
where
    R: FnOnce(Joining) -> F,
    F: Future<Output = Result<(), String>>,
{
    let talk = async {
        let (mut to, mut from) = accept(arrival, CodeKind::JoinHq).await?;
        let done = take_in_talk(arrival, desk, (&mut to, &mut from), remember).await;
        say_no(&mut to, done).await
    };
    tokio::time::timeout(TALK, talk).await.unwrap_or(Err(TalkError::TooLong.into()))
}

async fn take_in_talk<R, F>(
    arrival: &Arrival,
    desk: &FrontDesk,
    (to, from): (&mut SendStream, &mut RecvStream),
    remember: R,
) -> Result<Joining, HostError>
where
    R: FnOnce(Joining) -> F,
    F: Future<Output = Result<(), String>>,
{
    let FrameV1::Join { root, secret, statements } = receive_of_stranger(from).await? else {
        return Err(TalkError::Unexpected.into());
    };
    let granted = desk.show(&secret).map_err(|error| HostError::Refused(error.into()))?;
    let told = tell_store(from, arrival, PublicKey(root), statements).await;
    let remembered = match &told {
        Ok(joining) => remember(joining.clone()).await,
        Err(_) => Err("the store's statements do not hold".into()),
    };
    desk.settle(&granted, remembered.is_ok());
    let joining = told?;
    if let Err(err) = remembered {
        tracing::error!(%err, "a store could not be saved");
        return Err(HostError::Refused(Refusal::NotSaved));
    }
    send(to, &FrameV1::Joined).await?;
    finish(to).await;
    Ok(joining)
}

async fn tell_store(
    from: &mut RecvStream,
    arrival: &Arrival,
    root: PublicKey,
    count: u32,
) -> Result<Joining, HostError> {
    let mut members = Members::new(root);
    for statement in receive_statements(from, count).await? {
        members.add(statement).map_err(|_| HostError::Refused(Refusal::Statements))?;
    }
    let hub = NodeId::of(&arrival.key);
    if members.hub().is_none_or(|(_, known)| known != hub) {
        return Err(HostError::Refused(Refusal::Statements));
    }
    Ok(Joining { root, members, hub: arrival.key })
}

pub(super) async fn accept(arrival: &Arrival, kind: CodeKind) -> Result<(SendStream, RecvStream), HostError> {
    let streams = arrival.connection.accept_bi().await;
    let (mut to, mut from) = streams.map_err(|error| TalkError::Broken(error.to_string()))?;
    match receive_of_stranger(&mut from).await? {
        FrameV1::Knock { kind: byte } if byte == kind_byte(kind) => Ok((to, from)),
        FrameV1::Knock { .. } => say_no(&mut to, Err(HostError::Refused(Refusal::Kind))).await,
        _ => Err(TalkError::Unexpected.into()),
    }
}

/// Tells the newcomer what was refused, and waits until it heard.
pub(super) async fn say_no<T>(to: &mut SendStream, result: Result<T, HostError>) -> Result<T, HostError> {
    if let Err(HostError::Refused(refusal)) = &result {
        send(to, &FrameV1::No { why: refusal.byte() }).await?;
        finish(to).await;
    }
    result
}

/// Ends our half and waits until all of it was taken; whether it was is the other side's word, and no error of ours.
pub(super) async fn finish(to: &mut SendStream) {
    if to.finish().is_ok() {
        let _ = to.stopped().await;
    }
}
