//! The JSON API: status, runs, and runs on demand.

pub(crate) mod coverage;
pub(crate) mod mute;
pub(crate) mod tunasync;

use std::sync::Arc;

use axum::{
    Json,
    body::{Bytes, to_bytes},
    extract::{Query, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    config::{Config, Mirror, Selection},
    oci::{Repository, Tag, Version, parse_image},
    store::RunRecord,
    sync::{Scope, allows},
    web::{App, request_guard::is_same_origin, session},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Most runs in one response.
const RUNS: i64 = 1000;

/// A request for a run.
#[derive(Debug)]
pub struct SyncRequest {
    /// The mirror.
    pub mirror: Arc<str>,
    /// What of the mirror to run.
    pub scope: Scope,
    /// Where the daemon sends its reply.
    pub reply: oneshot::Sender<SyncReply>,
}

/// The daemon's reply to a [`SyncRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncReply {
    /// The run started.
    Started,
    /// The mirror is already running.
    Running,
    /// The daemon shuts down, or the mirror was removed.
    Refused,
}

/// Returns the status of every mirror, the active alarms and the error of `mirror.toml`.
pub(crate) async fn status(State(app): State<App>) -> Response {
    let status = app.board.status(&app.config.load(), Utc::now().timestamp());
    Json(json!({
        "now": status.now,
        "mirrors": status.mirrors,
        "alarms": app.alarms.all(),
        "mutes": app.alarms.mutes(status.now),
        "config_error": app.board.rejected_config().map(|rejected| rejected.report),
        "waiting_for_restart": app.board.waiting_for_restart(),
    }))
    .into_response()
}

/// The query of `/api/v1/runs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsQuery {
    mirror: Option<String>,
    limit: Option<i64>,
}

/// Returns the last runs, newest first.
pub(crate) async fn runs(State(app): State<App>, Query(wanted): Query<RunsQuery>) -> Response {
    let limit = wanted.limit.unwrap_or(100).clamp(1, RUNS);
    match app.store.runs(wanted.mirror.as_deref(), limit).await {
        Ok(runs) => {
            let runs: Vec<_> = runs.iter().map(run).collect();
            Json(json!({ "runs": runs })).into_response()
        }
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn run(run: &RunRecord) -> serde_json::Value {
    json!({
        "id": run.id,
        "mirror": run.mirror,
        "image": run.image,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "result": run.result,
        "tags": { "unchanged": run.unchanged, "copied": run.copied, "failed": run.failed },
        "bytes": { "uploaded": run.uploaded_bytes, "saved": run.saved_bytes },
        "error": run.error_message,
        "class": run.error_class,
    })
}

/// The body of `POST /api/v1/sync`: a mirror, or one image that an entry allows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncBody {
    mirror: Option<String>,
    image: Option<String>,
}

/// Starts a run.
pub(crate) async fn sync(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err((status, text)) = authorize(&app, &headers) {
        return refuse(status, text);
    }
    let ordered: SyncBody = match serde_json::from_slice(&body) {
        Ok(ordered) => ordered,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &format!("bad JSON: {error}")),
    };
    let (mirror, scope) = match resolve(&app, &ordered) {
        Ok(found) => found,
        Err((status, text)) => return refuse(status, &text),
    };
    let accepted = order(&app, mirror.clone(), scope).await;
    let status = match accepted {
        SyncReply::Started => StatusCode::ACCEPTED,
        SyncReply::Running => StatusCode::CONFLICT,
        SyncReply::Refused => StatusCode::SERVICE_UNAVAILABLE,
    };
    (
        status,
        Json(json!({ "mirror": mirror, "result": accepted })),
    )
        .into_response()
}

/// Asks the daemon for a run.
pub(crate) async fn order(app: &App, mirror: Arc<str>, scope: Scope) -> SyncReply {
    let (reply, answer) = oneshot::channel();
    let order = SyncRequest {
        mirror,
        scope,
        reply,
    };
    let _ = app.orders.send(order).await;
    answer.await.unwrap_or(SyncReply::Refused)
}

