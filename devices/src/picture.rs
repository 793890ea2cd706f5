//! Pictures in and out: PNG files, and grey made of dots. Pure.
//!
//! Invariants: a file's size is judged before its dots are read, so a small file cannot fill the memory; a picture that
//! exists fits on paper. Absent on purpose: other formats. Any tool writes PNG.

use std::io::Cursor;

use thiserror::Error;

use crate::bitmap::Bitmap;

/// A picture for a page, such as a shop's sign: black dots, at most [`PICTURE_DOTS_MAX`] across.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Picture(Bitmap);

/// Why a file is no picture. Nothing was made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The bytes are no PNG, or a broken one.
    #[error("not a PNG that can be read: {0}")]
    NotPng(String),
    /// It has too many dots, or none.
    #[error("the picture is {width} x {height} dots; each side takes 1 to {max}")]
    Size {
        /// Dots across.
        width: u32,
        /// Dots down.
        height: u32,
        /// The longest side that is read.
        max: u32,
    },
}

/// Widest picture on paper: the widest head that a profile knows, of 104 mm.
pub const PICTURE_DOTS_MAX: usize = 832;

/// Highest picture on paper, a quarter of a metre: a sign, not a roll.
pub const PICTURE_ROWS_MAX: usize = 2_000;

/// Longest side of a file that is read.
pub const FILE_DOTS_MAX: u32 = 4_096;

impl Picture {
    /// The picture of a PNG file, no wider than so many dots: smaller where it is too wide, in dots where it is grey.
    ///
    /// Shape: what is transparent is paper. A picture longer than [`PICTURE_ROWS_MAX`] is made smaller too.
    ///
    /// Errors: [`PictureError`] for anything that is no PNG or larger than [`FILE_DOTS_MAX`] a side.
    pub fn from_png(file: &[u8], dots: usize) -> Result<Picture, PictureError> {
        let grey = Grey::read(file)?;
        let dots = dots.clamp(1, PICTURE_DOTS_MAX);
        Ok(Picture(grey.fitted(dots, PICTURE_ROWS_MAX).dithered()))
    }

    /// The dots of a picture that a program drew; what is beyond the largest picture is cut off.
    #[must_use]
    pub fn from_dots(dots: &Bitmap) -> Picture {
        let mut cut = Bitmap::new(dots.width().min(PICTURE_DOTS_MAX), dots.height().min(PICTURE_ROWS_MAX));
        cut.stamp(dots, 0, 0);
        Picture(cut)
    }

    /// The dots.
    #[must_use]
    pub fn dots(&self) -> &Bitmap {
        &self.0
    }
}

impl Bitmap {
    /// The picture as a PNG file, one bit a dot.
    #[must_use]
    pub fn png(&self) -> Vec<u8> {
        let (width, height) = (self.width().max(1), self.height().max(1));
        let mut file = Vec::new();
        let (Ok(across), Ok(down)) = (u32::try_from(width), u32::try_from(height)) else { return file };
        let mut encoder = png::Encoder::new(&mut file, across, down);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder.set_compression(png::Compression::High);
        // In PNG white is one. A picture without dots is one white dot.
        let mut rows: Vec<u8> = self.rows(0, self.height()).iter().map(|byte| !byte).collect();
        rows.resize(width.div_ceil(8) * height, 0xff);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&rows)?;
            writer.finish()
        });
        assert!(written.is_ok(), "a picture of {width} x {height} dots is written to memory");
        file
    }
}

/// The dots of a PNG of the program's own, set where it is light.
pub(crate) fn unpacked(file: &[u8]) -> Bitmap {
    let grey = Grey::read(file);
    assert!(grey.is_ok(), "a picture of the program's own can be read");
    let mut dots = Bitmap::new(0, 0);
    if let Ok(grey) = grey {
        dots = Bitmap::new(grey.width, grey.height);
        let light = grey.dark.iter().enumerate().filter(|(_, dark)| **dark < 128);
        light.for_each(|(at, _)| dots.set(at % grey.width, at / grey.width));
    }
    dots
}

/// How dark each dot is, from 0, white, to 255.
struct Grey {
    width: usize,
    height: usize,
    dark: Vec<u8>,
}

impl Grey {
    fn read(file: &[u8]) -> Result<Grey, PictureError> {
        let broken = |problem: png::DecodingError| PictureError::NotPng(problem.to_string());
        let limits = png::Limits { bytes: 4 * (FILE_DOTS_MAX as usize).pow(2) };
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(broken)?;
        let (width, height) = (reader.info().width, reader.info().height);
        if !(1..=FILE_DOTS_MAX).contains(&width) || !(1..=FILE_DOTS_MAX).contains(&height) {
            return Err(PictureError::Size { width, height, max: FILE_DOTS_MAX });
        }
        let room = reader.output_buffer_size().unwrap_or(0);
        let mut samples = vec![0; room];
        let frame = reader.next_frame(&mut samples).map_err(broken)?;
        let each = frame.color_type.samples();
        let (width, height) = (width as usize, height as usize);
        let dark = samples.chunks_exact(each).take(width * height).map(darkness).collect();
        Ok(Grey { width, height, dark })
    }

