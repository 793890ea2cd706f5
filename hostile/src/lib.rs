//! every door of Toko and who knocks there: what bytes of others must not do, for tests and for the fuzzer.
//!
//! A [`Target`] takes any bytes and panics when something that must hold does not. The fuzzer (`fuzz/run.sh`) looks for such
//! bytes; `tests/doors.rs` runs every target over its corpus (`fuzz/corpus`) and over seeded mutations of it, so that what
//! was found once is found again without the fuzzer. Both call the same functions. It is a package of its own because the
//! fuzzer compiles all that it stands on a second time, with eyes in every branch.
//!
//! Where a checksum or a signature would turn random bytes away at the door, a target takes the bytes behind it and seals them
//! itself, with keys that everybody knows: what a member of the store could send.
//!
//! Absent on purpose: anything that is true of fuzzing alone; the product has no build for it.

mod books;
mod carts;
pub mod cli;
mod counter;
mod cut;
mod goods;
mod machine;
pub mod mutate;
mod shop;
mod wire;

use std::path::{Path, PathBuf};

/// A door and what must hold behind it.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, on the command line and as its corpus's folder.
    pub name: &'static str,
    /// What comes in there, for lists.
    pub what: &'static str,
    /// How many bytes are worth trying.
    pub bytes_max: usize,
    /// Takes bytes. Panics when something that must hold does not.
    pub enter: fn(&[u8]),
    /// What honest senders send: where mutations begin.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every target.
pub const TARGETS: [Target; 18] = [
    Target {
        name: "frames",
        what: "a stream of the mesh, in pieces",
        bytes_max: 8 * 1024,
        enter: wire::frames,
        seeds: wire::frames_seeds,
    },
    Target {
        name: "session",
        what: "frames and events, in any order, to a session that has greeted",
        bytes_max: 8 * 1024,
        enter: wire::session,
        seeds: wire::session_seeds,
    },
    Target {
        name: "statements",
        what: "member statements, raw and signed by known keys",
        bytes_max: 4 * 1024,
        enter: wire::statements,
        seeds: wire::statements_seeds,
    },
    Target {
        name: "codes",
        what: "enrolment, joining and recovery codes as typed",
        bytes_max: 512,
        enter: wire::codes,
        seeds: wire::codes_seeds,
    },
    Target {
        name: "addresses",
        what: "the file of remembered addresses",
        bytes_max: 4 * 1024,
        enter: wire::addresses,
        seeds: wire::addresses_seeds,
    },
    Target {
        name: "entries",
        what: "bodies in entries signed by members, folded in two orders",
        bytes_max: 8 * 1024,
        enter: books::entries,
        seeds: books::entries_seeds,
    },
    Target {
        name: "carts",
        what: "changes of a cart, checksums made good",
        bytes_max: 8 * 1024,
        enter: carts::carts,
        seeds: carts::carts_seeds,
    },
    Target {
        name: "csv",
        what: "a catalogue or taxes as CSV",
        bytes_max: 8 * 1024,
        enter: goods::csv,
        seeds: goods::csv_seeds,
    },
    Target {
        name: "blobs",
        what: "a catalogue as a blob",
        bytes_max: 8 * 1024,
        enter: goods::blobs,
        seeds: goods::blobs_seeds,
    },
    Target {
        name: "barcodes",
        what: "what a scanner says, to the catalogue and onto paper",
        bytes_max: 512,
        enter: goods::barcodes,
        seeds: goods::barcodes_seeds,
    },
    Target {
        name: "config",
        what: "the three daemons' settings",
        bytes_max: 4 * 1024,
        enter: machine::config,
        seeds: machine::config_seeds,
    },
    Target {
        name: "http",
        what: "bodies and queries of the till's API",
        bytes_max: 8 * 1024,
        enter: machine::http,
        seeds: machine::http_seeds,
    },
    Target {
        name: "log",
        what: "a log on a disk that changed what it was given",
        bytes_max: 2 * 1024,
        enter: machine::log,
        seeds: machine::log_seeds,
    },
    Target {
        name: "replies",
        what: "what a printer says",
        bytes_max: 1024,
        enter: machine::replies,
        seeds: machine::replies_seeds,
    },
    Target {
        name: "cables",
        what: "where a device hangs, as settings name it",
        bytes_max: 1024,
        enter: counter::cables,
        seeds: counter::cables_seeds,
    },
    Target {
        name: "scales",
        what: "what a scale says, and when",
        bytes_max: 1024,
        enter: counter::scales,
        seeds: counter::scales_seeds,
    },
    Target {
        name: "scans",
        what: "what a scanner sends, as bytes and as keys",
        bytes_max: 1024,
        enter: counter::scans,
        seeds: counter::scans_seeds,
    },
    Target {
        name: "labels",
        what: "what stands on labels and displays",
        bytes_max: 1024,
        enter: counter::labels,
        seeds: counter::labels_seeds,
    },
];

/// The folder that holds all rooms.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

impl Target {
    /// Where its corpus lies.
    #[must_use]
    pub fn corpus_path(&self) -> PathBuf {
        root().join("fuzz/corpus").join(self.name)
    }

    /// Its corpus with the files' names, in their order.
    ///
    /// Errors: a folder or file that cannot be read.
    pub fn corpus(&self) -> std::io::Result<Vec<(String, Vec<u8>)>> {
        let mut out = Vec::new();
        for entry in std::fs::read_dir(self.corpus_path())? {
            let entry = entry?;
            out.push((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?));
        }
        out.sort();
        Ok(out)
    }
}
