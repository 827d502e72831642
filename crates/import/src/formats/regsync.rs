//! regsync's file: `creds`, `defaults` and `sync`
//! ([manual](https://regclient.org/usage/regsync/)).

mod creds;

use serde_saphyr::Spanned;

use self::creds::Cred;
use super::{DOCKER_LOGINS, Mirrored, discovered, platform};
use crate::{
    diagnostics::Error,
    model::{self, Import, Toml},
    reader::{Reader, Unread},
    reference::{self, Repository},
    schedule,
    tags::{
        Filter, Tags, pattern,
        range::{self, Dialect},
    },
    template::{self, Syntax},
    yaml::{self, Text, given, line, record, texts},
};

/// Keys without which the same is mirrored.
const NEEDLESS: &str = "version parallel cacheCount cacheTime userAgent blobLimit fastCheck \
                         fastCopy forceRecursive referrerSlow";

/// The types without which images are left out. More of them change nothing.
const USUAL_MEDIA_TYPES: [&str; 4] = ["manifest.v2", "list.v2", "manifest.v1", "index.v1"];

record! {
    struct RegsyncFile {
        creds: Vec<Spanned<Cred>> = "creds",
        defaults: Step = "defaults",
        sync: Vec<Spanned<Step>> = "sync",
    }
}

record! {
    /// An entry of `sync`. The defaults have most of its keys.
    struct Step {
        kind: Option<Text> = "type",
        source: Option<Text> = "source",
        target: Option<Text> = "target",
        target_tag: Option<Text> = "targetTag",
        tags: Option<TagFilter> = "tags",
        tag_sets: Vec<TagFilter> = "tagSets",
        repos: TagFilter = "repos",
        platform: Option<Text> = "platform",
        platforms: Vec<String> = "platforms",
        schedule: Option<Text> = "schedule",
        interval: Option<Text> = "interval",
        backup: Option<Text> = "backup",
        digest_tags: Option<bool> = "digestTags",
        referrers: Option<bool> = "referrers",
        referrer_filters: Option<Vec<Spanned<ReferrerFilter>>> = "referrerFilters",
        media_types: Option<Spanned<Vec<String>>> = "mediaTypes",
        skips_docker_config: bool = "skipDockerConfig",
    }
}

record! {
    struct TagFilter {
        allow: Vec<Option<Text>> = "allow",
        deny: Vec<Option<Text>> = "deny",
        ranges: Vec<Option<Text>> = "semverRange",
    }
}

record! {
    struct ReferrerFilter {
        artifact_type: Option<Text> = "artifactType",
    }
}

/// Reads the file.
pub(crate) fn read(text: &str, reader: &Reader<'_>) -> Result<Import, Error> {
    let file: RegsyncFile = yaml::parse(text, reader)?;
    let (mut import, defaults) = (Import::default(), &file.defaults);
    if !defaults.skips_docker_config {
        reader.note(0, DOCKER_LOGINS);
    }
    for cred in &file.creds {
        // Of two entries for one registry the later counts.
        if let Some(registry) = cred.value.registry(line(cred), reader)? {
            let registries = &mut import.registries;
            registries.retain(|other| other.name != registry.name);
            registries.push(registry);
        }
    }
    defaults.report_losses(reader);
    reader.unread(&file.other, NEEDLESS);
    for step in &file.sync {
        let (line, step) = (line(step), &step.value);
        let needed = |key: &str, text| {
            let what = format!("an entry of `sync` has no `{key}`");
            reader.needed(given(text), line, &what)
        };
        let kind = needed("type", &step.kind)?;
        let (source, target) = (
            needed("source", &step.source)?,
            needed("target", &step.target)?,
        );
        let read = step.mirrored([kind, source, target], defaults, line, reader);
        import.add(line, &format!("{source} to {target}"), read, reader);
    }
    Ok(import)
}

fn backup_tag(text: &Text) -> Option<String> {
    template::tag(&text.value, ".Ref.Tag")
}

fn artifact_type(filter: &Spanned<ReferrerFilter>) -> Option<&str> {
    let is_plain = filter.value.other.is_empty();
    given(&filter.value.artifact_type).filter(|_| is_plain)
}

impl Step {
    /// What the step mirrors, by the defaults for what it does not set.
    fn mirrored(
        &self,
        [kind, source, target]: [&str; 3],
        defaults: &Self,
        line: usize,
        reader: &Reader<'_>,
    ) -> Result<Mirrored, Unread> {
        self.report_losses(reader);
        let source = reader.fill(source, Syntax::Go, line, &[])?;
        let fields = [(".Sync.Source", source.as_str()), (".Sync.Type", kind)];
        let target = reader.fill(target, Syntax::Go, line, &fields)?;
        let mut tag = None;
        if let Some(text) = given(&self.target_tag) {
            let wrong = "`targetTag`: `tag` is a name with one {{.Source.Tag}}, and nothing else \
                         that is computed";
            tag = Some(template::tag(text, ".Source.Tag").ok_or(wrong.to_owned())?);
        }
        let mut mirrored = if kind == "registry" {
            self.read_registry(&source, &target)?
        } else {
            let (from, old) = reference::parse(&source)?;
            let (to, new) = reference::parse(&target)?;
            let tags = match kind {
                "repository" => self.tags(),
                "image" => {
                    let [old, new] = [old, new].map(|tag| tag.unwrap_or("latest".into()));
                    tag = reference::rename(&old, &new);
                    Ok(Tags::named(vec![old]))
                }
                other => return Err(format!("unknown type `{other}`").into()),
            };
            Mirrored::new(vec![(from, to)], tags)
        };
        let platform = platform(&self.platform, reader);
        let platforms: Vec<_> = self.platforms.iter().cloned().chain(platform).collect();
        let steps = [self, defaults];
        let backup = |step: &Self| step.backup.as_ref().and_then(backup_tag);
        let backup = steps.into_iter().find_map(backup);
        mirrored.keys = model::keys([
            ("tag", tag.map(Toml::text)),
            ("platforms", Toml::list(&platforms)),
            ("referrers", referrers(steps)),
            ("backup_tag", backup.map(Toml::text)),
        ]);
        mirrored.keys.extend(schedule(steps, line, reader)?);
        Ok(mirrored)
    }

