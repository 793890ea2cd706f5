//! From a stream of bytes, in whatever pieces it comes, to frames.
//!
//! Invariant: never holds more than one frame, and takes memory only for bytes that came, or twice for those of a packed frame.

use super::frame::{FRAME_BYTES_MAX, Frame, FrameError};
use super::wire;

pub(super) const LENGTH_BYTES: usize = 4;
/// What is kept for the next frame: most are smaller.
const HELD_BYTES: usize = 8 * 1024;

/// Cuts a stream into frames.
///
/// ```
/// use toko_mesh::proto::{Frame, Reader};
/// let bytes = [Frame::WantLines.encode(), Frame::WantStatements.encode()].concat();
/// let (mut reader, mut frames) = (Reader::default(), Vec::new());
/// for mut piece in bytes.chunks(5) {
///     while let Some(frame) = reader.read(&mut piece)? {
///         frames.push(frame);
///     }
/// }
/// assert_eq!(frames, [Frame::WantLines, Frame::WantStatements]);
/// # Ok::<(), toko_mesh::proto::frame::FrameError>(())
/// ```
#[derive(Debug, Default)]
pub struct Reader {
    held: Vec<u8>,
    skipped: u64,
}

impl Reader {
    /// Takes bytes off `input` until a frame is whole. `None` when the input is used up first.
    ///
    /// Errors: what came is no frame; nothing more can be read from this stream.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, FrameError> {
        loop {
            self.take(input, LENGTH_BYTES);
            let Some((length, _)) = self.held.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
            let bytes = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            if !(2..=FRAME_BYTES_MAX).contains(&bytes) && !toko_crdt::mutant!("believe-a-frames-length") {
                return Err(FrameError::Length { bytes });
            }
            self.take(input, LENGTH_BYTES + bytes);
            if self.held.len() < LENGTH_BYTES + bytes {
                return Ok(None);
            }
            let frame = match wire::unpacked(&self.held[LENGTH_BYTES..])? {
                Some(frame) => {
                    // The packed one goes first: the two and what is read of them are never there at once.
                    self.held = Vec::new();
                    Frame::decode(&frame)
                }
                None => Frame::decode(&self.held[LENGTH_BYTES..]),
            };
            self.held.clear();
            self.held.shrink_to(HELD_BYTES);
            match frame? {
                Some(frame) => return Ok(Some(frame)),
                None => self.skipped += 1,
            }
        }
    }

    /// How many frames were of a kind that this build does not know.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether a frame has begun and not ended: a stream that ends here broke.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        !self.held.is_empty()
    }

    fn take(&mut self, input: &mut &[u8], up_to: usize) {
        let lack = up_to.saturating_sub(self.held.len()).min(input.len());
        let (now, later) = input.split_at(lack);
        self.held.extend_from_slice(now);
        *input = later;
    }
}
