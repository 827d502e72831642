use super::*;

fn environment(variables: &[(&str, &str)]) -> ProxyEnvironment {
    ProxyEnvironment::read(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn is_proxied(no_proxy: &str, url: &str) -> bool {
    let environment = environment(&[
        ("HTTP_PROXY", "http://proxy.test:3128"),
        ("HTTPS_PROXY", "http://proxy.test:3128"),
        ("NO_PROXY", no_proxy),
    ]);
    environment.proxy_for(&url.parse().unwrap()).is_some()
}

#[test]
fn reads_no_proxy_as_go_does() {
    let excluded = [
        ("reg.test", "https://reg.test/v2/"),
        ("reg.test", "https://a.reg.test/"),
        ("reg.test:5000", "http://reg.test:5000/"),
        ("reg.test:443", "https://reg.test/"),
        (".reg.test", "https://a.reg.test/"),
        ("*.reg.test", "https://a.b.reg.test/"),
        (" other , REG.test ", "https://Reg.Test/"),
        ("10.0.0.0/8", "http://10.1.2.3:5000/"),
        ("10.1.2.3", "http://10.1.2.3:5000/"),
        ("10.1.2.3:5000", "http://10.1.2.3:5000/"),
        ("2001:db8::/32", "https://[2001:db8::1]/"),
        ("2001:db8::1", "https://[2001:db8::1]:5000/"),
        ("[2001:db8::1]:5000", "https://[2001:db8::1]:5000/"),
        ("*", "https://anywhere.test/"),
    ];
    for (no_proxy, url) in excluded {
        assert!(!is_proxied(no_proxy, url), "{no_proxy} excludes {url}");
    }
    let proxied = [
        ("", "https://reg.test/"),
        ("reg.test:5000", "https://reg.test/"),
        (".reg.test", "https://reg.test/"),
        ("*.reg.test", "https://reg.test/"),
        ("reg.test", "https://myreg.test/"),
        ("10.0.0.0/8", "http://11.1.2.3/"),
        ("10.1.2.3:5000", "http://10.1.2.3:5001/"),
        ("10.0.0.0/99, /, :5000, .", "https://reg.test/"),
    ];
    for (no_proxy, url) in proxied {
        assert!(
            is_proxied(no_proxy, url),
            "{no_proxy} does not exclude {url}"
        );
    }
}

#[test]
fn this_machine_is_never_proxied() {
    for host in [
        "localhost",
        "localhost:5000",
        "127.0.0.1:5000",
        "127.9.9.9",
        "[::1]:5000",
    ] {
        assert!(!is_proxied("", &format!("http://{host}/")), "{host}");
    }
}

#[test]
fn empty_variables_are_not_set() {
    let environment = environment(&[
        ("HTTP_PROXY", ""),
        ("http_proxy", "proxy.test:3128"),
        ("NO_PROXY", ""),
        ("no_proxy", "reg.test"),
    ]);
    let proxy = |url: &str| {
        environment
            .proxy_for(&url.parse().unwrap())
            .map(Url::as_str)
    };
    assert_eq!(proxy("http://reg.test/"), None);
    assert_eq!(proxy("http://other.test/"), Some("http://proxy.test:3128/"));
    assert_eq!(proxy("https://other.test/"), None);
}

#[test]
fn upper_case_comes_first_and_all_proxy_last() {
    let environment = environment(&[
        ("https_proxy", "http://lower.test"),
        ("HTTPS_PROXY", "http://upper.test"),
        ("all_proxy", "socks5h://all.test:1080"),
    ]);
    let host = |url: &str| {
        environment
            .proxy_for(&url.parse().unwrap())
            .and_then(Url::host_str)
    };
    assert_eq!(host("https://reg.test/"), Some("upper.test"));
    assert_eq!(host("http://reg.test/"), Some("all.test"));
}
