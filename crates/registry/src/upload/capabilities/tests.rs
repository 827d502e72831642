use crate::Operation;
use crate::upload::capabilities::*;

fn dialects(host: &str) -> UploadCapabilities {
    UploadCapabilities::new(&host.parse().unwrap(), LearnedCapabilities::default())
}

fn refused(status: u16) -> Error {
    let message = String::new();
    let kind = Kind::Rejected { status, message };
    Error::new(
        Operation::UploadBlob,
        "a blob",
        &"r.example.com".parse().unwrap(),
        kind,
    )
}

#[test]
fn a_blob_goes_in_parts_where_it_is_larger_than_one() {
    let dialects = dialects("r.example.com");
    assert_eq!(dialects.part(32, 32, 0), None);
    assert_eq!(dialects.part(33, 32, 0), Some(32));
    assert_eq!(dialects.part(100, 32, 64), Some(64));
    for host in ["ghcr.io", "eu.gcr.io", "europe-docker.pkg.dev"] {
        assert_eq!(
            crate::upload::capabilities::tests::dialects(host).part(33, 32, 0),
            None
        );
    }
}

fn remaining(length: u64) -> UploadAttempt {
    UploadAttempt {
        length,
        in_parts: false,
        had_parts: false,
        least: 0,
    }
}

fn part(length: u64) -> UploadAttempt {
    UploadAttempt {
        in_parts: true,
        ..remaining(length)
    }
}

#[test]
fn a_body_that_was_too_large_is_halved_down_to_a_limit() {
    let dialects = dialects("r.example.com");
    assert!(dialects.learn(&refused(413), remaining(64 << 20)));
    assert_eq!(dialects.part(64 << 20, 32 << 20, 0), Some(32 << 20));
    assert!(dialects.learn(&refused(413), part(32 << 20)));
    assert_eq!(dialects.part(64 << 20, 32 << 20, 0), Some(16 << 20));
    assert!(!dialects.learn(&refused(413), part(1 << 20)));
    assert_eq!(dialects.known().takes_parts, None);
}

#[test]
fn refused_large_body_retries_chunks() {
    let dialects = dialects("r.example.com");
    assert!(dialects.learn(&refused(400), part(10)));
    assert!(dialects.learn(&refused(413), remaining(64 << 20)));
    assert_eq!(dialects.part(64 << 20, 32 << 20, 0), Some(32 << 20));
    let known_by_its_name = crate::upload::capabilities::tests::dialects("ghcr.io");
    assert!(!known_by_its_name.learn(&refused(413), remaining(64 << 20)));
}

#[test]
fn many_bodies_that_were_too_large_at_once_teach_one_thing() {
    let dialects = dialects("r.example.com");
    for _ in 0..9 {
        assert!(dialects.learn(&refused(413), remaining(64 << 20)));
    }
    assert_eq!(dialects.known().largest_body, Some(32 << 20));
}

#[test]
fn refused_minimum_teaches_nothing() {
    let least = UploadAttempt {
        least: 8 << 20,
        ..part(8 << 20)
    };
    assert!(!dialects("r.example.com").learn(&refused(413), least));
}

#[test]
fn a_registry_that_refuses_parts_gets_blobs_whole() {
    let dialects = dialects("r.example.com");
    assert!(!dialects.learn(&refused(400), remaining(10)));
    assert!(!dialects.learn(&refused(412), part(10)));
    assert!(dialects.learn(&refused(400), part(10)));
    assert_eq!(dialects.part(64, 32, 0), None);
    assert!(!dialects.learn(&refused(400), remaining(10)));
}

#[test]
fn concurrent_chunks_retry_after_lesson() {
    let dialects = dialects("r.example.com");
    for _ in 0..9 {
        assert!(dialects.learn(&refused(405), part(10)));
    }
}

#[test]
fn a_registry_that_took_parts_before_goes_on_getting_them() {
    let dialects = dialects("r.example.com");
    dialects.took_parts();
    assert!(!dialects.learn(&refused(400), part(10)));
    assert_eq!(dialects.part(64, 32, 0), Some(32));
}

#[test]
fn a_lesson_counts_for_a_week_and_is_told_once() {
    let learned = LearnedCapabilities {
        takes_parts: Some(false),
        largest_body: Some(1 << 20),
        learned_at: 1_000_000,
    };
    let name = "r.example.com".parse().unwrap();
    let of = |learned_at| LearnedCapabilities {
        learned_at,
        ..learned
    };
    let now = Utc::now().timestamp();
    let fresh = UploadCapabilities::new(&name, of(now - LESSON_LIFETIME_SECS + 60));
    assert_eq!(fresh.known().takes_parts, Some(false));
    let old = UploadCapabilities::new(&name, of(now - LESSON_LIFETIME_SECS - 60));
    assert_eq!(old.known(), LearnedCapabilities::default());
    assert_eq!(old.take_changes(), None);
    old.took_parts();
    assert_eq!(
        old.take_changes()
            .map(|take_changes| take_changes.largest_body),
        Some(None)
    );
    assert_eq!(old.take_changes(), None);
}
