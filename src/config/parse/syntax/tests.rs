use crate::config::{Config, Error, tests::report};

fn first(text: &str) -> String {
    let record = report(text).records().remove(0);
    format!("{}: {} | {}", record.line, record.message, record.remedy)
}

#[test]
fn names_import_for_other_formats() {
    for (text, expected) in [
        (
            "# regsync\nsync:\n  - source: a\n    type: image\n",
            "2: this is YAML, not TOML |",
        ),
        ("---\nversion: 1\n", "1: this is YAML, not TOML |"),
        ("quay.io:\n  images: {}\n", "1: this is YAML, not TOML |"),
        (
            "{\"quay.io/a/b\": \"r.io/a/b\"}\n",
            "1: this is JSON, not TOML |",
        ),
    ] {
        let report = report(text);
        assert_eq!(report.records().len(), 1, "{report}");
        let said = first(text);
        assert!(said.starts_with(expected), "{said}");
        assert!(said.contains("`transship import FILE`"), "{said}");
    }
}

#[test]
fn names_straight_quotes() {
    assert_eq!(
        first("timezone = “UTC”\n").split_once(" | ").unwrap().1,
        "write straight quotes: timezone = \"UTC\""
    );
}

#[test]
fn repeats_no_secret_between_typographic_quotes() {
    let said = first("[http]\ntoken = “hunter2”\n");
    assert!(said.ends_with("write straight quotes, `\"`"), "{said}");
}

#[test]
fn names_single_quotes_for_escapes() {
    let said = first("[[mirror]]\nregex = \"v1\\.\\d+\"\n");
    assert!(
        said.ends_with("in single quotes: regex = 'v1\\.\\d+'"),
        "{said}"
    );
    let secret = first("[registries.\"a.io\"]\npassword = \"hun\\.ter2\"\n");
    assert!(secret.ends_with("as in regex = 'v1\\.\\d+'"), "{secret}");
}

#[test]
fn names_the_encoding() {
    for (bytes, expected) in [
        (
            &b"\xff\xfet\0i\0"[..],
            ["it is UTF-16, not UTF-8", "iconv -f UTF-16 -t UTF-8"],
        ),
        (
            &b"# a\n# \xb1\xb1\xbe\xa9\n"[..],
            ["line 2 is not UTF-8", "iconv -f GBK -t UTF-8"],
        ),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let error = Config::load(Some(file.path())).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }));
        let error = error.to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    }
}
