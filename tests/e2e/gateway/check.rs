//! `client-config --check` before a real gateway.

use std::process::Output;

use crate::support::programs::gateway::GatewayStage;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::Verdict;
use crate::support::registries::fake_answers::refusal;

fn check(stage: &GatewayStage, client: &str, more: &[&str]) -> (Output, String) {
    let gateway = format!("http://{}", stage.address());
    let args = ["client-config", client, "--check"];
    let mut command = stage.transship.command(&args);
    if !more.contains(&"--direct") {
        command.args(["--gateway", &gateway]);
    }
    let output = command.args(more).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[test]
fn each_form_of_client_gets_the_mirrored_image() {
    let stage = GatewayStage::start("", |_| {});
    for client in ["docker", "containerd", "podman", "k3s", "buildkit"] {
        let (output, text) = check(&stage, client, &[]);
        assert_eq!(output.status.code(), Some(0), "{client}: {text}");
        let image = format!(
            "{}/app:v1 is {}",
            stage.source.host(),
            Image::oci("app").digest()
        );
        assert!(text.contains(&image), "{text}");
    }
}

#[test]
fn target_itself_is_checked_too() {
    let stage = GatewayStage::start("", |_| {});
    let (output, text) = check(&stage, "podman", &["--direct"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
}

#[test]
fn stale_copy_is_shown_with_its_age() {
    let stage = GatewayStage::start("fresh = \"0s\"", |_| {});
    stage
        .source
        .rule(|request| match request.path.contains("/manifests/") {
            true => Verdict::Answer(refusal(503, "UNAVAILABLE")),
            false => Verdict::Serve,
        });
    let (output, text) = check(&stage, "containerd", &[]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("stale copy of") && text.contains("last checked"),
        "{text}"
    );
}

#[test]
fn refusals_have_a_remedy() {
    let stage = GatewayStage::start("clients = [\"203.0.113.0/24\"]", |_| {});
    let (output, text) = check(&stage, "containerd", &[]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("403") && text.contains("`clients` of [gateway]"),
        "{text}"
    );
    // Nothing listens there.
    let args = [
        "client-config",
        "podman",
        "--check",
        "--gateway",
        "http://127.0.0.1:1",
    ];
    let output = stage.transship.command(&args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("start `transship serve`"), "{text}");
}

#[test]
fn login_is_taken_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    let mut made = std::process::Command::new("htpasswd");
    let made = made
        .args(["-cbBC", "4"])
        .arg(&file)
        .args(["ann", "right-horse"])
        .output();
    assert!(made.unwrap().status.success());
    let stage = GatewayStage::start(
        &format!("users = {{ file = \"{}\" }}", file.display()),
        |_| {},
    );
    let (output, text) = check(&stage, "containerd", &[]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("401") && text.contains("--user NAME"),
        "{text}"
    );
    let gateway = format!("http://{}", stage.address());
    let args = [
        "client-config",
        "podman",
        "--check",
        "--user",
        "ann",
        "--gateway",
        &gateway,
    ];
    let mut command = stage.transship.command(&args);
    let output = command
        .env("TRANSSHIP_GATEWAY_PASSWORD", "right-horse")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!text.contains("right-horse"));
}
