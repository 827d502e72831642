use std::{path::Path, time::Duration};

use crate::config::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn parse(defaults: &str, keys: &str) -> Result<Config, String> {
    let text = format!(
        "[defaults]\n{defaults}\n[[mirror]]\nfrom = \"s.example/a:1\"\ntarget = \"t.example/m\"\n{keys}"
    );
    Config::parse(Path::new("mirror.toml"), &text).map_err(|error| error.to_string())
}

fn mirror(defaults: &str, keys: &str) -> Mirror {
    parse(defaults, keys).unwrap().mirrors.remove(0)
}

#[test]
fn nothing_is_pruned_unless_it_is_asked_for() {
    assert_eq!(mirror("", "").prune, None);
    let expected = Prune {
        keep: 5,
        after: 3 * DAY,
        max_share: 0.5,
    };
    let keys = "prune = { keep = 5, after = \"3d\" }";
    assert_eq!(mirror("", keys).prune, Some(expected));
    assert_eq!(mirror(keys, "").prune, Some(expected));
    assert_eq!(mirror(keys, "prune = \"off\"").prune, None);
    let other = mirror("", "prune = { max_share = 1.0 }").prune.unwrap();
    assert_eq!((other.keep, other.after), (0, 7 * DAY));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_remedy() {
    for (keys, message) in [
        (
            "prune = { keep = -1 }",
            "a `keep` of -1 is no number of tags",
        ),
        ("prune = { after = \"soon\" }", "`soon` is not a duration"),
        ("prune = { after = \"0s\" }", "`0s` is not a duration"),
        (
            "prune = { max_share = 2.0 }",
            "a `max_share` of 2 is no part",
        ),
        ("prune = { older = \"1d\" }", "unknown key `older`"),
        ("prune = \"yes\"", "unknown `prune = \"yes\"`"),
        (
            "backup_tag = \"prev\"",
            "bad `backup_tag`: it does not hold {tag}",
        ),
        (
            "backup_tag = \"{tag}\"",
            "that is what the tag itself is called",
        ),
        (
            "verify_blobs_every = \"never\"",
            "`never` is not a duration",
        ),
    ] {
        let error = parse("", keys).unwrap_err();
        assert!(error.contains(message), "{keys}: {error}");
    }
}

#[test]
fn blobs_are_verified_every_month_unless_said_otherwise() {
    let every = |keys| mirror("", keys).verify_blobs_every;
    assert_eq!(every(""), Some(30 * DAY));
    assert_eq!(every("verify_blobs_every = \"7d\""), Some(7 * DAY));
    assert_eq!(every("verify_blobs_every = \"off\""), None);
}
