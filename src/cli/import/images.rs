//! `transship import -`: a mirror.toml for the images of a list, of manifests, or of a preset.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Import;
use crate::{
    cli::{Exit, Global, Refusal, output, output::toml_string},
    inventory::{Certainty, Inventory},
};

/// Presets, by name. They are text that users keep and edit.
const PRESETS: [(&str, &str); 14] = [
    ("argo", include_str!("../../../presets/argo.toml")),
    ("calico", include_str!("../../../presets/calico.toml")),
    (
        "cert-manager",
        include_str!("../../../presets/cert-manager.toml"),
    ),
    ("cilium", include_str!("../../../presets/cilium.toml")),
    (
        "csi-sidecars",
        include_str!("../../../presets/csi-sidecars.toml"),
    ),
    ("flannel", include_str!("../../../presets/flannel.toml")),
    (
        "gpu-operator",
        include_str!("../../../presets/gpu-operator.toml"),
    ),
    (
        "ingress-nginx",
        include_str!("../../../presets/ingress-nginx.toml"),
    ),
    ("istio", include_str!("../../../presets/istio.toml")),
    (
        "kube-prometheus-stack",
        include_str!("../../../presets/kube-prometheus-stack.toml"),
    ),
    ("kubeadm", include_str!("../../../presets/kubeadm.toml")),
    (
        "kubernetes",
        include_str!("../../../presets/kubernetes.toml"),
    ),
    ("longhorn", include_str!("../../../presets/longhorn.toml")),
    (
        "metrics-server",
        include_str!("../../../presets/metrics-server.toml"),
    ),
];

/// What is mirrored of repositories that a pattern finds, if nothing else is asked for.
const PATTERN_SELECTORS: &str = "tags = \"*\"\nlatest = 5\n";

/// A repository, and the tags of it that are used.
#[derive(Default)]
struct Tags {
    certain: BTreeSet<String>,
    maybe: BTreeSet<String>,
    /// Images without a tag, as they are written.
    digests: BTreeSet<String>,
}

/// Prints entries for the images, grouped by registry.
pub(super) fn import(
    inventory: &Inventory,
    arguments: &Import,
    global: &Global,
) -> anyhow::Result<Exit> {
    let toml = head(arguments) + &entries(inventory, arguments);
    let refusals = super::check(&with_target(&toml, arguments));
    if let Some(refusal) = refusals.first() {
        return Err(Refusal::Usage(format!("line {}: {}", refusal.line, refusal.reason)).into());
    }
    print(&toml, global)
}

/// Prints a preset.
pub(super) fn preset(name: &str, arguments: &Import, global: &Global) -> anyhow::Result<Exit> {
    let names = PRESETS.iter().map(|(name, _)| *name);
    if name == "list" {
        names.into_iter().try_for_each(output::line)?;
        return Ok(Exit::Ok);
    }
    let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
        let help = match crate::config::closest(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
        };
        return Err(Refusal::mistake(format!("no preset `{name}`"), help).into());
    };
    let toml = head(arguments) + &narrowed(text, arguments);
    let refusals = super::check(&with_target(&toml, arguments));
    if let Some(refusal) = refusals.first() {
        return Err(Refusal::Usage(format!("line {}: {}", refusal.line, refusal.reason)).into());
    }
    print(&toml, global)
}

/// A preset with the selectors of the arguments in its first entry, which is the software itself. Those
/// of what it needs are numbered otherwise.
fn narrowed(text: &str, arguments: &Import) -> String {
    let end = text.match_indices("\n[[mirror]]").nth(1);
    let (first, rest) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    let semver = arguments.semver.as_deref().map(toml_string);
    let latest = arguments.latest.map(|count| count.to_string());
    let lines = first.lines().map(|line| {
        let key = line.split([' ', '=']).next().unwrap_or_default();
        match (key, &semver, &latest) {
            ("semver", Some(value), _) | ("latest", _, Some(value)) => format!("{key} = {value}\n"),
            _ => format!("{line}\n"),
        }
    });
    lines.collect::<String>() + rest
}

fn print(toml: &str, global: &Global) -> anyhow::Result<Exit> {
    match global.json {
        true => output::json(&json!({ "tool": "images", "toml": toml }))?,
        false => output::line(toml.trim_end())?,
    }
    Ok(Exit::Ok)
}

/// The target, where one is named.
fn head(arguments: &Import) -> String {
    match &arguments.target {
        Some(target) => format!("[defaults]\ntarget = {}\n\n", toml_string(target)),
        None => String::new(),
    }
}

