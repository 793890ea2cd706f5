//! A cashier at a terminal: customers from the real week, parking, taking over, goods back, goods in.
//!
//! A cashier knows what was scanned, keeps one key for each command, and asks again with the same key until there is an
//! answer: after a power cut the whole cart is gone through again, as a till screen does it, since lines of the last second
//! may be lost. What was answered is told to the oracle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use terminal_agent::till::{
    About, Answer, BackLine, CartSeen, Command, DaySeen, Kind, NewLine, Refusal, SaleSeen, idem,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use toko_crdt::EffectId;
use toko_crdt::book::rows;
use toko_crdt::ids::CartId;
use toko_mesh::node::AlertCode;
use toko_mesh::sim_disk::Dice;
use toko_retail::currency::Currency;
use toko_retail::money::{Money, Price};
use toko_retail::ops::{MoveReason, SaleLineV1, SaleV1};
use toko_retail::qty::Qty;
use toko_retail::tender::Tender;
use toko_retail::views::CartState;

use super::goods::Piece;
use super::ledger::{Effect, What};
use super::shop::{CURRENCY, Shop};
use super::swaps::Cut;

/// How long a cashier waits before asking again.
const AGAIN: Duration = Duration::from_millis(300);
/// A sale takes as many syncs of its disk at most, beside this.
const SYNCS_MAX: u32 = 8;
/// What a command may take that waits for nothing but its disk.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Who serves.
#[derive(Debug)]
pub struct Cashier {
    shop: Arc<Shop>,
    /// At which box.
    at: usize,
    dice: Dice,
    /// The mean time between two customers.
    gap: Duration,
    /// How many customers at most.
    customers: u64,
    /// Whether the day that ended at midnight was closed.
    counted: bool,
    /// Commands so far: each has a key of its own.
    commands: u64,
    closing: CancellationToken,
}

/// What was answered, or that it was refused for good.
enum Told {
    Answer(Arc<Answer>),
    Refused(Refusal),
}

/// A cart as its cashier has it in mind: everything that was done to it, in order, each with its key.
struct Mine {
    cart: CartId,
    opened: Command,
    opened_key: String,
    steps: Vec<(String, Command)>,
    pieces: BTreeMap<usize, Piece>,
    /// Of which start of the terminal it is.
    life: u64,
}

impl Cashier {
    /// At box `at`; `customers` at most.
    #[must_use]
    pub fn new(
        shop: Arc<Shop>,
        at: usize,
        seed: u64,
        pace: (Duration, u64),
        closing: CancellationToken,
    ) -> Self {
        let dice = Dice::new(seed ^ (at as u64) << 32 ^ 0xca_511e);
        Self { shop, at, dice, gap: pace.0, customers: pace.1, counted: false, commands: 0, closing }
    }

    /// Serves until the doors close, then finishes what is in hand.
    pub async fn work(mut self) {
        while self.customers > 0 && !self.closing.is_cancelled() {
            let gap_ms = u64::try_from(self.gap.as_millis()).unwrap_or(u64::MAX).max(1);
            let pause = Duration::from_millis(gap_ms / 10 + self.dice.below(gap_ms * 9 / 5 + 1));
            tokio::select! {
                biased;
                () = self.closing.cancelled() => {}
                () = sleep(pause) => {
                    self.customers -= 1;
                    let shop = Arc::clone(&self.shop);
                    let _here = shop.stations[self.at].counter.lock().await;
                    if self.at == 1 && !self.counted && shop.is_past_midnight() {
                        self.counted = true;
                        self.close_day().await;
                    }
                    self.serve().await;
                }
            }
        }
        // One of them closes the day, and now and then somebody comes in after that.
        if self.at == 1 && self.customers > 0 {
            self.close_day().await;
            if self.dice.below(2) == 0
                && let Some(mine) = self.fill().await
            {
                self.sell(mine).await;
            }
        }
    }

    async fn serve(&mut self) {
        match self.dice.below(100) {
            0..66 => {
                if let Some(mine) = self.fill().await {
                    self.sell(mine).await;
                }
            }
            66..78 => {
                if let Some(mine) = self.fill().await {
                    self.park(mine).await;
                }
            }
            78..90 => self.take_over().await,
            90..95 => self.take_back().await,
            95..98 => self.goods_in().await,
            98 if self.dice.below(6) == 0 => self.close_day().await,
            _ => {
                if let Some(mine) = self.fill().await
                    && let Some(Told::Answer(_)) = self.on_cart(mine, |cart| Command::VoidCart { cart }).await
                {
                    self.shop.ledger().tally.voided += 1;
                }
            }
        }
    }

