//! What a sync did, in a few lines.

use std::collections::BTreeMap;

use crate::{
    cli::output,
    store::RunResult,
    sync::{Counts, Failure, MirrorReport, ReferrerCounts, RunReport},
};

/// References named under one message.
const NAMED: usize = 3;

/// Prints a line a mirror, what failed and why, and the sums.
pub(crate) fn print(report: &RunReport) -> anyhow::Result<()> {
    let width = report
        .mirrors
        .iter()
        .map(|mirror| mirror.name.len())
        .max()
        .unwrap_or(0);
    for mirror in &report.mirrors {
        let name = &mirror.name;
        output::line(&format!(
            "{name:width$}  {}",
            tags(mirror.result, &mirror.counts, mirror.is_cut())
        ))?;
        print_failures(mirror)?;
    }
    let is_ok = |mirror: &MirrorReport| mirror.result == RunResult::Ok;
    let is_cut = report.mirrors.iter().any(MirrorReport::is_cut)
        && report.mirrors.iter().all(|m| is_ok(m) || m.is_cut());
    let counts = &report.totals.counts;
    let blobs = &counts.blobs;
    let took = std::time::Duration::from_secs_f64(report.totals.duration_seconds);
    let took =
        std::time::Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    output::line(&format!(
        "{}; sent {} in {}, saved {} by dedup ({} mounted, {} present); {}",
        tags(report.result(), counts, is_cut),
        output::bytes(counts.bytes.uploaded),
        output::count(blobs.copied, "blob"),
        output::bytes(counts.bytes.saved),
        blobs.mounted,
        blobs.present,
        humantime::format_duration(took),
    ))
}

/// What a run cut short by an order did not get to is no failure.
fn tags(result: RunResult, counts: &Counts, is_cut: bool) -> String {
    let tags = &counts.tags;
    let mut parts = vec![
        format!("{} copied", tags.copied),
        format!("{} unchanged", tags.unchanged),
    ];
    if tags.failed > 0 {
        let word = if is_cut { "to do" } else { "failed" };
        parts.push(format!("{} {word}", tags.failed));
    }
    if tags.orphaned > 0 {
        parts.push(format!("{} no longer at the source", tags.orphaned));
    }
    if tags.absent > 0 {
        parts.push(format!("{} listed and not there", tags.absent));
    }
    if tags.pruned > 0 {
        parts.push(format!("{} pruned", tags.pruned));
    }
    let referrers = &counts.referrers;
    if *referrers != ReferrerCounts::default() {
        parts.push(format!(
            "referrers: {} copied, {} left out",
            referrers.copied, referrers.left_out
        ));
    }
    let result = match is_cut {
        true => RunResult::Interrupted,
        false => result,
    };
    format!("{}: {}", result.as_str(), parts.join(", "))
}

fn print_failures(mirror: &MirrorReport) -> anyhow::Result<()> {
    match mirror.is_cut() {
        true => Ok(()),
        false => failures(&mirror.errors)
            .iter()
            .try_for_each(|line| output::line(line)),
    }
}

/// One line a cause, however many tags it struck, with the message of the first.
fn failures(failures: &[Failure]) -> Vec<String> {
    let mut by_cause: BTreeMap<(crate::registry::ErrorClass, &str, &str), Vec<&Failure>> =
        BTreeMap::new();
    for failure in failures {
        by_cause.entry(failure.cause()).or_default().push(failure);
    }
    let line = |failures: Vec<&Failure>| {
        let named: Vec<&str> = failures
            .iter()
            .take(NAMED)
            .map(|f| f.reference.as_str())
            .collect();
        let more = match failures.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first = failures.first();
        let why = first.map(|first| format!("{} ({})", first.message, first.class));
        let (named, why) = (named.join(", "), why.unwrap_or_default());
        format!("  failed {named}{more}\n    {why}")
    };
    by_cause.into_values().map(line).collect()
}

#[cfg(test)]
mod tests;
