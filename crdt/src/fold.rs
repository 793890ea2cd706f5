//! Where things meet: `crdt` defines how an entry becomes views and who may write what; `retail` says it for a shop;
//! `mesh` runs it over a database, and tests over a map.
//!
//! The law of folds: a fold is a total, idempotent function of the *set* of entries. Any order across journals, any
//! duplication, any late part gives equal views. It reads no clock, no role, no arrival order and no membership; it never
//! rejects, authors or repairs.

use crate::Entry;
use crate::clock::UnixMicros;
use crate::ids::{CartId, EffectId, Lane, NodeId};
use crate::member::Roles;
use crate::settling::Settling;
use std::collections::BTreeMap;
use std::ops::Bound;
use thiserror::Error;

/// Why views could not be read or written. The caller's command did not happen.
#[derive(Debug, Clone, Error)]
#[error("views: {what}")]
pub struct KvError {
    what: String,
}

impl KvError {
    /// A storage error, in its own words.
    #[must_use]
    pub fn storage(what: impl std::fmt::Display) -> Self {
        Self { what: what.to_string() }
    }

    /// A row that is not what its writer writes.
    #[must_use]
    pub fn corrupt(what: impl std::fmt::Display) -> Self {
        Self { what: format!("corrupt: {what}") }
    }
}

/// Reading views: byte keys in order, byte values.
pub trait KvRead {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError>;

    /// Visits rows whose key starts with `prefix` and is not below `from`, in order, until `visit` says `false`.
    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError>;

    /// Visits all rows whose key starts with `prefix`, in order, until `visit` says `false`.
    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), KvError> {
        self.scan_from(prefix, prefix, visit)
    }
}

/// Writing views.
///
/// First key byte: `0x01..=0x3f` views of the books lane, `0x40..=0x7f` of the floor lane, both in the digest;
/// `0x80..=0xff` local tables. Of these, crdt itself owns `0x01..=0x0f`, `0x40..=0x4f` and `0x80..=0x8f`.
pub trait Kv: KvRead {
    /// Sets a row.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), KvError>;
    /// Removes a row.
    fn delete(&mut self, key: &[u8]) -> Result<(), KvError>;
}

/// One op on its way into views.
#[derive(Clone, Copy, Debug)]
pub struct Effect<'a> {
    /// Its identity: the hash of the first signed entry that carried it.
    pub id: EffectId,
    /// The entry that carried it first, with author, place and time.
    pub entry: &'a Entry,
    /// The op: bytes that only the shop's fold can read.
    pub op: &'a [u8],
}

impl Effect<'_> {
    /// Who did it.
    #[must_use]
    pub fn author(&self) -> NodeId {
        *self.entry.author()
    }
}

/// Why an op is parked instead of folded. Parked is shown, kept and forwarded, and stands in nobody's way.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum FoldError {
    /// A newer build wrote it; it folds after the upgrade.
    #[error("of version {version}, newer than this build")]
    Newer {
        /// The version byte.
        version: u8,
    },
    /// The bytes are not what they claim to be.
    #[error("unreadable: {why}")]
    Unreadable {
        /// What is wrong.
        why: String,
    },
    /// The views could not be read or written: not the op's fault, nothing is parked.
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// An entry into views. Writes that precede an error or a panic are discarded.
pub trait Fold: Send + Sync {
    /// Changes with every change of what comes of the same entries: by this fold, or by the book around it
    /// ([`crate::book::VERSION`]).
    fn version(&self) -> u32;
    /// Makes the rows that an older version of this fold made of some entries into those that this version makes of the same
    /// entries. Whether it knows that version; where not, it touched nothing. *Cost*: the rows that change wait in memory.
    ///
    /// The law: bringing up what the older version folded equals folding with this version. What the older one parked as too
    /// new is folded afterwards.
    fn bring_up(&self, _from: u32, _kv: &mut dyn Kv) -> Result<bool, KvError> {
        Ok(false)
    }
    /// Folds one effect. Called once per effect identity, in any order.
    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError>;
    /// Takes every row of carts away that a settling ends, and none else. The book has noted the settling and taken its own
    /// rows; of what is folded later about such a cart ([`crate::book::settled::is_settled`]) no row may be left either.
    fn settle(&self, _kv: &mut dyn Kv, _settling: &Settling) -> Result<(), KvError> {
        Ok(())
    }
    /// What the hub is to say in the books, op by op, so that rows of what was done before a time may go. Each takes a few rows
    /// away only, so that nobody waits long for it.
    fn books_due(&self, _kv: &dyn KvRead, _before: UnixMicros) -> Result<Vec<Vec<u8>>, KvError> {
        Ok(Vec::new())
    }
    /// Whether a row leads to the entry of an effect, so that whoever reads the row reads the entry as well. It is kept for as
    /// long, however old it is.
    fn leads_to(&self, _kv: &dyn KvRead, _effect: EffectId) -> Result<bool, KvError> {
        Ok(false)
    }
    /// The carts made before a time that this fold has rows of, and of each whether somebody may still finish it.
    fn carts(&self, _kv: &dyn KvRead, _before: UnixMicros) -> Result<BTreeMap<CartId, bool>, KvError> {
        Ok(BTreeMap::new())
    }
}

/// Who may write what, judged from the author's signed record and the op's kind alone.
pub trait Scope: Send + Sync {
    /// Whether an author with these roles may write this op into that lane.
    fn admits(&self, roles: &Roles, lane: Lane, op: &[u8]) -> bool;
}

/// Views in memory, for tests and simulations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapKv {
    /// All rows.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl KvRead for MapKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        let start = prefix.max(from);
        let rows = self.rows.range::<[u8], _>((Bound::Included(start), Bound::Unbounded));
        for (key, value) in rows.take_while(|(key, _)| key.starts_with(prefix)) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

impl Kv for MapKv {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.rows.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), KvError> {
        self.rows.remove(key);
        Ok(())
    }
}
