//! Docker Hub, quay.io and Harbor tell digests beside their registries: what that saves, and what happens when they do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::programs::pair::{
    all_tags_of, behind_proxy, between, fill_in, mirror_toml_with,
};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::bulk::{
    BulkTag, HARBOR, HUB, QUAY, harbor, hub, push, quay, row, serve,
};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, refusal};
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, assert_only_reads, count, lines};

const TAGS: [&str; 5] = ["v1", "v2", "v3", "v4", "v5"];

fn is_manifest_head(request: &Request) -> bool {
    request.method == "HEAD" && request.path.contains("/manifests/")
}

fn is_config_or_manifest_get(request: &Request) -> bool {
    request.is_blob_get() || (request.method == "GET" && request.path.contains("/manifests/"))
}

fn mirroring(source: &Fake, target: &Registry, registry: &str) -> Transship {
    let mirrors = all_tags_of("acme/app");
    behind_proxy(source.host(), target.host(), registry, &mirrors)
}

/// What the source is asked when nothing has changed.
fn asked_when_unchanged(source: &Fake, transship: &Transship) -> Vec<Request> {
    transship.sync();
    source.new_requests();
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/copied"), 0, "{report:#}");
    source.new_requests()
}

#[test]
fn docker_hub_pages_save_heads() {
    let (source, target) = (Fake::start(), Registry::start());
    serve(&source, HUB, push(&source, "acme/app", &TAGS), hub);
    let transship = mirroring(&source, &target, "docker.io");
    let asked = asked_when_unchanged(&source, &transship);
    let page = format!("GET {HUB}");
    assert_eq!(lines(&asked), [page.as_str(); 3]);
    assert!(asked.iter().all(|request| request.authorization.is_none()));
    assert_eq!(target.client().tags("mirror/acme/app"), TAGS);
    target.new_requests();
    transship.let_a_year_pass();
    transship.sync();
    assert_eq!(count(&source.new_requests(), is_manifest_head), 5);
    assert_only_reads(&target.new_requests());
}

#[test]
fn quay_pages_save_heads() {
    let (source, target) = (Fake::start(), Registry::start());
    serve(&source, QUAY, push(&source, "acme/app", &TAGS), quay);
    let transship = mirroring(&source, &target, "quay.io");
    let asked = asked_when_unchanged(&source, &transship);
    let page = format!("GET {QUAY}");
    assert_eq!(lines(&asked), [page.as_str(); 3]);
    let is_active = |request: &Request| request.query.contains("onlyActiveTags=true");
    assert_eq!(count(&asked, is_active), 3);
}

#[test]
fn copies_tag_moved_at_docker_hub() {
    let (source, target) = (Fake::start(), Registry::start());
    let rows = push(&source, "acme/app", &TAGS);
    let moved = Image::oci("moved");
    let mut after = rows.clone();
    after[1] = row("v2", &moved);
    let mut has_moved = false;
    source.rule(move |request| {
        if request.path != HUB {
            return Verdict::Serve;
        }
        let page = hub(if has_moved { &after } else { &rows }, request);
        has_moved |= page["next"].is_null();
        Verdict::Answer(answer(200, &page))
    });
    let transship = mirroring(&source, &target, "docker.io");
    let asked = asked_when_unchanged(&source, &transship);
    assert_eq!(count(&asked, is_manifest_head), 0, "{asked:#?}");
    source.client().push("acme/app", "v2", &moved);
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    let asked = source.new_requests();
    assert_eq!(count(&asked, is_manifest_head), 1, "{asked:#?}");
    let held = target.client().manifest("mirror/acme/app", "v2").unwrap();
    assert_eq!(held.digest, moved.digest());
}

#[test]
fn docker_hub_tag_without_digest_is_headed() {
    let (source, target) = (Fake::start(), Registry::start());
    let mut rows = push(&source, "acme/app", &TAGS);
    rows[3].digest = None;
    serve(&source, HUB, rows, hub);
    let asked = asked_when_unchanged(&source, &mirroring(&source, &target, "docker.io"));
    let heads: Vec<_> = asked.iter().filter(|r| is_manifest_head(r)).collect();
    assert_eq!(heads.len(), 1, "{heads:#?}");
    assert!(heads[0].path.ends_with("/v4"), "{heads:#?}");
}

/// What is asked when Docker Hub answers its second page so.
fn asked_with_second_page(page: impl Fn() -> Value + Send + 'static) -> Vec<Request> {
    let (source, target) = (Fake::start(), Registry::start());
    let rows = push(&source, "acme/app", &TAGS);
    source.rule(
        move |request| match (request.path == HUB, request.query.contains("page=2")) {
            (true, true) => Verdict::Answer(answer(200, &page())),
            (true, false) => Verdict::Answer(answer(200, &hub(&rows, request))),
            _ => Verdict::Serve,
        },
    );
    let asked = asked_when_unchanged(&source, &mirroring(&source, &target, "docker.io"));
    assert_eq!(target.client().tags("mirror/acme/app"), TAGS);
    asked
}

#[test]
fn invalid_docker_hub_page_falls_back() {
    let next = |next: &'static str| move || json!({ "next": next, "results": [] });
    let cases = [
        asked_with_second_page(|| json!({ "results": [{ "digest": "sha256:1" }] })),
        asked_with_second_page(|| json!("what?")),
        asked_with_second_page(next("?page_size=100&page=2")),
    ];
    for asked in cases {
        assert_eq!(count(&asked, |request| request.path == HUB), 2);
        assert_eq!(count(&asked, Request::is_tag_list), 1, "{asked:#?}");
        assert_eq!(count(&asked, is_manifest_head), 3, "{asked:#?}");
        assert_eq!(asked.len(), 6, "{asked:#?}");
    }
}

#[test]
fn page_at_another_host_is_asked_of_the_own_one() {
    let page = || json!({ "next": "https://evil.example/v2/namespaces/x", "results": [] });
    let asked = asked_with_second_page(page);
    assert_eq!(count(&asked, |request| request.path == HUB), 2);
    assert_eq!(
        count(&asked, |request| request.path == "/v2/namespaces/x"),
        1
    );
    assert_eq!(count(&asked, Request::is_tag_list), 1, "{asked:#?}");
}

#[test]
fn refused_bulk_api_falls_back() {
    let cases = [
        ("docker.io", HUB, [404, 429]),
        ("quay.io", QUAY, [401, 500]),
    ];
    for (registry, path, statuses) in cases {
        for status in statuses {
            let (source, target) = (Fake::start(), Registry::start());
            push(&source, "acme/app", &["v1", "v2"]);
            source.rule(move |request| match request.path == path {
                true => Verdict::Answer(refusal(status, "NO")),
                false => Verdict::Serve,
            });
            let transship = mirroring(&source, &target, registry);
            let asked = asked_when_unchanged(&source, &transship);
            assert_eq!(count(&asked, |request| request.path == path), 1);
            assert_eq!(count(&asked, is_manifest_head), 2, "{status}: {asked:#?}");
            assert_eq!(asked.len(), 4, "{status}: {asked:#?}");
        }
    }
}

#[test]
fn shifting_pages_hide_no_tag() {
    let (source, target) = (Fake::start(), Registry::start());
    let rows = push(&source, "acme/app", &TAGS);
    let mut is_told = false;
    source.rule(move |request| {
        if request.path != QUAY {
            return Verdict::Serve;
        }
        let page = quay(if is_told { &rows[1..] } else { &rows }, request);
        is_told |= page["has_additional"] == false;
        Verdict::Answer(answer(200, &page))
    });
    let transship = mirroring(&source, &target, "quay.io");
    transship.sync();
    source.new_requests();
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/orphaned"), 0, "{report:#}");
    assert_eq!(sum(&report, "/tags/unchanged"), 5, "{report:#}");
    let asked = source.new_requests();
    assert_eq!(count(&asked, Request::is_tag_list), 1, "{asked:#?}");
    assert_eq!(count(&asked, is_manifest_head), 1, "{asked:#?}");
}

#[test]
fn push_times_drive_latest_and_max_age() {
    let aged = |source: &Fake, repository| {
        let mut rows = push(source, repository, &["apple", "pear", "plum"]);
        for (row, days) in rows.iter_mut().zip([2, 40, 10]) {
            row.pushed = days;
        }
        rows
    };
    let keys = |repository: &str| {
        let (oldest, newest) = ("max_age = \"30d\"\n", "latest = 1\n");
        format!("{}{oldest}{newest}", all_tags_of(repository))
    };
    let cases = [("docker.io", HUB), ("quay.io", QUAY)];
    for (registry, path) in cases {
        let (source, target) = (Fake::start(), Registry::start());
        let rows = aged(&source, "acme/app");
        match registry {
            "docker.io" => serve(&source, path, rows, hub),
            _ => serve(&source, path, rows, quay),
        }
        let keys = keys("acme/app");
        let transship = behind_proxy(source.host(), target.host(), registry, &keys);
        transship.run(&["plan"]).expect_code(0);
        let asked = source.requests();
        assert_eq!(count(&asked, is_config_or_manifest_get), 0, "{asked:#?}");
        transship.sync();
        assert_eq!(target.client().tags("mirror/acme/app"), ["apple"]);
    }
    let (source, target) = (Fake::start(), Registry::start());
    let rows = aged(&source, "acme/deep/app");
    let transship = between(source.host(), target.host(), &keys("acme/deep/app"));
    be_harbor(&source, rows);
    transship.sync();
    assert_eq!(target.client().tags("mirror/acme/deep/app"), ["apple"]);
}

fn be_harbor(source: &Fake, rows: Vec<BulkTag>) {
    serve(source, HARBOR, rows, harbor);
    source.demand_tokens(Habits {
        service: "harbor-registry",
        ..Habits::default()
    });
}

#[test]
fn harbor_artifacts_save_heads() {
    let (source, target) = (Fake::start(), Registry::start());
    let (client, image) = (source.client(), Image::oci("one of all"));
    client.push("acme/deep/app", "v0", &image);
    let tags = (0..60).map(|n| format!("v{n}"));
    let rows = tags.map(|tag| {
        client.put_manifest("acme/deep/app", &tag, &image.media_type, &image.bytes);
        row(&tag, &image)
    });
    be_harbor(&source, rows.collect());
    let login = "plain_http = true\nusername = \"robot\"\npassword = \"secret\"";
    let mirrors = all_tags_of("acme/deep/app");
    let text = mirror_toml_with(login, "plain_http = true", &mirrors);
    let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    let asked = asked_when_unchanged(&source, &transship);
    let (pages, rest): (Vec<_>, Vec<_>) = asked
        .into_iter()
        .partition(|request| request.path == HARBOR);
    assert_eq!(pages.len(), 2, "{pages:#?}");
    let is_basic = |request: &Request| {
        let authorization = request.authorization.as_deref();
        authorization.is_some_and(|text| text.starts_with("Basic "))
    };
    assert_eq!(count(&pages, is_basic), 2, "{pages:#?}");
    let list = "GET /v2/acme/deep/app/tags/list";
    assert_eq!(lines(&rest), ["GET /token", list, list]);
}

#[test]
fn harbor_tag_without_artifact_is_headed() {
    let (source, target) = (Fake::start(), Registry::start());
    let rows = push(&source, "acme/deep/app", &["v1", "v2", "v3"]);
    be_harbor(&source, rows[..2].to_vec());
    let mirrors = all_tags_of("acme/deep/app");
    let transship = between(source.host(), target.host(), &mirrors);
    let asked = asked_when_unchanged(&source, &transship);
    assert_eq!(count(&asked, is_manifest_head), 1, "{asked:#?}");
    assert_eq!(target.client().tags("mirror/acme/deep/app").len(), 3);
}

#[test]
fn refused_harbor_artifacts_fall_back() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, "acme/deep/app", &["v1", "v2"]);
    source.rule(|request| match request.path == HARBOR {
        true => Verdict::Answer(refusal(403, "FORBIDDEN")),
        false => Verdict::Serve,
    });
    be_harbor(&source, Vec::new());
    let mirrors = all_tags_of("acme/deep/app");
    let transship = between(source.host(), target.host(), &mirrors);
    let asked = asked_when_unchanged(&source, &transship);
    assert_eq!(count(&asked, is_manifest_head), 2, "{asked:#?}");
}

