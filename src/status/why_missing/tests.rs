use std::path::Path;

use super::*;
use crate::store::{
    EndedRun, RunCounts, RunError, RunResult, StoreEvent,
    tests::{Bench, bench},
};

const APP: &str = "[[mirror]]\nname = \"app\"\nfrom = \"quay.io/a/b\"\ntarget = \"r.example/m\"\n";

fn config(keys: &str) -> Config {
    Config::parse_without_secrets(Path::new("nowhere.toml"), &format!("{APP}{keys}\n")).unwrap()
}

/// Writes down a run that began at 10 and selected by these keys. Without keys it is one of an
/// earlier version.
async fn ran(bench: &Bench, keys: Option<&str>, error: Option<RunError>) {
    let mirror = "app".into();
    let run = bench.recorder.begin_run(&mirror, None, 10).await.unwrap();
    let mark = keys.map(|keys| config(keys).mirrors[0].selection_mark());
    let selects = mark.map(|mark| StoreEvent::Selects(run, mark));
    let counts = RunCounts {
        unchecked: u64::from(error.is_some()),
        ..RunCounts::default()
    };
    let ended = StoreEvent::RunEnded(EndedRun {
        run,
        at: 20,
        result: RunResult::Ok,
        counts,
        targets: Vec::new(),
        error,
    });
    bench.record(selects.into_iter().chain([ended])).await;
}

/// The answer for `v1` by a config with these keys.
async fn answer(bench: &Bench, keys: &str) -> (CopyState, String) {
    let config = config(keys);
    let mirror = &config.mirrors[0];
    let (route, tag) = (&mirror.routes[0], "v1".parse().unwrap());
    let target = &route.targets[0];
    let answer = absence(&bench.store, &config, mirror, route, &tag, target).await;
    let (state, reason) = answer.unwrap();
    (state, reason.unwrap_or_default())
}

#[tokio::test]
async fn no_run_gives_no_reason() {
    let answer = answer(&bench().await, "tags = \"v*\"").await;
    assert_eq!(answer, (CopyState::NotYet, String::new()));
}

#[tokio::test]
async fn checked_source_lacks_tag() {
    let bench = bench().await;
    ran(&bench, Some("tags = \"v*\""), None).await;
    // Written otherwise, it is the same selection.
    let (state, reason) = answer(&bench, "tags = [\"v*\"]\nmax_lag = \"3h\"").await;
    assert_eq!(state, CopyState::Absent);
    assert!(
        reason.contains("not at the source at the last check"),
        "{reason}"
    );
}

#[tokio::test]
async fn edited_selection_awaits_next_run() {
    let bench = bench().await;
    ran(&bench, Some("tags = \"v2*\""), None).await;
    for keys in ["tags = \"v*\"", "tags = \"v2*\"\ntag = \"{tag}-x\""] {
        let (state, reason) = answer(&bench, keys).await;
        assert_eq!(state, CopyState::NotYet);
        assert!(reason.contains("selects other tags or targets"), "{reason}");
    }
}

#[tokio::test]
async fn unmarked_run_is_not_trusted() {
    let bench = bench().await;
    ran(&bench, None, None).await;
    let (state, reason) = answer(&bench, "tags = \"v*\"").await;
    assert_eq!(state, CopyState::NotYet);
    assert!(reason.contains("it is not known"), "{reason}");
}

#[tokio::test]
async fn unread_source_names_its_error() {
    let bench = bench().await;
    let error = RunError {
        class: "network".into(),
        message: "no route to host".into(),
        reference: "quay.io/a/b".into(),
        registry: "quay.io".into(),
    };
    ran(&bench, Some("tags = \"v*\""), Some(error)).await;
    let (state, reason) = answer(&bench, "tags = \"v*\"").await;
    assert_eq!(state, CopyState::NotYet);
    assert!(
        reason.ends_with("all of the source: no route to host"),
        "{reason}"
    );
}

#[tokio::test]
async fn latest_leaves_tag_out() {
    let bench = bench().await;
    let keys = "tags = \"v*\"\nlatest = 1";
    ran(&bench, Some(keys), None).await;
    let config = config(keys);
    let route = &config.mirrors[0].routes[0];
    let digest = crate::oci::Digest::of(b"v2");
    let mirrored = StoreEvent::Mirrored {
        key: crate::store::TagKey {
            mirror: "app".into(),
            source: route.source.clone(),
            target: route.targets[0].clone(),
            tag: "v2".parse().unwrap(),
            source_tag: None,
        },
        source: digest.clone(),
        written: digest,
        shape: String::new(),
        at: 15,
        is_new: true,
    };
    bench.record([mirrored]).await;
    assert_eq!(answer(&bench, keys).await.0, CopyState::LeftOut);
}
