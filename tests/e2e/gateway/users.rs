//! Users of the gateway: logins, tokens, and what a stranger gets.

use std::fs;
use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::programs::gateway::{GatewayStage, OPEN, PullReply};
use crate::support::programs::skopeo::skopeo;
use crate::support::registries::corpus::Image;

/// `ann` with the password `right-horse`, and `bob` with `right-mule`, at the lowest cost.
fn users_file(folder: &TempDir) -> String {
    let file = folder.path().join("gateway.htpasswd");
    for (at, (name, password)) in [("ann", "right-horse"), ("bob", "right-mule")]
        .iter()
        .enumerate()
    {
        let options = if at == 0 { "-cbBC" } else { "-bBC" };
        let mut made = Command::new("htpasswd");
        made.args([options, "4"]).arg(&file).args([name, password]);
        let output = made.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    file.display().to_string()
}

/// A gateway with users; the folder holds their file.
fn stage(more: &str) -> (GatewayStage, TempDir) {
    let folder = TempDir::new().unwrap();
    let keys = format!(
        "{OPEN}\nusers = {{ file = \"{}\"{more} }}",
        users_file(&folder)
    );
    let stage = GatewayStage::start(&keys, |source| {
        source.client().push("tool", "v1", &Image::oci("tool"));
    });
    (stage, folder)
}

fn basic(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

fn token_reply(stage: &GatewayStage, login: &str, scope: &str) -> PullReply {
    let path = format!("/token?service=x&scope=repository:{scope}:pull");
    stage
        .client
        .ask(Method::GET, &path, &[("authorization", &basic(login))])
}

fn token(stage: &GatewayStage, login: &str, scope: &str) -> String {
    let reply = token_reply(stage, login, scope);
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["token"], body["access_token"]);
    body["token"].as_str().unwrap().to_owned()
}

fn with_token(stage: &GatewayStage, token: &str, path: &str) -> PullReply {
    let header = format!("Bearer {token}");
    stage
        .client
        .ask(Method::GET, path, &[("authorization", &header)])
}

#[test]
fn stranger_is_asked_for_a_token_of_the_address_used() {
    let (stage, _folder) = stage("");
    let host = stage.address();
    let ping = stage.client.get("/v2/");
    assert_eq!(ping.status, 401);
    let realm = format!("Bearer realm=\"http://{host}/token\",service=\"{host}\"");
    // Bearer only: Docker's old engine would run both.
    assert_eq!(ping.headers.get_all("www-authenticate").iter().count(), 1);
    assert_eq!(ping.header("www-authenticate"), realm);
    assert_eq!(ping.error().0, "UNAUTHORIZED");
    let image = stage.client.get("/v2/app/manifests/v1");
    assert_eq!(image.status, 401);
    let scope = format!("{realm},scope=\"repository:app:pull\"");
    assert_eq!(image.header("www-authenticate"), scope);
    // Nobody learns which names there are.
    assert_eq!(stage.client.get("/v2/nothing/manifests/v1").status, 401);
    assert_eq!(
        stage.client.get("/token?scope=repository:app:pull").status,
        401
    );
    assert_eq!(stage.source.new_requests(), []);
}

#[test]
fn realm_follows_trusted_proxies_only() {
    let folder = TempDir::new().unwrap();
    let users = users_file(&folder);
    let told = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "mirror.example.com"),
    ];
    let keys = format!("users = {{ file = \"{users}\" }}\ntrusted_proxies = [\"127.0.0.1\"]");
    let behind = GatewayStage::start(&keys, |_| {});
    let realm = behind.client.ask(Method::GET, "/v2/", &told);
    let expected = "Bearer realm=\"https://mirror.example.com/token\"";
    let realm = realm.header("www-authenticate");
    assert!(realm.starts_with(expected), "{realm}");
    let open = GatewayStage::start(&format!("users = {{ file = \"{users}\" }}"), |_| {});
    let realm = open.client.ask(Method::GET, "/v2/", &told);
    let expected = format!("Bearer realm=\"http://{}/token\"", open.address());
    assert!(realm.header("www-authenticate").starts_with(&expected));
}

#[test]
fn token_opens_the_repository_that_it_names() {
    let (stage, _folder) = stage("");
    let token = token(&stage, "ann:right-horse", "app");
    let reply = with_token(&stage, &token, "/v2/app/manifests/v1");
    assert_eq!(
        (reply.status.as_u16(), &reply.body),
        (200, &Image::oci("app").bytes)
    );
    let ping = with_token(&stage, &token, "/v2/");
    assert_eq!(ping.status, 200);
    let other = with_token(&stage, &token, "/v2/tool/manifests/v1");
    assert_eq!(other.status, 401);
    let challenge = other.header("www-authenticate");
    assert!(
        challenge.ends_with("error=\"insufficient_scope\""),
        "{challenge}"
    );
}

#[test]
fn forged_token_is_refused() {
    let (stage, _folder) = stage("");
    let (other, _theirs) = self::stage("");
    let token = token(&other, "ann:right-horse", "app");
    let (claims, tag) = token.rsplit_once('.').unwrap();
    for forged in [
        &token,
        &format!("{claims}."),
        &format!("{claims}.{}", "A".repeat(tag.len())),
        "x",
    ] {
        let reply = with_token(&stage, forged, "/v2/app/manifests/v1");
        assert_eq!(reply.status, 401, "{forged}");
        let challenge = reply.header("www-authenticate");
        assert!(
            challenge.ends_with("error=\"invalid_token\""),
            "{challenge}"
        );
    }
}

