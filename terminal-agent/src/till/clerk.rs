//! Who works at the till: owns the open carts, keeps keys and numbers, and writes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use toko_crdt::body::{Body, CartChange, Idem};
use toko_crdt::book::rows;
use toko_crdt::cart::Actor;
use toko_crdt::clock::{Clock, Hlc, UnixMicros};
use toko_crdt::entry::Saw;
use toko_crdt::ids::CartId;
use toko_crdt::{Lane, NodeId, Run};
use toko_mesh::store::Wait;
use toko_retail::day::Day;
use toko_retail::ops::{OpV1, What};
use toko_retail::views;
use tracing::{info, warn};

use super::ask::Command;
use super::drawer::CashDrawer;
use super::memory::Answered;
use super::open_cart::OpenCart;
use super::seen::Answer;
use super::series;
use super::{Health, Message, Refusal};
use crate::config::{Prints, Receipt};
use crate::customer::Customer;
use crate::desk::{Desk, SeriesNote};
use crate::draw::Draw;
use crate::ledger::{Ledger, Written};
use crate::printing::Asked;
use crate::shelf::Shelf;
use crate::wall::{Reading, Wall};

/// How long what is known of days and runs may be old. Both change a few times a year by somebody else's doing.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a clerk needs to start.
#[derive(Debug)]
pub struct ClerkSetup {
    /// The node.
    pub ledger: Ledger,
    /// The catalogue.
    pub shelf: Shelf,
    /// The clock.
    pub wall: Wall,
    /// This terminal's own files.
    pub desk: Desk,
    /// What stands on receipts.
    pub receipt: Receipt,
    /// When receipts come out at the terminal's own printer, and where they are noted; nothing where it has none.
    pub own_printer: Option<(Prints, Asked)>,
    /// The cash drawer.
    pub drawer: Option<CashDrawer>,
    /// The customer's display.
    pub customer: Customer,
    /// First part of receipt numbers.
    pub terminal: u16,
}

/// The owner of the open carts. See [`super`].
#[derive(Debug)]
pub struct Clerk {
    pub(super) ledger: Ledger,
    pub(super) shelf: Shelf,
    pub(super) receipt: Receipt,
    pub(super) own_printer: Option<(Prints, Asked)>,
    pub(super) drawer: Option<CashDrawer>,
    /// Asks to the drawer that are on their way.
    pub(super) asking: JoinSet<()>,
    pub(super) terminal: u16,
    pub(super) draw: Draw,
    pub(super) carts: BTreeMap<CartId, OpenCart>,
    /// The highest counter that this process used, and in which series.
    pub(super) counter: (u32, u64),
    pub(super) day: Option<(Instant, Option<Day>)>,
    customer: Customer,
    wall: Wall,
    desk: Desk,
    clock: Clock,
    /// When the last thing happened that is known to have happened.
    known: UnixMicros,
    run: Option<Run>,
    series: SeriesNote,
    spoilt: Option<u64>,
    series_seen: Option<Instant>,
    answered: Answered,
    /// Writes that were answered from memory and are on their way.
    pending: JoinSet<(Lane, Body, Result<Written, Refusal>)>,
    /// Those that failed, to be tried again before anything else is written.
    unsaved: VecDeque<(Lane, Body)>,
    trouble: Option<String>,
    /// Why a change will never be saved, until somebody was told.
    lost: Option<String>,
}

