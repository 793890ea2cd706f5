//! One UDP socket: dials peers, and lets in whom the handshake has proven to be a member.
//!
//! Purpose: quinn, set for a small LAN and hostile neighbours. Invariants: an arriving connection is judged in its own task
//! with a deadline, never in the accept loop; what waits before acceptance is bounded; above a few open handshakes every
//! address must first prove that it is where it says; membership is checked in the handshake and again before the arrival
//! is handed to its tenant. Segmentation offload is off, because several network cards fail on it (quinn #1128, #2399).
//!
//! Absent on purpose: keep-alives of QUIC's own (the one-second tick of the links is the keep-alive), connection migration
//! of servers, and any retry: whoever dials decides when to dial again.

use crate::tls::introduction::Introduction;
use crate::tls::verify::{Asked, Door, Met};
use crate::tls::{self, Expect, Protocol, Tenants, TlsError, TlsKey, agreed_protocol, peer_key};
use quinn::{
    AckFrequencyConfig, AsyncUdpSocket, Connection, Incoming, Runtime, TokioRuntime, TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toko_crdt::sign::{PublicKey, SecretKey};
use toko_crdt::{Hash, NodeId};
use tracing::debug;

mod window;
mod words;

pub use words::{BindError, CloseCode, DialError, close, explain, is_refusal};

/// How long a handshake may take, on either side.
pub const HANDSHAKE_MS_MAX: u64 = 5_000;
/// How many arriving handshakes may be open at once. *Full*: the newcomer is refused and may come again.
pub const HANDSHAKES_MAX: usize = 64;
/// From how many open handshakes on an address must prove itself before it costs us a key exchange.
const RETRY_ABOVE: usize = 8;
/// Bytes that one link may have in flight each way.
const WINDOW_BYTES: u32 = 512 * 1024;
/// Bytes that whoever arrives may have in flight before it is known to be a member.
const NEWCOMER_WINDOW_BYTES: u32 = 64 * 1024;
/// So many packets may come before one is acknowledged for it, and so long it may take; what is sent meanwhile takes the
/// acknowledgement along. Far fewer than the least window holds, so that no sender waits for it.
const PACKETS_UNACKED: u32 = 8;
const ACK_DELAY: Duration = Duration::from_millis(5);
/// How long everything that is closing may take to say so.
const CLOSE_MS_MAX: u64 = 2_000;

/// How far away the other side is, which decides how soon a lost first packet is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Distance {
    /// On the store's LAN: 10 ms.
    Near,
    /// Headquarters, over the internet: 150 ms.
    Far,
}

impl Distance {
    /// How long a dial may take. Short on the LAN: what was dialled into a dead line is dialled again when it lives.
    fn dial_max(self) -> Duration {
        match self {
            Self::Near => Duration::from_millis(1_000),
            Self::Far => Duration::from_millis(HANDSHAKE_MS_MAX),
        }
    }
}

/// A connection whose peer was proven and admitted, on its way to its tenant.
#[derive(Debug)]
pub struct Arrival {
    /// The connection; nothing was read from it.
    pub connection: Connection,
    /// The key that the peer proved to hold.
    pub key: PublicKey,
    /// What it came for.
    pub protocol: Protocol,
    /// The root key's word for it, where it brought one: it is to be kept before the peer is dealt with as a member.
    pub introduction: Option<Introduction>,
}

/// One UDP socket and the stores behind it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Endpoint {
    quic: quinn::Endpoint,
    tenants: Arc<Tenants>,
    base: Arc<quinn::ServerConfig>,
}

impl Endpoint {
    /// Binds a socket of the machine.
    pub fn bind(listen: SocketAddr) -> Result<Self, BindError> {
        Self::bind_with(listen, quinn::EndpointConfig::default())
    }

    /// Binds a socket of the machine for a node that was perhaps killed a moment ago: peers that still talk to the dead
    /// process are told at once that it is gone (stateless reset, RFC 9000, section 10.3), with a token from the node's key.
    pub fn bind_again(listen: SocketAddr, key: &SecretKey) -> Result<Self, BindError> {
        Self::bind_with(listen, Self::config_again(key))
    }

    /// What makes that so: reset tokens and connection ids that follow from the node's key.
    pub(crate) fn config_again(key: &SecretKey) -> quinn::EndpointConfig {
        let secret = Hash::of("toko/reset/1", &[key.seed()]);
        let reset = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
        let mut config = quinn::EndpointConfig::new(Arc::new(reset));
        // Connection ids of the dead process must look like ours, or they are dropped before a reset is thought of.
        let ids = connection_ids(key);
        config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
        config
    }