    /// Opens a cart and scans a basket, with a change of mind now and then.
    async fn fill(&mut self) -> Option<Mine> {
        let basket = self.shop.goods.basket(&mut self.dice);
        let opened = Command::OpenCart { name: format!("customer {}", self.commands) };
        let opened_key = self.key();
        let life = self.life().await;
        let Told::Answer(answer) = self.ask(&opened_key, opened.clone()).await else { return None };
        let Answer::Cart(seen) = &*answer else { return self.odd(&opened, &answer) };
        let (pieces, steps) = (BTreeMap::new(), Vec::new());
        let mut mine = Mine { cart: seen.cart, opened, opened_key, steps, pieces, life };
        for (nth, piece) in basket.iter().enumerate() {
            sleep(Duration::from_millis(200 + self.dice.below(1_500))).await;
            let line = new_line(piece)?;
            let added = self.step(&mut mine, |cart| Command::AddLine { cart, line: line.clone() }).await;
            let Told::Answer(answer) = added else { continue };
            mine.pieces.insert(nth, piece.clone());
            let Answer::Line(seen) = &*answer else { return self.odd(&mine.opened, &answer) };
            let line = seen.line.line?;
            match self.dice.below(40) {
                0 => {
                    let fewer = 1 + i64::try_from(self.dice.below(20)).unwrap_or(0);
                    let other = self.shop.goods.other_quantity(piece, fewer);
                    let qty = Qty::pieces(other.pieces).ok()?;
                    let changed = self.step(&mut mine, |cart| Command::ChangeLine { cart, line, qty }).await;
                    if let Told::Answer(_) = changed {
                        mine.pieces.insert(nth, other);
                    }
                }
                1 => {
                    let gone = self.step(&mut mine, |cart| Command::RemoveLine { cart, line }).await;
                    if let Told::Answer(_) = gone {
                        mine.pieces.remove(&nth);
                    }
                }
                _ => {}
            }
        }
        Some(mine)
    }

    async fn sell(&mut self, mine: Mine) {
        if mine.pieces.is_empty() {
            self.on_cart(mine, |cart| Command::VoidCart { cart }).await;
            return;
        }
        let total: i64 = mine.pieces.values().map(|piece| piece.pennies).sum();
        let intent: Vec<Piece> = mine.pieces.values().cloned().collect();
        let (cart, tenders) = (mine.cart, self.money(total));
        let command = Command::Sell { cart, tenders, about: self.about() };
        if let Some(told) = self.on_cart(mine, |_| command.clone()).await {
            self.sold(&told, Some(&intent));
        }
    }

    async fn park(&mut self, mine: Mine) {
        let note = format!("shelf {}", self.at);
        let told = self.on_cart(mine, |cart| Command::Park { cart, note: note.clone() }).await;
        if let Some(Told::Answer(_)) = told {
            self.shop.ledger().tally.parked += 1;
        }
    }

    /// Takes a parked cart, anybody's, and sells it. What is in it says the till, since others scanned it.
    async fn take_over(&mut self) {
        let Some(counter) = self.shop.counter(self.at) else { return };
        let Ok(carts) = counter.till.carts().await else { return };
        let parked: Vec<_> = carts.iter().filter(|cart| cart.state == CartState::Parked).collect();
        if parked.is_empty() {
            return;
        }
        let nth = usize::try_from(self.dice.below(parked.len() as u64)).unwrap_or(0);
        let (cart, parker) = (parked[nth].cart, parked[nth].holder);
        let key = self.key();
        let Told::Answer(answer) = self.ask(&key, Command::Take { cart }).await else { return };
        let Answer::Cart(seen) = &*answer else { return };
        {
            let mut ledger = self.shop.ledger();
            ledger.tally.taken += 1;
            ledger.tally.taken_over += u64::from(parker != counter.book.me());
        }
        sleep(Duration::from_millis(500 + self.dice.below(4_000))).await;
        let (lines, total) = (seen.lines.len(), pennies_of(seen));
        let key = self.key();
        let command = match (lines, self.dice.below(6)) {
            (0, _) => Command::VoidCart { cart },
            (_, 0) => Command::Park { cart, note: "later".to_owned() },
            _ => Command::Sell { cart, tenders: self.money(total), about: self.about() },
        };
        let selling = matches!(command, Command::Sell { .. });
        let told = self.ask(&key, command).await;
        if selling {
            self.sold(&told, None);
        }
    }

