//! Health of the daemon: whether the scheduler ticks, and whether the database is open.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use axum::{extract::State, http::StatusCode};
use parking_lot::Mutex;

use crate::web::App;

/// How long the scheduler may be silent. It ticks every second or two.
const SILENCE: Duration = Duration::from_secs(30);

/// The state of the daemon that health checks read.
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
    /// Notes that the scheduler ticked.
    pub fn beat(&self) {
        *self.beat_at.lock() = Instant::now();
    }

    /// Notes that the configuration is loaded and the database open.
    pub fn ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    fn silent_for(&self) -> Duration {
        let at = *self.beat_at.lock();
        at.elapsed()
    }
}

/// Returns 200 while the scheduler ticks, otherwise 503.
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

/// Returns 200 once the configuration is loaded and the database open. Does not contact registries.
pub(crate) async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.health.is_ready.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
    }
}
