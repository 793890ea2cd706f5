//! What keeps a log readable, and the flash below it alive, when somebody makes a daemon say one thing again and again: the
//! first lines of each place in the code are written, the rest of that minute is counted and said in one line.
//!
//! Invariants: what is kept is one small row for each place in the code that ever logged, however much a peer sends; nothing
//! goes missing without a count. Absent on purpose: a limit for `debug` and `trace`, which nobody gets without asking.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines that one place in the code may write within [`WINDOW`]: a hub of 24 terminals that come back at once shows them all.
pub(crate) const LINES_MAX: u32 = 30;
/// The time that [`LINES_MAX`] is for. It begins with a line, so a quiet place starts afresh.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// Bytes of a message that are repeated when its count is said.
const LIKE_BYTES_MAX: usize = 120;

/// Counts the lines of each place in the code and lets the first ones through. Cheap to clone: clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Floods {
    shared: Arc<Shared>,
    lines_max: u32,
    window: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    places: Mutex<HashMap<Identifier, Place>>,
    left_out: Condvar,
}

/// One place in the code that logs.
#[derive(Debug)]
struct Place {
    began: Instant,
    lines: u32,
    more: u64,
    level: Level,
    like: String,
}

/// What was left out of one place in one window.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) level: Level,
    pub(crate) more: u64,
    pub(crate) like: String,
}

impl Floods {
    pub(crate) fn new(lines_max: u32, window: Duration) -> Self {
        Self { shared: Arc::default(), lines_max, window }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        self.shared.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event is to be written; one that is not is counted.
    fn passes(&self, event: &Event<'_>, now: Instant) -> bool {
        let level = *event.metadata().level();
        if level > Level::INFO || event.metadata().target() == module_path!() {
            return true;
        }
        let mut places = self.places();
        let place = places.entry(event.metadata().callsite()).or_insert_with(|| Place::at(now, level));
        if place.more == 0 && now.duration_since(place.began) >= self.window {
            *place = Place::at(now, level);
        }
        if place.lines < self.lines_max {
            place.lines += 1;
            return true;
        }
        if place.more == 0 {
            place.like = words(event);
            self.shared.left_out.notify_all();
        }
        place.more += 1;
        false
    }

    /// Takes what was left out in windows that have ended, or in all of them.
    fn take(&self, now: Instant, all: bool) -> Vec<LeftOut> {
        let mut places = self.places();
        let ended = places
            .values_mut()
            .filter(|place| place.more > 0 && (all || now.duration_since(place.began) >= self.window));
        let taken = ended.map(|place| {
            let next = Place::at(now, place.level);
            let Place { level, more, like, .. } = std::mem::replace(place, next);
            LeftOut { level, more, like }
        });
        taken.collect()
    }

    /// Says what was left out until now, of windows that are still open too.
    pub(crate) fn say_all(&self) {
        self.take(Instant::now(), true).into_iter().for_each(LeftOut::say);
    }

    /// Says at the end of each window what was left out of it, for as long as the process lives.
    pub(crate) fn say_for_ever(&self) {
        loop {
            self.wait();
            self.take(Instant::now(), false).into_iter().for_each(LeftOut::say);
        }
    }

    /// Waits for the end of the next window of which something was left out.
    fn wait(&self) {
        let mut places = self.places();
        loop {
            let began = places.values().filter(|place| place.more > 0).map(|place| place.began).min();
            let left = began.map(|began| self.window.saturating_sub(began.elapsed()));
            places = match left {
                Some(Duration::ZERO) => return,
                None => self.shared.left_out.wait(places).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.shared.left_out.wait_timeout(places, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Place {
    fn at(now: Instant, level: Level) -> Self {
        Self { began: now, lines: 0, more: 0, level, like: String::new() }
    }
}

impl LeftOut {
    /// One line, as loud as what it stands for.
    fn say(self) {
        let Self { level, more, like } = self;
        match level {
            Level::ERROR => tracing::error!(more, like, "lines left out: the same was said too often"),
            Level::WARN => tracing::warn!(more, like, "lines left out: the same was said too often"),
            _ => tracing::info!(more, like, "lines left out: the same was said too often"),
        }
    }
}

impl<S: Subscriber> Layer<S> for Floods {
    fn event_enabled(&self, event: &Event<'_>, _ctx: Context<'_, S>) -> bool {
        self.passes(event, Instant::now())
    }
}

/// The message of an event, shortened.
fn words(event: &Event<'_>) -> String {
    let mut message = Message::default();
    event.record(&mut message);
    message.0
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // What does not fit is cut off.
            let _ = write!(Short(&mut self.0), "{value:?}");
        }
    }
}

/// Takes text up to a limit, and refuses what comes after.
struct Short<'a>(&'a mut String);

impl Write for Short<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LIKE_BYTES_MAX.saturating_sub(self.0.len());
        let fits = text.floor_char_boundary(room);
        self.0.push_str(&text[..fits]);
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests;
