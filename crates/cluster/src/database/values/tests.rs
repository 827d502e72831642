use super::*;

#[test]
fn numbers_saturate() {
    assert_eq!(signed(u64::MAX), i64::MAX);
    assert_eq!(unsigned(-1), 0);
    assert_eq!(unsigned(signed(7)), 7);
}

#[test]
fn spans_keep_milliseconds() {
    let minute = Duration::from_millis(60_001);
    assert_eq!(span(seconds(minute)), minute);
}

#[test]
fn odd_spans_are_bounded() {
    assert_eq!(span(-1.0), Duration::ZERO);
    assert_eq!(span(f64::NAN), Duration::ZERO);
    assert_eq!(span(f64::INFINITY), LONGEST);
    assert_eq!(span(seconds(Duration::MAX)), LONGEST);
}
