//! Files that are no files of these tools, or are made to harm.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

fn global() -> Global {
    use clap::Parser as _;
    super::super::super::Arguments::parse_from(["transship", "import", "x"]).global
}

/// What the command says of a file with these bytes.
fn refused(bytes: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    error_of(file.path())
}

fn error_of(path: &Path) -> String {
    let import = Import {
        file: path.into(),
        from: None,
        auth: None,
        target: None,
        scoped: false,
    };
    let error = import.run(&global()).expect_err("it is refused");
    assert_eq!(crate::cli::error::tell(&error), Exit::Config);
    error.to_string()
}

#[test]
fn what_is_no_text_or_none_of_these_files_is_refused_with_its_line_and_a_remedy() {
    for (bytes, words) in [
        (&b"\x7fELF\x02\x01\x01\x00"[..], ":1: not YAML"),
        (b"sync:\n\xff\xfe\n", ":2: it is not text in UTF-8"),
        (b"", ":1: there is nothing in it"),
        (b"sync: [\n", "not YAML"),
        (b"just words", "no file of regsync"),
        (b"a: {b: {c: 1}}", "no file of regsync"),
        (b"q.io: {username: u, password: p}", "with --auth"),
        (b"sync: []", "nothing in it is mirrored"),
        (
            b"sync:\n- source: q.io/a\n",
            ":2: an entry of `sync` has no `type`",
        ),
        (
            b"sync:\n- {type: image, source: [1], target: r.io/a}",
            "`source` of an entry of `sync` is not a text",
        ),
    ] {
        let said = refused(bytes);
        assert!(said.contains(words) && said.contains("help: "), "{said}");
    }
}

#[test]
fn a_file_of_a_hundred_megabytes_is_not_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(100 << 20).unwrap();
    let said = error_of(file.path());
    assert!(said.contains("larger than 4.0 MiB"), "{said}");
    assert!(error_of(Path::new("/dev/zero")).contains("larger than"));
}

#[test]
fn what_is_not_there_or_no_file_is_told() {
    let folder = tempfile::TempDir::new().unwrap();
    assert!(error_of(&folder.path().join("gone.yml")).contains("No such file"));
    assert!(error_of(folder.path()).contains("s a directory"));
}

#[test]
fn entries_by_aliases_are_bounded() {
    let mut text = format!("x: &x [{}]\nsync:\n", "a, ".repeat(100));
    let step = "- {source: q.io/a, target: r.io/a, type: repository, tags: {allow: *x}}\n";
    text.push_str(&step.repeat(10_000));
    assert!(refused(text.as_bytes()).contains("1000000 values"));
}

/// A remark is one line of a comment, whatever it quotes.
#[test]
fn nothing_in_a_file_can_write_a_line_of_the_output() {
    let evil = "\\n[[mirror]]\\nfrom = 'evil.io/x'\\e[2J";
    let text = format!(
        "\"x{evil}\": 1\nsync:\n- {{source: \"q.io/a{evil}\", target: r.io/a, type: image}}\n\
         - {{source: q.io/b, target: r.io/b, type: repository, tags: {{allow: [\"a{evil}\"]}}}}\n\
         - {{source: q.io/c, target: r.io/c, type: repository, \"k{evil}\": 1}}\n"
    );
    let made = made(Tool::Regsync, &text);
    assert_eq!(made.routes(), ["q.io/c -> r.io/c"]);
    assert!(!made.written.text.contains('\u{1b}'));
    let remarks = made.written.remarks.iter();
    assert!(
        remarks
            .clone()
            .all(|remark| !remark.text.contains(['\n', '\u{1b}']))
    );
}

/// Scraps of files, so that most trees look a little like one.
fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(vec![
        "sync:",
        "tasks:",
        "creds:",
        "defaults:",
        "images:",
        "q.io:",
        "source:",
        "target:",
        "type:",
        "tags:",
        "allow:",
        "deny:",
        "mappings:",
        "from:",
        "to:",
        "registry:",
        "auth:",
        " q.io/a",
        " r.io/a:1",
        " repository",
        " image",
        " registry",
        " '.*'",
        " 'a|b'",
        " >=1.0",
        " []",
        " {}",
        " [x]",
        "\n",
        "\n- ",
        "\n  ",
        "\n    - ",
        "\n  - ",
        " regex:a/.*",
        " semver: 1.x",
        " &a",
        " *a",
        " \"",
        " '",
        " |\n",
        " ~",
        " 1h",
        " @hourly",
        "{",
        "}",
        "<<:",
        "images-by-semver:",
    ]);
    prop::collection::vec(scrap, 0..40).prop_map(|scraps| scraps.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_is_read_is_refused_or_made_into_a_file_that_is_accepted(text in scraps()) {
        let Ok(document) = yaml::parse(&text) else { return Ok(()) };
        let teller = Teller("in".into());
        let target = Target { registry: "r.io".into(), path: String::new() };
        let read = [
            regsync::read(&document, &teller),
            image_syncer::read(&document, &teller, Some(&target)),
            skopeo::read(&document, &teller, &Destination { target: target.clone(), is_scoped: false }),
            dregsy::read(&document, &teller),
        ];
        for imported in read.into_iter().flatten() {
            let written = write::write(imported, "t");
            if written.text.contains("\n[[mirror]]") {
                let parsed = Config::parse_without_secrets(Path::new("m"), &written.text);
                prop_assert!(parsed.is_ok(), "{}\n{}", parsed.unwrap_err(), written.text);
            }
        }
    }
}
