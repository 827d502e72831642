//! regsync's file: `creds`, `defaults` and `sync`
//! ([its manual](https://regclient.org/usage/regsync/)).

use super::{
    image,
    model::{
        Entry, Fields, Import, Item, Keys, Referrers, Registry, Remark, Source, Tags, Target,
        Teller,
    },
    pattern,
    range::{self, Dialect},
    regsync_creds,
    tags::{Filter, Sets},
    template,
    when::{self, When},
    yaml::{BadYaml, Node},
};
use crate::oci::RegistryName;

/// What is done anyway, so that nothing is missing without the key.
const NEEDLESS: [(&str, &str); 10] = [
    (
        "parallel",
        "how much is copied at a time is up to `connections` of a registry",
    ),
    ("cacheCount", "what is known of registries is in the store"),
    ("cacheTime", "what is known of registries is in the store"),
    ("userAgent", "requests go out as transship"),
    ("blobLimit", "there is no such limit"),
    ("fastCheck", "unchanged images are not looked into"),
    ("fastCopy", "unchanged images are not looked into"),
    (
        "forceRecursive",
        "`verify_blobs_every` looks whether all of an image is there",
    ),
    (
        "referrerSlow",
        "referrers are looked for by the API and by tags",
    ),
    (
        "skipDockerConfig",
        "no login is read from docker's config unless `login` says so",
    ),
];

/// What is not done.
const LOST: [(&str, &str); 6] = [
    (
        "ratelimit",
        "no number of pulls is kept back; few pulls go to what lags most",
    ),
    ("mediaTypes", "images of every type are copied"),
    (
        "includeExternal",
        "layers that lie elsewhere are not copied",
    ),
    ("hooks", "no command is run; [notify] tells of runs"),
    ("referrerSource", "referrers come from where the image does"),
    ("referrerTarget", "referrers go to where the image does"),
];

/// Reads the file.
pub(super) fn read(document: &Node, teller: &Teller) -> Result<Import, BadYaml> {
    let mut top = Fields::new(document, "the file")?;
    let mut import = Import::default();
    top.get("version");
    for node in top.list("creds")? {
        let registry = regsync_creds::read(node, teller)?;
        merge(&mut import, registry);
    }
    let empty = Defaults::default();
    let defaults = match top.get("defaults") {
        Some(node) => Defaults::read(node, teller, &mut import.remarks)?,
        None => empty,
    };
    let mut steps = Vec::new();
    for node in top.list("sync")? {
        steps.push(Step::read(node, &defaults, teller)?);
    }
    import.remarks.extend(top.unknown(teller));
    let whens = || steps.iter().filter_map(|step| step.options.when.as_ref());
    let is_scheduled = whens().next().is_some();
    if whens().any(|when| when.has_hours && when.zone.is_none()) {
        let text = "schedules go by the clock of `timezone`, which is UTC unless set; regsync's go \
                    by that of its machine";
        import.remarks.push(teller.note(0, text));
    }
    if !is_scheduled {
        let text = "no entry has a schedule: set one in [defaults], or run `transship sync` by the \
                    timer that ran `regsync once`";
        import.remarks.push(teller.note(0, text));
    }
    for step in steps {
        step.add_to(&mut import, is_scheduled, teller);
    }
    if !defaults.skips_docker_config {
        let text = "regsync also uses what `docker login` has left; for a registry that needs it \
                    set `login = \"docker-config\"`";
        import.remarks.push(teller.note(0, text));
    }
    Ok(import)
}

/// Of two entries for one registry the later counts.
fn merge(import: &mut Import, registry: Registry) {
    import
        .registries
        .retain(|other| other.name != registry.name);
    import.registries.push(registry);
}

/// What a step and the defaults may both say.
#[derive(Clone, Debug, Default)]
struct Options {
    when: Option<When>,
    backup_tag: Option<String>,
    digest_tags: Option<bool>,
    referrers: Option<bool>,
    types: Option<Vec<String>>,
}

#[derive(Debug, Default)]
struct Defaults {
    options: Options,
    skips_docker_config: bool,
}

