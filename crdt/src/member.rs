//! Who belongs to a store: a grow-only set of signed statements, and what follows from it.
//!
//! The store's root key signs only who is hub in which term, and who is headquarters. The hub of a term enrols and revokes
//! terminals. Nothing here expires by a clock, and nothing is ever taken out of the set: a revocation is one more statement.
//! Equal terms: the hub with the lower key is the hub; harmless, since all that a hub writes commutes.

use crate::codec::{self, CodecError};
use crate::frontier::Frontier;
use crate::hash::Hash;
use crate::ids::{NodeId, StoreId};
use crate::sign::{PublicKey, SecretKey, Signature};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
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

/// All statements that a node holds about its store.
#[derive(Clone, Debug)]
pub struct Members {
    store: StoreId,
    root: PublicKey,
    statements: BTreeMap<Hash, Statement>,
    /// What the statements say of each node, kept with every [`Members::add`]: asked for with every entry.
    records: BTreeMap<NodeId, Record>,
    /// Every term's hub keys.
    hubs: BTreeSet<(u64, PublicKey)>,
}

/// All that statements say of one node.
#[derive(Clone, Default, Debug)]
struct Record {
    key: Option<PublicKey>,
    roles: Roles,
    cut: Option<Frontier>,
}

static STRANGER: Roles = Roles { hub_terms: Vec::new(), headquarters: false, terminal: Vec::new() };

impl Members {
    /// The empty set of the store with this root key.
    #[must_use]
    pub fn new(root: PublicKey) -> Self {
        let (statements, records, hubs) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { store: StoreId::of(&root), root, statements, records, hubs }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &StoreId {
        &self.store
    }

    /// The root key, whose hash is the store.
    #[must_use]
    pub fn root(&self) -> &PublicKey {
        &self.root
    }

    /// Takes a statement in. `false` when it was there already.
    ///
    /// Errors: other store, bad signature, an issuer that may not say this (perhaps a statement about the issuer is
    /// missing: offer them in the order root first). The set is then unchanged.
    pub fn add(&mut self, statement: Statement) -> Result<bool, StatementError> {
        if statement.store != self.store {
            let (theirs, ours) = (statement.store.short(), self.store.short());
            return Err(StatementError::OtherStore { theirs, ours });
        }
        let hash = statement.hash();
        if self.statements.contains_key(&hash) {
            return Ok(false);
        }
        if self.statements.len() >= STATEMENTS_MAX {
            return Err(StatementError::Full);
        }
        let allowed = match &statement.claim {
            Claim::Hub { .. } | Claim::Headquarters { .. } => statement.issuer == self.root,
            Claim::Terminal { term, .. } | Claim::Revoked { term, .. } => {
                self.is_hub_key(&statement.issuer, *term)
            }
        };
        if !allowed {
            return Err(StatementError::Issuer);
        }
        if !statement.verify() && !crate::mutant!("trust-unsigned-statement") {
            return Err(StatementError::Signature);
        }
        self.note(&statement);
        self.statements.insert(hash, statement);
        Ok(true)
    }

    fn note(&mut self, statement: &Statement) {
        let record = self.records.entry(statement.subject()).or_default();
        match &statement.claim {
            Claim::Hub { term, key } => {
                record.key = Some(*key);
                record.roles.hub_terms.push(*term);
                record.roles.hub_terms.sort_unstable();
                self.hubs.insert((*term, *key));
            }
            Claim::Headquarters { key } => {
                record.key = Some(*key);
                record.roles.headquarters = true;
            }
            Claim::Terminal { key, number, name, .. } => {
                record.key = Some(*key);
                record.roles.terminal.push((*number, name.clone()));
                record.roles.terminal.sort_unstable();
            }
            Claim::Revoked { cut, .. } => record.cut.get_or_insert_default().join(cut),
        }
    }

    fn is_hub_key(&self, key: &PublicKey, at: u64) -> bool {
        self.hubs.contains(&(at, *key)) || crate::mutant!("anybody-enrols")
    }

    /// All statements, root's first, so that another set can take them in this order.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        let by_root = |s: &&Statement| matches!(s.claim, Claim::Hub { .. } | Claim::Headquarters { .. });
        self.statements.values().filter(by_root).chain(self.statements.values().filter(move |s| !by_root(s)))
    }

    /// A hash over the set, so that two nodes see cheaply whether theirs are equal.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        let hashes: Vec<&[u8]> = self.statements.keys().map(|hash| hash.0.as_slice()).collect();
        Hash::of("toko/members/1", &hashes)
    }

    /// What a node may be. *Shape*: empty roles for a stranger.
    #[must_use]
    pub fn roles(&self, node: &NodeId) -> Roles {
        self.roles_of(node).clone()
    }

    /// What a node may be, without a copy. *Shape*: empty roles for a stranger.
    #[must_use]
    pub fn roles_of(&self, node: &NodeId) -> &Roles {
        self.records.get(node).map_or(&STRANGER, |record| &record.roles)
    }

    /// The key of a node that some statement names, member or revoked.
    #[must_use]
    pub fn key(&self, node: &NodeId) -> Option<PublicKey> {
        self.records.get(node)?.key
    }

    /// Whether links with this node are allowed: it has a role and nobody revoked it.
    #[must_use]
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.records.get(node).is_some_and(|record| {
            let revoked = record.cut.is_some() && !crate::mutant!("revoked-stays-member");
            record.roles.any() && !revoked
        })
    }

    /// The cut of a revocation of this node: the union of all cuts.
    #[must_use]
    pub fn revoked(&self, node: &NodeId) -> Option<Frontier> {
        self.records.get(node)?.cut.clone()
    }

    /// The hub: highest term, then lowest key. A revoked hub is none.
    #[must_use]
    pub fn hub(&self) -> Option<(u64, NodeId)> {
        let standing = self.hubs.iter().map(|(term, key)| (*term, *key, NodeId::of(key)));
        let standing =
            standing.filter(|(_, _, node)| self.records.get(node).is_some_and(|record| record.cut.is_none()));
        let rank = |term: u64| if crate::mutant!("old-term-stands") { u64::MAX - term } else { term };
        standing.max_by_key(|(term, key, _)| (rank(*term), Reverse(*key))).map(|(term, _, node)| (term, node))
    }

    /// The highest term that the root key has spoken of; 0 before the first.
    #[must_use]
    pub fn last_term(&self) -> u64 {
        self.hubs.last().map_or(0, |(term, _)| *term)
    }

    /// Headquarters, where the store has one.
    #[must_use]
    pub fn headquarters(&self) -> Vec<NodeId> {
        let named =
            self.records.iter().filter(|(_, record)| record.roles.headquarters && record.cut.is_none());
        named.map(|(node, _)| *node).collect()
    }

    /// All nodes that have a role, revoked ones too.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        self.records.keys().copied().collect()
    }
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

#[cfg(test)]
mod tests;
