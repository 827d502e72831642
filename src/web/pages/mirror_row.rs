//! One mirror in a line: its state, its lag, its times and its last runs.

use chrono_tz::Tz;

use crate::{
    status::{MirrorStatus, RunState, State, format::bytes},
    store::RunResult,
    web::{
        locales::{Language, Moment, words::Words},
        pages::{
            page_request::{Visit, mirror_path},
            run_strip::{self, Strip},
        },
    },
};

/// A word with a sign and a colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Badge {
    pub(crate) class: &'static str,
    pub(crate) sign: &'static str,
    pub(crate) text: &'static str,
}

/// Lag: the bound that matters, and the other one.
#[derive(Debug)]
pub(crate) struct LagText {
    pub(crate) class: &'static str,
    pub(crate) main: String,
    pub(crate) other: Option<String>,
    pub(crate) title: String,
}

/// One mirror.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) state: Badge,
    /// What else is to be known of its state.
    pub(crate) flags: Vec<&'static str>,
    pub(crate) lag: LagText,
    pub(crate) success: Option<Moment>,
    /// The last attempt, where it was no success: in words, its result, and when it was.
    pub(crate) attempt: Option<(String, String, Moment)>,
    pub(crate) next: Option<Moment>,
    pub(crate) behind: u64,
    /// None where it is not known.
    pub(crate) size: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) strip: Strip,
}

impl Row {
    /// A mirror as it stands at `now`.
    pub(crate) fn new(mirror: &MirrorStatus, visit: &Visit, now: i64, zone: Tz) -> Self {
        let (language, words) = (visit.language, visit.words());
        let moment = |at: i64| language.moment(at, now, zone);
        Self {
            name: mirror.name.to_string(),
            href: visit.link(&mirror_path(&mirror.name), &[]),
            state: badge(mirror.state, words),
            flags: flags(mirror, now)
                .iter()
                .map(|flag| flag.word(words))
                .collect(),
            lag: LagText::of(mirror, language),
            success: mirror.last_success.map(moment),
            attempt: attempt(mirror, words, moment),
            next: mirror.next_run.map(moment),
            behind: mirror.behind_tags(),
            size: (mirror.size_bytes > 0).then(|| bytes(mirror.size_bytes)),
            reason: reason(mirror),
            strip: Strip::new(&mirror.runs, language, zone),
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
            .accepted(&language.duration(mirror.max_lag_seconds));
        lag
    }

    /// Since when something differs, if it does, and since when everything may.
    pub(crate) fn new(behind: Option<i64>, upper: Option<i64>, language: Language) -> Self {
        let words = language.words();
        let equal = match upper {
            Some(upper) => words.mirror.equal_ago(&language.duration(upper)),
            None => words.mirror.never_equal.into(),
        };
        let (class, main, other) = match behind {
            None => ("", equal, None),
            Some(lag) => {
                let lag = words.mirror.behind_for(&language.duration(lag));
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

/// What may be said of a mirror beside its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    Late,
    Running,
    Stale,
    Paused,
}

impl Flag {
    /// The word for it.
    pub(crate) fn word(self, words: &'static Words) -> &'static str {
        match self {
            Self::Late => words.state.late,
            Self::Running => words.state.running,
            Self::Stale => words.state.stale,
            Self::Paused => words.state.paused,
        }
    }
}

/// What is to be said of a mirror beside its state.
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

/// The sign, the colour and the word of a state.
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

/// The word for a state.
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
pub(crate) fn reason(mirror: &MirrorStatus) -> Option<String> {
    if mirror.state == State::InSync {
        return None;
    }
    let of_tag = || mirror.behind.iter().find_map(|tag| tag.message.clone());
    mirror.last_error.clone().or_else(of_tag)
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
