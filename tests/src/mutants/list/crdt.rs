//! Merging: journals, frontiers, members, the book, carts.

use super::{Mutant, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant(
        "fold-twice",
        "crdt/src/book.rs",
        "an effect counts as often as it arrives",
        &["crdt/laws book::", "crdt/lib"],
    ),
    mutant(
        "carried-counts-again",
        "crdt/src/book.rs",
        "a sale that is carried out of a forked journal counts again",
        &["crdt/laws book::"],
    ),
    mutant(
        "skip-scope",
        "crdt/src/book.rs",
        "everybody may write every op",
        &["crdt/laws book::", "retail/laws"],
    ),
    mutant(
        "trust-any-fork-proof",
        "crdt/src/book.rs",
        "a made-up proof closes an honest till's journal",
        &["crdt/laws"],
    ),
    mutant(
        "parked-for-ever",
        "crdt/src/book/code.rs",
        "what an older build could not read is not folded after the upgrade",
        &["crdt/laws book::", "mesh/lib store::"],
    ),
    mutant(
        "trust-unverified-signature",
        "crdt/src/journal.rs",
        "a peer can write in anybody's name",
        &["crdt/lib journal::"],
    ),
    mutant(
        "skip-chain",
        "crdt/src/journal.rs",
        "one good signature lets any entries before it in",
        &["crdt/lib journal::"],
    ),
    mutant(
        "accept-gaps",
        "crdt/src/journal.rs",
        "entries are accepted although earlier ones are missing",
        &["crdt/lib journal::"],
    ),
    mutant(
        "compare-numbers-only",
        "crdt/src/frontier.rs",
        "two nodes with equal numbers and different entries think that they agree",
        &["crdt/lib frontier::"],
    ),
    mutant(
        "skip-one-entry",
        "crdt/src/frontier.rs",
        "the first entry that is lacking is never asked for",
        &["crdt/lib frontier::"],
    ),
    mutant(
        "reuse-automerge-actor",
        "crdt/src/cart.rs",
        "after a restart a till numbers its cart changes as the run before it did",
        &["crdt/golden", "crdt/lib cart::"],
    ),
    mutant(
        "watermark-sinks",
        "crdt/src/book/rows.rs",
        "an old word of headquarters undoes a newer one",
        &["crdt/laws book::"],
    ),
    mutant(
        "settle-open-carts",
        "crdt/src/settling.rs",
        "a cart that waits for its customer is gone with the ones that were sold",
        &["crdt/lib settling::", "crdt/laws settled::"],
    ),
    mutant(
        "late-changes-stay",
        "crdt/src/book.rs",
        "what is heard late of a settled cart stays for ever, on some nodes",
        &["crdt/laws settled::"],
    ),
    mutant(
        "first-come-stands",
        "crdt/src/book/rows.rs",
        "of two proofs or idempotency keys the first to arrive stands, so nodes differ",
        &["crdt/laws book::"],
    ),
    mutant(
        "trust-unsigned-statement",
        "crdt/src/member/set.rs",
        "whoever can send a statement can make itself a member",
        &["crdt/lib member::"],
    ),
    mutant(
        "anybody-enrols",
        "crdt/src/member/set.rs",
        "statements of somebody who is no hub are believed",
        &["crdt/lib member::"],
    ),
    mutant(
        "revoked-stays-member",
        "crdt/src/member/set.rs",
        "a stolen till is let in again",
        &["crdt/lib member::"],
    ),
    mutant(
        "old-term-stands",
        "crdt/src/member/set.rs",
        "the hub that was replaced stays the hub",
        &["crdt/lib member::"],
    ),
    mutant(
        "succeeded-hub-deposes",
        "crdt/src/member/set.rs",
        "a hub that was replaced, or stolen, puts out the one that took its place",
        &["crdt/laws succession::"],
    ),
    mutant(
        "digest-keeps-old-rows",
        "crdt/src/digest.rs",
        "equal views have different digests",
        &["crdt/lib overlay::", "crdt/laws"],
    ),
    mutant(
        "accept-trailing-bytes",
        "crdt/src/codec.rs",
        "one value has many encodings, so one entry has many hashes",
        &["crdt/lib body::", "crdt/golden"],
    ),
    mutant(
        "skip-length-check",
        "crdt/src/codec.rs",
        "what is too long is read before it is refused",
        &["crdt/lib", "crdt/golden"],
    ),
    mutant(
        "clock-runs-back",
        "crdt/src/clock.rs",
        "entries are dated before the ones that they follow",
        &["crdt/lib clock::"],
    ),
    mutant(
        "take-compressed-changes",
        "crdt/src/cart/raw.rs",
        "forty bytes inflate to gigabytes in a document decoder",
        &["crdt/lib cart::"],
    ),
    mutant(
        "believe-claimed-operations",
        "crdt/src/cart/raw.rs",
        "a change that claims a billion operations reaches a document decoder",
        &["crdt/lib cart::"],
    ),
    mutant(
        "first-twin-stands",
        "crdt/src/cart/history.rs",
        "of two changes with one number each node shows the one that came first",
        &["crdt/lib cart::", "crdt/laws"],
    ),
    mutant(
        "undo-the-unseen",
        "crdt/src/cart/history.rs",
        "a change takes back what its author never saw",
        &["crdt/lib cart::", "crdt/laws"],
    ),
];