impl Clerk {
    /// Starts work: reads the carts that this terminal holds, and the series of its receipts.
    ///
    /// Errors: the views or the terminal's files could not be read.
    pub fn start(setup: ClerkSetup) -> Result<Self, Refusal> {
        let unreadable = |error: std::io::Error| Refusal::Unreadable(error.to_string());
        let noted = setup.desk.series().map_err(unreadable)?;
        let known = setup.ledger.last_written()?;
        let spoilt = setup.ledger.spoilt().map_err(unreadable)?;
        let draw = Draw::on(setup.ledger.machine());
        let mut clerk = Self {
            ledger: setup.ledger,
            shelf: setup.shelf,
            receipt: setup.receipt,
            own_printer: setup.own_printer,
            drawer: setup.drawer,
            asking: JoinSet::new(),
            terminal: setup.terminal,
            draw: draw.map_err(|error| Refusal::Unreadable(error.to_string()))?,
            carts: BTreeMap::new(),
            counter: (0, 0),
            day: None,
            customer: setup.customer,
            wall: setup.wall,
            desk: setup.desk,
            clock: Clock::default(),
            known,
            run: None,
            series: noted.unwrap_or(SeriesNote { series: series::FIRST, since: Run(0), spoilt: None }),
            spoilt,
            series_seen: None,
            answered: Answered::default(),
            pending: JoinSet::new(),
            unsaved: VecDeque::new(),
            trouble: None,
            lost: None,
        };
        let mine = clerk.recover()?;
        if mine > 0 {
            info!(carts = mine, "open carts go on");
        }
        Ok(clerk)
    }

    /// This node.
    pub(super) fn me(&self) -> NodeId {
        self.ledger.me()
    }

    /// What people call a node.
    pub(super) fn name_of(&self, node: &NodeId) -> String {
        self.ledger.name_of(node).unwrap_or_else(|| node.short())
    }

    /// Looks at the clock.
    pub(super) fn look(&self) -> Reading {
        self.wall.look(self.known)
    }

    /// A reading of the hybrid clock for a line.
    pub(super) fn tick(&mut self) -> Hlc {
        let wall = self.look().at;
        self.clock.now(wall)
    }

    pub(super) async fn handle(&mut self, message: Message) {
        self.collect();
        // Whoever asked may have gone; what was asked is done all the same.
        match message {
            Message::Do(idem, command, reply) => {
                let answer = self.act(idem, *command).await;
                drop(reply.send(answer));
            }
            Message::Look(cart, reply) => drop(reply.send(self.look_at(cart))),
            Message::List(reply) => drop(reply.send(self.list())),
            Message::Day(reply) => drop(reply.send(self.day_seen())),
            Message::Health(reply) => drop(reply.send(self.health())),
        }
    }

    async fn act(&mut self, idem: Idem, command: Command) -> Result<Arc<Answer>, Refusal> {
        if let Some((request, answer)) = self.answered.of(&idem.key) {
            return if request == idem.request { Ok(answer) } else { Err(Refusal::KeyReused) };
        }
        if let Some(effect) = self.used(&idem)? {
            return Ok(Arc::new(self.replay(&idem, &command, effect)?));
        }
        self.before(&command).await?;
        let from_memory = command.from_memory();
        let answer = Arc::new(self.execute(idem, command).await?);
        self.customer.see(&answer);
        // What is durable is known from the views, whole carts and sales included.
        if from_memory {
            self.answered.note(idem, answer.clone());
        }
        Ok(answer)
    }

    /// What must be so before a command may write: earlier writes of open carts are on their way, or safe.
    async fn before(&mut self, command: &Command) -> Result<(), Refusal> {
        if !command.from_memory() {
            self.arrived().await;
        }
        self.rescue().await
    }

