//! That the mirror.toml of an import selects the tags that the other tool does, and is accepted.

mod hostile;
mod selection;

use super::*;
use crate::{
    config::Selection,
    oci::{Repository, Tag},
};

/// A mirror.toml that was made of a file.
pub(super) struct Made {
    pub(super) rendered: Rendered,
    pub(super) config: Config,
}

/// Imports the file of a tool. `target` is empty where the tool has none.
#[track_caller]
pub(super) fn made(tool: Tool, text: &str, target: &str) -> Made {
    let named = |name, text| Input { name, text };
    let options = Options {
        target: Some(target.trim_start_matches("scoped:")).filter(|target| !target.is_empty()),
        is_scoped: target.starts_with("scoped:"),
        ..Options::default()
    };
    let imported = transship_import::import(named("in.yml", text), None, &options);
    let imported = imported.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(imported.tool(), tool);
    let rendered = imported.render(&check);
    let config = Config::parse_without_secrets(Path::new("mirror.toml"), &rendered.toml);
    let config = config.unwrap_or_else(|error| panic!("{error}\n{}", rendered.toml));
    Made { rendered, config }
}

impl Made {
    /// Each route as `source:tag -> targets`, in the order of the file.
    pub(super) fn routes(&self) -> Vec<String> {
        let mirrors = self.config.mirrors.iter();
        let routes = mirrors.flat_map(|mirror| &mirror.routes).map(|route| {
            let tag = match &route.selection {
                Selection::Tag(tag) => format!(":{tag}"),
                Selection::Matching(_) | Selection::Nothing => String::new(),
            };
            let targets: Vec<String> = route.targets.iter().map(ToString::to_string).collect();
            format!("{}{tag} -> {}", route.source, targets.join(" "))
        });
        routes.collect()
    }

    /// The places at the target where a tag of a source goes.
    pub(super) fn takes(&self, source: &str, tag: &str) -> String {
        let (source, tag): (Repository, Tag) = (source.parse().unwrap(), tag.parse().unwrap());
        let mut found = Vec::new();
        for mirror in &self.config.mirrors {
            let discovered = mirror.discoveries.iter().filter(|d| d.matches(&source));
            let discovered: Vec<_> = discovered.map(|d| d.route(&source).unwrap()).collect();
            for route in mirror.routes.iter().chain(&discovered) {
                if route.source == source && crate::sync::allows(route, &tag) {
                    let rename = mirror.rename.as_ref();
                    let name = rename.map_or(tag.clone(), |rename| rename.target(&tag).unwrap());
                    let targets = route.targets.iter();
                    found.extend(targets.map(|target| format!("{target}:{name}")));
                }
            }
        }
        found.sort();
        found.dedup();
        found.join(" ")
    }

    /// What is left out, each with its line.
    pub(super) fn losses(&self) -> Vec<(usize, &str)> {
        let losses = self.rendered.remarks.iter().filter(|remark| remark.is_loss);
        losses
            .map(|loss| (loss.place.line, loss.text.as_str()))
            .collect()
    }
}

/// Fails unless these lines and no others are reported as left out, in these words.
#[track_caller]
pub(super) fn assert_losses(made: &Made, expected: &[(usize, &str)]) {
    let losses = made.losses();
    assert_eq!(losses.len(), expected.len(), "{losses:#?}");
    for ((line, text), (wanted, words)) in losses.iter().zip(expected) {
        let is_expected = line == wanted && text.contains(words);
        assert!(is_expected, "{line} {text}, not {wanted} {words}");
        assert!(made.rendered.toml.contains(&format!("line {line}: ")));
    }
}
