//! What skopeo, another reader of registries, makes of them.

use std::process::Command;

/// A manifest as skopeo reads it.
pub fn raw_manifest(host: &str, reference: &str) -> Vec<u8> {
    let image = format!("docker://{host}/{reference}");
    let output = skopeo("inspect").args(["--raw", &image]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A command of skopeo, over plain HTTP.
pub fn skopeo(verb: &str) -> Command {
    let mut command = Command::new("skopeo");
    command.args([verb, "--tls-verify=false"]);
    command
}