    async fn execute(&mut self, idem: Idem, command: Command) -> Result<Answer, Refusal> {
        match command {
            Command::OpenDay { day, by } => self.open_day(idem, day, by).await,
            Command::CloseDay { day, by, note } => self.close_day(idem, day, by, note).await,
            Command::OpenCart { name } => self.open_cart(idem, name).await,
            Command::AddLine { cart, line } => self.add_line(idem, cart, line).await,
            Command::ChangeLine { cart, line, qty } => self.change_line(idem, cart, line, qty).await,
            Command::RemoveLine { cart, line } => self.remove_line(idem, cart, line).await,
            Command::Park { cart, note } => self.park(idem, cart, note).await,
            Command::Take { cart } => self.take(idem, cart).await,
            Command::VoidCart { cart } => self.void_cart(idem, cart).await,
            Command::Tender { cart, tender } => self.tender(idem, cart, tender).await,
            Command::GiveBack { cart, tender } => self.give_back(idem, cart, tender).await,
            Command::Sell { cart, tenders, about } => self.sell(idem, cart, tenders, about).await,
            Command::Return { original, lines, refunds, reason, about } => {
                self.take_back(idem, original, lines, refunds, reason, about).await
            }
            Command::VoidSale { sale, reason, about } => self.void_sale(idem, sale, reason, about).await,
            Command::MoveStock { .. } => self.move_stock(idem, command).await,
            Command::PrintCopy { sale, printer } => self.print_copy(idem, sale, printer).await,
            Command::OpenDrawer { reason, by, note } => self.open_drawer(idem, reason, by, note).await,
        }
    }

    /// Writes an op and waits for its sync.
    pub(super) async fn write(
        &mut self,
        idem: Option<Idem>,
        what: What,
        saw: Option<Saw>,
    ) -> Result<Written, Refusal> {
        let written = self.ledger.write(&OpV1 { idem, what }, saw, Wait::Synced).await?;
        self.note_written(&written)?;
        Ok(written)
    }

    /// Writes an op on its way: a failure shows at the next command.
    pub(super) async fn post_op(&mut self, idem: Option<Idem>, what: What) {
        let lane = what.kind().lane();
        self.post(lane, Body::Op(OpV1 { idem, what }.encode())).await;
    }

    /// Writes a change of a cart on its way.
    pub(super) async fn post_change(&mut self, idem: Idem, cart: CartId, change: Vec<u8>) {
        self.post(Lane::Floor, Body::Cart(CartChange { cart, change, idem: Some(idem) })).await;
    }

    /// Hands a body to the store without waiting for it. The store takes bodies in the order in which they are handed over.
    async fn post(&mut self, lane: Lane, body: Body) {
        let ledger = self.ledger.clone();
        let mut writing = Box::pin(async move {
            let written = ledger.append(lane, body.clone(), None, Wait::Memory).await;
            (lane, body, written)
        });
        // The first poll puts it into the store's inbox; the rest may come whenever it likes.
        tokio::select! {
            biased;
            done = &mut writing => self.collected(Ok(done)),
            () = std::future::ready(()) => {
                self.pending.spawn(writing);
            }
        }
    }

    /// Writes an op from memory and waits for the answer, which names the run.
    pub(super) async fn post_first(&mut self, what: What) -> Result<(), Refusal> {
        let lane = what.kind().lane();
        let body = Body::Op(OpV1::new(what).encode());
        let written = self.ledger.append(lane, body, None, Wait::Memory).await?;
        self.note_written(&written)
    }

    /// Waits until everything that is on its way has arrived.
    pub(super) async fn arrived(&mut self) {
        while let Some(done) = self.pending.join_next().await {
            self.collected(done);
        }
    }

    /// The actor, if this process has written already.
    pub(super) fn actor_now(&self) -> Actor {
        Actor::of(&self.me(), self.run.unwrap_or(Run(0)))
    }