#[test]
fn unmirrored_tags_are_not_reported() {
    let (source, target) = (Fake::start(), Registry::start());
    serve(&source, HUB, push(&source, "acme/app", &TAGS), hub);
    mirroring(&source, &target, "docker.io").sync();
    let asked = source.requests();
    assert_eq!(count(&asked, |request| request.path == HUB), 0);
    assert_eq!(count(&asked, is_manifest_head), 5);
}

#[test]
fn single_tag_skips_bulk_listing() {
    let (source, target) = (Fake::start(), Registry::start());
    let mirrored = push(&source, "acme/app", &["v1"]);
    let others = (0..30).map(|n| row(&format!("x{n}"), &Image::oci("other")));
    serve(&source, HUB, others.chain(mirrored).collect(), hub);
    let mirrors = all_tags_of("acme/app").replace("\"*\"", "\"v*\"");
    let transship = behind_proxy(source.host(), target.host(), "docker.io", &mirrors);
    let asked = asked_when_unchanged(&source, &transship);
    let expected = [
        &format!("GET {HUB}"),
        "GET /v2/acme/app/tags/list",
        "HEAD /v2/acme/app/manifests/v1",
    ];
    let mut found = lines(&asked);
    found.sort_by_key(|line| line.starts_with("GET /v2/acme") || line.starts_with("HEAD"));
    assert_eq!(found, expected);
}

