//! dregsy's file: tasks with mappings
//! ([its manual](https://github.com/xelalexv/dregsy)).

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::Regex;
use serde_json::Value;

use super::{
    dregsy_tags, image,
    model::{
        Entry, Fields, Import, Item, Keys, Login, Registry, Remark, Secret, Source, Target, Teller,
    },
    pattern, when,
    yaml::{BadYaml, Node},
};

/// What a relay needs, and nobody else.
const NEEDLESS: [(&str, &str); 7] = [
    ("relay", "images are copied from registry to registry"),
    ("docker", "images are copied from registry to registry"),
    ("dockerhost", "images are copied from registry to registry"),
    ("api-version", "images are copied from registry to registry"),
    (
        "skopeo",
        "for a CA in `certs-dir` set `ca_file`, for a client's certificate `client_cert`",
    ),
    ("lister", "repositories are looked up when a run starts"),
    (
        "watch",
        "the daemon takes up edits of mirror.toml by itself",
    ),
];

const EXPRESSION: &str = "regex:";

/// Reads the file.
pub(super) fn read(document: &Node, teller: &Teller) -> Result<Import, BadYaml> {
    let mut top = Fields::new(document, "the file")?;
    let mut import = Import::default();
    let mut tasks = Vec::new();
    for node in top.list("tasks")? {
        tasks.push(Task::read(node, teller, &mut import)?);
    }
    import.remarks.extend(top.notes(teller, &NEEDLESS));
    import.remarks.extend(top.unknown(teller));
    let is_scheduled = tasks.iter().any(|task| task.keys.schedule.is_some());
    for mut task in tasks {
        // Without an interval a task runs once, when dregsy starts.
        task.keys.is_paused = is_scheduled && task.keys.schedule.is_none();
        task.add_to(&mut import, teller);
    }
    let text = "dregsy copies the platform of its machine alone unless a mapping has `platform`; \
                here all are copied, or those that `platforms` names";
    import.remarks.push(teller.note(0, text));
    if !is_scheduled {
        let text = "these tasks run once, when dregsy starts: set a schedule in [defaults], or run \
                    `transship sync`";
        import.remarks.push(teller.note(0, text));
    }
    Ok(import)
}

struct Task {
    name: String,
    source: String,
    target: String,
    keys: Keys,
    mappings: Vec<Mapping>,
    remarks: Vec<Remark>,
}

struct Mapping {
    line: usize,
    from: String,
    to: String,
    platform: Option<String>,
    tags: Vec<String>,
    digests: Vec<String>,
    remarks: Vec<Remark>,
}

