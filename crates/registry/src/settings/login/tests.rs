use serde_json::json;

use crate::settings::login::*;

fn helper_of(config: Value, registry: &str) -> Option<String> {
    take_helper(&mut config.clone(), &registry.parse().unwrap())
}

#[test]
fn a_registry_s_own_helper_wins_over_the_store() {
    let config = json!({
        "credHelpers": { "a.example.com": "own", "b.example.com": "" },
        "credsStore": "all",
    });
    assert_eq!(helper_of(config.clone(), "a.example.com").unwrap(), "own");
    assert_eq!(helper_of(config.clone(), "b.example.com"), None);
    assert_eq!(helper_of(config, "c.example.com").unwrap(), "all");
    assert_eq!(helper_of(json!({ "auths": {} }), "a.example.com"), None);
}

#[test]
fn docker_hub_has_three_names() {
    for name in [
        "https://index.docker.io/v1/",
        "index.docker.io",
        "docker.io",
    ] {
        let config = json!({ "credHelpers": { name: "hub" } });
        assert_eq!(helper_of(config, "docker.io").unwrap(), "hub");
    }
}

#[test]
fn no_helper_is_left_in_what_is_read_further() {
    let mut config = json!({ "credHelpers": { "x": "y" }, "credsStore": "z", "auths": {} });
    take_helper(&mut config, &"a.example.com".parse().unwrap());
    assert_eq!(config, json!({ "auths": {} }));
}

#[test]
fn a_helper_s_name_is_no_path() {
    assert!(check_helper_name("ecr-login").is_ok());
    for wrong in ["", "../x", "a b", "docker-credential-ecr-login"] {
        assert!(check_helper_name(wrong).is_err(), "{wrong}");
    }
}
