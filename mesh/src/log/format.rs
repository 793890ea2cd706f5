//! The bytes of a log file, drawn to the byte.
//!
//! ```text
//! segment  = header (64 bytes) | record* | zeros to the end of the preallocated file
//! header   = magic "TOKO-LOG" | version u32 | reserved u32 (0) | segment number u64 | store id [32] | zeros [4] | crc32 u32
//! record   = len u32 | crc32 u32 | kind u8 | payload          len = bytes of kind and payload, so 0 is "nothing more"
//! kind     = 0x80 if everything before this record had been synced when it was written | 0x01 ..= 0x7f
//! crc32    = over store id, segment number, offset of the record, kind, payload
//! ```
//!
//! Numbers are little-endian. The place is in the checksum, so bytes of a record that once stood elsewhere, in another
//! segment or in another store's file never pass for one. The last kind, 0x7f, is the log's own: "goes on in the next
//! segment".

use toko_crdt::StoreId;

/// First bytes of every segment.
pub(super) const MAGIC: &[u8; 8] = b"TOKO-LOG";
/// The format that this build writes and reads.
pub(super) const VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: u32 = 64;
/// Bytes in front of a record's payload.
pub(super) const FRAME_BYTES: u32 = 9;
/// The log's own kind: the journal goes on in the next segment.
pub(super) const KIND_NEXT: u8 = 0x7f;
/// Set in a kind byte where everything before had been synced.
pub(super) const SYNCED_BEFORE: u8 = 0x80;

/// Where a record stands. *Shape*: sorts in the order of writing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position {
    /// Number of the segment, from 1.
    pub segment: u32,
    /// Offset of the record in its file.
    pub offset: u32,
}

impl Position {
    /// One number that sorts like the position.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.offset)
    }

    /// Reads what [`Position::to_u64`] made.
    #[must_use]
    pub fn from_u64(n: u64) -> Self {
        let low = u32::try_from(n & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Self { segment: u32::try_from(n >> 32).unwrap_or(u32::MAX), offset: low }
    }

    /// Where the first record of a segment stands.
    pub(super) fn start_of(segment: u32) -> Self {
        Self { segment, offset: HEADER_BYTES }
    }
}

/// The file of a segment. *Shape*: sorts by number.
pub(super) fn segment_name(segment: u32) -> String {
    format!("log-{segment:08}.seg")
}

/// Reads a segment's number back from its file name.
pub(super) fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("log-")?.strip_suffix(".seg")?;
    if digits.len() != 8 { None } else { digits.parse().ok() }
}

/// The header of a segment.
pub(super) fn header(store: &StoreId, segment: u32) -> [u8; HEADER_BYTES as usize] {
    let mut out = [0; HEADER_BYTES as usize];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[16..24].copy_from_slice(&u64::from(segment).to_le_bytes());
    out[24..56].copy_from_slice(&store.0);
    let crc = crc32fast::hash(&out[..60]);
    out[60..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// What a header that is not as we would write it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Not a log file, or a damaged one.
    Damaged,
    /// Written by another build.
    Version(u32),
    /// Another store's.
    Store(StoreId),
    /// Another segment's.
    Segment(u64),
}

/// Checks a segment's header.
pub(super) fn check_header(
    bytes: &[u8; HEADER_BYTES as usize],
    store: &StoreId,
    segment: u32,
) -> Result<(), HeaderFault> {
    let crc = u32_at(bytes, 60);
    if &bytes[..8] != MAGIC || crc != Some(crc32fast::hash(&bytes[..60])) {
        return Err(HeaderFault::Damaged);
    }
    match u32_at(bytes, 8) {
        Some(VERSION) => {}
        other => return Err(HeaderFault::Version(other.unwrap_or(0))),
    }
    if bytes[24..56] != store.0 {
        let mut other = [0; 32];
        other.copy_from_slice(&bytes[24..56]);
        return Err(HeaderFault::Store(StoreId(other)));
    }
    let number = bytes[16..24].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
    if number != u64::from(segment) { Err(HeaderFault::Segment(number)) } else { Ok(()) }
}

/// How many bytes a record with this payload takes.
pub(super) fn record_bytes(payload: &[u8]) -> u64 {
    u64::from(FRAME_BYTES) + payload.len() as u64
}

/// Checksums of one segment's records.
#[derive(Clone, Debug)]
pub(super) struct Salt(crc32fast::Hasher);

impl Salt {
    pub(super) fn new(store: &StoreId, segment: u32) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&store.0);
        hasher.update(&u64::from(segment).to_le_bytes());
        Self(hasher)
    }

    fn crc(&self, offset: u32, kind_and_payload: &[&[u8]]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(&u64::from(offset).to_le_bytes());
        kind_and_payload.iter().for_each(|part| hasher.update(part));
        hasher.finalize()
    }

    /// Writes a record that will stand at `offset` to the end of `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>, offset: u32, kind: u8, payload: &[u8]) {
        let len = u32::try_from(payload.len() + 1).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&self.crc(offset, &[&[kind], payload]).to_le_bytes());
        out.push(kind);
        out.extend_from_slice(payload);
    }

    /// Reads the record at the start of `bytes`, which stand at `offset` of the file.
    pub(super) fn read<'a>(&self, bytes: &'a [u8], offset: u32, payload_bytes_max: u32) -> Found<'a> {
        let Some(len) = u32_at(bytes, 0) else { return Found::Nothing };
        if len == 0 {
            return if bytes.iter().take(FRAME_BYTES as usize).all(|byte| *byte == 0) {
                Found::Nothing
            } else {
                Found::Broken
            };
        }
        let (Some(crc), Ok(size)) = (u32_at(bytes, 4), usize::try_from(len)) else { return Found::Broken };
        if len - 1 > payload_bytes_max {
            return Found::Broken;
        }
        match bytes.get(8..8 + size) {
            Some(rest) if self.crc(offset, &[rest]) == crc || toko_crdt::mutant!("skip-the-checksum") => {
                Found::Record { kind: rest[0], payload: &rest[1..] }
            }
            _ => Found::Broken,
        }
    }
}

