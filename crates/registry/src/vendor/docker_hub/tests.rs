use crate::{
    oci::Digest,
    vendor::{docker_hub::*, tests::answer},
};

fn url() -> Url {
    Url::parse("https://hub.docker.com/v2/namespaces/a/repositories/b/tags?page_size=100").unwrap()
}

#[test]
fn a_page_tells_what_it_knows_and_where_it_goes_on() {
    let digest = Digest::of(b"a");
    let page = format!(
        r#"{{"count": 3, "next": "https://hub.docker.com/v2/x?page=2", "results": [
                {{"name": "a", "digest": "{digest}", "tag_last_pushed": "2024-01-02T03:04:05.678901Z"}},
                {{"name": "b", "digest": null, "tag_last_pushed": null}},
                {{"name": "c", "digest": "", "images": []}}]}}"#
    );
    let page = read(&url(), &answer(&page)).unwrap();
    let hints: Vec<_> = page
        .hints
        .into_iter()
        .map(|hints| (hints.tag.to_string(), hints.digest, hints.at))
        .collect();
    let expected = [
        ("a".into(), Some(digest), Some(1_704_164_645)),
        ("b".into(), None, None),
        ("c".into(), None, None),
    ];
    assert_eq!(hints, expected);
    let next = page.next.unwrap();
    assert_eq!(next.as_str(), "https://hub.docker.com/v2/x?page=2");
    assert_eq!(page.total, Some(3));
}

#[test]
fn odd_page_is_an_error_and_its_link_stays_at_home() {
    for page in [
        r#"{"results": [{"digest": "sha256:1"}]}"#,
        r#"{"results": null}"#,
        r#"{"message": "object not found"}"#,
        "<html>",
    ] {
        assert!(read(&url(), &answer(page)).is_err(), "{page}");
    }
    let foreign = answer(r#"{"results": [], "next": "https://evil.example/x?page=2"}"#);
    let next = read(&url(), &foreign).unwrap().next.unwrap();
    assert_eq!(next.as_str(), "https://hub.docker.com/x?page=2");
}
