//! `/metrics`: rendered once for all who wait, and shared by all who read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// Most renderings in memory. When all of them are still being read, the newest is served again.
const MAX_RENDERINGS: usize = 4;
/// Renderings take at most this share of the time of one core.
const REST: u32 = 3;

/// Renders the metrics of the process.
#[derive(Debug)]
pub(crate) struct MetricsPage {
    metrics: Arc<Metrics>,
    latest: Mutex<Option<Rendering>>,
    renderings: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
struct Rendering {
    began: Instant,
    took: Duration,
    text: Bytes,
}

/// A text with its place among the renderings, which is free when nobody reads it any more.
struct Kept {
    text: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl MetricsPage {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            latest: Mutex::default(),
            renderings: Arc::new(Semaphore::new(MAX_RENDERINGS)),
        }
    }

    /// The metrics as they are now. A rendering that began after the request came is as good as one
    /// of its own.
    async fn text(&self) -> Result<Bytes, String> {
        let came = Instant::now();
        let mut latest = self.latest.lock().await;
        if let Some(latest) = latest.as_ref() {
            if latest.began >= came {
                return Ok(latest.text.clone());
            }
            let rested = latest.began + latest.took * (REST + 1);
            tokio::time::sleep_until(rested.into()).await;
        }
        let Ok(place) = self.renderings.clone().try_acquire_owned() else {
            let newest = latest.as_ref().map(|latest| latest.text.clone());
            return newest.ok_or_else(|| "no rendering is free".into());
        };
        let began = Instant::now();
        let text = self.metrics.encode().map_err(|error| error.to_string())?;
        let text = Bytes::from_owner(Kept {
            text,
            _place: place,
        });
        *latest = Some(Rendering {
            began,
            took: began.elapsed(),
            text: text.clone(),
        });
        Ok(text)
    }
}

/// The metrics, in the text format of Prometheus.
pub(crate) async fn get(State(page): State<Arc<MetricsPage>>) -> Response {
    match page.text().await {
        Ok(text) => {
            let kind = "text/plain; version=0.0.4";
            ([(CONTENT_TYPE, kind)], Body::from(text)).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

#[cfg(test)]
mod tests;