    /// No larger than a paper, each new dot the mean of the old ones that it covers; never larger than before.
    fn fitted(self, dots: usize, rows: usize) -> Grey {
        let (mut width, mut height) = (self.width, self.height);
        if width > dots {
            (width, height) = (dots, (height * dots / width).max(1));
        }
        if height > rows {
            (width, height) = ((width * rows / height).max(1), rows);
        }
        if (width, height) == (self.width, self.height) {
            return self;
        }
        let span = |n: usize, new: usize, old: usize| n * old / new..((n + 1) * old).div_ceil(new).min(old);
        let mut dark = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let (ys, xs) = (span(y, height, self.height), span(x, width, self.width));
                let count = ys.len() * xs.len();
                let sum: usize =
                    ys.flat_map(|y| xs.clone().map(move |x| (x, y))).map(|(x, y)| self.at(x, y)).sum();
                dark.push(u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX));
            }
        }
        Grey { width, height, dark }
    }

    fn at(&self, x: usize, y: usize) -> usize {
        self.dark.get(y * self.width + x).copied().unwrap_or(0).into()
    }

    /// Grey as dots. Source: R. Floyd, L. Steinberg, 1976: what a dot is too dark or too light goes to its neighbours.
    fn dithered(self) -> Bitmap {
        let mut bitmap = Bitmap::new(self.width, self.height);
        let mut carried = vec![0_i32; self.width + 2];
        for y in 0..self.height {
            let mut next = vec![0_i32; self.width + 2];
            let mut right = 0;
            for x in 0..self.width {
                let dark = i32::try_from(self.at(x, y)).unwrap_or(0) + (carried[x + 1] + right) / 16;
                let black = dark >= 128;
                if black {
                    bitmap.set(x, y);
                }
                let over = dark - if black { 255 } else { 0 };
                right = 7 * over;
                next[x] += 3 * over;
                next[x + 1] += 5 * over;
                next[x + 2] += over;
            }
            carried = next;
        }
        bitmap
    }
}

/// How dark a sample of one to four channels is on white paper.
fn darkness(sample: &[u8]) -> u8 {
    let (light, opaque) = match *sample {
        [grey] => (u32::from(grey), 255),
        [grey, alpha] => (u32::from(grey), u32::from(alpha)),
        [r, g, b] => (luma(r, g, b), 255),
        [r, g, b, alpha] => (luma(r, g, b), u32::from(alpha)),
        _ => (255, 255),
    };
    u8::try_from((255 - light) * opaque / 255).unwrap_or(u8::MAX)
}

/// Source: ITU-R BT.601.
fn luma(r: u8, g: u8, b: u8) -> u32 {
    (299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b)) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_reads_back_as_it_was_written() -> Result<(), PictureError> {
        let dots = Bitmap::of(&["# #  ## #", " #     # ", "#########"]);
        assert_eq!(Picture::from_png(&dots.png(), 576)?.dots(), &dots);
        Ok(())
    }

    #[test]
    fn a_picture_too_wide_for_the_paper_is_made_smaller() -> Result<(), PictureError> {
        let mut wide = Bitmap::new(1_000, 100);
        wide.fill(0, 0, 500, 100);
        let picture = Picture::from_png(&wide.png(), 100)?;
        assert_eq!((picture.dots().width(), picture.dots().height()), (100, 10));
        assert!(picture.dots().get(10, 5) && !picture.dots().get(90, 5));
        Ok(())
    }

    #[test]
    fn half_grey_is_half_of_the_dots() {
        let grey = Grey { width: 40, height: 40, dark: vec![128; 1_600] };
        let dots = grey.dithered();
        let black =
            (0..40).flat_map(|y| (0..40).map(move |x| (x, y))).filter(|(x, y)| dots.get(*x, *y)).count();
        assert!((750..850).contains(&black), "{black} of 1600");
    }

    #[test]
    fn what_is_no_picture_is_refused_in_words() {
        let said = Picture::from_png(b"GIF89a", 576).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said.starts_with("not a PNG that can be read"), "{said}");
        let huge = Bitmap::new(5_000, 1).png();
        assert_eq!(
            Picture::from_png(&huge, 576),
            Err(PictureError::Size { width: 5_000, height: 1, max: FILE_DOTS_MAX })
        );
    }
}
