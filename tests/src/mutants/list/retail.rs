//! What a shop means: money, taxes, tenders, goods, carts, receipts.

use super::{Mutant, mutant};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant("round-half-down", "retail/src/money.rs", "half a penny is given away", &["retail/lib money::"]),
    mutant(
        "mix-currencies",
        "retail/src/money.rs",
        "pounds and rupiah are added up",
        &["retail/lib money::"],
    ),
    mutant("cut-shares", "retail/src/money.rs", "taxes are cut instead of rounded", &["retail/lib money::"]),
    mutant(
        "tax-included-as-on-top",
        "retail/src/tax.rs",
        "tax that a price contains is computed as if it came on top",
        &["retail/lib tax::"],
    ),
    mutant(
        "ignore-check-digit",
        "retail/src/code.rs",
        "a misread barcode sells another article",
        &["retail/lib code::"],
    ),
    mutant(
        "return-takes-stock-out",
        "retail/src/views/stock.rs",
        "goods that come back leave the stock again",
        &["retail/day", "retail/laws"],
    ),
    mutant("change-from-a-card", "retail/src/tender.rs", "a card buys cash", &["retail/lib tender::"]),
    mutant(
        "sell-unpaid",
        "retail/src/tender.rs",
        "a sale closes with too little money",
        &["retail/lib sale::"],
    ),
    mutant(
        "return-twice",
        "retail/src/sale/refund.rs",
        "one purchase is refunded twice",
        &["retail/lib sale::"],
    ),
    mutant(
        "round-each-return",
        "retail/src/sale/refund.rs",
        "parts that come back add up to more or less than was paid",
        &["retail/lib sale::"],
    ),
    mutant(
        "void-forgets-change",
        "retail/src/sale/refund.rs",
        "a void gives back what was handed over, change included",
        &["retail/lib sale::"],
    ),
    mutant(
        "take-without-a-turn",
        "retail/src/custody.rs",
        "a cart that is taken over may stay with whoever had it",
        &["retail/day", "retail/lib custody::"],
    ),
    mutant(
        "order-by-wall-clock",
        "retail/src/views/carts.rs",
        "a till whose clock is ahead keeps a cart that another took over",
        &["retail/day"],
    ),
    mutant(
        "let-the-clock-expire-a-cart",
        "retail/src/views/carts.rs",
        "a cart that a till with a dead clock battery parked is in nobody's list",
        &["retail/day"],
    ),
    mutant(
        "sold-cart-stays-open",
        "retail/src/views/carts.rs",
        "a cart that was sold is offered to be sold again",
        &["retail/day", "retail/laws"],
    ),
    mutant(
        "terminal-sets-prices",
        "retail/src/scope.rs",
        "a terminal's key may publish a catalogue",
        &["retail/lib scope::", "retail/laws"],
    ),
    mutant(
        "keep-card-numbers",
        "retail/src/card.rs",
        "a card number is kept in a memo",
        &["retail/lib card::"],
    ),
    mutant(
        "drawer-forgets-change",
        "retail/src/views/shifts.rs",
        "a drawer is expected to hold the change that was given",
        &["retail/day", "retail/laws"],
    ),
    mutant(
        "last-number-seen-counts",
        "retail/src/views/sales.rs",
        "the highest receipt number depends on what arrived last",
        &["retail/laws"],
    ),
    mutant(
        "hide-a-number-used-twice",
        "retail/src/views/sales.rs",
        "nobody learns that two receipts have one number",
        &["retail/laws", "retail/day"],
    ),
    mutant(
        "last-catalogue-to-arrive-counts",
        "retail/src/views/bundles.rs",
        "tills price from different catalogues",
        &["retail/laws"],
    ),
    mutant(
        "count-adds-what-was-counted",
        "retail/src/movement.rs",
        "a stock count adds the whole shelf",
        &["retail/lib movement::", "retail/day"],
    ),
    mutant(
        "forget-discounts",
        "retail/src/line.rs",
        "a discount stands on the receipt and is not taken off",
        &["retail/lib sale::"],
    ),
    mutant(
        "day-forgets-returns",
        "retail/src/views/days.rs",
        "the day's takings are too high",
        &["retail/day"],
    ),
    mutant(
        "printed-job-stays-open",
        "retail/src/views/prints.rs",
        "a receipt that is on paper is printed again",
        &["retail/day", "retail/laws"],
    ),
    mutant(
        "drop-dedupe",
        "retail/src/views/idem.rs",
        "a request that is repeated sells again",
        &["retail/laws", "retail/day", "terminal-agent/till"],
    ),
];
