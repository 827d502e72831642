use std::time::Duration;

use crate::sync::prune::decide::*;

const DAY: i64 = 24 * 3600;
const NOW: i64 = 1000 * DAY;

fn rule(keep: usize) -> Prune {
    Prune {
        keep,
        after: Duration::from_secs(7 * 24 * 3600),
        max_share: 0.5,
    }
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn candidate(name: &str, mirrored_at: i64, since: Option<i64>) -> Candidate {
    Candidate {
        tag: tag(name),
        target_tag: tag(name),
        mirror: "m".into(),
        max_share: Some(0.5),
        kept_for: None,
        digest: Digest::of(name.as_bytes()),
        cause: Cause::Orphaned,
        since,
        mirrored_at,
    }
}

fn fates(candidates: Vec<Candidate>, total: usize, rule: Prune) -> Vec<(String, Decision)> {
    let share = |candidate| Candidate {
        max_share: Some(rule.max_share),
        ..candidate
    };
    let candidates = candidates.into_iter().map(share).collect();
    let decided = decide(candidates, total, |_| Some(rule), NOW).into_iter();
    decided.map(|tag| (tag.tag.to_string(), tag.fate)).collect()
}

fn many(count: i64, since: Option<i64>) -> Vec<Candidate> {
    (0..count)
        .map(|at| candidate(&format!("t{at}"), at, since))
        .collect()
}

#[test]
fn the_first_check_only_notes_the_time() {
    let fates = fates(vec![candidate("a", 0, None)], 10, rule(0));
    let until = NOW + 7 * DAY;
    assert_eq!(fates, [("a".into(), Decision::Wait { until })]);
}

#[test]
fn a_tag_goes_when_its_time_has_passed_and_not_before() {
    let old = candidate("old", 0, Some(NOW - 8 * DAY));
    let young = candidate("young", 0, Some(NOW - 6 * DAY));
    let until = NOW + DAY;
    assert_eq!(
        fates(vec![old, young], 10, rule(0)),
        [
            ("old".into(), Decision::Delete),
            ("young".into(), Decision::Wait { until })
        ]
    );
}

#[test]
fn first_check_never_deletes() {
    let short = Prune {
        after: Duration::from_nanos(1),
        ..rule(0)
    };
    for since in [None, Some(NOW)] {
        let fates = fates(vec![candidate("a", 0, since)], 10, short);
        assert_eq!(fates[0].1, Decision::Wait { until: NOW });
    }
}

#[test]
fn mark_of_a_clock_that_was_ahead_counts_from_now() {
    let ahead = vec![candidate("a", 0, Some(NOW + 365 * DAY))];
    let decided = decide(ahead, 10, |_| Some(rule(0)), NOW).remove(0);
    let until = NOW + 7 * DAY;
    assert_eq!(decided.fate, Decision::Wait { until });
    assert_eq!((decided.since, decided.is_news()), (NOW, true));
}

#[test]
fn those_mirrored_last_are_kept() {
    let since = Some(NOW - 30 * DAY);
    let fates = fates(many(4, since), 10, rule(3));
    let kept = |name: &str| (name.to_owned(), Decision::Keep);
    let expected = [
        kept("t3"),
        kept("t2"),
        kept("t1"),
        ("t0".into(), Decision::Delete),
    ];
    assert_eq!(fates, expected);
}

#[test]
fn most_of_a_repository_is_not_pruned_at_once() {
    let refused = Decision::Refuse { new: 6, of: 10 };
    let all = |fates: Vec<(String, Decision)>, expected: &Decision| {
        assert!(fates.iter().all(|(_, fate)| fate == expected), "{fates:#?}");
    };
    all(fates(many(6, None), 10, rule(0)), &refused);
    let wait = Decision::Wait {
        until: NOW + 7 * DAY,
    };
    all(fates(many(6, None), 12, rule(0)), &wait);
    all(fates(many(5, None), 5, rule(0)), &wait);
    let every = Prune {
        max_share: 1.0,
        ..rule(0)
    };
    all(fates(many(10, None), 10, every), &wait);
}

#[test]
fn those_seen_before_count_for_nothing_when_others_come() {
    let mut candidates = many(20, Some(NOW - 8 * DAY));
    candidates.push(candidate("new", 99, None));
    let fates = fates(candidates, 22, rule(0));
    assert_eq!(
        fates[0].1,
        Decision::Wait {
            until: NOW + 7 * DAY
        }
    );
    assert!(fates[1..].iter().all(|(_, fate)| *fate == Decision::Delete));
}

/// Which of the tags that are due stay, where each was kept for another when it was last due.
fn staying(kept: &[(&str, &str)]) -> Vec<String> {
    let due = kept.iter().map(|(name, other)| {
        let kept_for = (!other.is_empty()).then(|| KeptFor::Tag(tag(other)));
        let since = Some(NOW - 8 * DAY);
        let candidate = candidate(name, 0, since);
        Candidate {
            kept_for,
            ..candidate
        }
    });
    let mut tags = decide(due.collect(), 10, |_| Some(rule(0)), NOW);
    release_together(&mut tags);
    tags.iter_mut().for_each(Prunable::keep);
    let staying = tags.iter().filter(|tag| tag.fate != Decision::Delete);
    staying.map(|tag| tag.tag.to_string()).collect()
}

#[test]
fn tag_goes_with_the_one_that_kept_it() {
    assert_eq!(staying(&[("child", "index"), ("index", "")]), [""; 0]);
    assert_eq!(staying(&[("a", "b"), ("b", "a")]), [""; 0]);
}

#[test]
fn tag_stays_with_the_one_that_kept_it() {
    let kept = [("child", "index"), ("index", "mirrored")];
    assert_eq!(staying(&kept), ["child", "index"]);
    let kept = [("a", "b"), ("b", "c"), ("c", "mirrored"), ("d", "")];
    assert_eq!(staying(&kept), ["a", "b", "c"]);
}

#[test]
fn tags_of_signatures_are_known_by_their_names() {
    let hex = "0123456789abcdef".repeat(4);
    for name in [format!("sha256-{hex}"), format!("sha256-{hex}.sig")] {
        assert!(is_referring(&tag(&name)), "{name}");
    }
    for name in ["sha256-abc", "v1", "latest"] {
        assert!(!is_referring(&tag(name)), "{name}");
    }
}
