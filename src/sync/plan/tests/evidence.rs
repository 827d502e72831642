use super::*;

#[test]
fn without_evidence_nothing_is_pruned() {
    let scene = Scene {
        listed: vec!["2"],
        records: vec![("2", record("x"))],
        ..Scene::default()
    };
    assert_eq!(plan_of(&globs(), scene.snapshot()).pruned, None);
}
