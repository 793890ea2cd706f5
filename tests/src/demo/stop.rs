//! Being told to stop: Ctrl-C or SIGTERM raises a sign that everything that waits looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

/// What a shell expects of a program that ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Whether somebody wants the demo to end. Cheap to clone; clones are one sign.
#[derive(Clone, Debug, Default)]
pub struct StopSign(Arc<AtomicBool>);

impl StopSign {
    /// A sign that SIGINT or SIGTERM raises. The second one ends the process at once, and its daemons with it.
    ///
    /// Errors: the system gave no thread or no signal handler.
    pub fn raised_by_signals() -> std::io::Result<Self> {
        let sign = Self::default();
        let raised = sign.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async move {
                loop {
                    tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
                    if raised.is_up() {
                        std::process::exit(i32::from(INTERRUPTED));
                    }
                    raised.raise();
                }
            });
        })?;
        Ok(sign)
    }

    /// Raises it.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
