//! Tags, runs and changes of a mirror as table rows.

use std::collections::HashSet;

use crate::{
    locales::{Language, Moment, words::Words},
    status::{
        RunState,
        format::{bytes, short_digest},
    },
    store::{Change, ChangeKind, MirrorTag, RunRecord, RunResult},
    web::pages::{
        page_request::PageRequest,
        rows::{mirror_row::Badge, run_strip},
    },
};

/// A digest, shortened and in full.
#[derive(Debug)]
pub(crate) struct DigestText {
    pub(crate) short: String,
    pub(crate) full: String,
}

/// A tag at a target.
#[derive(Debug)]
pub(crate) struct TagRow {
    pub(crate) reference: String,
    pub(crate) source: String,
    pub(crate) state: Badge,
    pub(crate) lag: Option<String>,
    /// The source's digest that was mirrored; the digest seen at the source if none was.
    pub(crate) source_digest: DigestText,
    pub(crate) written_digest: Option<DigestText>,
    pub(crate) mirrored: Option<Moment>,
    pub(crate) error: Option<String>,
}

/// A run.
#[derive(Debug)]
pub(crate) struct RunRow {
    pub(crate) started: Moment,
    pub(crate) took: String,
    pub(crate) class: &'static str,
    pub(crate) result: String,
    pub(crate) unchanged: i64,
    pub(crate) copied: i64,
    pub(crate) failed: i64,
    pub(crate) sent: String,
    pub(crate) saved: String,
    /// The class of its error.
    pub(crate) error_class: Option<String>,
    pub(crate) error: Option<String>,
}

/// A change.
#[derive(Debug)]
pub(crate) struct ChangeRow {
    pub(crate) at: Moment,
    pub(crate) kind: String,
    pub(crate) reference: String,
    pub(crate) from: Option<DigestText>,
    pub(crate) to: Option<DigestText>,
}

impl DigestText {
    pub(crate) fn new(full: String) -> Self {
        Self {
            short: short_digest(&full).into(),
            full,
        }
    }
}

impl TagRow {
    /// A tag as it stands at `now`.
    pub(crate) fn new(
        tag: MirrorTag,
        request: &PageRequest,
        now: i64,
        moment: impl Fn(i64) -> Moment,
    ) -> Self {
        let lag = tag.lagging_since.map(|since| {
            let lag = request.language.duration(now - since);
            request.words().time.lasting(&lag)
        });
        Self {
            state: tag_badge(&tag, request.words()),
            lag,
            source_digest: DigestText::new(tag.source_digest.unwrap_or(tag.seen_digest)),
            written_digest: tag.written_digest.map(DigestText::new),
            mirrored: tag.mirrored_at.map(moment),
            // An error of before the tag was in sync again is outdated.
            error: tag.error_message.filter(|_| tag.lagging_since.is_some()),
            reference: tag.reference,
            source: tag.source,
        }
    }
}

impl TagRow {
    /// The tag without its error, if that was shown already.
    pub(crate) fn with_error_once(self, shown: &mut HashSet<String>) -> Self {
        let error = self.error.filter(|error| shown.insert(error.clone()));
        Self { error, ..self }
    }
}

impl RunRow {
    /// The run without its error, if that was shown already. The error's class stays.
    pub(crate) fn with_error_once(self, shown: &mut HashSet<String>) -> Self {
        let error = self.error.filter(|error| shown.insert(error.clone()));
        Self { error, ..self }
    }
}

/// The name of an error class. One that this version does not know stays as it is.
pub(crate) fn class_word(class: &str, language: Language) -> String {
    let known = class.parse().ok();
    known
        .map_or(class, |known| language.class(known))
        .to_owned()
}

fn tag_badge(tag: &MirrorTag, words: &'static Words) -> Badge {
    let (class, sign, text) = if tag.is_orphaned {
        ("open", "◌", words.tag.orphaned)
    } else if tag.source_digest.is_none() {
        ("warning", "○", words.tag.not_copied)
    } else if tag.lagging_since.is_some() {
        ("warning", "▲", words.state.behind)
    } else {
        ("good", "●", words.state.in_sync)
    };
    Badge { class, sign, text }
}

impl RunRow {
    pub(crate) fn new(
        run: RunRecord,
        request: &PageRequest,
        moment: impl Fn(i64) -> Moment,
    ) -> Self {
        let words = request.words();
        let language: Language = request.language;
        let ended = run.result.map_or(RunState::Unfinished, RunState::Ended);
        let took = run
            .finished_at
            .map(|end| language.duration(end - run.started_at));
        let unsigned = |count: i64| u64::try_from(count).unwrap_or(0);
        Self {
            started: moment(run.started_at),
            took: took.unwrap_or_default(),
            class: match ended {
                RunState::Ended(RunResult::Ok) => "good",
                RunState::Ended(RunResult::Partial) => "warning",
                RunState::Ended(RunResult::Failed) => "bad",
                RunState::Ended(RunResult::Interrupted)
                | RunState::Unfinished
                | RunState::Running => "open",
            },
            result: run_strip::result(ended, words).to_owned(),
            unchanged: run.unchanged,
            copied: run.copied,
            failed: run.failed,
            sent: bytes(unsigned(run.uploaded_bytes)),
            saved: bytes(unsigned(run.saved_bytes)),
            error_class: run.error_class.map(|class| class_word(&class, language)),
            error: run.error_message,
        }
    }
}

impl ChangeRow {
    pub(crate) fn new(
        change: Change,
        words: &'static Words,
        moment: impl Fn(i64) -> Moment,
    ) -> Self {
        let kind = match change.kind {
            ChangeKind::New => words.change.new,
            ChangeKind::Moved => words.change.moved,
            ChangeKind::Removed => words.change.removed,
            ChangeKind::Healed => words.change.healed,
            ChangeKind::Reshaped => words.change.reshaped,
            ChangeKind::Damaged => words.change.damaged,
            ChangeKind::Repaired => words.change.repaired,
            ChangeKind::Pruned => words.change.pruned,
        };
        Self {
            at: moment(change.at),
            kind: kind.to_owned(),
            reference: format!("{}:{}", change.target, change.tag),
            from: change.old_digest.map(DigestText::new),
            to: change.new_digest.map(DigestText::new),
        }
    }
}
