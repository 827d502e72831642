use base64::engine::general_purpose::STANDARD as PADDED;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;

fn found(file: &str, registry: &str) -> FoundLogins {
    find(file, &registry.parse().unwrap()).unwrap()
}

fn shown(credential: &Credential) -> String {
    match credential {
        Credential::Anonymous => "anonymous".into(),
        Credential::Basic { username, password } => {
            format!("{username}:{}", password.expose_secret())
        }
        Credential::IdentityToken(token) => format!("token {}", token.expose_secret()),
        Credential::RegistryToken(token) => format!("bearer {}", token.expose_secret()),
    }
}

fn whole(file: &Value, registry: &str) -> Option<String> {
    found(&file.to_string(), registry).whole.as_ref().map(shown)
}

#[test]
fn reads_entries_as_tools_write_them() {
    let entries = [
        (json!({ "auth": PADDED.encode("u:p") }), "u:p"),
        (json!({ "auth": PADDED.encode("u:p:q") }), "u:p:q"),
        (json!({ "auth": "dTpwcA" }), "u:pp"),
        (json!({ "auth": "dTpw\ncA==\n" }), "u:pp"),
        (json!({ "auth": PADDED.encode("u:p\0\0") }), "u:p"),
        (json!({ "username": "u", "password": "p" }), "u:p"),
        (
            json!({ "username": "u", "password": "p", "auth": "" }),
            "u:p",
        ),
        (
            json!({ "auth": PADDED.encode("0000:"), "identitytoken": "t" }),
            "token t",
        ),
        (json!({ "username": "<token>", "password": "t" }), "token t"),
        (json!({ "registrytoken": "t", "auth": "" }), "bearer t"),
        (
            json!({ "auth": PADDED.encode("u:p"), "email": null }),
            "u:p",
        ),
    ];
    for (entry, expected) in entries {
        let file = json!({ "auths": { "reg.test": entry } });
        assert_eq!(
            whole(&file, "reg.test").as_deref(),
            Some(expected),
            "{file}"
        );
    }
    for entry in [
        json!({}),
        json!(null),
        json!({ "auth": "!" }),
        json!({ "auth": PADDED.encode(":") }),
    ] {
        let file = json!({ "auths": { "reg.test": entry } });
        assert_eq!(whole(&file, "reg.test"), None, "{file}");
    }
}

#[test]
fn finds_keys_of_any_form() {
    let entry = json!({ "auth": PADDED.encode("u:p") });
    let keys = [
        ("reg.test", "reg.test"),
        ("reg.test/", "reg.test"),
        ("https://reg.test", "reg.test"),
        ("https://reg.test/v2/", "reg.test"),
        ("http://reg.test:5000/v1/", "reg.test:5000"),
        ("REG.test", "reg.test"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
    ];
    for (key, registry) in keys {
        let file = json!({ "auths": { key: entry } });
        assert_eq!(whole(&file, registry).as_deref(), Some("u:p"), "{key}");
        let old = json!({ key: entry });
        assert_eq!(
            whole(&old, registry).as_deref(),
            Some("u:p"),
            "old file: {key}"
        );
    }
    for key in ["other.test", "reg.test:5000", "reg.test.other"] {
        assert_eq!(
            whole(&json!({ "auths": { key: entry } }), "reg.test"),
            None,
            "{key}"
        );
    }
}

#[test]
fn exact_key_wins_over_one_with_scheme() {
    let entry = |login: &str| json!({ "auth": PADDED.encode(login) });
    let file = json!({ "auths": { "https://reg.test": entry("a:a"), "reg.test": entry("b:b") } });
    assert_eq!(whole(&file, "reg.test").as_deref(), Some("b:b"));
}

#[test]
fn longest_path_comes_first() {
    let entry = |login: &str| json!({ "auth": PADDED.encode(login) });
    let file = json!({ "auths": {
        "reg.test": entry("all:x"),
        "reg.test/team": entry("team:x"),
        "reg.test/team/app": entry("app:x"),
    } });
    let found = found(&file.to_string(), "reg.test");
    let paths: Vec<&str> = found.paths.iter().map(|login| &*login.path).collect();
    assert_eq!(paths, ["team/app", "team"]);
    assert_eq!(found.whole.as_ref().map(shown).as_deref(), Some("all:x"));
}

#[test]
fn helper_of_registry_wins() {
    let file = json!({ "credsStore": "all", "credHelpers": { "https://reg.test": "own" } });
    assert_eq!(
        found(&file.to_string(), "reg.test").helper.as_deref(),
        Some("own")
    );
    assert_eq!(
        found(&file.to_string(), "other.test").helper.as_deref(),
        Some("all")
    );
    let empty = json!({ "credsStore": "all", "credHelpers": { "reg.test": "" } });
    assert_eq!(found(&empty.to_string(), "reg.test").helper, None);
    for name in [
        "https://index.docker.io/v1/",
        "index.docker.io",
        "docker.io",
    ] {
        let hub = json!({ "credHelpers": { name: "hub" } });
        assert!(
            found(&hub.to_string(), "docker.io").helper.is_some(),
            "{name}"
        );
    }
    let none = json!({ "credsStore": "", "credHelpers": null, "auths": null });
    assert_eq!(found(&none.to_string(), "reg.test").helper, None);
}

#[test]
fn byte_order_mark_does_no_harm() {
    let file = format!(
        "\u{feff}{}",
        json!({ "auths": { "reg.test": { "auth": "dTpwcA==" } } })
    );
    assert!(found(&file, "reg.test").whole.is_some());
    assert!(find("[]", &"reg.test".parse().unwrap()).is_err());
}
