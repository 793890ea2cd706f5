//! Pictures as they come in: dots are collected, then put on the paper.

use super::Machine;
use crate::virtual_printer::picture::Band;
use crate::virtual_printer::piece::DOTS_BYTES_MAX;
use crate::virtual_printer::token::Dots;

/// A picture of which not all has come.
#[derive(Debug)]
pub(super) struct Collecting {
    dots: Dots,
    left: usize,
    bytes: Vec<u8>,
}

impl Collecting {
    /// Nothing if it is too much to keep; then it is passed over, as by a printer whose memory is full.
    pub(super) fn new(bytes: u64, dots: Dots) -> Option<Collecting> {
        let left = usize::try_from(bytes).ok().filter(|n| *n <= DOTS_BYTES_MAX)?;
        Some(Collecting { dots, left, bytes: Vec::new() })
    }
}

impl Machine {
    /// Takes what there is of a picture; answers how many bytes that was.
    pub(super) fn collect(&mut self, mut collecting: Collecting, rest: &[u8]) -> usize {
        let n = collecting.left.min(rest.len());
        collecting.bytes.extend(&rest[..n]);
        collecting.left -= n;
        if collecting.left > 0 {
            self.collecting = Some(collecting);
        } else {
            self.picture_is_whole(collecting.dots, collecting.bytes);
        }
        n
    }

    fn picture_is_whole(&mut self, dots: Dots, bytes: Vec<u8>) {
        let align = self.mode.align;
        match dots {
            Dots::Raster { m, stride } => {
                let scale = (if m & 1 != 0 { 2 } else { 1 }, if m & 2 != 0 { 2 } else { 1 });
                self.picture(Band::Dots { stride, bits: bytes, align, scale }, None);
            }
            Dots::Columns { m } => {
                let (bytes_down, down) = if m >= 32 { (3, 1) } else { (1, 3) };
                let (stride, bits) = upright(&bytes, bytes_down);
                let scale = (if m % 32 == 0 { 2 } else { 1 }, down);
                self.picture(Band::Dots { stride, bits, align, scale }, Some(bytes_down * 8 * down));
            }
            Dots::Graphics => self.graphics(&bytes),
        }
    }

    /// Function 112 stores rows of dots, 50 prints what is stored.
    fn graphics(&mut self, bytes: &[u8]) {
        match bytes {
            [48, 112, _, across, down, _, xl, xh, _, _, bits @ ..] => {
                let stride = usize::from(u16::from_le_bytes([*xl, *xh])).div_ceil(8);
                let scale = (usize::from(*across).clamp(1, 2), usize::from(*down).clamp(1, 2));
                let align = self.mode.align;
                self.graphics = Some(Band::Dots { stride, bits: bits.to_vec(), align, scale });
            }
            [48, 2 | 50, ..] => {
                if let Some(band) = self.graphics.take() {
                    self.flush_line();
                    self.picture(band, None);
                }
            }
            _ => {}
        }
    }
}

/// Columns of so many bytes down, as rows of whole bytes.
fn upright(columns: &[u8], bytes_down: usize) -> (usize, Vec<u8>) {
    let across = columns.len() / bytes_down;
    let stride = across.div_ceil(8);
    let mut bits = vec![0; stride * bytes_down * 8];
    for (x, column) in columns.chunks_exact(bytes_down).enumerate() {
        for y in (0..bytes_down * 8).filter(|y| column[y / 8] & 0x80 >> (y % 8) != 0) {
            bits[y * stride + x / 8] |= 0x80 >> (x % 8);
        }
    }
    (stride, bits)
}
