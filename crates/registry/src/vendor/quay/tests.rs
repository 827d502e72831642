use crate::{
    oci::Digest,
    vendor::{quay::*, tests::answer},
};

#[test]
fn a_page_tells_what_it_knows_and_whether_there_is_more() {
    let digest = Digest::of(b"a");
    let page = format!(
        r#"{{"page": 1, "has_additional": true, "tags": [
                {{"name": "a", "manifest_digest": "{digest}", "start_ts": 1700000000}},
                {{"name": "b"}}]}}"#
    );
    let (hints, has_additional) = read(&answer(&page)).unwrap();
    let hints: Vec<_> = hints
        .into_iter()
        .map(|hints| (hints.tag.to_string(), hints.digest, hints.at))
        .collect();
    let expected = [
        ("a".into(), Some(digest), Some(1_700_000_000)),
        ("b".into(), None, None),
    ];
    assert_eq!((hints.as_slice(), has_additional), (&expected[..], true));
}

#[test]
fn an_odd_page_is_an_error() {
    for page in [
        r#"{"tags": [{}], "has_additional": false}"#,
        r#"{"tags": []}"#,
        "[]",
    ] {
        assert!(read(&answer(page)).is_err(), "{page}");
    }
}
