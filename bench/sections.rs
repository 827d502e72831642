//! The parts of the benchmark, in the order in which they are measured.

use crate::corpus::Shape;
use crate::gateway::gateway;
use crate::link_check;
use crate::options::{Options, Section};
use crate::process::End;
use crate::stage::Stage;
use crate::support::net::link::LinkQuality;
use crate::table::Report;
use crate::tools::Tool;

/// Measures a section.
type Part = fn(&Options, &mut Report);

/// Measures what the options name.
pub fn run(options: &Options, report: &mut Report) {
    loopback(options, report);
    let parts: [(Section, Part); 6] = [
        (Section::Link, link),
        (Section::Lossy, lossy),
        (Section::Tiny, tiny),
        (Section::Large, large),
        (Section::Scale, scale),
        (Section::Gateway, gateway),
    ];
    for (section, part) in parts {
        if options.measures(section) {
            part(options, report);
        }
    }
}

fn loopback(options: &Options, report: &mut Report) {
    let of_loopback = [Section::Cold, Section::Unchanged, Section::Moved];
    if !of_loopback.iter().any(|section| options.measures(*section)) {
        return;
    }
    let words = format!(
        "{} The target is behind a counter. {}",
        describe(options.shape()),
        link_check::describe(LinkQuality::default())
    );
    report.section("Loopback", &words);
    for tool in options.tools() {
        let mut stage = Stage::with(options.shape(), tool, LinkQuality::default(), options);
        report.row(&stage.run("cold"));
        if options.measures(Section::Unchanged) {
            report.row(&stage.run("unchanged"));
        }
        if options.measures(Section::Moved) {
            changes(&mut stage, report);
        }
    }
}

fn link(options: &Options, report: &mut Report) {
    let weather = options.long_link();
    let words = format!(
        "{} The target is behind a link of {}. {}",
        describe(options.shape()),
        options.describe_link(),
        link_check::describe(weather)
    );
    report.section("A long link", &words);
    for tool in options.tools() {
        let mut stage = Stage::with(options.shape(), tool, weather, options);
        report.row(&stage.run("cold"));
        report.row(&stage.run("unchanged"));
        changes(&mut stage, report);
    }
}

fn changes(stage: &mut Stage, report: &mut Report) {
    stage.move_tags();
    report.row(&stage.run("1 % moved"));
    stage.add_images();
    report.row(&stage.run("10 % new"));
}

fn lossy(options: &Options, report: &mut Report) {
    let words = format!(
        "{} The target is behind a link of {}, with {}. A run that fails is followed by another, ten at most.",
        describe(options.shape()),
        options.describe_link(),
        options.describe_faults()
    );
    report.section("A long and lossy link", &words);
    for tool in options.tools_of_hard_sections() {
        let mut stage = Stage::with(options.shape(), tool, options.lossy_link(), options);
        let cold = stage.run_until_well("cold");
        report.row(&cold);
        // Otherwise it would only go on.
        if cold.usage.end == End::Well {
            report.row(&stage.run_until_well("unchanged"));
        }
    }
}

fn tiny(options: &Options, report: &mut Report) {
    let shape = options.tiny_shape();
    report.section("Many tags", &describe(shape));
    for tool in options.tools_of_hard_sections() {
        let mut stage = Stage::with(shape, tool, LinkQuality::default(), options);
        report.row(&stage.run("cold"));
        report.row(&stage.run("unchanged"));
    }
}

fn large(options: &Options, report: &mut Report) {
    let size = options.large_bytes();
    let words = format!(
        "One image with a layer of {} MiB, on loopback; then the same, but the process is killed at random moments of \
         the upload and started again; last the same with a target that keeps what arrives of a request that breaks, as the \
         specification has it. docker-registry refuses a session in which one broke.",
        size >> 20
    );
    report.section("A large layer", &words);
    for tool in options.tools_of_hard_sections() {
        let mut stage = Stage::with_a_large_layer(size, tool, options);
        report.row(&stage.run("cold"));
        drop(stage);
        let mut stage = Stage::with_a_large_layer(size, tool, options);
        let case = format!("cold, killed {} times", options.kills);
        report.row(&stage.run_with_kills(options.kills, &case));
        drop(stage);
        let mut stage = Stage::with_a_large_layer(size, tool, options).keeping();
        let case = format!("{case}, kept");
        report.row(&stage.run_with_kills(options.kills, &case));
    }
}

fn scale(options: &Options, report: &mut Report) {
    let shape = options.light_shape();
    let words = format!("{} Then ten times the tags.", describe(shape));
    report.section("Scale", &words);
    for tool in options.tools_of_hard_sections() {
        one_size(shape, tool, options, report);
        let tags = 10 * shape.tags;
        one_size(Shape { tags, ..shape }, tool, options, report);
    }
}

fn one_size(shape: Shape, tool: Tool, options: &Options, report: &mut Report) {
    let mut stage = Stage::with(shape, tool, LinkQuality::default(), options);
    for case in ["cold", "unchanged"] {
        report.row(&stage.run(&format!("{} tags, {case}", shape.tags)));
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