    /// Takes back a line of a sale that this terminal knows of.
    async fn take_back(&mut self) {
        let Some(counter) = self.shop.counter(self.at) else { return };
        let known = {
            let ledger = self.shop.ledger();
            let sales: Vec<(EffectId, Piece)> = ledger
                .effects()
                .iter()
                .filter_map(|(id, effect)| match &effect.what {
                    What::Sale { lines, .. } => lines.first().map(|line| (*id, line.clone())),
                    _ => None,
                })
                .collect();
            let nth = usize::try_from(self.dice.below(sales.len().max(1) as u64)).unwrap_or(0);
            sales.get(nth).cloned()
        };
        let Some((sale, piece)) = known else { return };
        if !matches!(counter.book.read(|kv| toko_retail::views::sale(kv, sale)), Ok(Some(_))) {
            return;
        }
        let (Ok(qty), Some(back)) = (Qty::pieces(piece.pieces), cash(piece.pennies)) else { return };
        let command = Command::Return {
            original: Some(sale),
            lines: vec![BackLine::Of { line: 0, qty }],
            refunds: if piece.pennies == 0 { Vec::new() } else { vec![back] },
            reason: "changed their mind".to_owned(),
            about: self.about(),
        };
        let key = self.key();
        let told = self.ask(&key, command).await;
        let Told::Answer(answer) = &told else { return };
        let Answer::Sale(seen) = &**answer else { return };
        let sale = &seen.sale;
        let mut effect = effect_of(self.at, sale, What::Return { number: number(sale), day: sale.day });
        let expected = BTreeMap::from([(piece.code.clone(), piece.pieces)]);
        let shelf = if piece.shelf { expected } else { BTreeMap::new() };
        if effect.shelf != shelf || effect.cash != -piece.pennies {
            let wrong = format!("I6: return {} gave {:?} back for {piece:?}", seen.id.short(), effect.cash);
            self.shop.ledger().note(wrong);
        }
        effect.shelf = shelf;
        let mut ledger = self.shop.ledger();
        ledger.done(&key, None, seen.id, effect);
        ledger.tally.returns += 1;
    }

    async fn goods_in(&mut self) {
        let Some(piece) = self.shop.goods.basket(&mut self.dice).into_iter().find(|piece| piece.shelf) else {
            return;
        };
        let pieces = 1 + i64::try_from(self.dice.below(200)).unwrap_or(0);
        let (write_off, Ok(qty)) = (self.dice.below(4) == 0, Qty::pieces(pieces)) else { return };
        let reason = if write_off { MoveReason::WriteOff } else { MoveReason::Receipt };
        let command = Command::MoveStock {
            reason,
            lines: vec![(piece.code.clone(), qty, None)],
            note: String::new(),
            by: None,
            counterpart: String::new(),
            external: String::new(),
        };
        let key = self.key();
        let Told::Answer(answer) = self.ask(&key, command).await else { return };
        let Answer::Moved(seen) = &*answer else { return };
        let shelf = BTreeMap::from([(piece.code, if write_off { -pieces } else { pieces })]);
        let effect = Effect { what: What::Moved, shelf, cash: 0, card: 0, till: self.at };
        let mut ledger = self.shop.ledger();
        ledger.done(&key, None, seen.id, effect);
        ledger.tally.moved += 1;
    }

    async fn close_day(&mut self) {
        let command = Command::CloseDay { day: None, by: None, note: "counted twice".to_owned() };
        let key = self.key();
        let Told::Answer(answer) = self.ask(&key, command).await else { return };
        let Answer::Day(DaySeen { day: Some(day), .. }) = &*answer else { return };
        self.shop.ledger().closed(day.number());
    }

