//! Two processes that use one store at the same time.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::resume::uploads::{PART, SIZE, UploadStage};
use crate::support::programs::pair::between;
use crate::support::programs::transship::Running;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::held;
use crate::support::registries::fake_contents::Oddities;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::Request;
use crate::support::wait_for;

/// What the store keeps of the only upload.
const UPLOAD: &str = "SELECT location, offset FROM uploads";

/// A process that sent a part of the layer, and gets no answer to the second.
fn in_the_middle() -> (UploadStage, Running) {
    let stage = UploadStage::with(Oddities::default());
    let (gate, closed) = mpsc::channel();
    let mut parts = 0;
    stage.target.rule(move |request| {
        parts += usize::from(request.method == "PATCH");
        if request.method != "PATCH" || parts != 2 {
            return Verdict::Serve;
        }
        let _ = gate.send(());
        Verdict::ServeAt(Instant::now() + Duration::from_secs(3600))
    });
    let first = stage.transship.start(&["sync"]);
    closed.recv().unwrap();
    wait_for("the offset in the store", || {
        let kept = stage.transship.ask_store(UPLOAD);
        kept.ends_with(&format!("|{PART}")).then_some(())
    });
    (stage, first)
}

fn sessions(requests: &[Request]) -> Vec<&str> {
    let parts = requests.iter().filter(|request| request.method == "PATCH");
    parts.map(|part| &*part.path).collect()
}

#[test]
fn parallel_syncs_use_own_sessions() {
    let (stage, first) = in_the_middle();
    let kept = stage.transship.ask_store(UPLOAD);
    let of_the_first = stage.target.new_requests();
    stage.assert_synced();
    let of_the_second = stage.target.new_requests();
    let (theirs, ours) = (sessions(&of_the_first), sessions(&of_the_second));
    assert!(!ours.is_empty() && ours.iter().all(|path| !theirs.contains(path)));
    let sent: usize = of_the_second
        .iter()
        .filter(|request| request.method == "PATCH")
        .map(|part| part.received)
        .sum();
    assert_eq!(sent, SIZE);
    let is_ended = |request: &Request| request.method == "DELETE";
    assert!(!of_the_second.iter().any(is_ended), "{of_the_second:#?}");
    assert_eq!(stage.transship.ask_store(UPLOAD), kept);
    drop(first);
}

#[test]
fn no_deletion_while_another_process_writes() {
    let (source, target) = (Fake::start(), Registry::start());
    let mirrors = |tags: &str| {
        let prune = "prune = { after = \"7d\" }";
        format!("\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = {tags}\n{prune}\n")
    };
    for tag in ["v1", "v2"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    let transship = between(source.host(), target.host(), &mirrors("\"*\""));
    transship.sync();
    let config = transship.path().join("mirror.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    transship.write("mirror.toml", &text.replace("\"*\"", "[\"v2\", \"v3\"]"));
    let slow = layer("slow", 60_000);
    source
        .client()
        .push("app", "v3", &Image::oci_with("v3", vec![slow.clone()]));
    let (gate, opened) = watch::channel(false);
    source.rule(
        move |request| match request.path.ends_with(&slow.digest()) {
            true => Verdict::Answer(held(&slow.bytes, opened.clone())),
            false => Verdict::Serve,
        },
    );
    source.new_requests();
    let mut writer = transship.start(&["sync"]);
    wait_for("the layer to be asked for", || {
        let requests = source.new_requests();
        requests.iter().any(Request::is_blob_get).then_some(())
    });
    transship.run(&["prune", "--apply"]).expect_code(0);
    transship.let_prunable_tags_wait(8);
    let prune = transship.run(&["prune", "--apply"]).expect_code(0);
    prune.expect_stdout(&[
        "v1",
        "stays: another transship writes by the same store now",
    ]);
    assert_eq!(target.client().tags("mirror/app"), ["v1", "v2"]);
    gate.send_replace(true);
    // It noted as of its own plan, which is older, since when the tag waits.
    assert!(writer.wait().success());
    transship.let_prunable_tags_wait(8);
    let alone = transship.run(&["prune", "--apply"]).expect_code(0);
    alone.expect_stdout(&["v1", "deleted"]);
    assert_eq!(target.client().tags("mirror/app"), ["v2", "v3"]);
}
