//! The program: parse, run.

use std::process::ExitCode;

use transship::cli::{self, Arguments};

/// Threads start only for a command: `--version`, `--help` and mistakes need none.
fn main() -> ExitCode {
    match cli::parse() {
        Ok(arguments) => run(arguments),
        Err(exit) => exit,
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> ExitCode {
    cli::run(arguments).await.into()
}
