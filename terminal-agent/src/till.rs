//! The till: one owner of this terminal's open carts, who takes commands one after the other.
//!
//! A cheap handle before an actor. The author decides, the fold never judges: every precondition is checked here, once,
//! against carts in memory and the views, and what is written counts everywhere. Invariants:
//!
//! * a command answers after its commit point, and what was answered is never taken back. Lines answer from memory; their
//!   change is on its way to the store, and the next command that must be durable waits for it or is refused;
//! * a sale is one entry: goods, money, number and the ask for paper stand or fall together;
//! * a key is used once. A repeat gives the first answer, after a crash too: the views know every key that became durable.
//!
//! Absent on purpose: any question to the network. What a peer did shows in the views, or not yet. Only the lines of a sale that
//! this terminal has in its views alone are asked for, before the command's turn comes, so that nobody else waits.

mod ask;
mod cash;
mod clerk;
mod days;
mod drawer;
mod floor;
mod goods;
mod memory;
mod open_cart;
mod refund;
mod refusal;
mod replay;
mod seen;
mod sell;
mod series;

pub use ask::{About, BackLine, Command, NewLine};
pub use clerk::{Clerk, ClerkSetup};
pub use drawer::CashDrawer;
pub use memory::idem;
pub use refusal::{Kind, Refusal, Shown};
pub use seen::{Answer, CartSeen, DaySeen, LineSeen, MovedSeen, RemovedSeen, SaleSeen};
pub use series::FIRST as FIRST_SERIES;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use toko_crdt::body::Idem;
use toko_crdt::ids::CartId;
use toko_retail::views::Custody;

use crate::ledger::Ledger;

/// Commands that wait; more, and whoever asks waits too.
pub const INBOX_MAX: usize = 64;

/// What the actor is asked.
#[derive(Debug)]
enum Message {
    /// To do something, once for the key.
    Do(Idem, Box<Command>, oneshot::Sender<Result<std::sync::Arc<Answer>, Refusal>>),
    /// To show a cart.
    Look(CartId, oneshot::Sender<Result<CartSeen, Refusal>>),
    /// To list carts that are not done.
    List(oneshot::Sender<Result<Vec<Custody>, Refusal>>),
    /// To say which day it is.
    Day(oneshot::Sender<Result<DaySeen, Refusal>>),
    /// To say how it is.
    Health(oneshot::Sender<Health>),
}

/// How a till is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Why changes of open carts could not be saved, while that is so.
    pub unsaved: Option<String>,
    /// How many such changes wait.
    pub unsaved_changes: usize,
    /// Series of receipt numbers.
    pub series: u32,
    /// The run that this process writes under, once it has written.
    pub run: Option<u64>,
}

/// A till. Clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Till {
    ledger: Ledger,
    inbox: mpsc::Sender<Message>,
}

/// A till's work, to be run on a task of its own.
#[derive(Debug)]
pub struct Work {
    clerk: Clerk,
    inbox: mpsc::Receiver<Message>,
}

impl Till {
    /// A till and its work.
    #[must_use]
    pub fn new(clerk: Clerk) -> (Self, Work) {
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        (Self { ledger: clerk.ledger.clone(), inbox: sender }, Work { clerk, inbox })
    }

    /// Does `command` once for its key.
    ///
    /// Errors: [`Refusal`]; nothing was written unless it says otherwise.
    pub async fn act(&self, idem: Idem, command: Command) -> Result<std::sync::Arc<Answer>, Refusal> {
        if let Some(original) = command.original() {
            self.ledger.fetch(original).await;
        }
        self.ask(|reply| Message::Do(idem, Box::new(command), reply)).await?
    }

    /// A cart as it is now.
    pub async fn cart(&self, cart: CartId) -> Result<CartSeen, Refusal> {
        self.ask(|reply| Message::Look(cart, reply)).await?
    }

    /// Carts that are not done: open ones of this terminal, parked ones of any.
    pub async fn carts(&self) -> Result<Vec<Custody>, Refusal> {
        self.ask(Message::List).await?
    }

    /// The business day.
    pub async fn day(&self) -> Result<DaySeen, Refusal> {
        self.ask(Message::Day).await?
    }

    /// How it is.
    pub async fn health(&self) -> Result<Health, Refusal> {
        self.ask(Message::Health).await
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(message(reply)).await.map_err(|_| Refusal::Stopping)?;
        answer.await.map_err(|_| Refusal::Stopping)
    }
}

impl Work {
    /// Takes commands until `stop`, then those that wait already, and saves what is in memory.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                message = self.inbox.recv() => message,
            };
            match message {
                Some(message) => self.clerk.handle(message).await,
                None => break,
            }
        }
        self.inbox.close();
        while let Some(message) = self.inbox.recv().await {
            self.clerk.handle(message).await;
        }
        self.clerk.settle().await;
    }
}
