//! Validates one `[[mirror]]`: what it copies, which tags, and where to.

use std::{ops::Range, sync::Arc};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::Regex;
use semver::VersionReq;
use toml::Spanned;

use super::{
    Attestations, Mirror, Referrers, Route, Selection, Selectors, braces,
    file::{MirrorEntry, Strings},
    path::{PATH_HELP, PathTemplate},
    problem::Problems,
    section::Wanted,
};
use crate::oci::{Platform, RegistryName, Repository, Version, parse_image};

const DEFAULT_PATH: &str = "{registry}/{repository}";
const FROM_HELP: &str = "write registry/repository, such as \"quay.io/prometheus/node-exporter\"";
const TARGET_HELP: &str = "write the registry's host and a path, such as \
                           \"registry.example.com/mirror\"";

/// A mirror and, for each route, the place of the `from` that it came from.
pub(super) struct Validated {
    pub(super) mirror: Mirror,
    pub(super) places: Vec<Range<usize>>,
}

/// Validates an entry that has the defaults filled in. `own` is the entry without them.
pub(super) fn validate(
    entry: &MirrorEntry,
    own: &MirrorEntry,
    name: Arc<str>,
    problems: &mut Problems,
) -> Validated {
    let selectors = Arc::new(selectors(entry, problems));
    let platforms = platforms(entry.platforms.as_ref(), problems);
    let attestations = attestations(entry.attestations.as_ref(), problems);
    let referrers = referrers(entry.referrers.as_ref(), problems);
    let targets = targets(entry, problems);
    let template = template(entry.path.as_ref(), problems);
    let mut routes = Vec::new();
    let mut places = Vec::new();
    let mut lists_tags = false;
    for (source, version, place) in sources(entry, problems) {
        let selection = match version {
            Some(Version::Tag(tag)) => Selection::Tag(tag),
            Some(Version::Digest(_)) => {
                let message = "a digest in `from` never moves, so there is nothing to mirror";
                problems.error(place, message, "name a tag instead, as in \"nginx:1.27\"");
                continue;
            }
            None => {
                lists_tags = true;
                Selection::Matching(selectors.clone())
            }
        };
        let targets = target_repositories(&targets, &template, &source, entry, problems);
        routes.push(Route {
            source,
            targets,
            selection,
            taken: Vec::new(),
        });
        places.push(place);
    }
    check_selectors(own, entry, lists_tags, !routes.is_empty(), problems);
    Validated {
        mirror: Mirror {
            name,
            routes,
            platforms,
            attestations,
            referrers,
        },
        places,
    }
}

/// An entry must say which tags it wants, and not say it twice.
fn check_selectors(
    own: &MirrorEntry,
    entry: &MirrorEntry,
    lists_tags: bool,
    has_routes: bool,
    problems: &mut Problems,
) {
    let selects = |e: &MirrorEntry| {
        e.tags.is_some() || e.regex.is_some() || e.semver.is_some() || e.latest.is_some()
    };
    if lists_tags && entry.is_whole && !selects(entry) {
        let place = entry
            .from
            .as_ref()
            .map_or(entry.span.clone(), Spanned::span);
        let help = "mirror every tag with `tags = \"*\"`, or choose with tags, regex, semver or \
                    latest";
        problems.error(place, "this entry selects no tag", help);
    }
    if has_routes && !lists_tags && (selects(own) || own.exclude.is_some()) {
        let place = own.from.as_ref().map_or(own.span.clone(), Spanned::span);
        let help = "leave the tag out of `from`, or leave the selectors out";
        problems.error(
            place,
            "`from` names one tag, so the selectors select nothing",
            help,
        );
    }
}

