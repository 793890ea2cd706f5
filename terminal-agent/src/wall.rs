//! The wall clock: for people, for receipts and for the day that a sale opens by itself. Never for order or identity.
//!
//! A till without a battery wakes up in 1970. Until something says otherwise, a time before this build or before what this
//! terminal knows to have happened is not believed, and says so wherever it is shown. What says otherwise is another node whose
//! clock agrees (`heard`): then this terminal had dated its own work wrong.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use toko_crdt::clock::UnixMicros;
use toko_mesh::machine::Machine;
use toko_retail::day::Day;

use crate::heard::Heard;

/// When this code was last looked at: no terminal that runs it can be earlier. 2026-11-22T00:00:00Z.
const BUILT: UnixMicros = UnixMicros(1_795_305_600_000_000);

/// A clock on the wall, in a time zone.
#[derive(Debug, Clone)]
pub struct Wall {
    zone: TimeZone,
    machine: Machine,
    heard: Heard,
}

/// A look at the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Microseconds since 1970, UTC.
    pub at: UnixMicros,
    /// Minutes that local time is ahead of UTC.
    pub offset_minutes: i16,
    /// The local date.
    pub day: Day,
    /// Whether the time can be believed: after this build, and not before what is known to have happened, unless others agree
    /// with it.
    pub verified: bool,
}

impl Wall {
    /// A clock in a zone by its IANA name; the machine's zone for an empty one.
    ///
    /// Errors: a name that the machine's time zone database does not have, in words.
    pub fn in_zone(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Ok(Self::of(TimeZone::system()));
        }
        let zone = TimeZone::get(name)
            .map_err(|_| format!("\"{name}\" is no time zone of this machine, such as Europe/London"))?;
        Ok(Self::of(zone))
    }

    fn of(zone: TimeZone) -> Self {
        Self { zone, machine: Machine::real(), heard: Heard::default() }
    }

    /// The same zone, by the clock of this machine.
    #[must_use]
    pub fn on(self, machine: &Machine) -> Self {
        Self { machine: machine.clone(), ..self }
    }

    /// Looks at the clock. `known` is the latest time at which something is known to have happened.
    #[must_use]
    pub fn look(&self, known: UnixMicros) -> Reading {
        self.read(self.machine.wall(), known)
    }

    /// What others have said of the time.
    pub(crate) fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Another node dated an entry like this, which has just arrived. Whether this clock agrees.
    pub(crate) fn hear(&self, theirs: UnixMicros) -> bool {
        self.heard.hear(theirs, self.machine.wall())
    }

    fn read(&self, at: UnixMicros, known: UnixMicros) -> Reading {
        let is_told = || at >= known || self.heard.agrees(at);
        let verified = (at >= BUILT && is_told()) || toko_crdt::mutant!("believe-any-clock");
        let civil =
            Timestamp::from_microsecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.zone.clone());
        let day = u32::try_from(civil.year())
            .ok()
            .and_then(|year| {
                let month_day = u32::try_from(civil.month()).ok()? * 100 + u32::try_from(civil.day()).ok()?;
                Day::stored(year * 10_000 + month_day).ok()
            })
            .unwrap_or_else(|| Day::stored(19_700_101).expect("the first of January 1970 is a day"));
        let offset_minutes = i16::try_from(civil.offset().seconds() / 60).unwrap_or(0);
        Reading { at, offset_minutes, day, verified }
    }
}

/// A time as RFC 3339 has it, in UTC; one that no calendar has shows as the number it is.
#[must_use]
pub fn utc(at: UnixMicros) -> String {
    match Timestamp::from_microsecond(at.0) {
        Ok(timestamp) => format!("{timestamp:.0}"),
        Err(_) => at.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn london() -> Wall {
        let zone = TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").unwrap();
        Wall::of(zone)
    }

    #[test]
    fn a_clock_that_woke_up_in_1970_is_not_believed_and_still_names_a_day() {
        let reading = london().read(UnixMicros(5_000_000), UnixMicros(0));
        assert_eq!((reading.verified, reading.day.to_string().as_str()), (false, "1970-01-01"));
    }

    #[test]
    fn a_clock_behind_what_is_known_to_have_happened_is_not_believed() {
        let known = UnixMicros(BUILT.0 + 10);
        assert!(!london().read(UnixMicros(BUILT.0 + 9), known).verified);
        assert!(london().read(known, known).verified);
    }

    #[test]
    fn a_clock_that_others_agree_with_is_believed_although_this_till_wrote_in_the_future() {
        let (now, known) = (UnixMicros(BUILT.0 + 10), UnixMicros(BUILT.0 + 315_360_000_000_000));
        let wall = london();
        assert!(!wall.read(now, known).verified);
        assert!(wall.heard().hear(UnixMicros(now.0 - 2_000_000), now));
        assert!(wall.read(now, known).verified);
        assert!(
            !wall.read(UnixMicros(now.0 + 86_400_000_000), known).verified,
            "a day later by the wall alone"
        );
        assert!(!wall.read(UnixMicros(5), known).verified, "no word of another makes 1970 of it");
    }

    #[test]
    fn the_day_is_the_local_one() {
        // 2026-07-01T23:30:00Z is past midnight in a London summer.
        let reading = london().read(UnixMicros(1_782_948_600_000_000), UnixMicros(0));
        assert_eq!((reading.day.to_string().as_str(), reading.offset_minutes), ("2026-07-02", 60));
        assert_eq!(utc(reading.at), "2026-07-01T23:30:00Z");
    }

    #[test]
    fn a_zone_that_is_none_is_named() {
        assert!(Wall::in_zone("Mars/Olympus").unwrap_err().contains("Mars/Olympus"));
        assert!(Wall::in_zone("").is_ok());
    }
}