    fn bind_with(listen: SocketAddr, config: quinn::EndpointConfig) -> Result<Self, BindError> {
        let failed = |source| BindError::Listen { addr: listen, source };
        let socket = std::net::UdpSocket::bind(listen).map_err(failed)?;
        let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime);
        let socket = runtime.wrap_udp_socket(socket).map_err(failed)?;
        Self::over(socket, runtime, config)
    }

    /// Runs over a socket and a runtime that are given: the simulated network, or one that drops packets on purpose.
    pub fn over(
        socket: Arc<dyn AsyncUdpSocket>,
        runtime: Arc<dyn Runtime>,
        config: quinn::EndpointConfig,
    ) -> Result<Self, BindError> {
        let tenants = Arc::new(Tenants::default());
        let base = base_config(&tenants)?;
        let addr = socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0; 4], 0)));
        let quic = quinn::Endpoint::new_with_abstract_socket(config, Some(base.clone()), socket, runtime)
            .map_err(|source| BindError::Listen { addr, source })?;
        Ok(Self { quic, tenants, base: Arc::new(base) })
    }

    /// Whoever arrives here comes over the internet, as at headquarters.
    #[must_use]
    pub fn far(self) -> Self {
        let mut base = (*self.base).clone();
        base.transport_config(Arc::new(unproven(Distance::Far)));
        self.quic.set_server_config(Some(base.clone()));
        Self { base: Arc::new(base), ..self }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quic.local_addr()
    }

    /// The stores behind it.
    #[must_use]
    pub fn tenants(&self) -> &Arc<Tenants> {
        &self.tenants
    }

    /// Dials and finishes our half of the handshake. The other side may still refuse our key: its first word, or its
    /// close, tells.
    pub async fn dial(&self, to: &Dial, key: &TlsKey) -> Result<Connection, DialError> {
        let addr = to.addr;
        let met = Met::default();
        let crypto =
            key.client(to.expect.clone(), to.protocol, to.introduction.as_ref(), Arc::clone(&met))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport(to.distance)));
        let failed = |why: &dyn std::fmt::Display| DialError::Failed { addr, why: why.to_string() };
        let connecting = self.quic.connect_with(config, addr, &to.name).map_err(|error| failed(&error))?;
        match tokio::time::timeout(to.distance.dial_max(), connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(match explain(addr, &error) {
                DialError::WrongPeer { addr, .. } => DialError::WrongPeer { addr, met: met.get().copied() },
                other => other,
            }),
            Err(_) => Err(DialError::NoAnswer { addr }),
        }
    }

    /// Accepts until it is told to stop. The owner of the endpoint runs this once.
    pub async fn serve(&self, stop: CancellationToken) {
        let hands = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let mut shaking = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = shaking.join_next() => {}
                incoming = self.quic.accept() => match incoming {
                    Some(incoming) => self.meet(incoming, &hands, &mut shaking),
                    None => break,
                },
            }
        }
        shaking.shutdown().await;
    }

    fn meet(&self, incoming: Incoming, hands: &Arc<Semaphore>, shaking: &mut JoinSet<()>) {
        let open = HANDSHAKES_MAX - hands.available_permits();
        if open >= RETRY_ABOVE && !incoming.remote_address_validated() && incoming.may_retry() {
            if let Err(error) = incoming.retry() {
                debug!(%error, "could not ask for address validation");
            }
            return;
        }
        let Ok(permit) = Arc::clone(hands).try_acquire_owned() else {
            debug!(peer = %incoming.remote_address(), "too many handshakes, refused");
            incoming.refuse();
            return;
        };
        let endpoint = self.clone();
        shaking.spawn(async move { endpoint.shake(incoming, permit).await });
    }

    /// One arriving handshake, then the second check, then over to the tenant.
    async fn shake(&self, incoming: Incoming, permit: OwnedSemaphorePermit) {
        let peer = incoming.remote_address();
        let door = Arc::new(Door::new(Arc::clone(&self.tenants)));
        let Ok(crypto) = tls::server(Arc::clone(&door)) else { return };
        let mut config = (*self.base).clone();
        config.crypto = Arc::new(crypto);
        let connecting = match incoming.accept_with(Arc::new(config)) {
            Ok(connecting) => connecting,
            Err(error) => return debug!(%peer, %error, "arrival broke off"),
        };
        let deadline = Duration::from_millis(HANDSHAKE_MS_MAX);
        let connection = match tokio::time::timeout(deadline, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return debug!(%peer, %error, "handshake refused"),
            Err(_) => return debug!(%peer, "handshake took too long"),
        };
        drop(permit);
        let asked = door.asked();
        let (Some(asked), Some(key)) = (asked, peer_key(&connection)) else {
            return close(&connection, CloseCode::NotMember);
        };
        if agreed_protocol(&connection) != Some(asked.protocol) || !asked.admits(&key) {
            return close(&connection, CloseCode::NotMember);
        }
        if asked.protocol == Protocol::Member {
            connection.set_receive_window(VarInt::from_u32(WINDOW_BYTES));
        }
        let Asked { tenant, protocol, introduction } = asked;
        let arrival = Arrival { connection, key, protocol, introduction };
        if let Err(error) = tenant.inbox.try_send(arrival) {
            let (mpsc::error::TrySendError::Full(arrival) | mpsc::error::TrySendError::Closed(arrival)) =
                error;
            close(&arrival.connection, CloseCode::Busy);
        }
    }

    /// Closes every connection and waits, for a moment, until that is said.
    pub async fn close(&self, code: CloseCode) {
        self.quic.close(code.code(), code.word().as_bytes());
        let idle = self.quic.wait_idle();
        if tokio::time::timeout(Duration::from_millis(CLOSE_MS_MAX), idle).await.is_err() {
            debug!("some peers did not hear that we are stopping");
        }
    }
}