impl Task {
    fn read(node: &Node, teller: &Teller, import: &mut Import) -> Result<Self, BadYaml> {
        let mut fields = Fields::new(node, "a task")?;
        let name = fields.needed("name")?.to_owned();
        let mut remarks = Vec::new();
        let interval = fields.number("interval")?.filter(|seconds| *seconds >= 1.0);
        let when = interval.map(|seconds| when::every(Duration::from_secs(seconds as u64)));
        if let Some(differs) = when.as_ref().and_then(|when| when.differs.as_ref()) {
            remarks.push(teller.loss(node.line, differs));
        }
        let mut place = |key: &'static str| {
            let missing = || {
                let message = format!("the task `{name}` has no `{key}`");
                BadYaml::new(node.line, message, "name its registry there")
            };
            let place = fields.get(key).ok_or_else(missing)?;
            location(place, key, teller, import)
        };
        let (source, target) = (place("source")?, place("target")?);
        let nodes = fields.list("mappings")?.iter();
        let mappings = nodes.map(|node| Mapping::read(node, teller));
        let task = Self {
            source,
            target,
            keys: Keys {
                schedule: when.map(|when| when.schedule),
                ..Keys::default()
            },
            mappings: mappings.collect::<Result<_, _>>()?,
            remarks,
            name,
        };
        let mut remarks = task.remarks;
        fields.get("verbose");
        let why = "copy its mappings into the file first";
        remarks.extend(fields.losses(teller, &[("mappings_file", why)]));
        remarks.extend(fields.unknown(teller));
        Ok(Self { remarks, ..task })
    }

    fn add_to(self, import: &mut Import, teller: &Teller) {
        let mut remarks = self.remarks.clone();
        for mapping in &self.mappings {
            match self.entries(mapping, teller) {
                Ok(mut entries) => {
                    if let Some(first) = entries.first_mut() {
                        first.remarks.splice(0..0, remarks.drain(..));
                    }
                    let entries = entries.into_iter().map(Box::new);
                    import.items.extend(entries.map(Item::Entry));
                }
                Err(reason) => {
                    let text = format!("{}/{}: {reason}", self.source, mapping.from);
                    import
                        .items
                        .push(Item::Lost(teller.loss(mapping.line, text)));
                }
            }
        }
        import.items.extend(remarks.into_iter().map(Item::Lost));
    }

    fn entries(&self, mapping: &Mapping, teller: &Teller) -> Result<Vec<Entry>, String> {
        let made = dregsy_tags::read(&mapping.tags)?;
        let sources = self.sources(mapping)?;
        let mut keys = self.keys.clone();
        keys.platforms.extend(mapping.platform.iter().cloned());
        let mut remarks = mapping.remarks.clone();
        remarks.extend(made.lost.map(|lost| teller.loss(mapping.line, lost)));
        if !mapping.digests.is_empty() {
            if mapping.tags.is_empty() {
                return Err(image::of_digest());
            }
            let text = format!("`digests`: {}", image::of_digest());
            remarks.push(teller.loss(mapping.line, text));
        }
        let mut entries = Vec::new();
        for (source, target) in sources {
            entries.extend(made.sets.iter().map(|tags| Entry {
                place: teller.place(mapping.line),
                group: self.name.clone(),
                name: Some(self.name.clone()),
                source: source.clone(),
                targets: vec![target.clone()],
                tags: tags.clone(),
                keys: keys.clone(),
                remarks: std::mem::take(&mut remarks),
                refused: made.refused.clone(),
            }));
        }
        Ok(entries)
    }

    /// What is copied, and where each of it goes.
    fn sources(&self, mapping: &Mapping) -> Result<Vec<(Source, Target)>, String> {
        let below = |path: &str| Target {
            registry: self.target.clone(),
            path: path.trim_matches('/').into(),
        };
        if let Some(expression) = mapping.from.strip_prefix(EXPRESSION) {
            if mapping.to.starts_with(EXPRESSION) {
                return Err("`path` cannot say the replacement in `to`".into());
            }
            let whole = dregsy_tags::line(expression)?;
            let patterns = pattern::repositories(&whole)
                .ok_or_else(|| format!("no pattern of `from` says `{expression}`"))?;
            let of = |pattern: &String| {
                let name = format!("{}/{pattern}", self.source);
                if pattern.contains('*') {
                    return Ok((Source::Pattern(name), below(&mapping.to)));
                }
                let source = image::parse(&name)?.repository;
                let target = below(&mapping.to).below(pattern);
                Ok((Source::Repository(source), target))
            };
            return patterns.iter().map(of).collect();
        }
        let path = mapping.from.trim_start_matches('/');
        let source = image::parse(&format!("{}/{path}", self.source))?;
        if source.tag.is_some() {
            return Err("it is a name with a tag; write the tag into `tags`".into());
        }
        let target = match mapping.to.strip_prefix(EXPRESSION) {
            Some(replacement) => below(&replace(&format!("/{path}"), replacement)?),
            None if mapping.to.is_empty() => below(path),
            None => below(&mapping.to),
        };
        Ok(vec![(Source::Repository(source.repository), target)])
    }
}

/// What `EXPRESSION,REPLACEMENT` makes of a path.
fn replace(path: &str, rule: &str) -> Result<String, String> {
    let (search, with) = rule
        .split_once(',')
        .ok_or("`to` has an expression and no replacement")?;
    let search = Regex::new(search).map_err(|_| format!("`{search}` is no expression"))?;
    Ok(search.replace_all(path, with).into_owned())
}