    /// Reports what is lost of a step, or of the defaults.
    fn report_losses(&self, reader: &Reader<'_>) {
        reader.unread(&self.other, NEEDLESS);
        let backup = self.backup.as_ref();
        if let Some(text) = backup.filter(|text| backup_tag(text).is_none()) {
            let reason = "`backup`: `backup_tag` is a name in the same repository with one \
                          {{.Ref.Tag}}, and nothing else that is computed";
            reader.lose(line(text), reason);
        }
        for filter in self.referrer_filters.iter().flatten() {
            if artifact_type(filter).is_none() {
                let text = "`referrerFilters`: types of artifacts select referrers, and nothing else: \
                            what this filter takes is not mirrored";
                reader.lose(line(filter), text);
            }
        }
        if let Some(list) = &self.media_types {
            let has = |usual: &&str| list.value.iter().any(|given| given.contains(usual));
            if !USUAL_MEDIA_TYPES.iter().all(has) {
                let text = "`mediaTypes`: images of every type are copied";
                reader.lose(line(list), text);
            }
        }
    }

    fn tags(&self) -> Result<Tags, String> {
        let filters = self.tag_sets.iter().chain(&self.tags);
        let filters = filters.filter_map(|filter| filter.read().transpose());
        Ok(Tags::passing(filters.collect::<Result<_, _>>()?))
    }

    fn read_registry(&self, source: &str, target: &str) -> Result<Mirrored, String> {
        let (registry, path) = target.split_once('/').unwrap_or((target, ""));
        let below = Repository::new(registry, path);
        let repos = &self.repos;
        let (mut allow, deny) = (bound_all(&repos.allow)?, bound_all(&repos.deny)?);
        if repos.allow.is_empty() {
            allow.push(".*".into());
        }
        let mut excluded = Vec::new();
        for denied in &deny {
            let globs = pattern::repositories(denied);
            excluded.extend(globs.ok_or_else(|| format!("`repos.deny`: no glob says `{denied}`"))?);
        }
        let mut routes = Vec::new();
        for allowed in &allow {
            routes.extend(discovered(&reference::host(source), allowed, &below)?);
        }
        let is_denied = |path: &str| deny.iter().any(|denied| pattern::matches(denied, path));
        routes.retain(|(source, _)| source.is_pattern() || !is_denied(&source.path));
        Ok(Mirrored {
            exclude_repositories: Toml::texts(&excluded),
            ..Mirrored::new(routes, self.tags())
        })
    }
}

/// When the step runs, if it has a schedule.
fn schedule(
    steps: [&Step; 2],
    line: usize,
    reader: &Reader<'_>,
) -> Result<Option<schedule::When>, String> {
    if let Some(text) = steps.into_iter().find_map(|step| given(&step.schedule)) {
        let (when, zone) = schedule::cron(text)?;
        if let Some(zone) = zone {
            reader.lose(line, format!("the schedule uses the time of {zone}"));
        }
        return Ok(Some(when));
    }
    let mut intervals = steps.into_iter().filter_map(|step| given(&step.interval));
    let interval = intervals.next().map(schedule::duration).transpose()?;
    Ok(interval.map(schedule::every))
}

/// Signatures by tags of digests, artifacts by the API, or both.
fn referrers(steps: [&Step; 2]) -> Option<Toml> {
    let steps = || steps.into_iter();
    let mut types = Vec::new();
    if steps().find_map(|step| step.referrers) == Some(true) {
        let filters = steps().find_map(|step| step.referrer_filters.as_ref());
        let Some(filters) = filters else {
            return Some(Toml::yes());
        };
        types.extend(filters.iter().filter_map(artifact_type).map(String::from));
    }
    if steps().find_map(|step| step.digest_tags) == Some(true) {
        types.extend([".sig", ".att", ".sbom"].map(String::from));
    }
    Toml::list(&types)
}

impl TagFilter {
    /// The filter. None if no key is set.
    fn read(&self) -> Result<Option<Filter>, String> {
        let lists = [&self.allow, &self.deny, &self.ranges];
        if lists.iter().all(|list| list.is_empty()) {
            return Ok(None);
        }
        let ranges = texts(&self.ranges).filter(|range| !range.is_empty());
        let ranges = ranges.map(|range| range::parse(range, Dialect::Regsync));
        let ranges = ranges.collect::<Result<Vec<_>, _>>()?.concat();
        let deny = bound_all(&self.deny)?;
        // A null is the empty text to regsync, which is no tag.
        let allow = texts(&self.allow).filter(|text| !text.is_empty());
        let allow: Vec<String> = allow.map(bound).collect::<Result<_, _>>()?;
        if allow.is_empty() && !self.allow.is_empty() {
            return Err("`allow` selects no tag".into());
        }
        Ok(Some(Filter {
            allow,
            deny,
            ranges,
            ..Filter::default()
        }))
    }
}

fn bound_all(patterns: &[Option<Text>]) -> Result<Vec<String>, String> {
    texts(patterns).map(bound).collect()
}

/// regsync puts `^` before a pattern and `$` after it, without a group around it.
fn bound(pattern: &str) -> Result<String, String> {
    pattern::whole(&format!("^{pattern}$"))
}
