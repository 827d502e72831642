//! Sets logging up, once, for the whole process.

mod journal;

use std::{
    env,
    io::{self, IsTerminal as _},
};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::telemetry::journal::JournalLayer;

/// Where log lines go.
pub type LogWriter = fmt::writer::BoxMakeWriter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Starts to log to `writer` at `level`. `RUST_LOG` overrides the level.
pub fn init(level: &str, format: LogFormat, writer: LogWriter) {
    let default = format!("transship={level},warn");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    if format == LogFormat::Text
        && let Some(journal) = JournalLayer::of_stderr()
    {
        // A second call, as a test harness may make, keeps the first.
        let _ = tracing_subscriber::registry()
            .with(filter)
            .with(journal)
            .try_init();
        return;
    }
    let lines = fmt::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal() && format == LogFormat::Text)
        .with_writer(writer);
    // A second call, as a test harness may make, keeps the first.
    let _ = match (format, env::var_os("JOURNAL_STREAM")) {
        (LogFormat::Json, _) => lines.json().flatten_event(true).try_init(),
        // The journal has the time already.
        (LogFormat::Text, Some(_)) => lines.without_time().try_init(),
        (LogFormat::Text, None) => lines.try_init(),
    };
}
