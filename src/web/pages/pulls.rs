//! `/pulls`: what clients pull through the gateway, what of it was refused, and what it saved.

use askama::Template;
use axum::{
    Json, extract::State as Held, http::StatusCode, response::IntoResponse as _, response::Response,
};
use chrono::Utc;
use chrono_tz::Tz;

use crate::{
    config::Config,
    locales::{Language, Moment, words::Words},
    status::{
        LiveDownload, LivePulls, PullReport, PulledImage, RefusedImage, format::bytes,
        pull_troubles,
    },
    store::PullResult,
    web::{
        App, api,
        pages::{
            self, Frame,
            page_request::PageRequest,
            rows::{mirror_row::Badge, table::DigestText},
        },
    },
};

#[derive(Template)]
#[template(path = "pulls.html")]
struct PullsPage<'a> {
    frame: Frame<'a>,
    mood: &'static str,
    sums: String,
    troubles: Vec<String>,
    downloads: Vec<DownloadRow>,
    more_downloads: Option<String>,
    columns: [&'static str; 4],
    images: Vec<PulledRow>,
    more_images: Option<String>,
    refused: Vec<RefusedRow>,
    more_refused: Option<String>,
    toml: Option<String>,
}

/// A blob in flight.
#[derive(Debug)]
struct DownloadRow {
    repository: String,
    digest: DigestText,
    size: u64,
    received: u64,
    progress: String,
    followers: usize,
}

/// An image that was pulled.
#[derive(Debug)]
struct PulledRow {
    image: String,
    href: String,
    last: Option<Badge>,
    counts: Vec<(&'static str, i64)>,
    last_pull: Moment,
    why: Option<String>,
}

/// A repository that a rule refused.
#[derive(Debug)]
struct RefusedRow {
    repository: String,
    reason: &'static str,
    refusals: i64,
    first: Moment,
    last: Moment,
}

/// The page of pulls.
pub(crate) async fn pulls(Held(app): Held<App>, mut request: PageRequest) -> Response {
    let now = Utc::now().timestamp();
    let report = match PullReport::read(&app.store, app.pulls.live(now), now).await {
        Ok(report) => report,
        Err(error) => return pages::unreadable(&request, &error),
    };
    request.refresh_while(!report.live.downloads.is_empty());
    let zone = app.config.load().timezone;
    let words = request.words();
    let troubles = pull_troubles(&report.live, now);
    let more = |count: u64| (count > 0).then(|| words.frame.more(count));
    let images = report.images.iter();
    let refused = report.refused.iter();
    let page = PullsPage {
        mood: if troubles.is_empty() {
            "good"
        } else {
            "warning"
        },
        sums: sums(&report, words),
        troubles: troubles
            .iter()
            .map(|trouble| trouble.message.get(request.language).clone())
            .collect(),
        downloads: report.live.downloads.iter().map(DownloadRow::new).collect(),
        more_downloads: more(report.live.more_downloads as u64),
        columns: columns(words),
        images: images
            .map(|image| PulledRow::new(image, &request, now, zone))
            .collect(),
        more_images: more(report.more_images),
        refused: refused
            .map(|refused| RefusedRow::new(refused, &request, now, zone))
            .collect(),
        more_refused: more(report.more_refused),
        toml: toml(&report.refused),
        frame: Frame::live(&request, title(&report, request.language), &app, now),
    };
    pages::html(StatusCode::OK, &request, &page)
}

/// The same in JSON.
pub(crate) async fn answer(Held(app): Held<App>) -> Response {
    let now = Utc::now().timestamp();
    match PullReport::read(&app.store, app.pulls.live(now), now).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => api::refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The pulls of a day in one line.
fn title(report: &PullReport, language: Language) -> String {
    let words = &language.words().pulls;
    let pulls = words.pulls(unsigned(report.sums.counts.served()));
    words.verdict(pulls, bytes(unsigned(report.saved_bytes)))
}

/// The same line for the page of all mirrors, where there is a gateway.
pub(crate) async fn line(
    app: &App,
    config: &Config,
    request: &PageRequest,
    now: i64,
) -> Option<String> {
    config.gateway.as_ref()?;
    let report = PullReport::read(&app.store, LivePulls::default(), now).await;
    report.ok().map(|report| title(&report, request.language))
}

fn sums(report: &PullReport, words: &'static Words) -> String {
    let (counts, bytes_of) = (&report.sums.counts, |count| bytes(unsigned(count)));
    let parts = [
        words.pulls.count(counts.hits, words.pulls.hit),
        words.pulls.count(counts.coalesced, words.pulls.coalesced),
        words.pulls.count(counts.misses, words.pulls.miss),
        words.pulls.count(counts.stale, words.pulls.stale),
        words.pulls.count(counts.failed, words.pulls.failed),
        words.pulls.moved(
            bytes_of(report.sums.upstream_bytes),
            bytes_of(report.sums.client_bytes),
        ),
    ];
    parts.join(" · ")
}

/// What to add for all that was refused, at once: a second `allow` would be an error.
fn toml(refused: &[RefusedImage]) -> Option<String> {
    let addable = refused.iter().filter(|refused| refused.toml.is_some());
    let mut names: Vec<&str> = addable.map(|refused| refused.repository.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let lines: Vec<String> = names
        .iter()
        .map(|name| format!("    \"{name}\",\n"))
        .collect();
    (!lines.is_empty()).then(|| format!("[gateway]\nallow = [\n{}]\n", lines.concat()))
}

fn columns(words: &'static Words) -> [&'static str; 4] {
    let words = &words.pulls;
    [words.hit, words.coalesced, words.miss, words.stale]
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

impl DownloadRow {
    fn new(download: &LiveDownload) -> Self {
        let (received, size) = (bytes(download.received), bytes(download.size));
        Self {
            repository: download.repository.clone(),
            digest: DigestText::new(download.digest.clone()),
            size: download.size,
            received: download.received,
            progress: format!("{received} / {size}"),
            followers: download.followers,
        }
    }
}

impl PulledRow {
    fn new(image: &PulledImage, request: &PageRequest, now: i64, zone: Tz) -> Self {
        let words = request.words();
        let counts = &image.counts;
        let counts = [counts.hits, counts.coalesced, counts.misses, counts.stale];
        Self {
            image: image.image.clone(),
            href: request.link("/search", &[("image", &image.image)]),
            last: image.outcome.map(|outcome| badge(outcome, words)),
            counts: columns(words).into_iter().zip(counts).collect(),
            last_pull: request.language.moment(image.last_pull, now, zone),
            why: image
                .why
                .clone()
                .filter(|_| image.outcome == Some(PullResult::Stale)),
        }
    }
}

impl RefusedRow {
    fn new(refused: &RefusedImage, request: &PageRequest, now: i64, zone: Tz) -> Self {
        Self {
            repository: refused.repository.clone(),
            reason: refused.reason_words(request.language),
            refusals: refused.refusals,
            first: request.language.moment(refused.first_at, now, zone),
            last: request.language.moment(refused.last_at, now, zone),
        }
    }
}

fn badge(outcome: PullResult, words: &'static Words) -> Badge {
    let words = &words.pulls;
    let (class, sign, text) = match outcome {
        PullResult::Hit => ("good", "●", words.hit),
        PullResult::Coalesced => ("good", "◉", words.coalesced),
        PullResult::Miss => ("open", "○", words.miss),
        PullResult::Stale => ("warning", "▲", words.stale),
    };
    Badge { class, sign, text }
}

#[cfg(test)]
mod tests;
