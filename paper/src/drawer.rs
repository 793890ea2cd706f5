//! A drawer on a printer of ours: what its sensor tells, what there is to say of that, and what of it is in the books.
//!
//! Invariant: while nobody has taught what the levels of its sensor mean, or its printer does not answer, it is called neither
//! open nor shut. Absent on purpose: who may open it, and when. Whoever owns the printer has that, hub or terminal.

use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use toko_crdt::{KvError, KvRead};
use toko_devices::profile::Polarity;
use toko_devices::{Edge, Opening, OwnedPrinter};
use toko_mesh::disk::Disk;
use toko_mesh::node::Node;
use toko_retail::day::Day;
use toko_retail::ops::DrawerEvent;
use toko_retail::views;

mod sensor;
mod taught;
mod untold;

pub use sensor::{Sensor, Word};
pub use taught::Taught;
pub use untold::Untold;

/// For how long a printer may be away before its drawer's state is taken back.
const SIGHT_WITHIN: Duration = Duration::from_secs(60);
/// Moves of sensors that wait; whoever watches them waits.
pub const NEWS_MAX: usize = 64;

/// One drawer, with the handle of the printer that it hangs on.
#[derive(Debug)]
pub struct Drawer {
    /// What the books call it.
    pub name: String,
    /// The printer.
    pub printer: OwnedPrinter,
    /// Its sensor, as far as it was heard.
    pub sensor: Sensor,
    /// After how long open somebody is called, if at all.
    pub left_open: Option<Duration>,
    /// Since when its printer has not answered.
    away_since: Option<Instant>,
    /// The level while it was shut, while somebody teaches it.
    shut_level: Option<bool>,
    /// What there is to say since somebody taught it.
    unsaid: Option<Word>,
}

/// What a drawer's printer tells of it.
#[derive(Clone, Copy, Debug)]
pub enum News {
    /// Its sensor moved.
    Moved(Edge),
    /// The level of its sensor, or nothing while its printer does not answer.
    Level(Option<bool>),
}

/// Why nothing was learnt of a drawer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// Nobody said before that it is shut.
    #[error("shut \"{0}\" first, and say so")]
    ShutFirst(String),
    /// Its sensor did not move, so it tells nothing.
    #[error(
        "the sensor of \"{0}\" says the same open and shut: it has none, or its cable does not carry it; its state stays unknown"
    )]
    NoSensor(String),
    /// The disk did not keep it.
    #[error("what \"{drawer}\" was taught is not kept")]
    NotKept {
        /// The drawer.
        drawer: String,
        /// What the disk said.
        #[source]
        source: std::io::Error,
    },
}

impl Drawer {
    /// A drawer that was not heard yet.
    #[must_use]
    pub fn new(name: String, printer: OwnedPrinter, left_open: Option<Duration>, polarity: Polarity) -> Self {
        let sensor = Sensor::new(polarity);
        Self { name, printer, sensor, left_open, away_since: None, shut_level: None, unsaid: None }
    }

    /// Whether it is open, if anybody knows now.
    #[must_use]
    pub fn open(&self) -> Option<bool> {
        self.sensor.open().filter(|_| self.away_since.is_none())
    }

    /// Takes what its printer tells. `told` is what was last said of it.
    pub fn hear(&mut self, news: News, told: Option<bool>, now: Instant) -> Option<Word> {
        match news {
            News::Moved(edge) => self.sensor.moved(edge.level, edge.ours, edge.missed, now),
            News::Level(Some(level)) => {
                self.away_since = None;
                // Moves of one that is heard come as edges.
                if self.sensor.level().is_none() { self.sensor.heard(level, told, now) } else { None }
            }
            News::Level(None) => {
                self.away_since.get_or_insert(now);
                None
            }
        }
    }

    /// What time brings: words that were held back, and a printer that stays away.
    pub fn tick(&mut self, now: Instant) -> Vec<Word> {
        let mut words: Vec<Word> = self.sensor.tick(now).into_iter().chain(self.unsaid.take()).collect();
        let is_gone = self.away_since.is_some_and(|since| now >= since + SIGHT_WITHIN);
        if is_gone && self.sensor.level().is_some() {
            self.sensor.out_of_sight();
            words.push(Word {
                what: DrawerEvent::OutOfSight,
                detail: "its printer does not answer".to_owned(),
            });
        }
        words
    }

    /// Whether it is open after this word about it, for the books.
    #[must_use]
    pub fn open_after(&self, what: DrawerEvent) -> Option<bool> {
        match what {
            // The edge that says so may be on its way here still.
            DrawerEvent::Opened => self.sensor.is_taught().then_some(true),
            _ => self.sensor.open(),
        }
    }

