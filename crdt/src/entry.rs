//! The entry: one thing that happened, in one place of one journal, signed by the node that did it.
//!
//! The envelope is frozen for ever; change lives in the body. Hash and signature cover
//! `("toko/entry/1", store, journal, seq, prev, at, saw, body hash)` in a fixed layout. The store is in the hash and not in
//! the bytes, so an entry of another store does not verify here. The hash commits to the body's hash, so a body can be
//! pruned or erased and the chain stays whole.

use crate::clock::Hlc;
use crate::codec::{self, CodecError};
use crate::hash::Hash;
use crate::ids::{EntryRef, JournalId, Lane, NodeId, Run, StoreId};
use crate::sign::{PublicKey, SecretKey, Signature};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// The largest body. Larger than one frame: the wire carries it in fragments.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// The largest encoded entry: a body and its envelope.
pub const ENTRY_BYTES_MAX: usize = BODY_BYTES_MAX + 1024;
/// How many entries `saw` may name.
pub const SAW_ENTRIES_MAX: usize = 16;

/// What an encoded entry has besides its body, `saw` at its largest included.
const ENVELOPE_BYTES_MAX: usize = 1024;

const SIGN_DOMAIN: &str = "toko/entry-signature/1";

/// What the author had seen when that mattered to what it wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Saw {
    /// Everything up to the frontier with this root.
    Frontier(Hash),
    /// These entries. *Shape*: 1 to [`SAW_ENTRIES_MAX`].
    Entries(Vec<Hash>),
}

/// An entry that is not yet signed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Which journal.
    pub journal: JournalId,
    /// The number in it, from 1.
    pub seq: u64,
    /// Hash of the entry before, [`Hash::ZERO`] for the first.
    pub prev: Hash,
    /// The author's hybrid clock.
    pub at: Hlc,
    /// What the author had seen, where that matters.
    pub saw: Option<Saw>,
    /// Encoded body; see [`crate::body::Body`].
    pub body: Vec<u8>,
}

/// A signed entry. Its hash is known: an entry is made by signing or by decoding, and both compute it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    journal: JournalId,
    seq: u64,
    prev: Hash,
    at: Hlc,
    saw: Option<Saw>,
    body_hash: Hash,
    body: Option<Arc<[u8]>>,
    signature: Signature,
    hash: Hash,
}

impl Draft {
    /// Signs the draft for `store`.
    #[must_use]
    pub fn sign(self, store: &StoreId, key: &SecretKey) -> Entry {
        assert!(
            self.body.len() <= BODY_BYTES_MAX,
            "a body larger than the limit is split before it is signed"
        );
        let body_hash = Hash::of("toko/body/1", &[&self.body]);
        let hash = hash(store, &self.journal, self.seq, &self.prev, &self.at, self.saw.as_ref(), &body_hash);
        Entry {
            journal: self.journal,
            seq: self.seq,
            prev: self.prev,
            at: self.at,
            saw: self.saw,
            body_hash,
            body: Some(self.body.into()),
            signature: key.sign(SIGN_DOMAIN, &hash.0),
            hash,
        }
    }
}

impl Entry {
    /// Which journal.
    #[must_use]
    pub fn journal(&self) -> &JournalId {
        &self.journal
    }

    /// Who wrote it.
    #[must_use]
    pub fn author(&self) -> &NodeId {
        &self.journal.node
    }

    /// The number in the journal, from 1.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> EntryRef {
        EntryRef { journal: self.journal, seq: self.seq }
    }

    /// Hash of the entry before, [`Hash::ZERO`] for the first.
    #[must_use]
    pub fn prev(&self) -> &Hash {
        &self.prev
    }

    /// The author's hybrid clock.
    #[must_use]
    pub fn at(&self) -> Hlc {
        self.at
    }

    /// What the author had seen, where that matters.
    #[must_use]
    pub fn saw(&self) -> Option<&Saw> {
        self.saw.as_ref()
    }

    /// The encoded body; `None` once it is pruned.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// This entry's hash, over the store and the whole envelope.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The author's signature over the hash.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Whether the author's key signed this.
    #[must_use]
    pub fn verify(&self, key: &PublicKey) -> bool {
        NodeId::of(key) == self.journal.node && key.verify(SIGN_DOMAIN, &self.hash.0, &self.signature)
    }

    /// The same entry without its body: the chain stays whole.
    #[must_use]
    pub fn pruned(&self) -> Self {
        Self { body: None, ..self.clone() }
    }

    /// The stored and sent form: version 1, then postcard of `EntryV1`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (left, right) = self.signature.0.split_at(32);
        let mut out = Vec::with_capacity(self.body().map_or(0, <[u8]>::len) + ENVELOPE_BYTES_MAX);
        out.push(1);
        codec::append(
            &mut out,
            &EntryV1 {
                node: self.journal.node.0,
                run: self.journal.run.0,
                lane: self.journal.lane as u8,
                seq: self.seq,
                prev: self.prev.0,
                micros: self.at.micros,
                tick: self.at.tick,
                saw: self.saw.as_ref().map(|saw| match saw {
                    Saw::Frontier(root) => SawV1::Frontier(root.0),
                    Saw::Entries(hashes) => SawV1::Entries(hashes.iter().map(|hash| hash.0).collect()),
                }),
                body: match &self.body {
                    Some(body) => BodyV1::Here(Cow::Borrowed(body)),
                    None => BodyV1::Pruned(self.body_hash.0),
                },
                signature_left: half(left),
                signature_right: half(right),
            },
        );
        out
    }

    /// Reads the stored or sent form as an entry of `store` and computes its hash. The signature is not checked here.
    ///
    /// Errors: any byte that is not as [`Entry::encode`] writes it.
    pub fn decode(store: &StoreId, bytes: &[u8]) -> Result<Self, CodecError> {
        let what = "entry";
        let malformed = CodecError::Malformed { what };
        let v1: EntryV1<'_> = codec::decode_borrowed(what, 1, bytes, ENTRY_BYTES_MAX)?;
        let lane = Lane::from_byte(v1.lane).ok_or(malformed.clone())?;
        let journal = JournalId { node: NodeId(v1.node), run: Run(v1.run), lane };
        let saw = match v1.saw {
            None => None,
            Some(SawV1::Frontier(root)) => Some(Saw::Frontier(Hash(root))),
            Some(SawV1::Entries(hashes)) if (1..=SAW_ENTRIES_MAX).contains(&hashes.len()) => {
                Some(Saw::Entries(hashes.into_iter().map(Hash).collect()))
            }
            Some(SawV1::Entries(_)) => return Err(malformed),
        };
        let (body_hash, body) = match v1.body {
            BodyV1::Here(body) if body.len() > BODY_BYTES_MAX => return Err(malformed),
            BodyV1::Here(body) => (Hash::of("toko/body/1", &[&body]), Some(Arc::from(&*body))),
            BodyV1::Pruned(hash) => (Hash(hash), None),
        };
        if v1.seq == 0 || (v1.seq == 1) != (v1.prev == Hash::ZERO.0) {
            return Err(malformed);
        }
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&v1.signature_left);
        signature[32..].copy_from_slice(&v1.signature_right);
        let (prev, at) = (Hash(v1.prev), Hlc { micros: v1.micros, tick: v1.tick });
        let hash = hash(store, &journal, v1.seq, &prev, &at, saw.as_ref(), &body_hash);
        let entry = Self {
            journal,
            seq: v1.seq,
            prev,
            at,
            saw,
            body_hash,
            body,
            signature: Signature(signature),
            hash,
        };
        // Numbers have longer forms too; only the one that is written is read.
        if entry.encode() == bytes { Ok(entry) } else { Err(malformed) }
    }
}

