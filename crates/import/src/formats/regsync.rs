//! regsync's file: `creds`, `defaults` and `sync`
//! ([manual](https://regclient.org/usage/regsync/)).

mod creds;

use serde_saphyr::Spanned;

use self::creds::Cred;
use super::{Mirrored, Reader, discovered};
use crate::{
    diagnostics::{Error, Remark},
    model::{self, Import, Setting},
    reference::{self, Repository},
    schedule,
    tags::{
        Filter, TagSets, pattern,
        range::{self, Dialect},
    },
    template::{self, Syntax, Unfilled},
    yaml::{self, Text, given, line, record, texts},
};

/// Keys without which the same is mirrored.
const NEEDLESS: [&str; 10] = [
    "version",
    "parallel",
    "cacheCount",
    "cacheTime",
    "userAgent",
    "blobLimit",
    "fastCheck",
    "fastCopy",
    "forceRecursive",
    "referrerSlow",
];

/// The types without which images are left out. More of them change nothing.
const USUAL_MEDIA_TYPES: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

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
    import.skips_docker_config = defaults.skips_docker_config;
    for cred in &file.creds {
        // Of two entries for one registry the later counts.
        if let Some(registry) = cred.value.registry(line(cred), reader)? {
            let registries = &mut import.registries;
            registries.retain(|other| other.name != registry.name);
            registries.push(registry);
        }
    }
    import.remarks = remarks(defaults, reader);
    import.remarks.extend(reader.unread(&file.other, &NEEDLESS));
    for step in &file.sync {
        let (line, step) = (line(step), &step.value);
        let needed = |key: &str, text| {
            let what = format!("an entry of `sync` has no `{key}`");
            reader.needed(given(text), line, &what)
        };
        let sync = Sync {
            line,
            kind: needed("type", &step.kind)?,
            source: needed("source", &step.source)?,
            target: needed("target", &step.target)?,
            step,
            defaults,
            reader,
        };
        let what = format!("{} to {}", sync.source, sync.target);
        reader.add(&mut import, line, &what, sync.mirrored());
    }
    Ok(import)
}

/// What is lost of a step, or of the defaults.
fn remarks(step: &Step, reader: &Reader<'_>) -> Vec<Remark> {
    let mut remarks = reader.unread(&step.other, &NEEDLESS);
    let mut lose = |line, text: &str| remarks.push(reader.loss(line, text));
    let backup = step.backup.as_ref();
    if let Some(text) = backup.filter(|text| backup_tag(text).is_none()) {
        let reason = "`backup`: `backup_tag` is a name in the same repository with one \
                      {{.Ref.Tag}}, and nothing else that is computed";
        lose(line(text), reason);
    }
    for filter in step.referrer_filters.iter().flatten() {
        if artifact_type(filter).is_none() {
            let text = "`referrerFilters`: types of artifacts select referrers, and nothing else: \
                        what this filter takes is not mirrored";
            lose(line(filter), text);
        }
    }
    if let Some(list) = &step.media_types {
        let has = |usual: &&str| list.value.iter().any(|given| given == usual);
        if !USUAL_MEDIA_TYPES.iter().all(has) {
            lose(line(list), "`mediaTypes`: images of every type are copied");
        }
    }
    remarks
}

fn backup_tag(text: &Text) -> Option<String> {
    template::tag(&text.value, ".Ref.Tag")
}

fn artifact_type(filter: &Spanned<ReferrerFilter>) -> Option<&str> {
    let is_plain = filter.value.other.is_empty();
    given(&filter.value.artifact_type).filter(|_| is_plain)
}

/// A step, and the defaults for what it does not set.
struct Sync<'a> {
    line: usize,
    kind: &'a str,
    source: &'a str,
    target: &'a str,
    step: &'a Step,
    defaults: &'a Step,
    reader: &'a Reader<'a>,
}

