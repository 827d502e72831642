//! dregsy's file: tasks with mappings ([manual](https://github.com/xelalexv/dregsy)).

mod tags;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::Regex;
use serde_saphyr::Spanned;

use super::{Mirrored, ONE_PLATFORM, Routes, discovered, platform};
use crate::{
    diagnostics::Error,
    model::{Import, Registry, Toml},
    reader::Reader,
    reference::{self, Repository},
    schedule,
    template::Syntax,
    yaml::{self, Text, given, line, texts},
};

/// Keys without which the same is mirrored.
const NEEDLESS: &str = "relay docker dockerhost api-version skopeo lister watch verbose \
                         auth-refresh preserve-digests";

const EXPRESSION: &str = "regex:";

yaml::record! {
    struct DregsyFile {
        tasks: Vec<Spanned<Task>> = "tasks",
    }
}

yaml::record! {
    struct Task {
        name: Option<Text> = "name",
        interval: Option<f64> = "interval",
        source: Location = "source",
        target: Location = "target",
        mappings: Vec<Spanned<Mapping>> = "mappings",
    }
}

yaml::record! {
    struct Location {
        registry: Option<Text> = "registry",
        auth: Option<Text> = "auth",
        skips_verification: Option<Spanned<bool>> = "skip-tls-verify",
    }
}

yaml::record! {
    struct Mapping {
        from: Option<Text> = "from",
        to: Option<Text> = "to",
        platform: Option<Text> = "platform",
        tags: Vec<Option<Text>> = "tags",
        digests: Vec<String> = "digests",
    }
}

/// Reads the file.
pub(crate) fn read(text: &str, reader: &Reader<'_>) -> Result<Import, Error> {
    let file: DregsyFile = yaml::parse(text, reader)?;
    let mut import = Import::default();
    reader.note(0, ONE_PLATFORM);
    reader.unread(&file.other, NEEDLESS);
    for task in &file.tasks {
        let (at, task) = (line(task), &task.value);
        let name = reader.needed(given(&task.name), at, "a task has no `name`")?;
        let mut host_of = |key: &str, location: &Location| {
            let what = format!("the task `{name}` has no `registry` in its `{key}`");
            let host = reader.needed(given(&location.registry), at, &what)?;
            // An account may stand before the name of the public ECR.
            let host = reference::host(host.rsplit('@').next().unwrap_or(host));
            let at = location.registry.as_ref().map_or(at, line);
            import.merge(location.registry(&host, at, reader), &host, reader);
            Ok(host)
        };
        let source = host_of("source", &task.source)?;
        let target = host_of("target", &task.target)?;
        let seconds = task.interval.filter(|seconds| *seconds >= 1.0);
        let every = seconds.map(|n| schedule::every(Duration::from_secs(n as u64)));
        reader.unread(&task.other, NEEDLESS);
        for mapping in &task.mappings {
            let (at, mapping) = (line(mapping), &mapping.value);
            let from = reader.needed(given(&mapping.from), at, "a mapping has no `from`")?;
            let mirrored = mapping.mirrored(from, [&source, &target], at, reader);
            let mirrored = mirrored.map(|mut mirrored| {
                mirrored.name = Some(name.into());
                mirrored.keys.extend(every.clone());
                mirrored
            });
            let what = format!("{source}/{from}");
            import.add(at, &what, mirrored.map_err(Into::into), reader);
        }
    }
    Ok(import)
}

impl Mapping {
    fn mirrored(
        &self,
        from: &str,
        [source, target]: [&str; 2],
        at: usize,
        reader: &Reader<'_>,
    ) -> Result<Mirrored, String> {
        reader.unread(&self.other, NEEDLESS);
        let digest = reference::OF_DIGEST;
        match (self.digests.is_empty(), self.tags.is_empty()) {
            (true, _) => {}
            (false, true) => return Err(digest.into()),
            (false, false) => reader.lose(at, format!("`digests`: {digest}")),
        }
        let routes = self.routes(from, source, target)?;
        let mut mirrored = Mirrored::new(routes, tags::read(texts(&self.tags)));
        let platforms = platform(&self.platform, reader).and_then(|one| Toml::list(&[one]));
        let platforms = platforms.map(|platforms| ("platforms", platforms));
        mirrored.keys.extend(platforms);
        Ok(mirrored)
    }

    /// What is copied, and where each of it goes.
    fn routes(&self, from: &str, source: &str, target: &str) -> Result<Routes, String> {
        let to = given(&self.to).unwrap_or_default();
        let rule = to.strip_prefix(EXPRESSION);
        if let Some(expression) = from.strip_prefix(EXPRESSION) {
            if rule.is_some() {
                return Err("`path` has no replacements such as the one in `to`".into());
            }
            let below = Repository::new(target, to);
            return discovered(source, &tags::bound(expression)?, &below);
        }
        let path = from.trim_start_matches('/');
        let (source, tag) = reference::parse(&format!("{source}/{path}"))?;
        if tag.is_some() {
            return Err("it is a name with a tag: write the tag into `tags`".into());
        }
        let target = match (rule, to) {
            (Some(rule), _) => {
                let missing = "`to` has an expression and no replacement";
                let (search, with) = rule.split_once(',').ok_or(missing)?;
                let search =
                    Regex::new(search).map_err(|_| format!("`{search}` is no expression"))?;
                let path = format!("/{path}");
                Repository::new(target, &search.replace_all(&path, with))
            }
            (None, "") => Repository::new(target, path),
            (None, to) => Repository::new(target, to),
        };
        Ok(vec![(source, target)])
    }
}

impl Location {
    fn registry(&self, name: &str, at: usize, reader: &Reader<'_>) -> Registry {
        let mut read = reader.registry(name, at);
        let is_ecr = name.contains(".dkr.ecr.") || name == "public.ecr.aws";
        match (given(&self.auth), given(&self.auth).and_then(decode)) {
            (Some("none"), _) => {}
            (Some(_), Some([user, password])) => {
                let login = [Some(user.as_str()), Some(password.as_str())];
                read.read_login(login, Syntax::Literal, reader);
            }
            (Some(_), None) => {
                let text = "`auth` is not {\"username\": …, \"password\": …} in base64";
                reader.lose(at, text);
            }
            (None, _) if is_ecr => {
                read.login = vec![("login", Toml::elsewhere("helper", "ecr-login"))];
                let text = "dregsy asks AWS for the login: install docker-credential-ecr-login";
                reader.note(at, text);
            }
            (None, _) => {}
        }
        let switch = self.skips_verification.as_ref();
        if let Some(switch) = switch.filter(|switch| switch.value) {
            read.skip_verification("skip-tls-verify", line(switch), reader);
        }
        reader.unread(&self.other, NEEDLESS);
        read
    }
}

/// The user name and the password in an `auth`.
fn decode(auth: &str) -> Option<[String; 2]> {
    let auth: String = auth.split_whitespace().collect();
    let json: serde_json::Value = serde_json::from_slice(&STANDARD.decode(auth).ok()?).ok()?;
    let field = |key: &str| Some(json.get(key)?.as_str()?.to_owned());
    Some([field("username")?, field("password")?])
}
