use std::path::Path;

use crate::config::Config;

const REST: &str =
    "[defaults]\ntarget = \"registry.example.com/mirror\"\n[[mirror]]\nfrom = \"quay.io/a/b:1\"\n";

fn warnings(gateway: &str) -> String {
    let text = format!("[gateway]\n{gateway}\n{REST}");
    let config = Config::parse(Path::new("mirror.toml"), &text);
    config
        .unwrap_or_else(|error| panic!("{error}"))
        .warnings
        .to_string()
}

#[test]
fn listener_for_others_without_tls_is_a_warning() {
    assert!(warnings("listen = \"0.0.0.0:5000\"").contains("without TLS"));
    assert!(warnings("listen = \"[::]:5000\"").contains("without TLS"));
    assert_eq!(warnings("listen = \"127.0.0.1:5000\""), "");
    assert_eq!(warnings("listen = \"[::1]:5000\""), "");
    assert_eq!(
        warnings("listen = \"10.0.0.1:5000\"\ntrusted_proxies = [\"10.0.0.2\"]"),
        ""
    );
}

#[test]
fn gateway_for_everybody_without_users_is_an_open_proxy() {
    for networks in ["\"0.0.0.0/0\"", "\"10.0.0.0/8\", \"::/0\""] {
        let found = warnings(&format!("clients = [{networks}]"));
        assert!(found.contains("open proxy"), "{found}");
    }
    assert_eq!(warnings("clients = [\"10.0.0.0/8\"]"), "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    let hash = "$2b$04$LLtVNvsJvzs11BsBqUk9PO7ZlXLEoe7L9YqIBaFnBePiVjdZ7/wgW";
    std::fs::write(&file, format!("robot:{hash}\n")).unwrap();
    let users = |more: &str| {
        let file = file.display();
        format!("clients = [\"0.0.0.0/0\"]\nusers = {{ file = \"{file}\"{more} }}")
    };
    assert_eq!(warnings(&users("")), "");
    assert!(warnings(&users(", anonymous = [\"0.0.0.0/0\"]")).contains("open proxy"));
}
