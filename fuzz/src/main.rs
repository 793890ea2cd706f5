//! One program for all targets: the environment variable `TOKO_TARGET` names the one to run, the arguments are libFuzzer's.
//!
//! The targets themselves are functions of `toko_hostile`, which the ordinary tests call too. Here is only what the
//! fuzzer needs besides: panics that the product catches (Automerge's, in `crdt/src/cart/document.rs`) go on unwinding, all
//! others stop the run; and an input that makes its target hold far more than its size is a find.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use std::sync::OnceLock;
use toko_hostile::{Target, target};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What one input may make a target allocate at once: enough for every fixed cost (a document, a log's files, a catalogue), and
/// far less than what a bomb takes.
const HELD_BYTES_MAX: usize = 24 << 20;

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("TOKO_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("TOKO_TARGET={name:?} is no target; see fuzz/run.sh --list"))
    })
}

/// A panic is a find, unless it began inside Automerge, where the product expects it and goes on.
fn mind_panics() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|at| at.file().contains("/automerge-")) {
            loud(panic);
        }
    }));
}

fuzz_target!(init: mind_panics(), |bytes: &[u8]| {
    let target = chosen();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    (target.enter)(bytes);
    let held = MEMORY.peak_usage().saturating_sub(before);
    assert!(held <= HELD_BYTES_MAX, "{} bytes made {} hold {held} bytes", bytes.len(), target.name);
});
