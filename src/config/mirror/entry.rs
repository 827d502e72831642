//! Validates one `[[mirror]]`: what it copies, which tags, and where to.

use std::{ops::Range, sync::Arc};

use toml::Spanned;

use crate::{
    config::{
        Attestations, Discovery, Globs, Mirror, Origin, Referrers, Rename, Route, Selection,
        mirror::{
            discovery::RepositoryGlob,
            from::{NamedSource, Sought, sources},
            path::{PATH_HELP, PathTemplate},
            placement::{Misplaced, Placement, PlacementFault, TargetPrefix},
            platforms, prune, selectors,
        },
        parse::{diagnostics::Problems, file::MirrorEntry, table_reader::SwitchOrList},
        schedule::timing,
    },
    oci::Repository,
};

const DEFAULT_PATH: &str = "{registry}/{repository}";
const TARGET_HELP: &str = "write the registry's host and a path, such as \
                           \"registry.example.com/mirror\"";

/// A mirror and, for each route, the place of the `from` that it came from.
pub(crate) struct Validated {
    pub(crate) mirror: Mirror,
    pub(crate) places: Vec<Range<usize>>,
}

/// Validates an entry that has the defaults filled in. `own` is the entry without them.
pub(crate) fn validate(
    entry: &MirrorEntry,
    own: &MirrorEntry,
    name: Arc<str>,
    problems: &mut Problems,
) -> Validated {
    let selectors = Arc::new(selectors::selectors(entry, problems));
    let placement = Arc::new(Placement {
        targets: targets(entry, problems),
        template: template(entry.path.as_ref(), problems),
    });
    let sources = sources(entry, problems);
    let excluded = Arc::new(excluded_repositories(own, entry, &sources, problems));
    let timing = timing::validate(&entry.timing, problems);
    let upkeep = prune::validate(&entry.upkeep, problems);
    let mut validated = Validated {
        mirror: Mirror {
            name,
            schedule: timing.schedule,
            jitter: timing.jitter,
            max_lag: timing.max_lag,
            is_paused: timing.is_paused,
            routes: Vec::new(),
            discoveries: Vec::new(),
            platforms: platforms::validate(entry.platforms.as_ref(), problems),
            immutable: selectors::globs(entry.immutable.as_ref(), "immutable", problems),
            rename: rename(entry.tag.as_ref(), &sources, problems),
            attestations: attestations(entry.attestations.as_ref(), problems),
            referrers: referrers(entry.referrers.as_ref(), problems),
            prune: upkeep.prune,
            backup: upkeep.backup,
            verify_blobs_every: upkeep.verify_blobs_every,
        },
        places: Vec::new(),
    };
    let mut lists_tags = false;
    for NamedSource { what, tag, place } in sources {
        lists_tags |= tag.is_none();
        let selection = tag.map_or_else(|| Selection::Matching(selectors.clone()), Selection::Tag);
        match what {
            Sought::Repository(source) => {
                validated.mirror.routes.push(Route {
                    targets: target_repositories(&placement, &source, entry, problems),
                    source,
                    origin: Origin::Named,
                    selection,
                    taken: Vec::new(),
                    pin: None,
                });
                validated.places.push(place);
            }
            Sought::Pattern(pattern) => {
                let discovery = Discovery::new(pattern, placement.clone(), selection);
                let discovery = discovery.without(excluded.clone());
                validated.mirror.discoveries.push(discovery);
            }
        }
    }
    let has_sources =
        !validated.mirror.routes.is_empty() || !validated.mirror.discoveries.is_empty();
    check_selectors(own, entry, lists_tags, has_sources, problems);
    validated
}

/// An entry must say which tags it wants, and not say it twice.
fn check_selectors(
    own: &MirrorEntry,
    entry: &MirrorEntry,
    lists_tags: bool,
    has_sources: bool,
    problems: &mut Problems,
) {
    let selects = |e: &MirrorEntry| {
        let by_name = e.tags.is_some() || e.regex.is_some() || e.semver.is_some();
        by_name || e.max_age.is_some() || e.latest.is_some()
    };
    let narrows = |e: &MirrorEntry| {
        let excludes = e.exclude.is_some() || e.exclude_regex.is_some();
        selects(e) || excludes || e.min_tags.is_some() || e.max_tags.is_some()
    };
    if lists_tags && entry.is_whole && !selects(entry) {
        let place = entry
            .from
            .as_ref()
            .map_or(entry.span.clone(), Spanned::span);
        let help = "mirror every tag with `tags = \"*\"`, or choose with tags, regex, semver, \
                    max_age or latest";
        problems.error(place, "this entry selects no tag", help);
    }
    if has_sources && !lists_tags && narrows(own) {
        let place = own.from.as_ref().map_or(own.span.clone(), Spanned::span);
        let help = "leave the tag out of `from`, or leave the selectors out";
        problems.error(
            place,
            "`from` names one tag, so the selectors select nothing",
            help,
        );
    }
}