    /// Whether this process has written nothing yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.run.is_none()
    }

    fn note_written(&mut self, written: &Written) -> Result<(), Refusal> {
        self.known = self.known.max(written.at.wall().min(self.look().at));
        let run = written.place.journal.run;
        if self.run.replace(run).is_none_or(|before| before != run) {
            let actor = self.actor_now();
            for (id, cart) in std::mem::take(&mut self.carts) {
                self.carts.insert(id, cart.under(actor)?);
            }
        }
        Ok(())
    }

    /// Takes note of writes that have come to an end, without waiting.
    fn collect(&mut self) {
        while let Some(done) = self.pending.try_join_next() {
            self.collected(done);
        }
        while self.asking.try_join_next().is_some() {}
    }

    fn collected(&mut self, done: Result<(Lane, Body, Result<Written, Refusal>), tokio::task::JoinError>) {
        match done {
            Ok((_, _, Ok(written))) => {
                if let Err(err) = self.note_written(&written) {
                    warn!(%err, "a cart could not be opened under the new run");
                }
            }
            Ok((
                lane,
                body,
                Err(err @ (Refusal::NotSaved(_) | Refusal::NotKnown(_) | Refusal::Stopping)),
            )) => {
                warn!(%err, "a change of an open cart was not saved; it is tried again");
                self.trouble = Some(err.to_string());
                self.unsaved.push_back((lane, body));
            }
            Ok((_, _, Err(err))) => self.lost = Some(err.to_string()),
            Err(err) => self.lost = Some(err.to_string()),
        }
    }

    /// Tries again what could not be saved. Its order does not matter, but nothing else is written before it.
    async fn rescue(&mut self) -> Result<(), Refusal> {
        if let Some(lost) = self.lost.take() {
            // Trying again would not help: the carts are read anew, and whoever asks is told once.
            self.carts.clear();
            return Err(Refusal::LinesNotSaved(lost));
        }
        while let Some((lane, body)) = self.unsaved.front().cloned() {
            match self.ledger.append(lane, body, None, Wait::Synced).await {
                Ok(written) => {
                    self.unsaved.pop_front();
                    self.note_written(&written)?;
                }
                Err(err) => {
                    self.trouble = Some(err.to_string());
                    return Err(Refusal::LinesNotSaved(err.to_string()));
                }
            }
        }
        if self.trouble.take().is_some() {
            info!("changes of open carts are saved again");
        }
        Ok(())
    }

    /// Waits for everything that is on its way, at the end of work.
    pub(super) async fn settle(&mut self) {
        self.arrived().await;
        while self.asking.join_next().await.is_some() {}
        if let Err(err) = self.rescue().await {
            warn!(%err, lost = self.unsaved.len(), "the till stops with changes of open carts unsaved");
        }
    }

    fn health(&mut self) -> Health {
        Health {
            unsaved: self.lost.clone().or_else(|| self.trouble.clone()),
            unsaved_changes: self.unsaved.len(),
            series: self.series.series,
            run: self.run.map(|run| run.0),
        }
    }

    /// The series to number in: a new one where this directory turns out to be a copy.
    ///
    /// Errors: the note of it could not be kept; nothing is numbered then.
    pub(super) fn series(&mut self) -> Result<u32, Refusal> {
        if self.series_seen.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Ok(self.series.series);
        }
        let me = self.me();
        let [books, floor] = self.ledger.read(|kv| {
            Ok([rows::continuations(kv, &me, Lane::Books)?, rows::continuations(kv, &me, Lane::Floor)?])
        })?;
        let noted = Some(self.series).filter(|note| note.series != series::FIRST);
        let decided = series::after_damage(self.spoilt, self.run, self.series)
            .or_else(|| series::decide(&floor, self.run, noted))
            .or_else(|| series::decide(&books, self.run, noted));
        if let Some(note) = decided {
            self.desk.set_series(note).map_err(|error| Refusal::NotSaved(error.to_string()))?;
            warn!(
                series = note.series,
                "this directory was copied, restored or spoilt; receipts go on in a series of their own"
            );
            self.series = note;
        }
        self.series_seen = Some(Instant::now());
        Ok(self.series.series)
    }

    /// The carts that this terminal holds open, as far as the views say.
    fn recover(&mut self) -> Result<usize, Refusal> {
        let me = self.me();
        let held = self.ledger.read(|kv| views::carts_open(kv))?;
        let mine =
            held.iter().filter(|custody| custody.holder == me && custody.state == views::CartState::Open);
        Ok(mine.count())
    }
}