impl Defaults {
    fn read(node: &Node, teller: &Teller, remarks: &mut Vec<Remark>) -> Result<Self, BadYaml> {
        let mut fields = Fields::new(node, "`defaults`")?;
        let options = Options::read(&mut fields, teller, remarks)?;
        let skips_docker_config = fields.switch("skipDockerConfig")?.unwrap_or_default();
        remarks.extend(fields.notes(teller, &NEEDLESS));
        remarks.extend(fields.losses(teller, &LOST));
        remarks.extend(fields.unknown(teller));
        Ok(Self {
            options,
            skips_docker_config,
        })
    }
}

impl Options {
    fn read(
        fields: &mut Fields<'_>,
        teller: &Teller,
        remarks: &mut Vec<Remark>,
    ) -> Result<Self, BadYaml> {
        let schedule = fields.get("schedule");
        let interval = fields.get("interval");
        let when = match (schedule.and_then(Node::text), interval.and_then(Node::text)) {
            (Some(text), _) if !text.is_empty() => Some(when::cron(text)),
            (_, Some(text)) => Some(when::duration(text).map(when::every)),
            _ => None,
        };
        let line = schedule
            .or(interval)
            .map_or(fields.line(), |node| node.line);
        let when = when.map(|when| {
            when.unwrap_or_else(|reason| {
                let text = format!("the schedule: {reason}; it is every hour until you set it");
                remarks.push(teller.loss(line, text));
                when::every(std::time::Duration::from_secs(3600))
            })
        });
        if let Some(differs) = when.as_ref().and_then(|when| when.differs.clone()) {
            remarks.push(teller.loss(line, differs));
        }
        Ok(Self {
            when,
            backup_tag: backup_tag(fields, teller, remarks)?,
            digest_tags: fields.switch("digestTags")?,
            referrers: fields.switch("referrers")?,
            types: artifact_types(fields, teller, remarks)?,
        })
    }

    fn or(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        Self {
            when: self.when.or(defaults.when),
            backup_tag: self.backup_tag.or(defaults.backup_tag),
            digest_tags: self.digest_tags.or(defaults.digest_tags),
            referrers: self.referrers.or(defaults.referrers),
            types: self.types.or(defaults.types),
        }
    }

    /// Signatures by tags of digests, artifacts by the API, or both.
    fn referrers(&self) -> Option<Referrers> {
        let by_tag = [".sig", ".att", ".sbom"].map(String::from);
        match (self.referrers, self.digest_tags, &self.types) {
            (Some(true), _, None) => Some(Referrers::All),
            (Some(true), Some(true), Some(types)) => {
                Some(Referrers::Types([types, &by_tag[..]].concat()))
            }
            (Some(true), _, Some(types)) if types.is_empty() => None,
            (Some(true), _, Some(types)) => Some(Referrers::Types(types.clone())),
            (_, Some(true), _) => Some(Referrers::Types(by_tag.into())),
            _ => None,
        }
    }
}

fn backup_tag(
    fields: &mut Fields<'_>,
    teller: &Teller,
    remarks: &mut Vec<Remark>,
) -> Result<Option<String>, BadYaml> {
    let line = fields.get("backup").map(|node| node.line);
    let (Some(text), Some(line)) = (fields.text("backup")?, line) else {
        return Ok(None);
    };
    let tag = template::tag(text, ".Ref.Tag");
    if tag.is_none() {
        let text = "`backup`: `backup_tag` takes a name in the same repository that holds \
                    {{.Ref.Tag}} once, and nothing else that is computed";
        remarks.push(teller.loss(line, text));
    }
    Ok(tag)
}

/// The globs of `referrerFilters`, if there are any.
fn artifact_types(
    fields: &mut Fields<'_>,
    teller: &Teller,
    remarks: &mut Vec<Remark>,
) -> Result<Option<Vec<String>>, BadYaml> {
    let filters = fields.list("referrerFilters")?;
    let mut types = Vec::new();
    for node in filters {
        let mut filter = Fields::new(node, "a filter of `referrerFilters`")?;
        let artifact_type = filter.text("artifactType")?;
        match (artifact_type, filter.get("annotations")) {
            (Some(artifact_type), None) => types.push(artifact_type.to_owned()),
            _ => {
                let text = "`referrerFilters`: only types of artifacts can be chosen; what this \
                            filter takes is not mirrored";
                remarks.push(teller.loss(node.line, text));
            }
        }
    }
    Ok((!filters.is_empty()).then_some(types))
}

