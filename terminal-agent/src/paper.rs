//! The receipt of a sale as plain text, as it stands on paper.

use toko_paper::receipt::{on_screen, time_of};
use toko_retail::receipt::{Dress, Receipt as Content};

use crate::config::Receipt;
use crate::till::{Refusal, SaleSeen};

/// The receipt of a sale as plain text.
///
/// Errors: a stored sale that no build writes.
pub fn text(seen: &SaleSeen, dress: &Receipt, columns: usize) -> Result<String, Refusal> {
    let dress = Dress {
        header: dress.header.clone(),
        footer: dress.footer.clone(),
        time: time_of(&seen.sale),
        ..Dress::default()
    };
    let content = Content::of(&seen.sale, seen.id, &dress)
        .map_err(|error| Refusal::Unreadable(format!("sale {} has no receipt: {error}", seen.id.short())))?;
    Ok(on_screen(&content).plain(columns))
}
