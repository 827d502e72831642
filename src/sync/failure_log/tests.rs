use crate::sync::failure_log::*;

#[test]
fn failing_registry_is_logged_once() {
    let log = FailureLog::default();
    let mut news = (0..20).filter(|_| log.is_news("quay.io", ErrorClass::Network));
    assert_eq!((news.next(), news.next()), (Some(0), None));
    assert!(log.is_news("quay.io", ErrorClass::Server));
    assert!(log.is_news("ghcr.io", ErrorClass::Network));
    assert_eq!(
        log.others(),
        ["quay.io: 19 more failed like that (network)"]
    );
}

#[test]
fn what_fails_for_a_cause_of_its_own_is_always_news() {
    let log = FailureLog::default();
    for class in [
        ErrorClass::NotFound,
        ErrorClass::Denied,
        ErrorClass::DigestMismatch,
        ErrorClass::Rejected,
    ] {
        assert!(log.is_news("quay.io", class) && log.is_news("quay.io", class));
    }
    assert!(log.is_news("", ErrorClass::Budget) && log.is_news("", ErrorClass::Budget));
    assert!(log.others().is_empty());
}

#[test]
fn lines_messages_and_changes_of_a_run_are_bounded() {
    let log = FailureLog::default();
    let telling = Telling {
        mirror: "app",
        registry: "hostile.example",
        class: ErrorClass::Denied,
        message: "no",
    };
    (0..LINES + 7).for_each(|_| log.failed("app:v1", telling));
    let lines = (0..LINES + 3).filter(|_| log.has_line()).count();
    assert_eq!(lines as u64, LINES);
    let changes = (0..CHANGES + 2).filter(|_| log.has_change()).count();
    assert_eq!(changes as u64, CHANGES);
    let whole = (0..MESSAGES + 5).filter(|_| log.kept_message("no") == "no");
    assert_eq!(whole.count() as u64, MESSAGES);
    assert_eq!(
        log.others(),
        [
            "7 more failures are not logged one by one",
            "3 more lines are left out of the log",
            "5 more failed tags have no message of their own in the store",
            "2 more changes are not kept in the history",
        ]
    );
}
