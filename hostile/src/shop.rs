//! A store whose keys everybody knows, so that a target can sign what it makes up.

use std::sync::OnceLock;
use toko_crdt::clock::Hlc;
use toko_crdt::entry::{Draft, Entry};
use toko_crdt::hash::Hash;
use toko_crdt::ids::{JournalId, Lane, Run, StoreId};
use toko_crdt::member::{Claim, Members, Statement};
use toko_crdt::sign::SecretKey;

/// The hub, two tills, headquarters.
pub(super) const AUTHORS: u8 = 4;

/// The store.
pub(super) struct Shop {
    pub(super) root: SecretKey,
    pub(super) store: StoreId,
    pub(super) keys: Vec<SecretKey>,
    pub(super) members: Members,
}

pub(super) fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| {
        let root = SecretKey::from_seed([99; 32]);
        let store = StoreId::of(&root.public());
        let keys: Vec<SecretKey> = (1..=AUTHORS).map(|seed| SecretKey::from_seed([seed; 32])).collect();
        let mut members = Members::new(root.public());
        let till = |at: usize, number| Claim::Terminal {
            term: 1,
            key: keys[at].public(),
            number,
            name: format!("Till {number}"),
        };
        let statements = [
            Statement::sign(&store, &root, Claim::Hub { term: 1, key: keys[0].public() }),
            Statement::sign(&store, &root, Claim::Headquarters { key: keys[3].public() }),
            Statement::sign(&store, &keys[0], till(1, 1)),
            Statement::sign(&store, &keys[0], till(2, 2)),
        ];
        for statement in statements {
            assert_eq!(members.add(statement), Ok(true), "our own statements hold");
        }
        Shop { root, store, keys, members }
    })
}

impl Shop {
    pub(super) fn key(&self, number: u8) -> &SecretKey {
        &self.keys[usize::from(number) % self.keys.len()]
    }

    pub(super) fn journal(&self, author: u8, lane: Lane) -> JournalId {
        JournalId { node: self.key(author).node(), run: Run(1), lane }
    }

    /// An entry by a member. Books do not look at chains, so each stands for itself.
    pub(super) fn entry(&self, author: u8, lane: Lane, seq: u64, body: Vec<u8>) -> Entry {
        let prev = if seq == 1 { Hash::ZERO } else { Hash([1; 32]) };
        let (journal, at) = (self.journal(author, lane), Hlc { micros: seq, tick: 0 });
        Draft { journal, seq, prev, at, saw: None, body }.sign(&self.store, self.key(author))
    }
}
