//! Whether the daemon is well: the scheduler moves, and what it needs is open.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{extract::State, http::StatusCode};

use crate::web::App;

/// How long the scheduler may be silent; it says something every second or two.
const SILENCE: Duration = Duration::from_secs(30);

/// What the daemon says of itself.
#[derive(Debug)]
pub struct Health {
    beat_at: Mutex<Instant>,
    is_ready: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            beat_at: Mutex::new(Instant::now()),
            is_ready: AtomicBool::new(false),
        }
    }
}

impl Health {
    /// The scheduler moved.
    pub fn beat(&self) {
        *self.beat_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The config is loaded and the store open.
    pub fn ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    fn silent_for(&self) -> Duration {
        let at = *self.beat_at.lock().unwrap_or_else(PoisonError::into_inner);
        at.elapsed()
    }
}

/// Whether the scheduler moves.
pub(crate) async fn healthz(State(app): State<App>) -> (StatusCode, String) {
    let silent = app.health.silent_for();
    if silent < SILENCE {
        (StatusCode::OK, "ok\n".into())
    } else {
        let seconds = silent.as_secs();
        let text = format!("the scheduler has not moved for {seconds} seconds\n");
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

/// Whether the config is loaded and the store open; not whether registries can be reached.
pub(crate) async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.health.is_ready.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
    }
}
