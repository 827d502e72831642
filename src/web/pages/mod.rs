//! What all pages have in common: the frame, the headers, and what is said when there is no page.

pub(crate) mod asset;
pub(crate) mod filter;
pub(crate) mod mirror;
pub(crate) mod mirror_row;
pub(crate) mod overview;
pub(crate) mod page_request;
pub(crate) mod report;
pub(crate) mod run_strip;
pub(crate) mod search;
pub(crate) mod table;
pub(crate) mod transfer;

use askama::Template;
use axum::{
    extract::Request,
    http::{
        HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
            REFERRER_POLICY, REFRESH, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::web::{App, locales::words::Words, pages::page_request::Visit};

/// Nothing runs, nothing comes from elsewhere, and nobody puts a frame around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
/// How often a page is loaded anew for those who follow the link.
const REFRESH_SECONDS: u64 = 10;

/// What stands around a page.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) words: &'static Words,
    pub(crate) visit: &'a Visit,
    /// The title of the window.
    pub(crate) title: String,
    /// Where the browser is told to find its letters and colours.
    pub(crate) style: String,
    /// Of what moment it tells; none where that says nothing.
    pub(crate) pulse: Option<Pulse>,
    /// The link to this page in another language, its tag, and its words.
    pub(crate) other: (String, &'static str, &'static str),
}

/// The moment that a page tells of, and a link that begins or ends loading it anew.
#[derive(Debug)]
pub(crate) struct Pulse {
    pub(crate) as_of: String,
    pub(crate) href: String,
    pub(crate) text: String,
}

impl<'a> Frame<'a> {
    /// The frame of a page that does not change by itself.
    pub(crate) fn new(visit: &'a Visit, title: impl Into<String>) -> Self {
        let (tag, name) = visit.language.other();
        Self {
            words: visit.words(),
            visit,
            title: title.into(),
            style: asset::style_path(),
            pulse: None,
            other: (visit.here("lang", Some(tag)), tag, name),
        }
    }

    /// The frame of a page that tells how things stand at a moment.
    pub(crate) fn live(visit: &'a Visit, title: impl Into<String>, app: &App, now: i64) -> Self {
        let words = visit.words();
        let zone = app.config.load().timezone;
        let every = |seconds: u64| visit.language.duration(seconds.try_into().unwrap_or(0));
        let (href, text) = match visit.refresh {
            None => (
                visit.here("refresh", Some(&REFRESH_SECONDS.to_string())),
                words.frame.refresh(&every(REFRESH_SECONDS)),
            ),
            Some(seconds) => (
                visit.here("refresh", None),
                words.frame.refresh_stop(&every(seconds)),
            ),
        };
        let time = crate::status::format::time(now, zone);
        Self {
            pulse: Some(Pulse {
                as_of: words.frame.as_of(&time, zone.name()),
                href,
                text,
            }),
            ..Self::new(visit, title)
        }
    }

    /// Where a link of the frame leads.
    pub(crate) fn link(&self, path: &str) -> String {
        self.visit.link(path, &[])
    }
}

/// A page that says why there is no other.
#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    frame: Frame<'a>,
    text: Option<String>,
    suggestions: Vec<(String, String)>,
}

/// A page as an answer.
pub(crate) fn html(status: StatusCode, visit: &Visit, page: &impl Template) -> Response {
    let body = match page.render() {
        Ok(body) => body,
        Err(error) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_LANGUAGE, visit.words().frame.tag),
        (CACHE_CONTROL, "no-cache"),
        (VARY, "accept-language"),
    ];
    let mut response = (status, headers, body).into_response();
    if let Some(seconds) = visit.refresh {
        response.headers_mut().insert(REFRESH, seconds.into());
    }
    response
}

/// A page that says in a line, and perhaps with more text, why there is no other; and where else to
/// look.
pub(crate) fn message(
    status: StatusCode,
    visit: &Visit,
    (title, text): (impl Into<String>, Option<String>),
    suggestions: Vec<(String, String)>,
) -> Response {
    let page = Message {
        frame: Frame::new(visit, title),
        text,
        suggestions,
    };
    html(status, visit, &page)
}

/// The page that says that the store cannot be read.
pub(crate) fn unreadable(visit: &Visit, error: &crate::store::Error) -> Response {
    tracing::warn!(%error, "a page could not be made");
    let said = (visit.words().frame.unreadable, Some(error.to_string()));
    message(StatusCode::INTERNAL_SERVER_ERROR, visit, said, Vec::new())
}

/// What is said of an address that has nothing.
pub(crate) async fn missing(visit: Visit) -> Response {
    let said = (visit.words().frame.no_page, None);
    message(StatusCode::NOT_FOUND, &visit, said, Vec::new())
}

/// Tells browsers to trust nothing that this server did not mean.
pub(crate) async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
