//! Text of one font as dots: shaped, so that letters join and marks stand where they belong, and filled. Pure.
//!
//! Invariant: what is drawn fits its columns and its row: it is squeezed where its letters are too wide or too high.

use std::fmt;

use ab_glyph_rasterizer::{Point, Rasterizer, point};
use harfrust::font::glyph::outline::{DrawMemory, DrawOptions, PathElement};
use harfrust::{Buffer, Direction, Font, ShapeOptions, ShaperFont, shape};

use crate::bitmap::Bitmap;
use crate::model::{CELL_DOTS, CELL_ROWS};
use crate::width;

/// A font of outlines.
#[derive(Clone)]
pub struct Face {
    font: Font,
    name: String,
}

impl Face {
    /// The font at a place of a file's bytes (0 where the file holds one); nothing if it cannot be read.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: Vec<u8>, index: u32) -> Option<Face> {
        let font = Font::new(bytes, index)?;
        let drawable = !font.outline_glyphs().is_empty() && font.units_per_em() > 0;
        drawable.then(|| Face { font, name: name.into() })
    }

    /// Whether it has a character.
    #[must_use]
    pub fn has(&self, c: char) -> bool {
        self.font.charmap().map_unicode(c).is_some()
    }

    /// A run of one direction, in so many columns.
    pub(super) fn draw(&self, text: &str, leftward: bool, columns: usize) -> Bitmap {
        let mut dots = Bitmap::new(columns * CELL_DOTS, CELL_ROWS);
        let Some(run) = self.shaped(text, leftward) else { return dots };
        let fit = Fit::of(&run, f32::from(self.font.units_per_em()), wide(text), leftward, dots.width());
        let mut rasterizer = Rasterizer::new(dots.width(), CELL_ROWS);
        fill(&mut rasterizer, &run, &fit);
        rasterizer.for_each_pixel_2d(|x, y, ink| {
            if ink > INK {
                dots.set(x as usize, y as usize);
            }
        });
        dots
    }

    fn shaped(&self, text: &str, leftward: bool) -> Option<Run> {
        let mut buffer = Buffer::new();
        buffer.push_str(text);
        buffer.set_direction(if leftward { Direction::RightToLeft } else { Direction::LeftToRight });
        buffer.guess_segment_properties();
        shape(&ShaperFont::new(&self.font), &mut buffer, ShapeOptions::new()).ok()?;
        let outlines = self.font.outline_glyphs();
        let mut run = Run::default();
        for (info, position) in buffer.glyph_infos().iter().zip(buffer.glyph_positions()) {
            if let Some(outline) = outlines.get(harfrust::GlyphId::new(info.glyph_id)) {
                let mut path: Vec<PathElement> = Vec::new();
                let drawn = outline.draw(&DrawOptions::new(), DrawMemory::default(), &mut path);
                if drawn.is_ok() {
                    let (x, y) = (run.advance + units(position.x_offset), units(position.y_offset));
                    run.glyphs.push((x, y, path));
                }
            }
            run.advance += units(position.x_advance);
        }
        Some(run)
    }
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Face({})", self.name)
    }
}

/// Glyphs in font units, each at its place.
#[derive(Default)]
struct Run {
    glyphs: Vec<(f32, f32, Vec<PathElement>)>,
    advance: f32,
}

impl Run {
    /// Lowest and highest point, of curves their control points.
    fn heights(&self) -> (f32, f32) {
        let mut heights = (0.0_f32, 0.0_f32);
        let mut see = |y: f32| heights = (heights.0.min(y), heights.1.max(y));
        for (_, up, path) in &self.glyphs {
            for element in path {
                match element {
                    PathElement::MoveTo { y, .. } | PathElement::LineTo { y, .. } => see(y + up),
                    PathElement::QuadTo { cy0, y, .. } => [cy0, y].into_iter().for_each(|y| see(y + up)),
                    PathElement::CurveTo { cy0, cy1, y, .. } => {
                        [cy0, cy1, y].into_iter().for_each(|y| see(y + up));
                    }
                    PathElement::Close => {}
                }
            }
        }
        heights
    }
}

/// How font units become dots.
struct Fit {
    across: f32,
    down: f32,
    left: f32,
    baseline: f32,
}

impl Fit {
    #[expect(clippy::cast_precision_loss, reason = "a row is a few hundred dots wide")]
    fn of(run: &Run, units_per_em: f32, wide: bool, leftward: bool, dots: usize) -> Fit {
        let (room, rows) = (dots as f32, CELL_ROWS as f32);
        // A wide sign fills its two columns; letters are as high as those of the cells beside them.
        let (em, baseline) = if wide { (rows, 21.0) } else { (22.0, 19.0) };
        let scale = em / units_per_em;
        let (low, high) = run.heights();
        let down = if (high - low) * scale > rows { rows / (high - low) } else { scale };
        let across = if run.advance * scale > room { room / run.advance } else { scale };
        let free = room - run.advance * across;
        let left = if leftward {
            free
        } else if wide {
            free / 2.0
        } else {
            0.0
        };
        let baseline = f32::max(baseline, high * down).min(rows + low * down);
        Fit { across, down, left, baseline }
    }

    fn place(&self, x: f32, y: f32) -> Point {
        point(self.left + x * self.across, self.baseline - y * self.down)
    }
}

fn fill(rasterizer: &mut Rasterizer, run: &Run, fit: &Fit) {
    for (right, up, path) in &run.glyphs {
        let place = |x: f32, y: f32| fit.place(x + right, y + up);
        let (mut start, mut at) = (place(0.0, 0.0), place(0.0, 0.0));
        for element in path {
            match *element {
                PathElement::MoveTo { x, y } => (start, at) = (place(x, y), place(x, y)),
                PathElement::LineTo { x, y } => {
                    rasterizer.draw_line(at, place(x, y));
                    at = place(x, y);
                }
                PathElement::QuadTo { cx0, cy0, x, y } => {
                    rasterizer.draw_quad(at, place(cx0, cy0), place(x, y));
                    at = place(x, y);
                }
                PathElement::CurveTo { cx0, cy0, cx1, cy1, x, y } => {
                    rasterizer.draw_cubic(at, place(cx0, cy0), place(cx1, cy1), place(x, y));
                    at = place(x, y);
                }
                PathElement::Close => {
                    rasterizer.draw_line(at, start);
                    at = start;
                }
            }
        }
    }
}

fn wide(text: &str) -> bool {
    text.chars().all(|c| width::of(c) == 2)
}

#[expect(clippy::cast_precision_loss, reason = "font units are small numbers")]
fn units(units: i32) -> f32 {
    units as f32
}

/// How much of a dot must be covered to be black; less than half, since a head's dots are small on thin strokes.
const INK: f32 = 0.4;
