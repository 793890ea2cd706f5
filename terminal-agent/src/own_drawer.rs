//! The cash drawer on this terminal's own printer: what this process asked for, it opens, once, within seconds or never; and it
//! tells what happened to the drawer unasked.
//!
//! Invariants: a pulse follows an ask that is durable here and that this process wrote itself, so no ask of an earlier one opens
//! anything; each ask is answered, also when it came too late. What its sensor tells unasked is an entry too: by key or by
//! force, and that it was shut. Nothing here waits for paper.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toko_crdt::EffectId;
use toko_devices::profile::Polarity;
use toko_devices::{DrawerPin, NotSent, Opening, OwnedPrinter, Pulse};
use toko_mesh::node::Node;
use toko_paper::drawer::{self, Drawer, LearnError, NEWS_MAX, News, Taught, Untold, Word};
use toko_retail::drawer::opening::{self, TTL_MS_MAX};
use toko_retail::drawer::own_drawer;
use toko_retail::ops::DrawerEvent;
use toko_retail::views::{self, DrawerOpening};
use tracing::{info, warn};

/// Asks that wait. *Full*: whoever asks waits, and is too late then.
const ORDERS_MAX: usize = 16;
/// How often it is looked at without news: words that were held back, and a printer that stays away.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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

/// The drawer and what it was taught, as two tasks share them. Never held across a wait.
#[derive(Debug)]
struct Shelf {
    drawer: Drawer,
    taught: Taught,
}

/// The drawer, for whoever asks how it is or teaches it.
#[derive(Debug, Clone)]
pub struct DrawerDesk {
    node: Node,
    shelf: Arc<Mutex<Shelf>>,
}

/// How a drawer stands while somebody teaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// Shut.
    Shut,
    /// Open.
    Open,
}

/// Why nothing was learnt.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotLearnt {
    /// The printer could not be asked.
    #[error("the printer does not say how its drawer is: {0}")]
    NoAnswer(NotSent),
    /// The drawer told nothing, or the disk kept nothing.
    #[error(transparent)]
    Drawer(#[from] LearnError),
    /// The disk is not to be had.
    #[error("what it was taught cannot be kept: {0}")]
    NoDisk(std::io::Error),
}

impl DrawerDesk {
    /// That it has been open for too long, in words; nothing while it has not.
    pub(crate) fn left_open(&self) -> Option<String> {
        self.lock().drawer.left_open(Instant::now())
    }

    /// What its sensor's levels mean, in words; nothing while nobody has taught it.
    pub(crate) fn sensor(&self) -> Option<&'static str> {
        drawer::meaning(self.lock().drawer.sensor.polarity())
    }

    /// A step of teaching: how the drawer stands now. Gives what the sensor means, once it is learnt.
    ///
    /// Errors: nothing was learnt.
    pub(crate) async fn learn(&self, stands: Stands) -> Result<Option<&'static str>, NotLearnt> {
        let printer = self.lock().drawer.printer.clone();
        // Asked now, so that nothing of before is taken for how it stands.
        let status = printer.status().await.map_err(NotLearnt::NoAnswer)?;
        let disk = self.node.own_disk().map_err(NotLearnt::NoDisk)?;
        let mut shelf = self.lock();
        let Shelf { drawer, taught } = &mut *shelf;
        if stands == Stands::Shut {
            drawer.stands_shut(status.drawer_level);
            return Ok(None);
        }
        let polarity: Polarity = drawer.stands_open(status.drawer_level, taught, &*disk, Instant::now())?;
        Ok(drawer::meaning(polarity))
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever opens it and keeps an eye on it.
pub(crate) struct OwnDrawer {
    desk: DrawerDesk,
    pin: DrawerPin,
    terminal: u16,
    /// What the books call it.
    name: String,
    orders: mpsc::Receiver<Order>,
    /// What was asked before this process was there.
    earlier: Vec<DrawerOpening>,
    untold: Untold,
}

