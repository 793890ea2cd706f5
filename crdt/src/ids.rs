//! Who and what: stores, nodes, runs, lanes, journals, and the ids of the things that people handle.
//!
//! No id here owes its uniqueness to a clock, and none is handed out by a server: a node and a store are the hashes of their
//! keys, a run is drawn at random, everything else hangs below those. A cart's id also says when it was made, for the sole
//! purpose of letting go of it some day ([`crate::settling`]).

use crate::clock::UnixMicros;
use crate::hash::{Hash, hex, unhex};
use crate::sign::PublicKey;
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// The first eight hex digits: enough for a log line, never for identity.
            #[must_use]
            pub fn short(&self) -> String {
                hex(&self.0[..4])
            }

            /// Reads the hex form; `None` when it is anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                unhex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }
    };
}

id!(
    /// A store: the hash of its root key, which is the recovery code. It is in every entry's hash and in every signature.
    StoreId, 32
);
id!(
    /// A node (hub, terminal or headquarters) of one store: the hash of its Ed25519 key.
    NodeId, 32
);
id!(
    /// An effect: the hash of the first signed entry that carried it, so that each counts once however often it travels.
    EffectId, 32
);
id!(
    /// A cart: when the terminal that opened it made it, as its clock had it, and what that drew at random.
    ///
    /// *Shape*: six bytes of milliseconds since 1970, big-endian, so that carts sort by age; ten random ones.
    CartId, 16
);
id!(
    /// A line of a cart, drawn at random by the terminal that added it.
    LineId, 16
);
id!(
    /// One scan or quantity step of a line. Repeating a step id changes nothing.
    StepId, 16
);

impl StoreId {
    /// The store whose root key this is.
    #[must_use]
    pub fn of(root: &PublicKey) -> Self {
        Self(Hash::of("toko/store/1", &[&root.0]).0)
    }
}

impl NodeId {
    /// The node whose key this is.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self(Hash::of("toko/node/1", &[&key.0]).0)
    }
}

impl CartId {
    /// A cart that is made now, with what was drawn for it; its first six bytes give way to the time.
    #[must_use]
    pub fn made(at: UnixMicros, drawn: [u8; 16]) -> Self {
        Self(dated(at, drawn))
    }

    /// When it was made, as its maker's clock had it. *Units*: whole milliseconds, rounded down.
    #[must_use]
    pub fn made_at(&self) -> UnixMicros {
        dated_at(&self.0)
    }
}

/// An id that says when it was drawn: its first six bytes give way to the time, so that ids are in the order of their times.
#[must_use]
pub fn dated(at: UnixMicros, drawn: [u8; 16]) -> [u8; 16] {
    const LATEST: u64 = (1 << 48) - 1;
    let millis = u64::try_from(at.0 / 1_000).unwrap_or(0).min(LATEST).to_be_bytes();
    let mut id = drawn;
    id[..6].copy_from_slice(&millis[2..]);
    id
}

/// When a [`dated`] id was drawn, as that node's clock had it. *Units*: whole milliseconds, rounded down.
#[must_use]
pub fn dated_at(id: &[u8; 16]) -> UnixMicros {
    let millis = id[..6].iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte));
    UnixMicros(millis * 1_000)
}

impl From<Hash> for EffectId {
    fn from(hash: Hash) -> Self {
        Self(hash.0)
    }
}

/// One process run of a node, minted at its first append. It scopes journals, the cart actor and the clock's monotony, so
/// that a restored or cloned directory never writes into a journal that exists.
///
/// *Shape*: 64 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Run(pub u64);

/// Which of a run's two journals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Lane {
    /// Sales, cash, movements, members, audit: travels to headquarters and is kept.
    Books = 1,
    /// Cart changes and custody: never leaves the store, settled and dropped.
    Floor = 2,
}

impl Lane {
    /// Both lanes, books first.
    pub const ALL: [Self; 2] = [Self::Books, Self::Floor];

    /// Reads the byte that stands for a lane.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| *lane as u8 == byte)
    }
}

/// One journal: a node's run and lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JournalId {
    /// Whose journal.
    pub node: NodeId,
    /// Of which process run.
    pub run: Run,
    /// Books or floor.
    pub lane: Lane,
}

impl JournalId {
    /// Bytes of [`JournalId::to_bytes`].
    pub const BYTES: usize = 41;

    /// The fixed form: node, run (big-endian, so that keys sort), lane.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..32].copy_from_slice(&self.node.0);
        out[32..40].copy_from_slice(&self.run.0.to_be_bytes());
        out[40] = self.lane as u8;
        out
    }

    /// Reads the fixed form; `None` for another length or an unknown lane.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let (node, rest) = bytes.split_first_chunk::<32>()?;
        let (run, lane) = rest.split_first_chunk::<8>()?;
        let lane = Lane::from_byte(*lane.first()?)?;
        Some(Self { node: NodeId(*node), run: Run(u64::from_be_bytes(*run)), lane })
    }
}

impl fmt::Debug for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:08x}/{:?}", self.node.short(), self.run.0 >> 32, self.lane)
    }
}

/// Where an entry stands: its journal and number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryRef {
    /// The journal.
    pub journal: JournalId,
    /// The number in it, from 1.
    pub seq: u64,
}

impl EntryRef {
    /// Bytes of [`EntryRef::to_bytes`].
    pub const BYTES: usize = JournalId::BYTES + 8;

    /// The fixed form: journal, number (big-endian, so that keys sort).
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..JournalId::BYTES].copy_from_slice(&self.journal.to_bytes());
        out[JournalId::BYTES..].copy_from_slice(&self.seq.to_be_bytes());
        out
    }

    /// Reads the fixed form; `None` when it is anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (journal, seq) = bytes.split_at_checked(JournalId::BYTES)?;
        Some(Self { journal: JournalId::from_bytes(journal)?, seq: u64::from_be_bytes(seq.try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_says_when_it_was_made_and_sorts_by_that() {
        let made = |micros| CartId::made(UnixMicros(micros), [0xab; 16]);
        assert_eq!(made(1_700_000_000_123_456).made_at(), UnixMicros(1_700_000_000_123_000));
        assert_eq!([made(0).made_at(), made(-5).made_at()], [UnixMicros(0); 2]);
        assert_eq!(made(i64::MAX).made_at(), UnixMicros(((1 << 48) - 1) * 1_000));
        assert!(made(255_000) < made(256_000));
        assert_eq!(made(1).0[6..], [0xab; 10]);
    }

    #[test]
    fn a_place_reads_back_and_sorts_by_number() {
        let journal = JournalId { node: NodeId([7; 32]), run: Run(3), lane: Lane::Floor };
        let (low, high) = (EntryRef { journal, seq: 255 }, EntryRef { journal, seq: 256 });
        assert_eq!(EntryRef::from_bytes(&low.to_bytes()), Some(low));
        assert!(low.to_bytes() < high.to_bytes());
        let mut wrong = low.to_bytes();
        wrong[40] = 9;
        assert_eq!(EntryRef::from_bytes(&wrong), None, "an unknown lane is no place");
    }
}
