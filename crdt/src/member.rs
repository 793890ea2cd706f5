//! Who belongs to a store: a grow-only set of signed statements, and what follows from it.
//!
//! The store's root key signs only who is hub in which term, and who is headquarters. The hub of a term enrols and revokes
//! terminals. Nothing here expires by a clock, and nothing is ever taken out of the set: a revocation is one more statement.
//! Equal terms: the hub with the lower key is the hub; harmless, since all that a hub writes commutes.
//!
//! Hubs rank by term, then by the lower key. A hub's word against another hub counts only if it ranks higher, so a hub that
//! was succeeded, or stolen, deposes nobody. Once a hub is revoked nothing that it signed lets anybody in or keeps anybody out;
//! whoever revokes it says again what of that should stand. All of this is judged from the set alone, in any order.

use crate::codec::{self, CodecError};
use crate::frontier::Frontier;
use crate::hash::Hash;
use crate::ids::{NodeId, StoreId};
use crate::sign::{PublicKey, SecretKey, Signature};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The largest encoded statement; a revocation carries a frontier.
pub const STATEMENT_BYTES_MAX: usize = 48 * 1024;
/// The longest terminal name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// How many statements a store may have: enrolments and revocations of many years.
pub const STATEMENTS_MAX: usize = 8_192;

const SIGN_DOMAIN: &str = "toko/member-signature/1";

/// What a statement says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// By the root key: this key is the hub in this term. A higher term succeeds.
    Hub {
        /// Counts successions, from 1.
        term: u64,
        /// The hub's key.
        key: PublicKey,
    },
    /// By the root key: this key is headquarters for this store.
    Headquarters {
        /// HQ's key for this store.
        key: PublicKey,
    },
    /// By the hub of `term`: this key is a terminal.
    Terminal {
        /// Term of the hub that signs.
        term: u64,
        /// The terminal's key.
        key: PublicKey,
        /// The terminal's number, on every receipt. From 1.
        number: u16,
        /// What people call it. *Shape*: at most [`NAME_BYTES_MAX`] bytes, no control characters.
        name: String,
    },
    /// By the hub of `term`: this node is out. What it wrote up to `cut` stands unflagged.
    Revoked {
        /// Term of the hub that signs.
        term: u64,
        /// Who is out.
        node: NodeId,
        /// What the hub held of the node's journals.
        cut: Frontier,
    },
}

/// A signed claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    store: StoreId,
    issuer: PublicKey,
    claim: Claim,
    signature: Signature,
}

/// What a node may be, judged from statements about it alone. Roles are only ever added.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Roles {
    /// Terms in which it is hub.
    pub hub_terms: Vec<u64>,
    /// Whether it is headquarters.
    pub headquarters: bool,
    /// Its terminal numbers and names, by statement; one in an orderly shop.
    pub terminal: Vec<(u16, String)>,
}

/// Why a statement was not taken in. The set is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StatementError {
    /// It speaks of another store.
    #[error("the statement is of store {theirs}, this is store {ours}")]
    OtherStore {
        /// The store in the statement.
        theirs: String,
        /// This store.
        ours: String,
    },
    /// The signature is not the issuer's.
    #[error("the statement is not signed by its issuer")]
    Signature,
    /// The issuer may not say this, or nothing that we hold says that it may: perhaps a statement is missing.
    #[error("the issuer is not known to be allowed to say this")]
    Issuer,
    /// The set is full.
    #[error("more than {STATEMENTS_MAX} statements")]
    Full,
}

impl Statement {
    /// Signs a claim about `store`.
    #[must_use]
    pub fn sign(store: &StoreId, issuer: &SecretKey, claim: Claim) -> Self {
        let bytes = signed_bytes(store, &issuer.public(), &claim);
        Self { store: *store, issuer: issuer.public(), claim, signature: issuer.sign(SIGN_DOMAIN, &bytes) }
    }

    /// What it says.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Who signed it.
    #[must_use]
    pub fn issuer(&self) -> &PublicKey {
        &self.issuer
    }

    /// Of which store it speaks.
    #[must_use]
    pub fn store(&self) -> &StoreId {
        &self.store
    }

