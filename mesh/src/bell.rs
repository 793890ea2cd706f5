//! A bell: tells whoever listens that something has changed, and never what.
//!
//! Purpose: `tokio::sync::watch` without its dice: that one wakes several listeners in an order drawn at random, which no
//! simulation can repeat. Invariants: listeners are woken in the order in which they began to wait; however often it rings
//! while nobody looks, a listener hears it once; a listener that gives up waiting misses nothing; the end of the bell is heard.
//!
//! Absent on purpose: a value. Whoever hears it looks for itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// A bell. When it goes, every [`Ear`] hears that.
#[derive(Default)]
pub(crate) struct Bell(Arc<Inner>);

/// Somebody who listens to changes. Clones have heard as much and listen for themselves.
#[derive(Clone)]
pub struct Ear {
    bell: Arc<Inner>,
    heard: u64,
}

/// What was listened to is gone: nothing changes there any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nothing changes there any more")]
pub struct Gone;

#[derive(Default)]
struct Inner {
    rung: AtomicU64,
    gone: AtomicBool,
    waiting: Notify,
}

impl Bell {
    /// Something has changed.
    pub(crate) fn ring(&self) {
        self.0.rung.fetch_add(1, Ordering::Release);
        self.0.waiting.notify_waiters();
    }

    /// Somebody who hears every change from now on.
    pub(crate) fn listen(&self) -> Ear {
        Ear { heard: self.0.rung.load(Ordering::Acquire), bell: Arc::clone(&self.0) }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Release);
        self.0.waiting.notify_waiters();
    }
}

impl Ear {
    /// Waits for a change since the last one heard; at once, where there was one. Abandoning the wait loses nothing.
    ///
    /// Errors: [`Gone`].
    pub async fn changed(&mut self) -> Result<(), Gone> {
        loop {
            // It hears from here on, so what rings between the look and the wait is not missed.
            let rings = self.bell.waiting.notified();
            let rung = self.bell.rung.load(Ordering::Acquire);
            if rung != self.heard {
                self.heard = rung;
                return Ok(());
            }
            if self.bell.gone.load(Ordering::Acquire) {
                return Err(Gone);
            }
            rings.await;
        }
    }

    /// Whether something has changed since the last change heard.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.count() != self.heard
    }

    /// Everything so far counts as heard.
    pub fn mark_unchanged(&mut self) {
        self.heard = self.count();
    }

    /// How often something has changed, all told.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bell.rung.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bell").field(&self.0.rung).finish()
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").field("heard", &self.heard).field("rung", &self.count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::task::{JoinSet, yield_now};

    #[tokio::test]
    async fn what_rang_before_the_wait_is_heard_once() {
        let bell = Bell::default();
        let mut ear = bell.listen();
        bell.ring();
        bell.ring();
        assert!(ear.has_changed());
        assert_eq!((ear.changed().await, ear.has_changed(), ear.count()), (Ok(()), false, 2));
        bell.ring();
        ear.mark_unchanged();
        drop(bell);
        assert_eq!(ear.changed().await, Err(Gone));
    }

    #[tokio::test]
    async fn listeners_are_woken_in_the_order_in_which_they_wait() {
        let bell = Bell::default();
        for _ in 0..20 {
            let (order, mut waiting) = (Arc::new(Mutex::new(Vec::new())), JoinSet::new());
            for nth in 0..12 {
                let (mut ear, order) = (bell.listen(), Arc::clone(&order));
                waiting.spawn(async move {
                    ear.changed().await.unwrap();
                    order.lock().unwrap().push(nth);
                });
            }
            yield_now().await;
            bell.ring();
            while waiting.join_next().await.is_some() {}
            assert_eq!(*order.lock().unwrap(), (0..12).collect::<Vec<_>>());
        }
    }
}
