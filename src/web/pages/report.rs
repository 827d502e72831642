//! `/report/latest`: what the last 24 hours brought; `/report/2026-11-28`: the daily report of a day.

use askama::Template;
use axum::{
    Json,
    extract::{Path, State as Held},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use chrono::{NaiveDate, Utc};

use crate::{
    alarms::beside_mirrors,
    status::{Day, Detail},
    web::{
        App,
        pages::{self, Frame, page_request::PageRequest},
    },
};

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'a> {
    frame: Frame<'a>,
    /// HTML, escaped by the report.
    report: String,
    formats: [(&'static str, String); 3],
    /// The daily reports that are kept, newest first.
    days: Vec<(String, String)>,
}

/// Daily reports that a page links to.
const DAYS: i64 = 60;
/// The formats that `?format=` may name.
const FORMATS: [&str; 4] = ["html", "json", "md", "text"];

/// Parses `?format=`. An unknown format is `none`.
pub(crate) fn known_format(name: &str) -> &'static str {
    let known = FORMATS.iter().find(|known| **known == name);
    known.copied().unwrap_or("none")
}

/// The report of the last 24 hours, in the requested format.
pub(crate) async fn latest(Held(app): Held<App>, request: PageRequest) -> Response {
    let config = app.config.load_full();
    let now = Utc::now().timestamp();
    let status = app.board.status(&config, now);
    let alarms = beside_mirrors(&app.alarms.all(), &status);
    let day = match Day::read(&app.store, &config, &status, alarms, None).await {
        Ok(day) => day,
        Err(error) => return pages::unreadable(&request, &error),
    };
    let frame = Frame::live(&request, request.words().report.title, &app, now);
    answer(&app, &request, frame, "/report/latest", day).await
}

/// The daily report that was made on a day.
pub(crate) async fn of_day(
    Held(app): Held<App>,
    Path(day): Path<String>,
    request: PageRequest,
) -> Response {
    let words = &request.words().report;
    let body = match day.parse::<NaiveDate>() {
        Ok(day) => app.store.report(&day.to_string()).await,
        Err(_) => Ok(None),
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => return pages::unreadable(&request, &error),
    };
    let Some(report) = body.and_then(|body| serde_json::from_str::<Day>(&body).ok()) else {
        let said = (words.no_day(&day), None);
        return pages::message(StatusCode::NOT_FOUND, &request, said, Vec::new());
    };
    let frame = Frame::new(&request, words.of_day(&day));
    answer(&app, &request, frame, &format!("/report/{day}"), report).await
}

/// A report in the requested format.
async fn answer(
    app: &App,
    request: &PageRequest,
    frame: Frame<'_>,
    path: &str,
    day: Day,
) -> Response {
    let document = day.document(Detail::Full, request.language);
    let text = |kind: &'static str, text: String| ([(CONTENT_TYPE, kind)], text).into_response();
    match request.get("format").unwrap_or("html") {
        "html" => {
            let days = match app.store.report_days(DAYS).await {
                Ok(days) => days,
                Err(error) => return pages::unreadable(request, &error),
            };
            let link = |day: String| {
                let href = request.link(&format!("/report/{day}"), &[]);
                (day, href)
            };
            let page = ReportPage {
                frame,
                report: document.to_html(),
                formats: formats(request, path),
                days: days.into_iter().map(link).collect(),
            };
            pages::html(StatusCode::OK, request, &page)
        }
        "json" => Json(day).into_response(),
        "md" => text("text/markdown; charset=utf-8", document.to_markdown()),
        "text" => text("text/plain; charset=utf-8", document.to_text()),
        _ => {
            let said = (request.words().report.no_format, None);
            pages::message(StatusCode::BAD_REQUEST, request, said, Vec::new())
        }
    }
}

fn formats(request: &PageRequest, path: &str) -> [(&'static str, String); 3] {
    let link = |format: &str| request.link(path, &[("format", format)]);
    [
        ("JSON", link("json")),
        ("Markdown", link("md")),
        (request.words().report.plain_text, link("text")),
    ]
}