#[test]
fn form_gives_a_token_too() {
    let (stage, _folder) = stage("");
    let asked = |form: &str| {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        stage.client.post("/token", &[kind], form)
    };
    let form = "grant_type=password&service=x&client_id=y&username=bob&password=right-mule&scope=\
                repository%3Aapp%3Apull%2Cpush+repository%3Atool%3Apull";
    let reply = asked(form);
    assert_eq!(reply.status, 200);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["scope"], "repository:app:pull repository:tool:pull");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(
        with_token(&stage, token, "/v2/tool/manifests/v1").status,
        200
    );
    assert_eq!(asked(&form.replace("mule", "mole")).status, 401);
    // Clients then ask by GET.
    assert_eq!(
        asked("grant_type=refresh_token&refresh_token=x").status,
        400
    );
    assert_eq!(
        asked(&format!("{form}&pad={}", "x".repeat(20_000))).status,
        400
    );
}

#[test]
fn new_users_count_and_a_wrong_file_leaves_the_old_ones() {
    let (stage, folder) = stage("");
    let file = folder.path().join("gateway.htpasswd");
    let anns = token(&stage, "ann:right-horse", "app");
    let text = fs::read_to_string(&file).unwrap();
    let bob = text.lines().find(|line| line.starts_with("bob:")).unwrap();
    fs::write(&file, format!("{bob}\n")).unwrap();
    stage.daemon().until_true("ann to be gone", |_| {
        token_reply(&stage, "ann:right-horse", "app").status == 401
    });
    // Her token is void with her.
    assert_eq!(
        with_token(&stage, &anns, "/v2/app/manifests/v1").status,
        401
    );
    fs::write(&file, "not a user").unwrap();
    stage
        .daemon()
        .until_true("the file to be refused", |daemon| {
            daemon.log().contains("the old ones stay")
        });
    token(&stage, "bob:right-mule", "app");
}

#[test]
fn upstream_password_that_arrives_goes_nowhere() {
    let (stage, _folder) = stage("");
    let login = "hubuser:dckr_pat_verysecret";
    let encoded = STANDARD.encode(login);
    assert_eq!(token_reply(&stage, login, "app").status, 401);
    for path in ["/v2/", "/v2/tool/manifests/v1"] {
        let reply = stage
            .client
            .ask(Method::GET, path, &[("authorization", &basic(login))]);
        assert_eq!(reply.status, 401, "{path}");
    }
    let requests = stage.source.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.authorization.is_none())
    );
    let log = stage.daemon().log();
    for secret in ["verysecret", "hubuser", &encoded] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[test]
fn flood_of_passwords_leaves_pulls_alone() {
    let (stage, _folder) = stage("");
    let token = token(&stage, "ann:right-horse", "app");
    let mut statuses = Vec::new();
    for at in 0..100 {
        statuses.push(
            token_reply(&stage, &format!("ann:guess-{at}"), "app")
                .status
                .as_u16(),
        );
    }
    let checked = statuses.iter().filter(|status| **status == 401).count();
    assert!((1..=15).contains(&checked), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)));
    // Who logged in before still does, and tokens are good.
    self::token(&stage, "ann:right-horse", "app");
    assert_eq!(
        with_token(&stage, &token, "/v2/app/manifests/v1").status,
        200
    );
}

#[test]
fn networks_without_a_login_pull_public_images() {
    let (stage, _folder) = stage(", anonymous = [\"127.0.0.0/8\"]");
    // A ping asks, so that who has a login uses it.
    assert_eq!(stage.client.get("/v2/").status, 401);
    let reply = stage.client.get("/token?scope=repository:app:pull");
    assert_eq!(reply.status, 200);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let token = body["token"].as_str().unwrap();
    assert_eq!(
        with_token(&stage, token, "/v2/app/manifests/v1").status,
        200
    );
    assert_eq!(stage.client.get("/v2/app/manifests/v1").status, 200);
    // Docker sends its login of Docker Hub to its mirrors.
    assert_eq!(token_reply(&stage, "hubuser:secret", "app").status, 200);
    // A user's wrong password is not taken for nobody's.
    assert_eq!(token_reply(&stage, "ann:wrong", "app").status, 401);
}

#[test]
fn skopeo_logs_in() {
    let (stage, _folder) = stage("");
    let image = format!("docker://{}/tool:v1", stage.address());
    let inspect = |login: &[&str]| {
        let mut command = skopeo("inspect");
        command
            .args(login)
            .args(["--raw", &image])
            .output()
            .unwrap()
    };
    let output = inspect(&["--creds=ann:right-horse"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stdout, Image::oci("tool").bytes);
    assert!(!inspect(&["--creds=ann:wrong"]).status.success());
    assert!(!inspect(&["--no-creds"]).status.success());
    let folder = TempDir::new().unwrap();
    let to = format!("dir:{}", folder.path().display());
    let mut copy = skopeo_copy();
    let output = copy
        .args(["--src-creds=ann:right-horse", &image, &to])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn skopeo_copy() -> Command {
    let mut command = Command::new("skopeo");
    command.args(["copy", "--src-tls-verify=false"]);
    command
}

#[test]
fn check_names_what_is_wrong_with_the_users_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users");
    let keys = format!("users = {{ file = \"{}\" }}", file.display());
    let text = crate::support::programs::gateway::gateway_toml(&keys, "");
    let text = text
        .replace("SOURCE", "source.example")
        .replace("TARGET", "target.example");
    let transship = crate::support::programs::transship::Transship::new(&text);
    for (content, expected) in [
        (None, "No such file"),
        (
            Some("ann:secret-in-clear"),
            "line 1: the hash is not bcrypt",
        ),
        (Some(""), "it names no user"),
    ] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let output = transship.command(&["check"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("secret-in-clear"), "{text}");
    }
}
