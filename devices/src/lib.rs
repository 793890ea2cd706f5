//! printers, drawers, displays, scales, scanners: bytes, cables, spool, what really happened.
//!
//! A print has three ends: printed, not printed, and *in doubt*. A write that succeeded proves nothing, since a dead
//! printer swallows megabytes; so a printer is asked before a job, and asked again whether it is on paper. What goes to one that
//! answers nothing is *sent*, and never called printed.
//!
//! In reading order: a [`page::Page`] is what stands on a receipt, [`codes`] are its barcodes, [`picture`] its pictures; a
//! [`model::Model`] is what a printer is like, [`profile`] knows many by name, [`codepage`] the characters that they have,
//! [`fonts`] draws those that they lack; [`escpos`] and [`star`] are the bytes, [`drawn`] and [`html`] the same page for a
//! screen, [`reply`] and [`status`] what the printer says, [`cable`] is how it is reached, [`printer`] drives one and tells
//! the [`outcome`], [`owner`] is the one task that holds its link, [`probe`] finds out what it confirms, [`spool`] decides what to do next with a job, and [`virtual_printer`] is a printer that needs no paper. Beside
//! it stand [`label`] printers, [`display`]s, [`scale`]s and [`scanner`]s, each with a virtual twin.
//!
//! ```
//! use toko_devices::{Model, Page, Style, escpos, virtual_printer::Machine};
//!
//! let page = Page::new()
//!     .text("CORNER SHOP", Style::PLAIN.centre().bold())
//!     .columns("Tomatoes 400 g", "1.20 €")
//!     .job("7f3a09c1")
//!     .cut();
//! let bytes = escpos::encode(&page, &Model::paper_58mm());
//!
//! // Another reader of ESC/POS than the one who wrote it:
//! let paper = Machine::new(32).print(&bytes);
//! assert_eq!(paper[0].text(), "          CORNER SHOP\nTomatoes 400 g            1.20 €\nJob 7f3a09c1\n");
//! assert_eq!(paper[0].job().as_deref(), Some("7f3a09c1"));
//! ```
//!
//! Absent on purpose: what a receipt means and who may print it; a binary joins those to a page. The crate is blind to
//! journals, sales and peers.

pub mod bitmap;
pub mod cable;
pub mod codepage;
pub mod codes;
pub mod display;
pub mod drawn;
pub mod escpos;
pub mod fonts;
pub mod html;
mod ink;
pub mod label;
mod link;
pub mod model;
// The file of `toko-crdt`, which this crate does not know: one module owns the choice, and both compile it.
#[path = "../../crdt/src/mutant.rs"]
pub mod mutant;
pub mod outcome;
pub mod owner;
pub mod page;
pub mod picture;
pub mod printer;
pub mod probe;
pub mod profile;
pub mod reply;
pub mod scale;
pub mod scanner;
pub mod spool;
pub mod star;
pub mod status;
mod tongue;
pub mod virtual_device;
pub mod virtual_printer;
pub mod width;

pub use bitmap::Bitmap;
pub use cable::{Address, Roots};
pub use codepage::CodePage;
pub use codes::{Barcode, CodeError, Pdf417, Qr};
pub use escpos::DrawerPin;
pub use fonts::SystemFonts;
pub use model::{Model, PageSet};
pub use outcome::{Doubt, Level, NoEdge, NotSent, Opening, Outcome};
pub use owner::{Edge, Habits, OwnedPrinter, Owner, Pulse, Seen};
pub use page::{Align, Cell, Page, Size, Style};
pub use picture::{Picture, PictureError};
pub use printer::{Deadlines, Printer, PrinterConfig};
pub use probe::Probed;
pub use profile::{Polarity, Profile};
pub use reply::{Dialect, Replies, Reply};
pub use status::{Condition, Paper, PowerState, PrinterError, PrinterStatus};
