use crate::sync::failure_log::*;

#[test]
fn a_registry_that_fails_everything_is_news_once_and_the_others_are_counted() {
    let told = FailureLog::default();
    let mut news = (0..20).filter(|_| told.is_news("quay.io", ErrorClass::Network));
    assert_eq!((news.next(), news.next()), (Some(0), None));
    assert!(told.is_news("quay.io", ErrorClass::Server));
    assert!(told.is_news("ghcr.io", ErrorClass::Network));
    assert_eq!(
        told.others(),
        ["quay.io: 19 more failed like that (network)"]
    );
}

#[test]
fn what_fails_for_a_cause_of_its_own_is_always_news() {
    let told = FailureLog::default();
    for class in [
        ErrorClass::NotFound,
        ErrorClass::Denied,
        ErrorClass::DigestMismatch,
        ErrorClass::Rejected,
    ] {
        assert!(told.is_news("quay.io", class) && told.is_news("quay.io", class));
    }
    assert!(told.is_news("", ErrorClass::Budget) && told.is_news("", ErrorClass::Budget));
    assert!(told.others().is_empty());
}
