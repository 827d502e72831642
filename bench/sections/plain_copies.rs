//! Copies on loopback: the usual corpus, and one very large layer.

use super::{describe, describe_runs, report_medians};
use crate::options::{Options, Section};
use crate::stage::{Lines, Stage, link_check};
use crate::support::net::link::LinkQuality;
use crate::table::{Row, report::Report};

/// An empty target, one that is up to date, and one that is nearly so.
pub fn loopback(options: &Options, report: &mut Report) {
    let of_loopback = [Section::Cold, Section::Unchanged, Section::Moved];
    if !of_loopback.iter().any(|section| options.measures(*section)) {
        return;
    }
    let words = format!(
        "{} The target is behind a counter. {}{}",
        describe(options.shape()),
        link_check::describe(LinkQuality::default()),
        describe_runs(options)
    );
    report.section("Loopback", &words);
    for tool in options.tools() {
        report_medians(options, report, || {
            let mut stage = Stage::with(options.shape(), tool, Lines::default(), options);
            let mut rows = vec![stage.run("cold")];
            if options.measures(Section::Unchanged) {
                rows.push(stage.run("unchanged"));
            }
            if options.measures(Section::Moved) {
                rows.extend(changes(&mut stage));
            }
            rows
        });
    }
}

/// Some tags move, then some images are added.
pub fn changes(stage: &mut Stage) -> [Row; 2] {
    stage.move_tags();
    let moved = stage.run("1 % moved");
    stage.add_images();
    [moved, stage.run("10 % new")]
}

/// One very large layer, and a process that is killed on the way.
pub fn large(options: &Options, report: &mut Report) {
    let size = options.large_bytes();
    let words = format!(
        "One image with a layer of {} MiB, on loopback; then the same, but the process is killed at random moments of \
         the upload and started again; last the same with a target that keeps what arrives of a request that breaks, as the \
         specification has it, over plain HTTP. docker-registry refuses a session in which one broke.",
        size >> 20
    );
    report.section("A large layer", &words);
    for tool in options.tools_of_hard_sections() {
        let stage = || Stage::with_a_large_layer(size, tool, Lines::default(), options);
        report.rows(&[stage().run("cold")]);
        let case = format!("cold, killed {} times", options.kills);
        report.rows(&[stage().run_with_kills(options.kills, &case)]);
        let case = format!("{case}, kept");
        report.rows(&[stage().keeping().run_with_kills(options.kills, &case)]);
    }
}
