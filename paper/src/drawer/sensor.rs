//! What a drawer's sensor tells, edge by edge: what there is to say of it, and how long it has been open. Pure.
//!
//! Invariants: while nobody has taught what a level means, nothing is called open or shut; a broken sensor that flickers says
//! no more than a few words a minute, and then how often it was.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;
use toko_devices::profile::Polarity;
use toko_retail::ops::DrawerEvent;

/// Words about one drawer within [`WINDOW`]; more are counted.
const WORDS_MAX: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// One drawer's sensor.
#[derive(Debug)]
pub struct Sensor {
    polarity: Polarity,
    level: Option<bool>,
    open_since: Option<Instant>,
    /// Our own pulse opened it, so that the next edge shuts it.
    shuts_next: bool,
    said: VecDeque<Instant>,
    unsaid: u64,
}

/// Something to say of a drawer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What happened.
    pub what: DrawerEvent,
    /// What else there is to know of it.
    pub detail: String,
}

impl Sensor {
    /// One that was not heard yet.
    #[must_use]
    pub fn new(polarity: Polarity) -> Self {
        let (level, open_since) = (None, None);
        Self { polarity, level, open_since, shuts_next: false, said: VecDeque::new(), unsaid: 0 }
    }

    /// What its levels mean.
    #[must_use]
    pub fn polarity(&self) -> Polarity {
        self.polarity
    }

    /// Whether anybody has taught what its levels mean.
    #[must_use]
    pub fn is_taught(&self) -> bool {
        self.polarity != Polarity::Unknown
    }

    /// The level that it had last, if it can be heard.
    #[must_use]
    pub fn level(&self) -> Option<bool> {
        self.level
    }

    /// Whether the drawer is open, if anybody knows.
    #[must_use]
    pub fn open(&self) -> Option<bool> {
        self.level.and_then(|level| self.polarity.open(level))
    }

    /// For how long it has been open, or not been seen to be shut.
    #[must_use]
    pub fn open_for(&self, now: Instant) -> Option<Duration> {
        self.open_since.map(|since| now - since)
    }

    /// Somebody taught what its levels mean, and so moved it.
    pub fn teach(&mut self, polarity: Polarity, now: Instant) -> Option<Word> {
        self.polarity = polarity;
        self.shuts_next = false;
        let open = self.open()?;
        self.open_since = open.then_some(now);
        if open { None } else { self.say(DrawerEvent::Closed, "", now) }
    }

    /// It is heard for the first time, or again. `told` is what was last said of it.
    pub fn heard(&mut self, level: bool, told: Option<bool>, now: Instant) -> Option<Word> {
        self.level = Some(level);
        self.found(told, now)
    }

    /// It cannot be heard any more.
    pub fn out_of_sight(&mut self) {
        (self.level, self.open_since, self.shuts_next) = (None, None, false);
    }

    fn found(&mut self, told: Option<bool>, now: Instant) -> Option<Word> {
        let open = self.open()?;
        self.open_since = open.then(|| self.open_since.unwrap_or(now));
        match (open, told) {
            (true, Some(true)) | (false, Some(false)) => None,
            (true, _) => self.say(DrawerEvent::Forced, "it was found open", now),
            (false, _) => self.say(DrawerEvent::Closed, "", now),
        }
    }

    /// Our own pulse opened it, as the sensor says.
    pub fn opened(&mut self, now: Instant) {
        self.open_since = Some(now);
        self.shuts_next = true;
    }

    /// It moved. `ours` says that a pulse of ours moved it; whoever sent that tells of it.
    pub fn moved(&mut self, level: bool, ours: bool, missed: bool, now: Instant) -> Option<Word> {
        self.level = Some(level);
        if ours {
            self.opened(now);
            return None;
        }
        let while_away = if missed { "while nobody could hear its sensor" } else { "" };
        match self.open() {
            Some(true) => {
                self.open_since = Some(now);
                self.shuts_next = true;
                self.say(DrawerEvent::Forced, while_away, now)
            }
            Some(false) => {
                (self.open_since, self.shuts_next) = (None, false);
                self.say(DrawerEvent::Closed, while_away, now)
            }
            None if std::mem::take(&mut self.shuts_next) => {
                self.open_since = None;
                None
            }
            None => self.say(DrawerEvent::Forced, "its sensor moved; nobody has taught what that means", now),
        }
    }

