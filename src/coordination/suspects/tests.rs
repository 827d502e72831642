use std::collections::HashSet;

use super::{Differences, SuspectContent, SuspectLog, SuspectNews};
use crate::oci::Digest;

fn content(text: &str) -> SuspectContent {
    SuspectContent {
        repository: "t.example/a".parse().unwrap(),
        digest: Digest::of(text.as_bytes()),
    }
}

fn contents(texts: &[&str]) -> HashSet<SuspectContent> {
    texts.iter().map(|text| content(text)).collect()
}

/// What differs where both knew some content after the last comparison.
fn differences(known: &[&str], own: &[&str], shared: &[&str]) -> Differences {
    let log = SuspectLog {
        known: contents(known),
        ..SuspectLog::default()
    };
    log.differences(&contents(own), &contents(shared))
}

#[test]
fn new_content_is_learned_and_told() {
    let expected = Differences {
        news: SuspectNews {
            found: vec![content("theirs")],
            cleared: Vec::new(),
        },
        own: vec![content("mine")],
        own_cleared: Vec::new(),
    };
    let found = differences(&["both"], &["both", "mine"], &["both", "theirs"]);
    assert_eq!(found, expected);
}

#[test]
fn content_is_right_for_all_once_one_worker_wrote_it() {
    let expected = Differences {
        news: SuspectNews {
            found: Vec::new(),
            cleared: vec![content("written there")],
        },
        own: Vec::new(),
        own_cleared: vec![content("written here")],
    };
    let both = ["written here", "written there"];
    let found = differences(&both, &["written there"], &["written here"]);
    assert_eq!(found, expected);
}
