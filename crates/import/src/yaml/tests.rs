//! Bounds of what is read, and the lines of errors.

use super::*;
use crate::template::Variables;

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let variables = &Variables::new(&|_| None);
    parse(text, &Reader::new("f", variables)).map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    read::<serde_json::Value>(text).expect_err(text)
}

record! {
    struct Sample {
        names: Vec<Option<Text>> = "names",
        next: Option<Text> = "next",
    }
}

#[test]
fn scalars_are_texts_and_nulls_are_nothing() {
    let keys: Sample = read("names: [3.6.0, 1.10, ~, '']\nnext: null\nmore: 1\nless: ~\n").unwrap();
    assert_eq!(
        texts(&keys.names).collect::<Vec<_>>(),
        ["3.6.0", "1.10", ""]
    );
    assert_eq!(keys.next, None);
    let other = keys.other.iter().map(|key| (key.value.as_str(), line(key)));
    assert_eq!(other.collect::<Vec<_>>(), [("more", 3)]);
}

#[test]
fn merges_and_tabs_in_json_are_read() {
    let text = "x-a: &a {next: 1}\n<<: *a\nnames: [b]\n";
    assert_eq!(read::<Sample>(text).unwrap().next.unwrap().value, "1");
    let text = "{\n\t\"next\": \"x\\u0041\"\n}";
    assert_eq!(read::<Sample>(text).unwrap().next.unwrap().value, "xA");
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
        assert!(refused(&text).contains("too large"), "{}", refused(&text));
    }
    assert!(refused(&"[".repeat(100_000)).contains("recursion limit"));
}

#[test]
fn errors_have_lines_and_no_values() {
    for (text, words) in [
        ("a: 1\nb: [1\n", "f:2: not YAML"),
        ("a: 1\na: 2\n", "f:2: a key is given twice"),
        ("a: 1\n---\nb: 1\n", "a second document begins"),
        ("a: &a [*a]\n", "f:1: "),
        ("a: *b\n", "f:1: not YAML: an alias"),
        ("a: \"\u{0}\"\n", "f:1: not YAML"),
    ] {
        let error = refused(text);
        assert!(error.contains(words), "{text:?}: {error}");
    }
    let error = read::<Sample>("names: hunter2\n").unwrap_err();
    assert!(error.contains("f:1: wrong kind of value") && !error.contains("hunter2"));
}
