//! What an entry says: the families that journals, members and carts need, and `Op` for all that only a shop understands.
//!
//! *Shape*: the first byte is the family, the second its version, the rest postcard. A family or version that this build
//! does not know is kept as [`Body::Unknown`]: stored, forwarded, parked whole, and folded after the upgrade.

use crate::Entry;
use crate::clock::UnixMicros;
use crate::codec::{self, CodecError};
use crate::entry::{BODY_BYTES_MAX, ENTRY_BYTES_MAX};
use crate::frontier::{Frontier, Head};
use crate::hash::Hash;
use crate::ids::{CartId, EffectId, Run, StoreId};
use crate::journal::ForkProof;
use crate::member::Statement;
use crate::seal::Seal;
use crate::settling::{KEEP_MAX, Settling};
use serde::{Deserialize, Serialize};

/// First byte of each family.
mod family {
    pub(super) const CONTINUES: u8 = 0x01;
    pub(super) const CARRIED: u8 = 0x02;
    pub(super) const FORK: u8 = 0x03;
    pub(super) const MEMBER: u8 = 0x04;
    pub(super) const WATERMARK: u8 = 0x05;
    pub(super) const SEAL: u8 = 0x06;
    pub(super) const ADMITTED: u8 = 0x07;
    pub(super) const SETTLED: u8 = 0x08;
    pub(super) const CART: u8 = 0x20;
    pub(super) const OP: u8 = 0x40;
}

/// How deep one entry may be carried inside another.
pub const CARRIED_DEPTH_MAX: usize = 3;

/// Most bytes of the reason in an [`Admission`].
pub const WHY_BYTES_MAX: usize = 256;

/// Whether a reason may stand in an [`Admission`].
#[must_use]
pub fn why_is_sane(why: &str) -> bool {
    why.len() <= WHY_BYTES_MAX && !why.chars().any(char::is_control)
}

/// What an entry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Entry 1 of each journal: where this lane of the node's previous run ended, as far as this directory knew.
    Continues(Option<Continued>),
    /// A signed entry that stood above the end of a forked journal, kept alive by whoever holds it.
    Carried(Box<Entry>),
    /// Two signed entries with one place: the journal is closed at the last entry that both share.
    Fork(Box<ForkProof>),
    /// A signed statement about who belongs to the store.
    Member(Statement),
    /// What headquarters holds durably.
    Watermark(Frontier),
    /// The hub's checkpoint.
    Seal(Seal),
    /// The hub's word, in the lane of the effect, that an op of the shop counts although its author may not write it.
    /// It is a fact like any other: whichever of the two comes first, the effect counts once, under its own id.
    Admitted(Admission),
    /// The hub's word up to when carts are settled (floor lane).
    Settled(Settling),
    /// A change of a cart's document (floor lane).
    Cart(CartChange),
    /// An op of the shop, which only `retail` can read. *Shape*: its own version byte first.
    Op(Vec<u8>),
    /// Of a family or version that this build does not know.
    Unknown(Vec<u8>),
}

/// The end of a run's journal, as the next run found it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Continued {
    /// The previous run.
    pub run: Run,
    /// Its last entry.
    pub head: Head,
}

/// A hub's word that an op counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admission {
    /// Which effect.
    pub effect: EffectId,
    /// Why, in the words of whoever let it in. *Shape*: at most [`WHY_BYTES_MAX`] bytes, no control characters.
    pub why: String,
}

/// One change of one cart, with the idempotency key of the command that made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CartChange {
    /// Which cart.
    pub cart: CartId,
    /// Raw, uncompressed Automerge change.
    pub change: Vec<u8>,
    /// The command that made it, where one did.
    pub idem: Option<Idem>,
}

/// An idempotency key and what it was used for, both hashed, so that no caller's text is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Idem {
    /// Hash of the caller's key.
    pub key: [u8; 16],
    /// Hash of the request that used it.
    pub request: [u8; 16],
}

impl Body {
    /// The first entry of the first run of a node.
    #[must_use]
    pub fn first() -> Self {
        Self::Continues(None)
    }

