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
    text::line(&format!(
        "{}; sent {} in {}, saved {} by dedup ({} mounted, {} present); {}",
        tags(report.result(), counts, is_cut),
        text::bytes(counts.bytes.uploaded),
        text::count(blobs.copied, "blob"),
        text::bytes(counts.bytes.saved),
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
    let result = if is_cut {
        "interrupted"
    } else {
        result.as_str()
    };
    format!("{result}: {}", parts.join(", "))
}

fn print_failures(mirror: &MirrorReport) -> anyhow::Result<()> {
    match mirror.is_cut() {
        true => Ok(()),
        false => failures(&mirror.errors)
            .iter()
            .try_for_each(|line| text::line(line)),
    }
}

/// One line a cause, however many tags it struck, with the message of the first.
fn failures(failures: &[Failure]) -> Vec<String> {
    let mut by_cause: BTreeMap<(&str, &str, &str), Vec<&Failure>> = BTreeMap::new();
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
mod tests {
    use super::*;

    fn failure(at: usize, class: &'static str, registry: &str, why: &str) -> Failure {
        Failure {
            reference: format!("{registry}/r{at}"),
            class,
            message: format!("list tags of {registry}/r{at}: {why}"),
            registry: registry.into(),
        }
    }

    #[test]
    fn a_registry_that_is_not_there_is_one_cause_and_others_stay_apart() {
        let gone = (0..20).map(|at| failure(at, "network", "quay.io", "connection refused"));
        let other = failure(0, "network", "ghcr.io", "connection refused");
        let missing = (0..2).map(|at| failure(at, "not_found", "quay.io", "not found"));
        let all: Vec<Failure> = gone.chain([other]).chain(missing).collect();
        assert_eq!(
            failures(&all),
            [
                "  failed ghcr.io/r0\n    list tags of ghcr.io/r0: connection refused (network)",
                "  failed quay.io/r0, quay.io/r1, quay.io/r2 and 17 more\n    \
                 list tags of quay.io/r0: connection refused (network)",
                "  failed quay.io/r0\n    list tags of quay.io/r0: not found (not_found)",
                "  failed quay.io/r1\n    list tags of quay.io/r1: not found (not_found)",
            ]
        );
    }

    #[test]
    fn what_an_order_to_end_left_undone_is_no_failure() {
        let mut counts = Counts::default();
        counts.tags.failed = 18;
        let said = tags(RunResult::Failed, &counts, true);
        assert_eq!(said, "interrupted: 0 copied, 0 unchanged, 18 to do");
        let said = tags(RunResult::Failed, &counts, false);
        assert_eq!(said, "failed: 0 copied, 0 unchanged, 18 failed");
    }
}