impl<'a> Sync<'a> {
    /// A value of the step, or of the defaults.
    fn pick<T>(&self, of: impl Fn(&'a Step) -> Option<T>) -> Option<T> {
        of(self.step).or_else(|| of(self.defaults))
    }

    fn mirrored(&self) -> Result<Mirrored, Unfilled> {
        let (step, line) = (self.step, self.line);
        let source = self.reader.fill(self.source, Syntax::Go, line)?;
        let fields = [(".Sync.Source", source.as_str()), (".Sync.Type", self.kind)];
        let variables = self.reader.variables;
        let target = variables.fill(self.target, Syntax::Go, line, &fields)?;
        let mut mirrored = Mirrored {
            remarks: remarks(step, self.reader),
            ..Mirrored::default()
        };
        let mut tag = given(&step.target_tag).map(|text| {
            let wrong = "`targetTag`: `tag` is a name with one {{.Source.Tag}}, and nothing else \
                         that is computed";
            template::tag(text, ".Source.Tag").ok_or(wrong.to_owned())
        });
        if self.kind == "registry" {
            self.read_registry(&source, &target, &mut mirrored)?;
            mirrored.tags = self.tag_sets();
        } else {
            let (from, old) = reference::parse(&source)?;
            let (to, new) = reference::parse(&target)?;
            mirrored.routes.push((from, vec![to]));
            mirrored.tags = match self.kind {
                "repository" => self.tag_sets(),
                "image" => {
                    let [old, new] = [old, new].map(|tag| tag.unwrap_or("latest".into()));
                    tag = reference::rename(&old, &new).map(Ok);
                    TagSets::new(vec![old], Vec::new())
                }
                other => return Err(format!("unknown type `{other}`").into()),
            };
        }
        let (platform, note) = self.reader.platform(&step.platform).unzip();
        mirrored.remarks.extend(note);
        let platforms = step.platforms.iter().cloned().chain(platform);
        let backup = self.pick(|step| step.backup.as_ref().and_then(backup_tag));
        mirrored.keys = model::keys([
            ("tag", tag.transpose()?.map(Setting::Text)),
            ("platforms", Setting::list(platforms.collect())),
            ("referrers", self.referrers()),
            ("backup_tag", backup.map(Setting::Text)),
        ]);
        let schedule = self.pick(|step| given(&step.schedule));
        let when = match (schedule, self.pick(|step| given(&step.interval))) {
            (Some(text), _) => Some(schedule::cron(text)?),
            (None, Some(text)) => Some((schedule::every(schedule::duration(text)?), None)),
            (None, None) => None,
        };
        if let Some((when, zone)) = when {
            mirrored.keys.push(when);
            let loss = zone.map(|zone| format!("the schedule uses the time of {zone}"));
            mirrored
                .remarks
                .extend(loss.map(|text| self.reader.loss(line, text)));
        }
        Ok(mirrored)
    }

    /// Signatures by tags of digests, artifacts by the API, or both.
    fn referrers(&self) -> Option<Setting> {
        let is_wanted = self.pick(|step| step.referrers).unwrap_or_default();
        let filters = self.pick(|step| step.referrer_filters.as_ref());
        let filters = match (is_wanted, filters) {
            (true, None) => return Some(Setting::True),
            (true, Some(filters)) => filters.as_slice(),
            (false, _) => &[],
        };
        let types = filters.iter().filter_map(artifact_type);
        let mut types: Vec<String> = types.map(String::from).collect();
        if self.pick(|step| step.digest_tags) == Some(true) {
            types.extend([".sig", ".att", ".sbom"].map(String::from));
        }
        Setting::list(types)
    }

    fn tag_sets(&self) -> TagSets {
        let filters = self.step.tag_sets.iter().chain(&self.step.tags);
        TagSets::new(Vec::new(), filters.filter_map(TagFilter::filter).collect())
    }

    fn read_registry(
        &self,
        source: &str,
        target: &str,
        mirrored: &mut Mirrored,
    ) -> Result<(), String> {
        let (registry, path) = target.split_once('/').unwrap_or((target, ""));
        let below = Repository::new(registry, path);
        let bound = |list: &[Option<Text>]| texts(list).map(bound).collect::<Result<Vec<_>, _>>();
        let (mut allow, deny) = (
            bound(&self.step.repos.allow)?,
            bound(&self.step.repos.deny)?,
        );
        if self.step.repos.allow.is_empty() {
            allow.push(".*".into());
        }
        let mut excluded = Vec::new();
        for denied in &deny {
            let globs = pattern::repositories(denied);
            excluded.extend(globs.ok_or_else(|| format!("`repos.deny`: no glob says `{denied}`"))?);
        }
        for allowed in &allow {
            let routes = discovered(&reference::host(source), allowed, &below)?;
            mirrored.routes.extend(routes);
        }
        let is_denied = |path: &str| deny.iter().any(|denied| pattern::matches(denied, path));
        mirrored
            .routes
            .retain(|(source, _)| source.is_pattern() || !is_denied(&source.path));
        mirrored.exclude_repositories = Setting::texts(excluded);
        Ok(())
    }
}

impl TagFilter {
    /// The filter, or what is wrong with it. None if no key is set.
    fn filter(&self) -> Option<Result<Filter, String>> {
        let is_set = [&self.allow, &self.deny, &self.ranges]
            .iter()
            .any(|list| !list.is_empty());
        is_set.then(|| {
            let ranges = texts(&self.ranges).filter(|range| !range.is_empty());
            let ranges = ranges.map(|range| range::parse(range, Dialect::Regsync));
            // A null is the empty text to regsync, which is no tag.
            let allow = texts(&self.allow).filter(|text| !text.is_empty());
            let allow: Vec<String> = allow.map(bound).collect::<Result<_, _>>()?;
            if allow.is_empty() && !self.allow.is_empty() {
                return Err("`allow` selects no tag".into());
            }
            Ok(Filter {
                allow,
                deny: texts(&self.deny).map(bound).collect::<Result<_, _>>()?,
                ranges: ranges.collect::<Result<Vec<_>, _>>()?.concat(),
                ..Filter::default()
            })
        })
    }
}

/// regsync puts `^` before a pattern and `$` after it, without a group around it.
fn bound(pattern: &str) -> Result<String, String> {
    pattern::whole(&format!("^{pattern}$"))
}
