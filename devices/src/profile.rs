//! What is known of each model of printer, by name. Pure.
//!
//! Invariant: what a file says and this program does not know is left out, never guessed; a printer without a profile is
//! a [`Model`] by hand. What only the printer in the shop can tell (its drawer's polarity, whether it echoes marks) is
//! here only as what to expect: a probe has the last word.
//!
//! Source: `data/profiles.txt`, made by `data/make.py` from escpos-printer-db (CC-BY-4.0) and ReceiptPrinterEncoder
//! (MIT), see `data/NOTICE.md`.

use std::sync::OnceLock;

use crate::codepage::CodePage;
use crate::model::{Cut, DotsBy, Draws, Language, Model};
use crate::outcome::Level;

/// A model of printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name by which a shop chooses it, such as `epson/tm-t88v`.
    pub id: &'static str,
    /// Maker and model as people write them.
    pub name: &'static str,
    /// Which of the two sources know it.
    pub sources: &'static str,
    /// What to write for it.
    pub model: Model,
    /// Dots an inch, where it is known.
    pub dots_per_inch: Option<u16>,
    /// The best that its maker promises to confirm; a probe finds out.
    pub confirm: Level,
    /// Whether it can report changes of its state by itself.
    pub reports_changes: bool,
    /// What the drawer's sensor says while the drawer is open. Unknown until a guided opening taught it.
    pub drawer: Polarity,
    /// Where the sources differ, and what was taken; one line each.
    pub differs: Vec<&'static str>,
}

/// What the drawer's sensor says while the drawer is open; it depends on the drawer, not on the printer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Polarity {
    /// Not learnt yet, so no state of the drawer is known.
    #[default]
    Unknown,
    /// High is open.
    HighIsOpen,
    /// Low is open.
    LowIsOpen,
}

impl Polarity {
    /// Whether a level of the sensor means an open drawer; nothing until that was learnt.
    #[must_use]
    pub fn open(self, level: bool) -> Option<bool> {
        match self {
            Polarity::Unknown => None,
            Polarity::HighIsOpen => Some(level),
            Polarity::LowIsOpen => Some(!level),
        }
    }
}

impl Profile {
    /// All profiles, by id.
    #[must_use]
    pub fn all() -> &'static [Profile] {
        static ALL: OnceLock<Vec<Profile>> = OnceLock::new();
        ALL.get_or_init(|| read(include_str!("../data/profiles.txt")))
    }

    /// The profile of an id.
    #[must_use]
    pub fn named(id: &str) -> Option<&'static Profile> {
        Profile::all().iter().find(|profile| profile.id == id)
    }

    /// Ids that hold a part of what was asked for, for a message to whoever mistyped one; at most five.
    #[must_use]
    pub fn like(id: &str) -> Vec<&'static str> {
        let words: Vec<String> = id.to_lowercase().split(['/', '-', ' ']).map(str::to_owned).collect();
        let hits = |profile: &&Profile| {
            words.iter().filter(|word| !word.is_empty() && profile.id.contains(word.as_str())).count()
        };
        let mut found: Vec<&Profile> = Profile::all().iter().filter(|profile| hits(profile) > 0).collect();
        found.sort_by_key(|profile| std::cmp::Reverse(hits(profile)));
        found.into_iter().take(5).map(|profile| profile.id).collect()
    }
}

/// Pages by the names that printers refer to.
type Maps = Vec<(&'static str, &'static [(u8, CodePage)])>;

fn read(text: &'static str) -> Vec<Profile> {
    let mut maps: Maps = Vec::new();
    let mut profiles: Vec<Profile> = Vec::new();
    for line in text.lines() {
        if let Some(map) = line.strip_prefix("pages ") {
            let (name, pages) = map.split_once(' ').unwrap_or((map, ""));
            let pages: Box<[(u8, CodePage)]> = pages.split(' ').filter_map(page).collect();
            maps.push((name, Box::leak(pages)));
        } else if let Some(id) = line.strip_prefix("printer ") {
            profiles.push(unknown(id));
        } else if let (Some(profile), Some(field)) = (profiles.last_mut(), line.strip_prefix(' ')) {
            let (field, value) = field.split_once(' ').unwrap_or((field, ""));
            set(profile, &maps, field, value);
        }
    }
    profiles.sort_by_key(|profile| profile.id);
    profiles
}

fn page(entry: &'static str) -> Option<(u8, CodePage)> {
    let (number, name) = entry.split_once(':')?;
    Some((number.parse().ok()?, CodePage::named(name)?))
}

fn unknown(id: &'static str) -> Profile {
    let model = Model {
        code_page: CodePage::Pc437,
        code_page_number: 0,
        dots_by: DotsBy::Nothing,
        draws: Draws { barcodes: false, qr: false, pdf417: false },
        cut: Cut::Tear(TEAR_ROWS),
        cancel_kanji: false,
        guard: false,
        ..Model::paper_80mm()
    };
    Profile {
        id,
        name: id,
        sources: "",
        model,
        dots_per_inch: None,
        confirm: Level::Sent,
        reports_changes: false,
        drawer: Polarity::Unknown,
        differs: Vec::new(),
    }
}

