//! The root key's word for a new hub, shown to whoever has not heard of it.
//!
//! A hub that succeeded another is no member for those who were dark when that happened: a till that was switched off,
//! headquarters behind a dead line, a restored backup. So a hub of a later term says with each hello what the root key said
//! of it: the signed statement itself, as a second name in the list of protocols (ALPN), which no server ever picks. It is
//! judged inside the handshake, so a stranger gets no further with it than without. Whoever dials such a hub without knowing
//! it asks it for the same word, on a connection that is for nothing else (`node::word`).
//!
//! *Source*: RFC 7301 (a protocol's name is 1 to 255 opaque bytes). Absent on purpose: any other claim than "hub".

use toko_crdt::member::{Claim, Members, Statement};
use toko_crdt::sign::PublicKey;

/// The longest name of a protocol.
pub(crate) const ALPN_BYTES_MAX: usize = 255;
const PREFIX: &[u8] = b"toko-hub/1:";

/// A statement that names a hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Introduction(Statement);

impl Introduction {
    /// The word for a hub; `None` for any other claim.
    #[must_use]
    pub fn of(statement: &Statement) -> Option<Self> {
        let fits = PREFIX.len() + statement.encode().len() <= ALPN_BYTES_MAX;
        (fits && matches!(statement.claim(), Claim::Hub { .. })).then(|| Self(statement.clone()))
    }

    /// What it says.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.0
    }

    /// As it is told to whoever asks for it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.encode()
    }

    /// Reads what was told. `None` for anything else than a word for a hub.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::of(&Statement::decode(bytes).ok()?)
    }

    pub(crate) fn alpn(&self) -> Vec<u8> {
        [PREFIX, &self.to_bytes()].concat()
    }

    pub(crate) fn from_alpn(bytes: &[u8]) -> Option<Self> {
        Self::from_bytes(bytes.strip_prefix(PREFIX)?)
    }

    /// Whether a key is a member once this is heard: the root key says that it is hub, and nobody who may has revoked it.
    pub(crate) fn makes_member(&self, key: &PublicKey, members: &Members) -> bool {
        let names_it = matches!(self.0.claim(), Claim::Hub { key: named, .. } if named == key);
        // The set is copied only for what the root key signed.
        if !names_it || self.0.issuer() != members.root() || !self.0.verify() {
            return false;
        }
        let mut heard = members.clone();
        heard.add(self.0.clone()).is_ok() && heard.is_member(&self.0.subject())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::StoreId;
    use toko_crdt::frontier::Frontier;
    use toko_crdt::sign::SecretKey;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    fn hub(root: u8, term: u64, hub: u8) -> Statement {
        let root = key(root);
        let claim = Claim::Hub { term, key: key(hub).public() };
        Statement::sign(&StoreId::of(&root.public()), &root, claim)
    }

    #[test]
    fn the_longest_word_for_a_hub_fits_into_the_name_of_a_protocol() {
        let word = Introduction::of(&hub(1, u64::MAX, 3)).unwrap();
        assert!(word.alpn().len() <= ALPN_BYTES_MAX);
        assert_eq!(Introduction::from_alpn(&word.alpn()), Some(word));
        assert_eq!(Introduction::from_alpn(b"h3"), None);
    }

    #[test]
    fn only_the_root_keys_word_for_this_very_key_makes_a_member() {
        let mut members = Members::new(key(1).public());
        members.add(hub(1, 1, 2)).unwrap();
        let word = |statement: Statement| Introduction::of(&statement).unwrap();
        let new = key(3).public();
        assert!(word(hub(1, 2, 3)).makes_member(&new, &members));
        assert!(!word(hub(1, 2, 4)).makes_member(&new, &members), "the word for somebody else");
        assert!(!word(hub(9, 2, 3)).makes_member(&new, &members), "of another store");
        let claim = Claim::Hub { term: 2, key: new };
        let false_word = Statement::sign(members.store(), &key(2), claim);
        assert!(!word(false_word).makes_member(&new, &members), "signed by a hub");
    }

    #[test]
    fn a_revoked_hub_is_not_let_in_by_the_word_that_once_made_it_hub() {
        let mut members = Members::new(key(1).public());
        members.add(hub(1, 2, 2)).unwrap();
        let old = hub(1, 1, 3);
        let claim = Claim::Revoked { term: 2, node: key(3).node(), cut: Frontier::default() };
        members.add(Statement::sign(&StoreId::of(&key(1).public()), &key(2), claim)).unwrap();
        assert!(!Introduction::of(&old).unwrap().makes_member(&key(3).public(), &members));
    }
}
