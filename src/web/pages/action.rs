//! What the buttons of the pages do, for those who bring the token of `[http]`.

use axum::{
    body::Bytes,
    extract::State as Held,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{LOCATION, SET_COOKIE},
    },
    response::{IntoResponse as _, Response},
};
use chrono::Utc;
use url::form_urlencoded;

use crate::{
    alarms::find_muted_registry,
    config::Config,
    locales::words::Words,
    store::MuteKind,
    sync::Scope,
    web::{
        App, SyncReply, api,
        pages::{
            self,
            page_request::{PageRequest, mirror_path},
        },
        request_guard::is_same_origin,
        session,
    },
};

/// Who may press the buttons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nobody: there is no token.
    Nobody,
    /// Whoever sends the token along.
    WithToken,
    /// This browser: it sent the token before.
    Session,
}

/// The results of an action, as `?done=` names them.
const RESULTS: [&str; 6] = [
    "started",
    "running",
    "refused",
    "muted",
    "muted-registry",
    "unmuted",
];

/// Parses `?done=`.
pub(crate) fn known_result(name: &str) -> Option<&'static str> {
    RESULTS.into_iter().find(|known| *known == name)
}

/// What a page says of the action that led to it.
pub(crate) fn notice(request: &PageRequest) -> Option<&'static str> {
    let words = &request.words().action;
    Some(match request.get("done")? {
        "started" => words.started,
        "running" => words.running,
        "muted" => words.muted,
        "muted-registry" => words.muted_registry,
        "unmuted" => words.unmuted,
        _ => words.refused,
    })
}

impl Access {
    /// Who sent a request.
    pub(crate) fn of(config: &Config, headers: &HeaderMap) -> Self {
        match &config.http.token {
            None => Self::Nobody,
            Some(token) if session::is_open(token, headers, Utc::now().timestamp()) => {
                Self::Session
            }
            Some(_) => Self::WithToken,
        }
    }
}

/// A form that was sent.
#[derive(Debug, Default)]
struct SentForm {
    mirror: String,
    /// What is muted in place of a mirror.
    registry: String,
    token: String,
    /// How long a mute lasts.
    lasts: String,
}

impl SentForm {
    fn parse(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            match &*name {
                "mirror" => form.mirror = value.into_owned(),
                "registry" => form.registry = value.into_owned(),
                "for" => form.lasts = value.into_owned(),
                "token" => form.token = value.into_owned(),
                _ => {}
            }
        }
        form
    }

    /// What is muted, and the page that shows it.
    fn muted(
        &self,
        config: &Config,
        words: &'static Words,
    ) -> Result<((MuteKind, String), String), String> {
        if !self.registry.is_empty() {
            let name = find_muted_registry(config, &self.registry);
            let name = name.ok_or_else(|| words.action.no_registry(&self.registry))?;
            return Ok(((MuteKind::Registry, name), "/".into()));
        }
        let mut mirrors = config.mirrors.iter();
        match mirrors.find(|mirror| *mirror.name == *self.mirror) {
            Some(mirror) => {
                let muted = (MuteKind::Mirror, mirror.name.to_string());
                Ok((muted, mirror_path(&mirror.name)))
            }
            None => Err(words.frame.no_mirror(&self.mirror)),
        }
    }
}

/// Starts a run of a mirror.
pub(crate) async fn sync(
    Held(app): Held<App>,
    request: PageRequest,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = SentForm::parse(&body);
    let config = app.config.load_full();
    let cookie = match admit(&config, &headers, &form, request.words()) {
        Ok(cookie) => cookie,
        Err((status, text)) => return refuse(status, &request, text),
    };
    let mirror = config.mirrors.iter().find(|m| *m.name == *form.mirror);
    let Some(mirror) = mirror else {
        let text = request.words().frame.no_mirror(&form.mirror);
        return refuse(StatusCode::NOT_FOUND, &request, text);
    };
    let result = match api::order(&app, mirror.name.clone(), Scope::Whole).await {
        SyncReply::Started => "started",
        SyncReply::Running => "running",
        SyncReply::Refused => "refused",
    };
    see_other(
        &request.link(&mirror_path(&mirror.name), &[("done", result)]),
        cookie,
    )
}

/// Mutes a mirror or a registry for a time, or ends its mute after no time.
pub(crate) async fn mute(
    Held(app): Held<App>,
    request: PageRequest,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = SentForm::parse(&body);
    let words = request.words();
    let cookie = match admit(&app.config.load(), &headers, &form, words) {
        Ok(cookie) => cookie,
        Err((status, text)) => return refuse(status, &request, text),
    };
    let Ok(lasts) = humantime::parse_duration(&form.lasts) else {
        return refuse(StatusCode::BAD_REQUEST, &request, words.action.no_duration);
    };
    let (muted, path) = match form.muted(&app.config.load(), words) {
        Ok(muted) => muted,
        Err(text) => return refuse(StatusCode::NOT_FOUND, &request, text),
    };
    let result = match muted.0 {
        _ if lasts.is_zero() => "unmuted",
        MuteKind::Mirror => "muted",
        MuteKind::Registry => "muted-registry",
    };
    match api::mute::set(&app, muted, lasts).await {
        Ok(_) => see_other(&request.link(&path, &[("done", result)]), cookie),
        Err(error) => pages::unreadable(&request, &error),
    }
}

/// Ends the session of a browser.
pub(crate) async fn sign_out(
    Held(app): Held<App>,
    request: PageRequest,
    headers: HeaderMap,
) -> Response {
    if !is_same_origin(&headers, &app.config.load().http.hosts) {
        let text = request.words().action.other_site;
        return refuse(StatusCode::FORBIDDEN, &request, text);
    }
    see_other(&request.link("/", &[]), session::ended())
}

/// Lets a request pass that comes from a page of this server and brings the token, or the cookie of a
/// browser that sent the token before. Returns the cookie for a browser that sent it now.
fn admit(
    config: &Config,
    headers: &HeaderMap,
    form: &SentForm,
    words: &'static Words,
) -> Result<Option<HeaderValue>, (StatusCode, &'static str)> {
    if !is_same_origin(headers, &config.http.hosts) {
        return Err((StatusCode::FORBIDDEN, words.action.other_site));
    }
    let Some(token) = &config.http.token else {
        return Err((StatusCode::FORBIDDEN, words.action.no_token));
    };
    let now = Utc::now().timestamp();
    if session::is_token(token, &form.token) {
        let url = config.http.external_url.as_ref();
        let is_https = url.is_some_and(|url| url.scheme() == "https");
        return Ok(session::cookie(token, now, is_https));
    }
    match form.token.is_empty() && session::is_open(token, headers, now) {
        true => Ok(None),
        false => Err((StatusCode::UNAUTHORIZED, words.action.wrong_token)),
    }
}

fn refuse(status: StatusCode, request: &PageRequest, text: impl Into<String>) -> Response {
    pages::message(status, request, (text, None), Vec::new())
}

/// Sends the browser to a page, so that its reload does not repeat the action.
fn see_other(path: &str, cookie: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(path) = path.parse() {
        response.headers_mut().insert(LOCATION, path);
    }
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests;
