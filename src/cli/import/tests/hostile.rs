//! Files that are no files of these tools, or are made to harm.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// What the command says of a file, which it refuses as a bad configuration.
fn error_of(path: &Path) -> String {
    use clap::Parser as _;
    let arguments = ["transship", "import", path.to_str().unwrap()];
    let arguments = crate::cli::Arguments::parse_from(arguments);
    let crate::cli::Command::Import(import) = arguments.command else {
        panic!("another command");
    };
    let error = import.run(&arguments.global).expect_err("it is refused");
    assert_eq!(error::tell(&error), Exit::Config);
    error.to_string()
}

fn refused(bytes: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    error_of(file.path())
}

#[test]
fn unknown_files_are_refused_with_line_and_help() {
    for (bytes, words) in [
        (&b"\x7fELF\x02\x01\x01\x00"[..], ":1: not YAML"),
        (b"sync:\n\xff\xfe\n", ":2: it is not text in UTF-8"),
        (b"", ":1: the file is empty"),
        (b"sync: [\n", "not YAML"),
        (b"just words", "no file of regsync"),
        (b"a: {b: {c: 1}}", "no file of regsync"),
        (b"q.io: {username: u, password: p}", "with --auth"),
        (b"sync: []", "mirrors nothing"),
        (
            b"sync:\n- source: q.io/a\n",
            ":2: an entry of `sync` has no `type`",
        ),
        (b"sync:\n- {source: [hunter2]}", ":2: wrong kind of value"),
        (b"a: 1\nb: [1\n", ":2: not YAML"),
        (b"a: 1\na: 2\n", ":2: a key is given twice"),
        (b"a: 1\n---\nb: 1\n", "a second document begins"),
        (b"a: &a [*a]\n", ":1: "),
        (b"a: *b\n", ":1: not YAML: an alias"),
        (b"a: \"\0\"\n", ":1: not YAML"),
    ] {
        let said = refused(bytes);
        assert!(said.contains(words) && said.contains("help: "), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

/// Ten to the power of twenty values in half a kilobyte.
#[test]
fn alias_bombs_and_depth_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..20 {
        let aliases = vec![format!("*a{}", at - 1); 10].join(", ");
        bomb.push_str(&format!("a{at}: &a{at} [{aliases}]\n"));
    }
    let mut entries = format!("x: &x [{}]\nsync:\n", "a, ".repeat(100));
    entries.push_str(&"- {tags: {allow: *x}}\n".repeat(10_000));
    let deep: String = (0..200)
        .map(|at| format!("{}a:\n", " ".repeat(at)))
        .collect();
    for text in [bomb, entries, deep] {
        let said = refused(text.as_bytes());
        assert!(said.contains("too large"), "{said}");
    }
    let said = refused("[".repeat(100_000).as_bytes());
    assert!(said.contains("recursion limit"), "{said}");
}

#[test]
fn large_and_missing_files_are_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(100 << 20).unwrap();
    assert!(error_of(file.path()).contains("larger than 4.0 MiB"));
    assert!(error_of(Path::new("/dev/zero")).contains("larger than"));
    let folder = tempfile::TempDir::new().unwrap();
    assert!(error_of(&folder.path().join("gone.yml")).contains("No such file"));
    assert!(error_of(folder.path()).contains("s a directory"));
}

/// A remark is one line of a comment, whatever it quotes.
#[test]
fn quoted_text_writes_no_line_of_the_output() {
    let evil = "\\n[[mirror]]\\nfrom = 'evil.io/x'\\e[2J";
    let text = format!(
        "\"x{evil}\": 1\nsync:\n- {{source: \"q.io/a{evil}\", target: r.io/a, type: image}}\n\
         - {{source: q.io/b, target: r.io/b, type: repository, tags: {{allow: [\"a{evil}\"]}}}}\n\
         - {{source: q.io/c, target: r.io/c, type: repository, \"k{evil}\": 1}}\n"
    );
    let made = made(Tool::Regsync, &text, "");
    assert!(made.routes().iter().all(|route| !route.contains("evil.io")));
    assert!(made.routes().contains(&"q.io/c -> r.io/c".to_owned()));
    assert!(!made.rendered.toml.contains('\u{1b}'));
    let mut remarks = made.rendered.remarks.iter();
    assert!(remarks.all(|remark| !remark.text.contains(['\n', '\u{1b}'])));
}

/// Scraps of files, so that most texts look a little like one.
fn scraps() -> impl Strategy<Value = String> {
    let scraps = "sync:|tasks:|creds:|images:|q.io:|source:|target:|type:|tags:|allow:|deny:|from:|\
                  mappings:|to:|registry:|auth:| q.io/a| r.io/a:1| repository| image| '.*'| 'a,b'| \
                  >=1.0| []| {}| [x]|\n|\n- |\n  |\n    - |\n  - | regex:a/.*| semver: 1.x| &a| *a| \"\
                  | '| ~| 1h| @hourly|{|}|<<:|images-by-semver:| {{ env \"X\" }}| ${X}|name: x|\
                  interval: 1h";
    let scrap = prop::sample::select(scraps.split('|').collect::<Vec<_>>());
    prop::collection::vec(scrap, 0..40).prop_map(|scraps| scraps.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_text_is_refused_or_becomes_an_accepted_file(text in scraps()) {
        for tool in [Tool::Regsync, Tool::ImageSyncer, Tool::Skopeo, Tool::Dregsy] {
            let is_skopeo = tool == Tool::Skopeo;
            let options = Options {
                target: is_skopeo.then_some("r.io"),
                ..Options::default()
            };
            let input = Input { name: "in", text: &text };
            let Ok(imported) = transship_import::import(input, Some(tool), &options) else {
                continue;
            };
            let toml = imported.render(&check).toml;
            if toml.contains("\n[[mirror]]") {
                let parsed = Config::parse_without_secrets(Path::new("m"), &toml);
                prop_assert!(parsed.is_ok(), "{}\n{}", parsed.unwrap_err(), toml);
            }
        }
    }
}
