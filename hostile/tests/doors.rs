//! Bytes of others, without the fuzzer: every target over its corpus and over seeded mutations of it.
//!
//! A regression that the fuzzer would find is found here as long as its input lies in `fuzz/corpus`. The mutations are the
//! same on every machine; a failure prints the target, the seed and the bytes.

#![cfg(test)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use toko_hostile::mutate::{Dice, mutated};
use toko_hostile::{TARGETS, Target};

/// Mutations of each target.
const MUTATIONS: u64 = 1_500;
/// Those of targets that open a document, or hold a conversation, for each.
const SLOW: [(&str, u64); 2] = [("carts", 150), ("session", 500)];

fn enter(target: &Target, bytes: &[u8], from: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.enter)(bytes))).is_err() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{} does not hold, from {from}: {hex}", target.name);
    }
}

fn knock(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = target.corpus().unwrap_or_else(|why| panic!("fuzz/corpus/{name}: {why}"));
    let seeds = (target.seeds)();
    let inputs: Vec<(String, Vec<u8>)> =
        corpus.into_iter().chain(seeds.into_iter().map(|seed| ("a seed".to_owned(), seed))).collect();
    for (file, bytes) in &inputs {
        enter(target, bytes, file);
    }
    let mutations = SLOW.iter().find(|(slow, _)| *slow == name).map_or(MUTATIONS, |(_, count)| *count);
    for seed in 0..mutations {
        let mut dice = Dice(seed);
        let (one, other) = (&inputs[dice.below(inputs.len())].1, &inputs[dice.below(inputs.len())].1);
        let bytes = mutated(one, other, &mut dice, target.bytes_max);
        enter(target, &bytes, &format!("mutation {seed}"));
    }
}

/// One test for each target, so that they run side by side and a failure is named.
macro_rules! holds {
    ($($test:ident: $target:literal,)*) => {
        $(
            #[test]
            fn $test() {
                knock($target);
            }
        )*

        #[test]
        fn every_target_has_a_test_here() {
            let tested = [$($target),*];
            assert_eq!(TARGETS.map(|target| target.name), tested);
        }
    };
}

holds! {
    any_stream_gives_frames_or_an_error: "frames",
    any_conversation_ends_bounded: "session",
    any_statement_holds_or_is_refused: "statements",
    anything_typed_is_a_code_or_told_as_none: "codes",
    any_file_of_addresses_reads_or_is_refused: "addresses",
    any_signed_body_is_folded_alike_in_every_order: "entries",
    any_change_of_a_cart_leaves_a_cart_that_sells: "carts",
    any_csv_is_a_catalogue_or_a_list_of_problems: "csv",
    any_blob_is_a_catalogue_or_refused: "blobs",
    anything_scanned_stays_text: "barcodes",
    any_settings_are_taken_or_named: "config",
    any_request_is_understood_or_refused: "http",
    a_disk_that_lies_gives_a_beginning_or_is_named: "log",
    anything_a_printer_says_is_a_reply: "replies",
    any_place_of_a_device_is_one_or_told_as_none: "cables",
    anything_a_scale_says_is_a_weight_said_twice_or_none: "scales",
    anything_a_scanner_sends_is_no_command: "scans",
    anything_on_a_label_stays_text: "labels",
}
