use crate::redirect_policy::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn ssrf_guard(base: &str) -> Arc<SsrfGuard> {
    SsrfGuard::new(&url(base), &Proxy::Direct)
}

fn admits(from: &str, to: &str) -> bool {
    ssrf_guard(from).admit(&url(from), &url(to)).is_ok()
}

/// This machine and its link, in the ways that they can be written.
const INSIDE: [&str; 18] = [
    "https://127.0.0.1/x",
    "https://127.9.8.7:8080/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0177.0.0.1/x",
    "https://127.1/x",
    "https://localhost/x",
    "https://LOCALHOST./x",
    "https://a.localhost:5000/x",
    "https://[::1]/x",
    "https://[::]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[::127.0.0.1]/x",
    "https://[64:ff9b::7f00:1]/x",
    "https://[2002:7f00:1::]/x",
    "https://[fe80::1]/x",
    "https://0.0.0.0/x",
    "https://0.1.2.3/x",
];

/// Services of clouds, and what is no host, in the same way.
const FORBIDDEN: [&str; 9] = [
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:169.254.169.254]/x",
    "https://[64:ff9b:1::a9fe:a9fe]/x",
    "https://100.100.100.200/latest/meta-data",
    "https://168.63.129.16/x",
    "https://[fd00:ec2::254]/x",
    "https://[fd20:ce::254]/x",
    "https://metadata.google.internal/x",
    "https://255.255.255.255/x",
];

#[test]
fn a_registry_elsewhere_may_not_send_us_to_this_machine() {
    for from in [
        "https://registry.example/v2/",
        "https://203.0.113.7/v2/",
        "https://10.0.0.5:5000/v2/",
        "https://[2001:db8::1]/v2/",
    ] {
        for to in INSIDE.iter().chain(&FORBIDDEN) {
            assert!(!admits(from, to), "{from} to {to}");
        }
    }
}

#[test]
fn a_registry_on_this_machine_may_send_us_to_this_machine() {
    for from in ["https://127.0.0.1:5000/v2/", "https://localhost:5000/v2/"] {
        for to in INSIDE {
            assert!(admits(from, to), "{from} to {to}");
        }
    }
}

#[test]
fn no_registry_may_send_us_to_a_metadata_service() {
    for from in ["https://127.0.0.1:5000/v2/", "https://169.254.7.7/v2/"] {
        for to in FORBIDDEN {
            assert!(!admits(from, to), "{from} to {to}");
        }
    }
    let guard = ssrf_guard("https://127.0.0.1:5000/");
    let sift = |found: &str| guard.sift("cdn.example", addresses(&[found]));
    assert!(sift("127.0.0.1").is_ok());
    assert!(sift("169.254.169.254").is_err());
}

#[test]
fn a_registry_may_send_us_to_its_store() {
    for (from, to) in [
        (
            "https://registry.example/v2/",
            "https://cdn.example/x?sig=y",
        ),
        ("https://registry.example/v2/", "https://10.1.2.3:9000/x"),
        ("https://registry.example/v2/", "https://192.168.1.2/x"),
        ("https://registry.example/v2/", "https://[fd12::1]/x"),
        ("http://10.0.0.5:5000/v2/", "http://10.0.0.6:9000/x"),
        ("http://10.0.0.5:5000/v2/", "https://cdn.example/x"),
    ] {
        assert!(admits(from, to), "{from} to {to}");
    }
}

#[test]
fn a_way_from_https_to_http_is_not_gone() {
    let from = "https://registry.example/v2/";
    for to in ["http://registry.example/x", "http://cdn.example/x"] {
        assert!(!admits(from, to), "{to}");
    }
    for to in ["file:///etc/passwd", "ftp://cdn.example/x", "data:,x"] {
        assert!(!admits(from, to), "{to}");
        assert!(!admits("http://127.0.0.1:5000/", to), "{to}");
    }
}

#[test]
fn a_refusal_does_not_show_what_a_url_may_hold() {
    let from = url("https://registry.example/v2/");
    let to = url("http://me:s3cret@cdn.example/x?signature=s3cret");
    let refusal = judge(&from, &to, false).unwrap_err().to_string();
    assert!(refusal.contains("http://cdn.example"), "{refusal}");
    assert!(!refusal.contains("s3cret"), "{refusal}");
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    let parse = |text: &&str| SocketAddr::new(text.parse().unwrap(), 443);
    texts.iter().map(parse).collect()
}

#[test]
fn a_name_that_resolves_to_this_machine_is_this_machine() {
    let ssrf_guard = ssrf_guard("https://registry.example/");
    let sift = |name: &str, found: &[&str]| ssrf_guard.sift(name, addresses(found));
    assert!(sift("cdn.example", &["127.0.0.1"]).is_err());
    assert!(sift("cdn.example", &["::1", "169.254.169.254"]).is_err());
    let mixed = sift("cdn.example", &["127.0.0.1", "203.0.113.9"]).unwrap();
    assert_eq!(mixed, addresses(&["203.0.113.9"]));
    assert_eq!(sift("cdn.example", &[]).unwrap(), []);
}

#[test]
fn local_registry_may_redirect_locally() {
    let ssrf_guard = ssrf_guard("https://registry.home.example/");
    let to = url("https://127.0.0.1:9000/x");
    let own = ssrf_guard.sift("Registry.home.example", addresses(&["127.0.0.1"]));
    assert_eq!(own.unwrap(), addresses(&["127.0.0.1"]));
    assert!(
        ssrf_guard
            .admit(&url("https://registry.home.example/"), &to)
            .is_ok()
    );
    assert!(
        ssrf_guard
            .sift("minio.example", addresses(&["::1"]))
            .is_ok()
    );
}

#[test]
fn a_name_that_moves_to_this_machine_opens_no_way_there() {
    let ssrf_guard = ssrf_guard("https://registry.example/");
    let to = url("https://127.0.0.1:9000/x");
    for found in ["203.0.113.7", "127.0.0.1", "127.0.0.1"] {
        let _ = ssrf_guard.sift("registry.example", addresses(&[found]));
        let from = url("https://registry.example/");
        assert!(ssrf_guard.admit(&from, &to).is_err(), "{found}");
    }
}

#[test]
fn a_proxy_may_be_on_this_machine() {
    for text in [
        "socks5h://tunnel.example:1080",
        "http://me:pw@tunnel.example:3128",
    ] {
        let proxy = Proxy::Url(text.to_owned().into());
        let ssrf_guard = SsrfGuard::new(&url("https://registry.example/"), &proxy);
        let found = addresses(&["127.0.0.1"]);
        assert_eq!(
            ssrf_guard.sift("tunnel.example", found.clone()).unwrap(),
            found
        );
        assert!(ssrf_guard.sift("cdn.example", found).is_err());
    }
}
