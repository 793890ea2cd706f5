//! The set of statements that a node holds, and what it says of each node.

use super::{Claim, Roles, STATEMENTS_MAX, Statement, StatementError};
use crate::frontier::Frontier;
use crate::hash::Hash;
use crate::ids::{NodeId, StoreId};
use crate::sign::PublicKey;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

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
    /// Hubs that are revoked by one that outranks them.
    out: BTreeSet<NodeId>,
}

/// The place of a hub among hubs, or of a statement by one: the highest term, then the lower key.
type Rank = (u64, Reverse<PublicKey>);

/// All that statements say of one node.
#[derive(Clone, Default, Debug)]
struct Record {
    key: Option<PublicKey>,
    roles: Roles,
    /// Who enrolled it.
    enrolled_by: BTreeSet<NodeId>,
    /// Who revoked it, as what, and where the cut is.
    revocations: Vec<(Rank, NodeId, Frontier)>,
    /// The union of the cuts that count.
    cut: Option<Frontier>,
    /// Whether the root key, or a hub that is not out, says that it belongs here.
    vouched: bool,
}

static STRANGER: Roles = Roles { hub_terms: Vec::new(), headquarters: false, terminal: Vec::new() };

impl Record {
    /// Which revocations count: those by hubs that outrank it, where it is a hub itself, and that are not out.
    fn judge(&mut self, rank: Option<Rank>, out: &BTreeSet<NodeId>) {
        let counts = |(by, issuer, _): &&(Rank, NodeId, Frontier)| {
            let outranks = rank.is_none_or(|rank| *by > rank) || crate::mutant!("succeeded-hub-deposes");
            !out.contains(issuer) && outranks
        };
        self.cut = None;
        for (_, _, cut) in self.revocations.iter().filter(counts) {
            self.cut.get_or_insert_default().join(cut);
        }
        let by_root = self.roles.headquarters || self.roles.is_hub();
        self.vouched = by_root || self.enrolled_by.iter().any(|hub| !out.contains(hub));
    }
}

impl Members {
    /// The empty set of the store with this root key.
    #[must_use]
    pub fn new(root: PublicKey) -> Self {
        let (statements, records) = (BTreeMap::new(), BTreeMap::new());
        let (hubs, out) = (BTreeSet::new(), BTreeSet::new());
        Self { store: StoreId::of(&root), root, statements, records, hubs, out }
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

    /// Whether this very statement is in the set.
    #[must_use]
    pub fn holds(&self, statement: &Hash) -> bool {
        self.statements.contains_key(statement)
    }

    fn note(&mut self, statement: &Statement) {
        let (subject, issuer) = (statement.subject(), statement.issuer);
        let record = self.records.entry(subject).or_default();
        match &statement.claim {
            Claim::Hub { term, key } => {
                record.key = Some(*key);
                record.roles.hub_terms.push(*term);
                record.roles.hub_terms.sort_unstable();
                self.hubs.insert((*term, *key));
                // Ranks move: what counted may count no more, and the other way round.
            }
            Claim::Headquarters { key } => {
                record.key = Some(*key);
                record.roles.headquarters = true;
            }
            Claim::Terminal { key, number, name, .. } => {
                record.key = Some(*key);
                let role = (*number, name.clone());
                if let Err(at) = record.roles.terminal.binary_search(&role) {
                    record.roles.terminal.insert(at, role);
                }
                record.enrolled_by.insert(NodeId::of(&issuer));
            }
            Claim::Revoked { term, cut, .. } => {
                let rank = (*term, Reverse(issuer));
                record.revocations.push((rank, NodeId::of(&issuer), cut.clone()));
            }
        }
        if record.roles.is_hub() {
            return self.judge_all();
        }
        record.judge(None, &self.out);
    }

    /// Judges hubs from the highest rank down, since only a higher one can put a lower one out, and then everybody.
    fn judge_all(&mut self) {
        let mut ranks: BTreeMap<NodeId, Rank> = BTreeMap::new();
        for (term, key) in &self.hubs {
            let rank = ranks.entry(NodeId::of(key)).or_insert((*term, Reverse(*key)));
            *rank = (*rank).max((*term, Reverse(*key)));
        }
        let mut hubs: Vec<(Rank, NodeId)> = ranks.iter().map(|(node, rank)| (*rank, *node)).collect();
        hubs.sort_unstable_by(|one, other| other.cmp(one));
        self.out.clear();
        for (rank, node) in hubs {
            let Some(record) = self.records.get_mut(&node) else { continue };
            record.judge(Some(rank), &self.out);
            if record.cut.is_some() {
                self.out.insert(node);
            }
        }
        for (_, record) in self.records.iter_mut().filter(|(node, _)| !ranks.contains_key(*node)) {
            record.judge(None, &self.out);
        }
    }

    fn rank_of(&self, node: &NodeId) -> Option<Rank> {
        let own = self.hubs.iter().filter(|(_, key)| NodeId::of(key) == *node);
        own.map(|(term, key)| (*term, Reverse(*key))).max()
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

    /// Whether links with this node are allowed: whoever may says that it belongs here, and nobody who may has revoked it.
    #[must_use]
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.records.get(node).is_some_and(|record| {
            let revoked = record.cut.is_some() && !crate::mutant!("revoked-stays-member");
            record.vouched && !revoked
        })
    }

    /// The cut of a revocation of this node: the union of all cuts that count.
    #[must_use]
    pub fn revoked(&self, node: &NodeId) -> Option<Frontier> {
        self.records.get(node)?.cut.clone()
    }

    /// The hub: highest term, then lowest key. No other hub can put it out.
    #[must_use]
    pub fn hub(&self) -> Option<(u64, NodeId)> {
        let best = match crate::mutant!("old-term-stands") {
            true => self.hubs.first(),
            false => self.hubs.iter().max_by_key(|(term, key)| (*term, Reverse(*key))),
        };
        best.map(|(term, key)| (*term, NodeId::of(key)))
    }

    /// Everybody of whom the root key says that it is hub in the highest term, and who is not out. *Shape*: one in an orderly
    /// shop; of several, [`Members::hub`] is the hub.
    #[must_use]
    pub fn hubs_of_last_term(&self) -> Vec<NodeId> {
        let last = self.last_term();
        let keys = self.hubs.iter().filter(|(term, _)| *term == last);
        keys.map(|(_, key)| NodeId::of(key)).filter(|node| !self.out.contains(node)).collect()
    }

    /// What a hub said and nobody else who counts: to be said again before it is put out, or it goes with it.
    #[must_use]
    pub fn said_only_by(&self, hub: &NodeId) -> Vec<Claim> {
        let mut out = self.out.clone();
        out.insert(*hub);
        let goes_with_it = |statement: &&Statement| {
            let Some(record) = self.records.get(&statement.subject()) else { return false };
            let mut without = record.clone();
            without.judge(self.rank_of(&statement.subject()), &out);
            match &statement.claim {
                Claim::Terminal { .. } => record.vouched && !without.vouched,
                Claim::Revoked { .. } => record.cut.is_some() && without.cut.is_none(),
                Claim::Hub { .. } | Claim::Headquarters { .. } => false,
            }
        };
        let by_it = self.statements.values().filter(|statement| NodeId::of(&statement.issuer) == *hub);
        by_it.filter(goes_with_it).map(|statement| statement.claim.clone()).collect()
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