    /// Identity of the statement: hash of what is signed.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of("toko/member/1", &[&signed_bytes(&self.store, &self.issuer, &self.claim)])
    }

    /// Of whom it speaks.
    #[must_use]
    pub fn subject(&self) -> NodeId {
        match &self.claim {
            Claim::Hub { key, .. } | Claim::Headquarters { key } | Claim::Terminal { key, .. } => {
                NodeId::of(key)
            }
            Claim::Revoked { node, .. } => *node,
        }
    }

    /// Whether the issuer signed it.
    #[must_use]
    pub fn verify(&self) -> bool {
        let bytes = signed_bytes(&self.store, &self.issuer, &self.claim);
        self.issuer.verify(SIGN_DOMAIN, &bytes, &self.signature)
    }

    /// The kept and sent form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = signed_bytes(&self.store, &self.issuer, &self.claim);
        out.extend_from_slice(&self.signature.0);
        out
    }

    /// Reads the kept or sent form. The signature is not checked here.
    ///
    /// Errors: any byte that is not as [`Statement::encode`] writes it; names with control characters.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let what = "member statement";
        codec::check_len(bytes, STATEMENT_BYTES_MAX)?;
        let (signed, signature) = bytes.split_last_chunk::<64>().ok_or(CodecError::Malformed { what })?;
        let v1: StatementV1 = codec::decode(what, 1, signed, STATEMENT_BYTES_MAX)?;
        let claim = match v1.claim {
            ClaimV1::Hub { term, key } => Claim::Hub { term, key: PublicKey(key) },
            ClaimV1::Headquarters { key } => Claim::Headquarters { key: PublicKey(key) },
            ClaimV1::Terminal { term, key, number, name } => {
                if !name_is_sane(&name) || number == 0 {
                    return Err(CodecError::Malformed { what });
                }
                Claim::Terminal { term, key: PublicKey(key), number, name }
            }
            ClaimV1::Revoked { term, node, cut } => {
                Claim::Revoked { term, node: NodeId(node), cut: Frontier::decode(&cut)? }
            }
        };
        let (store, issuer) = (StoreId(v1.store), PublicKey(v1.issuer));
        let statement = Self { store, issuer, claim, signature: Signature(*signature) };
        // Numbers have longer forms too; only the one that is written is read.
        if statement.encode() == bytes { Ok(statement) } else { Err(CodecError::Malformed { what }) }
    }
}

/// Whether a terminal may be called that: 1 to [`NAME_BYTES_MAX`] bytes, no control characters.
#[must_use]
pub fn name_is_sane(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control) && name.trim() == name
}

impl Roles {
    /// Whether there is any role.
    #[must_use]
    pub fn any(&self) -> bool {
        self.headquarters || !self.hub_terms.is_empty() || !self.terminal.is_empty()
    }

    /// Whether it is hub in some term.
    #[must_use]
    pub fn is_hub(&self) -> bool {
        !self.hub_terms.is_empty()
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        !self.terminal.is_empty()
    }
}

fn signed_bytes(store: &StoreId, issuer: &PublicKey, claim: &Claim) -> Vec<u8> {
    let claim = match claim.clone() {
        Claim::Hub { term, key } => ClaimV1::Hub { term, key: key.0 },
        Claim::Headquarters { key } => ClaimV1::Headquarters { key: key.0 },
        Claim::Terminal { term, key, number, name } => ClaimV1::Terminal { term, key: key.0, number, name },
        Claim::Revoked { term, node, cut } => ClaimV1::Revoked { term, node: node.0, cut: cut.encode() },
    };
    codec::encode(1, &StatementV1 { store: store.0, issuer: issuer.0, claim })
}

#[derive(Serialize, Deserialize)]
struct StatementV1 {
    store: [u8; 32],
    issuer: [u8; 32],
    claim: ClaimV1,
}

#[derive(Serialize, Deserialize)]
enum ClaimV1 {
    Hub { term: u64, key: [u8; 32] },
    Headquarters { key: [u8; 32] },
    Terminal { term: u64, key: [u8; 32], number: u16, name: String },
    Revoked { term: u64, node: [u8; 32], cut: Vec<u8> },
}

mod set;

pub use set::Members;

#[cfg(test)]
mod tests;
