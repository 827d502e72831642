use crate::config::{mirror::tag_glob::mistake, tests::report};

#[test]
fn names_the_right_form() {
    for (glob, key, expected) in [
        (
            "*-rc*, nightly",
            "exclude",
            "write a list: exclude = [\"*-rc*\", \"nightly\"]",
        ),
        ("v1|v2", "tags", "write a list: tags = [\"v1\", \"v2\"]"),
        ("v1 v2", "tags", "write a list: tags = [\"v1\", \"v2\"]"),
        (
            "^v1.*$",
            "tags",
            "for a regular expression, write regex = 'v1.*'",
        ),
        (
            ".*-(rc|beta)",
            "exclude",
            "write exclude_regex = '.*-(rc|beta)'",
        ),
        ("v1\\.\\d+", "tags", "write regex = 'v1\\.\\d+'"),
        ("-alpine", "exclude", "did you mean \"*-alpine\"?"),
        ("quay.io/a:v1", "tags", "write repositories in `from`"),
        ("v1 ", "tags", "write \"v1\""),
        ("版本", "tags", "a tag has letters"),
    ] {
        let (message, help) = mistake(glob, key).unwrap_or_else(|| panic!("{glob}"));
        assert!(message.contains("matches no tag"), "{message}");
        assert!(
            help.ends_with(expected) || help.starts_with(expected),
            "{help}"
        );
    }
}

#[test]
fn accepts_globs_of_tags() {
    for glob in [
        "*",
        "v1.*",
        "v{1,2}.?",
        "[0-9]*",
        "[!a-z]*",
        "{a,b{c,d}}-*",
        "_x",
        "1.2-rc.1",
    ] {
        assert_eq!(mistake(glob, "tags"), None, "{glob}");
    }
}

#[test]
fn is_an_error_with_its_place() {
    let records = report(
        "[[mirror]]\nfrom = \"quay.io/a/b\"\ntarget = \"r.example.com\"\ntags = [\"v1\",\n  \"v2|v3\"]\n",
    )
    .records();
    assert_eq!(
        (records.len(), records[0].line, records[0].column),
        (1, 5, 3)
    );
}
