//! A cluster on the status page.

use chrono_tz::Tz;

use crate::{
    locales::{Moment, words::Words},
    status::{ClusterStatus, ImageState, Status},
    web::pages::{page_request::PageRequest, rows::mirror_row::Badge},
};

/// A cluster, and how many of its images are in each state.
#[derive(Debug)]
pub(crate) struct ClusterRow {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) images: usize,
    /// The head of each column, and the count in it.
    pub(crate) counts: Vec<(&'static str, usize)>,
    pub(crate) received: Moment,
    pub(crate) is_stale: bool,
}

/// The states that have a column.
const COLUMNS: [ImageState; 5] = [
    ImageState::NotMirrored,
    ImageState::NotAtTarget,
    ImageState::OtherDigest,
    ImageState::Damaged,
    ImageState::Behind,
];

/// The heads of the columns.
pub(crate) fn columns(words: &'static Words) -> [&'static str; 5] {
    COLUMNS.map(|state| state_word(state, words))
}

/// Every cluster.
pub(crate) fn rows(status: &Status, request: &PageRequest, zone: Tz) -> Vec<ClusterRow> {
    let clusters = status.clusters.iter();
    let row = |cluster: &std::sync::Arc<ClusterStatus>| ClusterRow {
        name: cluster.cluster.to_string(),
        href: request.link(&format!("/coverage/{}", cluster.cluster), &[]),
        images: cluster.images,
        counts: COLUMNS
            .map(|state| (state_word(state, request.words()), cluster.count(state)))
            .into(),
        received: request
            .language
            .moment(cluster.received_at, status.now, zone),
        is_stale: cluster.is_stale(status.now),
    };
    clusters.map(row).collect()
}

/// The state of an image in words.
pub(crate) fn state_word(state: ImageState, words: &'static Words) -> &'static str {
    let words = &words.coverage;
    match state {
        ImageState::NotMirrored => words.not_mirrored,
        ImageState::NotAtTarget => words.not_at_target,
        ImageState::OtherDigest => words.other_digest,
        ImageState::Damaged => words.damaged,
        ImageState::Behind => words.behind,
        ImageState::Current => words.current,
    }
}

/// The state of an image as a badge.
pub(crate) fn badge(state: ImageState, words: &'static Words) -> Badge {
    let (class, sign) = match state {
        ImageState::NotMirrored => ("bad", "○"),
        ImageState::Damaged => ("bad", "✚"),
        ImageState::NotAtTarget => ("warning", "○"),
        ImageState::OtherDigest | ImageState::Behind => ("warning", "▲"),
        ImageState::Current => ("good", "●"),
    };
    let text = state_word(state, words);
    Badge { class, sign, text }
}

/// How serious the state of a cluster is.
pub(crate) fn mood(cluster: &ClusterStatus, now: i64) -> &'static str {
    let is_bad = cluster.count(ImageState::NotMirrored) > 0 || cluster.is_stale(now);
    match cluster.not_current.is_empty() {
        _ if is_bad => "bad",
        true => "good",
        false => "warning",
    }
}
