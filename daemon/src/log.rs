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
