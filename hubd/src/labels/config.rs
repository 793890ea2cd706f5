//! The label printer, as it stands in the hub's configuration.

use serde::{Deserialize, Serialize};
use toko_devices::Address;
use toko_devices::label::Stock;

/// The label printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Where it hangs, such as `192.168.1.51:9100`; empty means that there is none.
    pub address: String,
    /// What it speaks: `zpl` or `tspl`.
    pub language: String,
    /// Millimetres across a label.
    pub width_mm: u16,
    /// Millimetres along a label.
    pub height_mm: u16,
    /// Dots a millimetre: 8 at 203 dpi, 12 at 300 dpi.
    pub dots_per_mm: u16,
}

/// A label printer that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelsConfig {
    /// Where it hangs.
    pub address: Address,
    /// What it speaks.
    pub language: Language,
    /// The paper.
    pub stock: Stock,
}

/// What a label printer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Zebra's, and of many others.
    Zpl,
    /// TSC's, and of most cheap ones.
    Tspl,
}

impl Default for Labels {
    fn default() -> Self {
        Self { address: String::new(), language: "zpl".into(), width_mm: 62, height_mm: 29, dots_per_mm: 8 }
    }
}

impl Labels {
    /// Settings are checked although there is no printer yet.
    pub(crate) fn parse(self, problems: &mut Vec<String>) -> Option<LabelsConfig> {
        let language = match self.language.as_str() {
            "zpl" => Some(Language::Zpl),
            "tspl" => Some(Language::Tspl),
            other => {
                problems.push(format!("labels.language: \"{other}\" is neither \"zpl\" nor \"tspl\""));
                None
            }
        };
        for (key, found) in [("width_mm", self.width_mm), ("height_mm", self.height_mm)] {
            if !(10..=300).contains(&found) {
                problems.push(format!("labels.{key}: {found} is not between 10 and 300"));
            }
        }
        if !(6..=24).contains(&self.dots_per_mm) {
            problems.push(format!("labels.dots_per_mm: {} is not between 6 and 24", self.dots_per_mm));
        }
        let address = match self.address.as_str() {
            "" => None,
            text => {
                let parsed = text.parse::<Address>();
                parsed.map_err(|problem| problems.push(format!("labels.address: {problem}"))).ok()
            }
        };
        let stock = Stock::mm(self.width_mm, self.height_mm, self.dots_per_mm);
        Some(LabelsConfig { address: address?, language: language?, stock })
    }
}
