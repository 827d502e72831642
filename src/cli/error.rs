//! How a command that cannot do its work reports it, to people and to programs.

use std::{borrow::Cow, net::SocketAddr};

use serde::Serialize;

use crate::{
    cli::{Exit, import::Unreadable, output, setup::backup::NoCopy},
    config::{self, ProblemRecord},
    coordination::database,
    daemon, store,
};

const FIRST_RUN: &str = "run `transship serve`, or `transship sync` once";
const START_DAEMON: &str = "is it running? see `systemctl status transship`";

/// Why a command does not do its work, where no module below has an error for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The command line names something that is not there.
    #[error("{0}")]
    Usage(String),
    /// The command line or the file does not fit, and this is what would.
    #[error("{message}\n  help: {remedy}")]
    Mistake {
        /// What is wrong.
        message: String,
        /// What to do.
        remedy: String,
    },
    /// The daemon does not answer.
    #[error("ask the daemon at {address}: {error}\n  help: {START_DAEMON}")]
    NoDaemon {
        /// Where it should be.
        address: SocketAddr,
        /// Why there is no answer.
        error: reqwest::Error,
    },
    /// Nothing is known yet.
    #[error("{said}: no store at {path}\n  help: {FIRST_RUN}")]
    NoStore {
        /// What that means for the command.
        said: &'static str,
        /// Where the store would be.
        path: String,
    },
    /// A signal asked it to end, twice.
    #[error("ended at once, as you asked twice")]
    Interrupted,
}

impl Refusal {
    pub(crate) fn mistake(message: String, remedy: impl Into<String>) -> Self {
        let remedy = remedy.into();
        Self::Mistake { message, remedy }
    }

    fn remedy(&self) -> Option<&str> {
        match self {
            Self::Mistake { remedy, .. } => Some(remedy),
            Self::NoStore { .. } => Some(FIRST_RUN),
            Self::NoDaemon { .. } => Some(START_DAEMON),
            Self::Usage(_) | Self::Interrupted => None,
        }
    }
}

/// A failure for programs. `check` adds to it, the other commands print only this.
#[derive(Debug, Serialize)]
pub(crate) struct CommandFailure {
    pub(crate) error: String,
    class: &'static str,
    pub(crate) remedy: Option<String>,
    problems: Vec<ProblemRecord>,
}

impl CommandFailure {
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let (text, problems) = match config_error(error) {
            Some(config::Error::Invalid(report)) => (report.verdict(), report.records()),
            _ => (format!("{error:#}"), Vec::new()),
        };
        let remedy = remedy(error).map(Cow::into_owned);
        // The text has the remedy in a line of its own, at its end.
        let line = remedy.as_ref().map(|remedy| format!("\n  help: {remedy}"));
        let message = line.and_then(|line| text.strip_suffix(&line).map(String::from));
        Self {
            error: message.unwrap_or(text),
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

/// Reports an error to people, on standard error. Returns the exit status that it stands for.
pub(crate) fn tell(error: &anyhow::Error) -> Exit {
    eprintln!("{error:#}");
    match class(error) {
        "config" => Exit::Config,
        "usage" => Exit::Usage,
        _ => Exit::AllFailed,
    }
}

/// What to do about an error.
fn remedy(error: &anyhow::Error) -> Option<Cow<'_, str>> {
    if let Some(error) = error.downcast_ref::<daemon::Error>() {
        error.remedy()
    } else if let Some(error) = error.downcast_ref::<store::Error>() {
        Some(error.remedy())
    } else if let Some(error) = error.downcast_ref::<database::Error>() {
        Some(error.remedy())
    } else if let Some(error) = error.downcast_ref::<daemon::LockError>() {
        Some(error.remedy().into())
    } else if let Some(error) = error.downcast_ref::<config::Error>() {
        error.remedy().map(Cow::Borrowed)
    } else if let Some(error) = error.downcast_ref::<NoCopy>() {
        Some(error.remedy().into())
    } else if let Some(error) = error.downcast_ref::<Unreadable>() {
        Some(error.remedy().into())
    } else {
        let refusal = error.downcast_ref::<Refusal>()?;
        refusal.remedy().map(Cow::Borrowed)
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
        (Some(Refusal::Usage(_) | Refusal::Mistake { .. }), _) => "usage",
        (Some(Refusal::Interrupted), _) => "interrupted",
        (Some(Refusal::NoStore { .. }), _) | (_, Some(Lock(_) | Store(_))) => "store",
        _ if is_of_store => "store",
        _ => "other",
    }
}
