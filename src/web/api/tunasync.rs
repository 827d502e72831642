//! `/tunasync.json`: how mirrors stand, in the format that mirror sites publish
//! ([tunasync](https://github.com/tuna/tunasync)).

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use crate::{
    status::{MirrorStatus, RunState},
    store::RunResult,
    web::App,
};

/// One mirror in tunasync's field names and formats.
#[derive(Debug, Serialize)]
pub(crate) struct TunasyncJob {
    name: String,
    is_master: bool,
    status: &'static str,
    last_update: String,
    last_update_ts: i64,
    last_started: String,
    last_started_ts: i64,
    last_ended: String,
    last_ended_ts: i64,
    next_schedule: String,
    next_schedule_ts: i64,
    upstream: String,
    size: String,
}

/// Lists every mirror.
pub(crate) async fn tunasync(State(app): State<App>) -> Json<Vec<TunasyncJob>> {
    let config = app.config.load();
    let status = app.board.status(&config, Utc::now().timestamp());
    let jobs = config
        .mirrors
        .iter()
        .zip(&status.mirrors)
        .map(|(mirror, stands)| {
            let named = mirror.routes.first().map(|route| route.source.to_string());
            let found = || mirror.discoveries.first().map(ToString::to_string);
            job(
                stands,
                named.or_else(found).unwrap_or_default(),
                config.timezone,
            )
        });
    Json(jobs.collect())
}

fn job(mirror: &MirrorStatus, upstream: String, zone: Tz) -> TunasyncJob {
    let ended = mirror.runs.iter().rev().find_map(|run| run.finished_at);
    let time = |at: Option<i64>| {
        let at = DateTime::<Utc>::from_timestamp(at.unwrap_or(0), 0).unwrap_or_default();
        at.with_timezone(&zone)
            .format("%Y-%m-%d %H:%M:%S %z")
            .to_string()
    };
    TunasyncJob {
        name: mirror.name.to_string(),
        is_master: true,
        status: match (mirror.paused, mirror.last_result) {
            (true, _) => "paused",
            (_, None) => "none",
            (_, Some(RunState::Ended(RunResult::Ok))) => "success",
            (_, Some(RunState::Unfinished | RunState::Running)) => "syncing",
            (_, Some(RunState::Ended(_))) => "failed",
        },
        last_update: time(mirror.last_success),
        last_update_ts: mirror.last_success.unwrap_or(0),
        last_started: time(mirror.last_attempt),
        last_started_ts: mirror.last_attempt.unwrap_or(0),
        last_ended: time(ended),
        last_ended_ts: ended.unwrap_or(0),
        next_schedule: time(mirror.next_run),
        next_schedule_ts: mirror.next_run.unwrap_or(0),
        upstream,
        size: size(mirror.size_bytes),
    }
}

/// Formats bytes like rsync and tunasync: `1.23G`.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["", "K", "M", "G"] {
        if value < 1024.0 {
            return format!("{value:.2}{unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.2}T")
}