impl OwnDrawer {
    /// The drawer of a terminal's own printer, and the handle by which it is opened. It has to be run, and is made before
    /// anybody asks for anything.
    ///
    /// Errors: the disk with what it was taught is not to be had.
    pub(crate) fn new(
        node: Node,
        printer: OwnedPrinter,
        terminal: u16,
        pin: DrawerPin,
        left_open: Option<Duration>,
    ) -> std::io::Result<(Self, Opener)> {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let name = own_drawer(terminal);
        let taught = Taught::load(&*node.own_disk()?);
        let drawer = Drawer::new(name.clone(), printer, left_open, taught.of(&name));
        let desk = DrawerDesk { node, shelf: Arc::new(Mutex::new(Shelf { drawer, taught })) };
        let (earlier, untold) = (Vec::new(), Untold::default());
        let mut drawer = Self { desk, pin, terminal, name, orders: inbox, earlier, untold };
        drawer.earlier = drawer.asked();
        Ok((drawer, Opener(orders)))
    }

    /// For whoever asks how it is or teaches it.
    pub(crate) fn desk(&self) -> DrawerDesk {
        self.desk.clone()
    }

    /// Opens it when it is asked to and tells what happens to it, until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        for ask in std::mem::take(&mut self.earlier) {
            let why = "the terminal was started anew; whether it opened is not known";
            self.answer(&ask, DrawerEvent::NotConfirmed, why);
        }
        let printer = self.desk.lock().drawer.printer.clone();
        let (tell, mut news) = mpsc::channel(NEWS_MAX);
        let (mut watcher, mut pulses) = (JoinSet::new(), JoinSet::new());
        watcher.spawn(drawer::watch(printer.clone(), tell, ()));
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            self.untold.tell(&self.desk.node).await;
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(done) = pulses.join_next() => if let Ok((ask, opening)) = done { self.opened(&ask, &opening) },
                // One after the other.
                order = self.orders.recv(), if pulses.is_empty() => {
                    let Some(Order { ask, until }) = order else { return };
                    let Some(ask) = self.asked().into_iter().find(|asked| asked.id == ask) else { continue };
                    let polarity = self.desk.lock().drawer.sensor.polarity();
                    let (printer, pin) = (printer.clone(), self.pin);
                    pulses.spawn(async move {
                        let ttl = until.saturating_duration_since(Instant::now());
                        (ask, printer.open_drawer(Pulse { pin, polarity, ttl }).await)
                    });
                }
                Some(((), news)) = news.recv() => self.hear(news),
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    /// Asks that nobody has answered.
    fn asked(&self) -> Vec<DrawerOpening> {
        let mut asks = self.desk.node.read(views::drawers_asked).unwrap_or_else(|err| {
            warn!(%err, "what the drawer was asked is not known");
            Vec::new()
        });
        asks.retain(|asked| asked.drawer == self.name);
        asks
    }

    fn opened(&mut self, ask: &DrawerOpening, opening: &Opening) {
        let (what, why) = drawer::told(opening);
        if what == DrawerEvent::Opened {
            self.desk.lock().drawer.sensor.opened(Instant::now());
            info!(ask = %ask.id.short(), "drawer opened");
        } else {
            warn!(ask = %ask.id.short(), outcome = what.word(), why, "drawer not known to be open");
        }
        self.answer(ask, what, &why);
    }

    fn hear(&mut self, news: News) {
        let told = match news {
            News::Level(Some(_)) => drawer::last_told(&self.desk.node, &self.name),
            News::Level(None) | News::Moved(_) => None,
        };
        let word = self.desk.lock().drawer.hear(news, told, Instant::now());
        self.say(word);
    }

    fn tick(&mut self) {
        let words = self.desk.lock().drawer.tick(Instant::now());
        self.say(words);
    }

    fn say(&mut self, words: impl IntoIterator<Item = Word>) {
        let shelf = self.desk.lock();
        for word in words {
            self.untold.unasked(&self.desk.node, self.terminal, &shelf.drawer, &word);
        }
    }

    fn answer(&mut self, ask: &DrawerOpening, what: DrawerEvent, why: &str) {
        let open = self.desk.lock().drawer.open_after(what);
        self.untold.push(opening::answer(ask, what, open, why));
    }
}