fn set(profile: &mut Profile, maps: &Maps, field: &str, value: &'static str) {
    let model = &mut profile.model;
    match field {
        "name" => profile.name = value,
        "from" => profile.sources = value,
        "language" => {
            model.language = match value {
                "star-prnt" => Language::StarPrnt,
                "star-line" => Language::StarLine,
                _ => Language::EscPos,
            }
        }
        "columns" => model.columns = value.parse().unwrap_or(model.columns),
        "dots" => model.dots = value.parse().unwrap_or(model.dots),
        "dpi" => profile.dots_per_inch = value.parse().ok(),
        "pages" => {
            model.pages = maps.iter().find(|(name, _)| *name == value).map_or(&[], |(_, pages)| pages);
            (model.code_page_number, model.code_page) = first(model.pages);
        }
        "has" => has(model, value),
        "feed-before-cut" => {
            if let (Ok(rows), Cut::After(_) | Cut::Tear(_)) = (value.parse(), model.cut) {
                model.cut =
                    if matches!(model.cut, Cut::After(_)) { Cut::After(rows) } else { Cut::Tear(rows) };
            }
        }
        "confirm" => {
            profile.confirm = match value {
                "printed" => Level::Printed,
                "processed" => Level::Processed,
                "drained" => Level::Drained,
                _ => Level::Sent,
            }
        }
        "asb" => profile.reports_changes = value == "yes",
        "drawer" => {
            profile.drawer = match value {
                "high" => Polarity::HighIsOpen,
                "low" => Polarity::LowIsOpen,
                _ => Polarity::Unknown,
            }
        }
        "cancel-kanji" => model.cancel_kanji = value == "yes",
        "guard" => model.guard = value == "yes",
        "cuts" if value == "feeding" => model.cut = Cut::Feeding,
        "differs" => profile.differs.push(value),
        _ => {}
    }
}

fn has(model: &mut Model, value: &str) {
    let has = |word: &str| value.split(' ').any(|has| has == word);
    model.draws = Draws { barcodes: has("barcode"), qr: has("qr"), pdf417: has("pdf417") };
    model.dots_by = match (has("column"), has("raster") || model.language != Language::EscPos) {
        (true, true) => DotsBy::BandsAndRows,
        (false, true) => DotsBy::Rows,
        (true, false) => DotsBy::Bands,
        (false, false) => DotsBy::Nothing,
    };
    if has("cut") || has("part-cut") {
        model.cut = Cut::After(CUT_ROWS);
    }
}

/// The page to print with first: one with the euro sign, or the first.
fn first(pages: &[(u8, CodePage)]) -> (u8, CodePage) {
    let wanted = [CodePage::Pc858, CodePage::Wpc1252, CodePage::Pc850, CodePage::Pc437];
    let found = wanted.iter().find_map(|page| pages.iter().find(|(_, known)| known == page));
    found.or(pages.first()).copied().unwrap_or((0, CodePage::Pc437))
}

/// Rows from the head to the cutter or the edge, where nobody says how many.
const CUT_ROWS: u8 = 4;
const TEAR_ROWS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_says_enough_to_print_with() {
        assert_eq!(Profile::all().len(), 67);
        for profile in Profile::all() {
            let model = &profile.model;
            assert!((20..=80).contains(&model.columns), "{profile:?}");
            assert!((300..=833).contains(&model.dots), "{profile:?}");
            assert!(!profile.sources.is_empty() && profile.name != profile.id, "{profile:?}");
            let first = (model.code_page_number, model.code_page);
            assert!(model.pages.is_empty() || model.pages.contains(&first), "{profile:?}");
        }
    }

    #[test]
    fn a_well_known_printer_is_as_its_maker_says() {
        let profile = Profile::named("epson/tm-t88v").expect("known");
        let model = &profile.model;
        assert_eq!((model.columns, model.dots, model.cut), (42, 512, Cut::Feeding));
        assert_eq!((model.code_page, model.code_page_number), (CodePage::Pc858, 19));
        assert_eq!(
            (profile.confirm, profile.reports_changes, profile.drawer),
            (Level::Printed, true, Polarity::Unknown)
        );
        assert!(model.pages.contains(&(17, CodePage::Pc866)) && model.cancel_kanji && model.guard);
    }

    #[test]
    fn a_mistyped_name_is_answered_with_those_that_are_like_it() {
        assert_eq!(Profile::named("epson tm-t88"), None);
        assert!(Profile::like("epson TM-T88").contains(&"epson/tm-t88v"));
        assert!(Profile::like("zzz").is_empty());
    }
}
