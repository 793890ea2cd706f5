//! The cash drawer on this terminal's own printer: what this process asked for, it opens, once, within seconds or never.
//!
//! Invariants: a pulse follows an ask that is durable here and that this process wrote itself, so no ask of an earlier one opens
//! anything; each ask is answered, also when it came too late. Nothing here waits for paper.
//!
//! Absent on purpose: what its sensor tells unasked. The hub keeps an eye on the drawers that hang on its own printers.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toko_crdt::{Body, EffectId, Lane};
use toko_devices::profile::Polarity;
use toko_devices::{DrawerPin, Opening, OwnedPrinter, Pulse};
use toko_mesh::node::Node;
use toko_mesh::store::Wait;
use toko_retail::drawer::opening::{self, TTL_MS_MAX};
use toko_retail::ops::{DrawerEvent, OpV1, What};
use toko_retail::views::{self, DrawerOpening};
use tracing::{info, warn};

/// Asks that wait. *Full*: whoever asks waits, and is too late then.
const ORDERS_MAX: usize = 16;

/// An ask that is durable.
#[derive(Debug)]
struct Order {
    ask: EffectId,
    until: Instant,
}

/// Opens the drawer, for whoever has written an ask.
#[derive(Debug, Clone)]
pub struct Opener(mpsc::Sender<Order>);

impl Opener {
    /// Has it opened for an ask that was made at `asked` and is durable now.
    pub async fn open(&self, ask: EffectId, asked: Instant) {
        let until = asked + Duration::from_millis(TTL_MS_MAX.into());
        // Whoever opens has ended: the terminal stops, and its next start answers the ask.
        let _ = self.0.send(Order { ask, until }).await;
    }
}

/// Whoever opens it.
pub(crate) struct OwnDrawer {
    node: Node,
    printer: OwnedPrinter,
    pin: DrawerPin,
    /// What the books call it.
    name: String,
    orders: mpsc::Receiver<Order>,
    /// What was asked before this process was there.
    earlier: Vec<DrawerOpening>,
}

impl OwnDrawer {
    /// The drawer of a printer, called so in the books, and the handle by which it is opened. It has to be run, and is made
    /// before anybody asks for anything.
    pub(crate) fn new(node: Node, printer: OwnedPrinter, pin: DrawerPin, name: &str) -> (Self, Opener) {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let mut drawer =
            Self { node, printer, pin, name: name.to_owned(), orders: inbox, earlier: Vec::new() };
        drawer.earlier = drawer.asked();
        (drawer, Opener(orders))
    }

    /// Opens it when it is asked to, until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        for ask in std::mem::take(&mut self.earlier) {
            let why = "the terminal was started anew; whether it opened is not known";
            self.answer(&ask, DrawerEvent::NotConfirmed, why).await;
        }
        loop {
            let order = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                order = self.orders.recv() => order,
            };
            let Some(Order { ask, until }) = order else { return };
            let Some(ask) = self.asked().into_iter().find(|asked| asked.id == ask) else { continue };
            let ttl = until.saturating_duration_since(Instant::now());
            let pulse = Pulse { pin: self.pin, polarity: Polarity::Unknown, ttl };
            let (what, why) = match self.printer.open_drawer(pulse).await {
                Opening::Opened { after } => (DrawerEvent::Opened, format!("after {} ms", after.as_millis())),
                Opening::NotConfirmed { why } => (DrawerEvent::NotConfirmed, why.to_string()),
                Opening::Expired => (DrawerEvent::Expired, "its printer did not answer in time".into()),
                Opening::NotSent { why } => (DrawerEvent::NotSent, why.to_string()),
            };
            self.answer(&ask, what, &why).await;
        }
    }

    /// Asks that nobody has answered.
    fn asked(&self) -> Vec<DrawerOpening> {
        let mut asks = self.node.read(views::drawers_asked).unwrap_or_else(|err| {
            warn!(%err, "what the drawer was asked is not known");
            Vec::new()
        });
        asks.retain(|asked| asked.drawer == self.name);
        asks
    }

    async fn answer(&self, ask: &DrawerOpening, what: DrawerEvent, why: &str) {
        match what {
            DrawerEvent::Opened => info!(ask = %ask.id.short(), "drawer opened"),
            _ => warn!(ask = %ask.id.short(), outcome = what.word(), why, "drawer not known to be open"),
        }
        let body = Body::Op(OpV1::new(What::DrawerSeen(opening::answer(ask, what, None, why))).encode());
        if let Err(err) = self.node.append(Lane::Books, body, None, Wait::Synced).await {
            // The next start says that nobody knows.
            warn!(%err, "what became of the drawer is not written down");
        }
    }
}
