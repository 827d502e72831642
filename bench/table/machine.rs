//! The machine and the programs that are measured.

use std::fs;
use std::process::Command;

use crate::tools::Tool;

const MIB: f64 = 1_048_576.0;

/// The machine and the programs.
pub fn describe(tools: &[Tool]) -> String {
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

/// Processes that ran or waited to run in the last minute, on average.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

fn registry_version() -> String {
    let output = Command::new("docker-registry").arg("--version").output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().to_owned()
}