    /// One more step on a cart.
    async fn step(&mut self, mine: &mut Mine, command: impl Fn(CartId) -> Command) -> Told {
        let key = self.key();
        loop {
            if self.again(mine).await.is_none() {
                return Told::Refused(Refusal::Stopping);
            }
            let command = command(mine.cart);
            match self.ask_once(&key, &command).await {
                Ok(told) => {
                    if let Told::Answer(_) = told {
                        mine.steps.push((key, command));
                    }
                    return told;
                }
                Err(()) => self.wait_again().await,
            }
        }
    }

    /// The last command on a cart. Nothing where the cart could not be brought back as it was.
    async fn on_cart(&mut self, mut mine: Mine, command: impl Fn(CartId) -> Command) -> Option<Told> {
        let key = self.key();
        loop {
            self.again(&mut mine).await?;
            let command = command(mine.cart);
            let told = self.ask_once(&key, &command).await;
            match told {
                Ok(told) => return Some(told),
                // Money that was asked for is asked for again and with nothing in between: it may be there already.
                Err(()) => {
                    self.wait_again().await;
                    if command.from_memory() {
                        continue;
                    }
                    return Some(self.until_told(&key, &mut mine, &command).await);
                }
            }
        }
    }

    /// Asks again with the same key; where the terminal had to start again and has not done it, after all steps before it.
    async fn until_told(&mut self, key: &str, mine: &mut Mine, command: &Command) -> Told {
        loop {
            match self.ask_once(key, command).await {
                // Whether lines of the last second are lost shows in the refusal, or in a sale that lacks them; so the till
                // screen goes through them first where the terminal does not know the key yet.
                Ok(told) => return told,
                Err(()) => {
                    self.wait_again().await;
                    if self.life().await != mine.life && self.again(mine).await.is_none() {
                        return Told::Refused(Refusal::Stopping);
                    }
                }
            }
        }
    }

    /// Where the terminal was started again since, goes through everything again with the same keys.
    async fn again(&mut self, mine: &mut Mine) -> Option<()> {
        loop {
            let life = self.life().await;
            if life == mine.life {
                return Some(());
            }
            let (key, opened) = (mine.opened_key.clone(), mine.opened.clone());
            let Told::Answer(answer) = self.ask(&key, opened.clone()).await else { return None };
            let Answer::Cart(seen) = &*answer else { return self.odd(&opened, &answer) };
            mine.cart = seen.cart;
            for (key, command) in mine.steps.clone() {
                let command = on(command, mine.cart);
                if let Told::Refused(refusal) = self.ask(&key, command.clone()).await {
                    let done = matches!(refusal, Refusal::CartDone(_) | Refusal::CartParked);
                    // The last command was done after all: asking for it again will say so.
                    if !done {
                        let wrong = format!(
                            "I1: a step was answered and refused when repeated: {command:?}: {refusal}"
                        );
                        self.shop.ledger().note(wrong);
                    }
                    break;
                }
            }
            mine.life = life;
        }
    }

    /// Tells the oracle of a sale. `intent`: what was scanned, where this cashier scanned all of it.
    fn sold(&mut self, told: &Told, intent: Option<&[Piece]>) {
        let Told::Answer(answer) = told else { return };
        let Answer::Sale(seen) = &**answer else { return };
        let SaleSeen { id, sale } = &**seen;
        let lines: Vec<Piece> = sale.lines.iter().map(|line| self.piece(line)).collect();
        if let Some(intent) = intent
            && lines != intent
        {
            let wrong = format!("I1: sale {} has {lines:?}, scanned was {intent:?}", id.short());
            self.shop.ledger().note(wrong);
        }
        let what = What::Sale { number: number(sale), day: sale.day, lines: lines.clone() };
        let effect = effect_of(self.at, sale, what);
        let worth: i64 = lines.iter().map(|line| line.pennies).sum();
        if effect.cash + effect.card != worth {
            let wrong = format!("I6: sale {} took {} for {worth}", id.short(), effect.cash + effect.card);
            self.shop.ledger().note(wrong);
        }
        let mut shelf: BTreeMap<String, i64> = BTreeMap::new();
        for line in lines.iter().filter(|line| line.shelf) {
            *shelf.entry(line.code.clone()).or_default() -= line.pieces;
        }
        let cart = sale.cart.as_ref().map(|cart| CartId(cart.cart));
        let key = self.last_key();
        let count = lines.len() as u64;
        let mut ledger = self.shop.ledger();
        ledger.done(&key, cart, *id, Effect { shelf, ..effect });
        ledger.tally.sales += 1;
        ledger.tally.lines += count;
    }