fn excluded_repositories(
    own: &MirrorEntry,
    entry: &MirrorEntry,
    sources: &[NamedSource],
    problems: &mut Problems,
) -> Vec<RepositoryGlob> {
    let Some(list) = &entry.exclude_repositories else {
        return Vec::new();
    };
    let is_pattern = |source: &NamedSource| matches!(source.what, Sought::Pattern(_));
    if own.exclude_repositories.is_some() && !sources.is_empty() && !sources.iter().any(is_pattern)
    {
        let message = "`exclude_repositories` excludes nothing: no `from` has a `*`";
        let help =
            "leave it out, or find repositories with a `from` such as \"quay.io/prometheus/*\"";
        problems.error(list.span(), message, help);
    }
    let mut globs = Vec::new();
    for text in list.get_ref() {
        match RepositoryGlob::parse(text.get_ref()) {
            Ok(glob) => globs.push(glob),
            Err((message, help)) => {
                let message = format!("bad `exclude_repositories`: {message}");
                problems.error(text.span(), message, help);
            }
        }
    }
    globs
}

fn targets(entry: &MirrorEntry, problems: &mut Problems) -> Vec<TargetPrefix> {
    let Some(list) = &entry.target else {
        let help = "set `target` here or in [defaults], such as \"registry.example.com/mirror\"";
        if entry.is_whole {
            problems.error(entry.span.clone(), "this entry has no `target`", help);
        }
        return Vec::new();
    };
    let mut targets: Vec<TargetPrefix> = Vec::new();
    for text in list.get_ref() {
        match target_prefix(text.get_ref()) {
            Some(target) => {
                if targets.contains(&target) {
                    let message = format!("`{}` is named twice", text.get_ref());
                    problems.error(text.span(), message, "remove one of the two");
                } else {
                    targets.push(target);
                }
            }
            None => {
                let host = text.get_ref().split('/').next().unwrap_or_default();
                let message = format!("bad `target`: `{host}` is not a registry's host");
                problems.error(text.span(), message, TARGET_HELP);
            }
        }
    }
    targets
}

/// A registry and a path on it; `None` where the text begins with no registry.
pub(crate) fn target_prefix(text: &str) -> Option<TargetPrefix> {
    let (host, prefix) = text.split_once('/').unwrap_or((text, ""));
    Some(TargetPrefix {
        registry: host.parse().ok()?,
        prefix: prefix.trim_end_matches('/').to_owned(),
    })
}

/// The template of a `path`, or the usual one.
pub(crate) fn template(path: Option<&Spanned<String>>, problems: &mut Problems) -> PathTemplate {
    let text = path.map_or(DEFAULT_PATH, |path| path.get_ref());
    PathTemplate::parse(text).unwrap_or_else(|reason| {
        let span = path.map_or(0..0, Spanned::span);
        problems.error(span, format!("bad `path`: {reason}"), PATH_HELP);
        PathTemplate::parse(DEFAULT_PATH).unwrap_or_else(|_| unreachable!("it is a constant"))
    })
}

fn target_repositories(
    placement: &Placement,
    source: &Repository,
    entry: &MirrorEntry,
    problems: &mut Problems,
) -> Vec<Repository> {
    let target_places = entry.target.iter().flat_map(|list| list.get_ref());
    let mut target_places = target_places.map(Spanned::span);
    let mut repositories = Vec::new();
    for placed in placement.place(source) {
        let target_place = target_places.next();
        match placed {
            Ok(repository) => repositories.push(repository),
            Err(Misplaced {
                message,
                help,
                fault,
            }) => {
                let path_place = entry.path.as_ref().map(Spanned::span);
                let place = match fault {
                    PlacementFault::Path => path_place.or(target_place),
                    PlacementFault::Target => target_place,
                };
                problems.error(place.unwrap_or(entry.span.clone()), message, help);
            }
        }
    }
    repositories
}

fn rename(
    written: Option<&Spanned<String>>,
    sources: &[NamedSource],
    problems: &mut Problems,
) -> Option<Rename> {
    let written = written?;
    let first = sources.first()?.tag.as_ref();
    let literal = first.filter(|tag| sources.iter().all(|other| other.tag.as_ref() == Some(tag)));
    let parsed = match literal {
        Some(source) => Rename::parse_for(written.get_ref(), source),
        None => Rename::parse(written.get_ref()),
    };
    match parsed {
        Ok(rename) => Some(rename),
        Err(reason) => {
            let is_glob = written.get_ref().contains(['*', '?', '[']);
            let help = match is_glob {
                true => "did you mean `tags`?",
                false => {
                    "write a template such as \"{tag}-mirror\"; a name without {tag} needs a \
                     `from` that names one tag"
                }
            };
            problems.error(written.span(), format!("bad `tag`: {reason}"), help);
            None
        }
    }
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

/// Globs for artifact types. A word without `/` is one of cosign's tags, or a glob.
fn artifact_types(types: &[Spanned<String>], problems: &mut Problems) -> Option<Globs> {
    for text in types {
        let word = text.get_ref();
        let is_known = [".sig", ".att", ".sbom"].contains(&word.as_str());
        if !is_known && !word.contains(['/', '*', '?', '[', '{']) {
            let message = format!("`{word}` in `referrers` is no artifact type");
            let help = "write `true` for all, \".sig\", \".att\" or \".sbom\" for cosign's tags, or \
                        a type such as \"application/spdx+json\"";
            problems.error(text.span(), message, help);
        }
    }
    selectors::glob_set(types, "referrers", problems)
}

fn referrers(wanted: Option<&Spanned<SwitchOrList>>, problems: &mut Problems) -> Option<Referrers> {
    match wanted?.get_ref() {
        SwitchOrList::None => None,
        SwitchOrList::All => Some(Referrers::default()),
        SwitchOrList::Some(types) => Some(Referrers {
            types: artifact_types(types, problems),
        }),
    }
}
