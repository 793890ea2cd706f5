//! The cash drawer of this terminal.

use serde::{Deserialize, Serialize};
use toko_retail::ops::limits::WORD_CHARS_MAX;
use toko_retail::text::check_text;

/// The cash drawer of this terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawer {
    /// Which drawer, by the name that the hub's configuration gave it; it must name this terminal there, too. Empty means that
    /// there is none.
    pub name: String,
    /// Whether it opens by itself for cash of a sale, return or void. Costs two entries of about 200 bytes each time.
    pub opens_with_cash: bool,
}

impl Default for Drawer {
    fn default() -> Self {
        Self { name: String::new(), opens_with_cash: true }
    }
}

impl Drawer {
    pub(super) fn check(&self, problems: &mut Vec<String>) {
        if let Err(problem) = check_text("the drawer's name", &self.name, WORD_CHARS_MAX) {
            problems.push(format!("drawer.name: {problem}"));
        }
    }
}
