//! From a request to a command.

use std::collections::BTreeMap;
use toko_crdt::EffectId;
use toko_crdt::ids::{CartId, LineId};
use toko_retail::currency::Currency;
use toko_retail::money::Money;
use toko_retail::ops::limits::{LINES_MAX, TENDERS_MAX};
use toko_retail::ops::{DrawerReason, MoveReason};
use toko_retail::qty::Qty;
use toko_retail::tender::Tender;

use super::body::{Object, PROGRAM, parse_hash, parse_id};
use super::error::ApiError;
use super::routes::Operation;
use crate::till::{About, BackLine, Command, NewLine, Refusal};

/// Whether the till does it, once for its key.
pub(super) fn is_command(operation: Operation) -> bool {
    use Operation as Op;
    !matches!(
        operation,
        Op::Status
            | Op::Openapi
            | Op::Item
            | Op::Weigh
            | Op::Drawer
            | Op::LearnDrawer
            | Op::Scans
            | Op::Day
            | Op::Carts
            | Op::Cart
            | Op::Sales
            | Op::Sale
            | Op::Receipt
            | Op::Stock
            | Op::StockOf
            | Op::Totals
    )
}

/// Whether it makes something that was not there, and so answers 201.
pub(super) fn creates(operation: Operation) -> bool {
    use Operation as Op;
    !matches!(operation, Op::ChangeLine | Op::RemoveLine | Op::Park | Op::Take | Op::VoidCart | Op::GiveBack)
}

/// Reads the command of an operation. What is left in `body` afterwards is unknown.
pub(super) fn command(
    operation: Operation,
    params: &BTreeMap<String, String>,
    body: &mut Object,
    currency: Currency,
) -> Result<Command, ApiError> {
    use Operation as Op;
    Ok(match operation {
        Op::OpenDay => Command::OpenDay { day: body.day_needed("date")?, by: body.word_given("by")? },
        Op::CloseDay => {
            Command::CloseDay { day: body.day("date")?, by: body.word_given("by")?, note: body.text("note")? }
        }
        Op::OpenCart => Command::OpenCart { name: body.text("name")? },
        Op::AddLine => Command::AddLine { cart: cart(params)?, line: new_line(body, currency)? },
        Op::ChangeLine => {
            Command::ChangeLine { cart: cart(params)?, line: line(params)?, qty: above_zero(body)? }
        }
        Op::RemoveLine => Command::RemoveLine { cart: cart(params)?, line: line(params)? },
        Op::Park => Command::Park { cart: cart(params)?, note: body.text("note")? },
        Op::Take => Command::Take { cart: cart(params)? },
        Op::VoidCart => Command::VoidCart { cart: cart(params)? },
        Op::Tender => Command::Tender { cart: cart(params)?, tender: tender(body, currency)? },
        Op::GiveBack => Command::GiveBack { cart: cart(params)?, tender: id(params, "tender")? },
        Op::Sell => {
            Command::Sell { cart: cart(params)?, tenders: tenders(body, currency)?, about: about(body)? }
        }
        Op::Return => take_back(body, currency)?,
        Op::VoidSale => Command::VoidSale {
            sale: sale(params)?,
            reason: body.plain_needed("reason")?,
            about: About {
                cashier: body.word_given("cashier")?,
                receipt: body.flag("receipt")?,
                ..About::default()
            },
        },
        Op::MoveStock => move_stock(body)?,
        Op::OpenDrawer => open_drawer(body)?,
        Op::PrintCopy => Command::PrintCopy { sale: sale(params)?, printer: body.word_given("printer")? },
        _ => {
            let log = format!("{operation:?} is no command");
            return Err(ApiError::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                PROGRAM,
                log,
            ));
        }
    })
}

fn cart(params: &BTreeMap<String, String>) -> Result<CartId, ApiError> {
    id(params, "cart").map(CartId)
}

fn line(params: &BTreeMap<String, String>) -> Result<LineId, ApiError> {
    id(params, "line").map(LineId)
}

/// The id of a cart in the path.
pub(super) fn cart_of(params: &BTreeMap<String, String>) -> Result<CartId, ApiError> {
    cart(params)
}

/// The id of a sale in the path.
pub(super) fn sale(params: &BTreeMap<String, String>) -> Result<EffectId, ApiError> {
    parse_hash(params.get("sale").map_or("", String::as_str), "sale").map(EffectId)
}

fn id(params: &BTreeMap<String, String>, name: &str) -> Result<[u8; 16], ApiError> {
    parse_id(params.get(name).map_or("", String::as_str), name)
}

fn above_zero(body: &mut Object) -> Result<Qty, ApiError> {
    let qty = body.qty("qty")?;
    if qty.milli_units() > 0 {
        return Ok(qty);
    }
    let log = format!("the quantity is {qty}, it must be above zero");
    Err(ApiError::field("bad-quantity", "Check the quantity.", &body.place("qty"), log))
}

