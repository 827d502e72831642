//! The order of the modules, and the size of files: the house stays as it was built.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its sources fails"
)]
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// From the ground up: a module of the package `transship` names only those before it. The crates below it cannot name
/// it at all.
const ORDER: [&str; 16] = [
    "locales",
    "config",
    "metrics",
    "telemetry",
    "store",
    "coordination",
    "sync",
    "inventory",
    "status",
    "alarms",
    "notify",
    "peers",
    "gateway",
    "web",
    "daemon",
    "cli",
];

/// Most lines of a file.
const LINES: usize = 500;

/// Most files of a folder.
const FILES: usize = 12;

/// Where Rust files lie.
const ROOTS: [&str; 4] = ["src", "crates", "tests", "bench"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The module at the crate's root that a file belongs to.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(top().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Every root module that a text names: after `crate::`, alone or in braces.
fn named(text: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = |text: &str| text.chars().take_while(|c| is_word(*c)).collect::<String>();
    let mut names = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => names.push(word(rest)),
            Some(inside) => names.extend(first_words(inside).iter().map(|part| word(part))),
        }
    }
    names
}

/// The parts of a braced list at its own depth.
fn first_words(inside: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(inside[start..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(inside[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

#[test]
fn modules_name_only_lower_modules() {
    let rank = |module: &str| ORDER.iter().position(|known| *known == module);
    let mut wrong = Vec::new();
    for file in sources(&top().join("src")) {
        let module = module_of(&file);
        if module == "lib" || module == "main" {
            continue;
        }
        let own = rank(&module).unwrap_or_else(|| panic!("{module} has no place in the house"));
        for name in named(&fs::read_to_string(&file).unwrap()) {
            if rank(&name).is_some_and(|other| other > own) {
                wrong.push(format!("{} names {name}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_has_a_place() {
    let lib = fs::read_to_string(top().join("src/lib.rs")).unwrap();
    let declared: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let mut sorted = ORDER.to_vec();
    sorted.sort_unstable();
    let mut found = declared.clone();
    found.sort_unstable();
    assert_eq!(found, sorted);
}

#[test]
fn log_lines_of_copies_are_counted() {
    // A line for each target of a run, and one for each deletion that a run waits for.
    let few = ["refusing_targets.rs", "blob_index.rs"];
    let mut free = Vec::new();
    for file in sources(&top().join("src/sync/copy")) {
        if few.iter().any(|name| file.ends_with(name)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let is_logged = line.contains("tracing::warn!") || line.contains("tracing::info!");
            let is_counted = at > 0 && lines[at - 1].contains("has_line()");
            if is_logged && !is_counted {
                free.push(format!("{}:{}", file.display(), at + 1));
            }
        }
    }
    assert!(free.is_empty(), "a source may fill the log by {free:#?}");
}

#[test]
fn files_stay_below_500_lines() {
    let files = ROOTS.iter().flat_map(|folder| sources(&top().join(folder)));
    let lines = |file: &PathBuf| fs::read_to_string(file).unwrap().lines().count();
    let long: Vec<_> = files.filter(|file| lines(file) > LINES).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn folders_hold_at_most_12_files() {
    let mut folders = BTreeMap::<PathBuf, usize>::new();
    for file in ROOTS.iter().flat_map(|folder| sources(&top().join(folder))) {
        let folder = file.parent().unwrap().to_path_buf();
        *folders.entry(folder).or_default() += 1;
    }
    folders.retain(|_, files| *files > FILES);
    assert!(folders.is_empty(), "{folders:#?}");
}

#[test]
fn unit_tests_have_a_file_of_their_own() {
    let is_inline = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        text.contains("mod tests {") || text.contains("_tests;")
    };
    let files = ["src", "crates"]
        .iter()
        .flat_map(|folder| sources(&top().join(folder)));
    let inline: Vec<_> = files.filter(is_inline).collect();
    assert!(inline.is_empty(), "{inline:#?}");
}

#[test]
fn sql_stays_in_the_store() {
    let holds_sql = |file: &PathBuf| fs::read_to_string(file).unwrap().contains("sqlx::");
    let files = sources(&top().join("src")).into_iter().filter(holds_sql);
    let outside: Vec<_> = files.filter(|file| module_of(file) != "store").collect();
    assert!(outside.is_empty(), "{outside:#?}");
}

#[test]
fn texts_are_cleaned_in_one_place() {
    let cleans = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        let is_test = file.ends_with("tests.rs") || file.ends_with("fuzz.rs");
        text.contains("is_control") && !is_test
    };
    let files = ["src", "crates"]
        .iter()
        .flat_map(|folder| sources(&top().join(folder)));
    let elsewhere = files.filter(|file| !file.starts_with(top().join("crates/text")));
    let cleaners: Vec<_> = elsewhere.filter(cleans).collect();
    assert!(cleaners.is_empty(), "{cleaners:#?}");
}

#[test]
fn finds_module_names_in_use_trees() {
    let text = "use crate::oci::Tag; use crate::{config::{A, B}, store::Store}; crate::sync::run()";
    assert_eq!(named(text), ["oci", "config", "store", "sync"]);
}

#[test]
fn cited_tests_exist() {
    let promises: String = ["SECURITY.md", "docs/reliability.md"]
        .map(|file| fs::read_to_string(top().join(file)).unwrap())
        .concat();
    let keys = fs::read_to_string(top().join("mirror.toml")).unwrap();
    let is_name = |text: &&str| {
        let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let is_key = keys.contains(*text);
        text.matches('_').count() > 1 && text.bytes().all(is_letter) && !is_key
    };
    let named: Vec<&str> = promises.split('`').filter(is_name).collect();
    let sources: Vec<String> = ROOTS
        .iter()
        .flat_map(|folder| sources(&top().join(folder)))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let is_there = |name: &&&str| {
        let function = format!("fn {name}(");
        sources.iter().any(|text| text.contains(&function))
    };
    let missing: Vec<_> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named.len() > 150, "{}", named.len());
}

/// Where the crates lie that hold a type's name once.
const CRATES: [&str; 6] = [
    "src",
    "tests/e2e",
    "bench",
    "crates/cluster",
    "crates/import",
    "crates/registry",
];

/// The name of the type that a line defines.
fn defined(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        None => line,
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
    };
    let (kind, rest) = line.split_once(' ')?;
    let is_type = ["struct", "enum", "type", "trait", "union"].contains(&kind);
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &rest[..end.unwrap_or(rest.len())];
    (is_type && name.starts_with(|c: char| c.is_ascii_uppercase())).then_some(name)
}

#[test]
fn type_names_stand_once_in_a_crate() {
    for root in CRATES {
        let mut places = BTreeMap::<String, Vec<String>>::new();
        for file in sources(&top().join(root)) {
            for line in fs::read_to_string(&file).unwrap().lines() {
                // An associated type has its trait's name for it.
                let is_associated = line.starts_with(' ') && line.trim_start().starts_with("type ");
                if let Some(name) = defined(line).filter(|_| !is_associated) {
                    let place = file.display().to_string();
                    places.entry(name.to_owned()).or_default().push(place);
                }
            }
        }
        places.retain(|name, places| places.len() > 1 && name != "Error");
        assert!(places.is_empty(), "{places:#?}");
    }
}

#[test]
fn finds_names_of_types() {
    let found = [
        "pub(crate) struct A<'a> {",
        "pub enum B {",
        "type C = D;",
        "impl E {",
    ];
    let found: Vec<_> = found.into_iter().map(defined).collect();
    assert_eq!(found, [Some("A"), Some("B"), Some("C"), None]);
}
