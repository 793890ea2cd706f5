//! The log: `tracing` to standard error, as text or as JSON lines. The journal of the machine collects it.
//!
//! One place in the code writes thirty lines a minute at most; what is above is counted and said. So no stranger and no broken
//! peer fills a disk or wears out flash by what it makes a daemon say.

mod flood;

use flood::Floods;
use std::sync::OnceLock;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

/// What the log of this process leaves out.
static FLOODS: OnceLock<Floods> = OnceLock::new();

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// An error and its causes in one line, outermost first.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        // `transparent` errors repeat their cause's words.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

/// Starts logging. A filter that does not parse is said so and replaced by `info`; a second call does nothing.
pub fn start(filter: &str, form: Form) {
    let (parsed, problem) = match EnvFilter::try_new(filter) {
        Ok(parsed) => (parsed, None),
        Err(problem) => (EnvFilter::new("info"), Some(problem)),
    };
    let plain = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match form {
        Form::Text => Box::new(plain),
        Form::Json => Box::new(plain.json()),
    };
    let floods = Floods::new(flood::LINES_MAX, flood::WINDOW);
    let started = Registry::default().with(lines).with(parsed).with(floods.clone()).try_init();
    if started.is_err() {
        return;
    }
    let teller = floods.clone();
    let told = std::thread::Builder::new().name("log".into()).spawn(move || teller.say_for_ever());
    if let Err(err) = told {
        tracing::warn!(%err, "lines that are left out are counted when the process stops, not each minute");
    }
    // Only one call gets here.
    let _ = FLOODS.set(floods);
    if let Some(err) = problem {
        tracing::warn!(filter, %err, "log filter does not parse, using info");
    }
}

/// Says what was left out and not said yet. The last thing that a daemon logs.
pub fn finish() {
    if let Some(floods) = FLOODS.get() {
        floods.say_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("the store did not open")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_stand_behind_what_they_caused() {
        let error = Outer(io::Error::other("disk on fire"));
        assert_eq!(with_causes(&error), "the store did not open: disk on fire");
        assert_eq!(with_causes(&io::Error::other("alone")), "alone");
    }
}
