//! Files of each tool, and what is made of them.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Tool::*, *};

/// The password of the files in `tests/files`, at each place where one may stand, or is put by
/// mistake.
const SECRET: &str = "correct-horse-77";

/// A file in `tests/files`, and the name of what is made of it there. What cannot be carried over is
/// reported with its line, and stands in the output. No password does.
#[test]
fn files_become_mirror_toml() {
    let table = [
        ("company", Regsync, "company.yml"),
        ("regsync", Regsync, "regsync.yml"),
        ("schedules", Regsync, "schedules.yml"),
        ("logins", Regsync, "logins.yml"),
        ("odd", Regsync, "odd.yml"),
        ("variables", Regsync, "variables.yml"),
        ("without_variables", Regsync, "variables.yml"),
        ("expressions", Regsync, "expressions.yml"),
        ("ranges_regsync", Regsync, "ranges_regsync.yml"),
        ("without_registry", ImageSyncer, "image_syncer.yml"),
        ("one_file", ImageSyncer, "one_file.yml"),
        ("tabs", ImageSyncer, "tabs.json"),
        ("many_tags", ImageSyncer, "many_tags.yml"),
        ("skopeo", Skopeo, "skopeo.yml"),
        ("searches", Skopeo, "searches.yml"),
        ("ranges_skopeo", Skopeo, "ranges_skopeo.yml"),
        ("dregsy", Dregsy, "dregsy.yml"),
        ("ranges_dregsy", Dregsy, "ranges_dregsy.yml"),
    ];
    for (name, tool, file) in table {
        let host = (!name.starts_with("without")).then_some("r.example");
        assert_shown(name, &imported(tool, file, host).render(&|_| Vec::new()));
    }
}

#[test]
fn refused_lines_become_comments_with_the_reason() {
    let rendered = imported(ImageSyncer, "refused.yml", None).render(&|toml| {
        let lines = toml.lines().zip(1..);
        let wrong = lines.filter(|(text, _)| !text.starts_with('#') && text.contains("a/b"));
        let reason = "b is bad".to_owned();
        let refusals = wrong.map(|(_, line)| (line, reason.clone()));
        let refusals = refusals.map(|(line, reason)| Refusal { line, reason });
        refusals.collect()
    });
    assert_shown("refused", &rendered);
}

/// Compares what is left out, the variables for passwords and the output with the stored ones.
#[track_caller]
fn assert_shown(name: &str, rendered: &Rendered) {
    let debug = format!("{rendered:?}");
    for form in [SECRET.to_owned(), STANDARD.encode(SECRET)] {
        assert!(!debug.contains(&form), "{debug}");
    }
    let losses = rendered.remarks.iter().filter(|remark| remark.is_loss);
    let losses = losses.map(|loss| format!("{}: {}\n", loss.place, loss.text));
    let variables = rendered.variables.iter();
    let variables = variables.map(|it| format!("{} for {}\n", it.name, it.registry));
    let shown: String = losses.chain(variables).collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("tests/files");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, format!("{shown}\n{}", rendered.toml)));
}

/// A file in `tests/files`, read with this value for each variable.
#[track_caller]
fn imported(tool: Tool, file: &str, host: Option<&str>) -> Imported {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/files");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let options = Options {
        target: (tool == Skopeo).then_some("r.io"),
        variables: Some(&|_| host.map(String::from)),
        ..Options::default()
    };
    let (name, text) = ("in.yml", &read(file));
    let imported = import(Input { name, text }, None, &options);
    let mut imported = imported.unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(imported.tool(), tool);
    if file == "image_syncer.yml" {
        let (name, text) = ("auth.yml", &read("image_syncer_auth.yml"));
        imported.add_logins(Input { name, text }).unwrap();
    }
    imported
}
