//! The one door to bincode: frames on the LAN are written and read here and nowhere else.
//!
//! bincode is unmaintained (RUSTSEC-2025-0141) and without a limit a nine-byte message can ask for a terabyte; so it is
//! pinned to 2.0.1, used with a limit of one frame, behind a length that was checked before, on plain `…V1` structs that
//! never change, without recursion and without lists of nothing; counts are checked again afterwards and bytes left over
//! are refused. Bodies are stored nowhere and signed nowhere, so that another codec is a new protocol version and no more.

mod bodies;

use super::frame::{
    ADDRS_MAX, BASES_MAX, BlobPart, Code, FRAME_BYTES_MAX, Fragment, Frame, FrameError, Hello, ITEMS_MAX,
    LINES_MAX, Lanes, Lines, PAYLOAD_BYTES_MAX, PEERS_MAX, PeerAddrs, REASON_BYTES_MAX, VERSION,
};
use super::pack;
use super::reader::LENGTH_BYTES;
use bincode::config::{Configuration, Limit, LittleEndian, Varint, standard};
use bodies::*;
use core::net::SocketAddr;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use toko_crdt::entry::ENTRY_BYTES_MAX;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::{Hash, JournalId, Lane, NodeId, Run, StoreId};

const CONFIG: Configuration<LittleEndian, Varint, Limit<FRAME_BYTES_MAX>> =
    standard().with_limit::<FRAME_BYTES_MAX>();

/// The kind byte of each frame.
mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const ROOT: u8 = 2;
    pub(super) const LINES: u8 = 3;
    pub(super) const WANT_LINES: u8 = 4;
    pub(super) const STATEMENTS: u8 = 5;
    pub(super) const WANT_STATEMENTS: u8 = 6;
    pub(super) const WANT: u8 = 7;
    pub(super) const BATCH: u8 = 8;
    pub(super) const FRAGMENT: u8 = 9;
    pub(super) const NO_ENTRIES: u8 = 10;
    pub(super) const WANT_BLOB: u8 = 11;
    pub(super) const BLOB_PART: u8 = 12;
    pub(super) const NO_BLOB: u8 = 13;
    pub(super) const PEERS: u8 = 14;
    pub(super) const BYE: u8 = 15;
    pub(super) const SEALED: u8 = 16;
    pub(super) const PRUNED: u8 = 17;
    pub(super) const WANT_SNAPSHOT: u8 = 18;
    pub(super) const SNAPSHOT: u8 = 19;
    pub(super) const BASES: u8 = 20;
    pub(super) const PULSE: u8 = 21;
    /// Holds another frame ([`super::pack`]).
    pub(super) const PACKED: u8 = 22;
}

/// An encoded frame, smaller if it can be.
pub(super) fn packed(encoded: Vec<u8>) -> Vec<u8> {
    let frame = &encoded[LENGTH_BYTES..];
    match holds_bytes(frame).then(|| pack::pack(frame)).flatten() {
        Some(body) => framed(kind::PACKED, &body),
        None => encoded,
    }
}

/// Whether it stands in memory as it travels: entries and blobs, and none of the lists that take many times more.
fn holds_bytes(frame: &[u8]) -> bool {
    matches!(frame, [_, kind::BATCH | kind::FRAGMENT | kind::BLOB_PART, ..])
}

/// The frame that this one holds, if it is a packed one; both as they stand behind their length fields.
pub(super) fn unpacked(bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
    match bytes {
        [VERSION, kind::PACKED, body @ ..] => {
            let frame = pack::unpack(body, FRAME_BYTES_MAX);
            let frame = frame.filter(|frame| holds_bytes(frame));
            frame.map(Some).ok_or(FrameError::Malformed { kind: kind::PACKED })
        }
        _ => Ok(None),
    }
}

