//! What was measured, as rows of tables in Markdown.

pub mod machine;
pub mod report;
mod results;

use crate::process::{End, Usage};
use crate::support::net::link::Crossed;
use crate::tools::Tool;

const MIB: f64 = 1_048_576.0;

const HEAD: &str = "\
| case | tool | seconds | × link | CPU s | peak MiB | requests to source | requests to target | MiB from source \
| MiB to target | sent ÷ new | tags right |
| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
";

/// One errand of one tool.
#[derive(Clone, Debug)]
pub struct Row {
    pub case: String,
    pub tool: Tool,
    pub usage: Usage,
    pub source_requests: usize,
    pub target_requests: usize,
    pub source_bytes: u64,
    pub crossed: Crossed,
    /// Bytes of blobs that the target did not have.
    pub new_bytes: u64,
    /// Bytes per second of the whole link.
    pub link_rate: Option<u64>,
    pub right_tags: usize,
    pub tags: usize,
}

impl Row {
    /// Whether transship did not do what it is for.
    pub fn is_wrong(&self) -> bool {
        let is_done = self.usage.end == End::Well && self.right_tags == self.tags;
        self.tool == Tool::Transship && !is_done
    }

    /// The row in the middle of several of one case, by seconds; one that is wrong comes before all others.
    pub fn median(mut rows: Vec<Self>) -> Self {
        rows.sort_by(|a, b| a.usage.seconds.total_cmp(&b.usage.seconds));
        let wrong = rows.iter().position(Self::is_wrong);
        rows.swap_remove(wrong.unwrap_or(rows.len() / 2))
    }

    fn markdown(&self) -> String {
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / MIB);
        let ratio = |number: f64, of: f64| match of > 0.0 && number > 0.0 {
            true => format!("{:.2}", number / of),
            false => "-".to_owned(),
        };
        let new = self.new_bytes as f64;
        let limit = self.link_rate.map_or(0.0, |rate| new / rate as f64);
        let end = match self.usage.end {
            End::Well => "",
            End::Badly => " (failed)",
            End::Killed => " (killed)",
            End::Late => " (stopped)",
        };
        let cells = [
            self.case.clone(),
            self.tool.name().to_owned(),
            format!("{:.2}{end}", self.usage.seconds),
            match limit < 0.1 {
                true => "-".to_owned(),
                false => ratio(self.usage.seconds, limit),
            },
            format!("{:.2}", self.usage.processor_seconds),
            format!("{:.0}", self.usage.peak_bytes as f64 / MIB),
            self.source_requests.to_string(),
            self.target_requests.to_string(),
            mib(self.source_bytes),
            mib(self.crossed.up),
            match self.new_bytes {
                0 => "-".to_owned(),
                _ => ratio(self.crossed.up as f64, new),
            },
            match self.right_tags == self.tags {
                true => format!("all {}", self.tags),
                false => format!("**{} of {}**", self.right_tags, self.tags),
            },
        ];
        format!("| {} |\n", cells.join(" | "))
    }
}
