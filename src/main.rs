//! The program: parse, run.

use std::process::ExitCode;

use transship::cli;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::parse() {
        Ok(arguments) => cli::run(arguments).await.into(),
        Err(exit) => exit,
    }
}
