use crate::{listing::pagination::*, oci::Tag};

fn page(number: usize) -> Url {
    let text = format!("https://r.example/v2/a/tags/list?n={number}");
    Url::parse(&text).unwrap()
}

fn tags(json: &str) -> Result<Vec<Tag>, serde_json::Error> {
    legal_names(&mut serde_json::Deserializer::from_str(json))
}

#[test]
fn a_listing_without_end_is_ended() {
    let mut pages = Pages::at_most(3);
    assert!((0..3).all(|number| pages.visit(&page(number)).is_ok()));
    assert!(pages.visit(&page(4)).is_err());
    assert!(Pages::at_most(3).account(BYTES, 0).is_ok());
    assert!(Pages::at_most(3).account(BYTES + 1, 0).is_err());
    assert!(Pages::at_most(3).account(0, ENTRIES + 1).is_err());
    let mut pages = Pages::at_most(3);
    assert!(pages.account(usize::MAX, usize::MAX).is_err());
    assert!(pages.account(usize::MAX, usize::MAX).is_err());
}

#[test]
fn a_circle_and_an_address_without_end_are_refused() {
    let mut pages = Pages::at_most(3);
    assert!(pages.visit(&page(1)).is_ok());
    assert!(pages.visit(&page(1)).is_err());
    let long = format!("https://r.example/?{}", "x".repeat(ADDRESS));
    assert!(pages.visit(&Url::parse(&long).unwrap()).is_err());
}

#[test]
fn names_that_are_no_legal_ones_are_left_out() {
    let odd = format!(
        r#"["v1", "../x", "a b", "%2e%2e", "a\n", "", "-x", ".x", "{}", "sha256:{}", "1.0"]"#,
        "x".repeat(10_000),
        "0".repeat(64)
    );
    let texts: Vec<String> = tags(&odd).unwrap().iter().map(Tag::to_string).collect();
    assert_eq!(texts, ["v1", "1.0"]);
    assert_eq!(tags("null").unwrap(), []);
    assert!(tags("[1]").is_err() && tags("\"v1\"").is_err());
}

#[test]
fn a_page_of_more_than_a_million_tags_is_refused() {
    let list = |count: usize| format!("[{}\"v\"]", "\"v\",".repeat(count - 1));
    assert_eq!(tags(&list(ENTRIES)).unwrap().len(), ENTRIES);
    let refused = tags(&list(ENTRIES + 1)).unwrap_err().to_string();
    assert!(refused.contains("more than 1000000"), "{refused}");
}
