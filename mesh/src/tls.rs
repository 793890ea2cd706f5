//! Trust on the wire: a node is its key, and TLS 1.3 carries nothing but raw public keys (RFC 7250).
//!
//! Purpose: make the rustls configurations of both ends. Invariants: TLS 1.3 only; both ends always show a key; no tickets,
//! no resumption, no 0-RTT, because a resumed handshake would skip the member check; the cryptography is named here and
//! never taken from a process-wide default. A key that is no member of the store is refused inside the handshake
//! (`tls::verify`), so not one byte of a stranger reaches a decoder.
//!
//! Absent on purpose: certificates, authorities, expiry. Nothing at a till stops working because a date has passed.

use crate::tls::introduction::Introduction;
use crate::tls::verify::{Door, Met, Pin, ShowKey};
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use rustls::{client, server};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use toko_crdt::NodeId;
use toko_crdt::hash::hex;
use toko_crdt::ids::StoreId;
use toko_crdt::sign::{PublicKey, SecretKey};

pub mod introduction;
pub mod live;
pub mod tenants;
pub(crate) mod verify;

pub use live::LiveMembers;
pub use tenants::{Gate, Tenant, Tenants};

/// Bytes of a key's fingerprint, as codes and server names carry it: 80 bits.
pub const FINGERPRINT_BYTES: usize = 10;

/// What comes before the 32 key bytes in the DER of an Ed25519 public key (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What comes before the 32 seed bytes in PKCS#8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Which conversation a link is for. It is agreed in the handshake (ALPN).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Journals, between members.
    Member,
    /// Enrolment, open only while a code is outstanding.
    Newcomer,
    /// Whoever shows the store's root key asks who belongs to the store, to make a blank machine its hub.
    Recovery,
    /// A member that met somebody whom it does not know asks for the root key's word for that one.
    Word,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Member, Self::Newcomer, Self::Recovery, Self::Word];

    /// The name in the handshake.
    #[must_use]
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Self::Member => b"toko/1",
            Self::Newcomer => b"toko-enrol/1",
            Self::Recovery => b"toko-recover/1",
            Self::Word => b"toko-word/1",
        }
    }

    /// Reads the name in the handshake.
    #[must_use]
    pub fn from_alpn(alpn: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.alpn() == alpn)
    }
}

/// Whom a dialler expects to meet.
#[derive(Clone, Debug)]
pub enum Expect {
    /// This node and no other.
    Node(NodeId),
    /// Any member of the store that is not revoked.
    AnyMember(Arc<LiveMembers>),
    /// Nobody yet: what is said decides, by a code or by the root key.
    Anyone,
}

/// Why no TLS configuration could be made: a broken build, never a peer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The cryptography refused our key or protocol version.
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
    /// The cryptography lacks what QUIC needs.
    #[error("TLS cannot be set up for QUIC")]
    Suite(#[from] NoInitialCipherSuite),
}

/// A node's key in the form that handshakes want. Cheap to clone; prints nothing of itself.
#[derive(Clone)]
pub struct TlsKey {
    public: PublicKey,
    certified: Arc<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

impl TlsKey {
    /// Prepares a key for handshakes.
    pub fn new(key: &SecretKey) -> Result<Self, TlsError> {
        let pkcs8 = [PKCS8_PREFIX.as_slice(), key.seed()].concat();
        let signer = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8))?;
        let public = key.public();
        let spki = [SPKI_PREFIX.as_slice(), &public.0].concat();
        let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], signer));
        Ok(Self { public, certified, provider: provider() })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The node that this key is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId::of(&self.public)
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// The configuration of one dial: our key, one protocol, one expectation, and the root key's word for us, where the
    /// other side may not have heard it.
    pub(crate) fn client(
        &self,
        expect: Expect,
        protocol: Protocol,
        introduction: Option<&Introduction>,
        met: Met,
    ) -> Result<QuicClientConfig, TlsError> {
        let pin = Arc::new(Pin::new(expect, met, Arc::clone(&self.provider)));
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(pin)
            .with_client_cert_resolver(Arc::new(ShowKey(self.certified())));
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        config.alpn_protocols.extend(introduction.map(Introduction::alpn));
        config.resumption = client::Resumption::disabled();
        config.enable_early_data = false;
        Ok(QuicClientConfig::try_from(config)?)
    }
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsKey").field(&self.node()).finish()
    }
}

