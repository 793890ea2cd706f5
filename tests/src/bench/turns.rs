//! Taking turns: product and bare machine in stretches, so that whatever else the machine does hits both.
//!
//! Invariants: a stretch lasts as long as it was given, however slow the machine is, so the whole run has a known length;
//! what is shown is the median of the stretches, so that one bad second of somebody else's decides nothing.

use std::time::{Duration, Instant};

use super::trouble::Trouble;
use crate::machine::Spread;

/// Samples by stretch.
#[derive(Debug, Default)]
pub struct Turns {
    stretches: Vec<Vec<Duration>>,
    every: Duration,
}

impl Turns {
    /// Rounds that begin so far apart at least.
    pub fn every(every: Duration) -> Self {
        Self { stretches: Vec::new(), every }
    }

    /// Samples for `lasting`: ten at least.
    pub fn stretch(
        &mut self,
        lasting: Duration,
        mut round: impl FnMut() -> Result<Duration, Trouble>,
    ) -> Result<(), Trouble> {
        let (started, mut samples) = (Instant::now(), Vec::new());
        while started.elapsed() < lasting || samples.len() < 10 {
            let began = Instant::now();
            samples.push(round()?);
            if !self.every.is_zero() {
                std::thread::sleep(self.every.saturating_sub(began.elapsed()));
            }
        }
        self.stretches.push(samples);
        Ok(())
    }

    /// Takes in a stretch that was measured elsewhere.
    pub fn add(&mut self, samples: Vec<Duration>) {
        self.stretches.push(samples);
    }

    /// Each percentile as in the median stretch; nothing without samples.
    pub fn typical(&self) -> Option<Spread> {
        let spreads: Vec<Spread> = self.stretches.iter().cloned().filter_map(Spread::of).collect();
        let middle = |of: fn(&Spread) -> Duration| median(spreads.iter().map(of).collect());
        Some(Spread {
            rounds: spreads.iter().map(|spread| spread.rounds).sum(),
            p50: middle(|spread| spread.p50)?,
            p99: middle(|spread| spread.p99)?,
            p999: middle(|spread| spread.p999)?,
            max: middle(|spread| spread.max)?,
        })
    }

    /// All samples as one; nothing without samples.
    pub fn pooled(&self) -> Option<Spread> {
        Spread::of(self.stretches.concat())
    }
}

/// The one in the middle; the slower of two.
pub fn median(mut samples: Vec<Duration>) -> Option<Duration> {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_stretch_decides_nothing() {
        let mut turns = Turns::default();
        for millis in [1, 900, 2] {
            turns.add(vec![Duration::from_millis(millis); 20]);
        }
        let typical = turns.typical().unwrap();
        assert_eq!(
            (typical.rounds, typical.p50, typical.p99),
            (60, Duration::from_millis(2), Duration::from_millis(2))
        );
        assert_eq!(turns.pooled().unwrap().p99, Duration::from_millis(900));
        assert_eq!(Turns::default().typical(), None);
    }

    #[test]
    fn a_stretch_has_ten_samples_even_when_time_is_up() {
        let mut turns = Turns::default();
        turns.stretch(Duration::ZERO, || Ok(Duration::from_nanos(1))).unwrap();
        assert_eq!(turns.pooled().unwrap().rounds, 10);
    }
}