fn sources(
    entry: &MirrorEntry,
    problems: &mut Problems,
) -> Vec<(Repository, Option<Version>, Range<usize>)> {
    let Some(from) = &entry.from else {
        if entry.is_whole {
            problems.error(entry.span.clone(), "this entry has no `from`", FROM_HELP);
        }
        return Vec::new();
    };
    let mut sources = Vec::new();
    for text in from.get_ref() {
        let span = text.span();
        if text.get_ref().contains('*') {
            let message = "`*` in a repository is not supported";
            let help = "name the repositories, in a list or in braces: \"quay.io/a/{b,c}\"";
            problems.error(span, message, help);
            continue;
        }
        let names = match braces::expand(text.get_ref()) {
            Ok(names) => names,
            Err(reason) => {
                let message = format!("bad `from`: {reason}");
                problems.error(span, message, "write choices as in \"quay.io/a/{b,c}\"");
                continue;
            }
        };
        for name in names {
            match parse_image(&name) {
                Ok((repository, version)) => sources.push((repository, version, span.clone())),
                Err(error) => problems.error(span.clone(), error.to_string(), FROM_HELP),
            }
        }
    }
    sources
}

/// A registry and the path under which everything goes there.
struct Target {
    registry: RegistryName,
    prefix: String,
    place: Range<usize>,
}

fn targets(entry: &MirrorEntry, problems: &mut Problems) -> Vec<Target> {
    let Some(list) = &entry.target else {
        let help = "set `target` here or in [defaults], such as \"registry.example.com/mirror\"";
        if entry.is_whole {
            problems.error(entry.span.clone(), "this entry has no `target`", help);
        }
        return Vec::new();
    };
    let mut targets: Vec<Target> = Vec::new();
    for text in list.get_ref() {
        let (host, prefix) = text
            .get_ref()
            .split_once('/')
            .unwrap_or((text.get_ref(), ""));
        let prefix = prefix.trim_end_matches('/').to_owned();
        match host.parse::<RegistryName>() {
            Ok(registry)
                if targets
                    .iter()
                    .any(|t| t.registry == registry && t.prefix == prefix) =>
            {
                let message = format!("`{}` is named twice", text.get_ref());
                problems.error(text.span(), message, "remove one of the two");
            }
            Ok(registry) => targets.push(Target {
                registry,
                prefix,
                place: text.span(),
            }),
            Err(_) => {
                let message = format!("bad `target`: `{host}` is not a registry's host");
                problems.error(text.span(), message, TARGET_HELP);
            }
        }
    }
    targets
}

fn template(path: Option<&Spanned<String>>, problems: &mut Problems) -> PathTemplate {
    let text = path.map_or(DEFAULT_PATH, |path| path.get_ref());
    PathTemplate::parse(text).unwrap_or_else(|reason| {
        let span = path.map_or(0..0, Spanned::span);
        problems.error(span, format!("bad `path`: {reason}"), PATH_HELP);
        PathTemplate::parse(DEFAULT_PATH).unwrap_or_else(|_| unreachable!("it is a constant"))
    })
}

fn target_repositories(
    targets: &[Target],
    template: &PathTemplate,
    source: &Repository,
    entry: &MirrorEntry,
    problems: &mut Problems,
) -> Vec<Repository> {
    let mut repositories = Vec::new();
    for target in targets {
        let path = template.render(source);
        let name = match target.prefix.as_str() {
            "" => format!("{}/{path}", target.registry),
            prefix => format!("{}/{prefix}/{path}", target.registry),
        };
        match name.parse::<Repository>() {
            Ok(repository) if repository == *source => {
                let message = format!("{source} would be mirrored onto itself");
                problems.error(target.place.clone(), message, "name another target or path");
            }
            Ok(repository) => repositories.push(repository),
            Err(error) => {
                let place = entry
                    .path
                    .as_ref()
                    .map_or(target.place.clone(), Spanned::span);
                problems.error(place, format!("bad target: {error}"), PATH_HELP);
            }
        }
    }
    repositories
}

