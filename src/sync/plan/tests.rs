use proptest::prelude::*;

use crate::sync::plan::*;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn record(content: &str) -> TagRecord {
    TagRecord {
        mirror: "m".into(),
        source_repository: "quay.io/a/b".into(),
        seen: Some(digest(content)),
        source: Some(digest(content)),
        written: Some(digest(content)),
        shape: String::new(),
        referrers_at: None,
        lagging_since: None,
        verified_at: Some(0),
        is_orphaned: false,
        mirrored_at: Some(0),
        is_damaged: false,
        prunable_since: None,
    }
}

fn all() -> ReleasePolicy {
    ReleasePolicy::AllBut(HashSet::new())
}

/// A snapshot of one target; digests and contents by name.
#[derive(Default)]
struct Scene {
    source: Vec<(&'static str, &'static str)>,
    listed: Vec<&'static str>,
    records: Vec<(&'static str, TagRecord)>,
    asked: Vec<(&'static str, Option<&'static str>)>,
    shape: &'static str,
    has_referrers: bool,
    state: RepositoryState,
}

impl Scene {
    fn snapshot(self) -> Snapshot {
        let source_tag = |(name, content): &(&str, &str)| SourceTag {
            tag: tag(name),
            digest: Ok(digest(content)),
        };
        let holds = TargetHolds {
            is_empty: self.listed.is_empty(),
            told: HashMap::new(),
            strangers: Vec::new(),
            listing: self.listed.iter().map(|name| tag(name)).collect(),
            records: self
                .records
                .into_iter()
                .map(|(name, record)| (tag(name), record))
                .collect(),
            asked: self
                .asked
                .iter()
                .map(|(name, found)| (tag(name), Ok(found.map(digest))))
                .collect(),
            state: self.state,
        };
        Snapshot {
            source: "quay.io/a/b".parse().unwrap(),
            tags: self.source.iter().map(source_tag).collect(),
            dropped: Vec::new(),
            undated: Vec::new(),
            order: Vec::new(),
            absent: Vec::new(),
            is_guess: false,
            listing: Some(self.source.iter().map(|(name, _)| tag(name)).collect()),
            targets: vec![TargetSnapshot {
                repository: "m.example.com/a/b".parse().unwrap(),
                holds: Ok(holds),
            }],
            shape: self.shape.into(),
            now: 100_000,
            has_referrers: self.has_referrers,
            prune: None,
        }
    }

    fn plan(self) -> TargetPlan {
        make("m", self.snapshot(), &all()).targets.remove(0)
    }

