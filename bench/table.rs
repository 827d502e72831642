//! What was measured, as tables in Markdown, and the machine that it was measured on.

use std::fs;
use std::process::Command;

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

/// The tables of a run of the benchmark; each row is also printed as soon as it is there.
#[derive(Default)]
pub struct Report {
    text: String,
    wrong: Vec<String>,
}

impl Report {
    /// Begins a section with a table.
    pub fn section(&mut self, title: &str, words: &str) {
        self.say(&format!("\n## {title}\n\n{words}\n\n{HEAD}"));
    }

    pub fn row(&mut self, row: &Row) {
        self.say(&row.markdown());
        if row.is_wrong() {
            self.wrong.push(row.case.clone());
        }
    }

    /// Takes note of what must not be.
    pub fn fail(&mut self, what: &str) {
        self.wrong.push(what.to_owned());
    }

    pub fn say(&mut self, text: &str) {
        print!("{text}");
        self.text.push_str(text);
    }

    /// The cases in which transship failed or a tag of its target is not the source's.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The machine, the day and the tools.
pub fn describe_machine(tools: &[Tool]) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(|| "?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let (processor, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let kib: f64 = value(&memory, "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut lines = vec![
        format!("- {}", chrono::Local::now().format("%Y-%m-%d %H:%M %Z")),
        format!(
            "- {cores} cores, {}; {:.0} GiB of memory; Linux {}",
            value(&processor, "model name"),
            kib / MIB,
            read("/proc/sys/kernel/osrelease").trim()
        ),
        format!("- source and target: {}", registry_version()),
    ];
    let versions = tools.iter().map(|tool| format!("- {}", tool.version()));
    lines.extend(versions);
    lines.join("\n")
}

fn registry_version() -> String {
    let output = Command::new("docker-registry").arg("--version").output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().to_owned()
}