pub(super) fn encode(frame: &Frame) -> Vec<u8> {
    match frame {
        Frame::Hello(hello) => write(
            kind::HELLO,
            &HelloV1 {
                version_min: hello.version_min,
                version_max: hello.version_max,
                store: hello.store.0,
                incarnation: hello.incarnation,
                floor: hello.lanes == Lanes::All,
                push: hello.push,
                addrs: hello.addrs.iter().map(AddrV1::from).collect(),
            },
        ),
        Frame::Root { root, members } => write(kind::ROOT, &RootV1 { root: root.0, members: members.0 }),
        Frame::Pulse { root, members } => write(kind::PULSE, &RootV1 { root: root.0, members: members.0 }),
        Frame::Lines(Lines { whole, more, root, lines }) => {
            let lines = lines.lines().map(LineV1::from).collect();
            write(kind::LINES, &LinesV1 { whole: *whole, more: *more, root: root.map(|root| root.0), lines })
        }
        Frame::WantLines => write(kind::WANT_LINES, &()),
        Frame::Statements(list) => write(kind::STATEMENTS, &StatementsV1(raw(list))),
        Frame::WantStatements => write(kind::WANT_STATEMENTS, &()),
        Frame::Want { journal, from, to } => {
            write(kind::WANT, &WantV1 { journal: journal.into(), from: *from, to: *to })
        }
        Frame::Batch { journal, entries } => {
            write(kind::BATCH, &BatchV1 { journal: journal.into(), entries: raw(entries) })
        }
        Frame::Fragment(Fragment { journal, seq, offset, total, bytes }) => {
            let (journal, bytes) = (journal.into(), RawV1(bytes.as_slice().into()));
            write(kind::FRAGMENT, &FragmentV1 { journal, seq: *seq, offset: *offset, total: *total, bytes })
        }
        Frame::NoEntries { journal, from } => {
            write(kind::NO_ENTRIES, &NoEntriesV1 { journal: journal.into(), from: *from })
        }
        Frame::WantBlob { hash, offset } => {
            write(kind::WANT_BLOB, &WantBlobV1 { hash: hash.0, offset: *offset })
        }
        Frame::BlobPart(BlobPart { hash, offset, total, bytes }) => {
            let bytes = RawV1(bytes.clone());
            write(kind::BLOB_PART, &BlobPartV1 { hash: hash.0, offset: *offset, total: *total, bytes })
        }
        Frame::NoBlob { hash } => write(kind::NO_BLOB, &NoBlobV1(hash.0)),
        Frame::Peers(peers) => write(kind::PEERS, &PeersV1(peers.iter().map(PeerV1::from).collect())),
        Frame::Sealed { seal, equal } => write(kind::SEALED, &SealedV1 { seal: seal.0, equal: *equal }),
        Frame::Pruned { journal, from } => {
            write(kind::PRUNED, &NoEntriesV1 { journal: journal.into(), from: *from })
        }
        Frame::WantSnapshot { seal } => write(kind::WANT_SNAPSHOT, &WantSnapshotV1(seal.0)),
        Frame::Snapshot { seal, manifest } => {
            let manifest = manifest.map(|hash| hash.0);
            write(kind::SNAPSHOT, &SnapshotV1 { seal: seal.0, manifest })
        }
        Frame::Bases(seals) => {
            assert!(seals.len() <= BASES_MAX, "a session names few seals");
            write(kind::BASES, &BasesV1(seals.iter().map(|seal| seal.0).collect()))
        }
        Frame::Bye { code, reason } => write(kind::BYE, &ByeV1 { code: *code as u16, reason: sane(reason) }),
    }
}

