//! Real clients, and TLS.

use std::fs;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::support::programs::gateway::{GatewayStage, OPEN};
use crate::support::programs::skopeo::skopeo;
use crate::support::registries::corpus::{Image, layer};

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

/// What curl says of a request: the version of HTTP, the status, and the body.
fn curl(stage: &GatewayStage, folder: &TempDir, options: &[&str], path: &str) -> (String, Vec<u8>) {
    let body = folder.path().join("body");
    let mut command = std::process::Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--cacert"]);
    command
        .arg(folder.path().join("gw.pem"))
        .args(options)
        .arg("--output")
        .arg(&body);
    command.args(["--write-out", "%{http_version} %{http_code}"]);
    let url = format!("https://{}{path}", stage.address());
    let output = command.arg(url).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    (told, fs::read(body).unwrap())
}

#[test]
fn clients_over_tls_choose_the_version_of_http() {
    let folder = TempDir::new().unwrap();
    certificate(&folder);
    let path = folder.path().display();
    let keys =
        format!("{OPEN}\ntls = {{ cert_file = \"{path}/gw.pem\", key_file = \"{path}/gw.key\" }}");
    let image = Image::oci_with("large", vec![layer("large", 3 << 20)]);
    let stage = GatewayStage::start(&keys, |source| source.client().push("large", "v1", &image));
    let manifest = "/v2/large/manifests/v1";
    let (told, body) = curl(&stage, &folder, &["--http2"], manifest);
    assert_eq!((told.as_str(), body), ("2 200", image.bytes.to_vec()));
    // A blob is larger than the windows of a stream and of its connection.
    let blob = format!("/v2/large/blobs/{}", image.blobs[1].digest());
    let (told, body) = curl(&stage, &folder, &["--http2"], &blob);
    assert_eq!((told.as_str(), body.len()), ("2 200", 3 << 20));
    assert_eq!(body, image.blobs[1].bytes);
    let (told, body) = curl(&stage, &folder, &["--http1.1"], manifest);
    assert_eq!((told.as_str(), body), ("1.1 200", image.bytes.to_vec()));
    let (told, body) = curl(&stage, &folder, &["--http2", "--head"], manifest);
    assert_eq!(told, "2 200");
    assert!(!body.ends_with(&image.bytes));
}
