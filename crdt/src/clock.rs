//! The hybrid clock: never goes back within a run, whatever the wall does.
//!
//! It dates entries for people and breaks ties in registers. Order and identity come from runs, numbers and hashes, never
//! from here. Source: Kulkarni et al., "Logical Physical Clocks", OPODIS 2014.

/// Microseconds since 1970-01-01T00:00:00Z, as some wall clock had it. It may be wrong by decades, and negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixMicros(pub i64);

/// A reading of the hybrid clock: wall microseconds and a tick that counts where the wall stands still.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Hlc {
    /// Wall microseconds since 1970, never below zero.
    pub micros: u64,
    /// Counts readings within one microsecond, or while the wall lags.
    pub tick: u16,
}

impl Hlc {
    /// The wall time in this reading.
    #[must_use]
    pub fn wall(&self) -> UnixMicros {
        UnixMicros(i64::try_from(self.micros).unwrap_or(i64::MAX))
    }

    /// The least reading above this one.
    #[must_use]
    pub fn next(&self) -> Self {
        match self.tick.checked_add(1) {
            Some(tick) => Self { micros: self.micros, tick },
            None => Self { micros: self.micros.saturating_add(1), tick: 0 },
        }
    }
}

/// A run's clock. Each reading is above the one before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    last: Hlc,
}

/// How far ahead of our own wall a peer's reading may pull us. A till whose clock says 2099 must not take the shop along.
pub const PULL_MICROS_MAX: u64 = 60_000_000;

impl Clock {
    /// The next reading, given what the wall says.
    pub fn now(&mut self, wall: UnixMicros) -> Hlc {
        let micros = u64::try_from(wall.0).unwrap_or(0);
        self.last = if micros > self.last.micros || crate::mutant!("clock-runs-back") {
            Hlc { micros, tick: 0 }
        } else {
            self.last.next()
        };
        self.last
    }

    /// Takes note of a peer's reading, so that what we write after reading it is dated after it, within reason.
    pub fn observe(&mut self, seen: Hlc, wall: UnixMicros) {
        let limit = u64::try_from(wall.0).unwrap_or(0).saturating_add(PULL_MICROS_MAX);
        if seen > self.last && seen.micros <= limit {
            self.last = seen;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_rise_although_the_wall_stands_or_steps_back() {
        let mut clock = Clock::default();
        let walls = [5, 5, 3, -7, 5, 6, 6, i64::MIN, 7];
        let readings: Vec<Hlc> = walls.iter().map(|wall| clock.now(UnixMicros(*wall))).collect();
        assert!(readings.windows(2).all(|pair| pair[0] < pair[1]), "{readings:?}");
    }

    #[test]
    fn a_full_tick_moves_on_to_the_next_microsecond() {
        let mut clock = Clock { last: Hlc { micros: 9, tick: u16::MAX } };
        assert_eq!(clock.now(UnixMicros(1)), Hlc { micros: 10, tick: 0 });
    }

    #[test]
    fn a_peer_from_the_far_future_does_not_pull_the_clock() {
        let mut clock = Clock::default();
        clock.observe(Hlc { micros: PULL_MICROS_MAX + 11, tick: 0 }, UnixMicros(10));
        assert_eq!(clock.now(UnixMicros(10)), Hlc { micros: 10, tick: 0 });
        clock.observe(Hlc { micros: 500, tick: 3 }, UnixMicros(10));
        assert_eq!(clock.now(UnixMicros(10)), Hlc { micros: 500, tick: 4 });
    }
}
