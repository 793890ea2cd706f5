//! One weighing: when to ask, what to believe. Pure; time comes in as a value since whatever the caller likes.
//!
//! Invariants: a weight is given only if two answers in a row agree and the second was asked for after the first had come.
//! An answer that was late, from a weighing before, can be the first of two but never both; so no old weight is given for a
//! new one. Nothing is averaged, and nothing is remembered from one weighing to the next.

use std::time::Duration;

use super::answer::{Answer, Answers};
use super::{Protocol, Reading, Trouble, Unit, WeighError, Weight};

/// A weighing under way. Ask [`Weighing::next`] what to do, do it, and tell it each byte that comes.
#[derive(Clone, Debug)]
pub struct Weighing {
    answers: Answers,
    protocol: Protocol,
    unit: Unit,
    least: Option<Weight>,
    deadline: Duration,
    state: State,
    /// The last answer, if it was a good weight.
    first: Option<Reading>,
    trouble: Option<Trouble>,
    done: Option<Result<Reading, WeighError>>,
}

/// What a weighing waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The time to ask.
    Ask { at: Duration },
    /// Asking is due now that the scale is ready for it.
    Fetch,
    /// An answer.
    Answer { until: Duration },
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send these bytes.
    Send(&'static [u8]),
    /// Wait for bytes, until then at the longest.
    Wait {
        /// When to ask again.
        until: Duration,
    },
    /// It is over.
    Done(Result<Reading, WeighError>),
}

impl Weighing {
    /// Begins now; gives up at `deadline`. What weighs less than `least` is no goods.
    #[must_use]
    pub fn new(
        protocol: Protocol,
        unit: Unit,
        least: Option<Weight>,
        now: Duration,
        deadline: Duration,
    ) -> Weighing {
        Weighing {
            answers: Answers::new(protocol, unit),
            protocol,
            unit,
            least,
            deadline,
            state: State::Ask { at: now },
            first: None,
            trouble: None,
            done: None,
        }
    }

    /// What to do now.
    pub fn next(&mut self, now: Duration) -> Next {
        if let Some(done) = &self.done {
            return Next::Done(done.clone());
        }
        if now >= self.deadline {
            let why = match self.trouble {
                Some(trouble) => WeighError::NotStable { trouble },
                None => WeighError::Silent,
            };
            return self.end(Err(why));
        }
        match self.state {
            State::Ask { at } if now >= at => {
                self.state = State::Answer { until: now + ANSWER_WITHIN };
                Next::Send(self.protocol.asks())
            }
            State::Ask { at } => Next::Wait { until: at.min(self.deadline) },
            State::Fetch => {
                self.state = State::Answer { until: now + ANSWER_WITHIN };
                Next::Send(self.protocol.fetches())
            }
            State::Answer { until } if now >= until => {
                // A lost answer: whatever comes of it later is thrown away with what was half heard.
                self.answers = Answers::new(self.protocol, self.unit);
                self.first = None;
                self.state = State::Answer { until: now + ANSWER_WITHIN };
                Next::Send(self.protocol.asks())
            }
            State::Answer { until } => Next::Wait { until: until.min(self.deadline) },
        }
    }

    /// Takes a byte of the scale.
    pub fn hear(&mut self, byte: u8, now: Duration) {
        let Some(answer) = self.answers.push(byte) else { return };
        if !matches!(self.state, State::Answer { .. }) {
            // Nobody asked for it: it belongs to an earlier question.
            self.first = None;
            return;
        }
        match answer {
            Answer::Ready => self.state = State::Fetch,
            Answer::Garbled => self.ask_again(now, PAUSE),
            Answer::Trouble(trouble) => {
                self.trouble = Some(trouble);
                self.ask_again(now, PAUSE);
            }
            Answer::Stable(reading) => self.weighed(reading, now),
        }
    }

    fn weighed(&mut self, reading: Reading, now: Duration) {
        if reading.weight.unit != self.unit {
            self.end(Err(WeighError::Unit { wanted: self.unit, got: reading.weight.unit }));
            return;
        }
        if self.first != Some(reading) {
            let moved = self.first.is_some();
            self.ask_again(now, Duration::ZERO);
            if moved {
                self.trouble = Some(Trouble::Moving);
            }
            self.first = Some(reading);
            return;
        }
        let least = self.least.is_some_and(|least| !reading.weight.at_least(least));
        if least || reading.weight.digits == 0 {
            self.end(Err(WeighError::TooLight { weight: reading.weight }));
        } else {
            self.end(Ok(reading));
        }
    }

    fn ask_again(&mut self, now: Duration, after: Duration) {
        self.first = None;
        self.state = State::Ask { at: now + after };
    }

    fn end(&mut self, with: Result<Reading, WeighError>) -> Next {
        self.done = Some(with.clone());
        Next::Done(with)
    }
}