/// One entry of `sync`.
struct Step {
    line: usize,
    source: String,
    target: String,
    kind: String,
    options: Options,
    keys: Keys,
    filters: Vec<Result<Filter, String>>,
    repositories: Result<Vec<String>, String>,
    target_tag: Option<String>,
    remarks: Vec<Remark>,
}

impl Step {
    fn read(node: &Node, defaults: &Defaults, teller: &Teller) -> Result<Self, BadYaml> {
        let mut fields = Fields::new(node, "an entry of `sync`")?;
        let mut remarks = Vec::new();
        let own = Options::read(&mut fields, teller, &mut remarks)?;
        let options = own.or(&defaults.options);
        let kind = fields.needed("type")?.to_owned();
        let source = fields.needed("source")?.to_owned();
        let target = template::fill(fields.needed("target")?, &source, &kind);
        let mut platforms = fields.texts("platforms")?;
        if let Some((platform, remark)) = fields.platform(teller)? {
            platforms.push(platform);
            remarks.push(remark);
        }
        let mut filters = Vec::new();
        for set in fields.list("tagSets")?.iter().chain(fields.get("tags")) {
            filters.extend(filter(set)?);
        }
        let step = Self {
            line: node.line,
            keys: Keys {
                schedule: options.when.as_ref().map(|when| when.schedule.clone()),
                platforms: platforms.into_iter().map(String::from).collect(),
                referrers: options.referrers(),
                backup_tag: options.backup_tag.clone(),
                ..Keys::default()
            },
            options,
            source,
            target,
            kind,
            filters,
            repositories: repositories(fields.get("repos"))?,
            target_tag: fields.text("targetTag")?.map(String::from),
            remarks,
        };
        let mut remarks = step.remarks;
        remarks.extend(fields.notes(teller, &NEEDLESS));
        remarks.extend(fields.losses(teller, &LOST));
        remarks.extend(fields.unknown(teller));
        Ok(Self { remarks, ..step })
    }

    fn add_to(mut self, import: &mut Import, is_scheduled: bool, teller: &Teller) {
        // Without one, only `regsync once` runs a step.
        self.keys.is_paused = is_scheduled && self.options.when.is_none();
        if let Some(zone) = self
            .options
            .when
            .as_ref()
            .and_then(|when| when.zone.as_ref())
        {
            let text = format!("the schedule goes by the clock of {zone}: set `timezone` so");
            self.remarks.push(teller.loss(self.line, text));
        }
        match self.entries(teller) {
            Ok(entries) => {
                let entries = entries
                    .into_iter()
                    .map(|entry| Item::Entry(Box::new(entry)));
                import.items.extend(entries);
            }
            Err(reason) => {
                let text = format!("{} to {}: {reason}", self.source, self.target);
                import.items.extend(self.remarks.drain(..).map(Item::Lost));
                import.items.push(Item::Lost(teller.loss(self.line, text)));
            }
        }
    }

    /// One entry for each set of tags and each pattern; the first has the remarks.
    fn entries(&self, teller: &Teller) -> Result<Vec<Entry>, String> {
        let (sources, made) = match self.kind.as_str() {
            "image" => self.image()?,
            "repository" | "registry" => self.listed()?,
            other => return Err(format!("there is no type `{other}`")),
        };
        let mut remarks = self.remarks.clone();
        remarks.extend(made.lost.map(|lost| teller.loss(self.line, lost)));
        let mut keys = self.keys.clone();
        if let Some(text) = &self.target_tag {
            let tag = template::tag(text, ".Source.Tag");
            let wrong = "`tag` takes a name that holds {{.Source.Tag}} once, and nothing else \
                         that is computed";
            keys.tag = Some(tag.ok_or(wrong)?);
        }
        if let (Tags::Named(names), Some(new)) = (&made.sets[0], self.new_name()?) {
            keys.tag = image::rename(&names[0], &new)?;
        }
        let mut entries = Vec::new();
        for (source, target) in sources {
            for tags in &made.sets {
                entries.push(Entry {
                    place: teller.place(self.line),
                    group: source.registry(),
                    name: None,
                    source: source.clone(),
                    targets: vec![target.clone()],
                    tags: tags.clone(),
                    keys: keys.clone(),
                    remarks: std::mem::take(&mut remarks),
                    refused: made.refused.clone(),
                });
            }
        }
        Ok(entries)
    }

