//! What a sync did, in a few lines.

use std::collections::BTreeMap;

use super::text;
use crate::sync::{Counts, Failure, MirrorReport, RunReport, RunResult};

/// References named under one message.
const NAMED: usize = 3;

/// Prints a line a mirror, what failed and why, and the sums.
pub(super) fn print(report: &RunReport) -> anyhow::Result<()> {
    let width = report
        .mirrors
        .iter()
        .map(|mirror| mirror.name.len())
        .max()
        .unwrap_or(0);
    for mirror in &report.mirrors {
        let name = &mirror.name;
        text::line(&format!(
            "{name:width$}  {}",
            tags(mirror.result, &mirror.counts)
        ))?;
        print_failures(mirror)?;
    }
    let counts = &report.totals.counts;
    let blobs = &counts.blobs;
    let took = std::time::Duration::from_secs_f64(report.totals.duration_seconds);
    let took =
        std::time::Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    text::line(&format!(
        "{}; sent {} in {}, saved {} by dedup ({} mounted, {} present); {}",
        tags(report.result(), counts),
        text::bytes(counts.bytes.uploaded),
        text::count(blobs.copied, "blob"),
        text::bytes(counts.bytes.saved),
        blobs.mounted,
        blobs.present,
        humantime::format_duration(took),
    ))
}

fn tags(result: RunResult, counts: &Counts) -> String {
    let tags = &counts.tags;
    let mut parts = vec![
        format!("{} copied", tags.copied),
        format!("{} unchanged", tags.unchanged),
    ];
    if tags.failed > 0 {
        parts.push(format!("{} failed", tags.failed));
    }
    if tags.orphaned > 0 {
        parts.push(format!("{} no longer at the source", tags.orphaned));
    }
    format!("{}: {}", result.as_str(), parts.join(", "))
}

/// One line a message, however many tags it struck.
fn print_failures(mirror: &MirrorReport) -> anyhow::Result<()> {
    let mut by_message: BTreeMap<String, Vec<&Failure>> = BTreeMap::new();
    for failure in &mirror.errors {
        let message = format!("{} ({})", failure.message, failure.class);
        by_message.entry(message).or_default().push(failure);
    }
    for (message, failures) in by_message {
        let named: Vec<&str> = failures
            .iter()
            .take(NAMED)
            .map(|f| f.reference.as_str())
            .collect();
        let more = match failures.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        text::line(&format!(
            "  failed {}{more}\n    {message}",
            named.join(", ")
        ))?;
    }
    Ok(())
}
