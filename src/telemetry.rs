//! Sets logging up, once, for the whole process.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use tracing_subscriber::{EnvFilter, fmt};

/// Where log lines go.
pub type LogWriter = fmt::writer::BoxMakeWriter;

/// Starts to log to `writer` at `level`; `RUST_LOG` overrules the level.
pub fn init(level: &str, writer: LogWriter) {
    let default = format!("transship={level},warn");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = fmt::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer);
    // The journal has the time already. A second call, as a test harness may make, keeps the first.
    let _ = match env::var_os("JOURNAL_STREAM") {
        Some(_) => lines.without_time().try_init(),
        None => lines.try_init(),
    };
}
