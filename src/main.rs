//! The program: parse, run, print the error chain.

use std::process::ExitCode;

use transship::cli;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    match cli::run(arguments).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("{error:#}");
            cli::exit_of(&error).into()
        }
    }
}
