use std::path::Path;

use crate::config::Config;

fn complaint(from: &str) -> Option<String> {
    let text = format!("[[mirror]]\ntarget = \"t.example/m\"\ntags = \"v*\"\nfrom = {from}");
    let parsed = Config::parse(Path::new("mirror.toml"), &text);
    parsed.err().map(|error| error.to_string())
}

#[test]
fn a_repository_stands_once_in_an_entry() {
    for twice in [
        r#"["s.example/a", "s.example/a"]"#,
        r#"["s.example/{a,b}", "s.example/a"]"#,
    ] {
        let said = complaint(twice).unwrap();
        assert!(
            said.contains("s.example/a twice would be written"),
            "{said}"
        );
    }
    assert_eq!(complaint(r#"["s.example/a", "s.example/a:1"]"#), None);
}

#[test]
fn backup_spares_mirrored_tags() {
    let with = |from: &str, keys: &str| complaint(&format!("{from}\n{keys}"));
    let both = r#"["s.example/z", "s.example/a:1", "s.example/a:1.prev"]"#;
    let backup = "backup_tag = \"{tag}.prev\"";
    let said = with(both, backup).unwrap();
    assert!(said.contains("the `backup_tag` of 1 would be"), "{said}");
    assert!(said.contains("t.example/m/s.example/a:1.prev"), "{said}");
    // What counts are the names at the target.
    let renamed = r#"["s.example/z", "s.example/a:1", "s.example/a:1.prev-x"]"#;
    let keys = format!("tag = \"{{tag}}-x\"\n{backup}");
    assert_eq!(with(renamed, &keys), None);
    let keys = "tag = \"{tag}-x\"\nbackup_tag = \"old-{tag}\"";
    let renamed = r#"["s.example/z", "s.example/a:1", "s.example/a:old-1"]"#;
    assert!(with(renamed, keys).is_some());
    assert_eq!(with(both, "backup_tag = \"{tag}.old\""), None);
    assert_eq!(with(both, ""), None);
    let elsewhere = r#"["s.example/z", "s.example/a:1", "s.example/b:1.prev"]"#;
    assert_eq!(with(elsewhere, backup), None);
}

#[test]
fn a_backup_of_one_entry_spares_the_tags_of_another() {
    let entry = |tag: &str| format!("[[mirror]]\nfrom = \"s.example/a:{tag}\"\n");
    let text = format!(
        "[defaults]\ntarget = \"t.example\"\n{}{}backup_tag = \"{{tag}}.prev\"\n",
        entry("1.prev"),
        entry("1"),
    );
    let error = Config::parse(Path::new("mirror.toml"), &text).unwrap_err();
    assert!(
        error.to_string().contains("would be written over"),
        "{error}"
    );
}

/// The error of two entries for one target path, each with its own `from` and `tag`.
fn two_names(first: (&str, &str), second: (&str, &str)) -> Option<String> {
    let entry = |(from, tag): (&str, &str)| {
        format!("[[mirror]]\nfrom = \"s.example/{from}\"\ntag = \"{tag}\"\n")
    };
    let text = format!(
        "[defaults]\ntarget = \"t.example\"\n{}{}",
        entry(first),
        entry(second)
    );
    let parsed = Config::parse(Path::new("mirror.toml"), &text);
    parsed.err().map(|error| error.to_string())
}

#[test]
fn fixed_tags_share_a_repository() {
    assert_eq!(two_names(("a:1", "stable"), ("a:2", "latest")), None);
    assert_eq!(two_names(("a:1", "stable"), ("a:1", "latest")), None);
    assert_eq!(two_names(("a:1", "stable"), ("a:2", "{tag}")), None);
    let said = two_names(("a:1", "stable"), ("a:2", "stable")).unwrap();
    assert!(said.contains("two names for its tags"), "{said}");
    assert!(two_names(("a:1", "2"), ("a:2", "{tag}")).is_some());
}

#[test]
fn fixed_tag_needs_one_literal_tag() {
    let said = |from: &str, tag: &str| complaint(&format!("{from}\ntag = \"{tag}\""));
    let two = r#"["s.example/a:1", "s.example/b:2"]"#;
    let said_of_two = said(two, "stable").unwrap();
    assert!(
        said_of_two.contains("bad `tag`: it does not hold {tag}"),
        "{said_of_two}"
    );
    assert!(said("\"s.example/a\"", "stable").is_some());
    let one = r#"[[mirror]]
target = "t.example/m"
from = ["s.example/{a,b}:1", "s.example/c/*:1"]
tag = "stable"
"#;
    let config = Config::parse(Path::new("mirror.toml"), one).unwrap();
    let name = config.mirrors[0].target_tag(&"1".parse().unwrap());
    assert_eq!(name, "stable".parse());
}