    /// That it has been open for longer than anybody wants, in words; nothing while it has not.
    #[must_use]
    pub fn left_open(&self, now: Instant) -> Option<String> {
        let open_for = self.sensor.open_for(now)?;
        if open_for < self.left_open? {
            return None;
        }
        let seen =
            if self.sensor.open() == Some(true) { "is open" } else { "was opened and not seen to be shut" };
        Some(format!("the drawer \"{}\" {seen}, for {} s now", self.name, open_for.as_secs()))
    }

    /// Somebody shut it to teach it; its sensor has this level now.
    pub fn stands_shut(&mut self, level: bool) {
        self.shut_level = Some(level);
    }

    /// Somebody opened it to teach it, having shut it before. From now on its levels mean something.
    ///
    /// Errors: nothing was learnt, and it has to be shut again first.
    pub fn stands_open(
        &mut self,
        level: bool,
        taught: &mut Taught,
        disk: &dyn Disk,
        now: Instant,
    ) -> Result<Polarity, LearnError> {
        let shut = self.shut_level.take().ok_or_else(|| LearnError::ShutFirst(self.name.clone()))?;
        if shut == level {
            return Err(LearnError::NoSensor(self.name.clone()));
        }
        let polarity = if level { Polarity::HighIsOpen } else { Polarity::LowIsOpen };
        let not_kept = |source| LearnError::NotKept { drawer: self.name.clone(), source };
        taught.teach(disk, &self.name, polarity).map_err(not_kept)?;
        self.unsaid = self.sensor.teach(polarity, now);
        Ok(polarity)
    }
}

/// What a level of the sensor means, in words; nothing while nobody has taught it.
#[must_use]
pub fn meaning(polarity: Polarity) -> Option<&'static str> {
    match polarity {
        Polarity::Unknown => None,
        Polarity::HighIsOpen => Some("high is open"),
        Polarity::LowIsOpen => Some("low is open"),
    }
}

/// Tells all that a printer tells of its drawer, until nobody listens or the printer's owner ends. `tag` goes with each.
pub async fn watch<T: Copy>(printer: OwnedPrinter, tell: mpsc::Sender<(T, News)>, tag: T) {
    let (mut edges, mut seen) = (printer.edges(), printer.seen());
    drop(printer);
    loop {
        let level = {
            let seen = seen.borrow_and_update();
            seen.drawer_level().filter(|_| seen.trouble.is_none())
        };
        if tell.send((tag, News::Level(level))).await.is_err() {
            return;
        }
        tokio::select! {
            biased;
            edge = edges.recv() => match edge {
                Ok(edge) => if tell.send((tag, News::Moved(edge))).await.is_err() { return },
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
            changed = seen.changed() => if changed.is_err() { return },
        }
    }
}

/// What became of a pulse, as the books keep it.
#[must_use]
pub fn told(opening: &Opening) -> (DrawerEvent, String) {
    match opening {
        Opening::Opened { after } => (DrawerEvent::Opened, format!("after {} ms", after.as_millis())),
        Opening::NotConfirmed { why } => (DrawerEvent::NotConfirmed, why.to_string()),
        Opening::Expired => (DrawerEvent::Expired, "its printer did not answer in time".into()),
        Opening::NotSent { why } => (DrawerEvent::NotSent, why.to_string()),
    }
}

/// Whether a drawer was last said to be open.
#[must_use]
pub fn last_told(node: &Node, drawer: &str) -> Option<bool> {
    let state = node.read(|kv| views::drawer_state(kv, drawer));
    state.ok().flatten().and_then(|state| state.open)
}

/// The newest day that is open.
///
/// Errors: the views could not be read.
pub fn newest_open_day(kv: &dyn KvRead) -> Result<Option<Day>, KvError> {
    for day in views::days(kv)?.into_iter().rev() {
        let state = views::day_state(kv, day)?;
        if !state.opened.is_empty() && state.closings.is_empty() {
            return Ok(Some(day));
        }
    }
    Ok(None)
}

/// The day to write under what a drawer did unasked: the one that is open, or today; never one that is settled.
///
/// Errors: the views could not be read.
pub fn day_of_business(kv: &dyn KvRead, node: &Node) -> Result<Day, KvError> {
    if let Some(day) = newest_open_day(kv)? {
        return Ok(day);
    }
    let today = Day::at_utc(node.machine().wall());
    let first = views::first_open_day(kv)?;
    let newest = views::days(kv)?.pop();
    today.max(first).or(newest).ok_or_else(|| KvError::corrupt("no day of the calendar"))
}
