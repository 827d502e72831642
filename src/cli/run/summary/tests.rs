use crate::cli::run::summary::*;
use crate::registry::ErrorClass;

fn failure(at: usize, class: ErrorClass, registry: &str, why: &str) -> Failure {
    Failure {
        reference: format!("{registry}/r{at}"),
        class,
        message: format!("list tags of {registry}/r{at}: {why}"),
        registry: registry.into(),
    }
}

#[test]
fn dead_registry_is_one_cause() {
    let gone = (0..20).map(|at| failure(at, ErrorClass::Network, "quay.io", "connection refused"));
    let other = failure(0, ErrorClass::Network, "ghcr.io", "connection refused");
    let missing = (0..2).map(|at| failure(at, ErrorClass::NotFound, "quay.io", "not found"));
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
