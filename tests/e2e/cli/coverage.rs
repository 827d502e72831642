//! Whether the images of a cluster are mirrored: inputs of files, answers, exit statuses.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{
    programs::{pair::Pair, transship::Transship},
    registries::corpus::Image,
};

const MIRROR: &str = "[[mirror]]\nname = \"web\"\nfrom = \"quay.io/acme/web:1\"\ntarget = \"registry.example.com/m\"\n";

/// The states of the images that `explain --json` lists, by their names.
fn states(printed: &Value) -> Vec<(String, String)> {
    let images = printed["images"].as_array().unwrap();
    let text = |image: &Value, member: &str| image[member].as_str().unwrap_or_default().to_owned();
    images
        .iter()
        .map(|image| (text(image, "image"), text(image, "state")))
        .collect()
}

/// A pod that runs this digest of an image.
fn pod(image: &str, digest: &str) -> String {
    let repository = image.rsplit_once(':').map_or(image, |(name, _)| name);
    json!({
        "kind": "Pod",
        "metadata": { "name": "p", "namespace": "prod" },
        "spec": { "containers": [{ "name": "c", "image": image }] },
        "status": { "containerStatuses": [{ "name": "c", "imageID": format!("{repository}@{digest}") }] },
    })
    .to_string()
}

#[test]
fn missing_images_are_listed_with_the_entries_to_add() {
    let transship = Transship::new(MIRROR);
    transship.write("images.txt", "quay.io/acme/web:1\nquay.io/acme/db:2\n");
    let explained = transship
        .run(&["explain", "--file", "images.txt"])
        .expect_code(4);
    explained.expect_stdout(&[
        "not mirrored",
        "quay.io/acme/db:2",
        "line 2",
        "2 images: 1 not mirrored, 1 not at the target",
        "to add:",
        "from = [\n  \"quay.io/acme/db:2\",\n]",
    ]);
    let toml = transship
        .run(&["explain", "--file", "images.txt", "--toml"])
        .expect_code(4);
    assert!(toml.stdout.starts_with("[[mirror]]\n"), "{toml}");
}

#[test]
fn mirrored_image_is_current_and_foreign_digest_found() {
    let image = Image::oci("first");
    let pair = Pair::holding(&image);
    pair.transship.run(&["sync"]).expect_code(0);
    let name = format!("{}/app:v1", pair.source.host());
    pair.transship
        .write("pods.json", &pod(&name, &image.digest()));
    let well = pair
        .transship
        .run(&["explain", "--file", "pods.json"])
        .expect_code(0);
    well.expect_stdout(&["1 image: all mirrored and current"]);

    pair.transship
        .write("pods.json", &pod(&name, &Image::oci("other").digest()));
    let foreign = pair
        .transship
        .run(&["--json", "explain", "--file", "pods.json"]);
    assert_eq!(
        states(&foreign.expect_code(0).json()),
        [(name, "other_digest".to_owned())]
    );
}

#[test]
fn input_that_is_no_list_is_refused() {
    let transship = Transship::new(MIRROR);
    transship.write("broken.json", "{\"items\": [\n");
    let broken = transship
        .run(&["explain", "--file", "broken.json"])
        .expect_code(64);
    broken.expect_stderr(&["broken.json: line 2", "help: give a list"]);
    let lost = transship
        .run(&["explain", "--file", "lost.txt"])
        .expect_code(64);
    lost.expect_stderr(&["lost.txt: No such file"]);
    transship.write("empty.yaml", "---\n");
    transship
        .run(&["explain", "--file", "empty.yaml"])
        .expect_code(64)
        .expect_stderr(&["no image in it"]);
}

#[test]
fn imported_list_is_a_valid_file() {
    let transship = Transship::without_config();
    transship.write(
        "images.txt",
        "registry.k8s.io/pause:3.10\nquay.io/acme/web:1\n",
    );
    let arguments = [
        "import",
        "--from",
        "images",
        "images.txt",
        "--target",
        "registry.example.com/m",
    ];
    let imported = transship.run(&arguments).expect_code(0);
    transship.write("mirror.toml", &imported.stdout);
    transship
        .run(&["check"])
        .expect_code(0)
        .expect_stdout(&["2 mirrors of 2 repositories"]);
}