fn half(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(bytes);
    out
}

fn hash(
    store: &StoreId,
    journal: &JournalId,
    seq: u64,
    prev: &Hash,
    at: &Hlc,
    saw: Option<&Saw>,
    body_hash: &Hash,
) -> Hash {
    let mut saw_bytes = Vec::new();
    match saw {
        None => saw_bytes.push(0),
        Some(Saw::Frontier(root)) => {
            saw_bytes.push(1);
            saw_bytes.extend_from_slice(&root.0);
        }
        Some(Saw::Entries(hashes)) => {
            assert!((1..=SAW_ENTRIES_MAX).contains(&hashes.len()), "`saw` names a few entries");
            saw_bytes.push(2);
            saw_bytes.push(u8::try_from(hashes.len()).unwrap_or(u8::MAX));
            hashes.iter().for_each(|hash| saw_bytes.extend_from_slice(&hash.0));
        }
    }
    Hash::of(
        "toko/entry/1",
        &[
            &store.0,
            &journal.to_bytes(),
            &seq.to_be_bytes(),
            &prev.0,
            &at.micros.to_be_bytes(),
            &at.tick.to_be_bytes(),
            &saw_bytes,
            &body_hash.0,
        ],
    )
}

/// The bytes of an entry, frozen.
#[derive(Serialize, Deserialize)]
struct EntryV1<'a> {
    node: [u8; 32],
    run: u64,
    lane: u8,
    seq: u64,
    prev: [u8; 32],
    micros: u64,
    tick: u16,
    saw: Option<SawV1>,
    #[serde(borrow)]
    body: BodyV1<'a>,
    signature_left: [u8; 32],
    signature_right: [u8; 32],
}

#[derive(Serialize, Deserialize)]
enum SawV1 {
    Frontier([u8; 32]),
    Entries(Vec<[u8; 32]>),
}

#[derive(Serialize, Deserialize)]
enum BodyV1<'a> {
    Here(#[serde(borrow, with = "codec::raw")] Cow<'a, [u8]>),
    Pruned([u8; 32]),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;

    fn entry(store: &StoreId, key: &SecretKey) -> Entry {
        let journal = JournalId { node: key.node(), run: Run(1), lane: Lane::Books };
        let saw = Some(Saw::Entries(vec![Hash([5; 32])]));
        Draft { journal, seq: 1, prev: Hash::ZERO, at: Hlc::default(), saw, body: Body::first().encode() }
            .sign(store, key)
    }

    #[test]
    fn an_entry_of_another_store_does_not_verify() {
        let key = SecretKey::from_seed([2; 32]);
        let entry = entry(&StoreId([1; 32]), &key);
        assert!(Entry::decode(&StoreId([1; 32]), &entry.encode()).unwrap().verify(&key.public()));
        assert!(!Entry::decode(&StoreId([9; 32]), &entry.encode()).unwrap().verify(&key.public()));
    }

    #[test]
    fn a_pruned_body_leaves_hash_and_signature_whole() {
        let (store, key) = (StoreId([1; 32]), SecretKey::from_seed([2; 32]));
        let whole = entry(&store, &key);
        let bare = Entry::decode(&store, &whole.pruned().encode()).unwrap();
        assert_eq!((bare.hash(), bare.body()), (whole.hash(), None));
        assert!(bare.verify(&key.public()));
    }

    #[test]
    fn every_flipped_bit_is_refused_or_breaks_the_signature() {
        let (store, key) = (StoreId([1; 32]), SecretKey::from_seed([2; 32]));
        let bytes = entry(&store, &key).encode();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let verdict = Entry::decode(&store, &bad);
            assert!(verdict.is_err() || !verdict.is_ok_and(|entry| entry.verify(&key.public())), "bit {bit}");
        }
    }
}
