//! The images of very many pods.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::options::Options;
use crate::process::{self, End};
use crate::table::report::Report;
use crate::tools::Tool;

const MIB: usize = 1 << 20;

/// Measures lists of these sizes, one after another.
pub fn pods(options: &Options, report: &mut Report) {
    let words =
        "Pods as `kubectl get pods -A -o json` prints them, through `transship explain --file`.";
    report.open(
        "Pods",
        &format!(
            "{words}\n\n| MiB | pods | seconds | CPU s | peak MiB |\n| --: | --: | --: | --: | --: |\n"
        ),
    );
    let folder = TempDir::new().unwrap();
    for size in options.pod_mib() {
        let file = folder.path().join("pods.json");
        let count = write_pods(&file, size * MIB);
        let mut command = Tool::Transship.in_folder(folder.path());
        command.args(["explain", "--file", "pods.json"]);
        let log = folder.path().join("log");
        let usage = process::run(command, &log, options.limit(), || false);
        // Exit status 4 means: images are missing.
        assert!(matches!(usage.end, End::Well | End::Badly));
        report.say(&format!(
            "| {size} | {count} | {:.2} | {:.2} | {:.1} |\n",
            usage.seconds,
            usage.processor_seconds,
            usage.peak_bytes as f64 / MIB as f64
        ));
    }
}

/// Writes a list of pods of at least this size, and a `mirror.toml`. Returns how many pods there are.
fn write_pods(path: &Path, bytes: usize) -> usize {
    let toml = "[[mirror]]\nfrom = \"docker.io/library/redis\"\ntags = \"*\"\ntarget = \"registry.example.com/m\"\n";
    std::fs::write(path.with_file_name("mirror.toml"), toml).unwrap();
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut written = 0;
    file.write_all(b"{\"kind\": \"List\", \"items\": [\n")
        .unwrap();
    for number in 0.. {
        let comma = if number == 0 { "" } else { ",\n" };
        let text = format!("{comma}{}", pod(number));
        file.write_all(text.as_bytes()).unwrap();
        written += text.len();
        if written >= bytes {
            file.write_all(b"\n]}\n").unwrap();
            file.flush().unwrap();
            return number + 1;
        }
    }
    0
}

/// One pod of two containers, in about 6 KiB.
fn pod(number: usize) -> String {
    let digest = "a".repeat(64);
    let images = [
        format!(
            "registry.example.com/app-{}:v1.{}",
            number % 300,
            number % 7
        ),
        format!("docker.io/library/redis:7.{}", number % 9),
    ];
    let variables: Vec<_> = (0..10)
        .map(|at| json!({ "name": format!("VARIABLE_{at}"), "value": format!("value {at}") }))
        .collect();
    let mount =
        json!({ "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "token" });
    let container = |at: usize| {
        json!({ "name": format!("c{at}"), "image": images[at], "args": ["--v=2"], "env": variables,
            "imagePullPolicy": "IfNotPresent", "resources": { "limits": { "cpu": "100m", "memory": "128Mi" } },
            "terminationMessagePath": "/dev/termination-log", "volumeMounts": [mount] })
    };
    let status = |at: usize| {
        let repository = images[at].rsplit_once(':').map_or("", |(name, _)| name);
        json!({ "name": format!("c{at}"), "image": images[at], "imageID": format!("{repository}@sha256:{digest}"),
            "containerID": format!("containerd://{digest}"), "ready": true, "restartCount": 0 })
    };
    let containers = [container(0), container(1)];
    let applied = json!({ "kind": "Pod", "spec": { "containers": containers } }).to_string();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": format!("pod-{number}"), "namespace": format!("team-{}", number % 50),
            "annotations": { "kubectl.kubernetes.io/last-applied-configuration": applied } },
        "spec": { "containers": containers, "nodeName": format!("node-{}", number % 100) },
        "status": { "phase": "Running", "containerStatuses": [status(0), status(1)] },
    });
    serde_json::to_string_pretty(&pod).unwrap()
}