#[test]
fn preset_is_printed_and_a_misspelt_one_is_named() {
    let transship = Transship::without_config();
    let preset = transship.run(&[
        "import",
        "--preset",
        "kubernetes",
        "--target",
        "registry.example.com/m",
    ]);
    transship.write("mirror.toml", &preset.expect_code(0).stdout);
    transship.run(&["check"]).expect_code(0);
    let wrong = transship
        .run(&["import", "--preset", "kubernets"])
        .expect_code(64);
    wrong.expect_stderr(&["no preset `kubernets`", "did you mean `kubernetes`?"]);
}

#[test]
fn check_warns_of_a_frozen_or_moved_upstream() {
    for (image, words, new) in [
        (
            "k8s.gcr.io/pause:3.9",
            "k8s.gcr.io is frozen",
            "registry.k8s.io",
        ),
        (
            "gcr.io/google-containers/pause:3.2",
            "gcr.io/google-containers",
            "registry.k8s.io",
        ),
        (
            "docker.io/bitnami/redis:7",
            "docker.io/bitnami",
            "bitnamilegacy",
        ),
        ("quay.io/coreos/etcd:v3.5", "quay.io/coreos", "quay.io"),
    ] {
        let frozen =
            format!("[[mirror]]\nfrom = \"{image}\"\ntarget = \"registry.example.com/m\"\n");
        let checked = Transship::new(&frozen).run(&["check"]).expect_code(0);
        checked.expect_stdout(&[words, new]);
    }
}

/// Most memory of its own while it reads what never ends, in bytes.
const MEMORY: u64 = 64 << 20;

/// The next piece of an input, by its number.
type Piece<'p> = Box<dyn FnMut(usize) -> String + 'p>;

/// Memory of a process of its own; none once it has ended.
fn memory_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.map_or(0, |kib| kib.parse::<u64>().unwrap() << 10)
}

/// What `explain -` says of a piece that comes again and again after a beginning, and its most memory.
fn refusal_of_endless(begin: &str, mut piece: impl FnMut(usize) -> String) -> (String, u64) {
    let transship = Transship::new(MIRROR);
    let mut command = transship.command(&["explain", "-"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut most = 0;
    let mut written = stdin.write_all(begin.as_bytes());
    for number in 0.. {
        if written.is_err() {
            break;
        }
        if number % 64 == 0 {
            most = most.max(memory_of(child.id()));
        }
        written = stdin.write_all(piece(number).as_bytes());
    }
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(64));
    (String::from_utf8(ended.stderr).unwrap(), most)
}

#[test]
fn endless_input_ends_with_an_error_and_takes_little_memory() {
    let long = "x".repeat(32 << 10);
    let deep = "[".repeat(4 << 10);
    let images = |number: usize| -> String {
        let lines = (0..1000).map(|at| format!("a{number}-{at}:1\n"));
        lines.collect()
    };
    let document = format!("a: {}\n", "x".repeat(1000)).repeat(32);
    let bomb = (1..20).fold(String::from("a0: &a0 [nginx:1]\n"), |text, at| {
        format!("{text}a{at}: &a{at} [*a{0}, *a{0}, *a{0}]\n", at - 1)
    });
    let cases: [(&str, Piece<'_>, &str); 7] = [
        ("", Box::new(|_| long.clone()), "a line of more than 4 MiB"),
        (
            "{\"a\": \"",
            Box::new(|_| long.clone()),
            "a text of more than 4 MiB",
        ),
        ("", Box::new(|_| deep.clone()), "more than 100 levels"),
        ("", Box::new(images), "more than 100,000 different images"),
        (
            "a: 1\n",
            Box::new(|_| document.clone()),
            "a YAML document of more than 16 MiB",
        ),
        (
            &bomb,
            Box::new(|_| document.clone()),
            "a YAML document of more than 16 MiB",
        ),
        (
            "\u{1b}[31mred\u{202e}",
            Box::new(|_| "\n".into()),
            "is no image",
        ),
    ];
    for (begin, piece, words) in cases {
        let (said, most) = refusal_of_endless(begin, piece);
        assert!(said.contains(words), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
        assert!(most <= MEMORY, "{words}: {} MiB", most >> 20);
    }
}