/// One dial.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Where to.
    pub addr: SocketAddr,
    /// The name to ask for: [`tls::node_name`] or [`tls::store_name`].
    pub name: String,
    /// Whom to expect.
    pub expect: Expect,
    /// What for.
    pub protocol: Protocol,
    /// How far.
    pub distance: Distance,
    /// The root key's word for us, where the other side may not have heard it.
    pub introduction: Option<Introduction>,
}

impl Dial {
    /// A member's dial to a member on the LAN.
    #[must_use]
    pub fn member(addr: SocketAddr, node: NodeId) -> Self {
        let (name, expect) = (tls::node_name(&node), Expect::Node(node));
        let (protocol, distance) = (Protocol::Member, Distance::Near);
        Self { addr, name, expect, protocol, distance, introduction: None }
    }
}

fn base_config(tenants: &Arc<Tenants>) -> Result<quinn::ServerConfig, TlsError> {
    let crypto = tls::server(Arc::new(Door::new(Arc::clone(tenants))))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(unproven(Distance::Near)));
    config.max_incoming(2 * HANDSHAKES_MAX);
    config.incoming_buffer_size(16 * 1024);
    config.incoming_buffer_size_total(512 * 1024);
    config.retry_token_lifetime(Duration::from_secs(5));
    Ok(config)
}

/// For whoever arrives, and is not known to be a member yet.
fn unproven(distance: Distance) -> TransportConfig {
    let mut config = transport(distance);
    config.receive_window(VarInt::from_u32(NEWCOMER_WINDOW_BYTES));
    config
}

fn transport(distance: Distance) -> TransportConfig {
    let mut config = TransportConfig::default();
    let rtt_ms = match distance {
        Distance::Near => 10,
        Distance::Far => 150,
    };
    let idle = VarInt::from_u32(10_000);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(PACKETS_UNACKED)).max_ack_delay(Some(ACK_DELAY));
    config
        .ack_frequency_config(Some(acks))
        .initial_rtt(Duration::from_millis(rtt_ms))
        .max_idle_timeout(Some(idle.into()))
        .keep_alive_interval(None)
        .max_concurrent_bidi_streams(VarInt::from_u32(2))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(u64::from(WINDOW_BYTES))
        .datagram_receive_buffer_size(None)
        .enable_segmentation_offload(false);
    if distance == Distance::Near {
        config.congestion_controller_factory(Arc::new(window::WithFloor::default()));
    }
    config
}

/// What connection ids of a node have in common, over all its runs.
fn connection_ids(key: &SecretKey) -> u64 {
    let Hash([a, b, c, d, e, f, g, h, ..]) = Hash::of("toko/connection-ids/1", &[key.seed()]);
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn_proto::ConnectionIdGenerator;

    #[tokio::test]
    async fn a_peer_of_a_killed_process_is_told_by_the_next_one_with_its_key() {
        let key = SecretKey::from_seed([7; 32]);
        let next = Endpoint::bind_again("127.0.0.1:0".parse().unwrap(), &key).unwrap();
        let peer = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let id = HashedConnectionIdGenerator::from_key(connection_ids(&key)).generate_cid();
        // A short header, the id of a connection of the dead process, and what nobody can decrypt any more.
        let packet = [&[0x40], &id[..], &[0; 100]].concat();
        peer.send_to(&packet, next.local_addr().unwrap()).await.unwrap();
        let mut reset = [0; 1_500];
        let heard = tokio::time::timeout(Duration::from_secs(10), peer.recv(&mut reset)).await;
        assert!(heard.unwrap().unwrap() > 20, "a reset ends with a token of 16 bytes");
    }
}