    fn actions(self) -> Vec<String> {
        self.plan()
            .steps
            .iter()
            .map(|step| format!("{} {}", step.tag, step.action))
            .collect()
    }
}

#[test]
fn unchanged_digest_is_skipped() {
    let scene = Scene {
        source: vec![("1", "x")],
        listed: vec!["1"],
        records: vec![("1", record("x"))],
        ..Scene::default()
    };
    assert_eq!(scene.actions(), ["1 skip: unchanged"]);
}

#[test]
fn a_tag_that_moved_is_copied() {
    let scene = Scene {
        source: vec![("1", "y")],
        listed: vec!["1"],
        records: vec![("1", record("x"))],
        ..Scene::default()
    };
    let was = digest("x");
    assert_eq!(
        scene.actions(),
        [format!("1 copy: moved at the source, was {}", was.short())]
    );
}

#[test]
fn a_tag_missing_at_the_target_is_copied_whatever_the_store_says() {
    let scene = Scene {
        source: vec![("1", "x")],
        records: vec![("1", record("x"))],
        ..Scene::default()
    };
    assert_eq!(scene.actions(), ["1 copy: the target no longer has it"]);
}

#[test]
fn without_a_store_the_target_is_believed() {
    let scene = Scene {
        source: vec![("1", "x"), ("2", "y")],
        listed: vec!["1", "2"],
        asked: vec![("1", Some("x")), ("2", Some("z"))],
        ..Scene::default()
    };
    let found = digest("z");
    let expected = [
        format!("2 copy: the target has {}", found.short()),
        "1 skip: the target has it".into(),
    ];
    assert_eq!(scene.actions(), expected);
}

#[test]
fn a_tag_moved_at_the_target_is_copied_again() {
    let scene = Scene {
        source: vec![("1", "x")],
        listed: vec!["1"],
        records: vec![("1", record("x"))],
        asked: vec![("1", Some("evil"))],
        ..Scene::default()
    };
    assert!(scene.actions()[0].starts_with("1 copy: the target has"));
}

#[test]
fn a_digest_that_the_repository_holds_costs_a_tag_alone() {
    let scene = Scene {
        source: vec![("1", "x"), ("2", "x"), ("3", "y"), ("4", "y")],
        listed: vec!["1"],
        records: vec![("1", record("x"))],
        ..Scene::default()
    };
    let expected = [
        "3 copy: not mirrored yet",
        "1 skip: unchanged",
        "2 retag: not mirrored yet",
        "4 retag: not mirrored yet",
    ];
    assert_eq!(scene.actions(), expected);
}

#[test]
fn a_digest_that_was_overwritten_is_not_held() {
    let scene = Scene {
        source: vec![("1", "x"), ("2", "x")],
        listed: vec!["1"],
        records: vec![("1", record("x"))],
        asked: vec![("1", Some("evil"))],
        ..Scene::default()
    };
    assert!(scene.actions()[0].starts_with("1 copy"));
}

#[test]
fn other_platforms_are_written_anew() {
    let scene = Scene {
        source: vec![("1", "x")],
        listed: vec!["1"],
        records: vec![("1", record("x"))],
        shape: "linux/amd64",
        ..Scene::default()
    };
    assert_eq!(
        scene.actions(),
        ["1 copy: other platforms or attestations are wanted"]
    );
}

#[test]
fn referrers_are_looked_for_with_every_copy_and_then_at_their_own_pace() {
    let checked = |at| TagRecord {
        referrers_at: at,
        verified_at: Some(100_000),
        ..record("x")
    };
    let scene = Scene {
        source: vec![("1", "x"), ("2", "x"), ("3", "x"), ("4", "y")],
        listed: vec!["1", "2", "3"],
        records: vec![
            ("1", checked(None)),
            ("2", checked(Some(99_000))),
            ("3", checked(Some(1_000))),
        ],
        has_referrers: true,
        ..Scene::default()
    };
    let steps = scene.plan().steps;
    let due: Vec<_> = steps
        .iter()
        .filter(|s| s.referrers)
        .map(|s| s.tag.as_str())
        .collect();
    assert_eq!(due, ["4", "1", "3"]);
}

#[test]
fn a_tag_gone_at_the_source_is_orphaned_and_released() {
    let mut lagging = record("x");
    lagging.lagging_since = Some(3);
    let scene = Scene {
        source: vec![("1", "x")],
        listed: vec!["1", "2"],
        records: vec![("1", record("x")), ("2", lagging)],
        ..Scene::default()
    };
    let plan = scene.plan();
    assert_eq!(plan.orphaned, [tag("2")]);
    assert_eq!(
        plan.released,
        [Released {
            tag: tag("2"),
            is_orphaned: true
        }]
    );
}

#[test]
fn a_named_tag_that_the_source_no_longer_has_is_orphaned_if_it_was_mirrored() {
    let gone = |records| {
        let mut snapshot = Scene {
            listed: vec!["1"],
            records,
            ..Scene::default()
        }
        .snapshot();
        let kind = crate::registry::Kind::NotFound("gone".into());
        let registry = "quay.io".parse().unwrap();
        let error = registry::Error::new("check", "quay.io/a/b:1", &registry, kind);
        snapshot.tags = vec![SourceTag {
            tag: tag("1"),
            digest: Err(error),
        }];
        snapshot.listing = None;
        make("m", snapshot, &all()).targets.remove(0)
    };
    let mirrored = gone(vec![("1", record("x"))]);
    assert_eq!(
        (mirrored.orphaned, mirrored.steps.len()),
        (vec![tag("1")], 0)
    );
    assert_eq!(
        mirrored.released,
        [Released {
            tag: tag("1"),
            is_orphaned: true
        }]
    );
    let never = gone(Vec::new());
    assert!(matches!(never.steps[0].action, Action::Fail { .. }));
}

#[test]
fn a_route_ends_the_lag_of_no_tag_that_another_route_names() {
    let lagging = || {
        let mut record = record("x");
        record.lagging_since = Some(3);
        record
    };
    let released = |releases: &ReleasePolicy| {
        let mut snapshot = Scene {
            source: vec![("1", "x")],
            listed: vec!["1", "2"],
            records: vec![("1", record("x")), ("2", lagging())],
            ..Scene::default()
        }
        .snapshot();
        snapshot.listing = None;
        make("m", snapshot, releases)
            .targets
            .remove(0)
            .released
            .len()
    };
    assert_eq!(released(&all()), 1);
    assert_eq!(released(&ReleasePolicy::Nothing), 0);
    assert_eq!(released(&ReleasePolicy::AllBut([tag("2")].into())), 0);
}

#[test]
fn an_empty_listing_orphans_nothing() {
    let scene = Scene {
        records: vec![("2", record("x"))],
        listed: vec!["2"],
        ..Scene::default()
    };
    assert!(scene.plan().orphaned.is_empty());
}

#[test]
fn a_target_that_lists_nothing_is_empty_or_doubtful() {
    let known = RepositoryState {
        is_complete: true,
        has_blobs: true,
    };
    let plan = |listed: Vec<&'static str>, state| {
        Scene {
            listed,
            state,
            ..Scene::default()
        }
        .plan()
        .knowledge
    };
    assert_eq!(
        plan(vec![], RepositoryState::default()),
        BlobKnowledge::Empty
    );
    assert_eq!(plan(vec![], known), BlobKnowledge::Doubtful);
    assert_eq!(plan(vec!["1"], known), BlobKnowledge::Complete);
    assert_eq!(
        plan(vec!["1"], RepositoryState::default()),
        BlobKnowledge::Partial
    );
}