/// The text with some target, for a check of the rest.
fn with_target(toml: &str, arguments: &Import) -> String {
    match arguments.target {
        Some(_) => toml.to_owned(),
        None => format!("[defaults]\ntarget = \"registry.example.com/mirror\"\n\n{toml}"),
    }
}

fn entries(inventory: &Inventory, arguments: &Import) -> String {
    let mut registries: BTreeMap<String, BTreeMap<String, Tags>> = BTreeMap::new();
    for found in inventory.images() {
        let Some((repository, tag)) = found.source() else {
            continue;
        };
        let registry = registries
            .entry(repository.registry().to_string())
            .or_default();
        let tags = registry.entry(repository.to_string()).or_default();
        match (found.certainty, tag) {
            (Certainty::Maybe, Some(tag)) => tags.maybe.insert(tag.to_string()),
            (Certainty::Maybe, None) => continue,
            (_, Some(tag)) => tags.certain.insert(tag.to_string()),
            (_, None) => tags.digests.insert(found.image.clone()),
        };
    }
    let selectors = selectors(arguments);
    let entries = registries
        .iter()
        .map(|(registry, repositories)| entry(registry, repositories, selectors.as_deref()));
    let found = pattern_entries(inventory, selectors.as_deref());
    entries.chain(found).collect::<Vec<_>>().join("\n")
}

/// Entries for the patterns of a list, one a registry. A pattern that no registry can answer is a
/// comment with the reason.
fn pattern_entries(inventory: &Inventory, selectors: Option<&str>) -> Vec<String> {
    let selectors = selectors.unwrap_or(PATTERN_SELECTORS);
    let mut registries: BTreeMap<&str, (String, String)> = BTreeMap::new();
    for pattern in inventory.patterns() {
        let registry = pattern.split('/').next().unwrap_or(pattern);
        let (active, refused) = registries.entry(registry).or_default();
        let alone = format!("[[mirror]]\nfrom = {}\n{selectors}", toml_string(pattern));
        let text = format!("[defaults]\ntarget = \"registry.example.com/mirror\"\n\n{alone}");
        match super::check(&text).into_iter().next() {
            None => *active += &format!("  {},\n", toml_string(pattern)),
            Some(refusal) => {
                *refused += &format!("# left out: {}: {}\n", toml_string(pattern), refusal.reason);
            }
        }
    }
    let entries = registries.into_iter().map(|(registry, (active, refused))| {
        let name = toml_string(&format!("{registry} repositories"));
        match active.is_empty() {
            true => refused,
            false => {
                format!("[[mirror]]\nname = {name}\nfrom = [\n{active}]\n{selectors}{refused}")
            }
        }
    });
    entries.collect()
}

/// The selectors that take the place of literal tags.
fn selectors(arguments: &Import) -> Option<String> {
    let semver = arguments
        .semver
        .as_ref()
        .map(|range| format!("semver = {}\n", toml_string(range)));
    let latest = arguments.latest.map(|count| format!("latest = {count}\n"));
    let tags = match (&semver, &latest) {
        (None, None) => return None,
        (Some(_), _) => "",
        (None, Some(_)) => "tags = \"*\"\n",
    };
    let keys = semver.into_iter().chain(latest).collect::<String>();
    Some(format!("{tags}{keys}"))
}

/// The entry of a registry. What is only `maybe` an image is a comment.
fn entry(registry: &str, repositories: &BTreeMap<String, Tags>, selectors: Option<&str>) -> String {
    let mut lines = Vec::new();
    let mut maybe = Vec::new();
    let mut pinned = Vec::new();
    for (repository, tags) in repositories {
        match selectors {
            Some(_) if tags.certain.is_empty() && tags.digests.is_empty() => {
                maybe.push(repository.clone());
            }
            Some(_) => lines.push(repository.clone()),
            None => {
                pinned.extend(tags.digests.iter().cloned());
                lines.extend(tags.certain.iter().map(|tag| format!("{repository}:{tag}")));
                maybe.extend(tags.maybe.iter().map(|tag| format!("{repository}:{tag}")));
            }
        }
    }
    let active = lines
        .iter()
        .map(|line| format!("  {},\n", toml_string(line)));
    let comments = maybe
        .iter()
        .map(|line| format!("# maybe: {}\n", toml_string(line)));
    let pinned = pinned.iter().map(|image| {
        format!(
            "# by digest only, add a tag that has it: {}\n",
            toml_string(image)
        )
    });
    let comments: String = pinned.chain(comments).collect();
    if lines.is_empty() {
        return comments;
    }
    let from: String = active.collect();
    let name = toml_string(registry);
    let selectors = selectors.unwrap_or_default();
    format!("[[mirror]]\nname = {name}\nfrom = [\n{from}]\n{selectors}{comments}")
}

#[cfg(test)]
mod tests;
