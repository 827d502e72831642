use crate::quota::admission::*;

fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

/// Lets images wait; the tests keep what tells them to begin.
fn waiting(images: &[(&str, i64)]) -> (ImageAdmission<()>, Vec<oneshot::Receiver<()>>) {
    let mut turns = ImageAdmission::default();
    let wait = |(image, since): &(&str, i64)| {
        let (begin, begun) = oneshot::channel();
        turns.wait(digest(image), *since, begin);
        begun
    };
    let begun = images.iter().map(wait).collect();
    (turns, begun)
}

fn begin(turns: &mut ImageAdmission<()>, left: Option<u64>) -> Vec<Digest> {
    let beginning = turns.begin(left).into_iter();
    beginning.map(|waiting| waiting.image).collect()
}

#[test]
fn images_that_are_awaited_longest_begin_first() {
    let (mut turns, _kept) = waiting(&[("new", 300), ("old", 100), ("older", 50)]);
    assert_eq!(begin(&mut turns, Some(1)), [digest("older")]);
    turns.end(&digest("older"));
    assert_eq!(begin(&mut turns, Some(1)), [digest("old")]);
}

#[test]
fn as_many_begin_as_the_pulls_that_are_left_cover() {
    let (mut turns, _kept) = waiting(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
    assert_eq!(begin(&mut turns, Some(29)), [digest("a"), digest("b")]);
    let parts = [digest("amd64"), digest("arm64")];
    turns.needs(&digest("a"), parts.iter());
    assert_eq!(begin(&mut turns, Some(28)), [digest("c")]);
    turns.needs(&digest("b"), [].iter());
    assert!(begin(&mut turns, Some(21)).is_empty(), "2 + 0 + 10 + 10");
    turns.has(&digest("a"), &parts[0]);
    assert_eq!(begin(&mut turns, Some(21)), [digest("d")]);
}

#[test]
fn admission_ends_with_manifests() {
    let (mut turns, _kept) = waiting(&[("a", 1), ("b", 1)]);
    assert_eq!(begin(&mut turns, Some(9)), [digest("a")]);
    turns.needs(&digest("a"), [].iter());
    assert_eq!(begin(&mut turns, Some(8)), [digest("b")]);
}

#[test]
fn quota_that_nobody_reports_holds_nobody_up() {
    let (mut turns, _kept) = waiting(&[("a", 1), ("b", 1), ("c", 1)]);
    assert_eq!(begin(&mut turns, None).len(), 3);
}

#[test]
fn images_wait_for_the_first_grant() {
    let (mut turns, _kept) = waiting(&[("a", 1), ("b", 1)]);
    assert!(begin(&mut turns, Some(0)).is_empty());
    assert_eq!(turns.lacking(0), Some(10));
    assert_eq!(begin(&mut turns, Some(10)).len(), 1);
    assert_eq!(turns.lacking(10), Some(10));
}

#[test]
fn who_copies_the_same_image_elsewhere_begins_with_it() {
    let (mut turns, _kept) = waiting(&[("a", 1), ("b", 2), ("a", 3)]);
    let a = digest("a");
    assert_eq!(begin(&mut turns, Some(1)), [a.clone(), a.clone()]);
    turns.end(&a);
    assert!(begin(&mut turns, Some(1)).is_empty());
    turns.end(&a);
    assert_eq!(begin(&mut turns, Some(1)), [digest("b")]);
}

#[test]
fn who_waits_no_more_takes_no_turn() {
    let (mut turns, mut kept) = waiting(&[("a", 1), ("b", 2)]);
    kept.remove(0);
    assert_eq!(begin(&mut turns, Some(1)), [digest("b")]);
}
