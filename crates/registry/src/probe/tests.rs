use super::*;

fn read(remaining: &str, limit: Option<&str>) -> Option<Quota> {
    let mut headers = HeaderMap::new();
    headers.insert("ratelimit-remaining", remaining.parse().unwrap());
    if let Some(limit) = limit {
        headers.insert("ratelimit-limit", limit.parse().unwrap());
    }
    quota(&headers)
}

#[test]
fn odd_quota_headers_are_none() {
    let expected = Quota {
        limit: Some(100),
        remaining: 76,
        window: Some(Duration::from_secs(21_600)),
    };
    assert_eq!(read("76;w=21600", Some("100;w=21600")), Some(expected));
    assert_eq!(read("76", Some("100;w=21600")), Some(expected));
    assert_eq!(read("many", None), None);
    assert_eq!(quota(&HeaderMap::new()), None);
}
