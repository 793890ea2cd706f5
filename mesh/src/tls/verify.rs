//! The two verifiers: [`Door`] on the side that is dialled, [`Pin`] on the side that dials.

use crate::tls::introduction::Introduction;
use crate::tls::{Expect, Protocol, Tenant, Tenants, provider, read_key};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use toko_crdt::NodeId;
use toko_crdt::sign::PublicKey;

/// Shows our one key to a server, whatever it asks for.
#[derive(Debug)]
pub(crate) struct ShowKey(pub(crate) Arc<CertifiedKey>);

impl ResolvesClientCert for ShowKey {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What one arriving connection asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) protocol: Protocol,
    /// The root key's word for whoever comes; judged with the key.
    pub(crate) introduction: Option<Introduction>,
}

/// The door of one arriving connection: first it learns which tenant and protocol are wanted, then it judges the key.
#[derive(Debug)]
pub(crate) struct Door {
    tenants: Arc<Tenants>,
    provider: Arc<CryptoProvider>,
    /// Set by the client's hello. A second hello (after a retry request) replaces it, and is what the rest is bound to.
    asked: Mutex<Option<Asked>>,
}

impl Door {
    pub(crate) fn new(tenants: Arc<Tenants>) -> Self {
        Self { tenants, provider: provider(), asked: Mutex::new(None) }
    }

    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::clone(&self.provider)
    }

    pub(crate) fn asked(&self) -> Option<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn judge_hello(&self, hello: &ClientHello<'_>) -> Option<Asked> {
        let tenant = self.tenants.find(hello.server_name())?;
        let mut wanted = hello.alpn()?;
        let protocol = Protocol::from_alpn(wanted.next()?)?;
        let introduction = match (protocol, wanted.next()) {
            (_, None) => None,
            (Protocol::Member, Some(bytes)) => Some(Introduction::from_alpn(bytes)?),
            (_, Some(_)) => return None,
        };
        let no_more = wanted.next().is_none();
        let welcome = match protocol {
            Protocol::Member | Protocol::Recovery | Protocol::Word => tenant.members.is_some(),
            Protocol::Newcomer => tenant.admits_newcomers(),
        };
        (no_more && welcome).then_some(Asked { tenant, protocol, introduction })
    }
}

impl Asked {
    /// Whether this key may come in for what was asked. Judged in the handshake, and again before the first byte is read.
    pub(crate) fn admits(&self, key: &PublicKey) -> bool {
        let Some(members) = self.tenant.members.as_ref().map(|members| members.now()) else {
            return self.protocol == Protocol::Newcomer && self.tenant.admits_newcomers();
        };
        match self.protocol {
            Protocol::Member if toko_crdt::mutant!("let-strangers-in") => true,
            Protocol::Member => {
                let introduced = |word: &Introduction| word.makes_member(key, &members);
                members.is_member(&NodeId::of(key)) || self.introduction.as_ref().is_some_and(introduced)
            }
            Protocol::Newcomer => self.tenant.admits_newcomers(),
            Protocol::Recovery => key == members.root(),
            Protocol::Word => members.is_member(&NodeId::of(key)),
        }
    }
}

impl ResolvesServerCert for Door {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = self.judge_hello(&hello);
        let key = asked.as_ref().map(|asked| asked.tenant.key.certified());
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        key
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Door {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let key = only_key(shown, more)?;
        match self.asked() {
            Some(asked) if asked.admits(&key) => Ok(ClientCertVerified::assertion()),
            _ => Err(refused()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(message, shown, signature, &self.provider)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Whom one dial expects.
#[derive(Debug)]
pub(crate) struct Pin {
    expect: Expect,
    met: Met,
    provider: Arc<CryptoProvider>,
}

/// Whose key was shown by somebody else than was expected. Nothing is proven by it yet.
pub(crate) type Met = Arc<OnceLock<NodeId>>;

impl Pin {
    pub(crate) fn new(expect: Expect, met: Met, provider: Arc<CryptoProvider>) -> Self {
        Self { expect, met, provider }
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let node = NodeId::of(&only_key(shown, more)?);
        let expected = match &self.expect {
            Expect::Node(expected) => *expected == node || toko_crdt::mutant!("believe-whoever-answers"),
            Expect::AnyMember(members) => members.admits(&node),
            Expect::Anyone => true,
        };
        if expected {
            return Ok(ServerCertVerified::assertion());
        }
        let _ = self.met.set(node);
        Err(refused())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(message, shown, signature, &self.provider)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn only_key(shown: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<PublicKey, Error> {
    match (read_key(shown), more) {
        (Some(key), []) => Ok(key),
        _ => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
    }
}

fn check_signature(
    message: &[u8],
    shown: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    provider: &CryptoProvider,
) -> Result<HandshakeSignatureValid, Error> {
    let spki = SubjectPublicKeyInfoDer::from(shown.as_ref());
    verify_tls13_signature_with_raw_key(
        message,
        &spki,
        signature,
        &provider.signature_verification_algorithms,
    )
}

/// On the wire this is the alert `access_denied`.
fn refused() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

fn no_tls12() -> Error {
    Error::General("only TLS 1.3 is spoken here".into())
}
