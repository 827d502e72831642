use std::path::{Path, PathBuf};

use crate::locales::*;

#[test]
fn accept_language_picks_preferred() {
    for (header, language) in [
        ("", Language::English),
        ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
        ("en-US,en;q=0.9,zh-CN;q=0.8", Language::English),
        ("en;q=0.3, zh;q=0.7", Language::Chinese),
        ("de-DE,de;q=0.9,zh;q=0.2", Language::Chinese),
        ("de, *;q=0.5, zh;q=0.1", Language::English),
        ("zh;q=0", Language::English),
        ("fr", Language::English),
        ("ZH-hans", Language::Chinese),
        ("zh;q=x, en;q=0.1", Language::English),
        ("zh, en", Language::Chinese),
    ] {
        assert_eq!(Language::preferred(header), language, "{header}");
    }
}

#[test]
fn durations_have_at_most_two_units() {
    for (seconds, english, chinese) in [
        (0, "0s", "0 秒"),
        (59, "59s", "59 秒"),
        (60, "1m", "1 分"),
        (125, "2m 5s", "2 分 5 秒"),
        (725, "12m", "12 分"),
        (4320, "1h 12m", "1 小时 12 分"),
        (7205, "2h", "2 小时"),
        (90_000, "1d 1h", "1 天 1 小时"),
        (400 * 86_400, "400d", "400 天"),
    ] {
        assert_eq!(Language::English.duration(seconds), english);
        assert_eq!(Language::Chinese.duration(seconds), chinese);
    }
}

#[test]
fn languages_have_every_text_and_placeholder() {
    for language in [Language::English, Language::Chinese] {
        assert_eq!(language.words().mistakes(), [""; 0], "{language:?}");
    }
}

#[test]
fn phrase_does_not_fill_in_what_it_filled_in() {
    let text = ENGLISH.time.since("{ago}", "{time}");
    assert_eq!(text, "since {ago} ({time})");
}

#[test]
fn languages_have_the_same_keys() {
    let keys = |file: &str| -> Vec<String> {
        let sections: toml::Table = file.parse().unwrap();
        let of = |(section, texts): (&String, &toml::Value)| {
            let texts = texts.as_table().unwrap().keys();
            let keys = texts.map(|key| format!("{section}.{key}"));
            keys.collect::<Vec<_>>()
        };
        sections.iter().flat_map(of).collect()
    };
    let english = keys(include_str!("en.toml"));
    assert!(english.len() > 100, "{}", english.len());
    assert_eq!(english, keys(include_str!("zh.toml")));
}

/// What stands between two signs is taken out.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once(open) {
        kept.push_str(before);
        rest = after.split_once(close).map_or("", |(_, after)| after);
    }
    kept + rest
}

#[test]
fn templates_have_no_text_of_their_own() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "html") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = without(&without(&text, "{%", "%}"), "{{", "}}");
        for attribute in ["title=\"", "aria-label=\"", "placeholder=\"", "alt=\""] {
            let values = text.split(attribute).skip(1);
            let values = values.map(|rest| rest.split('"').next().unwrap().to_owned());
            found.extend(values.filter(|value| value.contains(char::is_alphabetic)));
        }
        // Commands, paths and the name of this program are the same in every language.
        let text = without(&without(&text, "<code>", "</code>"), "<", ">");
        let words = text.split_whitespace().filter(|word| *word != "transship");
        found.extend(
            words
                .filter(|word| word.contains(char::is_alphabetic))
                .map(str::to_owned),
        );
    }
    assert_eq!(found, [""; 0]);
}

/// Modules that make what people read: pages, reports, alarms and trial messages.
const TEXTS: [&str; 8] = [
    "src/alarms",
    "src/cli/setup/notify.rs",
    "src/notify/chat.rs",
    "src/status/daily",
    "src/status/daily.rs",
    "src/status/document",
    "src/status/lag_history.rs",
    "src/web/pages",
];

/// Literals that are no texts of a page or a message: names in the store, commands, answers of the API.
const NO_TEXTS: [&str; 6] = [
    "list of ",
    "budget of pulls",
    "refused pulls",
    "database of the workers",
    "transship notify test",
    "name an image: ",
];

fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_file() {
        found.push(path.to_owned());
    } else if !path.ends_with("tests") {
        let entries = std::fs::read_dir(path).unwrap();
        for entry in entries {
            sources(&entry.unwrap().path(), found);
        }
    }
}

/// Whether two words stand beside each other in a literal.
fn has_words(literal: &str) -> bool {
    let text = without(literal, "{", "}");
    let is_word = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic());
    let words: Vec<&str> = text.split(' ').collect();
    words.windows(2).any(|two| {
        two.iter()
            .all(|word| is_word(word.trim_end_matches([',', '.', ';', ':'])))
    })
}

#[test]
fn code_of_messages_has_no_text_of_its_own() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for path in TEXTS {
        sources(&top.join(path), &mut files);
    }
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let source = std::fs::read_to_string(file).unwrap();
        let lines = source.lines().map(str::trim_start);
        // Comments, and what goes into the log.
        let lines = lines.filter(|line| !line.starts_with("//") && !line.contains("tracing::"));
        for line in lines {
            let literals = line.split('"').skip(1).step_by(2);
            let literals = literals.filter(|text| !NO_TEXTS.iter().any(|no| text.starts_with(no)));
            let texts = literals.filter(|text| !text.contains('<') && has_words(text));
            found.extend(texts.map(|text| format!("{}: {text}", file.display())));
        }
    }
    assert_eq!(found, [""; 0]);
    assert!(has_words("{ELLIPSIS} and {lines} more lines") && has_words("a trial, sent"));
}
