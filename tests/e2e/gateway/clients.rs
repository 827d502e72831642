//! Real clients, and TLS.

use std::fs;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::support::programs::gateway::{GatewayStage, OPEN};
use crate::support::programs::skopeo::skopeo;
use crate::support::registries::corpus::Image;

fn copy(stage: &GatewayStage, reference: &str, options: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let to = format!("dir:{}", folder.path().display());
    let mut command = std::process::Command::new("skopeo");
    command
        .args(options)
        .args(["copy", "--all", "--src-tls-verify=false"]);
    let output = command.args([reference, &to]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let log = stage.daemon().log();
    assert!(output.status.success(), "{reference}: {text}\n{log}");
    fs::read_to_string(folder.path().join("manifest.json")).unwrap()
}

#[test]
fn skopeo_copies_cold_and_warm() {
    let index = Image::two_platforms("multi");
    let stage = GatewayStage::start(OPEN, |source| source.client().push("multi", "v1", &index));
    let reference = format!("docker://{}/multi:v1", stage.address());
    let expected = String::from_utf8_lossy(&index.bytes);
    assert_eq!(copy(&stage, &reference, &[]), expected);
    stage.until_mirrored("cache/multi", "v1");
    stage.source.new_requests();
    assert_eq!(copy(&stage, &reference, &[]), expected);
    let reads = stage.source.new_requests();
    assert!(
        reads.iter().all(|request| !request.is_blob_get()),
        "{reads:#?}"
    );
}

#[test]
fn skopeo_copies_by_a_mirror_of_registries_conf() {
    let index = Image::two_platforms("multi");
    let stage = GatewayStage::start(OPEN, |source| source.client().push("multi", "v1", &index));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("registries.conf");
    let text = format!(
        "[[registry]]\nlocation = \"upstream.invalid\"\n\n[[registry.mirror]]\nlocation = \"{}\"\n\
         insecure = true\npull-from-mirror = \"all\"\n",
        stage.address()
    );
    fs::write(&file, text).unwrap();
    let option = format!("--registries-conf={}", file.display());
    let manifest = copy(&stage, "docker://upstream.invalid/multi:v1", &[&option]);
    assert_eq!(manifest, String::from_utf8_lossy(&index.bytes));
}

#[test]
fn skopeo_inspects_what_is_mirrored() {
    let stage = GatewayStage::start("", |_| {});
    let image = format!("docker://{}/app:v1", stage.address());
    let output = skopeo("inspect").args(["--raw", &image]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stdout, Image::oci("app").bytes);
}

/// Writes a certificate for `127.0.0.1`, and returns it.
fn certificate(folder: &TempDir) -> String {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let pem = leaf.self_signed(&key).unwrap().pem();
    fs::write(folder.path().join("gw.key"), key.serialize_pem()).unwrap();
    fs::write(folder.path().join("gw.pem"), &pem).unwrap();
    pem
}

fn answers(address: &str, certificate: &str) -> bool {
    let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted]);
    let client = client.build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let reply = runtime.block_on(client.get(format!("https://{address}/v2/")).send());
    reply.is_ok_and(|reply| reply.status() == 200)
}

#[test]
fn new_certificate_is_used_without_a_restart() {
    let folder = TempDir::new().unwrap();
    let first = certificate(&folder);
    let path = folder.path().display();
    let keys = format!("tls = {{ cert_file = \"{path}/gw.pem\", key_file = \"{path}/gw.key\" }}");
    let stage = GatewayStage::start(&keys, |_| {});
    assert!(answers(stage.address(), &first), "{}", stage.daemon().log());
    let second = certificate(&folder);
    stage
        .daemon()
        .until_true("the new certificate", |_| answers(stage.address(), &second));
    assert!(!answers(stage.address(), &first));
}
