//! Files of each tool, and what is made of them.

mod hostile;
mod of_dregsy;
mod of_image_syncer;
mod of_regsync;
mod of_skopeo;
mod secrets;

use std::path::Path;

use super::*;
use crate::{
    config::{Config, Selection},
    oci::Tag,
};

/// What is made of a file, which the parser of mirror.toml has to accept.
pub(super) struct Made {
    pub(super) written: Written,
    pub(super) config: Config,
}

/// Reads a file of a tool that needs nothing beside it.
#[track_caller]
pub(super) fn made(tool: Tool, text: &str) -> Made {
    made_with(tool, text, None, "")
}

/// The same with a target, `scoped:` before it for skopeo's `--scoped`, and image-syncer's logins.
#[track_caller]
pub(super) fn made_with(tool: Tool, text: &str, target: Option<&str>, auth: &str) -> Made {
    let written = written(tool, text, target, auth);
    let config = Config::parse_without_secrets(Path::new("mirror.toml"), &written.text);
    let config = config.unwrap_or_else(|error| panic!("{error}\n{}", written.text));
    Made { written, config }
}

#[track_caller]
pub(super) fn written(tool: Tool, text: &str, target: Option<&str>, auth: &str) -> Written {
    let document = yaml::parse(text).unwrap_or_else(|bad| panic!("{bad:?}"));
    let told = tool_of(&document);
    assert_eq!(told, Ok(tool), "whose file it is");
    let is_scoped = target.is_some_and(|target| target.starts_with("scoped:"));
    let target = target.map(|target| {
        let target = target.trim_start_matches("scoped:");
        let (registry, path) = target.split_once('/').unwrap_or((target, ""));
        Target {
            registry: registry.into(),
            path: path.into(),
        }
    });
    let teller = Teller("in.yml".into());
    let imported = match tool {
        Tool::Regsync => regsync::read(&document, &teller),
        Tool::Dregsy => dregsy::read(&document, &teller),
        Tool::ImageSyncer => image_syncer::read(&document, &teller, target.as_ref()),
        Tool::Skopeo => {
            let target = target.expect("a target");
            skopeo::read(&document, &teller, &Destination { target, is_scoped })
        }
    };
    let mut imported = imported.unwrap_or_else(|bad| panic!("{bad:?}"));
    if !auth.is_empty() {
        let teller = Teller("auth.yml".into());
        image_syncer::read_auth(&yaml::parse(auth).unwrap(), &teller, &mut imported).unwrap();
    }
    write::write(imported, "a title")
}

impl Made {
    /// Each route as `source tags -> targets`, in the order of the file.
    pub(super) fn routes(&self) -> Vec<String> {
        let mirrors = self.config.mirrors.iter();
        let routes = mirrors.flat_map(|mirror| &mirror.routes).map(|route| {
            let tag = match &route.selection {
                Selection::Tag(tag) => format!(":{tag}"),
                Selection::Matching(_) => String::new(),
            };
            let targets: Vec<String> = route.targets.iter().map(ToString::to_string).collect();
            format!("{}{tag} -> {}", route.source, targets.join(" "))
        });
        routes.collect()
    }

    /// The places at the target where a tag of a source goes.
    pub(super) fn takes(&self, source: &str, tag: &str) -> Vec<String> {
        let (source, tag): (crate::oci::Repository, Tag) =
            (source.parse().unwrap(), tag.parse().unwrap());
        let mut found = Vec::new();
        for mirror in &self.config.mirrors {
            let discovered = mirror.discoveries.iter().filter(|d| d.matches(&source));
            let discovered: Vec<_> = discovered.map(|d| d.route(&source).unwrap()).collect();
            for route in mirror.routes.iter().chain(&discovered) {
                if route.source == source && crate::sync::allows(route, &tag) {
                    let name = mirror.rename.clone().unwrap_or_default();
                    let name = match name == Default::default() {
                        true => tag.clone(),
                        false => name.target(&tag).unwrap(),
                    };
                    found.extend(
                        route
                            .targets
                            .iter()
                            .map(|target| format!("{target}:{name}")),
                    );
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// What is left out, each with its line.
    pub(super) fn losses(&self) -> Vec<(usize, &str)> {
        losses(&self.written)
    }
}

pub(super) fn losses(written: &Written) -> Vec<(usize, &str)> {
    let remarks = written.remarks.iter().filter(|remark| remark.is_loss);
    remarks
        .map(|remark| (remark.place.line, remark.text.as_str()))
        .collect()
}

/// Fails unless these lines, and no others, are told as left out, in these words, and in the output.
#[track_caller]
pub(super) fn assert_losses(written: &Written, expected: &[(usize, &str)]) {
    let losses = losses(written);
    assert_eq!(losses.len(), expected.len(), "{losses:#?}");
    let squeezed = |text: &str| {
        text.replace(['#', '\n'], " ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let comments = squeezed(&written.text);
    for ((line, text), (wanted, words)) in losses.iter().zip(expected) {
        assert!(
            line == wanted && text.contains(words),
            "{line} {text}, not {wanted} {words}"
        );
        let comment = squeezed(&format!("line {line}: {text}"));
        assert!(
            comments.contains(&comment),
            "{comment}\nin\n{}",
            written.text
        );
    }
}
