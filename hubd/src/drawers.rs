//! The cash drawers: each opens once for whoever asks from its own till, within seconds or never, and tells what it did unasked.
//!
//! A till asks by an entry, and what came of it is an entry of ours. Invariants: a pulse is sent for an ask that is durable here
//! and young (`fresh`), at most once whatever dies when; an ask that this process did not see come, or that came too late,
//! opens nothing and is answered all the same; a drawer is opened for its own tills alone. What its sensor tells unasked is an
//! entry too: by key or by force, and that it was shut. Nothing here waits for paper.
//!
//! Absent on purpose: a second try, and another drawer in its place.

use crate::printers::Printers;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toko_crdt::{EffectId, KvError, NodeId};
use toko_devices::{Opening, Pulse};
use toko_mesh::node::Node;
use toko_paper::drawer::{self, NEWS_MAX, News, Taught, Untold, Word};
use toko_retail::drawer::{at_its_till, opening};
use toko_retail::ops::DrawerEvent;
use toko_retail::views::{self, DrawerOpening};
use tracing::{info, warn};

pub mod config;
mod desk;
mod fresh;

pub(crate) use desk::{Standing, alerts, routes, standing};

use config::DrawerConfig;
use fresh::Fresh;

/// How often tills are looked at while there is a drawer.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One drawer, and to whom it belongs.
#[derive(Debug)]
struct Drawer {
    config: DrawerConfig,
    watched: drawer::Drawer,
}

/// Shared with whoever answers `hubctl`.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    drawers: Vec<Drawer>,
    taught: Taught,
    /// The tills that may open a drawer now: those whose last word holds nothing that is not here.
    level: Vec<NodeId>,
}

/// The drawers, as two tasks share them. Never held across a wait.
pub(crate) type SharedDrawers = Arc<Mutex<Shelf>>;

/// The drawers of a configuration on the printers that are there.
pub(crate) fn shared(
    node: &Node,
    drawers: &[DrawerConfig],
    printers: &Printers,
) -> std::io::Result<SharedDrawers> {
    let taught = Taught::load(&*node.own_disk()?);
    let drawers = drawers.iter().filter_map(|config| {
        let printer = printers.named(&config.printer)?.printer.clone();
        let DrawerConfig { name, left_open, .. } = config;
        let watched = drawer::Drawer::new(name.clone(), printer, *left_open, taught.of(name));
        Some(Drawer { config: config.clone(), watched })
    });
    let drawers = drawers.collect();
    Ok(Arc::new(Mutex::new(Shelf { drawers, taught, level: Vec::new() })))
}

/// What became of a pulse.
type Done = (DrawerOpening, Opening);

/// The one who drives them.
pub(crate) struct Drawers {
    node: Node,
    shelf: SharedDrawers,
    stop: CancellationToken,
    fresh: Fresh,
    /// Asks that were judged already, and until when those may open that wait for our own disk.
    known: BTreeMap<EffectId, Option<(Instant, usize)>>,
    pulses: JoinSet<Done>,
    untold: Untold,
}

impl Drawers {
    pub(crate) fn new(node: Node, shelf: SharedDrawers, stop: CancellationToken) -> Self {
        let (known, pulses, untold) = (BTreeMap::new(), JoinSet::new(), Untold::default());
        Self { node, shelf, stop, fresh: Fresh::default(), known, pulses, untold }
    }

