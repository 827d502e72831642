//! Where a registry's credentials and trust come from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::programs::pair::{all_tags_of, fill_in, mirror_toml_with};
use crate::support::programs::transship::Transship;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::registry::{Guard, PASSWORD, Registry, USERNAME};

/// A guarded source and target, and a `transship` that knows the way into both.
struct Guarded {
    source: Registry,
    target: Registry,
    transship: Transship,
}

impl Guarded {
    /// The keys stand under both registries.
    fn with(guard: Guard, keys: &str) -> Self {
        let (source, target) = (Registry::guarded(guard), Registry::guarded(guard));
        source
            .client()
            .push("app", "v1", &Image::two_platforms("guarded"));
        let text = mirror_toml_with(keys, keys, &all_tags_of("app"));
        let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
        Self {
            source,
            target,
            transship,
        }
    }

    fn assert_synced(&self) {
        self.transship.sync();
        assert_mirrored(
            &self.source.client(),
            "app",
            &self.target.client(),
            "mirror/app",
            "v1",
        );
    }

    /// What `docker login` leaves behind for both registries.
    fn docker_config(&self) -> String {
        let auth = STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
        let hosts = [self.source.host(), self.target.host()];
        let auths: serde_json::Map<_, _> = hosts
            .map(|host| (host.to_owned(), serde_json::json!({ "auth": auth })))
            .into_iter()
            .collect();
        serde_json::json!({ "auths": auths }).to_string()
    }
}

fn login(password: &str) -> String {
    format!("plain_http = true\nusername = \"{USERNAME}\"\npassword = {password}")
}

#[test]
fn password_from_environment() {
    let mut guarded = Guarded::with(Guard::Login, &login("{ env = \"REGISTRY_TOKEN\" }"));
    guarded.transship.set_env("REGISTRY_TOKEN", PASSWORD);
    guarded.assert_synced();
}

#[test]
fn password_from_file_with_newline() {
    let guarded = Guarded::with(Guard::Login, &login("{ file = \"secret\" }"));
    guarded.transship.write("secret", &format!("{PASSWORD}\n"));
    guarded.assert_synced();
}

#[test]
fn password_from_systemd_credential() {
    let mut guarded = Guarded::with(Guard::Login, &login("{ credential = \"registry\" }"));
    let file = guarded.transship.write("credentials/registry", PASSWORD);
    guarded.transship.set_env(
        "CREDENTIALS_DIRECTORY",
        file.parent().unwrap().to_str().unwrap(),
    );
    guarded.assert_synced();
}

#[test]
fn login_from_home_docker_config() {
    let guarded = Guarded::with(Guard::Login, "plain_http = true\nlogin = \"docker-config\"");
    guarded
        .transship
        .write(".docker/config.json", &guarded.docker_config());
    guarded.assert_synced();
}

#[test]
fn login_from_docker_config_variable() {
    let mut guarded = Guarded::with(Guard::Login, "plain_http = true\nlogin = \"docker-config\"");
    let file = guarded
        .transship
        .write("elsewhere/config.json", &guarded.docker_config());
    guarded
        .transship
        .set_env("DOCKER_CONFIG", file.parent().unwrap().to_str().unwrap());
    guarded.assert_synced();
}

#[test]
fn missing_login_names_registry() {
    let guarded = Guarded::with(Guard::Login, "plain_http = true");
    let finished = guarded
        .transship
        .run(&["sync"])
        .expect_stderr(&[guarded.source.host()]);
    assert_ne!(finished.code, Some(0), "{finished}");
}

#[test]
fn trusts_ca_file() {
    let (source, target) = (Registry::guarded(Guard::Tls), Registry::guarded(Guard::Tls));
    source.client().push("app", "v1", &Image::oci("over TLS"));
    let keys = [&source, &target]
        .map(|registry| format!("ca_file = \"{}\"", registry.ca_file().display()));
    let text = mirror_toml_with(&keys[0], &keys[1], &all_tags_of("app"));
    Transship::new(&fill_in(&text, source.host(), target.host())).sync();
    assert_mirrored(
        &source.client(),
        "app",
        &target.client(),
        "mirror/app",
        "v1",
    );
}

#[test]
fn trusts_ca_file_that_is_the_server_certificate() {
    let (source, target) = (Registry::guarded(Guard::Tls), Registry::start());
    source.client().push("app", "v1", &Image::oci("over TLS"));
    let keys = format!("ca_file = \"{}\"", source.own_certificate().display());
    let text = mirror_toml_with(&keys, "plain_http = true", &all_tags_of("app"));
    Transship::new(&fill_in(&text, source.host(), target.host())).sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn untrusted_certificate_is_not_retried() {
    let guarded = Guarded::with(Guard::Tls, "connections = 4");
    let report = guarded.transship.run(&["--json", "sync"]).expect_code(2);
    let report = report.json();
    let error = &report["mirrors"][0]["errors"][0];
    assert_eq!(error["class"], "certificate", "{report:#}");
    assert_eq!(report["totals"]["requests"]["source"], 1, "{report:#}");
}

#[test]
fn untrusted_certificate_names_registry() {
    let guarded = Guarded::with(Guard::Tls, "connections = 4");
    let finished = guarded.transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&[guarded.source.host()]);
    assert!(guarded.target.client().repositories().is_empty());
}

#[test]
fn login_from_podman_auth_file() {
    const KEYS: &str = "plain_http = true\nlogin = \"docker-config\"";
    for name in ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"] {
        let mut guarded = Guarded::with(Guard::Login, KEYS);
        let config = guarded.docker_config();
        let file = guarded.transship.write("run/containers/auth.json", &config);
        let place = match name {
            "REGISTRY_AUTH_FILE" => file.as_path(),
            _ => file.parent().unwrap().parent().unwrap(),
        };
        guarded.transship.set_env(name, place.to_str().unwrap());
        guarded.assert_synced();
    }
}

#[test]
fn login_of_longest_path() {
    let guarded = Guarded::with(Guard::Login, "plain_http = true\nlogin = \"docker-config\"");
    let right = STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    let wrong = STANDARD.encode("somebody:else");
    let (source, target) = (guarded.source.host(), guarded.target.host());
    let auths = serde_json::json!({ "auths": {
        source: { "auth": wrong },
        format!("{source}/app"): { "auth": right },
        format!("{target}/mirror"): { "auth": right },
    } });
    let file = auths.to_string();
    guarded.transship.write(".docker/config.json", &file);
    guarded.assert_synced();
}