/// Checks the token of `[http]` in constant time, and that no page of another site sent the request.
pub(crate) fn authorize(app: &App, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    let config = app.config.load();
    if !is_same_origin(headers, &config.http.hosts) {
        return Err((
            StatusCode::FORBIDDEN,
            "a page of another site asks for this",
        ));
    }
    let Some(token) = &config.http.token else {
        let text = "nothing can be asked for here: set [http] token in mirror.toml";
        return Err((StatusCode::FORBIDDEN, text));
    };
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match session::is_token(token, given.unwrap_or_default()) {
        true => Ok(()),
        false => {
            let text = "this needs the token of [http]: Authorization: Bearer TOKEN";
            Err((StatusCode::UNAUTHORIZED, text))
        }
    }
}

fn resolve(app: &App, ordered: &SyncBody) -> Result<(Arc<str>, Scope), (StatusCode, String)> {
    let config = app.config.load();
    let missing = |text: String| (StatusCode::NOT_FOUND, text);
    match (&ordered.mirror, &ordered.image) {
        (Some(name), None) => {
            let mirror = config.mirrors.iter().find(|mirror| *mirror.name == **name);
            let mirror = mirror.ok_or_else(|| missing(format!("there is no mirror `{name}`")))?;
            Ok((mirror.name.clone(), Scope::Whole))
        }
        (None, Some(image)) => {
            let bad = |text: String| (StatusCode::BAD_REQUEST, text);
            let (source, version) = parse_image(image).map_err(|error| bad(error.to_string()))?;
            let Some(Version::Tag(tag)) = version else {
                return Err(bad("name the image with its tag".into()));
            };
            if let Some(mirror) = owner(&config, &source, &tag) {
                return Ok((mirror.name.clone(), Scope::Image(source, tag)));
            }
            Err(missing(format!("no entry of mirror.toml allows {image}")))
        }
        _ => {
            let text = "name either a mirror or an image: {\"mirror\": \"NAME\"}";
            Err((StatusCode::BAD_REQUEST, text.into()))
        }
    }
}

/// The mirror that brings an image: of those that take it, the one that names its tag, else the first.
fn owner<'a>(config: &'a Config, source: &Repository, tag: &Tag) -> Option<&'a Mirror> {
    let takes = |mirror: &'a Mirror| {
        let found = mirror.discoveries.iter().filter(|d| d.matches(source));
        let found = found.filter_map(|discovery| discovery.route(source).ok());
        let routes = mirror.routes.iter().cloned().chain(found);
        let routes = routes.filter(|route| route.source == *source && allows(route, tag));
        let names = routes.map(|route| matches!(route.selection, Selection::Tag(_)));
        names.max().map(|is_named| (mirror, is_named))
    };
    let mirrors = config.mirrors.iter().filter_map(takes);
    mirrors
        .min_by_key(|(_, is_named)| !is_named)
        .map(|(mirror, _)| mirror)
}

/// Returns 404 for an unknown address.
pub(crate) async fn missing() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is nothing at this address")
}

/// Turns an error of any layer into JSON. Extractors report in plain text, and a method that is not
/// allowed has no body.
pub(crate) async fn json_error(response: Response) -> Response {
    let is_json = response.headers().get(CONTENT_TYPE) == Some(&JSON);
    if response.status().is_success() || is_json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, crate::web::BODY).await.unwrap_or_default();
    let text = match String::from_utf8_lossy(&text).trim() {
        "" => parts
            .status
            .canonical_reason()
            .unwrap_or("refused")
            .to_owned(),
        text => text.to_owned(),
    };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, JSON);
    let body = json!({ "error": text }).to_string();
    Response::from_parts(parts, body.into())
}

/// An error response.
pub(crate) fn refuse(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}
