//! Names of images as other tools write them.

use super::model::Target;
use crate::oci::{Repository, Tag, Version, parse_image};

/// What a name means.
pub(super) struct Image {
    pub(super) repository: Repository,
    pub(super) tag: Option<String>,
}

/// What docker hub's registry is called here.
const HUB: &str = "docker.io";

/// Reads a name that has a tag or none; or says why it cannot be mirrored.
pub(super) fn parse(text: &str) -> Result<Image, String> {
    let text = text.trim();
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!(
            "`{scheme}://` is no registry, and nothing else is mirrored"
        ));
    }
    if text.contains("{{") || text.contains("${") {
        return Err("it holds a variable; write out what it stands for".into());
    }
    let (host, rest) = text.split_once('/').unwrap_or(("", text));
    let text = match is_hub(host) {
        true => format!("{HUB}/{rest}"),
        false => text.to_owned(),
    };
    let (repository, version) = parse_image(&text).map_err(|error| error.to_string())?;
    let tag = match version {
        None => None,
        Some(Version::Tag(tag)) => Some(tag.as_str().to_owned()),
        Some(Version::Digest(_)) => return Err(of_digest()),
    };
    Ok(Image { repository, tag })
}

/// Why a digest is left out.
pub(super) fn of_digest() -> String {
    "a digest never moves, so there is nothing to mirror; copy it once, or name its tag".into()
}

/// A registry's host by its usual name, without what some write around it.
pub(super) fn host(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    let text = text.split_once("://").map_or(text, |(_, host)| host);
    let bare = text.strip_suffix("/v1").unwrap_or(text);
    match is_hub(bare) {
        true => HUB.into(),
        false => text.into(),
    }
}

fn is_hub(host: &str) -> bool {
    matches!(
        host,
        "registry.hub.docker.com" | "hub.docker.com" | "index.docker.io" | "registry-1.docker.io"
    )
}

/// The target that a repository is.
pub(super) fn target(repository: &Repository) -> Target {
    Target {
        registry: repository.registry().to_string(),
        path: repository.path().into(),
    }
}

/// The `tag` that calls one tag another; none if it keeps its name.
pub(super) fn rename(source: &str, target: &str) -> Result<Option<String>, String> {
    if source == target {
        return Ok(None);
    }
    let (before, after) = target.split_once(source).ok_or_else(|| {
        format!("`tag` cannot call {source} {target}: the new name has to hold the old one")
    })?;
    Ok(Some(format!("{before}{{tag}}{after}")))
}

/// Whether a text is a tag.
pub(super) fn is_tag(text: &str) -> bool {
    text.parse::<Tag>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_has_one_name() {
        for name in [
            "nginx:1",
            "docker.io/nginx:1",
            "registry.hub.docker.com/library/nginx:1",
            "index.docker.io/library/nginx:1",
        ] {
            let image = parse(name).unwrap();
            assert_eq!(
                image.repository.to_string(),
                "docker.io/library/nginx",
                "{name}"
            );
            assert_eq!(image.tag.as_deref(), Some("1"));
        }
        assert_eq!(host("https://index.docker.io/v1/"), "docker.io");
        assert_eq!(host("localhost:5000"), "localhost:5000");
    }

    #[test]
    fn what_cannot_be_mirrored_says_why() {
        let digest = format!("a.io/b@sha256:{}", "0".repeat(64));
        for (name, words) in [
            (digest.as_str(), "never moves"),
            ("ocidir://x", "no registry"),
            ("{{env \"X\"}}/a", "variable"),
            ("A.io/B", "lower case"),
        ] {
            let error = parse(name).err().unwrap();
            assert!(error.contains(words), "{name}: {error}");
        }
    }

    #[test]
    fn a_tag_is_called_another_if_that_holds_it() {
        assert_eq!(rename("1.2", "1.2").unwrap(), None);
        assert_eq!(rename("1.2", "v1.2-x").unwrap().unwrap(), "v{tag}-x");
        assert!(rename("1.2", "stable").is_err());
    }
}
