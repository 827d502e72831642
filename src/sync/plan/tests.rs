mod evidence;
mod release;

use proptest::prelude::*;

use std::path::Path;

use crate::{
    config::Config,
    sync::{plan::*, prune::decide::Cause},
};

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
        is_released: false,
        kept_for: None,
    }
}

/// A mirror `m` of `quay.io/a/b`.
fn config(keys: &str) -> Config {
    let text =
        format!("[[mirror]]\nname = \"m\"\ntarget = \"m.example.com\"\npath = \"a/b\"\n{keys}\n");
    Config::parse(Path::new("mirror.toml"), &text).unwrap()
}

fn globs() -> Config {
    config("from = \"quay.io/a/b\"\ntags = \"*\"\nprune = { after = \"7s\" }")
}

fn group(config: &Config) -> RouteGroup<'_> {
    let mirror = &config.mirrors[0];
    let routes = mirror.routes.iter().cloned().map(Ok).collect();
    RouteGroup::all(config, mirror, routes, mirror.prune)
        .0
        .remove(0)
}

/// The plan of the first mirror for its only target.
fn plan_of(config: &Config, snapshot: Snapshot) -> TargetPlan {
    make(&group(config), snapshot).targets.remove(0)
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
            listed: HashMap::new(),
            strangers: HashMap::new(),
            foreign: HashSet::new(),
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
        let listing: Arc<HashSet<Tag>> =
            Arc::new(self.source.iter().map(|(name, _)| tag(name)).collect());
        let asked = listing.iter().map(|tag| (tag.clone(), "m".into()));
        let wanted = Wanted {
            asked: asked.collect(),
            listing: Some(listing.clone()),
            ..Wanted::default()
        };
        Snapshot {
            source: "quay.io/a/b".parse().unwrap(),
            tags: self.source.iter().map(source_tag).collect(),
            dropped: Vec::new(),
            undated: Vec::new(),
            order: Vec::new(),
            absent: Vec::new(),
            refused: Vec::new(),
            is_guess: false,
            memory: Default::default(),
            wanted: (!listing.is_empty()).then_some(wanted),
            listing: Some(listing),
            targets: vec![TargetSnapshot {
                repository: "m.example.com/a/b".parse().unwrap(),
                holds,
                failure: None,
            }],
            now: 100_000,
        }
    }

    fn plan(self) -> TargetPlan {
        let mut keys = "from = \"quay.io/a/b\"\ntags = \"*\"\n".to_owned();
        if !self.shape.is_empty() {
            keys += &format!("platforms = [\"{}\"]\n", self.shape);
        }
        if self.has_referrers {
            keys += "referrers = true\n";
        }
        let config = config(&keys);
        plan_of(&config, self.snapshot())
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
fn tag_missing_at_target_is_copied() {
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
fn referrers_follow_copies_then_their_interval() {
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
fn damaged_tag_is_copied_alone() {
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

#[test]
fn leftovers_of_all_mirrors_are_judged_together() {
    let text = "from = \"quay.io/a/b:1\"\nprune = { after = \"7s\" }\n\
                [[mirror]]\nname = \"second\"\ntarget = \"m.example.com\"\npath = \"a/b\"\n\
                from = \"quay.io/a/b:2\"\nprune = { after = \"9s\" }";
    let config = config(text);
    let of = |mirror: &str| TagRecord {
        mirror: mirror.into(),
        prunable_since: Some(5),
        ..record("x")
    };
    let mut snapshot = Scene {
        source: vec![("1", "x"), ("2", "x")],
        listed: vec!["1", "2", "3", "4", "5"],
        records: vec![
            ("1", record("x")),
            ("2", of("second")),
            ("3", of("m")),
            ("4", of("second")),
            ("5", of("renamed")),
        ],
        ..Scene::default()
    }
    .snapshot();
    let wanted = snapshot.wanted.as_mut().unwrap();
    wanted.asked.insert(tag("2"), "second".into());
    let pruned = plan_of(&config, snapshot).pruned.unwrap();
    let named =
        |tags: &[Prunable]| -> Vec<String> { tags.iter().map(|tag| tag.tag.to_string()).collect() };
    // What a mirror kept that is no longer in the file belongs to the first that writes there.
    assert_eq!(named(&pruned.tags), ["3", "5"]);
    assert_eq!(named(&pruned.others), ["4"]);
    assert_eq!(pruned.reprieved, [tag("2")]);
    let mut due = pruned.tags.iter().chain(&pruned.others);
    assert!(due.all(|tag| tag.fate == Decision::Delete && tag.cause == Cause::Orphaned));
}
