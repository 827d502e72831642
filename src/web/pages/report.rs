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
        pages::{self, Frame, page_request::Visit},
    },
};

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'a> {
    frame: Frame<'a>,
    /// HTML that the report wrote and escaped.
    report: String,
    formats: [(&'static str, String); 3],
}

/// The formats that `?format=` may name.
const FORMATS: [&str; 4] = ["html", "json", "md", "text"];

/// A format as `?format=` names it. One that does not exist is `none`.
pub(crate) fn known_format(name: &str) -> &'static str {
    let known = FORMATS.iter().find(|known| **known == name);
    known.copied().unwrap_or("none")
}

/// The report that ends now, in the format that is asked for.
pub(crate) async fn latest(Held(app): Held<App>, visit: Visit) -> Response {
    let config = app.config.load_full();
    let now = Utc::now().timestamp();
    let status = app.board.status(&config, now);
    let alarms = beside_mirrors(&app.alarms.all(), &status);
    let day = match Day::read(&app.store, &config, &status, alarms, None).await {
        Ok(day) => day,
        Err(error) => return pages::unreadable(&visit, &error),
    };
    let document = day.document(Detail::Full);
    let text = |kind: &'static str, text: String| ([(CONTENT_TYPE, kind)], text).into_response();
    match visit.get("format").unwrap_or("html") {
        "html" => {
            let page = ReportPage {
                frame: Frame::live(&visit, visit.words().report.title, &app, now),
                report: document.to_html(),
                formats: formats(&visit),
            };
            pages::html(StatusCode::OK, &visit, &page)
        }
        "json" => Json(day).into_response(),
        "md" => text("text/markdown; charset=utf-8", document.to_markdown()),
        "text" => text("text/plain; charset=utf-8", document.to_text()),
        _ => {
            let said = (visit.words().report.no_format, None);
            pages::message(StatusCode::BAD_REQUEST, &visit, said, Vec::new())
        }
    }
}

fn formats(visit: &Visit) -> [(&'static str, String); 3] {
    let link = |format: &str| visit.link("/report/latest", &[("format", format)]);
    [
        ("JSON", link("json")),
        ("Markdown", link("md")),
        (visit.words().report.plain_text, link("text")),
    ]
}