/// The configuration of one arriving connection. Each gets a [`Door`] of its own, since the member check needs the tenant
/// and the protocol that the same connection asked for.
pub(crate) fn server(door: Arc<Door>) -> Result<QuicServerConfig, TlsError> {
    let mut config = rustls::ServerConfig::builder_with_provider(door.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::clone(&door) as _)
        .with_cert_resolver(door);
    config.alpn_protocols = Protocol::ALL.map(|protocol| protocol.alpn().to_vec()).to_vec();
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(server::NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(QuicServerConfig::try_from(config)?)
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The name under which a node's door is asked for (SNI). It says which tenant is meant, and proves nothing.
#[must_use]
pub fn node_name(node: &NodeId) -> String {
    hq_name(&node_fingerprint(node))
}

/// The same name, for somebody who knows the node's fingerprint only, from a code.
#[must_use]
pub fn hq_name(fingerprint: &[u8; FINGERPRINT_BYTES]) -> String {
    format!("n{}", hex(fingerprint))
}

/// The name under which a store's hub is asked for by somebody who knows the store and no node of it.
#[must_use]
pub fn store_name(fingerprint: &[u8; FINGERPRINT_BYTES]) -> String {
    format!("s{}", hex(fingerprint))
}

/// The first 80 bits of a store's id: of the hash of its root key.
#[must_use]
pub fn store_fingerprint(store: &StoreId) -> [u8; FINGERPRINT_BYTES] {
    first(&store.0)
}

/// The first 80 bits of a node's id: of the hash of its key.
#[must_use]
pub fn node_fingerprint(node: &NodeId) -> [u8; FINGERPRINT_BYTES] {
    first(&node.0)
}

fn first(bytes: &[u8; 32]) -> [u8; FINGERPRINT_BYTES] {
    let mut out = [0; FINGERPRINT_BYTES];
    out.copy_from_slice(&bytes[..FINGERPRINT_BYTES]);
    out
}

/// Reads the Ed25519 key out of what the peer showed. `None` for any other kind of key or a certificate.
#[must_use]
pub(crate) fn read_key(shown: &CertificateDer<'_>) -> Option<PublicKey> {
    let key = shown.as_ref().strip_prefix(&SPKI_PREFIX)?;
    Some(PublicKey(key.try_into().ok()?))
}

/// The key that the peer of a connection has proven to hold.
#[must_use]
pub fn peer_key(connection: &quinn::Connection) -> Option<PublicKey> {
    let shown = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    match shown.as_slice() {
        [only] => read_key(only),
        _ => None,
    }
}

/// The protocol that a connection agreed on.
#[must_use]
pub fn agreed_protocol(connection: &quinn::Connection) -> Option<Protocol> {
    let data = connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?;
    Protocol::from_alpn(&data.protocol?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_as_rfc_8410_writes_it_and_reads_back() {
        let secret = SecretKey::from_seed([7; 32]);
        let key = TlsKey::new(&secret).unwrap();
        let shown = &key.certified.cert[0];
        assert_eq!(shown.len(), 44);
        assert_eq!(read_key(shown), Some(secret.public()));
        assert_eq!(key.certified.key.public_key().unwrap().as_ref(), shown.as_ref(), "as rustls derives it");
    }

    #[test]
    fn anything_but_one_ed25519_key_is_no_key() {
        for bad in [vec![], SPKI_PREFIX.to_vec(), vec![0; 44], [SPKI_PREFIX.as_slice(), &[1; 33]].concat()] {
            assert_eq!(read_key(&CertificateDer::from(bad)), None);
        }
    }

    #[test]
    fn names_of_doors_are_names_that_tls_can_carry() {
        for byte in [0x00, 0x11, 0xff] {
            let name = node_name(&NodeId([byte; 32]));
            assert!(rustls::pki_types::ServerName::try_from(name).is_ok());
        }
    }

    #[test]
    fn a_tls_key_prints_nothing_secret() {
        let key = TlsKey::new(&SecretKey::from_seed([0xab; 32])).unwrap();
        assert!(!format!("{key:?}").contains("abab"));
    }
}
