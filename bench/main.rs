//! The benchmark: transship, and other tools that are installed, between two real registries on this machine.
//!
//! `bench/run` starts it; `bench/README.md` says what it measures.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod options;
mod process;
mod sections;
mod stage;
#[allow(dead_code, unused_imports, reason = "the tests use all of it")]
#[path = "../tests/e2e/support/mod.rs"]
mod support;
mod table;
mod tools;

use std::process::ExitCode;

use options::Options;
use table::{machine, report::Report};

fn main() -> ExitCode {
    let options = Options::read();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("bench/run {}", arguments.join(" "));
    let machine = machine::describe(&options.tools());
    println!("{machine}");
    let mut report = Report::new(command.replace(" --bench", "").trim().to_owned());
    sections::run(&options, &mut report);
    if options.write {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/RESULTS.md");
        report.write(path, &machine);
    }
    if report.wrong().is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("transship left work undone: {}", report.wrong().join(", "));
    ExitCode::FAILURE
}