fn selectors(entry: &MirrorEntry, problems: &mut Problems) -> Selectors {
    let latest =
        entry
            .latest
            .as_ref()
            .and_then(|latest| match usize::try_from(*latest.get_ref()) {
                Ok(count) if count > 0 => Some(count),
                _ => {
                    let message = format!("`latest = {}` selects nothing", latest.get_ref());
                    problems.error(
                        latest.span(),
                        message,
                        "write how many of the newest tags to keep",
                    );
                    None
                }
            });
    Selectors {
        tags: globs(entry.tags.as_ref(), "tags", problems),
        regex: entry
            .regex
            .as_ref()
            .and_then(|regex| anchored(regex, problems)),
        semver: entry
            .semver
            .as_ref()
            .and_then(|range| version_range(range, problems)),
        exclude: globs(entry.exclude.as_ref(), "exclude", problems),
        latest,
    }
}

fn globs(list: Option<&Strings>, key: &str, problems: &mut Problems) -> Option<GlobSet> {
    glob_set(list?.get_ref(), key, problems)
}

fn glob_set(list: &[Spanned<String>], key: &str, problems: &mut Problems) -> Option<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for text in list {
        match GlobBuilder::new(text.get_ref())
            .backslash_escape(true)
            .build()
        {
            Ok(glob) => {
                set.add(glob);
            }
            Err(error) => {
                let message = format!("bad glob in `{key}`: {}", error.kind());
                let help = "use `*`, `?`, `[abc]` and `{a,b}`, as in \"v1.*\"";
                problems.error(text.span(), message, help);
            }
        }
    }
    set.build().ok()
}

fn anchored(regex: &Spanned<String>, problems: &mut Problems) -> Option<Regex> {
    let text = regex.get_ref();
    // Compiled alone first: `a)(b` would be legal only inside the group.
    match Regex::new(text).and_then(|_| Regex::new(&format!("^(?:{text})$"))) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let text = error.to_string();
            let reason = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            let message = format!("bad `regex`: {reason}");
            let help = "see docs.rs/regex for the syntax; the whole tag must match, `^` and `$` \
                        are implied";
            problems.error(regex.span(), message, help);
            None
        }
    }
}

fn version_range(range: &Spanned<String>, problems: &mut Problems) -> Option<VersionReq> {
    match VersionReq::parse(range.get_ref()) {
        Ok(range) => Some(range),
        Err(error) => {
            let message = format!("bad `semver` range: {error}");
            problems.error(
                range.span(),
                message,
                "write a range such as \">=1.31, <1.34\"",
            );
            None
        }
    }
}

fn platforms(list: Option<&Strings>, problems: &mut Problems) -> Option<Arc<[Platform]>> {
    let mut platforms = Vec::new();
    for text in list?.get_ref() {
        match text.get_ref().parse() {
            Ok(platform) => platforms.push(platform),
            Err(message) => {
                let help =
                    "write os/architecture or os/architecture/variant, as in \"linux/amd64\"";
                problems.error(text.span(), message, help);
            }
        }
    }
    Some(platforms.into())
}

fn attestations(written: Option<&Spanned<String>>, problems: &mut Problems) -> Attestations {
    let Some(written) = written else {
        return Attestations::default();
    };
    match written.get_ref().as_str() {
        "keep" => Attestations::Keep,
        "drop" => Attestations::Drop,
        "if-accepted" => Attestations::IfAccepted,
        other => {
            let message = format!("unknown `attestations = \"{other}\"`");
            let help = "write \"keep\", \"drop\" or \"if-accepted\"";
            problems.error(written.span(), message, help);
            Attestations::default()
        }
    }
}

fn referrers(wanted: Option<&Spanned<Wanted>>, problems: &mut Problems) -> Option<Referrers> {
    match wanted?.get_ref() {
        Wanted::None => None,
        Wanted::All => Some(Referrers::default()),
        Wanted::Some(types) => Some(Referrers {
            types: glob_set(types, "referrers", problems),
        }),
    }
}