    /// Drives them until it is told to stop.
    pub(crate) async fn run(mut self) {
        let mut changed = self.node.changed();
        let (tell, mut news) = mpsc::channel(NEWS_MAX);
        let mut watchers = self.watch(&tell);
        drop(tell);
        let any = !watchers.is_empty();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Err(err) = self.begin() {
            warn!(%err, "what drawers were asked before is not known");
        }
        while !self.stop.is_cancelled() {
            changed.mark_unchanged();
            if let Err(err) = self.look() {
                warn!(%err, "drawers wait");
            }
            self.untold.tell(&self.node).await;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                Some(done) = self.pulses.join_next() => if let Ok(done) = done { self.answer(done) },
                Some((at, news)) = news.recv() => self.hear(at, news),
                news = changed.changed() => if news.is_err() { break },
                _ = ticks.tick(), if any => self.tick(),
            }
        }
        // What is out already is answered; the printers' owners, who stop too, answer at once.
        while let Some(done) = self.pulses.join_next().await {
            if let Ok(done) = done {
                self.answer(done);
            }
        }
        self.untold.tell(&self.node).await;
        watchers.shutdown().await;
    }

    /// What was asked before this process was there is answered, and opens nothing.
    fn begin(&mut self) -> Result<(), KvError> {
        if self.node.is_hub() {
            for asked in self.asked()? {
                self.known.insert(asked.id, None);
                self.say(
                    &asked,
                    DrawerEvent::NotConfirmed,
                    "the hub was started anew; whether it opened is not known",
                );
            }
        }
        Ok(())
    }

    /// Asks that nobody has answered, but for those that a terminal answers by itself.
    fn asked(&self) -> Result<Vec<DrawerOpening>, KvError> {
        let mut asks = self.node.read(views::drawers_asked)?;
        asks.retain(|asked| !at_its_till(&asked.drawer));
        Ok(asks)
    }

    /// Judges each ask once.
    fn look(&mut self) -> Result<(), KvError> {
        if !self.node.is_hub() {
            // The hub of the next term opens drawers; two that open would open twice.
            return Ok(());
        }
        // Before the asks are read: whoever is level now may be so by an ask that has just come.
        let level = self.level_now()?;
        let asks = self.asked()?;
        self.known.retain(|id, _| asks.iter().any(|ask| ask.id == *id));
        let now = Instant::now();
        for asked in asks {
            match self.known.get(&asked.id).copied() {
                None => match self.judge(&asked, now) {
                    Ok(wanted) => {
                        self.known.insert(asked.id, Some(wanted));
                        self.open_if_durable(asked, wanted, now);
                    }
                    Err((what, why)) => {
                        self.known.insert(asked.id, None);
                        self.say(&asked, what, &why);
                    }
                },
                Some(Some(wanted)) => self.open_if_durable(asked, wanted, now),
                Some(None) => {}
            }
        }
        lock(&self.shelf).level.clone_from(&level);
        self.fresh.level(level, now);
        Ok(())
    }

    /// The tills with a drawer that have written nothing which is not here.
    fn level_now(&self) -> Result<Vec<NodeId>, KvError> {
        let members = self.node.members();
        let shelf = lock(&self.shelf);
        let has_drawer = |node: &NodeId| {
            let roles = members.roles(node);
            let mut numbers = roles.terminal.iter().map(|(number, _)| number);
            numbers.any(|number| shelf.drawers.iter().any(|drawer| drawer.config.terminals.contains(number)))
        };
        let tills: Vec<NodeId> = members.nodes().into_iter().filter(has_drawer).collect();
        drop(shelf);
        let mut level = Vec::new();
        for till in tills {
            if self.node.is_level_with(&till)? {
                level.push(till);
            }
        }
        Ok(level)
    }

    /// Until when an ask may open which drawer, or why it opens none.
    fn judge(&self, asked: &DrawerOpening, now: Instant) -> Result<(Instant, usize), (DrawerEvent, String)> {
        let Some(ask) = &asked.asked else {
            return Err((DrawerEvent::NotSent, "nobody asked".into()));
        };
        let shelf = lock(&self.shelf);
        let Some(at) = shelf.drawers.iter().position(|drawer| drawer.config.name == asked.drawer) else {
            return Err((DrawerEvent::NotSent, "no drawer of this name hangs on the hub".into()));
        };
        let author = ask.place.journal.node;
        let roles = self.node.members().roles(&author);
        let terminals = &shelf.drawers[at].config.terminals;
        let is_its_own = roles.terminal.iter().any(|(number, _)| terminals.contains(number));
        if !is_its_own && !toko_crdt::mutant!("open-another-tills-drawer") {
            return Err((DrawerEvent::NotSent, "it is another terminal's drawer".into()));
        }
        let ttl = Duration::from_millis(ask.ttl_ms.into());
        match self.fresh.until(&author, now, ttl) {
            Some(until) => Ok((until, at)),
            None => Err((DrawerEvent::Expired, "it came too late, or how old it is cannot be told".into())),
        }
    }

    /// Sends the pulse once the ask would survive a power cut here, so that no later start takes it for a new one.
    fn open_if_durable(&mut self, asked: DrawerOpening, (until, at): (Instant, usize), now: Instant) {
        let Some(ask) = &asked.asked else { return };
        if now >= until {
            self.known.insert(asked.id, None);
            self.say(&asked, DrawerEvent::Expired, "this hub's disk was too slow");
            return;
        }
        let is_durable =
            self.node.frontier().head(&ask.place.journal).is_some_and(|head| head.seq >= ask.place.seq);
        if !is_durable {
            return;
        }
        self.known.insert(asked.id, None);
        let shelf = lock(&self.shelf);
        let drawer = &shelf.drawers[at];
        let printer = drawer.watched.printer.clone();
        let polarity = drawer.watched.sensor.polarity();
        let pulse = Pulse { pin: drawer.config.pin, polarity, ttl: until - now };
        drop(shelf);
        self.pulses.spawn(async move {
            let opening = printer.open_drawer(pulse).await;
            (asked, opening)
        });
    }

    fn answer(&mut self, (asked, opening): Done) {
        let (what, why) = drawer::told(&opening);
        if what == DrawerEvent::Opened {
            info!(drawer = %asked.drawer, ask = %asked.id.short(), "drawer opened");
        } else {
            warn!(drawer = %asked.drawer, ask = %asked.id.short(), outcome = what.word(), %why, "drawer not known to be open");
        }
        if what == DrawerEvent::Opened
            && let Some(drawer) = lock(&self.shelf).named(&asked.drawer)
        {
            drawer.watched.sensor.opened(Instant::now());
        }
        self.say(&asked, what, &why);
    }

    fn hear(&mut self, at: usize, news: News) {
        let told = match news {
            News::Level(Some(_)) => {
                let name = lock(&self.shelf).drawers[at].config.name.clone();
                drawer::last_told(&self.node, &name)
            }
            News::Level(None) | News::Moved(_) => None,
        };
        let word = lock(&self.shelf).drawers[at].watched.hear(news, told, Instant::now());
        self.say_unasked(at, word);
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let mut words = Vec::new();
        for (at, drawer) in lock(&self.shelf).drawers.iter_mut().enumerate() {
            words.extend(drawer.watched.tick(now).into_iter().map(|word| (at, word)));
        }
        for (at, word) in words {
            self.say_unasked(at, Some(word));
        }
    }

    fn say(&mut self, asked: &DrawerOpening, what: DrawerEvent, why: &str) {
        let mut shelf = lock(&self.shelf);
        let open = shelf.named(&asked.drawer).and_then(|drawer| drawer.watched.open_after(what));
        drop(shelf);
        self.untold.push(opening::answer(asked, what, open, why));
    }

    fn say_unasked(&mut self, at: usize, word: Option<Word>) {
        let Some(word) = word.filter(|_| self.node.is_hub()) else { return };
        let shelf = lock(&self.shelf);
        let Drawer { config, watched } = &shelf.drawers[at];
        let terminal = config.terminals.first().copied().unwrap_or_default();
        self.untold.unasked(&self.node, terminal, watched, &word);
    }

    /// One watcher for each drawer's printer.
    fn watch(&self, tell: &mpsc::Sender<(usize, News)>) -> JoinSet<()> {
        let mut watchers = JoinSet::new();
        for (at, drawer) in lock(&self.shelf).drawers.iter().enumerate() {
            watchers.spawn(drawer::watch(drawer.watched.printer.clone(), tell.clone(), at));
        }
        watchers
    }
}

impl Shelf {
    fn named(&mut self, name: &str) -> Option<&mut Drawer> {
        self.drawers.iter_mut().find(|drawer| drawer.config.name == name)
    }
}

fn lock(shelf: &SharedDrawers) -> std::sync::MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
