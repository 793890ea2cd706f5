//! Parked effects, tried again because a person says so.
//!
//! What comes of it stands in no log: it follows from the log, and a build that makes the views anew comes to the same. So it
//! is moved into the database at once, and a process that dies on the way finds everything as it was, marks included.

use std::sync::Arc;

use toko_crdt::{
    EffectId, KvError,
    book::{Applied, Code, rows},
};

use super::{SaveError, Store, commit::Absorb};

impl Store {
    /// Tries parked effects again, also those that panicked or killed the process. `None` for what is not parked.
    ///
    /// Errors: nothing has changed, except after [`SaveError::Broken`], which says so.
    pub(super) fn retry(&mut self, effects: &[EffectId]) -> Result<Vec<Option<Applied>>, SaveError> {
        let out = self.retry_in_memory(effects).map_err(|error| self.break_down(&error.to_string()))?;
        if out.iter().any(Option::is_some) {
            self.checkpoint()?;
            // Only now: whoever dies before it is as careful as before.
            self.poison.save(&*self.disk).map_err(|error| self.break_down(&error.to_string()))?;
        }
        Ok(out)
    }

    fn retry_in_memory(&mut self, effects: &[EffectId]) -> Result<Vec<Option<Applied>>, KvError> {
        let base = self.views.snapshot();
        for effect in effects {
            if rows::parked(&base, *effect)?.is_some_and(|parked| parked.code == Code::Killed) {
                Arc::make_mut(&mut self.poison).forgive(&toko_crdt::Hash(effect.0));
            }
        }
        let ground = self.ground();
        let mut absorb = Absorb::new(&ground, &base);
        let mut out = Vec::with_capacity(effects.len());
        for effect in effects {
            out.push(absorb.retry(*effect)?);
        }
        let absorbed = absorb.finish(self.log.end())?;
        drop((ground, base));
        self.show(absorbed);
        Ok(out)
    }
}