/// A scale answers within a few tens of milliseconds, at 9600 bits a second.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    const KG: Unit = Unit::Kilogram;

    /// Weighs by a Toledo whose answers to one question after the other are these.
    fn weigh(answers: &[&[u8]]) -> Result<Reading, WeighError> {
        weigh_at_least(None, answers)
    }

    fn weigh_at_least(least: Option<Weight>, answers: &[&[u8]]) -> Result<Reading, WeighError> {
        let mut now = Duration::ZERO;
        let mut weighing = Weighing::new(Protocol::Toledo8217, KG, least, now, Duration::from_secs(2));
        let mut answers = answers.iter();
        loop {
            match weighing.next(now) {
                Next::Send(bytes) => {
                    assert_eq!(bytes, b"W");
                    now += Duration::from_millis(20);
                    answers.next().copied().unwrap_or_default().iter().for_each(|b| weighing.hear(*b, now));
                }
                Next::Wait { until } => now = until,
                Next::Done(done) => return done,
            }
        }
    }

    fn kg(digits: u32) -> Reading {
        Reading { weight: Weight { digits, decimals: 3, unit: KG }, net: false }
    }

    #[test]
    fn a_weight_counts_when_two_answers_agree() {
        assert_eq!(weigh(&[b"\x0201.250\r", b"\x0201.250\r"]), Ok(kg(1250)));
        let settling: [&[u8]; 5] =
            [b"\x02?\x21\r", b"\x0201.100\r", b"\x0201.240\r", b"\x0201.250\r", b"\x0201.250\r"];
        assert_eq!(weigh(&settling), Ok(kg(1250)));
    }

    #[test]
    fn what_never_comes_to_rest_is_no_weight() {
        assert_eq!(
            weigh(&[&b"\x02?\x21\r"[..]; 100]),
            Err(WeighError::NotStable { trouble: Trouble::Moving })
        );
        let swinging: Vec<&[u8]> = [&b"\x0201.250\r"[..], b"\x0201.255\r"].repeat(200);
        assert_eq!(weigh(&swinging), Err(WeighError::NotStable { trouble: Trouble::Moving }));
        // One answer and then silence: nobody knows what lies there now.
        assert_eq!(weigh(&[b"\x0201.250\r"]), Err(WeighError::Silent));
        assert_eq!(weigh(&[]), Err(WeighError::Silent));
    }

    #[test]
    fn the_answer_to_a_question_of_before_is_never_the_weight() {
        // The melon of the customer before, told late; then what lies there now.
        let late: [&[u8]; 3] = [b"\x0203.000\r", b"\x0200.420\r", b"\x0200.420\r"];
        assert_eq!(weigh(&late), Ok(kg(420)));
        // Both in one go: only one was asked for.
        let twice: [&[u8]; 3] = [b"\x0203.000\r\x0203.000\r", b"\x0200.420\r", b"\x0200.420\r"];
        assert_eq!(weigh(&twice), Ok(kg(420)));
    }

    #[test]
    fn an_empty_pan_and_a_feather_are_no_goods() {
        let weight = Weight { digits: 0, decimals: 3, unit: KG };
        assert_eq!(weigh(&[&b"\x0200.000\r"[..]; 2]), Err(WeighError::TooLight { weight }));
        let least = Some(Weight { digits: 2, decimals: 2, unit: KG });
        let weight = Weight { digits: 19, decimals: 3, unit: KG };
        assert_eq!(weigh_at_least(least, &[&b"\x0200.019\r"[..]; 2]), Err(WeighError::TooLight { weight }));
        assert_eq!(weigh_at_least(least, &[&b"\x0200.020\r"[..]; 2]), Ok(kg(20)));
    }

    #[test]
    fn pounds_are_not_taken_for_kilograms() {
        let now = Duration::ZERO;
        let mut weighing = Weighing::new(Protocol::Nci, KG, None, now, Duration::from_secs(2));
        assert_eq!(weighing.next(now), Next::Send(b"W\r"));
        b"\n01.250LB\r\nS00\r\x03".iter().for_each(|byte| weighing.hear(*byte, now));
        let wrong = WeighError::Unit { wanted: KG, got: Unit::Pound };
        assert_eq!(weighing.next(now), Next::Done(Err(wrong)));
    }

    proptest::proptest! {
        /// Whatever comes and whenever: a weight that is given stood in two whole answers.
        #[test]
        fn any_bytes_at_any_time_end_in_a_weight_that_was_said_twice_or_in_none(
            steps in proptest::collection::vec((0_u64..300, proptest::collection::vec(0_u8..=255, 0..20)), 0..40),
            tail in proptest::option::of(0_u32..99_999),
        ) {
            let mut now = Duration::ZERO;
            let mut weighing = Weighing::new(Protocol::Toledo8217, KG, None, now, Duration::from_secs(1));
            let mut heard = Vec::new();
            for (pause, bytes) in steps {
                let bytes = match tail {
                    Some(digits) if bytes.len() > 10 => format!("\x02{digits}\r").into_bytes(),
                    _ => bytes,
                };
                while let Next::Send(_) = weighing.next(now) {}
                bytes.iter().for_each(|byte| weighing.hear(*byte, now));
                heard.extend(bytes);
                now += Duration::from_millis(pause);
            }
            now += Duration::from_secs(1);
            let Next::Done(done) = weighing.next(now) else { panic!("it never ends") };
            if let Ok(reading) = done {
                let mut answers = Answers::new(Protocol::Toledo8217, KG);
                let said = heard.iter().filter_map(|byte| answers.push(*byte)).filter(|a| *a == Answer::Stable(reading));
                assert!(said.count() >= 2);
            }
        }
    }
}
