//! Fonts of this machine, found when a character first needs one.
//!
//! Invariants: a font is read once and kept; at most [`FACES_MAX`] are kept, each of at most [`FILE_BYTES_MAX`], and after
//! [`SEARCHES_MAX`] searches in vain no more are made, so that odd names cost neither memory nor time. Absent on purpose:
//! bold faces. A letter is made bold by a dot, which saves a second copy of a font of twenty megabytes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{debug, warn};

use super::{Face, Faces};

/// A cheap handle to the fonts of this machine.
#[derive(Clone, Debug)]
pub struct SystemFonts {
    places: Arc<Vec<PathBuf>>,
    found: Arc<Mutex<Found>>,
}

#[derive(Debug, Default)]
struct Found {
    files: Option<Vec<PathBuf>>,
    faces: Vec<Arc<Face>>,
    in_vain: BTreeSet<char>,
}

/// Where Debian keeps fonts, and what an administrator adds.
const PLACES: [&str; 2] = ["/usr/local/share/fonts", "/usr/share/fonts"];

/// Fonts that are kept; one serves one or more scripts.
const FACES_MAX: usize = 16;

/// Largest font file that is read.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Characters that are searched for in vain, in one run of the program.
const SEARCHES_MAX: usize = 256;

/// Files that are looked at.
const FILES_MAX: usize = 4_000;

impl SystemFonts {
    /// The fonts in files and folders, in this order, and then where the system keeps them. Nothing is read yet.
    #[must_use]
    pub fn at(places: impl IntoIterator<Item = PathBuf>) -> SystemFonts {
        let places = places.into_iter().chain(PLACES.map(PathBuf::from)).collect();
        SystemFonts { places: Arc::new(places), found: Arc::default() }
    }

    /// The fonts in files and folders, and no others.
    #[must_use]
    pub fn only(places: impl IntoIterator<Item = PathBuf>) -> SystemFonts {
        SystemFonts { places: Arc::new(places.into_iter().collect()), found: Arc::default() }
    }
}

impl Default for SystemFonts {
    fn default() -> SystemFonts {
        SystemFonts::at([])
    }
}

impl PartialEq for SystemFonts {
    fn eq(&self, other: &SystemFonts) -> bool {
        self.places == other.places
    }
}

impl Eq for SystemFonts {}

impl Faces for SystemFonts {
    fn face(&self, c: char) -> Option<Arc<Face>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(face) = found.faces.iter().find(|face| face.has(c)) {
            return Some(Arc::clone(face));
        }
        if found.in_vain.contains(&c) || found.in_vain.len() >= SEARCHES_MAX || found.faces.len() >= FACES_MAX
        {
            return None;
        }
        let files = found.files.get_or_insert_with(|| files(&self.places));
        match search(files, c) {
            Some(face) => {
                debug!(?face, "font read");
                found.faces.push(Arc::clone(&face));
                Some(face)
            }
            None => {
                warn!(
                    character = format!("U+{:04X}", u32::from(c)),
                    "no font has this character; it is printed as a box with its number"
                );
                found.in_vain.insert(c);
                None
            }
        }
    }
}

/// All files that may be fonts, those of a place before those of the next.
fn files(places: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for place in places {
        let mut open = vec![place.clone()];
        let mut here = Vec::new();
        while let Some(path) = open.pop() {
            match fs::read_dir(&path) {
                Ok(entries) => open.extend(entries.flatten().map(|entry| entry.path())),
                Err(_) => here.push(path),
            }
            if here.len() + files.len() + open.len() > FILES_MAX {
                break;
            }
        }
        here.retain(|path| is_font(path));
        here.sort();
        files.extend(here);
    }
    files
}

fn is_font(path: &Path) -> bool {
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    matches!(kind, "ttf" | "otf" | "ttc" | "otc")
        && fs::metadata(path).is_ok_and(|file| file.len() <= FILE_BYTES_MAX)
}

fn search(files: &[PathBuf], c: char) -> Option<Arc<Face>> {
    let mut likely: Vec<(u8, &PathBuf)> = files.iter().map(|path| (unlikeliness(path, c), path)).collect();
    likely.sort_by_key(|(unlikeliness, _)| *unlikeliness);
    likely.into_iter().find_map(|(_, path)| {
        let face = Face::new(path.display().to_string(), fs::read(path).ok()?, 0)?;
        face.has(c).then(|| Arc::new(face))
    })
}

/// How late a file is looked into for a character, by its name: the script's own upright fonts first.
fn unlikeliness(path: &Path, c: char) -> u8 {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_lowercase();
    let style = if ["bold", "italic", "oblique", "light", "thin", "black", "condensed", "medium"]
        .iter()
        .any(|word| name.contains(word))
    {
        8
    } else if name.contains("serif")
        || name.contains("naskh")
        || name.contains("kufi")
        || name.contains("looped")
    {
        4
    } else {
        0
    };
    let script = match script(c) {
        Some(script) if name.contains(script) => 0,
        _ if name.contains("notosans-") || name.contains("dejavusans") => 1,
        _ if name.contains("unifont") => 2,
        _ => 3,
    };
    style + script
}

/// What files of a character's script have in their names.
fn script(c: char) -> Option<&'static str> {
    Some(match u32::from(c) {
        0x0530..=0x058f => "armenian",
        0x0590..=0x05ff => "hebrew",
        0x0600..=0x06ff | 0x0750..=0x077f | 0x08a0..=0x08ff | 0xfb50..=0xfdff | 0xfe70..=0xfeff => "arabic",
        0x0900..=0x097f => "devanagari",
        0x0980..=0x09ff => "bengali",
        0x0a00..=0x0a7f => "gurmukhi",
        0x0a80..=0x0aff => "gujarati",
        0x0b00..=0x0b7f => "oriya",
        0x0b80..=0x0bff => "tamil",
        0x0c00..=0x0c7f => "telugu",
        0x0c80..=0x0cff => "kannada",
        0x0d00..=0x0d7f => "malayalam",
        0x0d80..=0x0dff => "sinhala",
        0x0e00..=0x0e7f => "thai",
        0x0e80..=0x0eff => "lao",
        0x1000..=0x109f => "myanmar",
        0x10a0..=0x10ff => "georgian",
        0x1200..=0x137f => "ethiopic",
        0x1780..=0x17ff => "khmer",
        0x1100..=0x11ff | 0x2e80..=0x9fff | 0xac00..=0xd7ff | 0xf900..=0xfaff | 0xff00..=0xffef => "cjk",
        0x1f000..=0x1faff => "symbols2",
        0x20000..=0x3ffff => "cjk",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_fonts_has_none_and_is_asked_once() {
        let fonts = SystemFonts::only([PathBuf::from("/nonexistent")]);
        assert!(fonts.face('中').is_none() && fonts.face('中').is_none());
        assert_eq!(fonts.found.lock().expect("whole").in_vain.len(), 1);
    }

    #[test]
    fn the_scripts_own_upright_font_is_looked_into_first() {
        let paths = [
            "NotoSansThai-Bold.ttf",
            "NotoSerifThai-Regular.ttf",
            "NotoSans-Regular.ttf",
            "NotoSansThai-Regular.ttf",
        ];
        let mut sorted = paths.map(PathBuf::from);
        sorted.sort_by_key(|path| unlikeliness(path, 'ไ'));
        assert_eq!(sorted[0], PathBuf::from("NotoSansThai-Regular.ttf"));
    }
}
