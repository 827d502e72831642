//! How a command that cannot do its work says so, to people and to programs.

use serde::Serialize;

use crate::{
    cli::{Exit, import::Unreadable, output},
    config::{self, ProblemRecord},
    daemon, store,
};

/// Why a command does not do its work, where no module below has an error for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The command line names something that is not there.
    #[error("{0}")]
    Usage(String),
    /// Nothing is known yet.
    #[error("{said}: no store at {path}\n  help: run `transship serve`, or `transship sync` once")]
    NoStore {
        /// What that means for the command.
        said: &'static str,
        /// Where the store would be.
        path: String,
    },
    /// It was told to end, twice.
    #[error("ended at once, as you asked twice")]
    Interrupted,
}

/// A failure for programs: `check` adds to it, and the other commands print it alone.
#[derive(Debug, Serialize)]
pub(crate) struct CommandFailure {
    error: String,
    class: &'static str,
    remedy: Option<String>,
    problems: Vec<ProblemRecord>,
}

impl CommandFailure {
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let (told, problems) = match config_error(error) {
            Some(config::Error::Invalid(report)) => (report.verdict(), report.records()),
            _ => (format!("{error:#}"), Vec::new()),
        };
        // Every error has its remedy in a line of its own.
        let (message, remedy) = match told.split_once("\n  help: ") {
            Some((message, remedy)) => (message.to_owned(), Some(remedy.to_owned())),
            None => (told, None),
        };
        Self {
            error: message,
            class: class(error),
            remedy,
            problems,
        }
    }
}

/// Prints an error for programs, on standard output.
pub(crate) fn print(error: &anyhow::Error) {
    // Nothing can be done about an output that takes no text.
    let _ = output::json(&CommandFailure::of(error));
}

/// Tells people of an error, on standard error; the exit status that it stands for.
pub(crate) fn tell(error: &anyhow::Error) -> Exit {
    eprintln!("{error:#}");
    match class(error) {
        "config" => Exit::Config,
        "usage" => Exit::Usage,
        _ => Exit::AllFailed,
    }
}

fn config_error(error: &anyhow::Error) -> Option<&config::Error> {
    match error.downcast_ref() {
        Some(daemon::Error::Config(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

/// The kind of an error in a word.
fn class(error: &anyhow::Error) -> &'static str {
    use daemon::Error::{Lock, Store};
    let is_of_store = error.is::<store::Error>() || error.is::<daemon::LockError>();
    match (error.downcast_ref(), error.downcast_ref()) {
        _ if config_error(error).is_some() || error.is::<Unreadable>() => "config",
        (Some(Refusal::Usage(_)), _) => "usage",
        (Some(Refusal::Interrupted), _) => "interrupted",
        (Some(Refusal::NoStore { .. }), _) | (_, Some(Lock(_) | Store(_))) => "store",
        _ if is_of_store => "store",
        _ => "other",
    }
}
