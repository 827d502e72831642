//! The parts of the benchmark, in the order in which they are measured.

mod cluster;
mod distance;
mod gateway;
mod growth;
mod many_tags;
mod plain_copies;
mod pods;

use crate::options::{Options, Section};
use crate::stage::corpus::Shape;
use crate::table::{Row, report::Report};

/// Measures a section.
type Part = fn(&Options, &mut Report);

/// Measures what the options name.
pub fn run(options: &Options, report: &mut Report) {
    plain_copies::loopback(options, report);
    let parts: [(Section, Part); 11] = [
        (Section::Link, distance::link),
        (Section::Far, distance::far),
        (Section::Lossy, distance::lossy),
        (Section::Huge, distance::huge),
        (Section::Tiny, many_tags::tiny),
        (Section::Large, plain_copies::large),
        (Section::Scale, many_tags::scale),
        (Section::Growth, growth::growth),
        (Section::Gateway, gateway::gateway),
        (Section::Pods, pods::pods),
        (Section::Cluster, cluster::cluster),
    ];
    for (section, part) in parts {
        if options.measures(section) {
            part(options, report);
        }
    }
}

/// Runs the cases of a stage as often as the options say, each time from the beginning, and reports the median of each.
fn report_medians(options: &Options, report: &mut Report, cases: impl Fn() -> Vec<Row>) {
    let mut of_case: Vec<Vec<Row>> = Vec::new();
    for _ in 0..options.runs {
        for (at, row) in cases().into_iter().enumerate() {
            if of_case.len() == at {
                of_case.push(Vec::new());
            }
            of_case[at].push(row);
        }
    }
    let rows: Vec<Row> = of_case.into_iter().map(Row::median).collect();
    report.rows(&rows);
}

/// A sentence about the runs behind a row, where there are several.
fn describe_runs(options: &Options) -> String {
    match options.runs {
        1 => String::new(),
        runs => format!(" Each row is the median of {runs} runs."),
    }
}

fn describe(shape: Shape) -> String {
    let Shape {
        tags,
        repositories,
        platforms,
        layer_bytes,
        ..
    } = shape;
    let layers = shape.common_layers + shape.repository_layers;
    format!(
        "{tags} tags in {repositories} repositories, {platforms} platform(s) each, {layers} shared layers of {} KiB.",
        layer_bytes >> 10
    )
}