fn new_line(body: &mut Object, currency: Currency) -> Result<NewLine, ApiError> {
    Ok(NewLine {
        code: body.code_needed("code")?,
        qty: above_zero(body)?,
        unit_price: body.price("unit_price", currency)?,
        name: body.name("name")?,
        price_reason: body.text("price_reason")?,
        memo: body.text("memo")?,
    })
}

fn back_line(mut body: Object, currency: Currency) -> Result<BackLine, ApiError> {
    let back = match body.index("original_line")? {
        Some(line) => BackLine::Of { line, qty: above_zero(&mut body)? },
        None => BackLine::Loose(new_line(&mut body, currency)?),
    };
    if matches!(back, BackLine::Of { .. }) {
        // With a line of the original the rest is known; what a front end says besides must at least be readable.
        body.code("code")?;
        body.price("unit_price", currency)?;
        body.name("name")?;
        body.text("memo")?;
    }
    body.done()?;
    Ok(back)
}

fn take_back(body: &mut Object, currency: Currency) -> Result<Command, ApiError> {
    let lines = body.objects("lines", LINES_MAX)?;
    if lines.is_empty() {
        return Err(ApiError::field("missing-field", PROGRAM, "lines", "nothing comes back"));
    }
    Ok(Command::Return {
        original: body.hash("original")?.map(EffectId),
        lines: lines.into_iter().map(|line| back_line(line, currency)).collect::<Result<_, _>>()?,
        refunds: tenders(body, currency)?,
        reason: body.text("reason")?,
        about: about(body)?,
    })
}

fn move_stock(body: &mut Object) -> Result<Command, ApiError> {
    let reason = match body.plain_needed("reason")?.as_str() {
        "write_off" => MoveReason::WriteOff,
        "receipt" => MoveReason::Receipt,
        "count" => MoveReason::Count,
        "damage" => MoveReason::Damage,
        other => {
            let log = format!("{other:?} is none of write_off, receipt, count, damage");
            return Err(ApiError::field("bad-reason", PROGRAM, "reason", log));
        }
    };
    let mut lines = Vec::new();
    for mut line in body.objects("lines", LINES_MAX)? {
        lines.push((line.code_needed("code")?, line.qty("qty")?, line.name("name")?));
        line.done()?;
    }
    if lines.is_empty() {
        return Err(ApiError::field("missing-field", PROGRAM, "lines", "nothing moves"));
    }
    Ok(Command::MoveStock {
        reason,
        lines,
        note: body.text("note")?,
        by: body.word_given("by")?,
        counterpart: body.text("counterpart")?,
        external: body.word("external")?,
    })
}

fn open_drawer(body: &mut Object) -> Result<Command, ApiError> {
    let word = body.plain_needed("reason")?;
    // With a sale it opens by itself.
    let reason = DrawerReason::named(&word).filter(|reason| *reason != DrawerReason::Sale);
    let Some(reason) = reason else {
        let log = format!("{word:?} is none of no_sale, safe_drop, float, shift_count, pay_in, pay_out");
        return Err(ApiError::field("bad-reason", PROGRAM, "reason", log));
    };
    let Some(by) = body.word_given("cashier")? else {
        let log = "who opens the drawer must be said";
        return Err(ApiError::field("missing-field", "Sign on first.", "cashier", log));
    };
    Ok(Command::OpenDrawer { reason, by, note: body.text("note")? })
}

fn about(body: &mut Object) -> Result<About, ApiError> {
    Ok(About {
        customer: body.word_given("customer")?,
        cashier: body.word_given("cashier")?,
        memo: body.text("memo")?,
        external: body.word("external")?,
        receipt: body.flag("receipt")?,
    })
}

fn tenders(body: &mut Object, currency: Currency) -> Result<Vec<Tender>, ApiError> {
    let mut tenders = Vec::new();
    for mut given in body.objects("tenders", TENDERS_MAX)? {
        tenders.push(tender(&mut given, currency)?);
        given.done()?;
    }
    Ok(tenders)
}

fn tender(body: &mut Object, currency: Currency) -> Result<Tender, ApiError> {
    let kind = body.plain_needed("kind")?;
    let amount: Money = body.amount("amount", currency)?;
    let tender = match kind.as_str() {
        "cash" => Tender::cash(amount),
        "card" => {
            let approval = body.plain_needed("approval_code")?;
            let terminal = body.plain_needed("terminal_id")?;
            let last4 = body.plain("last_four")?.unwrap_or_default();
            Tender::card(amount, &approval, &terminal, &last4)
        }
        "other" => {
            let name = body.plain_needed("name")?;
            let reference = body.plain("reference")?.unwrap_or_default();
            Tender::other(amount, &name, &reference)
        }
        other => {
            let log = format!("{other:?} is none of cash, card, other");
            return Err(ApiError::field("bad-tender", PROGRAM, &body.place("kind"), log));
        }
    };
    tender.map_err(|error| ApiError::from(Refusal::from(error)).at(&body.place("kind")))
}
