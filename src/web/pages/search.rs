//! `/search`: whether an image is mirrored, how to pull it, or how to add it to `mirror.toml`.

use askama::Template;
use axum::{
    Json,
    extract::{Query, State as Held},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use chrono::Utc;
use chrono_tz::Tz;
use serde::Deserialize;

use crate::{
    locales::words::Words,
    status::{
        Answer, Arrival, Copy, CopyState, ExplainError, Explanation, ImagePullFacts, TakingEntry,
        explain, format,
    },
    web::{
        App, api,
        pages::{
            self, Frame,
            page_request::{PageRequest, mirror_path},
            rows::{mirror_row::Badge, table::DigestText},
        },
    },
};

#[derive(Template)]
#[template(path = "search.html")]
struct Search<'a> {
    frame: Frame<'a>,
    asked: &'a str,
    failure: Option<String>,
    answer: Option<SearchResult>,
}

/// The result of a search.
#[derive(Debug)]
struct SearchResult {
    mood: &'static str,
    verdict: String,
    entries: Vec<EntryRow>,
    help: Option<&'static str>,
    toml: Option<String>,
    /// What became of its pulls, and what to add where a rule refuses it.
    pulls: Vec<String>,
    allow: Option<String>,
}

/// A mirror that takes the image, or its repository.
#[derive(Debug)]
struct EntryRow {
    /// How it relates to the image.
    how: &'static str,
    name: String,
    href: String,
    copies: Vec<CopyRow>,
}

/// The image at a target.
#[derive(Debug)]
struct CopyRow {
    state: Badge,
    lag: Option<String>,
    reference: String,
    /// The pull command, if the image was copied.
    pull: Option<String>,
    digest: Option<DigestText>,
}

/// The search page, with a result if an image was named.
pub(crate) async fn search(Held(app): Held<App>, request: PageRequest) -> Response {
    let words = request.words();
    let asked = request.get("image").unwrap_or_default();
    let mut page = Search {
        frame: Frame::new(&request, words.search.ask),
        asked,
        failure: None,
        answer: None,
    };
    if asked.is_empty() {
        return pages::html(StatusCode::OK, &request, &page);
    }
    let config = app.config.load_full();
    match explain(asked, &config, Some(&app.store)).await {
        Ok(explanation) => {
            let pulls = explanation.pulls.clone();
            let mut found = found(explanation, &app, &request);
            if let Some(pulls) = pulls {
                let mut refused = pulls.refused.iter();
                found.allow = refused.find_map(|refused| refused.toml.clone());
                found.pulls = pull_lines(&pulls, &request, config.timezone);
            }
            page.answer = Some(found);
            pages::html(StatusCode::OK, &request, &page)
        }
        Err(ExplainError::Store(error)) => pages::unreadable(&request, &error),
        Err(wrong) => {
            page.failure = Some(wrong.to_string());
            pages::html(StatusCode::BAD_REQUEST, &request, &page)
        }
    }
}

/// The query of `/api/v1/explain`.
#[derive(Debug, Deserialize)]
pub(crate) struct ExplainQuery {
    image: Option<String>,
}

/// Explains an image in JSON.
pub(crate) async fn answer(Held(app): Held<App>, Query(asked): Query<ExplainQuery>) -> Response {
    let Some(image) = asked.image else {
        return api::refuse(StatusCode::BAD_REQUEST, "name an image: ?image=nginx:1.27");
    };
    let config = app.config.load_full();
    match explain(&image, &config, Some(&app.store)).await {
        Ok(explanation) => Json(explanation).into_response(),
        Err(failure) => {
            let status = match failure {
                ExplainError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            };
            api::refuse(status, &failure.to_string())
        }
    }
}

