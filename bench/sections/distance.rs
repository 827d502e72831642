//! Copies over a long link: before the target, before the source, with faults, and of one huge layer.

use super::{describe, describe_runs, plain_copies::changes, report_medians};
use crate::options::Options;
use crate::process::End;
use crate::stage::{Lines, Stage, link_check};
use crate::support::net::link::LinkQuality;
use crate::table::report::Report;
use crate::tools::Tool;

/// The usual corpus over a long link before the target.
pub fn link(options: &Options, report: &mut Report) {
    let weather = options.long_link();
    let words = format!(
        "{} The target is behind a link of {}. {}{}",
        describe(options.shape()),
        options.describe_link(),
        link_check::describe(weather),
        describe_runs(options)
    );
    report.section("A long link", &words);
    for tool in options.tools() {
        report_medians(options, report, || {
            let lines = Lines::before_target(weather);
            let mut stage = Stage::with(options.shape(), tool, lines, options);
            let mut rows = vec![stage.run("cold"), stage.run("unchanged")];
            rows.extend(changes(&mut stage));
            rows
        });
    }
}

/// The same link before the source: the usual corpus, images with next to no bytes, and very many tags that have not changed.
pub fn far(options: &Options, report: &mut Report) {
    let (weather, few) = (options.long_link(), options.few_tiny_shape());
    let many = options.tiny_shape();
    let words = format!(
        "The source is behind a link of {}. {} Then: {} Last, over loopback until all is there: {}{}",
        options.describe_link(),
        describe(options.shape()),
        describe(few),
        describe(many),
        describe_runs(options)
    );
    report.section("A far source", &words);
    let lines = Lines::before_source(weather);
    for tool in options.tools() {
        report_medians(options, report, || {
            let mut stage = Stage::with(options.shape(), tool, lines, options);
            vec![stage.run("cold"), stage.run("unchanged")]
        });
    }
    for tool in options.tools_of_hard_sections() {
        report_medians(options, report, || {
            let case = |what: &str| format!("{} tags, {what}", few.tags);
            let mut stage = Stage::with(few, tool, lines, options);
            vec![stage.run(&case("cold"))]
        });
        report_medians(options, report, || {
            let near = Lines::before_source(LinkQuality::default());
            let mut stage = Stage::with(many, tool, near, options);
            stage.run("fill");
            stage.set_source_link(weather);
            vec![stage.run(&format!("{} tags, unchanged", many.tags))]
        });
    }
}

/// The usual corpus over a link before the target, with faults.
pub fn lossy(options: &Options, report: &mut Report) {
    let words = format!(
        "{} The target is behind a link of {}, with {}. A run that fails is followed by another, ten at most.{}",
        describe(options.shape()),
        options.describe_link(),
        options.describe_faults(),
        describe_runs(options)
    );
    report.section("A long and lossy link", &words);
    for tool in options.tools_of_hard_sections() {
        report_medians(options, report, || {
            let lines = Lines::before_target(options.lossy_link());
            let mut stage = Stage::with(options.shape(), tool, lines, options);
            let mut rows = vec![stage.run_until_well("cold")];
            // Otherwise it would only go on.
            if rows[0].usage.end == End::Well {
                rows.push(stage.run_until_well("unchanged"));
            }
            rows
        });
    }
}

/// One huge layer over a link that gives a single connection a part of its rate.
pub fn huge(options: &Options, report: &mut Report) {
    let (size, weather) = (options.huge_bytes(), options.long_link());
    let words = format!(
        "One image with a layer of {} MiB. The source, then the target, is behind a link of {}.{}",
        size >> 20,
        options.describe_link(),
        describe_runs(options)
    );
    report.section("A huge layer", &words);
    let run = |tool: Tool, lines: Lines, case: &str| {
        Stage::with_a_large_layer(size, tool, lines, options).run(case)
    };
    for tool in options.tools_of_hard_sections() {
        let (source, target) = (Lines::before_source(weather), Lines::before_target(weather));
        report_medians(options, report, || {
            vec![
                run(tool, source, "link before the source"),
                run(tool, target, "link before the target"),
            ]
        });
    }
}