    /// Time went by: what was held back, now that there is room for it.
    pub fn tick(&mut self, now: Instant) -> Option<Word> {
        if self.unsaid == 0 || !self.has_room(now) {
            return None;
        }
        let times = std::mem::take(&mut self.unsaid);
        let what = if self.open() == Some(false) { DrawerEvent::Closed } else { DrawerEvent::Forced };
        self.say(what, &format!("its sensor moved {times} more times"), now)
    }

    fn has_room(&mut self, now: Instant) -> bool {
        while self.said.front().is_some_and(|at| now >= *at + WINDOW) {
            self.said.pop_front();
        }
        self.said.len() < WORDS_MAX
    }

    fn say(&mut self, what: DrawerEvent, detail: &str, now: Instant) -> Option<Word> {
        if !self.has_room(now) {
            self.unsaid += 1;
            return None;
        }
        self.said.push_back(now);
        Some(Word { what, detail: detail.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(word: Option<Word>) -> Option<DrawerEvent> {
        word.map(|word| word.what)
    }

    #[test]
    fn either_polarity_tells_forced_openings_and_shutting() {
        for (polarity, open) in [(Polarity::HighIsOpen, true), (Polarity::LowIsOpen, false)] {
            let now = Instant::now();
            let mut sensor = Sensor::new(polarity);
            assert_eq!(sensor.open(), None, "it was not heard yet");
            assert_eq!(what(sensor.heard(!open, None, now)), Some(DrawerEvent::Closed));
            assert_eq!(sensor.heard(!open, Some(false), now), None, "that was said already");
            assert_eq!(sensor.moved(open, true, false, now), None, "whoever sent the pulse tells of it");
            assert_eq!(what(sensor.moved(!open, false, false, now)), Some(DrawerEvent::Closed));
            assert_eq!(what(sensor.moved(open, false, false, now)), Some(DrawerEvent::Forced));
            assert_eq!(sensor.open(), Some(true));
            assert_eq!(sensor.open_for(now + WINDOW), Some(WINDOW));
            assert_eq!(what(sensor.moved(!open, false, true, now)), Some(DrawerEvent::Closed));
            assert_eq!(sensor.open_for(now), None);
            sensor.out_of_sight();
            assert_eq!(sensor.open(), None);
            let found = sensor.heard(open, None, now).unwrap();
            assert_eq!((found.what, found.detail.as_str()), (DrawerEvent::Forced, "it was found open"));
        }
    }

    #[test]
    fn untaught_nothing_is_called_shut_and_only_what_we_opened_is_expected_to_move_again() {
        let now = Instant::now();
        let mut sensor = Sensor::new(Polarity::Unknown);
        assert_eq!(sensor.heard(true, None, now), None);
        sensor.moved(false, true, false, now);
        assert_eq!(sensor.open(), None);
        assert!(sensor.open_for(now).is_some(), "we opened it");
        assert_eq!(sensor.moved(true, false, false, now), None, "somebody shut it");
        assert_eq!(sensor.open_for(now), None);
        assert_eq!(what(sensor.moved(false, false, false, now)), Some(DrawerEvent::Forced));
        assert_eq!(sensor.teach(Polarity::LowIsOpen, now), None, "whoever taught it opened it");
        assert_eq!(sensor.open(), Some(true));
    }

    #[test]
    fn a_sensor_that_flickers_says_a_few_words_a_minute_and_then_how_often() {
        let now = Instant::now();
        let mut sensor = Sensor::new(Polarity::HighIsOpen);
        sensor.heard(false, Some(false), now);
        let words = (0..1_000).filter(|n| sensor.moved(n % 2 == 0, false, false, now).is_some()).count();
        assert_eq!(words, WORDS_MAX);
        assert_eq!(sensor.tick(now), None);
        let word = sensor.tick(now + WINDOW).unwrap();
        assert_eq!(
            (word.what, word.detail.as_str()),
            (DrawerEvent::Closed, "its sensor moved 980 more times")
        );
        assert_eq!(sensor.tick(now + WINDOW), None);
    }
}
