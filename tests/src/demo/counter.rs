//! A counter: one terminal's HTTP API, as a till screen uses it.
//!
//! Invariants: whoever gets no answer asks again with the same key until there is one, and takes nothing for done before;
//! a refusal is the end, because a till that refuses a good sale has failed.

use std::time::Instant;

use serde_json::Value;

use super::stage::{ANSWER_WITHIN, PATIENCE, Stage};
use super::stop::StopSign;
use super::trouble::Trouble;
use crate::door::{Answer, Api, DoorError};
use crate::process::LOOK_EVERY;

/// Answers that mean "not now": too slow, or too busy.
const NOT_NOW: [u16; 2] = [408, 503];

/// One terminal's API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Counter {
    name: &'static str,
    address: String,
    api: Api,
    stop: StopSign,
}

impl Counter {
    /// The counter of a terminal that runs, with the token from its directory.
    pub fn of(stage: &Stage, name: &'static str) -> Result<Self, Trouble> {
        let path = stage.data(name).join("api-token");
        let token = std::fs::read_to_string(&path);
        let token = token.map_err(Trouble::system(format!("cannot read {}", path.display())))?;
        let Some(door) = stage.door(name) else { unreachable!("{name} is cast with a door") };
        let address = format!("http://{door}");
        let api = Api::new(&address, token.trim(), ANSWER_WITHIN);
        Ok(Self { name, address, api, stop: stage.stop_sign().clone() })
    }

    /// What people call the terminal.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it answers: `http://127.0.0.1:7480`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks until answered.
    pub fn ask(&self, path: &str) -> Result<Value, Trouble> {
        Ok(self.look(path)?.granted()?)
    }

    /// Asks until answered, be it by a refusal.
    pub fn look(&self, path: &str) -> Result<Answer, Trouble> {
        self.until_answered(|| self.api.call("GET", path, &[], None))
    }

    /// Tells until answered, always with the same key.
    pub fn tell(&self, path: &str, key: &str, body: Option<&Value>) -> Result<Value, Trouble> {
        Ok(self.until_answered(|| self.post(path, key, body))?.granted()?)
    }

    /// Tells once. Nothing if the terminal gave no answer: what was told may have been done or not, and what it had answered
    /// from memory may be gone.
    pub fn tell_once(&self, path: &str, key: &str, body: Option<&Value>) -> Result<Option<Value>, Trouble> {
        let started = Instant::now();
        loop {
            self.check()?;
            match self.post(path, key, body) {
                Ok(answer) if NOT_NOW.contains(&answer.status) && started.elapsed() < PATIENCE => {
                    std::thread::sleep(LOOK_EVERY);
                }
                Ok(answer) => return Ok(Some(answer.granted()?)),
                Err(DoorError::NoAnswer { .. }) => return Ok(None),
                Err(other) => return Err(other.into()),
            }
        }
    }

    fn post(&self, path: &str, key: &str, body: Option<&Value>) -> Result<Answer, DoorError> {
        self.api.call("POST", path, &[("Idempotency-Key", key)], body)
    }

    fn until_answered(&self, call: impl Fn() -> Result<Answer, DoorError>) -> Result<Answer, Trouble> {
        let started = Instant::now();
        loop {
            self.check()?;
            let patient = started.elapsed() < PATIENCE;
            match call() {
                Ok(answer) if patient && NOT_NOW.contains(&answer.status) => {}
                Err(DoorError::NoAnswer { .. }) if patient => {}
                answer => return Ok(answer?),
            }
            // A foreign process offers nothing to wait on but another try.
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn check(&self) -> Result<(), Trouble> {
        if self.stop.is_up() { Err(Trouble::Interrupted) } else { Ok(()) }
    }
}
