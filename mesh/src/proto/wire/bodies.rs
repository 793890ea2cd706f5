//! The bodies of frames, frozen: plain fields, in this order, for ever. What changes becomes another kind.

use crate::proto::frame::{ADDRS_MAX, BASES_MAX, ITEMS_MAX, LINES_MAX, PEERS_MAX, PeerAddrs};
use core::net::{IpAddr, SocketAddr};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use toko_crdt::JournalId;
use toko_crdt::frontier::Head;
use toko_crdt::list::at_most;

/// Bytes as bytes: the same form as a list of bytes, without a call for each.
pub(super) struct RawV1(pub(super) Arc<[u8]>);

#[derive(Serialize, Deserialize)]
pub(super) struct JournalV1 {
    pub(super) node: [u8; 32],
    pub(super) run: u64,
    pub(super) lane: u8,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HelloV1 {
    pub(super) version_min: u8,
    pub(super) version_max: u8,
    pub(super) store: [u8; 32],
    pub(super) incarnation: u64,
    pub(super) floor: bool,
    pub(super) push: bool,
    #[serde(deserialize_with = "at_most::<ADDRS_MAX, _, _>")]
    pub(super) addrs: Vec<AddrV1>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum AddrV1 {
    V4([u8; 4], u16),
    V6([u8; 16], u16),
}

#[derive(Serialize, Deserialize)]
pub(super) struct RootV1 {
    pub(super) root: [u8; 32],
    pub(super) members: [u8; 32],
}

#[derive(Serialize, Deserialize)]
pub(super) struct LinesV1 {
    pub(super) whole: bool,
    pub(super) more: bool,
    pub(super) root: Option<[u8; 32]>,
    #[serde(deserialize_with = "at_most::<LINES_MAX, _, _>")]
    pub(super) lines: Vec<LineV1>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LineV1 {
    pub(super) journal: JournalV1,
    pub(super) seq: u64,
    pub(super) hash: [u8; 32],
}

#[derive(Serialize, Deserialize)]
pub(super) struct StatementsV1(
    #[serde(deserialize_with = "at_most::<ITEMS_MAX, _, _>")] pub(super) Vec<RawV1>,
);

#[derive(Serialize, Deserialize)]
pub(super) struct WantV1 {
    pub(super) journal: JournalV1,
    pub(super) from: u64,
    pub(super) to: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BatchV1 {
    pub(super) journal: JournalV1,
    #[serde(deserialize_with = "at_most::<ITEMS_MAX, _, _>")]
    pub(super) entries: Vec<RawV1>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FragmentV1 {
    pub(super) journal: JournalV1,
    pub(super) seq: u64,
    pub(super) offset: u32,
    pub(super) total: u32,
    pub(super) bytes: RawV1,
}

#[derive(Serialize, Deserialize)]
pub(super) struct NoEntriesV1 {
    pub(super) journal: JournalV1,
    pub(super) from: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WantBlobV1 {
    pub(super) hash: [u8; 32],
    pub(super) offset: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BlobPartV1 {
    pub(super) hash: [u8; 32],
    pub(super) offset: u64,
    pub(super) total: u64,
    pub(super) bytes: RawV1,
}

#[derive(Serialize, Deserialize)]
pub(super) struct NoBlobV1(pub(super) [u8; 32]);

#[derive(Serialize, Deserialize)]
pub(super) struct BasesV1(#[serde(deserialize_with = "at_most::<BASES_MAX, _, _>")] pub(super) Vec<[u8; 32]>);

#[derive(Serialize, Deserialize)]
pub(super) struct PeersV1(#[serde(deserialize_with = "at_most::<PEERS_MAX, _, _>")] pub(super) Vec<PeerV1>);

#[derive(Serialize, Deserialize)]
pub(super) struct PeerV1 {
    pub(super) node: [u8; 32],
    #[serde(deserialize_with = "at_most::<ADDRS_MAX, _, _>")]
    pub(super) addrs: Vec<AddrV1>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SealedV1 {
    pub(super) seal: [u8; 32],
    pub(super) equal: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WantSnapshotV1(pub(super) [u8; 32]);

#[derive(Serialize, Deserialize)]
pub(super) struct SnapshotV1 {
    pub(super) seal: [u8; 32],
    pub(super) manifest: Option<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ByeV1 {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl From<&JournalId> for JournalV1 {
    fn from(id: &JournalId) -> Self {
        Self { node: id.node.0, run: id.run.0, lane: id.lane as u8 }
    }
}

impl From<(&JournalId, &Head)> for LineV1 {
    fn from((journal, head): (&JournalId, &Head)) -> Self {
        Self { journal: journal.into(), seq: head.seq, hash: head.hash.0 }
    }
}

impl From<&PeerAddrs> for PeerV1 {
    fn from(peer: &PeerAddrs) -> Self {
        Self { node: peer.node.0, addrs: peer.addrs.iter().map(AddrV1::from).collect() }
    }
}

impl From<&SocketAddr> for AddrV1 {
    fn from(addr: &SocketAddr) -> Self {
        match addr.ip() {
            IpAddr::V4(ip) => Self::V4(ip.octets(), addr.port()),
            IpAddr::V6(ip) => Self::V6(ip.octets(), addr.port()),
        }
    }
}

impl From<AddrV1> for SocketAddr {
    fn from(v1: AddrV1) -> Self {
        match v1 {
            AddrV1::V4(ip, port) => (ip, port).into(),
            AddrV1::V6(ip, port) => (ip, port).into(),
        }
    }
}

impl Serialize for RawV1 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for RawV1 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = RawV1;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<RawV1, E> {
                Ok(RawV1(bytes.into()))
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<RawV1, E> {
                Ok(RawV1(bytes.into()))
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}
