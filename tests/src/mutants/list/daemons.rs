//! The daemons: one terminal, the hub, headquarters.

use super::{Mutant, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant(
        "answer-a-reused-key",
        "terminal-agent/src/till/replay.rs",
        "a front end that reuses a key takes an old sale for its new one",
        &["terminal-agent/till selling::"],
    ),
    mutant(
        "number-as-the-copy-does",
        "terminal-agent/src/till/series.rs",
        "a copied till prints the numbers that the other one prints",
        &["terminal-agent/lib till::series::", "tests/process copies::"],
    ),
    mutant(
        "number-from-one-again",
        "terminal-agent/src/till/sell.rs",
        "after a restart receipt numbers begin anew",
        &["terminal-agent/till restart::"],
    ),
    mutant(
        "number-on-after-damage",
        "terminal-agent/src/till/series.rs",
        "a till whose disk lost its last receipts prints their numbers again",
        &["terminal-agent/lib till::series::"],
    ),
    mutant(
        "take-a-cart-in-use",
        "terminal-agent/src/till/floor.rs",
        "a cart is taken out of the hands of the cashier who fills it",
        &["terminal-agent/till shop::"],
    ),
    mutant(
        "open-a-settled-cart",
        "terminal-agent/src/till/floor.rs",
        "a till whose clock is behind opens carts that nobody else ever sees",
        &["terminal-agent/till shop::"],
    ),
    mutant(
        "give-up-a-paid-cart",
        "terminal-agent/src/till/floor.rs",
        "a cart disappears with the money that was taken for it",
        &["terminal-agent/till selling::"],
    ),
    mutant(
        "count-money-given-back",
        "terminal-agent/src/till/floor.rs",
        "money that went back to the customer pays the sale",
        &["terminal-agent/till selling::"],
    ),
    mutant(
        "write-before-the-run-is-known",
        "terminal-agent/src/till/floor.rs",
        "the first lines after a restart are in no other till's cart",
        &["terminal-agent/till process::"],
    ),
    mutant(
        "sell-anothers-cart",
        "terminal-agent/src/till/open_cart.rs",
        "a cart that another till holds is sold here",
        &["terminal-agent/till shop::"],
    ),
    mutant(
        "reopen-a-closed-day",
        "terminal-agent/src/till/days.rs",
        "business goes on under a day that was closed and counted",
        &["terminal-agent/till selling::"],
    ),
    mutant(
        "believe-any-clock",
        "terminal-agent/src/wall.rs",
        "a till that woke up in 1970 says that its time is verified",
        &["terminal-agent/lib wall::"],
    ),
    mutant(
        "serve-anybody",
        "terminal-agent/src/api/guard.rs",
        "any program on the machine, and any web page in its browser, can sell",
        &["terminal-agent/lib api::guard::", "terminal-agent/till"],
    ),
    mutant(
        "print-before-the-start-is-kept",
        "paper/src/job.rs",
        "a hub that dies while it prints prints the receipt again as if it were the first",
        &["tests/sim seeds::receipts", "tests/process paper::"],
    ),
    mutant(
        "leave-the-banner-off",
        "paper/src/job.rs",
        "a second receipt looks like the first",
        &["tests/sim seeds::receipts", "tests/process paper::"],
    ),
    mutant(
        "drawer-opens-however-late",
        "hubd/src/drawers/fresh.rs",
        "a drawer opens minutes later, with nobody there",
        &["hubd/lib drawers::", "tests/process drawers::"],
    ),
    mutant(
        "print-what-a-twin-asked-for",
        "terminal-agent/src/printing.rs",
        "a till that was restored prints old receipts once more as if they were the first",
        &["tests/process own_printer::"],
    ),
    mutant(
        "print-what-a-till-prints",
        "hubd/src/printers.rs",
        "the hub prints what a terminal prints by itself",
        &["tests/process own_printer::"],
    ),
    mutant(
        "open-another-tills-drawer",
        "hubd/src/drawers.rs",
        "whoever names it opens the drawer at the other counter",
        &["tests/process drawers::"],
    ),
    mutant(
        "import-over-headquarters",
        "hubd/src/shelf.rs",
        "a hub sets prices where headquarters does",
        &["tests/process prices::"],
    ),
    mutant(
        "another-store-under-one-name",
        "hqd/src/tenant/joining.rs",
        "two stores' books become one",
        &["hqd/hq stores::"],
    ),
    mutant(
        "one-store-under-two-names",
        "hqd/src/tenant/joining.rs",
        "a store's sales are counted twice at headquarters",
        &["hqd/hq stores::"],
    ),
];
