//! Entries that are larger than a frame, put together again: one at a time.

use crate::proto::frame::Fragment;
use toko_crdt::JournalId;
use toko_crdt::entry::ENTRY_BYTES_MAX;

/// The entry whose pieces are coming. *Shape*: never more than [`ENTRY_BYTES_MAX`], and memory only for what came.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    of: Option<(JournalId, u64, u32)>,
    bytes: Vec<u8>,
}

/// A piece that does not follow the one before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfPlace;

impl Assembly {
    /// Adds a piece; gives the whole entry with the last one. A piece at offset 0 starts over.
    pub(super) fn add(&mut self, piece: Fragment) -> Result<Option<Vec<u8>>, OutOfPlace> {
        let of = (piece.journal, piece.seq, piece.total);
        if piece.offset == 0 {
            self.of = Some(of);
            self.bytes.clear();
        }
        let total = usize::try_from(piece.total).unwrap_or(usize::MAX);
        let follows = usize::try_from(piece.offset).is_ok_and(|offset| offset == self.bytes.len());
        let cap = if toko_crdt::mutant!("assemble-without-end") { usize::MAX } else { ENTRY_BYTES_MAX };
        let fits = self.bytes.len() + piece.bytes.len() <= total.min(cap);
        if self.of != Some(of) || !follows || !fits {
            return Err(OutOfPlace);
        }
        self.bytes.extend_from_slice(&piece.bytes);
        if self.bytes.len() < total {
            return Ok(None);
        }
        self.of = None;
        Ok(Some(std::mem::take(&mut self.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::{Lane, NodeId, Run};

    #[test]
    fn pieces_of_more_than_an_entry_may_have_are_refused_however_well_they_follow() {
        let journal = JournalId { node: NodeId([1; 32]), run: Run(1), lane: Lane::Books };
        let piece = |offset: usize, bytes: usize| Fragment {
            journal,
            seq: 1,
            offset: u32::try_from(offset).unwrap(),
            total: u32::MAX,
            bytes: vec![7; bytes],
        };
        let mut assembly = Assembly::default();
        let half = ENTRY_BYTES_MAX / 2;
        assert_eq!(assembly.add(piece(0, half)), Ok(None));
        assert_eq!(assembly.add(piece(half, ENTRY_BYTES_MAX - half)), Ok(None));
        assert_eq!(assembly.add(piece(ENTRY_BYTES_MAX, 1)), Err(OutOfPlace));
    }
}