    /// The signed form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Continues(before) => with_family(family::CONTINUES, &before.map(ContinuedV1::from)),
            Self::Carried(entry) => with_family(family::CARRIED, &entry.encode()),
            Self::Fork(proof) => with_family(family::FORK, &(proof.one.encode(), proof.other.encode())),
            Self::Member(statement) => with_family(family::MEMBER, &statement.encode()),
            Self::Watermark(frontier) => with_family(family::WATERMARK, &frontier.encode()),
            Self::Seal(seal) => {
                let mut out = vec![family::SEAL, seal.version()];
                seal.append_to(&mut out);
                out
            }
            Self::Admitted(admission) => with_family(
                family::ADMITTED,
                &AdmissionV1 { effect: admission.effect.0, why: admission.why.clone() },
            ),
            Self::Settled(settling) => with_family(
                family::SETTLED,
                &SettlingV1 {
                    before: settling.before().0,
                    keep: settling.keep().iter().map(|cart| cart.0).collect(),
                },
            ),
            Self::Cart(change) => with_family(
                family::CART,
                &CartV1 { cart: change.cart.0, change: change.change.clone(), idem: change.idem },
            ),
            Self::Op(bytes) => [&[family::OP], bytes.as_slice()].concat(),
            Self::Unknown(bytes) => bytes.clone(),
        }
    }

    /// The shop's op inside the bytes of a body, where they are one.
    #[must_use]
    pub fn op_of(bytes: &[u8]) -> Option<&[u8]> {
        bytes.strip_prefix(&[family::OP])
    }

    /// Whether the bytes of a body are an op or a cart change: the shop's business, which tells a store nothing about members,
    /// journals or other entries. Nothing is decoded.
    #[must_use]
    pub fn is_shops(bytes: &[u8]) -> bool {
        matches!(bytes, [family::OP | family::CART, ..])
    }

    /// What the bytes of a body claim to be, in a word for people. Nothing is decoded.
    #[must_use]
    pub fn family_word(bytes: &[u8]) -> &'static str {
        match bytes {
            [] => "nothing",
            [family::OP, ..] => "op",
            [family::SEAL, 2, ..] => "seal",
            [_, version, ..] if *version != 1 => "a body of another version",
            [family::CONTINUES, ..] => "run",
            [family::CARRIED, ..] => "carried entry",
            [family::FORK, ..] => "fork proof",
            [family::MEMBER, ..] => "member statement",
            [family::WATERMARK, ..] => "watermark",
            [family::SEAL, ..] => "seal",
            [family::ADMITTED, ..] => "admission",
            [family::SETTLED, ..] => "settling of carts",
            [family::CART, ..] => "cart change",
            _ => "a body of an unknown kind",
        }
    }

    /// Reads a body of an entry of `store`. What this build does not know is [`Body::Unknown`], which is no error.
    ///
    /// Errors: a known family and version whose bytes are not what they should be.
    pub fn decode(store: &StoreId, bytes: &[u8]) -> Result<Self, CodecError> {
        codec::check_len(bytes, BODY_BYTES_MAX)?;
        let (kind, version, rest) = match bytes {
            [family::OP, op @ ..] => return Ok(Self::Op(op.to_vec())),
            [kind, version, rest @ ..] => (*kind, *version, rest),
            _ => return Err(CodecError::Malformed { what: "body" }),
        };
        if kind == family::SEAL {
            let seal = Seal::read(version, rest)?;
            return Ok(seal.map_or_else(|| Self::Unknown(bytes.to_vec()), Self::Seal));
        }
        if version != 1 {
            return Ok(Self::Unknown(bytes.to_vec()));
        }
        Ok(match kind {
            family::CONTINUES => {
                let before: Option<ContinuedV1> = codec::decode_plain("continues", rest)?;
                Self::Continues(before.map(Continued::from))
            }
            family::CARRIED => {
                let inner: Vec<u8> = codec::decode_plain("carried entry", rest)?;
                Self::Carried(Box::new(Entry::decode(store, &inner)?))
            }
            family::FORK => {
                let (one, other): (Vec<u8>, Vec<u8>) = codec::decode_plain("fork proof", rest)?;
                let (one, other) = (Entry::decode(store, &one)?, Entry::decode(store, &other)?);
                let proof = ForkProof::new(one, other).ok_or(CodecError::Malformed { what: "fork proof" })?;
                Self::Fork(Box::new(proof))
            }
            family::MEMBER => {
                let statement: Vec<u8> = codec::decode_plain("member statement", rest)?;
                Self::Member(Statement::decode(&statement)?)
            }
            family::WATERMARK => {
                let frontier: Vec<u8> = codec::decode_plain("watermark", rest)?;
                Self::Watermark(Frontier::decode(&frontier)?)
            }
            family::ADMITTED => {
                let AdmissionV1 { effect, why } = codec::decode_plain("admission", rest)?;
                if !why_is_sane(&why) {
                    return Err(CodecError::Malformed { what: "admission" });
                }
                Self::Admitted(Admission { effect: EffectId(effect), why })
            }
            family::SETTLED => {
                let SettlingV1 { before, keep } = codec::decode_plain("settling", rest)?;
                let keep = keep.into_iter().map(CartId).collect();
                let settling = Settling::stored(UnixMicros(before), keep);
                Self::Settled(settling.ok_or(CodecError::Malformed { what: "settling" })?)
            }
            family::CART => {
                let CartV1 { cart, change, idem } = codec::decode_plain("cart change", rest)?;
                Self::Cart(CartChange { cart: CartId(cart), change, idem })
            }
            _ => Self::Unknown(bytes.to_vec()),
        })
    }
}

