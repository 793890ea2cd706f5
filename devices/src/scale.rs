//! Scales at the counter: the weight of what lies there now, as the scale shows it, or none.
//!
//! The scale is the judge: its digits are handed on unchanged, whole numbers and the place of the point, with the unit; they
//! are never averaged, rounded or remembered. Invariants: a weight is given only if the scale calls it stable and says it
//! twice within one weighing; a scale in another unit than the shop's is refused. Absent on purpose: tare and zero by
//! command, which belong to whoever stands at the scale, and prices.
//!
//! [`Answers`] is what a scale says, [`Weighing`] what to believe, [`Scale`] the edge, [`VirtualScale`] a scale without a pan.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::cable::{self, Address, Cable, Roots};

mod answer;
mod virtual_scale;
mod weighing;

pub use answer::{ANSWER_BYTES_MAX, Answer, Answers};
pub use virtual_scale::{Pan, VirtualScale};
pub use weighing::{Next, Weighing};

/// The tongue of a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Mettler Toledo 8217, 8213 and relatives: `W`, 9600 7E1. It does not name its unit.
    Toledo8217,
    /// NCI, Weigh-Tronix SCP-01, Brecknell: `W` CR, 9600 7E1.
    Nci,
    /// CAS AP, ER, SW, PD-II and Ohaus Aviator: ENQ, then DC1, 9600 8N1 or 7E1.
    Cas,
}

/// What a scale counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Kilograms.
    Kilogram,
    /// Grams.
    Gram,
    /// Pounds.
    Pound,
    /// Ounces.
    Ounce,
}

/// A weight as it stands on the display: `digits` with `decimals` of them behind the point. No float, so nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Weight {
    /// All digits, as one number.
    pub digits: u32,
    /// How many of them stand behind the point.
    pub decimals: u8,
    /// The unit.
    pub unit: Unit,
}

/// What a scale says when it is at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The weight.
    pub weight: Weight,
    /// Whether a tare was taken off.
    pub net: bool,
}

/// Why a scale gives no weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trouble {
    /// What lies there has not come to rest.
    Moving,
    /// More than it can weigh.
    Over,
    /// Less than nothing: something was lifted off.
    Under,
    /// It stands where its zero cannot be found.
    Zeroing,
    /// It is empty.
    Zero,
    /// It does something else.
    Busy,
    /// It does not know the question: another protocol.
    Refused,
    /// It reports a fault of its own.
    Fault,
}

/// Why there is no weight. None is ever taken from before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WeighError {
    /// It cannot be reached.
    #[error("scale {address} cannot be reached: {error}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What the system said.
        error: String,
    },
    /// It does not answer, or nothing that makes sense at these settings.
    #[error("scale does not answer; look at its cable, its power and the settings of the line")]
    Silent,
    /// It answered, and never with a weight at rest.
    #[error("scale gives no weight: {trouble}")]
    NotStable {
        /// What it said last.
        trouble: Trouble,
    },
    /// Nothing, or too little to sell, lies there.
    #[error("{weight} is too little to weigh")]
    TooLight {
        /// What it shows.
        weight: Weight,
    },
    /// It weighs in another unit than the shop sells by.
    #[error("scale weighs in {got}, the shop in {wanted}; set one of them")]
    Unit {
        /// The shop's.
        wanted: Unit,
        /// The scale's.
        got: Unit,
    },
    /// We were told to stop.
    #[error("stopped before the scale came to rest")]
    Stopped,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 3] = [Protocol::Toledo8217, Protocol::Nci, Protocol::Cas];

    /// What asks for a weight, or whether one may be asked for.
    const fn asks(self) -> &'static [u8] {
        match self {
            Protocol::Toledo8217 => b"W",
            Protocol::Nci => b"W\r",
            Protocol::Cas => b"\x05",
        }
    }

    /// What fetches the weight once the scale is ready.
    const fn fetches(self) -> &'static [u8] {
        match self {
            Protocol::Toledo8217 | Protocol::Nci => self.asks(),
            Protocol::Cas => b"\x11",
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Protocol, String> {
        match text {
            "toledo-8217" => Ok(Protocol::Toledo8217),
            "nci" => Ok(Protocol::Nci),
            "cas" => Ok(Protocol::Cas),
            _ => Err(format!("\"{text}\" is none of toledo-8217, nci and cas")),
        }
    }
}

impl Unit {
    /// The unit that a scale calls so, in capitals or not.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Unit> {
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"kg" => Some(Unit::Kilogram),
            b"g" => Some(Unit::Gram),
            b"lb" => Some(Unit::Pound),
            b"oz" => Some(Unit::Ounce),
            _ => None,
        }
    }

    /// Its name as it is written behind a number.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Kilogram => "kg",
            Unit::Gram => "g",
            Unit::Pound => "lb",
            Unit::Ounce => "oz",
        }
    }
}

impl Weight {
    /// A weight written as a decimal number, such as `0.005`.
    #[must_use]
    pub fn parse(text: &str, unit: Unit) -> Option<Weight> {
        answer::weight(text.as_bytes(), unit)
    }

