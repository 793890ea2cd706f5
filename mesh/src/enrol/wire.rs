//! The few frames of an enrolment: a length, a version byte, postcard.
//!
//! *Shape*: `length u32 LE | version 1 | body`, at most [`FRAME_BYTES_MAX`]; the length is checked before a byte is read. A
//! client opens one stream and speaks first. Statements travel one to a frame, behind their count.
//!
//! Absent on purpose: the frames of journals. A newcomer's bytes meet this small decoder and no other.

use quinn::{ReadExactError, RecvStream, SendStream};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use thiserror::Error;
use toko_crdt::codec::{self, CodecError};
use toko_crdt::member::{STATEMENT_BYTES_MAX, STATEMENTS_MAX, Statement};

/// The largest frame.
pub(super) const FRAME_BYTES_MAX: usize = 64 * 1024;
/// The largest frame of somebody who is not known yet, but for statements: a knock, or a secret with a name.
const STRANGER_BYTES_MAX: usize = 1_024;
/// How many addresses an answer may name.
const ADDRESSES_MAX: usize = 16;

/// Why a conversation broke off.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TalkError {
    /// The connection ended.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// What came is no frame of this conversation.
    #[error("the other side does not speak our language")]
    Codec(#[from] CodecError),
    /// A frame that does not belong here.
    #[error("the other side said something unexpected")]
    Unexpected,
    /// Nothing came for too long.
    #[error("the other side took too long")]
    TooLong,
}

/// What is said, on the wire. Frozen; a change is a new version.
#[derive(Serialize, Deserialize, Debug)]
pub(super) enum FrameV1 {
    /// Client: I come with a code of this kind (1 terminal, 2 a hub for headquarters, 3 a recovery code).
    Knock { kind: u8 },
    /// Hub: this is the root key, and so many statements by it follow.
    Here { root: [u8; 32], statements: u32 },
    /// One encoded statement.
    Statement(Vec<u8>),
    /// Terminal: the secret, and how I am called.
    Ask { secret: [u8; 10], name: Option<String> },
    /// Hub: you are in; so many statements follow, yours among them. These are addresses of the hub.
    Welcome { statements: u32, addresses: Vec<String> },
    /// Hub to headquarters: our store, the secret, and so many statements follow.
    Join { root: [u8; 32], secret: [u8; 10], statements: u32 },
    /// Headquarters: the store is known here now.
    Joined,
    /// No, and why: see [`super::Refusal`].
    No { why: u8 },
    /// To whoever holds the root key: after the statements, where some of the store's nodes may be found.
    Known { nodes: Vec<([u8; 32], Vec<String>)> },
}

pub(super) async fn send(to: &mut SendStream, frame: &FrameV1) -> Result<(), TalkError> {
    let body = codec::encode(1, frame);
    codec::check_len(&body, FRAME_BYTES_MAX)?;
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let bytes = [length.as_slice(), &body].concat();
    to.write_all(&bytes).await.map_err(|error| TalkError::Broken(error.to_string()))
}

/// The next frame of somebody whom we came to.
pub(super) async fn receive(from: &mut RecvStream) -> Result<FrameV1, TalkError> {
    receive_within(from, FRAME_BYTES_MAX).await
}

/// The next frame of somebody who comes to us: nothing that such a one says is long, and a long list of little things would
/// take many times its size.
pub(super) async fn receive_of_stranger(from: &mut RecvStream) -> Result<FrameV1, TalkError> {
    receive_within(from, STRANGER_BYTES_MAX).await
}

async fn receive_within(from: &mut RecvStream, bytes_max: usize) -> Result<FrameV1, TalkError> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await.map_err(broken)?;
    let bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if bytes > bytes_max {
        return Err(CodecError::TooLong { bytes, bytes_max }.into());
    }
    let mut body = Vec::new();
    // Whoever is not known yet gets memory for what it sent, not for what it announced.
    while body.len() < bytes {
        let chunk = from.read_chunk(bytes - body.len(), true).await;
        let chunk = chunk.map_err(|error| TalkError::Broken(error.to_string()))?;
        let Some(chunk) = chunk else { return Err(TalkError::Broken("the other side hung up".into())) };
        body.extend_from_slice(&chunk.bytes);
    }
    Ok(codec::decode("enrolment frame", 1, &body, bytes_max)?)
}

pub(super) async fn send_statements<'a>(
    to: &mut SendStream,
    statements: impl Iterator<Item = &'a Statement>,
) -> Result<(), TalkError> {
    for statement in statements {
        send(to, &FrameV1::Statement(statement.encode())).await?;
    }
    Ok(())
}

pub(super) async fn receive_statements(
    from: &mut RecvStream,
    count: u32,
) -> Result<Vec<Statement>, TalkError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > STATEMENTS_MAX {
        return Err(TalkError::Unexpected);
    }
    let mut out = Vec::new();
    for _ in 0..count {
        let FrameV1::Statement(bytes) = receive(from).await? else { return Err(TalkError::Unexpected) };
        codec::check_len(&bytes, STATEMENT_BYTES_MAX)?;
        out.push(Statement::decode(&bytes)?);
    }
    Ok(out)
}

pub(super) fn count(statements: usize) -> u32 {
    u32::try_from(statements).unwrap_or(u32::MAX)
}

pub(super) fn write_addresses(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().take(ADDRESSES_MAX).map(ToString::to_string).collect()
}

/// Addresses that do not read are dropped: they are hints.
pub(super) fn read_addresses(addresses: &[String]) -> Vec<SocketAddr> {
    addresses.iter().take(ADDRESSES_MAX).filter_map(|text| text.parse().ok()).collect()
}

fn broken(error: ReadExactError) -> TalkError {
    match error {
        ReadExactError::FinishedEarly(_) => TalkError::Broken("the other side hung up".into()),
        ReadExactError::ReadError(error) => TalkError::Broken(error.to_string()),
    }
}