    /// What an image is called at the target, where one image is meant.
    fn new_name(&self) -> Result<Option<String>, String> {
        match self.kind.as_str() {
            "image" => Ok(Some(
                image::parse(&self.target)?.tag.unwrap_or("latest".into()),
            )),
            _ => Ok(None),
        }
    }

    fn image(&self) -> Result<Parts, String> {
        let source = image::parse(&self.source)?;
        let target = image::target(&image::parse(&self.target)?.repository);
        let tag = source.tag.unwrap_or_else(|| "latest".into());
        let sources = vec![(Source::Repository(source.repository), target)];
        Ok((sources, Sets::new(vec![tag], &[])))
    }

    /// All of a repository, or of a registry.
    fn listed(&self) -> Result<Parts, String> {
        let sources = match self.kind.as_str() {
            "repository" => {
                let source = image::parse(&self.source)?.repository;
                let target = image::target(&image::parse(&self.target)?.repository);
                vec![(Source::Repository(source), target)]
            }
            _ => self.of_registry()?,
        };
        Ok((sources, Sets::new(Vec::new(), &self.filters)))
    }

    fn of_registry(&self) -> Result<Vec<(Source, Target)>, String> {
        let host = image::host(&self.source);
        host.parse::<RegistryName>()
            .map_err(|error| error.to_string())?;
        let (registry, path) = self.target.split_once('/').unwrap_or((&self.target, ""));
        let prefix = Target {
            registry: image::host(registry),
            path: path.trim_end_matches('/').into(),
        };
        let of = |pattern: &String| {
            let name = format!("{host}/{pattern}");
            if pattern.contains('*') {
                return Ok((Source::Pattern(name), prefix.clone()));
            }
            let source = image::parse(&name)?.repository;
            let target = prefix.below(source.path());
            Ok((Source::Repository(source), target))
        };
        self.repositories.clone()?.iter().map(of).collect()
    }
}

/// Sources with their targets, and the tags of each.
type Parts = (Vec<(Source, Target)>, Sets);

/// `tags`, or one of `tagSets`; none that says nothing.
fn filter(node: &Node) -> Result<Option<Result<Filter, String>>, BadYaml> {
    let mut fields = Fields::new(node, "`tags`")?;
    let allow = fields.texts("allow")?;
    let deny = fields.texts("deny")?;
    let ranges = fields.texts("semverRange")?;
    let is_empty = allow.is_empty() && deny.is_empty() && ranges.is_empty();
    let read = || -> Result<Filter, String> {
        let ranges = ranges.iter().filter(|range| !range.is_empty());
        let ranges = ranges.map(|range| range::parse(range, Dialect::Regsync));
        Ok(Filter {
            allow: allow.iter().map(|p| bound(p)).collect::<Result<_, _>>()?,
            deny: deny.iter().map(|p| bound(p)).collect::<Result<_, _>>()?,
            ranges: ranges.collect::<Result<Vec<_>, _>>()?.concat(),
            ..Filter::default()
        })
    };
    Ok((!is_empty).then(read))
}

/// regsync puts `^` before a pattern and `$` after it, and no group around it.
fn bound(pattern: &str) -> Result<String, String> {
    pattern::whole(&format!("^{pattern}$"))
}

/// The patterns of a registry's repositories.
fn repositories(node: Option<&Node>) -> Result<Result<Vec<String>, String>, BadYaml> {
    let every = || Ok(Ok(vec!["**".to_owned()]));
    let Some(node) = node else {
        return every();
    };
    let mut fields = Fields::new(node, "`repos`")?;
    if !fields.texts("deny")?.is_empty() {
        return Ok(Err(
            "`repos.deny`: no repository can be left out of a pattern".into(),
        ));
    }
    let allow = fields.texts("allow")?;
    if allow.is_empty() {
        return every();
    }
    let patterns = allow.iter().map(|text| {
        let whole = bound(text)?;
        let patterns = pattern::repositories(&whole);
        patterns.ok_or_else(|| format!("`repos.allow`: no pattern of `from` says `{text}`"))
    });
    Ok(patterns
        .collect::<Result<Vec<_>, _>>()
        .map(|all| all.concat()))
}