/// What stands at a place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole record, its kind byte as written.
    Record { kind: u8, payload: &'a [u8] },
    /// Zeros, or the end of the file.
    Nothing,
    /// Bytes that are no whole record.
    Broken,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::hash::hex;

    const STORE: StoreId = StoreId([0x11; 32]);

    #[test]
    fn the_bytes_of_a_header_and_a_record_never_change() {
        assert_eq!(
            hex(&header(&STORE, 2)),
            "544f4b4f2d4c4f47010000000000000002000000000000001111111111111111\
             1111111111111111111111111111111111111111111111110000000040cdc462"
        );
        let mut record = Vec::new();
        Salt::new(&STORE, 2).write(&mut record, 64, 0x81, b"one tin");
        assert_eq!(hex(&record), "0800000010aa6f41816f6e652074696e");
    }

    #[test]
    fn a_record_passes_only_in_its_place_of_its_segment_of_its_store() {
        let mut bytes = Vec::new();
        let salt = Salt::new(&STORE, 2);
        salt.write(&mut bytes, 64, 1, b"one tin");
        assert_eq!(salt.read(&bytes, 64, 100), Found::Record { kind: 1, payload: b"one tin" });
        assert_eq!(salt.read(&bytes, 65, 100), Found::Broken, "elsewhere");
        assert_eq!(Salt::new(&STORE, 3).read(&bytes, 64, 100), Found::Broken, "another segment");
        assert_eq!(Salt::new(&StoreId([2; 32]), 2).read(&bytes, 64, 100), Found::Broken, "another store");
        assert_eq!(salt.read(&bytes, 64, 6), Found::Broken, "longer than anything can be");
        assert_eq!(salt.read(&bytes[..12], 64, 100), Found::Broken, "cut off");
        assert_eq!(salt.read(&[0; 20], 64, 100), Found::Nothing);
    }

    #[test]
    fn a_header_says_what_is_wrong_with_it() {
        let good = header(&STORE, 2);
        assert_eq!(check_header(&good, &STORE, 2), Ok(()));
        assert_eq!(check_header(&good, &STORE, 3), Err(HeaderFault::Segment(2)));
        assert_eq!(check_header(&good, &StoreId([3; 32]), 2), Err(HeaderFault::Store(STORE)));
        let mut newer = good;
        newer[8] = 9;
        let crc = crc32fast::hash(&newer[..60]);
        newer[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(check_header(&newer, &STORE, 2), Err(HeaderFault::Version(9)));
        assert_eq!(check_header(&[0; 64], &STORE, 2), Err(HeaderFault::Damaged));
    }

    #[test]
    fn names_and_positions_read_back() {
        assert_eq!(segment_number(&segment_name(7)), Some(7));
        assert_eq!(segment_number("log-00000007.seg.new"), None);
        let position = Position { segment: 3, offset: 64 };
        assert_eq!(Position::from_u64(position.to_u64()), position);
        assert!(position < Position { segment: 4, offset: 0 });
    }
}
