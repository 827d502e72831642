//! Tags, runs and changes of a mirror, each in a line.

use super::{
    language::{Language, Moment},
    row::Badge,
    strip,
    visit::Visit,
    words::Words,
};
use crate::{
    report::words::{bytes, short_digest},
    store::{Change, MirrorTag, RunRecord},
};

/// A digest: enough of it to tell it from others, and the whole.
#[derive(Debug)]
pub(super) struct Digest {
    pub(super) short: String,
    pub(super) full: String,
}

/// A tag at a target.
#[derive(Debug)]
pub(super) struct TagRow {
    pub(super) reference: String,
    pub(super) source: String,
    pub(super) state: Badge,
    pub(super) lag: Option<String>,
    /// The source's digest that is mirrored; the one that is seen there where none is.
    pub(super) source_digest: Digest,
    pub(super) written_digest: Option<Digest>,
    pub(super) mirrored: Option<Moment>,
    pub(super) error: Option<String>,
}

/// A run.
#[derive(Debug)]
pub(super) struct RunRow {
    pub(super) started: Moment,
    pub(super) took: String,
    pub(super) class: &'static str,
    pub(super) result: String,
    pub(super) unchanged: i64,
    pub(super) copied: i64,
    pub(super) failed: i64,
    pub(super) sent: String,
    pub(super) saved: String,
    pub(super) error: Option<String>,
}

/// A change.
#[derive(Debug)]
pub(super) struct ChangeRow {
    pub(super) at: Moment,
    pub(super) kind: String,
    pub(super) reference: String,
    pub(super) from: Option<Digest>,
    pub(super) to: Option<Digest>,
}

impl Digest {
    pub(super) fn new(full: String) -> Self {
        Self {
            short: short_digest(&full).into(),
            full,
        }
    }
}

impl TagRow {
    /// A tag as it stands at `now`.
    pub(super) fn new(
        tag: MirrorTag,
        visit: &Visit,
        now: i64,
        moment: impl Fn(i64) -> Moment,
    ) -> Self {
        let lag = tag.lagging_since.map(|since| {
            let lag = visit.language.duration(now - since);
            (visit.words().lasting)(&lag)
        });
        Self {
            state: tag_badge(&tag, visit.words()),
            lag,
            source_digest: Digest::new(tag.source_digest.unwrap_or(tag.seen_digest)),
            written_digest: tag.written_digest.map(Digest::new),
            mirrored: tag.mirrored_at.map(moment),
            // What went wrong before it was in sync again is history.
            error: tag.error_message.filter(|_| tag.lagging_since.is_some()),
            reference: tag.reference,
            source: tag.source,
        }
    }
}

fn tag_badge(tag: &MirrorTag, words: &'static Words) -> Badge {
    let (class, sign, text) = if tag.is_orphaned {
        ("open", "◌", words.is_orphaned)
    } else if tag.source_digest.is_none() {
        ("warning", "○", words.not_yet)
    } else if tag.lagging_since.is_some() {
        ("warning", "▲", words.behind)
    } else {
        ("good", "●", words.in_sync)
    };
    Badge { class, sign, text }
}

impl RunRow {
    pub(super) fn new(run: RunRecord, visit: &Visit, moment: impl Fn(i64) -> Moment) -> Self {
        let words = visit.words();
        let language: Language = visit.language;
        let ended = run.result.as_deref().unwrap_or("unfinished");
        let took = run
            .finished_at
            .map(|end| language.duration(end - run.started_at));
        let unsigned = |count: i64| u64::try_from(count).unwrap_or(0);
        Self {
            started: moment(run.started_at),
            took: took.unwrap_or_default(),
            class: match ended {
                "ok" => "good",
                "partial" => "warning",
                "failed" => "bad",
                _ => "open",
            },
            result: strip::result(ended, words).to_owned(),
            unchanged: run.unchanged,
            copied: run.copied,
            failed: run.failed,
            sent: bytes(unsigned(run.uploaded_bytes)),
            saved: bytes(unsigned(run.saved_bytes)),
            error: run.error_message,
        }
    }
}

impl ChangeRow {
    pub(super) fn new(
        change: Change,
        words: &'static Words,
        moment: impl Fn(i64) -> Moment,
    ) -> Self {
        let kind = match change.kind.as_str() {
            "new" => words.new,
            "moved" => words.moved,
            "removed" => words.removed,
            "healed" => words.healed,
            "reshaped" => words.reshaped,
            "damaged" => words.damaged,
            "repaired" => words.repaired,
            "pruned" => words.pruned,
            other => other,
        };
        Self {
            at: moment(change.at),
            kind: kind.to_owned(),
            reference: format!("{}:{}", change.target, change.tag),
            from: change.old_digest.map(Digest::new),
            to: change.new_digest.map(Digest::new),
        }
    }
}
