use crate::listing::tags::*;

fn next(link: &str) -> Result<Option<String>, Kind> {
    let current = Url::parse("https://r.example:5000/v2/a/tags/list?n=2").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(LINK, link.parse().unwrap());
    next_page(&current, &headers).map(|url| url.map(|url| url.to_string()))
}

#[test]
fn a_relative_and_an_absolute_link_lead_on() {
    let expected = Some("https://r.example:5000/v2/a/tags/list?last=b&n=2".to_owned());
    assert_eq!(
        next("</v2/a/tags/list?last=b&n=2>; rel=\"next\"").unwrap(),
        expected
    );
    assert_eq!(
        next("<http://r.example/v2/a/tags/list?last=b&n=2>; rel=next").unwrap(),
        expected
    );
    for relative in ["?last=b&n=2", "list?last=b&n=2"] {
        assert_eq!(next(&format!("<{relative}>; rel=next")).unwrap(), expected);
    }
    let opaque = "/v2/a/tags/list?next_page=gAAA-_%2F%3D%3D&n=100";
    let expected = Some(format!("https://r.example:5000{opaque}"));
    assert_eq!(
        next(&format!("<{opaque}>; rel=\"next\"")).unwrap(),
        expected
    );
}

#[test]
fn link_to_another_host_is_read_at_the_own_one() {
    let own = "https://r.example:5000/v2/a/tags/list?last=b";
    for link in [
        "<https://evil.example/v2/a/tags/list?last=b>; rel=\"next\"",
        "<http://r.example:6000/v2/a/tags/list?last=b>; rel=\"next\"",
        "<http://me:s3cret@inside:80/v2/a/tags/list?last=b#x>; rel=next",
        "<//evil.example/v2/a/tags/list?last=b>; rel=next",
    ] {
        assert_eq!(next(link).unwrap().as_deref(), Some(own), "{link}");
    }
    assert!(next("<file:///v2/a/tags/list>; rel=\"next\"").is_err());
}

#[test]
fn contradicting_digests_are_dropped() {
    let digest = |n: u8| Some(Digest::of(&[n]));
    let mut listing = TagListing::default();
    for (tag, digest) in [("a", 1), ("b", 1), ("a", 2), ("b", 1), ("a", 2)] {
        listing.add_hint(TagHint {
            tag: tag.parse().unwrap(),
            digest: Some(Digest::of(&[digest])),
            at: None,
        });
    }
    let of = |tag: &str| listing.digests[&tag.parse::<Tag>().unwrap()].clone();
    assert_eq!((of("a"), of("b")), (None, digest(1)));
}

#[test]
fn other_links_end_the_listing() {
    assert_eq!(next("</v2/a/tags/list?n=1>; rel=\"prev\"").unwrap(), None);
    assert_eq!(next("nonsense").unwrap(), None);
}

#[test]
fn the_next_page_is_found_among_other_links() {
    let first = "</v2/a/tags/list?n=1>; rel=\"first\"";
    for separator in [", ", ","] {
        let text = format!("{first}{separator}</v2/a/tags/list?last=x>; rel=\"last next\"");
        let expected = "https://r.example:5000/v2/a/tags/list?last=x".to_owned();
        assert_eq!(next(&text).unwrap(), Some(expected));
    }
}
