use super::*;

fn release(name: &str, is_orphaned: bool, is_asked_for: bool) -> Release {
    Release {
        repository: "m.example.com/a/b".parse().unwrap(),
        tag: tag(name),
        mirror: "m".into(),
        is_orphaned,
        is_asked_for,
    }
}

fn lagging() -> TagRecord {
    TagRecord {
        lagging_since: Some(3),
        ..record("x")
    }
}

#[test]
fn orphan_lag_ends() {
    let scene = Scene {
        source: vec![("1", "x")],
        listed: vec!["1", "2"],
        records: vec![("1", record("x")), ("2", lagging())],
        ..Scene::default()
    };
    let plan = scene.plan();
    assert_eq!(plan.orphaned, [tag("2")]);
    assert_eq!(plan.released, [release("2", true, false)]);
}

#[test]
fn vanished_named_tag_fails_and_is_orphaned() {
    let config = config("from = \"quay.io/a/b:1\"");
    let gone = |records, is_evidence: bool| {
        let mut snapshot = Scene {
            source: vec![("1", "x")],
            listed: vec!["1"],
            records,
            ..Scene::default()
        }
        .snapshot();
        let kind = crate::registry::Kind::NotFound("gone".into());
        let registry = "quay.io".parse().unwrap();
        let error = registry::Error::new(
            registry::Operation::CheckManifest,
            "quay.io/a/b:1",
            &registry,
            kind,
        );
        snapshot.tags[0].digest = Err(error);
        if let Some(wanted) = &mut snapshot.wanted {
            wanted.absent = [tag("1")].into();
        }
        snapshot.wanted.take_if(|_| !is_evidence);
        plan_of(&config, snapshot)
    };
    let mirrored = gone(vec![("1", lagging())], true);
    assert!(matches!(mirrored.steps[0].action, Action::Fail { .. }));
    assert_eq!(mirrored.orphaned, [tag("1")]);
    assert_eq!(mirrored.released, [release("1", true, true)]);
    let unknown = gone(vec![("1", lagging())], false);
    assert!(matches!(unknown.steps[0].action, Action::Fail { .. }));
    assert_eq!((unknown.orphaned, unknown.released), (vec![], vec![]));
    let never = gone(Vec::new(), true);
    assert!(matches!(never.steps[0].action, Action::Fail { .. }));
}

#[test]
fn only_tags_that_nobody_asks_for_are_released() {
    let config = globs();
    let mut snapshot = Scene {
        source: vec![("1", "x")],
        listed: vec!["1", "2", "3", "4"],
        records: vec![
            ("1", lagging()),
            ("2", lagging()),
            ("3", lagging()),
            ("4", lagging()),
        ],
        ..Scene::default()
    }
    .snapshot();
    let wanted = snapshot.wanted.as_mut().unwrap();
    wanted.asked.insert(tag("2"), "other".into());
    wanted.unlisted.insert(tag("3"));
    let mut released = plan_of(&config, snapshot).released;
    released.sort_by(|a, b| a.tag.cmp(&b.tag));
    let other = Release {
        mirror: "other".into(),
        ..release("2", false, true)
    };
    assert_eq!(released, [other, release("4", true, false)]);
}
