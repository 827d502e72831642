//! What `from` names: repositories, patterns of repositories, and tags.

use std::ops::Range;

use crate::{
    config::{
        mirror::discovery::Pattern,
        moved,
        parse::{braces, diagnostics::Problems, file::MirrorEntry, redact::looks_secret},
    },
    oci::{Repository, Tag, Version, parse_image},
};

const FROM_HELP: &str = "write registry/repository, such as \"quay.io/prometheus/node-exporter\"";
/// Pages that people copy in the place of a name.
const WEB_PAGES: [&str; 4] = ["https://", "http://", "hub.docker.com/", "docker://"];

/// One of the things that `from` names.
pub(crate) struct NamedSource {
    pub(crate) what: Sought,
    pub(crate) tag: Option<Tag>,
    pub(crate) place: Range<usize>,
}

/// A repository, or a pattern of repositories.
pub(crate) enum Sought {
    Repository(Repository),
    Pattern(Pattern),
}

/// The sources of an entry, after brace expansion.
pub(crate) fn sources(entry: &MirrorEntry, problems: &mut Problems) -> Vec<NamedSource> {
    let Some(from) = &entry.from else {
        if entry.is_whole {
            problems.error(entry.span.clone(), "this entry has no `from`", FROM_HELP);
        }
        return Vec::new();
    };
    let mut sources = Vec::new();
    for text in from.get_ref() {
        let place = text.span();
        let names = match braces::expand(text.get_ref()) {
            Ok(names) => names,
            Err(reason) => {
                let message = format!("bad `from`: {reason}");
                problems.error(place, message, "write choices as in \"quay.io/a/{b,c}\"");
                continue;
            }
        };
        for name in names {
            match source(&name) {
                Ok((what, tag)) => {
                    warn_if_moved(&what, &place, problems);
                    sources.push(NamedSource {
                        what,
                        tag,
                        place: place.clone(),
                    });
                }
                Err((message, help)) => {
                    let named = web_address(&name).filter(|_| !looks_secret(&name));
                    let help = named.map_or(help.into(), |name| {
                        format!("name the image as it is pulled: \"{name}\"")
                    });
                    problems.error(place.clone(), message, help);
                }
            }
        }
    }
    sources
}

/// Mirroring a frozen upstream works, and brings nothing new.
fn warn_if_moved(what: &Sought, place: &Range<usize>, problems: &mut Problems) {
    if let Sought::Repository(repository) = what
        && let Some((message, help)) = moved::warning(repository)
    {
        problems.warning(place.clone(), message, help);
    }
}

fn source(name: &str) -> Result<(Sought, Option<Tag>), (String, &'static str)> {
    if WEB_PAGES.iter().any(|page| name.starts_with(page)) {
        let message = format!("`{name}` is the address of a web page");
        return Err((message, FROM_HELP));
    }
    if name.contains('*') {
        let (pattern, tag) = Pattern::parse(name)?;
        return Ok((Sought::Pattern(pattern), tag));
    }
    let (repository, version) = parse_image(name).map_err(|e| (e.to_string(), FROM_HELP))?;
    match version {
        None => Ok((Sought::Repository(repository), None)),
        Some(Version::Tag(tag)) => Ok((Sought::Repository(repository), Some(tag))),
        Some(Version::Digest(_)) => {
            let message = "a digest in `from` never moves, so there is nothing to mirror";
            Err((message.into(), "name a tag instead, as in \"nginx:1.27\""))
        }
    }
}

/// The name of the image that a web page or a URL is about.
fn web_address(text: &str) -> Option<String> {
    let scheme = ["https://", "http://", "docker://"];
    let rest = scheme.iter().find_map(|scheme| text.strip_prefix(scheme));
    let rest = rest.or_else(|| text.starts_with("hub.docker.com/").then_some(text))?;
    let rest = rest.split(['?', '#']).next()?.trim_end_matches('/');
    let (host, path) = rest.split_once('/')?;
    let parts: Vec<&str> = path.split('/').collect();
    Some(match (host, &parts[..]) {
        ("hub.docker.com", ["_", name, ..]) => format!("docker.io/library/{name}"),
        ("hub.docker.com", ["r", namespace, name, ..]) => format!("docker.io/{namespace}/{name}"),
        ("hub.docker.com", _) => return None,
        ("quay.io", ["repository", namespace, name, ..]) => format!("quay.io/{namespace}/{name}"),
        _ => rest.to_owned(),
    })
}
