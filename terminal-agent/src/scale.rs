//! The scale of this terminal: asked when somebody asks, by one at a time. What it does not say now is never told.

use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use toko_devices::scale::{Reading, Scale, ScaleConfig, Trouble, WeighError};

use crate::api::ApiError;

/// The scale, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Weigher(Option<Arc<Mutex<Scale>>>);

impl Weigher {
    /// A terminal with this scale, or without one.
    #[must_use]
    pub fn new(config: Option<ScaleConfig>) -> Self {
        Self(config.map(|config| Arc::new(Mutex::new(Scale::new(config)))))
    }

    /// Weighs what lies there now.
    ///
    /// Errors: there is no scale, or it gives no weight; what the person at the till should do is with it.
    pub(crate) async fn weigh(&self) -> Result<Value, ApiError> {
        let Some(scale) = &self.0 else {
            let log = "no scale is set up at this terminal; see scale.address";
            return Err(ApiError::new(StatusCode::NOT_FOUND, "no-scale", "Type the weight.", log));
        };
        // Whoever gives up waiting drops this; nothing is left at the scale.
        let weighed = scale.lock().await.weigh(&CancellationToken::new()).await;
        weighed.map(shown).map_err(|why| refused(&why))
    }
}

fn shown(reading: Reading) -> Value {
    let weight = reading.weight;
    let text = weight.to_string();
    let qty = text.split(' ').next().unwrap_or_default();
    json!({ "qty": qty, "unit": weight.unit.name(), "net": reading.net })
}

fn refused(why: &WeighError) -> ApiError {
    let (status, code, screen) = match why {
        WeighError::NotStable { trouble: Trouble::Moving } => {
            (StatusCode::CONFLICT, "weight-not-stable", "Wait until it lies still, then weigh again.")
        }
        WeighError::NotStable { trouble: Trouble::Over } => {
            (StatusCode::CONFLICT, "too-heavy", "Take some of it off, then weigh again.")
        }
        WeighError::NotStable { trouble: Trouble::Under | Trouble::Zeroing } => {
            (StatusCode::CONFLICT, "scale-not-at-zero", "Empty the scale, zero it, then weigh again.")
        }
        WeighError::TooLight { .. } | WeighError::NotStable { trouble: Trouble::Zero } => {
            (StatusCode::CONFLICT, "nothing-to-weigh", "Put it on the scale, then weigh again.")
        }
        WeighError::Unit { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "scale-unit", "Type the weight and call for help.")
        }
        _ => {
            (StatusCode::SERVICE_UNAVAILABLE, "scale-away", "Look at the scale's cable, or type the weight.")
        }
    };
    ApiError::new(status, code, screen, why.to_string())
}