fn write<T: Serialize>(kind: u8, body: &T) -> Vec<u8> {
    framed(
        kind,
        &bincode::serde::encode_to_vec(body, CONFIG).expect("plain fields always encode into memory"),
    )
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, VERSION, kind];
    out.extend_from_slice(body);
    let length = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
    assert!(out.len() - 4 <= FRAME_BYTES_MAX, "whoever makes a frame splits what is larger than one");
    out[..4].copy_from_slice(&length.to_le_bytes());
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
    if let Some(frame) = unpacked(bytes)? {
        return decode(&frame);
    }
    let (version, kind, body) = match bytes {
        [version, kind, body @ ..] if bytes.len() <= FRAME_BYTES_MAX => (*version, *kind, body),
        _ => return Err(FrameError::Length { bytes: bytes.len() }),
    };
    if version != VERSION {
        return Err(FrameError::Version { found: version });
    }
    let body = Body { kind, bytes: body };
    Ok(Some(match kind {
        kind::HELLO => body.hello()?,
        kind::ROOT => {
            let RootV1 { root, members } = body.read()?;
            Frame::Root { root: Hash(root), members: Hash(members) }
        }
        kind::PULSE => {
            let RootV1 { root, members } = body.read()?;
            Frame::Pulse { root: Hash(root), members: Hash(members) }
        }
        kind::LINES => body.lines()?,
        kind::WANT_LINES => body.read().map(|()| Frame::WantLines)?,
        kind::STATEMENTS => {
            let StatementsV1(list) = body.read()?;
            Frame::Statements(body.items(list)?)
        }
        kind::WANT_STATEMENTS => body.read().map(|()| Frame::WantStatements)?,
        kind::WANT => {
            let WantV1 { journal, from, to } = body.read()?;
            body.check(from >= 1 && from <= to, "numbers")?;
            Frame::Want { journal: body.journal(&journal)?, from, to }
        }
        kind::BATCH => {
            let BatchV1 { journal, entries } = body.read()?;
            body.check(!entries.is_empty(), "entries")?;
            Frame::Batch { journal: body.journal(&journal)?, entries: body.items(entries)? }
        }
        kind::FRAGMENT => body.fragment()?,
        kind::NO_ENTRIES => {
            let NoEntriesV1 { journal, from } = body.read()?;
            Frame::NoEntries { journal: body.journal(&journal)?, from }
        }
        kind::WANT_BLOB => {
            let WantBlobV1 { hash, offset } = body.read()?;
            Frame::WantBlob { hash: Hash(hash), offset }
        }
        kind::BLOB_PART => body.blob_part()?,
        kind::NO_BLOB => {
            let NoBlobV1(hash) = body.read()?;
            Frame::NoBlob { hash: Hash(hash) }
        }
        kind::PEERS => {
            let PeersV1(peers) = body.read()?;
            body.check(peers.len() <= PEERS_MAX, "peers")?;
            Frame::Peers(peers.into_iter().map(|peer| body.peer(peer)).collect::<Result<_, _>>()?)
        }
        kind::SEALED => {
            let SealedV1 { seal, equal } = body.read()?;
            Frame::Sealed { seal: Hash(seal), equal }
        }
        kind::PRUNED => {
            let NoEntriesV1 { journal, from } = body.read()?;
            Frame::Pruned { journal: body.journal(&journal)?, from }
        }
        kind::WANT_SNAPSHOT => {
            let WantSnapshotV1(seal) = body.read()?;
            Frame::WantSnapshot { seal: Hash(seal) }
        }
        kind::SNAPSHOT => {
            let SnapshotV1 { seal, manifest } = body.read()?;
            Frame::Snapshot { seal: Hash(seal), manifest: manifest.map(Hash) }
        }
        kind::BASES => {
            let BasesV1(seals) = body.read()?;
            Frame::Bases(seals.into_iter().map(Hash).collect())
        }
        kind::BYE => {
            let ByeV1 { code, reason } = body.read()?;
            Frame::Bye { code: Code::from_number(code), reason: sane(&reason) }
        }
        _ => return Ok(None),
    }))
}

/// A body on its way to a frame; its kind is in every error.
#[derive(Clone, Copy)]
struct Body<'a> {
    kind: u8,
    bytes: &'a [u8],
}