    /// A line of a receipt in our own words, with a value of our own.
    fn piece(&self, line: &SaleLineV1) -> Piece {
        let micros = line.unit_price_micros;
        let price = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let pieces = line.qty_milli / 1_000;
        let mut piece = self.shop.goods.priced(&line.code, pieces, &price);
        if line.qty_milli % 1_000 != 0 || piece.pennies != line.value_minor {
            let wrong = format!("I6: {pieces} × {price} of {} came to {}", line.code, line.value_minor);
            self.shop.ledger().note(wrong);
        }
        piece.shelf = line.moves_stock;
        piece
    }

    /// Asks until there is an answer, or a refusal for good.
    async fn ask(&mut self, key: &str, command: Command) -> Told {
        loop {
            match self.ask_once(key, &command).await {
                Ok(told) => return told,
                Err(()) => self.wait_again().await,
            }
        }
    }

    /// Asks once. Nothing where no answer came, or one that says to ask again.
    async fn ask_once(&mut self, key: &str, command: &Command) -> Result<Told, ()> {
        let Some(counter) = self.shop.counter(self.at) else { return Err(()) };
        let host = &self.shop.stations[self.at].host;
        let counts =
            matches!(command, Command::Sell { .. } | Command::Return { .. } | Command::MoveStock { .. });
        let cart = command.cart().filter(|_| matches!(command, Command::Sell { .. }));
        if counts {
            self.shop.ledger().asked(key, cart);
        }
        let (began, sync) = (Instant::now(), host.sync_felt());
        let answer = counter.till.act(idem(key, format!("{command:?}").as_bytes()), command.clone()).await;
        let took = began.elapsed();
        if answer.is_ok() && took > AT_ONCE + SYNCS_MAX * sync.max(host.sync_felt()) {
            let wrong = format!("I3: {} waited {took:?} for {command:?}", self.at);
            self.shop.ledger().note(wrong);
        }
        if let Ok(answer) = &answer {
            self.note_place(&counter.book, answer);
            self.note_receipt(command, answer);
        }
        if answer.is_ok()
            && counts
            && let Some(seed) = host.answered()
        {
            self.shop.cut_power(self.at, Cut::Seeded(seed)).await;
        }
        match answer {
            Ok(answer) => {
                self.shop.net.note(&[self.at as u64, fingerprint(&answer)]);
                Ok(Told::Answer(answer))
            }
            Err(Refusal::Stopping | Refusal::NotSaved(_) | Refusal::LinesNotSaved(_)) => Err(()),
            Err(Refusal::NotKnown(why)) => {
                self.must_be_shown(&counter.book, &why).await;
                Err(())
            }
            Err(refusal) => {
                if counts {
                    self.shop.ledger().refused(key, cart);
                }
                if matches!(refusal, Refusal::KeyReused | Refusal::Unreadable(_) | Refusal::Views(_))
                    || matches!(refusal.shown().kind, Kind::Broken | Kind::Malformed)
                {
                    let wrong = format!("I10: {} was refused {command:?}: {refusal}", self.at);
                    self.shop.ledger().note(wrong);
                }
                Ok(Told::Refused(refusal))
            }
        }
    }

    /// Where what was answered stands, before anything can let go of it.
    fn note_place(&self, book: &terminal_agent::ledger::Ledger, answer: &Answer) {
        let id = match answer {
            Answer::Sale(seen) => seen.id,
            Answer::Moved(seen) => seen.id,
            _ => return,
        };
        if let Ok(Some(at)) = book.read(|kv| rows::place_of(kv, id)) {
            self.shop.ledger().stands(id, at);
        }
    }

    /// Whether a receipt was asked for is in the sale's own entry.
    fn note_receipt(&self, command: &Command, answer: &Answer) {
        let (Answer::Sale(seen), Command::Sell { about, .. } | Command::Return { about, .. }) =
            (answer, command)
        else {
            return;
        };
        let mut ledger = self.shop.ledger();
        match &seen.sale.print {
            Some(ask) => ledger.wants(ask.job, seen.id),
            None if !about.receipt => {}
            None => ledger.note(format!("I10: sale {} does not ask for its receipt", seen.id.short())),
        }
    }

