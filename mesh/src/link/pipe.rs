//! The two halves of a link's stream. Both can be abandoned in the middle of waiting without losing a byte.

use crate::node::shared::FrameBytes;
use crate::proto::frame::FrameError;
use crate::proto::{Frame, Reader};
use quinn::{RecvStream, SendStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How much may wait to be written before the peer is taken for dead: a window, the largest frontier, and all statements.
const WAITING_BYTES_MAX: usize = 6 << 20;
/// How much room for frames is kept while none waits.
const ROOM_BYTES: usize = 16 * 1024;
/// How much is read at once.
const READ_BYTES: usize = 128 * 1024;

/// Frames in.
pub(super) struct Inlet {
    stream: RecvStream,
    reader: Reader,
    broken: Option<FrameError>,
    count: Arc<FrameBytes>,
}

impl Inlet {
    pub(super) fn new(stream: RecvStream, count: Arc<FrameBytes>) -> Self {
        Self { stream, reader: Reader::default(), broken: None, count }
    }

    /// Waits for bytes and gives all frames that are whole with them.
    ///
    /// Errors: the stream ended or broke.
    pub(super) async fn read(&mut self) -> Result<Vec<Frame>, String> {
        let chunk = match self.stream.read_chunk(READ_BYTES, true).await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Err("the peer ended the stream".into()),
            Err(error) => return Err(error.to_string()),
        };
        self.count.into.fetch_add(chunk.bytes.len() as u64, Relaxed);
        let (mut frames, mut input) = (Vec::new(), &chunk.bytes[..]);
        loop {
            match self.reader.read(&mut input) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return Ok(frames),
                Err(error) => {
                    self.broken = Some(error);
                    return Ok(frames);
                }
            }
        }
    }

    /// What made the stream unreadable, once.
    pub(super) fn broken(&mut self) -> Option<FrameError> {
        self.broken.take()
    }
}

/// Frames out.
pub(super) struct Outlet {
    stream: SendStream,
    waiting: Vec<u8>,
    written: usize,
    count: Arc<FrameBytes>,
}

impl Outlet {
    pub(super) fn new(stream: SendStream, count: Arc<FrameBytes>) -> Self {
        Self { stream, waiting: Vec::new(), written: 0, count }
    }

    /// Gives a frame's bytes on.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.count.out.fetch_add(bytes.len() as u64, Relaxed);
        self.waiting.extend_from_slice(bytes);
    }

    pub(super) fn has_more(&self) -> bool {
        self.written < self.waiting.len()
    }

    /// How many bytes the peer has still to take.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() - self.written
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.waiting() > WAITING_BYTES_MAX
    }

    /// Writes as much as the peer takes now.
    pub(super) async fn write(&mut self) -> Result<(), String> {
        let rest = &self.waiting[self.written..];
        self.written += self.stream.write(rest).await.map_err(|error| error.to_string())?;
        if self.written == self.waiting.len() || self.written > READ_BYTES {
            self.waiting.drain(..self.written);
            self.written = 0;
            // What a peer once had to catch up on is no reason to keep so much room for ever.
            if self.waiting.is_empty() && self.waiting.capacity() > ROOM_BYTES {
                self.waiting = Vec::new();
            }
        }
        Ok(())
    }

    /// Writes the rest, and returns when the peer has it.
    pub(super) async fn finish(&mut self) {
        while self.has_more() {
            if self.write().await.is_err() {
                return;
            }
        }
        if self.stream.finish().is_ok() {
            let _ = self.stream.stopped().await;
        }
    }
}
