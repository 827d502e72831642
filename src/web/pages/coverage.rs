//! `/coverage/CLUSTER`: which images of a cluster are not current at the mirror.

use askama::Template;
use axum::{
    extract::{Path, State as Held},
    http::StatusCode,
    response::Response,
};
use chrono::Utc;

use crate::{
    locales::{Moment, words::Words},
    status::{ClusterImage, ClusterStatus, ImageState},
    web::{
        App,
        pages::{
            self, Frame,
            overview::Pager,
            page_request::{PageRequest, mirror_path},
            rows::{
                cluster::{self, state_word},
                mirror_row::Badge,
            },
        },
    },
};

/// Images on one page.
const ROWS: usize = 200;

#[derive(Template)]
#[template(path = "coverage.html")]
struct CoveragePage<'a> {
    frame: Frame<'a>,
    mood: &'static str,
    listed: String,
    rows: Vec<ImageRow>,
    pager: Pager,
    toml: Option<&'a str>,
}

/// An image that is not current.
#[derive(Debug)]
struct ImageRow {
    image: String,
    state: Badge,
    place: String,
    since: Option<Moment>,
    mirror: Option<(String, String)>,
    reason: Option<String>,
}

/// The page of a cluster.
pub(crate) async fn coverage(
    Held(app): Held<App>,
    Path(name): Path<String>,
    request: PageRequest,
) -> Response {
    let now = Utc::now().timestamp();
    let Some(status) = app.board.clusters().get(&name) else {
        let said = (request.words().coverage.no_cluster(&name), None);
        return pages::message(StatusCode::NOT_FOUND, &request, said, Vec::new());
    };
    let zone = app.config.load().timezone;
    let pager = Pager::new(&request, status.not_current.len(), ROWS);
    let rows = status.not_current.iter().skip(pager.start).take(ROWS);
    let rows = rows.map(|image| ImageRow {
        since: image
            .missing_since
            .map(|at| request.language.moment(at, now, zone)),
        ..ImageRow::new(image, &request)
    });
    let received = request.language.moment(status.received_at, now, zone);
    let words = &request.words().coverage;
    let page = CoveragePage {
        mood: cluster::mood(&status, now),
        listed: words.listed(&received.text),
        rows: rows.collect(),
        pager,
        toml: Some(status.toml.as_str()).filter(|toml| !toml.is_empty()),
        frame: Frame::live(&request, title(&status, request.words()), &app, now),
    };
    pages::html(StatusCode::OK, &request, &page)
}

/// The counts in a line: `prod: 3 not mirrored, 2 behind`.
fn title(status: &ClusterStatus, words: &'static Words) -> String {
    let states = ImageState::ALL.into_iter();
    let states = states.filter(|state| *state != ImageState::Current && status.count(*state) > 0);
    let parts: Vec<String> = states
        .map(|state| {
            let word = state_word(state, words);
            words.coverage.parts(status.count(state), word)
        })
        .collect();
    let verdict = match parts.is_empty() {
        true => words.coverage.all_current.to_owned(),
        false => parts.join(words.overview.comma),
    };
    let images = words.coverage.images(status.images as u64);
    let of_cluster = words.coverage.of_cluster(&status.cluster, images);
    [of_cluster, verdict].join(words.overview.comma)
}

impl ImageRow {
    fn new(image: &ClusterImage, request: &PageRequest) -> Self {
        let covered = &image.covered;
        let mirror = covered.mirror.as_ref();
        Self {
            image: covered.found.image.clone(),
            state: cluster::badge(covered.state, request.words()),
            place: covered.found.place.clone(),
            since: None,
            mirror: mirror.map(|name| (name.clone(), request.link(&mirror_path(name), &[]))),
            reason: covered.reason.clone(),
        }
    }
}
