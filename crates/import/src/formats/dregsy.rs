//! dregsy's file: tasks with mappings ([manual](https://github.com/xelalexv/dregsy)).

mod tags;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::Regex;
use serde_saphyr::Spanned;

use super::{Mirrored, Reader, Routes, discovered};
use crate::{
    diagnostics::Error,
    model::{Import, Item, Keys, Registry, Setting},
    reference::{self, Repository},
    schedule,
    template::Syntax,
    yaml::{self, Text, given, line, texts},
};

/// Keys without which the same is mirrored.
const NEEDLESS: [&str; 10] = [
    "relay",
    "docker",
    "dockerhost",
    "api-version",
    "skopeo",
    "lister",
    "watch",
    "verbose",
    "auth-refresh",
    "preserve-digests",
];

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
        source: Option<Spanned<Location>> = "source",
        target: Option<Spanned<Location>> = "target",
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
    let mut import = Import {
        remarks: reader.unread(&file.other, &NEEDLESS),
        ..Import::default()
    };
    for task in &file.tasks {
        let (at, task) = (line(task), &task.value);
        let name = reader.needed(given(&task.name), at, "a task has no `name`")?;
        let mut host_of = |key: &str, location: &Option<Spanned<Location>>| {
            let what = format!("the task `{name}` has no `registry` in its `{key}`");
            let place = location.as_ref();
            let host = place.and_then(|place| given(&place.value.registry));
            let host = reader.needed(host, at, &what)?;
            // An account may stand before the name of the public ECR.
            let host = reference::host(host.rsplit('@').next().unwrap_or(host));
            if let Some(location) = location {
                import.merge(
                    location.value.registry(&host, line(location), reader),
                    &host,
                    reader,
                );
            }
            Ok(host)
        };
        let source = host_of("source", &task.source)?;
        let target = host_of("target", &task.target)?;
        let seconds = task.interval.filter(|seconds| *seconds >= 1.0);
        let every = seconds.map(|n| schedule::every(Duration::from_secs(n as u64)));
        let lost = reader.unread(&task.other, &NEEDLESS).into_iter();
        import.items.extend(lost.map(Item::Lost));
        for mapping in &task.mappings {
            let (at, mapping) = (line(mapping), &mapping.value);
            let from = reader.needed(given(&mapping.from), at, "a mapping has no `from`")?;
            let mirrored = mapping.mirrored(from, &source, &target, at, reader);
            let mirrored = mirrored.map(|mut mirrored| {
                mirrored.name = Some(name.into());
                mirrored.keys.extend(every.clone());
                mirrored
            });
            let what = format!("{source}/{from}");
            reader.add(&mut import, at, &what, mirrored.map_err(Into::into));
        }
    }
    Ok(import)
}

impl Mapping {
    fn mirrored(
        &self,
        from: &str,
        source: &str,
        target: &str,
        at: usize,
        reader: &Reader<'_>,
    ) -> Result<Mirrored, String> {
        let mut remarks = reader.unread(&self.other, &NEEDLESS);
        let digest = reference::of_digest();
        match (self.digests.is_empty(), self.tags.is_empty()) {
            (true, _) => {}
            (false, true) => return Err(digest),
            (false, false) => remarks.push(reader.loss(at, format!("`digests`: {digest}"))),
        }
        let mut keys = Keys::new();
        if let Some((platform, note)) = reader.platform(&self.platform) {
            keys.push(("platforms", Setting::List(vec![platform])));
            remarks.push(note);
        }
        Ok(Mirrored {
            tags: tags::read(texts(&self.tags))?,
            routes: self.routes(from, source, target)?,
            keys,
            remarks,
            ..Mirrored::default()
        })
    }

    /// What is copied, and where each of it goes.
    fn routes(&self, from: &str, source: &str, target: &str) -> Result<Routes, String> {
        let to = given(&self.to).unwrap_or_default();
        let rule = to.strip_prefix(EXPRESSION);
        if let Some(expression) = from.strip_prefix(EXPRESSION) {
            return match rule {
                Some(_) => Err("`path` has no replacements such as the one in `to`".into()),
                None => discovered(
                    source,
                    &tags::bound(expression)?,
                    &Repository::new(target, to),
                ),
            };
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
        Ok(vec![(source, vec![target])])
    }
}

impl Location {
    fn registry(&self, name: &str, at: usize, reader: &Reader<'_>) -> Registry {
        let mut read = reader.registry(name, at);
        let is_ecr = name.contains(".dkr.ecr.") || name == "public.ecr.aws";
        match given(&self.auth) {
            Some("none") => {}
            Some(auth) => match decode(auth) {
                Some([user, password]) => {
                    let login = [Some(user.as_str()), Some(password.as_str())];
                    read.read_login(login, Syntax::Literal, reader);
                }
                None => {
                    let text = "`auth` is not {\"username\": …, \"password\": …} in base64";
                    read.remarks.push(reader.loss(at, text));
                }
            },
            None if is_ecr => {
                read.login = vec![("login", Setting::Elsewhere("helper", "ecr-login".into()))];
                let text = "dregsy asks AWS for the login: install docker-credential-ecr-login";
                read.remarks.push(reader.note(at, text));
            }
            None => {}
        }
        let switch = self.skips_verification.as_ref();
        if let Some(switch) = switch.filter(|switch| switch.value) {
            read.skip_verification("skip-tls-verify", line(switch), reader);
        }
        read.remarks.extend(reader.unread(&self.other, &NEEDLESS));
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