impl Body<'_> {
    fn read<T: DeserializeOwned>(self) -> Result<T, FrameError> {
        let (value, used) = bincode::serde::decode_from_slice(self.bytes, CONFIG)
            .map_err(|_| FrameError::Malformed { kind: self.kind })?;
        let left = self.bytes.len().saturating_sub(used);
        if left > 0 { Err(FrameError::Trailing { kind: self.kind, left }) } else { Ok(value) }
    }

    fn check(self, holds: bool, what: &'static str) -> Result<(), FrameError> {
        if holds { Ok(()) } else { Err(FrameError::Limit { kind: self.kind, what }) }
    }

    fn journal(self, v1: &JournalV1) -> Result<JournalId, FrameError> {
        let lane = Lane::from_byte(v1.lane).ok_or(FrameError::Malformed { kind: self.kind })?;
        Ok(JournalId { node: NodeId(v1.node), run: Run(v1.run), lane })
    }

    fn items(self, list: Vec<RawV1>) -> Result<Vec<Arc<[u8]>>, FrameError> {
        self.check(list.len() <= ITEMS_MAX, "items")?;
        self.check(list.iter().all(|item| !item.0.is_empty()), "an empty item")?;
        Ok(list.into_iter().map(|item| item.0).collect())
    }

    fn addrs(self, list: Vec<AddrV1>) -> Result<Vec<SocketAddr>, FrameError> {
        self.check(list.len() <= ADDRS_MAX, "addresses")?;
        Ok(list.into_iter().map(SocketAddr::from).collect())
    }

    fn peer(self, v1: PeerV1) -> Result<PeerAddrs, FrameError> {
        Ok(PeerAddrs { node: NodeId(v1.node), addrs: self.addrs(v1.addrs)? })
    }

    fn hello(self) -> Result<Frame, FrameError> {
        let v1: HelloV1 = self.read()?;
        self.check(v1.version_min <= v1.version_max, "versions")?;
        Ok(Frame::Hello(Hello {
            version_min: v1.version_min,
            version_max: v1.version_max,
            store: StoreId(v1.store),
            incarnation: v1.incarnation,
            lanes: if v1.floor { Lanes::All } else { Lanes::Books },
            push: v1.push,
            addrs: self.addrs(v1.addrs)?,
        }))
    }

    fn lines(self) -> Result<Frame, FrameError> {
        let v1: LinesV1 = self.read()?;
        self.check(v1.lines.len() <= LINES_MAX, "lines")?;
        let (mut lines, mut last) = (Frontier::default(), None);
        for line in v1.lines {
            let journal = self.journal(&line.journal)?;
            self.check(last < Some(journal) && line.seq > 0, "order of lines")?;
            last = Some(journal);
            lines.set(journal, Head { seq: line.seq, hash: Hash(line.hash) });
        }
        Ok(Frame::Lines(Lines { whole: v1.whole, more: v1.more, root: v1.root.map(Hash), lines }))
    }

    fn fragment(self) -> Result<Frame, FrameError> {
        let FragmentV1 { journal, seq, offset, total, bytes } = self.read()?;
        let length = u32::try_from(bytes.0.len()).unwrap_or(u32::MAX);
        let end = offset.checked_add(length).filter(|end| *end <= total);
        self.check(seq > 0 && length > 0 && bytes.0.len() <= PAYLOAD_BYTES_MAX, "fragment")?;
        self.check(
            end.is_some() && usize::try_from(total).is_ok_and(|t| t <= ENTRY_BYTES_MAX),
            "entry bytes",
        )?;
        let (journal, bytes) = (self.journal(&journal)?, bytes.0.to_vec());
        Ok(Frame::Fragment(Fragment { journal, seq, offset, total, bytes }))
    }

    fn blob_part(self) -> Result<Frame, FrameError> {
        let BlobPartV1 { hash, offset, total, bytes: RawV1(bytes) } = self.read()?;
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= total);
        self.check(end.is_some() && bytes.len() <= PAYLOAD_BYTES_MAX, "blob part")?;
        self.check(!bytes.is_empty() || total == 0, "an empty part")?;
        Ok(Frame::BlobPart(BlobPart { hash: Hash(hash), offset, total, bytes }))
    }
}

fn raw(items: &[Arc<[u8]>]) -> Vec<RawV1> {
    items.iter().cloned().map(RawV1).collect()
}

/// Words from a peer may end in a log: short, and without control characters.
fn sane(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if out.len() + letter.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        out.push(letter);
    }
    out
}