    /// A store that saves nothing any more says so.
    async fn must_be_shown(&self, book: &terminal_agent::ledger::Ledger, why: &str) {
        let Ok(condition) = book.condition().await else { return };
        if !condition.alerts.iter().any(|(word, _)| word == AlertCode::DiskBroken.word()) {
            self.shop.ledger().note(format!("I10: {} saves nothing and does not say so: {why}", self.at));
        }
    }

    async fn wait_again(&mut self) {
        self.shop.ledger().tally.repeated += 1;
        sleep(AGAIN).await;
    }

    /// Which start of the terminal this is, once it runs.
    async fn life(&self) -> u64 {
        loop {
            match self.shop.counter(self.at) {
                Some(counter) => return counter.life,
                None => sleep(AGAIN).await,
            }
        }
    }

    fn odd<T>(&self, command: &Command, answer: &Answer) -> Option<T> {
        self.shop.ledger().note(format!("I10: {command:?} was answered {answer:?}"));
        None
    }

    fn key(&mut self) -> String {
        self.commands += 1;
        self.last_key()
    }

    fn last_key(&self) -> String {
        format!("till {} command {}", self.at, self.commands)
    }

    /// Cash of round pounds, or a card to the penny.
    fn money(&mut self, total: i64) -> Vec<Tender> {
        let card = self.dice.below(3) == 0;
        let Ok(currency) = Currency::parse(CURRENCY) else { return Vec::new() };
        if total == 0 {
            return Vec::new();
        }
        let tender = if card {
            Tender::card(Money::minor(total, currency), "AUTH 7", "terminal 3", "4242").ok()
        } else {
            cash((total + 99) / 100 * 100)
        };
        tender.into_iter().collect()
    }

    fn about(&mut self) -> About {
        About { cashier: Some(format!("c{}", self.at)), receipt: self.dice.below(2) == 0, ..About::default() }
    }
}

fn cash(pennies: i64) -> Option<Tender> {
    Tender::cash(Money::minor(pennies, Currency::parse(CURRENCY).ok()?)).ok()
}

fn new_line(piece: &Piece) -> Option<NewLine> {
    let currency = Currency::parse(CURRENCY).ok()?;
    let unit_price = match &piece.own_price {
        Some(price) => Some(Price::parse(price, currency).ok()?),
        None => None,
    };
    let price_reason = if unit_price.is_some() { "as agreed".to_owned() } else { String::new() };
    let qty = Qty::pieces(piece.pieces).ok()?;
    Some(NewLine { code: piece.code.clone(), qty, unit_price, name: None, price_reason, memo: String::new() })
}

/// What goods and money a receipt says, with our own signs.
fn effect_of(till: usize, sale: &SaleV1, what: What) -> Effect {
    let mut shelf: BTreeMap<String, i64> = BTreeMap::new();
    for line in sale.lines.iter().filter(|line| line.moves_stock) {
        *shelf.entry(line.sku.clone()).or_default() -= line.qty_milli / 1_000;
    }
    let (mut cash, mut card) = (-sale.change_minor, 0);
    for tender in &sale.tenders {
        match tender.kind {
            toko_retail::ops::TenderKindV1::Cash => cash += tender.amount_minor,
            _ => card += tender.amount_minor,
        }
    }
    Effect { what, shelf, cash, card, till }
}

fn number(sale: &SaleV1) -> (u16, u32, u64) {
    (sale.terminal, sale.series, sale.counter)
}

fn pennies_of(seen: &CartSeen) -> i64 {
    seen.total.minor_units()
}

/// The same command on another cart.
fn on(command: Command, cart: CartId) -> Command {
    match command {
        Command::AddLine { line, .. } => Command::AddLine { cart, line },
        Command::ChangeLine { line, qty, .. } => Command::ChangeLine { cart, line, qty },
        Command::RemoveLine { line, .. } => Command::RemoveLine { cart, line },
        other => other,
    }
}

/// A few bits of an answer, for the trace.
fn fingerprint(answer: &Answer) -> u64 {
    let first = |bytes: &[u8]| bytes.iter().take(8).fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
    match answer {
        Answer::Cart(seen) => first(&seen.cart.0),
        Answer::Line(seen) => seen.lines as u64,
        Answer::Removed(seen) => seen.lines as u64,
        Answer::Sale(seen) => first(&seen.id.0),
        Answer::Moved(seen) => first(&seen.id.0),
        _ => 1,
    }
}
