use crate::vendor::{harbor::*, tests::answer};

#[test]
fn artifacts_tell_of_their_tags() {
    let digest = Digest::of(b"a");
    let page = format!(
        r#"[{{"digest": "{digest}", "push_time": "2024-01-02T03:04:05.678Z", "tags": [
                    {{"name": "a", "push_time": "2024-01-02T03:04:06.000Z"}}, {{"name": "b"}}]}},
                {{"digest": "{digest}", "push_time": "2024-01-02T03:04:05.678Z", "tags": null}}]"#
    );
    let (hints, count) = read(&answer(&page)).unwrap();
    let hints: Vec<_> = hints
        .into_iter()
        .map(|hints| (hints.tag.to_string(), hints.digest, hints.at))
        .collect();
    let expected = [
        ("a".into(), Some(digest.clone()), Some(1_704_164_646)),
        ("b".into(), Some(digest), Some(1_704_164_645)),
    ];
    assert_eq!((hints.as_slice(), count), (&expected[..], 2));
    assert!(read(&answer(r#"{"errors": []}"#)).is_err());
}
