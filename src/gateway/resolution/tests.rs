use super::*;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn check(at: i64) -> TagCheck {
    TagCheck {
        seen: Some(digest("source")),
        source: Some(digest("source")),
        written: Some(digest("trimmed")),
        checked_at: at,
    }
}

fn heard(text: &str, at: i64) -> HeadAnswer {
    HeadAnswer {
        digest: Some(digest(text)),
        at,
    }
}

#[test]
fn younger_of_two_checks_counts() {
    let source = |at| Some((digest("source"), at));
    let moved = |at| Some((digest("moved"), at));
    let heard = heard("moved", 120);
    assert_eq!(known_digest(Some(&check(100)), None, 50), source(100));
    assert_eq!(known_digest(Some(&check(100)), None, 100), None);
    let both = |checked| known_digest(Some(&check(checked)), Some(&heard), 50);
    assert_eq!(both(100), moved(120));
    assert_eq!(both(130), source(130));
    assert_eq!(known_digest(None, Some(&heard), 50), moved(120));
    assert_eq!(known_digest(None, Some(&heard), 120), None);
    assert_eq!(known_digest(None, None, 0), None);
}

#[test]
fn trimmed_mirror_answers_what_was_written() {
    let check = check(0);
    assert_eq!(written(Some(&check), digest("source")), digest("trimmed"));
    assert_eq!(written(Some(&check), digest("moved")), digest("moved"));
    assert_eq!(written(None, digest("source")), digest("source"));
}
