//! Draws the last runs of a mirror as a strip of marks, which differ in shape and in colour.

use chrono_tz::Tz;

use crate::{
    locales::{Language, words::Words},
    status::{self, RunMark, RunState},
    store::RunResult,
};

/// Distance of two marks in pixels.
const STEP: usize = 6;

/// The last runs, oldest first.
#[derive(Debug)]
pub(crate) struct RunStrip {
    pub(crate) label: String,
    pub(crate) width: usize,
    pub(crate) marks: Vec<StripMark>,
}

/// One run.
#[derive(Debug)]
pub(crate) struct StripMark {
    pub(crate) x: usize,
    /// The name of its shape.
    pub(crate) kind: &'static str,
    pub(crate) title: String,
}

/// A shape with its meaning. Marks refer to it by name.
#[derive(Debug)]
pub(crate) struct RunShape {
    pub(crate) kind: &'static str,
    /// Its outline, in a box of 5 by 16 pixels.
    pub(crate) outline: &'static str,
    pub(crate) meaning: &'static str,
}

/// The outcome of a run, as a mark shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunMarkKind {
    Idle,
    Copied,
    Partial,
    Failed,
    Unfinished,
}

const KINDS: [RunMarkKind; 5] = [
    RunMarkKind::Idle,
    RunMarkKind::Copied,
    RunMarkKind::Partial,
    RunMarkKind::Failed,
    RunMarkKind::Unfinished,
];

impl RunStrip {
    /// The strip of these runs.
    pub(crate) fn new(runs: &[RunMark], language: Language, zone: Tz) -> Self {
        let mark = |(at, run): (usize, &RunMark)| StripMark {
            x: at * STEP,
            kind: RunMarkKind::of(run).name(),
            title: title(run, language.words(), zone),
        };
        Self {
            label: language.words().run.strip(runs.len() as u64),
            width: runs.len() * STEP,
            marks: runs.iter().enumerate().map(mark).collect(),
        }
    }
}

/// Every shape.
pub(crate) fn shapes(words: &'static Words) -> Vec<RunShape> {
    let shapes = KINDS.into_iter().map(|kind| RunShape {
        kind: kind.name(),
        outline: kind.outline(),
        meaning: kind.meaning(words),
    });
    shapes.collect()
}

/// The word for how a run ended, or that it runs.
pub(crate) fn result(result: RunState, words: &'static Words) -> &'static str {
    match result {
        RunState::Ended(RunResult::Ok) => words.run.ok,
        RunState::Ended(RunResult::Partial) => words.run.partial,
        RunState::Ended(RunResult::Failed) => words.run.failed,
        RunState::Ended(RunResult::Interrupted) => words.run.interrupted,
        RunState::Unfinished | RunState::Running => words.state.running,
    }
}

fn title(run: &RunMark, words: &'static Words, zone: Tz) -> String {
    let time = status::format::time(run.started_at, zone);
    let result = result(run.result, words);
    match run.finished_at {
        Some(_) => {
            let counts = words.run.counts(run.copied, run.failed);
            format!("{time}: {result}{}{counts}", words.overview.comma)
        }
        None => format!("{time}: {result}"),
    }
}

impl RunMarkKind {
    fn of(run: &RunMark) -> Self {
        match run.result {
            RunState::Ended(RunResult::Ok) if run.copied == 0 => Self::Idle,
            RunState::Ended(RunResult::Ok) => Self::Copied,
            RunState::Ended(RunResult::Partial) => Self::Partial,
            RunState::Ended(RunResult::Failed) => Self::Failed,
            RunState::Ended(RunResult::Interrupted) | RunState::Unfinished | RunState::Running => {
                Self::Unfinished
            }
        }
    }

    fn meaning(self, words: &'static Words) -> &'static str {
        match self {
            Self::Idle => words.run.was_idle,
            Self::Copied => words.run.was_copied,
            Self::Partial => words.run.was_partial,
            Self::Failed => words.run.was_failed,
            Self::Unfinished => words.run.was_unfinished,
        }
    }

    /// Its name in the page and in the style sheet.
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Copied => "good",
            Self::Partial => "warning",
            Self::Failed => "bad",
            Self::Unfinished => "open",
        }
    }

    /// Its SVG path: low, full, split, a cross, a frame.
    fn outline(self) -> &'static str {
        match self {
            Self::Idle => "M0 11h5v5h-5z",
            Self::Copied => "M0 0h5v16h-5z",
            Self::Partial => "M0 0h5v6h-5zM0 10h5v6h-5z",
            Self::Failed => "M0 1h1.7l.8 4 .8-4h1.7l-1.5 7 1.5 7h-1.7l-.8-4-.8 4h-1.7l1.5-7z",
            Self::Unfinished => "M0 7h5v9h-5zM1.3 8.3v6.4h2.4v-6.4z",
        }
    }
}

#[cfg(test)]
mod tests;
