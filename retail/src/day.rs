//! A business day: the date a shop books under, opened and closed by people.
//!
//! Invariants: always a date of the calendar. Absent on purpose: time zones and the clock. Who opens a day says which one it is.

use std::fmt;

use jiff::civil::Date;
use jiff::{Timestamp, tz::Offset};
use toko_crdt::clock::UnixMicros;

/// A business day, as `2010-12-01`.
///
/// Shape: ordered as the calendar; years 0001 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

/// Why a text or a stored number is no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a day of the calendar (written as 2010-12-01)")]
pub struct DayError(String);

impl Day {
    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Result<Day, DayError> {
        let wrong = || DayError(text.chars().take(24).collect());
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 10
            && bytes
                .iter()
                .enumerate()
                .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
        if !shaped {
            return Err(wrong());
        }
        let number = bytes.iter().filter(|b| **b != b'-').fold(0_u32, |n, b| n * 10 + u32::from(b - b'0'));
        Day::stored(number).map_err(|_| wrong())
    }

    /// The day of a stored number such as `20101201`.
    pub fn stored(number: u32) -> Result<Day, DayError> {
        let wrong = || DayError(number.to_string());
        let year = i16::try_from(number / 10_000).map_err(|_| wrong())?;
        let month = i8::try_from(number / 100 % 100).map_err(|_| wrong())?;
        let day = i8::try_from(number % 100).map_err(|_| wrong())?;
        match Date::new(year, month, day) {
            Ok(_) if year > 0 => Ok(Day(number)),
            _ => Err(wrong()),
        }
    }

    /// The date of a time in UTC; nothing outside the calendar.
    pub fn at_utc(at: UnixMicros) -> Option<Day> {
        let date = Offset::UTC.to_datetime(Timestamp::from_microsecond(at.0).ok()?).date();
        Day::of(date)
    }

    /// The day after; nothing after the last one.
    pub fn next(self) -> Option<Day> {
        let Day(number) = self;
        let year = i16::try_from(number / 10_000).ok()?;
        let (month, day) = (i8::try_from(number / 100 % 100).ok()?, i8::try_from(number % 100).ok()?);
        Day::of(Date::new(year, month, day).ok()?.tomorrow().ok()?)
    }

    fn of(date: Date) -> Option<Day> {
        let [year, month, day] = [i32::from(date.year()), i32::from(date.month()), i32::from(date.day())];
        Day::stored(u32::try_from(year * 10_000 + month * 100 + day).ok()?).ok()
    }

    /// The day as a number that sorts like the calendar: `20101201`.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0 / 10_000, self.0 / 100 % 100, self.0 % 100)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_day_and_the_day_of_a_time_follow_the_calendar() {
        let day = |text| Day::parse(text).unwrap();
        assert_eq!(day("2012-02-28").next(), Some(day("2012-02-29")));
        assert_eq!(day("2011-12-31").next(), Some(day("2012-01-01")));
        assert_eq!(day("9999-12-31").next(), None);
        assert_eq!(Day::at_utc(UnixMicros(1_291_161_600_000_000)), Some(day("2010-12-01")));
        assert_eq!(Day::at_utc(UnixMicros(1_291_161_599_999_999)), Some(day("2010-11-30")));
        assert_eq!(Day::at_utc(UnixMicros(-1)), Some(day("1969-12-31")));
        assert_eq!(Day::at_utc(UnixMicros(i64::MAX)), None);
    }

    #[test]
    fn days_are_dates_of_the_calendar() {
        let day = Day::parse("2010-12-01").unwrap();
        assert_eq!((day.number(), day.to_string().as_str()), (20_101_201, "2010-12-01"));
        assert!(Day::parse("2012-02-29").unwrap() > day);
        for bad in [
            "2011-02-29",
            "2010-13-01",
            "2010-1-01",
            "10-12-01",
            "2010/12/01",
            "0000-01-01",
            "",
            "2010-12-0١",
        ] {
            assert!(Day::parse(bad).is_err(), "{bad}");
        }
        assert!(Day::stored(u32::MAX).is_err());
    }
}
