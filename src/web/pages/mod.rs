//! What pages share: the frame, the headers, and pages for errors.

pub(crate) mod action;
pub(crate) mod asset;
pub(crate) mod coverage;
pub(crate) mod filter;
pub(crate) mod mirror;
pub(crate) mod overview;
pub(crate) mod page_request;
pub(crate) mod pulls;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod search;
pub(crate) mod sort;

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

use crate::{
    locales::words::Words,
    web::{
        App,
        pages::page_request::{PageRequest, REFRESH_SECONDS},
    },
};

/// Forbids scripts, content of other hosts, and frames around the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The frame of a page: title, navigation, footer.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) words: &'static Words,
    pub(crate) request: &'a PageRequest,
    /// The title of the window.
    pub(crate) title: String,
    /// The address of the style sheet.
    pub(crate) style: String,
    /// The footer of a page that shows live data.
    pub(crate) pulse: Option<Pulse>,
    /// The version of this program.
    pub(crate) version: &'static str,
    /// The link to this page in the other language, its tag and its name.
    pub(crate) other: (String, &'static str, &'static str),
}

/// The time of the data, and a link that turns refreshing on or off.
#[derive(Debug)]
pub(crate) struct Pulse {
    pub(crate) as_of: String,
    pub(crate) href: String,
    pub(crate) text: String,
}

impl<'a> Frame<'a> {
    /// The frame of a static page.
    pub(crate) fn new(request: &'a PageRequest, title: impl Into<String>) -> Self {
        let (tag, name) = request.language.other();
        Self {
            words: request.words(),
            request,
            title: title.into(),
            style: asset::style_path(),
            pulse: None,
            version: env!("CARGO_PKG_VERSION"),
            other: (request.here("lang", Some(tag)), tag, name),
        }
    }

    /// The frame of a page that shows live data.
    pub(crate) fn live(
        request: &'a PageRequest,
        title: impl Into<String>,
        app: &App,
        now: i64,
    ) -> Self {
        let words = request.words();
        let zone = app.config.load().timezone;
        let every = |seconds: u64| request.language.duration(seconds.try_into().unwrap_or(0));
        let (href, text) = match request.refresh {
            None => (
                request.here("refresh", Some(&REFRESH_SECONDS.to_string())),
                words.frame.refresh(every(REFRESH_SECONDS)),
            ),
            Some(seconds) => (
                request.here("refresh", Some("off")),
                words.frame.refresh_stop(every(seconds)),
            ),
        };
        let time = crate::status::format::time(now, zone);
        Self {
            pulse: Some(Pulse {
                as_of: words.frame.as_of(&time, zone.name()),
                href,
                text,
            }),
            ..Self::new(request, title)
        }
    }

    /// A link of the frame.
    pub(crate) fn link(&self, path: &str) -> String {
        self.request.link(path, &[])
    }
}

/// A page for an error.
#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    frame: Frame<'a>,
    text: Option<String>,
    suggestions: Vec<(String, String)>,
}

/// Renders a page as a response.
pub(crate) fn html(status: StatusCode, request: &PageRequest, page: &impl Template) -> Response {
    let body = match page.render() {
        Ok(body) => body,
        Err(error) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_LANGUAGE, request.words().frame.tag),
        (CACHE_CONTROL, "no-cache"),
        (VARY, "accept-language"),
    ];
    let mut response = (status, headers, body).into_response();
    if let Some(seconds) = request.refresh {
        response.headers_mut().insert(REFRESH, seconds.into());
    }
    response
}

/// Renders an error: a title, perhaps a text, and links to other pages.
pub(crate) fn message(
    status: StatusCode,
    request: &PageRequest,
    (title, text): (impl Into<String>, Option<String>),
    suggestions: Vec<(String, String)>,
) -> Response {
    let page = MessagePage {
        frame: Frame::new(request, title),
        text,
        suggestions,
    };
    html(status, request, &page)
}

/// The page for a database that cannot be read.
pub(crate) fn unreadable(request: &PageRequest, error: &crate::store::Error) -> Response {
    tracing::warn!(%error, "a page could not be made");
    let said = (request.words().frame.unreadable, Some(error.to_string()));
    message(StatusCode::INTERNAL_SERVER_ERROR, request, said, Vec::new())
}

/// The page for an unknown address.
pub(crate) async fn missing(request: PageRequest) -> Response {
    let said = (request.words().frame.no_page, None);
    message(StatusCode::NOT_FOUND, &request, said, Vec::new())
}

/// Adds the security headers.
pub(crate) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer`, browsers send `Origin: null` with the forms of these pages
        // ([Fetch](https://fetch.spec.whatwg.org/#append-a-request-origin-header)).
        (REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
