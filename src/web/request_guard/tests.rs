use std::net::{Ipv4Addr, Ipv6Addr};

use axum::{Router, body::Body, middleware, routing::get};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::*;

fn config(http: &str) -> Arc<ArcSwap<Config>> {
    let text =
        format!("[http]\n{http}\n[[mirror]]\nfrom = \"nginx:1\"\ntarget = \"m.example.com/a\"\n");
    let config = Config::parse("mirror.toml".as_ref(), &text);
    Arc::new(ArcSwap::from_pointee(
        config.unwrap_or_else(|error| panic!("{error}")),
    ))
}

/// The status of a request with these headers, to a listener on this address.
async fn status(
    listen: IpAddr,
    http: &str,
    (version, uri): (Version, &str),
    headers: &[(&str, &str)],
) -> u16 {
    let guard = HostGuard::new(config(http), listen);
    let router = Router::new()
        .route("/", get(async || "ok"))
        .layer(middleware::from_fn_with_state(guard, checked_host));
    let mut request = Request::get(uri).version(version);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let answer = TowerToHyperService::new(router).call(request).await;
    answer.unwrap().status().as_u16()
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ROOT: (Version, &str) = (Version::HTTP_11, "/");

#[tokio::test]
async fn loopback_listener_refuses_foreign_host() {
    for (host, expected) in [
        ("localhost", 200),
        ("LOCALHOST:9618", 200),
        ("localhost.:80", 200),
        ("status.localhost:9618", 200),
        ("127.0.0.1:9618", 200),
        ("127.0.0.1", 200),
        ("[::1]:9618", 200),
        ("192.168.1.5:9618", 200),
        ("evil.example", 421),
        ("evil.example:9618", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("notlocalhost", 421),
        ("localhost@evil.example", 400),
        ("evil.example@localhost", 400),
        ("", 400),
        ("local host", 400),
    ] {
        for listen in [LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let status = status(listen, "", ROOT, &[("host", host)]).await;
            assert_eq!(status, expected, "{host}");
        }
    }
}

#[tokio::test]
async fn request_needs_exactly_one_host() {
    let two = [("host", "localhost"), ("host", "localhost")];
    assert_eq!(status(LOOPBACK, "", ROOT, &two).await, 400);
    assert_eq!(status(LOOPBACK, "", ROOT, &[]).await, 400);
    let old = (Version::HTTP_10, "/");
    assert_eq!(status(LOOPBACK, "", old, &[]).await, 200);
    let absolute = (Version::HTTP_11, "http://evil.example/");
    assert_eq!(status(LOOPBACK, "", absolute, &[]).await, 421);
    let header = [("host", "localhost")];
    assert_eq!(status(LOOPBACK, "", absolute, &header).await, 400);
    let both = (Version::HTTP_11, "http://localhost/");
    assert_eq!(status(LOOPBACK, "", both, &header).await, 200);
}

#[tokio::test]
async fn configured_hosts_are_accepted() {
    let public = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let hosts = "hosts = [\"Mirror.Example.com\"]";
    for (listen, http, host, expected) in [
        (LOOPBACK, hosts, "mirror.example.com", 200),
        (LOOPBACK, hosts, "other.example.com", 421),
        (public, hosts, "mirror.example.com:9618", 200),
        (public, hosts, "10.0.0.1:9618", 200),
        (public, hosts, "evil.example", 421),
        (public, "", "any.example", 200),
    ] {
        let status = status(listen, http, ROOT, &[("host", host)]).await;
        assert_eq!(status, expected, "{listen} {http} {host}");
    }
}

#[test]
fn post_from_other_site_is_refused() {
    for (headers, expected) in [
        (vec![], true),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "none")], true),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "same-site")], false),
        (
            vec![
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "cross-site"),
            ],
            false,
        ),
        (
            vec![("sec-fetch-site", "none"), ("sec-fetch-site", "none")],
            false,
        ),
        (vec![("origin", "http://m.local:9618")], true),
        (vec![("origin", "https://M.LOCAL:9618")], true),
        (vec![("origin", "http://m.local")], false),
        (vec![("origin", "http://evil.example")], false),
        (vec![("origin", "http://m.local:9618.evil.example")], false),
        (vec![("origin", "null")], false),
        (vec![("origin", "")], false),
        (
            vec![
                ("origin", "http://m.local:9618"),
                ("origin", "http://evil.example"),
            ],
            false,
        ),
        (
            vec![
                ("origin", "http://evil.example"),
                ("sec-fetch-site", "none"),
            ],
            false,
        ),
        (vec![("origin", "https://proxy.example")], true),
    ] {
        let mut map = HeaderMap::new();
        map.insert(HOST, HeaderValue::from_static("m.local:9618"));
        for (name, value) in &headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let hosts = ["proxy.example".to_owned()];
        assert_eq!(is_same_origin(&map, &hosts), expected, "{headers:?}");
    }
}
