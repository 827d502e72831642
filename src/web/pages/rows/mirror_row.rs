//! One mirror as a table row: state, lag, times and last runs.

use chrono_tz::Tz;

use crate::{
    alarms::is_muted,
    locales::{Language, Moment, words::Words},
    status::{MirrorStatus, RunState, State, format::bytes},
    store::{Mute, RunResult},
    web::pages::{
        page_request::{PageRequest, mirror_path},
        rows::run_strip::{self, RunStrip},
    },
};

/// A label with a sign and a colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Badge {
    pub(crate) class: &'static str,
    pub(crate) sign: &'static str,
    pub(crate) text: &'static str,
}

/// The two bounds of the lag as text.
#[derive(Debug)]
pub(crate) struct LagText {
    pub(crate) class: &'static str,
    pub(crate) main: String,
    pub(crate) other: Option<String>,
    pub(crate) title: String,
}

/// One mirror.
#[derive(Debug)]
pub(crate) struct MirrorRow {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) state: Badge,
    /// Its flags, such as `running`.
    pub(crate) flags: Vec<&'static str>,
    pub(crate) lag: LagText,
    pub(crate) success: Option<Moment>,
    /// The last attempt if it failed: as text, its result, and its time.
    pub(crate) attempt: Option<(String, String, Moment)>,
    pub(crate) next: Option<Moment>,
    pub(crate) behind: u64,
    /// None if unknown.
    pub(crate) size: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) strip: RunStrip,
}

impl MirrorRow {
    /// A mirror as it stands at `now`.
    pub(crate) fn new(
        (mirror, mutes): (&MirrorStatus, &[Mute]),
        request: &PageRequest,
        now: i64,
        zone: Tz,
    ) -> Self {
        let (language, words) = (request.language, request.words());
        let moment = |at: i64| language.moment(at, now, zone);
        Self {
            name: mirror.name.to_string(),
            href: request.link(&mirror_path(&mirror.name), &[]),
            state: badge(mirror.state, words),
            flags: flags(mirror, now)
                .into_iter()
                .chain(is_muted(mirror, mutes).then_some(Flag::Muted))
                .map(|flag| flag.word(words))
                .collect(),
            lag: LagText::of(mirror, language),
            success: mirror.last_success.map(moment),
            attempt: attempt(mirror, words, moment),
            next: mirror.next_run.map(moment),
            behind: mirror.behind_tags(),
            size: (mirror.size_bytes > 0).then(|| bytes(mirror.size_bytes)),
            reason: reason(mirror, language),
            strip: RunStrip::new(&mirror.runs, language, zone),
        }
    }
}

impl LagText {
    fn of(mirror: &MirrorStatus, language: Language) -> Self {
        let upper = mirror.targets.iter().map(|target| target.lag_upper_seconds);
        let upper = upper.reduce(|a, b| Some(a?.max(b?))).flatten();
        let behind = (mirror.behind_tags() > 0).then_some(mirror.lag_seconds);
        let mut lag = Self::new(behind, upper, language);
        if !mirror.is_within_objective() {
            lag.class = "bad";
        }
        lag.title = language
            .words()
            .mirror
            .accepted(language.duration(mirror.max_lag_seconds));
        lag
    }

    /// Formats how long a tag has been behind, if one is, and how long ago everything was equal.
    pub(crate) fn new(behind: Option<i64>, upper: Option<i64>, language: Language) -> Self {
        let words = language.words();
        let equal = match upper {
            Some(upper) => words.mirror.equal_ago(language.duration(upper)),
            None => words.mirror.never_equal.into(),
        };
        let (class, main, other) = match behind {
            None => ("", equal, None),
            Some(lag) => {
                let lag = words.mirror.behind_for(language.duration(lag));
                ("warning", lag, Some(equal))
            }
        };
        Self {
            class,
            main,
            other,
            title: String::new(),
        }
    }
}

/// A property of a mirror beside its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    Late,
    Running,
    Stale,
    Paused,
    Muted,
}

impl Flag {
    /// Its label.
    pub(crate) fn word(self, words: &'static Words) -> &'static str {
        match self {
            Self::Late => words.state.late,
            Self::Running => words.state.running,
            Self::Stale => words.state.stale,
            Self::Paused => words.state.paused,
            Self::Muted => words.state.muted,
        }
    }
}

/// The flags of a mirror.
pub(crate) fn flags(mirror: &MirrorStatus, now: i64) -> Vec<Flag> {
    let flags = [
        (Flag::Late, !mirror.is_within_objective()),
        (Flag::Running, mirror.running),
        (Flag::Stale, mirror.is_stale(now)),
        (Flag::Paused, mirror.paused),
    ];
    let held = flags.into_iter().filter(|(_, is_so)| *is_so);
    held.map(|(flag, _)| flag).collect()
}

/// The badge of a state.
pub(crate) fn badge(state: State, words: &'static Words) -> Badge {
    let (class, sign) = match state {
        State::InSync => ("good", "●"),
        State::Behind => ("warning", "▲"),
        State::Damaged => ("bad", "✚"),
        State::Failing => ("bad", "✕"),
        State::Unfinished => ("open", "◐"),
        State::NeverSynced => ("open", "○"),
    };
    Badge {
        class,
        sign,
        text: word(state, words),
    }
}

/// The label of a state.
pub(crate) fn word(state: State, words: &'static Words) -> &'static str {
    match state {
        State::InSync => words.state.in_sync,
        State::Behind => words.state.behind,
        State::Damaged => words.state.damaged,
        State::Failing => words.state.failing,
        State::Unfinished => words.state.unfinished,
        State::NeverSynced => words.state.never_synced,
    }
}

/// Why a mirror is not in sync, if that is known.
pub(crate) fn reason(mirror: &MirrorStatus, language: Language) -> Option<String> {
    if mirror.state == State::InSync {
        return None;
    }
    let of_tag = || {
        let mut failed = mirror.behind.iter().filter(|tag| tag.message.is_some());
        let tag = failed.next()?;
        let class = tag.class.as_deref().and_then(|class| class.parse().ok());
        Some(language.error(class, tag.message.as_deref()?))
    };
    mirror.error(language).or_else(of_tag)
}

fn attempt(
    mirror: &MirrorStatus,
    words: &'static Words,
    moment: impl Fn(i64) -> Moment,
) -> Option<(String, String, Moment)> {
    let result = mirror
        .last_result
        .filter(|result| *result != RunState::Ended(RunResult::Ok))?;
    let at = moment(mirror.last_attempt?);
    let result = run_strip::result(result, words);
    Some((words.mirror.tried(&at.text, result), result.to_owned(), at))
}