    /// In thousandths of the unit, as quantities are kept; `None` if the scale shows finer ones that are not zero, or too many.
    #[must_use]
    pub fn milli(self) -> Option<u64> {
        let digits = u64::from(self.digits);
        match self.decimals {
            0..=3 => digits.checked_mul(10_u64.pow(3 - u32::from(self.decimals))),
            4..=9 => {
                let finer = 10_u64.pow(u32::from(self.decimals) - 3);
                digits.is_multiple_of(finer).then_some(digits / finer)
            }
            _ => None,
        }
    }

    /// Whether it is as much as another one of the same unit.
    fn at_least(self, other: Weight) -> bool {
        let places = |weight: Weight, other: Weight| {
            let more = u32::from(other.decimals.saturating_sub(weight.decimals)).min(20);
            u128::from(weight.digits) * 10_u128.pow(more)
        };
        self.unit == other.unit && places(self, other) >= places(other, self)
    }
}

/// How a shop's scale is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleConfig {
    /// Where it hangs.
    pub address: Address,
    /// Where this machine lists its devices.
    pub roots: Roots,
    /// Its tongue.
    pub protocol: Protocol,
    /// What the shop sells by.
    pub unit: Unit,
    /// The least that is worth weighing: scales show a few steps more than nothing when the wind blows.
    pub least: Option<Weight>,
    /// For how long to wait until what lies there comes to rest.
    pub within: Duration,
}

/// One scale. Its one owner asks one weight at a time.
#[derive(Debug)]
pub struct Scale {
    config: ScaleConfig,
}

impl Scale {
    /// A scale of which nothing is known yet; nothing is sent.
    #[must_use]
    pub fn new(config: ScaleConfig) -> Scale {
        Scale { config }
    }

    /// Weighs what lies there now.
    ///
    /// The cable is opened for each weighing, which forgets what a scale said before.
    ///
    /// Errors: [`WeighError`]; there is no weight then, and none of before.
    pub async fn weigh(&mut self, stop: &CancellationToken) -> Result<Reading, WeighError> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(WeighError::Stopped),
            weighed = self.weigh_now() => weighed,
        }
    }

    async fn weigh_now(&mut self) -> Result<Reading, WeighError> {
        let ScaleConfig { address, roots, within, .. } = &self.config;
        let unreachable = |problem: io::Error| WeighError::Unreachable {
            address: address.to_string(),
            error: problem.to_string(),
        };
        let mut cable = match timeout(*within, cable::connect(address, roots)).await {
            Ok(connected) => connected.map_err(unreachable)?,
            Err(_) => {
                let why = cable::absent(address, roots);
                return Err(unreachable(why.unwrap_or_else(|| io::ErrorKind::TimedOut.into())));
            }
        };
        self.converse(&mut cable).await.map_err(unreachable)?
    }

    async fn converse(&self, cable: &mut Cable) -> io::Result<Result<Reading, WeighError>> {
        let began = Instant::now();
        let ScaleConfig { protocol, unit, least, within, .. } = self.config;
        let mut weighing = Weighing::new(protocol, unit, least, Duration::ZERO, within);
        let mut bytes = [0; 64];
        loop {
            match weighing.next(began.elapsed()) {
                Next::Done(done) => return Ok(done),
                Next::Send(ask) => match timeout_at(began + within, cable.write_all(ask)).await {
                    Ok(sent) => sent?,
                    // A line that takes nothing: flow control that the scale does not know.
                    Err(_) => return Ok(Err(WeighError::Silent)),
                },
                Next::Wait { until } => {
                    let Ok(read) = timeout_at(began + until, cable.read(&mut bytes)).await else { continue };
                    let count = read?;
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    bytes[..count].iter().for_each(|byte| weighing.hear(*byte, began.elapsed()));
                }
            }
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::from(self.decimals);
        let digits = format!("{:0width$}", self.digits, width = places + 1);
        let (whole, part) = digits.split_at(digits.len() - places);
        match part {
            "" => write!(f, "{whole} {}", self.unit),
            part => write!(f, "{whole}.{part} {}", self.unit),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trouble::Moving => "it has not come to rest",
            Trouble::Over => "more lies there than it can weigh",
            Trouble::Under => "less than nothing lies there; zero it",
            Trouble::Zeroing => "it cannot find its zero; empty it and switch it on again",
            Trouble::Zero => "nothing lies there",
            Trouble::Busy => "it is busy",
            Trouble::Refused => "it does not know the question; look at its protocol",
            Trouble::Fault => "it reports a fault of its own",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_shown_and_counted_as_it_stands_on_the_display() {
        let weight = |digits, decimals| Weight { digits, decimals, unit: Unit::Kilogram };
        assert_eq!(weight(1250, 3).to_string(), "1.250 kg");
        assert_eq!(weight(5, 3).to_string(), "0.005 kg");
        assert_eq!(weight(12, 0).to_string(), "12 kg");
        assert_eq!(weight(125, 2).milli(), Some(1250));
        assert_eq!(weight(12_500, 4).milli(), Some(1250));
        assert_eq!(weight(12_501, 4).milli(), None, "a tenth of a gram is not dropped in silence");
        assert!(weight(20, 3).at_least(weight(2, 2)) && !weight(19, 3).at_least(weight(2, 2)));
    }
}
