//! `/report/latest`: what the last 24 hours brought.

use askama::Template;
use axum::{
    Json,
    extract::State as Held,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use chrono::Utc;

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
}

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
    let document = day.document(Detail::Full);
    let text = |kind: &'static str, text: String| ([(CONTENT_TYPE, kind)], text).into_response();
    match request.get("format").unwrap_or("html") {
        "html" => {
            let page = ReportPage {
                frame: Frame::live(&request, request.words().report.title, &app, now),
                report: document.to_html(),
                formats: formats(&request),
            };
            pages::html(StatusCode::OK, &request, &page)
        }
        "json" => Json(day).into_response(),
        "md" => text("text/markdown; charset=utf-8", document.to_markdown()),
        "text" => text("text/plain; charset=utf-8", document.to_text()),
        _ => {
            let said = (request.words().report.no_format, None);
            pages::message(StatusCode::BAD_REQUEST, &request, said, Vec::new())
        }
    }
}

fn formats(request: &PageRequest) -> [(&'static str, String); 3] {
    let link = |format: &str| request.link("/report/latest", &[("format", format)]);
    [
        ("JSON", link("json")),
        ("Markdown", link("md")),
        (request.words().report.plain_text, link("text")),
    ]
}
