//! The way to a registry: proxies, endpoints, families of addresses, certificates of clients.

use crate::support::net::tunnel::Tunnel;
use crate::support::programs::pair::{all_tags_of, fill_in, mirror_toml_with};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::Fake;
use crate::support::registries::registry::{Guard, Registry};

const PLAIN: &str = "plain_http = true";
/// A name that no resolver knows.
const NAME: &str = "registry.invalid";
/// Nobody listens on this port.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A source with one image, an open target, and the binary that knows the source by `name`.
struct NetworkStage {
    source: Fake,
    target: Registry,
    transship: Transship,
}

impl NetworkStage {
    /// `HOST` in the keys of the source stands for where it really is.
    fn with(name: Option<&str>, keys: &str) -> Self {
        let (source, target) = (Fake::start(), Registry::start());
        source.client().push("app", "v1", &Image::oci("on the way"));
        let keys = keys.replace("HOST", source.host());
        let text = mirror_toml_with(&keys, PLAIN, &all_tags_of("app"));
        let text = fill_in(&text, name.unwrap_or(source.host()), target.host());
        Self {
            transship: Transship::new(&text),
            source,
            target,
        }
    }

    fn assert_synced(&self) {
        self.transship.sync();
        let (from, to) = (self.source.client(), self.target.client());
        assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    }
}

#[test]
fn endpoint_replaces_the_host() {
    let stage = NetworkStage::with(Some(NAME), "endpoint = \"http://HOST\"");
    stage.assert_synced();
    let plan = stage.transship.run(&["plan"]).expect_code(0);
    plan.expect_stdout(&[&format!("{NAME}/app")]);
}

#[test]
fn uploads_use_the_endpoint() {
    let (source, target) = (Registry::start(), Registry::start());
    source
        .client()
        .push("app", "v1", &Image::oci("to an endpoint"));
    let keys = format!("endpoint = \"http://{}\"", target.host());
    let text = mirror_toml_with(PLAIN, &keys, &all_tags_of("app"));
    Transship::new(&fill_in(&text, source.host(), NAME)).sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn uses_http_proxy_per_registry() {
    // A request to an HTTP proxy has the whole URL, of which the fake looks at the path.
    let stage = NetworkStage::with(
        Some(NAME),
        "plain_http = true\nproxy = \"http://me:s3cret-zebra@HOST\"",
    );
    stage.assert_synced();
}

#[test]
fn socks5h_resolves_remotely() {
    let stage = NetworkStage::with(Some(NAME), PLAIN);
    let tunnel = Tunnel::socks(stage.source.host());
    let keys = format!(
        "plain_http = true\nproxy = \"socks5h://me:s3cret@{}\"",
        tunnel.host()
    );
    let text = mirror_toml_with(&keys, PLAIN, &all_tags_of("app"));
    let text = fill_in(&text, NAME, stage.target.host());
    stage.transship.write("mirror.toml", &text);
    stage.assert_synced();
    let asked = tunnel.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|name| name == NAME),
        "{asked:?}"
    );
}

#[test]
fn direct_overrides_environment_proxy() {
    const DIRECT: &str = "plain_http = true\nproxy = \"direct\"";
    // The fake serves as the proxy, too: it looks at the path of the whole URL that a proxy is asked for.
    for (keys, code) in [(DIRECT, 2), (PLAIN, 0)] {
        let mut stage = NetworkStage::with(Some(NAME), keys);
        let proxy = format!("http://{}", stage.source.host());
        stage.transship.set_env("HTTP_PROXY", &proxy);
        stage.transship.run(&["sync"]).expect_code(code);
    }
}

#[test]
fn proxy_login_is_never_printed() {
    for scheme in ["http", "socks5h", "https", "socks5"] {
        let keys = format!("plain_http = true\nproxy = \"{scheme}://me:s3cret-zebra@127.0.0.1:1\"");
        let mut stage = NetworkStage::with(Some(NAME), &keys);
        stage.transship.set_env("RUST_LOG", "trace");
        let finished = stage.transship.run(&["-v", "sync"]).expect_code(2);
        let finished = finished.expect_stderr(&[NAME]);
        let all = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!all.contains("s3cret-zebra"), "{finished}");
    }
}

#[test]
fn ip_family_is_exclusive() {
    NetworkStage::with(None, "plain_http = true\nip = \"4\"").assert_synced();
    let stage = NetworkStage::with(None, "plain_http = true\nip = \"6\"");
    stage.transship.run(&["sync"]).expect_code(2);
    for (ip, is_reached) in [("6", true), ("any", true), ("4", false)] {
        let stage = NetworkStage::with(Some(NAME), PLAIN);
        let tunnel = Tunnel::ipv6(stage.source.host());
        let keys = format!("endpoint = \"http://{}\"\nip = \"{ip}\"", tunnel.host());
        let text = mirror_toml_with(&keys, PLAIN, &all_tags_of("app"));
        let text = fill_in(&text, NAME, stage.target.host());
        stage.transship.write("mirror.toml", &text);
        match is_reached {
            true => stage.assert_synced(),
            false => drop(stage.transship.run(&["sync"]).expect_code(2)),
        }
    }
}

#[test]
fn presents_client_certificate() {
    let (source, target) = (Registry::start(), Registry::guarded(Guard::MutualTls));
    source
        .client()
        .push("app", "v1", &Image::oci("known by a certificate"));
    let trust = format!("ca_file = \"{}\"", target.ca_file().display());
    let (certificate, key) = target.client_certificate();
    let keys = format!(
        "{trust}\nclient_cert = \"{}\"\nclient_key = \"{}\"",
        certificate.display(),
        key.display()
    );
    let text = |keys: &str| {
        let text = mirror_toml_with(PLAIN, keys, &all_tags_of("app"));
        fill_in(&text, source.host(), target.host())
    };
    let transship = Transship::new(&text(&trust));
    transship.run(&["sync"]).expect_code(2);
    transship.write("mirror.toml", &text(&keys));
    assert_eq!(sum(&transship.sync(), "/tags/copied"), 1);
    transship.forget();
    assert_eq!(sum(&transship.sync(), "/tags/unchanged"), 1);
}

#[test]
fn loopback_is_reached_without_proxy_of_environment() {
    let mut stage = NetworkStage::with(None, PLAIN);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        stage.transship.set_env(name, NOWHERE);
    }
    stage.assert_synced();
}

#[test]
fn error_through_proxy_names_it() {
    let mut stage = NetworkStage::with(Some(NAME), PLAIN);
    stage
        .transship
        .set_env("HTTP_PROXY", "http://user:secret@127.0.0.1:1");
    let finished = stage.transship.run(&["sync"]).expect_code(2);
    let finished = finished.expect_stderr(&["through the proxy http://127.0.0.1:1", "NO_PROXY"]);
    assert!(!finished.stderr.contains("secret"), "{finished}");
}
