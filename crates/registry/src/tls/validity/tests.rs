use super::*;

#[test]
fn reads_both_forms_of_time() {
    assert_eq!(seconds(UTC_TIME, b"700101000001Z"), Some(1));
    assert_eq!(seconds(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
    assert_eq!(seconds(UTC_TIME, b"500101000000Z"), Some(0));
    assert_eq!(
        seconds(GENERALIZED_TIME, b"20500101000000Z"),
        Some(2_524_608_000)
    );
    assert_eq!(seconds(0x04, b"20500101000000Z"), None);
}

#[test]
fn refuses_what_is_no_certificate() {
    for der in [
        &b""[..],
        b"\x30",
        b"\x30\x85\x01",
        b"\x30\x03\x30\x01\x00",
        &[0x30; 64],
    ] {
        assert_eq!(of(der), None);
    }
}
