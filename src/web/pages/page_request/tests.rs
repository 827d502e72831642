use crate::web::pages::page_request::*;

fn request(path: &str, query: &str) -> PageRequest {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_LANGUAGE, "zh-CN".parse().unwrap());
    PageRequest::new(path, query, &headers)
}

#[test]
fn query_overrides_accept_language() {
    assert_eq!(request("/", "").language, Language::Chinese);
    assert_eq!(request("/", "lang=xx").language, Language::Chinese);
    let request = request("/", "lang=en&refresh=10&q=a+b&page=3");
    assert_eq!(request.language, Language::English);
    assert_eq!(
        request.link("/search", &[("image", "a&b")]),
        "/search?lang=en&image=a%26b"
    );
    assert_eq!(
        request.here("state", Some("behind")),
        "/?lang=en&refresh=10&q=a+b&state=behind"
    );
    assert_eq!(
        request.here("page", Some("4")),
        "/?lang=en&refresh=10&q=a+b&page=4"
    );
    assert_eq!(
        request.here("lang", Some("zh")),
        "/?refresh=10&q=a+b&page=3&lang=zh"
    );
    assert_eq!(request.kept(&["lang", "state"]), [("lang", "en")]);
}

#[test]
fn refresh_interval_is_clamped() {
    let refresh = |query: &str| request("/", query).refresh;
    assert_eq!(refresh("refresh=10"), Some(10));
    assert_eq!(refresh("refresh=0"), Some(2));
    assert_eq!(refresh("refresh=99999"), Some(3600));
    assert_eq!(refresh("refresh=soon"), None);
    assert_eq!(refresh(""), None);
}

#[test]
fn links_stay_on_this_host() {
    assert_eq!(
        request("//evil.example/x", "").here("lang", None),
        "/evil.example/x"
    );
    assert_eq!(
        request("/\\evil.example", "").here("lang", None),
        "/evil.example"
    );
}

#[test]
fn invalid_page_number_is_the_first() {
    let page = |query: &str| request("/", query).page();
    assert_eq!(
        [
            page("page=7"),
            page("page=0"),
            page("page=-1"),
            page("page=x")
        ],
        [7, 1, 1, 1]
    );
}

#[test]
fn mirror_path_is_percent_encoded() {
    assert_eq!(
        mirror_path("docker.io/library/nginx:1.27"),
        "/mirrors/docker.io/library/nginx:1.27"
    );
    assert_eq!(
        mirror_path("a#b?c%d e{f}é"),
        "/mirrors/a%23b%3Fc%25d%20e%7Bf%7D%C3%A9"
    );
}

#[test]
fn links_repeat_parsed_values_only() {
    let page = |query: &str| request("/", query).here("x", None);
    let long = "z".repeat(2000);
    assert_eq!(page(&format!("lang={long}")), "/");
    assert_eq!(page(&format!("lang=zh-{long}")), "/?lang=zh");
    assert_eq!(page(&format!("{long}=1&x={long}")), "/");
    assert_eq!(
        page(&format!("state={long}&page={long}&refresh={long}")),
        "/?state=none"
    );
    assert_eq!(page(&format!("format={long}")), "/?format=none");
    assert_eq!(page("q=a&q=b&lang=en&lang=zh"), "/?q=a&lang=en");
    assert_eq!(page(&format!("q={long}")).len(), "/?q=".len() + 200);
}