fn found(explanation: Explanation, app: &App, request: &PageRequest) -> SearchResult {
    let words = request.words();
    let image = &explanation.image;
    let row = |how: &'static str, name: String, copies: Vec<CopyRow>| EntryRow {
        how,
        href: request.link(&mirror_path(&name), &[]),
        name,
        copies,
    };
    let absent = SearchResult {
        mood: "bad",
        verdict: words.search.not_mirrored(image),
        entries: Vec::new(),
        help: None,
        toml: None,
        pulls: Vec::new(),
        allow: None,
    };
    match explanation.answer {
        Answer::Mirrored { entry, others } => {
            let entries: Vec<TakingEntry> = std::iter::once(entry).chain(others).collect();
            let copies: Vec<Copy> = entries.iter().flat_map(|e| e.copies.clone()).collect();
            let is_current = copies.iter().all(|copy| copy.state == CopyState::Current);
            let verdict = match Arrival::of(&copies) {
                Arrival::Come => words.search.mirrored(image),
                Arrival::ToCome => words.search.not_copied(image),
                Arrival::Never => words.search.not_mirrored(image),
            };
            let now = Utc::now().timestamp();
            let rows = entries.into_iter().enumerate().map(|(at, entry)| {
                let checked = checked(app, &entry.mirror, request, now);
                let copies = entry.copies.into_iter();
                let copies = copies.map(|copy| CopyRow::new(copy, request, checked.clone(), now));
                let how = match at {
                    0 => words.search.by,
                    _ => words.search.also_by,
                };
                row(how, entry.mirror, copies.collect())
            });
            SearchResult {
                mood: if is_current { "good" } else { "warning" },
                verdict,
                entries: rows.collect(),
                ..absent
            }
        }
        Answer::NotSelected { mirror, toml } => SearchResult {
            mood: "warning",
            verdict: words.search.not_selected(image),
            entries: vec![row(words.search.repository_by, mirror, Vec::new())],
            help: Some(words.search.add_help),
            toml: Some(toml),
            ..absent
        },
        Answer::AtTarget { .. } => absent,
        Answer::NotMirrored { toml } => SearchResult {
            toml: Some(toml),
            ..absent
        },
    }
}

/// What became of the pulls of an image.
fn pull_lines(pulls: &ImagePullFacts, request: &PageRequest, zone: Tz) -> Vec<String> {
    let words = &request.words().pulls;
    let now = Utc::now().timestamp();
    let mut lines = Vec::new();
    if let Some(pulled) = &pulls.pulled {
        let counts = &pulled.counts;
        let parts = [
            words.count(counts.hits, words.hit),
            words.count(counts.coalesced, words.coalesced),
            words.count(counts.misses, words.miss),
            words.count(counts.stale, words.stale),
        ];
        lines.push(parts.join(" · "));
        let moment = |at: i64| request.language.moment(at, now, zone).text;
        lines.push(words.since(moment(pulled.first_pull), moment(pulled.last_pull)));
        lines.extend(pulled.why.clone());
    }
    if pulls.saved_bytes > 0 {
        let saved = u64::try_from(pulls.saved_bytes).unwrap_or_default();
        lines.push(words.saved(format::bytes(saved)));
    }
    let refused = pulls.refused.iter();
    lines.extend(refused.map(|refused| refused.words(request.language, zone)));
    lines.push(words.privacy.to_owned());
    lines
}

/// When the source was last checked.
fn checked(app: &App, mirror: &str, request: &PageRequest, now: i64) -> Option<String> {
    let config = app.config.load();
    let at = app.board.mirror(&config, mirror, now)?.last_checked?;
    let moment = request.language.moment(at, now, config.timezone);
    Some(request.words().search.checked(&moment.text))
}

impl CopyRow {
    fn new(copy: Copy, request: &PageRequest, checked: Option<String>, now: i64) -> Self {
        let lag = |since: i64| {
            request
                .words()
                .time
                .lasting(request.language.duration(now - since))
        };
        Self {
            state: badge(copy.state, request.words()),
            lag: copy.lagging_since.map(lag).or(checked),
            reference: copy.reference,
            pull: Some(copy.pull).filter(|_| copy.digest.is_some()),
            digest: copy.digest.map(DigestText::new),
        }
    }
}

fn badge(state: CopyState, words: &'static Words) -> Badge {
    let (class, sign, text) = match state {
        CopyState::Current => ("good", "●", words.tag.current),
        CopyState::Behind => ("warning", "▲", words.state.behind),
        CopyState::Damaged => ("bad", "✚", words.state.damaged),
        CopyState::NotYet => ("warning", "○", words.tag.not_copied),
        CopyState::Absent => ("warning", "○", words.tag.not_at_source),
        CopyState::LeftOut => ("open", "◌", words.tag.left_out),
        CopyState::Orphaned => ("open", "◌", words.tag.orphaned),
    };
    Badge { class, sign, text }
}
