//! What a person may do about parked entries: try them again, or let an op in that its author may not write.

use crate::node::Node;
use crate::store::{Appended, ReadStoreError, SaveError, Wait};
use thiserror::Error;
use toko_crdt::body::{Admission, why_is_sane};
use toko_crdt::book::rows;
use toko_crdt::book::{Applied, Code};
use toko_crdt::{Body, EffectId, Hash, KvError};
use tracing::info;

/// Why nothing was let in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// Only the hub does that.
    #[error("this node is not the hub of its store")]
    NotTheHub,
    /// There is nothing to let in.
    #[error("entry {} is not parked here", Hash(.0.0).short())]
    NotParked(EffectId),
    /// What is parked for another reason than its author's role.
    #[error("{}: a person's word does not change that", .0.reason())]
    Never(Code),
    /// No op of the shop.
    #[error(
        "it is a {0}; who belongs to the store, what headquarters holds and what a checkpoint says rest on roles and signatures, and on nobody's word"
    )]
    NotAnOp(&'static str),
    /// The reason is too long, or no line of text.
    #[error("the reason is one line of at most {} bytes", toko_crdt::body::WHY_BYTES_MAX)]
    Why,
    /// The views could not be read.
    #[error(transparent)]
    Views(#[from] KvError),
    /// The entry could not be read.
    #[error(transparent)]
    Entry(#[from] ReadStoreError),
    /// The word was not saved.
    #[error("the admission was not saved")]
    NotSaved(#[from] SaveError),
}

/// What came of an admission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// The entry that says it.
    pub said: Appended,
    /// Why it is parked all the same, if so: what cannot be read is not made readable by a word.
    pub still: Option<Code>,
}

impl Node {
    /// Tries parked effects again, here and now. In their order: what came of each, `None` for what is not parked.
    pub async fn retry(&self, effects: Vec<EffectId>) -> Result<Vec<Option<Applied>>, SaveError> {
        info!(effects = effects.len(), "trying parked entries again");
        self.shared.store.retry(effects).await
    }

    /// Lets a parked op in although its author may not write it: by an entry of the hub, in the lane of the op, for everybody
    /// and for good.
    ///
    /// Errors: nothing was written.
    pub async fn admit(&self, effect: EffectId, why: &str) -> Result<Admitted, AdmitError> {
        if !self.shared.is_hub() {
            return Err(AdmitError::NotTheHub);
        }
        if !why_is_sane(why) {
            return Err(AdmitError::Why);
        }
        let parked = self.read(|kv| rows::parked(kv, effect))?.ok_or(AdmitError::NotParked(effect))?;
        if parked.code != Code::OutOfScope {
            return Err(AdmitError::Never(parked.code));
        }
        let entry = self.entry_by_hash(&Hash(effect.0))?.ok_or(AdmitError::NotParked(effect))?;
        let body = entry.body().unwrap_or_default();
        if Body::op_of(body).is_none() {
            return Err(AdmitError::NotAnOp(Body::family_word(body)));
        }
        let admission = Body::Admitted(Admission { effect, why: why.to_owned() });
        info!(effect = %Hash(effect.0).short(), author = %entry.author().short(), why, "letting a parked entry in");
        let said = self.append(entry.journal().lane, admission, None, Wait::Synced).await?;
        let still = self.read(|kv| rows::parked(kv, effect))?.map(|parked| parked.code);
        Ok(Admitted { said, still })
    }
}