fn with_family<T: Serialize>(family: u8, value: &T) -> Vec<u8> {
    let mut out = vec![family, 1];
    codec::append(&mut out, value);
    debug_assert!(out.len() <= ENTRY_BYTES_MAX * 2, "a body of a known family is bounded by what is inside");
    out
}

#[derive(Serialize, Deserialize, Clone, Copy)]
struct ContinuedV1 {
    run: u64,
    seq: u64,
    hash: [u8; 32],
}

impl From<Continued> for ContinuedV1 {
    fn from(before: Continued) -> Self {
        Self { run: before.run.0, seq: before.head.seq, hash: before.head.hash.0 }
    }
}

impl From<ContinuedV1> for Continued {
    fn from(v1: ContinuedV1) -> Self {
        Self { run: Run(v1.run), head: Head { seq: v1.seq, hash: Hash(v1.hash) } }
    }
}

#[derive(Serialize, Deserialize)]
struct AdmissionV1 {
    effect: [u8; 32],
    why: String,
}

#[derive(Serialize, Deserialize)]
struct SettlingV1 {
    before: i64,
    #[serde(deserialize_with = "crate::list::at_most::<KEEP_MAX, _, _>")]
    keep: Vec<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
struct CartV1 {
    cart: [u8; 16],
    change: Vec<u8>,
    idem: Option<Idem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_or_family_is_kept_whole() {
        let store = StoreId([0; 32]);
        for bytes in [vec![0x01, 2, 9, 9], vec![0x7f, 1, 1]] {
            let body = Body::decode(&store, &bytes).unwrap();
            assert_eq!(body, Body::Unknown(bytes.clone()));
            assert_eq!(body.encode(), bytes);
        }
    }

    #[test]
    fn a_settling_is_read_only_as_it_is_written() {
        let store = StoreId([0; 32]);
        let carts =
            |count: u64| (0..count).map(|n| CartId::made(UnixMicros(0), u128::from(n).to_be_bytes()).0);
        let read =
            |before, keep| Body::decode(&store, &with_family(family::SETTLED, &SettlingV1 { before, keep }));
        let most: Vec<[u8; 16]> = carts(KEEP_MAX as u64).collect();
        let body = read(1, most.clone()).unwrap();
        assert!(matches!(&body, Body::Settled(settling) if settling.keep().len() == KEEP_MAX));
        assert_eq!(Body::decode(&store, &body.encode()), Ok(body));
        assert!(read(1, carts(KEEP_MAX as u64 + 1).collect()).is_err(), "one too many");
        assert!(read(1, most.iter().rev().copied().collect()).is_err(), "not in order");
        assert!(read(1, [most[0]; 2].into()).is_err(), "twice");
        assert!(read(0, vec![most[0]]).is_err(), "what is newer needs no word");
        assert!(read(-1, vec![]).is_err());
    }

    #[test]
    fn bytes_left_over_are_refused() {
        let mut bytes = Body::first().encode();
        bytes.push(0);
        assert!(Body::decode(&StoreId([0; 32]), &bytes).is_err());
    }
}
