//! The parts of the benchmark, in the order in which they are measured.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::corpus::Shape;
use crate::gateway::gateway;
use crate::link_check;
use crate::options::{Options, Section};
use crate::process::{self, End};
use crate::stage::Stage;
use crate::support::net::link::LinkQuality;
use crate::table::Report;
use crate::tools::Tool;

const MIB: usize = 1 << 20;

/// Measures a section.
type Part = fn(&Options, &mut Report);

/// Measures what the options name.
pub fn run(options: &Options, report: &mut Report) {
    loopback(options, report);
    let parts: [(Section, Part); 7] = [
        (Section::Link, link),
        (Section::Lossy, lossy),
        (Section::Tiny, tiny),
        (Section::Large, large),
        (Section::Scale, scale),
        (Section::Gateway, gateway),
        (Section::Pods, pods),
    ];
    for (section, part) in parts {
        if options.measures(section) {
            part(options, report);
        }
    }
}

fn loopback(options: &Options, report: &mut Report) {
    let of_loopback = [Section::Cold, Section::Unchanged, Section::Moved];
    if !of_loopback.iter().any(|section| options.measures(*section)) {
        return;
    }
    let words = format!(
        "{} The target is behind a counter. {}",
        describe(options.shape()),
        link_check::describe(LinkQuality::default())
    );
    report.section("Loopback", &words);
    for tool in options.tools() {
        let mut stage = Stage::with(options.shape(), tool, LinkQuality::default(), options);
        report.row(&stage.run("cold"));
        if options.measures(Section::Unchanged) {
            report.row(&stage.run("unchanged"));
        }
        if options.measures(Section::Moved) {
            changes(&mut stage, report);
        }
    }
}

fn link(options: &Options, report: &mut Report) {
    let weather = options.long_link();
    let words = format!(
        "{} The target is behind a link of {}. {}",
        describe(options.shape()),
        options.describe_link(),
        link_check::describe(weather)
    );
    report.section("A long link", &words);
    for tool in options.tools() {
        let mut stage = Stage::with(options.shape(), tool, weather, options);
        report.row(&stage.run("cold"));
        report.row(&stage.run("unchanged"));
        changes(&mut stage, report);
    }
}

fn changes(stage: &mut Stage, report: &mut Report) {
    stage.move_tags();
    report.row(&stage.run("1 % moved"));
    stage.add_images();
    report.row(&stage.run("10 % new"));
}

fn lossy(options: &Options, report: &mut Report) {
    let words = format!(
        "{} The target is behind a link of {}, with {}. A run that fails is followed by another, ten at most.",
        describe(options.shape()),
        options.describe_link(),
        options.describe_faults()
    );
    report.section("A long and lossy link", &words);
    for tool in options.tools_of_hard_sections() {
        let mut stage = Stage::with(options.shape(), tool, options.lossy_link(), options);
        let cold = stage.run_until_well("cold");
        report.row(&cold);
        // Otherwise it would only go on.
        if cold.usage.end == End::Well {
            report.row(&stage.run_until_well("unchanged"));
        }
    }
}

fn tiny(options: &Options, report: &mut Report) {
    let shape = options.tiny_shape();
    report.section("Many tags", &describe(shape));
    for tool in options.tools_of_hard_sections() {
        let mut stage = Stage::with(shape, tool, LinkQuality::default(), options);
        report.row(&stage.run("cold"));
        report.row(&stage.run("unchanged"));
    }
}

fn large(options: &Options, report: &mut Report) {
    let size = options.large_bytes();
    let words = format!(
        "One image with a layer of {} MiB, on loopback; then the same, but the process is killed at random moments of \
         the upload and started again; last the same with a target that keeps what arrives of a request that breaks, as the \
         specification has it. docker-registry refuses a session in which one broke.",
        size >> 20
    );
    report.section("A large layer", &words);
    for tool in options.tools_of_hard_sections() {
        let mut stage = Stage::with_a_large_layer(size, tool, options);
        report.row(&stage.run("cold"));
        drop(stage);
        let mut stage = Stage::with_a_large_layer(size, tool, options);
        let case = format!("cold, killed {} times", options.kills);
        report.row(&stage.run_with_kills(options.kills, &case));
        drop(stage);
        let mut stage = Stage::with_a_large_layer(size, tool, options).keeping();
        let case = format!("{case}, kept");
        report.row(&stage.run_with_kills(options.kills, &case));
    }
}

fn scale(options: &Options, report: &mut Report) {
    let shape = options.light_shape();
    let words = format!("{} Then ten times the tags.", describe(shape));
    report.section("Scale", &words);
    for tool in options.tools_of_hard_sections() {
        one_size(shape, tool, options, report);
        let tags = 10 * shape.tags;
        one_size(Shape { tags, ..shape }, tool, options, report);
    }
}

fn one_size(shape: Shape, tool: Tool, options: &Options, report: &mut Report) {
    let mut stage = Stage::with(shape, tool, LinkQuality::default(), options);
    for case in ["cold", "unchanged"] {
        report.row(&stage.run(&format!("{} tags, {case}", shape.tags)));
    }
}

fn describe(shape: Shape) -> String {
    let Shape {
        tags,
        repositories,
        platforms,
        layer_bytes,
        ..
    } = shape;
    let layers = shape.common_layers + shape.repository_layers;
    format!(
        "{tags} tags in {repositories} repositories, {platforms} platform(s) each, {layers} shared layers of {} KiB.",
        layer_bytes >> 10
    )
}

/// Measures lists of these sizes, one after another.
fn pods(options: &Options, report: &mut Report) {
    let words =
        "Pods as `kubectl get pods -A -o json` prints them, through `transship explain --file`.";
    report.say(&format!(
        "\n## Pods\n\n{words}\n\n| MiB | pods | seconds | CPU s | peak MiB |\n| --: | --: | --: | --: | --: |\n"
    ));
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
