use super::*;

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.encode().unwrap()).unwrap()
}

fn sample(target: &str) -> MirrorSample {
    MirrorSample {
        interval_seconds: 3600,
        targets: vec![TargetSample {
            target: target.into(),
            ..TargetSample::default()
        }],
        ..MirrorSample::default()
    }
}

#[test]
fn encodes_counted_values() {
    let metrics = Metrics::new().unwrap();
    metrics.request("quay.io", "GET", Some(429), Duration::from_millis(20));
    metrics.transferred("quay.io", "downloaded", 7);
    metrics.set_channels(&["ops", "old"]);
    metrics.set_channels(&["ops"]);
    assert!(!text(&metrics).contains("old"));
    metrics.notification("ops", "ok");
    let text = text(&metrics);
    for line in [
        r#"transship_registry_requests_total{code="429",method="GET",registry="quay.io"} 1"#,
        r#"transship_notifications_total{channel="ops",result="failed"} 0"#,
        r#"transship_notifications_total{channel="ops",result="ok"} 1"#,
        r#"transship_registry_throttled_total{registry="quay.io"} 1"#,
        r#"transship_transferred_bytes_total{direction="downloaded",registry="quay.io"} 7"#,
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn counters_of_mirror_start_at_zero() {
    let metrics = Metrics::new().unwrap();
    let mirrors = |names: &[&str]| {
        let entry = |name: &&str| (Arc::from(*name), vec!["t.example".to_owned()]);
        names.iter().map(entry).collect::<Vec<_>>()
    };
    metrics.keep(&mirrors(&["a", "b"]), &HashSet::from(["quay.io".into()]));
    metrics.mirror(&"a".into(), sample("t.example"));
    metrics.request("quay.io", "GET", Some(200), Duration::ZERO);
    let before = text(&metrics);
    let skipped = r#"transship_syncs_total{mirror="a",result="skipped",target="t.example"} 0"#;
    assert!(before.contains(skipped), "{before}");
    let mounted = r#"transship_blobs_total{outcome="mounted",registry="quay.io"} 0"#;
    assert!(before.contains(mounted), "{before}");
    for failed in [
        r#"transship_errors_total{class="network",registry="quay.io"} 0"#,
        r#"transship_errors_total{class="store",registry=""} 0"#,
    ] {
        assert!(before.contains(failed), "{before}");
    }
    assert!(
        before.contains(r#"transship_interval_seconds{mirror="a"} 3600"#),
        "{before}"
    );
    metrics.keep(&mirrors(&["b"]), &HashSet::from(["gcr.io".into()]));
    let after = text(&metrics);
    assert!(
        !after.contains(r#"mirror="a""#) && !after.contains("quay.io"),
        "{after}"
    );
    assert!(after.contains(r#"mirror="b""#), "{after}");
}

#[test]
fn counters_of_left_target_go() {
    let metrics = Metrics::new().unwrap();
    let to = |target: &str| [(Arc::from("a"), vec![target.to_owned()])];
    metrics.keep(&to("old.example"), &HashSet::from(["old.example".into()]));
    metrics.tag_copied("a", "old.example", 3);
    metrics.keep(&to("new.example"), &HashSet::from(["new.example".into()]));
    let text = text(&metrics);
    assert!(!text.contains("old.example"), "{text}");
    let copied = r#"transship_tags_copied_total{mirror="a",target="new.example"} 0"#;
    assert!(text.contains(copied), "{text}");
}

#[test]
fn lag_grows_between_runs() {
    let metrics = Metrics::new().unwrap();
    let mut lagging = sample("t.example");
    lagging.targets[0].lagging_since = Some(chrono::Utc::now().timestamp() - 3600);
    metrics.mirror(&"a".into(), lagging);
    let lag = |text: String| {
        let line = text
            .lines()
            .find(|line| line.starts_with("transship_sync_lag_seconds"));
        line.unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    assert!((3600.0..3660.0).contains(&lag(text(&metrics))));
    metrics.mirror(&"a".into(), sample("t.example"));
    assert!(lag(text(&metrics)).abs() < 0.5);
}

#[test]
fn gauges_of_left_target_go() {
    let metrics = Metrics::new().unwrap();
    metrics.mirror(&"a".into(), sample("old.example"));
    assert!(text(&metrics).contains("old.example"));
    metrics.mirror(&"a".into(), sample("new.example"));
    assert!(!text(&metrics).contains("old.example"));
}
