use crate::sync::snapshot::image_age::*;

#[test]
fn a_config_says_when_it_was_made_unless_it_pretends() {
    let said = |created: &str| said(format!("{{\"created\": {created}}}").as_bytes());
    assert_eq!(said("\"2024-01-02T03:04:05.678Z\""), Some(1_704_164_645));
    assert_eq!(said("\"2024-01-02T03:04:05+02:00\""), Some(1_704_157_445));
    for nothing in [
        "\"1970-01-01T00:00:00Z\"",
        "\"0001-01-01T00:00:00Z\"",
        "null",
        "\"x\"",
    ] {
        assert_eq!(said(nothing), None, "{nothing}");
    }
}
