//! How connections end and why there are none, in our words.

use crate::tls::TlsError;
use quinn::{Connection, ConnectionError, VarInt};
use quinn_proto::TransportErrorCode;
use std::io;
use std::net::SocketAddr;
use thiserror::Error;
use toko_crdt::NodeId;

/// TLS alerts that say "not you" (RFC 8446, section 6.2): access_denied, no_application_protocol, handshake_failure.
const NOT_YOU: [u8; 3] = [49, 120, 40];

/// Why a link was closed, as the other side reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
#[non_exhaustive]
pub enum CloseCode {
    /// The conversation is over.
    Done = 0,
    /// This node is stopping.
    Stopping = 1,
    /// Another link to the same process is kept.
    Duplicate = 2,
    /// The peer is no member, or no longer one.
    NotMember = 3,
    /// The peer broke a rule of the wire.
    Violation = 4,
    /// Nothing was heard for too long.
    Silent = 5,
    /// Too many links; come again later.
    Busy = 6,
}

impl CloseCode {
    const ALL: [Self; 7] = [
        Self::Done,
        Self::Stopping,
        Self::Duplicate,
        Self::NotMember,
        Self::Violation,
        Self::Silent,
        Self::Busy,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// Reads the number on the wire; `None` for one that this build does not know.
    #[must_use]
    pub fn from_code(code: VarInt) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// A word for the other side's log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stopping => "stopping",
            Self::Duplicate => "duplicate",
            Self::NotMember => "not a member",
            Self::Violation => "violation",
            Self::Silent => "silent",
            Self::Busy => "busy",
        }
    }
}

/// Why there is no connection. Nothing was sent but the handshake.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DialError {
    /// Nothing answers there.
    #[error("nothing answers at {addr}")]
    NoAnswer {
        /// Where we dialled.
        addr: SocketAddr,
    },
    /// The other side does not let this key in, or is not asking for newcomers.
    #[error("{addr} does not let this key in")]
    Refused {
        /// Where we dialled.
        addr: SocketAddr,
    },
    /// Somebody answers, and it is not who we expected.
    #[error("who answers at {addr} is not who was expected")]
    WrongPeer {
        /// Where we dialled.
        addr: SocketAddr,
        /// Whose key was shown there. A hint.
        met: Option<NodeId>,
    },
    /// The address cannot be dialled from here, or the connection broke.
    #[error("cannot connect to {addr}: {why}")]
    Failed {
        /// Where we dialled.
        addr: SocketAddr,
        /// What went wrong.
        why: String,
    },
    /// This node is stopping, or TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why there is no endpoint.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is taken, or is not ours.
    #[error("cannot listen on udp {addr}")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// What the machine says.
        #[source]
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Closes a connection and says why.
pub fn close(connection: &Connection, code: CloseCode) {
    connection.close(code.code(), code.word().as_bytes());
}

/// Whether the other side broke off because our key is not let in: in the handshake, or later by [`CloseCode::NotMember`].
#[must_use]
pub fn is_refusal(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::ConnectionClosed(frame) => {
            NOT_YOU.iter().any(|alert| frame.error_code == TransportErrorCode::crypto(*alert))
        }
        ConnectionError::ApplicationClosed(frame) => {
            CloseCode::from_code(frame.error_code) == Some(CloseCode::NotMember)
        }
        _ => false,
    }
}

/// Puts a connection's end into our words.
#[must_use]
pub fn explain(addr: SocketAddr, error: &ConnectionError) -> DialError {
    match error {
        ConnectionError::TimedOut => DialError::NoAnswer { addr },
        error if is_refusal(error) => DialError::Refused { addr },
        ConnectionError::TransportError(ours)
            if NOT_YOU.iter().any(|alert| ours.code == TransportErrorCode::crypto(*alert)) =>
        {
            DialError::WrongPeer { addr, met: None }
        }
        error => DialError::Failed { addr, why: error.to_string() },
    }
}