impl Mapping {
    fn read(node: &Node, teller: &Teller) -> Result<Self, BadYaml> {
        let mut fields = Fields::new(node, "a mapping")?;
        let texts = |texts: Vec<&str>| texts.into_iter().map(String::from).collect();
        let (platform, remark) = fields.platform(teller)?.unzip();
        let mut mapping = Self {
            line: node.line,
            from: fields.needed("from")?.into(),
            to: fields.text("to")?.unwrap_or_default().into(),
            platform: platform.map(String::from),
            tags: texts(fields.texts("tags")?),
            digests: texts(fields.texts("digests")?),
            remarks: remark.into_iter().collect(),
        };
        // Digests are always preserved, unless `platforms` takes something out of an index.
        fields.get("preserve-digests");
        mapping.remarks.extend(fields.unknown(teller));
        Ok(mapping)
    }
}

/// Reads `source` or `target`: the registry's name, and into the import how it is logged in to.
fn location(
    node: &Node,
    key: &str,
    teller: &Teller,
    import: &mut Import,
) -> Result<String, BadYaml> {
    let mut fields = Fields::new(node, format!("`{key}`"))?;
    let written = fields.needed("registry")?;
    // An account may stand before the name of the public ECR.
    let name = image::host(written.rsplit('@').next().unwrap_or(written));
    let mut read = Registry::new(name.clone(), teller.place(node.line));
    login(&mut fields, teller, &mut read)?;
    if let (Some(true), Some(switch)) = (
        fields.switch("skip-tls-verify")?,
        fields.get("skip-tls-verify"),
    ) {
        read.skip_verification("skip-tls-verify", teller, switch.line);
    }
    let why = "repositories are looked up when a run starts";
    read.remarks
        .extend(fields.notes(teller, &[("lister", why)]));
    read.remarks.extend(fields.unknown(teller));
    let known = import.registry(&name, teller.place(node.line));
    known.plain_http |= read.plain_http;
    if matches!(known.login, Login::None) {
        known.login = read.login;
    } else if !matches!(read.login, Login::None) && !known.login.is_same(&read.login) {
        let text = format!("another login for {name}: a registry has one login");
        known.remarks.push(teller.loss(node.line, text));
    }
    for remark in read.remarks {
        let is_new = known.remarks.iter().all(|known| known.text != remark.text);
        known.remarks.extend(is_new.then_some(remark));
    }
    Ok(name)
}

fn login(fields: &mut Fields<'_>, teller: &Teller, registry: &mut Registry) -> Result<(), BadYaml> {
    let line = fields.line();
    fields.get("auth-refresh");
    let host = registry.name.as_str();
    let is_ecr = host.contains(".dkr.ecr.") || host == "public.ecr.aws";
    match fields.text("auth")? {
        Some("none") => {}
        Some(auth) => match decode(auth) {
            Some(login) => registry.login = login,
            None => registry.remarks.push(teller.loss(
                line,
                "`auth` is not {\"username\": …, \"password\": …} in base64",
            )),
        },
        None if is_ecr => {
            registry.login = Login::Helper("ecr-login".into());
            let text = "dregsy asks AWS for the login itself; here docker-credential-ecr-login \
                        does, which has to be installed";
            registry.remarks.push(teller.note(line, text));
        }
        None if host.ends_with("gcr.io") || host.ends_with("-docker.pkg.dev") => {
            let text = "dregsy asks Google for a login; if it needs one here, set `login = { \
                        helper = \"gcr\" }`";
            registry.remarks.push(teller.note(line, text));
        }
        None => {}
    }
    Ok(())
}

fn decode(auth: &str) -> Option<Login> {
    let auth: String = auth.split_whitespace().collect();
    let json: Value = serde_json::from_slice(&STANDARD.decode(auth).ok()?).ok()?;
    let field = |key: &str| json.get(key)?.as_str().map(String::from);
    Some(Login::Password {
        username: field("username")?,
        secret: Secret::Given(field("password")?.into()),
    })
}
