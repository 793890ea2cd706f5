//! Paper: what is printed, what is printed again, and what a printer says.

use super::{Mutant, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant(
        "print-what-is-printed",
        "devices/src/spool.rs",
        "a receipt that is on paper is printed again",
        &["devices/lib spool::"],
    ),
    mutant(
        "retry-what-is-in-doubt",
        "devices/src/spool.rs",
        "a receipt that may be on paper is printed again as if it were the first",
        &["devices/lib spool::", "tests/sim seeds::receipts"],
    ),
    mutant(
        "reprint-without-banner",
        "devices/src/spool.rs",
        "nobody can tell the second receipt from the first",
        &["devices/lib spool::", "tests/sim seeds::receipts"],
    ),
    mutant(
        "print-yesterdays-receipts",
        "devices/src/spool.rs",
        "a printer that comes back prints what nobody waits for any more",
        &["devices/lib spool::"],
    ),
    mutant(
        "call-a-torn-job-unsent",
        "devices/src/printer.rs",
        "half a receipt is followed by a whole one without a banner",
        &["devices/stubborn", "devices/printer"],
    ),
    mutant(
        "believe-any-echo",
        "devices/src/tongue.rs",
        "the echo of an older job passes for this one's",
        &["devices/stubborn", "devices/printer"],
    ),
    mutant(
        "print-on-a-torn-receipt",
        "devices/src/printer.rs",
        "a receipt begins on the rest of another customer's",
        &["devices/printer"],
    ),
    mutant(
        "hear-replies-without-end",
        "devices/src/reply.rs",
        "a printer that chatters fills the memory",
        &["devices/lib reply::"],
    ),
    mutant(
        "print-control-characters",
        "devices/src/page.rs",
        "an item's name opens the drawer",
        &["devices/lib page::", "devices/escpos_golden"],
    ),
    mutant(
        "let-dots-be-commands",
        "devices/src/escpos/pen.rs",
        "a shop's sign opens the drawer",
        &["devices/escpos_golden"],
    ),
];