proptest! {
    #[test]
    fn a_plan_holds_one_step_for_each_selected_tag(
        source in prop::collection::btree_map(0_usize..6, 0_usize..3, 0..6),
        listed in prop::collection::btree_set(0_usize..6, 0..6),
        known in prop::collection::btree_map(0_usize..6, 0_usize..3, 0..6),
        asked in prop::collection::btree_map(0_usize..6, prop::option::of(0_usize..3), 0..6),
    ) {
        const TAGS: [&str; 6] = ["0", "1", "2", "3", "4", "5"];
        const CONTENTS: [&str; 3] = ["x", "y", "z"];
        let scene = Scene {
            source: source.iter().map(|(t, c)| (TAGS[*t], CONTENTS[*c])).collect(),
            listed: listed.iter().map(|t| TAGS[*t]).collect(),
            records: known.iter().map(|(t, c)| (TAGS[*t], record(CONTENTS[*c]))).collect(),
            asked: asked.iter().map(|(t, c)| (TAGS[*t], c.map(|c| CONTENTS[c]))).collect(),
            ..Scene::default()
        };
        let steps = scene.plan().steps;
        let planned: std::collections::BTreeSet<&str> = steps.iter().map(|s| s.tag.as_str()).collect();
        let selected: std::collections::BTreeSet<&str> = source.keys().map(|t| TAGS[*t]).collect();
        prop_assert_eq!(steps.len(), source.len());
        prop_assert_eq!(planned, selected);
    }
}

#[test]
fn what_verification_found_damaged_is_copied_and_lends_its_digest_to_no_other_tag() {
    let mut damaged = record("x");
    damaged.is_damaged = true;
    let plan = Scene {
        source: vec![("1", "x"), ("2", "x"), ("3", "x")],
        listed: vec!["1", "2"],
        records: vec![("1", damaged), ("2", record("x"))],
        ..Scene::default()
    }
    .plan();
    let action = |name: &str| {
        let step = plan.steps.iter().find(|step| step.tag == tag(name));
        step.unwrap().action.to_string()
    };
    let why = "something of it is missing or wrong at the target";
    assert_eq!(action("1"), format!("copy: {why}"));
    assert_eq!(action("2"), "skip: unchanged");
    assert_eq!(action("3"), "retag: not mirrored yet");
    assert!(matches!(
        &plan
            .steps
            .iter()
            .find(|step| step.tag == tag("3"))
            .unwrap()
            .action,
        Action::Retag { written: None, .. }
    ));
}

/// What a mirror with `prune` says of tags that it mirrored, by name: their causes.
fn causes(listing: Option<Vec<&str>>, selected: Vec<&'static str>) -> Option<Vec<(Tag, Cause)>> {
    let theirs = TagRecord {
        mirror: "other".into(),
        ..record("x")
    };
    let elsewhere = TagRecord {
        source_repository: "quay.io/c/d".into(),
        ..record("x")
    };
    let mut snapshot = Scene {
        source: selected.into_iter().map(|name| (name, "x")).collect(),
        listed: vec!["1", "2", "3", "theirs", "elsewhere"],
        records: vec![
            ("1", record("x")),
            ("2", record("x")),
            ("3", record("x")),
            ("theirs", theirs),
            ("elsewhere", elsewhere),
        ],
        ..Scene::default()
    }
    .snapshot();
    snapshot.listing = listing.map(|names| names.into_iter().map(tag).collect());
    snapshot.prune = Some(Prune {
        keep: 0,
        after: std::time::Duration::from_secs(7),
        max_share: 0.5,
    });
    let pruned = make("m", snapshot, &all()).targets.remove(0).pruned?;
    let mut causes: Vec<_> = pruned.tags.into_iter().map(|t| (t.tag, t.cause)).collect();
    causes.sort_by(|a, b| a.0.cmp(&b.0));
    Some(causes)
}

#[test]
fn own_tags_that_are_gone_or_no_longer_selected_are_prunable_and_no_others() {
    let (gone, unselected) = (Cause::Orphaned, Cause::Unselected);
    let listed = causes(Some(vec!["1", "2"]), vec!["1"]);
    assert_eq!(listed, Some(vec![(tag("2"), unselected), (tag("3"), gone)]));
    let named = causes(None, vec!["1"]);
    assert_eq!(
        named,
        Some(vec![(tag("2"), unselected), (tag("3"), unselected)])
    );
}

#[test]
fn an_empty_listing_makes_nothing_prunable() {
    assert_eq!(causes(Some(Vec::new()), Vec::new()), None);
}
