//! The documents hold: each configuration in them passes `transship check`, each link leads to a file.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its sources fails"
)]
use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Completes a block that shows a part of a file.
const TARGET: &str = "[defaults]\ntarget = \"registry.example.com/docs\"\n";
const MIRROR: &str = "\n[[mirror]]\nname = \"docs\"\nfrom = \"docker.io/library/busybox:1\"\n";

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The documents for people: those at the top, and those of each folder that has some.
fn documents() -> Vec<PathBuf> {
    let tops = fs::read_dir(top()).unwrap();
    let tops = tops.map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = tops
        .filter(|path| path.extension().is_some_and(|own| own == "md"))
        .collect();
    for folder in ["docs", "examples", "systemd", "bench"] {
        found.extend(files(&top().join(folder), "md"));
    }
    found
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

/// Where the links of a document lead.
fn links(text: &str) -> Vec<&str> {
    let rests = text.split("](").skip(1);
    rests
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .collect()
}

/// The blocks of TOML in a document, with the line on which each begins.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut block) = (Vec::new(), None);
    for (at, line) in text.lines().enumerate() {
        match (&mut block, line.trim_start()) {
            (None, "```toml") => block = Some((at + 2, String::new())),
            (Some(_), "```") => found.extend(block.take()),
            (Some((_, text)), _) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    found
}

/// A block as a whole file.
fn completed(block: &str) -> String {
    let mut text = block.to_owned();
    if !text.contains("[[mirror]]") {
        text += MIRROR;
    }
    match text.contains("target") {
        true => text,
        // A table of defaults may stand anywhere but before keys of the top.
        false => text + "\n" + TARGET,
    }
}

/// The values of a key such as `env` in `{ env = "NAME" }`.
fn named<'a>(text: &'a str, key: &str) -> HashSet<&'a str> {
    let before = format!("{{ {key} = \"");
    let values = text.split(&before).skip(1);
    values
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect()
}

/// Runs `transship check` where every secret and helper that a file names is there.
fn check(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("mirror.toml"), text).unwrap();
    for name in named(text, "credential") {
        fs::write(place(name), "https://chat.example.com/hook").unwrap();
    }
    for name in named(text, "helper") {
        let program = place(&format!("docker-credential-{name}"));
        let login = "#!/bin/sh\necho '{\"Username\": \"u\", \"Secret\": \"s\"}'\n";
        fs::write(&program, login).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let variables = named(text, "env").into_iter();
    Command::new(env!("CARGO_BIN_EXE_transship"))
        .args(["--config", "mirror.toml", "check"])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("CREDENTIALS_DIRECTORY", folder.path())
        .env("STATE_DIRECTORY", folder.path())
        .envs(variables.map(|name| (name, value_of(name))))
        .output()
        .unwrap()
}

/// What a variable of this name may hold.
fn value_of(name: &str) -> &'static str {
    match name.ends_with("DATABASE_URL") {
        true => "postgres://transship@db.example.com/transship",
        false => "https://chat.example.com/hook",
    }
}

/// What `check` finds wrong with a file: every mistake, and every warning.
fn mistakes(name: &str, text: &str) -> Option<String> {
    // The store of a service is not on this machine.
    let text = text.replace("/var/lib/transship/state.db", "state.db");
    let output = check(&text);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_right = output.status.success() && !said.contains("warning");
    (!is_right).then(|| format!("{name}:\n{said}\n{text}"))
}

#[test]
fn examples_pass_check() {
    let mut found = files(&top().join("examples"), "toml");
    assert!(found.len() >= 4, "{found:?}");
    found.push(top().join("mirror.toml"));
    let wrong: Vec<String> = found
        .iter()
        .filter_map(|file| mistakes(&file.display().to_string(), &read(file)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn toml_blocks_in_documents_pass_check() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for file in documents() {
        for (line, block) in blocks(&read(&file)) {
            count += 1;
            let name = format!("{}:{line}", file.display());
            wrong.extend(mistakes(&name, &completed(&block)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 10, "{count}");
}

#[test]
fn links_lead_to_files() {
    let mut broken = Vec::new();
    for file in documents() {
        let folder = file.parent().unwrap();
        for link in links(&read(&file)) {
            let path = link.split('#').next().unwrap_or_default();
            let is_ours = !path.is_empty() && !path.contains("://");
            if is_ours && !folder.join(path).exists() {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_chapter_is_in_the_summary() {
    let book = top().join("docs");
    let summary = read(&book.join("SUMMARY.md"));
    let name = |file: &PathBuf| file.strip_prefix(&book).unwrap().display().to_string();
    let missing: Vec<String> = files(&book, "md")
        .iter()
        .map(name)
        .filter(|name| name != "SUMMARY.md" && !summary.contains(&format!("({name})")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The parts of a text that a path with alternatives stands for: `a/{b,c}` is `a/b` and `a/c`.
fn expanded(path: &str) -> Vec<String> {
    match path.split_once('{').and_then(|(before, rest)| {
        let (inside, after) = rest.split_once('}')?;
        Some((before, inside, after))
    }) {
        Some((before, inside, after)) => inside
            .split(',')
            .map(|part| format!("{before}{part}{after}"))
            .collect(),
        None => vec![path.to_owned()],
    }
}

#[test]
fn paths_in_architecture_exist() {
    let text = read(&top().join("ARCHITECTURE.md"));
    let roots = [
        "src/",
        "crates/",
        "tests/",
        "docs/",
        "migrations/",
        "templates/",
        "prometheus/",
        "grafana/",
    ];
    let is_path = |text: &&str| roots.iter().any(|root| text.starts_with(root));
    // `<name>` stands for the file to be added.
    let paths = text.split('`').skip(1).step_by(2).filter(is_path);
    let paths: Vec<String> = paths
        .flat_map(|path| expanded(path.split('<').next().unwrap()))
        .collect();
    let missing: Vec<_> = paths
        .iter()
        .filter(|path| !top().join(path).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(paths.len() > 40, "{}", paths.len());
}

#[test]
fn every_error_class_has_a_remedy_in_the_docs() {
    let text = read(&top().join("docs/troubleshooting.md"));
    let classes = transship::registry::ErrorClass::ALL;
    let has_row = |class: &str| text.contains(&format!("\n| `{class}` | "));
    let missing: Vec<_> = classes
        .iter()
        .map(|class| class.as_str())
        .filter(|class| !has_row(class))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
