use crate::vendor::artifact_registry::*;

#[test]
fn digests_and_push_times_of_tags_are_read() {
    let digest = |n: u8| Digest::of(&[n]);
    let text = format!(
        r#"{{"{}": {{"tag": ["a", "b", "!"], "timeUploadedMs": "1700000000123", "mediaType": "x"}},
               "{}": {{"tag": [], "timeUploadedMs": "1600000000000"}},
               "sha256:3": {{"tag": ["c"]}}, "{}": {{"tag": ["d"], "timeUploadedMs": "x"}}}}"#,
        digest(1),
        digest(2),
        digest(4),
    );
    let hints = |tag: &str, digest, at| TagHint {
        tag: tag.parse().unwrap(),
        digest,
        at,
    };
    let ManifestMap(found) = serde_json::from_str(&text).unwrap();
    let expected = [
        hints("a", Some(digest(1)), Some(1_700_000_000)),
        hints("b", Some(digest(1)), Some(1_700_000_000)),
        hints("c", None, None),
        hints("d", Some(digest(4)), None),
    ];
    assert_eq!(found, expected);
}
