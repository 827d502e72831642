//! Very many tags, and how the work grows with them.

use super::describe;
use crate::options::Options;
use crate::stage::corpus::Shape;
use crate::stage::{Lines, Stage};
use crate::table::report::Report;
use crate::tools::Tool;

/// Very many tags with next to no bytes.
pub fn tiny(options: &Options, report: &mut Report) {
    let shape = options.tiny_shape();
    report.section("Many tags", &describe(shape));
    for tool in options.tools_of_hard_sections() {
        let mut stage = Stage::with(shape, tool, Lines::default(), options);
        report.rows(&[stage.run("cold")]);
        report.rows(&[stage.run("unchanged")]);
    }
}

/// N tags and ten times as many.
pub fn scale(options: &Options, report: &mut Report) {
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
    let mut stage = Stage::with(shape, tool, Lines::default(), options);
    for case in ["cold", "unchanged"] {
        report.rows(&[stage.run(&format!("{} tags, {case}", shape.tags))]);
    }
}
