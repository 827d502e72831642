//! Who we are is shown to the registry itself, and to no host that it names.

use crate::support::net::witness::{Authority, Witness, bare};
use crate::support::programs::pair::{all_tags_of, fill_in, mirror_toml_with};
use crate::support::programs::transship::{Finished, Transship};
use crate::support::registries::fake::Fake;

const PLAIN: &str = "plain_http = true";

/// Syncs from a registry with a private CA, where we have a client certificate and a login.
fn sync_from(authority: &Authority, source: &Witness) -> Finished {
    let target = Fake::start();
    let keys = format!(
        "{}\nusername = \"robot\"\npassword = {{ env = \"PASSWORD\" }}",
        authority.keys()
    );
    let text = mirror_toml_with(&keys, PLAIN, &all_tags_of("app"));
    let mut transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    transship.set_env("PASSWORD", "right-horse-battery");
    let finished = transship.run(&["sync"]).expect_code(2);
    let seen = source.seen();
    assert!(!seen.handshakes.is_empty(), "{finished}");
    assert!(seen.handshakes.iter().all(|shown| *shown), "{seen:?}");
    finished
}

#[test]
fn redirect_is_trusted_by_no_private_ca() {
    let authority = Authority::new();
    let store = authority.serve("localhost", |_| bare("404 Not Found", "x: y"));
    let to = format!("location: {}/store", store.origin);
    let source = authority.serve("127.0.0.1", move |_| bare("307 Temporary Redirect", &to));
    let finished = sync_from(&authority, &source);
    finished.expect_stderr(&[&store.origin, "`ca_file` is for the registry's own host"]);
    assert_eq!(store.seen().handshakes, [] as [bool; 0]);
}

#[test]
fn redirect_to_another_port_shows_no_client_certificate() {
    let authority = Authority::new();
    let store = authority.serve("127.0.0.1", |_| bare("404 Not Found", "x: y"));
    let to = format!("location: {}/store", store.origin);
    let source = authority.serve("127.0.0.1", move |_| bare("307 Temporary Redirect", &to));
    sync_from(&authority, &source);
    let seen = store.seen();
    assert!(!seen.handshakes.is_empty());
    assert!(seen.handshakes.iter().all(|shown| !shown), "{seen:?}");
    let has_login = |head: &String| head.to_ascii_lowercase().contains("authorization");
    assert!(!seen.heads.iter().any(has_login), "{seen:?}");
}

#[test]
fn foreign_token_server_gets_neither_certificate_nor_ca() {
    for name in ["localhost", "127.0.0.1"] {
        let authority = Authority::new();
        let tokens = authority.serve(name, |_| bare("403 Forbidden", "x: y"));
        let challenge = format!(
            "www-authenticate: Bearer realm=\"{}/token\",service=\"s\"",
            tokens.origin
        );
        let source = authority.serve("127.0.0.1", move |_| bare("401 Unauthorized", &challenge));
        sync_from(&authority, &source);
        let seen = tokens.seen();
        assert!(seen.handshakes.iter().all(|shown| !shown), "{seen:?}");
        assert_eq!(seen.handshakes.is_empty(), name == "localhost", "{seen:?}");
    }
}
