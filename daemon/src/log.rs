//! The log: `tracing` to standard error, as text or as JSON lines. The journal of the machine collects it.

use tracing_subscriber::EnvFilter;

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
    let plain =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(parsed);
    let started = match form {
        Form::Text => plain.try_init(),
        Form::Json => plain.json().try_init(),
    };
    if let (Ok(()), Some(err)) = (started, problem) {
        tracing::warn!(filter, %err, "log filter does not parse, using info");
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
