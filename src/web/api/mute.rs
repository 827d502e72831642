//! `POST /api/v1/mute`: no alarms of a mirror or a registry for a time.

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use chrono::Utc;
use serde::Deserialize;

use crate::{
    alarms::find_muted,
    store::{self, Mute, MuteKind, StoreEvent, Upkeep},
    web::{App, api},
};

/// The body: a mirror or a registry, and for how long; `0s` ends a mute.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MuteBody {
    name: String,
    #[serde(rename = "for")]
    lasts: String,
}

/// Mutes a mirror or a registry.
pub(crate) async fn mute(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err((status, text)) = api::authorize(&app, &headers) {
        return api::refuse(status, text);
    }
    let bad = |text: &str| api::refuse(StatusCode::BAD_REQUEST, text);
    let asked: MuteBody = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return bad(&format!("bad JSON: {error}")),
    };
    let Ok(lasts) = humantime::parse_duration(&asked.lasts) else {
        return bad("`for` is no duration such as \"2h\"");
    };
    let Some(muted) = find_muted(&app.config.load(), &asked.name) else {
        let text = format!("there is no mirror and no registry `{}`", asked.name);
        return api::refuse(StatusCode::NOT_FOUND, &text);
    };
    match set(&app, muted, lasts).await {
        Ok(mute) => Json(mute).into_response(),
        Err(error) => api::refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Mutes a mirror or a registry from now on.
pub(crate) async fn set(
    app: &App,
    (kind, name): (MuteKind, String),
    lasts: std::time::Duration,
) -> Result<Mute, store::Error> {
    let now = Utc::now().timestamp();
    let lasts = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
    let until = now.saturating_add(lasts);
    let mute = Mute { kind, name, until };
    let muted = Upkeep::Muted {
        mute: mute.clone(),
        now,
    };
    app.writer.record(StoreEvent::Upkeep(muted)).await;
    app.writer.flush().await;
    // The page shows it at once; the daemon reads it at its next check.
    app.alarms.set_mutes(app.store.mutes(now).await?);
    Ok(mute)
}