#[test]
fn latest_by_push_time_is_stable() {
    let (source, target) = (Fake::start(), Registry::start());
    let mut rows = push(&source, "acme/app", &["apple", "pear", "plum"]);
    rows[2].pushed = 7;
    rows[0].pushed = 5;
    serve(&source, HUB, rows, hub);
    let mirrors = format!("{}latest = 1\n", all_tags_of("acme/app"));
    let transship = behind_proxy(source.host(), target.host(), "docker.io", &mirrors);
    let asked = asked_when_unchanged(&source, &transship);
    assert_eq!(target.client().tags("mirror/acme/app"), ["pear"]);
    assert_eq!(count(&asked, is_manifest_head), 0, "{asked:#?}");
}

#[test]
fn latest_survives_bulk_api_outage() {
    let (source, target) = (Fake::start(), Registry::start());
    let mut rows = push(&source, "acme/app", &["apple", "pear", "plum"]);
    (rows[0].pushed, rows[2].pushed) = (5, 7);
    let fails = Arc::new(AtomicBool::new(false));
    let is_failing = fails.clone();
    source.rule(move |request| match request.path == HUB {
        true if is_failing.load(Ordering::SeqCst) => Verdict::Answer(refusal(503, "UNAVAILABLE")),
        true => Verdict::Answer(answer(200, &hub(&rows, request))),
        false => Verdict::Serve,
    });
    let mirrors = format!(
        "{}latest = 1\nprune = {{ after = \"7d\" }}\n",
        all_tags_of("acme/app")
    );
    let transship = behind_proxy(source.host(), target.host(), "docker.io", &mirrors);
    transship.sync();
    fails.store(true, Ordering::SeqCst);
    let finished = transship.run(&["--json", "sync"]).expect_code(0);
    assert_eq!(sum(&finished.json(), "/tags/unchanged"), 1);
    finished.expect_stderr(&["push times", "latest"]);
    assert_eq!(target.client().tags("mirror/acme/app"), ["pear"]);
    let since = "SELECT COUNT(*) FROM tags WHERE prunable_since IS NOT NULL";
    assert_eq!(transship.ask_store(since), "0");
}

#[test]
fn absent_in_both_listings_is_orphaned() {
    let (source, target) = (Fake::start(), Registry::start());
    let rows = push(&source, "acme/app", &TAGS);
    let transship = mirroring(&source, &target, "docker.io");
    transship.sync();
    serve(&source, HUB, rows[..4].to_vec(), hub);
    let gone = rows[4].digest.clone().unwrap();
    source.client().delete_manifest("acme/app", &gone);
    // The tag is asked for once, before a short list is believed.
    for (lists, heads) in [(1, 1), (0, 0)] {
        source.new_requests();
        let report = transship.sync();
        assert_eq!(sum(&report, "/tags/orphaned"), 1, "{report:#}");
        let asked = source.new_requests();
        assert_eq!(count(&asked, Request::is_tag_list), lists, "{asked:#?}");
        assert_eq!(count(&asked, is_manifest_head), heads, "{asked:#?}");
    }
}
