use crate::quota::retry_after::*;

fn header(text: &str) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    let value = reqwest::header::HeaderValue::from_bytes(text.as_bytes()).unwrap();
    headers.insert(RETRY_AFTER, value);
    requested_pause(&headers, "")
}

fn words(text: &str) -> Option<Duration> {
    requested_pause(&HeaderMap::new(), text)
}

fn seconds(seconds: f64) -> Option<Duration> {
    Some(Duration::from_secs_f64(seconds))
}

#[test]
fn a_header_has_seconds_parts_of_them_a_date_or_a_duration() {
    assert_eq!(header("0"), seconds(0.0));
    assert_eq!(header("30"), seconds(30.0));
    assert_eq!(header("1.5"), seconds(1.5));
    assert_eq!(header("0.25"), seconds(1.0));
    assert_eq!(header("1m30s"), seconds(90.0));
    assert_eq!(header(&u64::MAX.to_string()), Some(MAX_PAUSE));
    assert_eq!(header("1e300"), Some(MAX_PAUSE));
    assert_eq!(header("soon"), None);
    assert_eq!(header("-1"), None);
    assert_eq!(header("NaN"), None);
    let date = Utc::now() + chrono::TimeDelta::seconds(100);
    let wait = header(&date.to_rfc2822().replace("+0000", "GMT")).unwrap();
    assert!((90..=100).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(header("Wed, 21 Oct 2015 07:28:00 GMT"), None);
}

#[test]
fn body_names_pause_with_a_minimum() {
    let ghcr = "TOOMANYREQUESTS: retry-after: 880.092µs, allowed: 44000/minute";
    assert_eq!(words(ghcr), seconds(1.0));
    assert_eq!(words("retry-after: 880.092\u{3bc}s"), seconds(1.0));
    assert_eq!(words("Please retry after 1m30s."), seconds(90.0));
    assert_eq!(words("Retry-After: 12"), seconds(12.0));
    assert_eq!(words("retry-after: 2h0m1.5s"), seconds(7201.5));
    assert_eq!(words("try again after 5s"), None);
    assert_eq!(words("retry after lunch"), None);
    assert_eq!(words("retry-after"), None);
}
