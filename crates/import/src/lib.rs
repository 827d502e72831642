//! Turns the files of regsync, image-syncer, `skopeo sync` and dregsy into a `mirror.toml` that
//! mirrors the same tags to the same places.
//!
//! Nothing is contacted. What cannot be carried over is a [`Remark`] with its line, no tag is
//! selected that was not selected before, and no password is printed.

mod diagnostics;
mod formats;
mod model;
mod reference;
mod schedule;
mod tags;
mod template;
mod writer;
mod yaml;

pub use self::{
    diagnostics::{Error, Place, Remark},
    writer::{Refusal, Rendered, Variable},
};

use std::str::FromStr;

use serde_json::Value;

use self::{
    diagnostics::printable,
    formats::{
        Reader, dregsy, image_syncer, regsync,
        skopeo::{self, Destination},
    },
    model::{Import, Item, Keys, Setting},
    reference::Repository,
    template::Variables,
};

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// regsync of regclient.
    Regsync,
    /// image-syncer of Aliyun.
    ImageSyncer,
    /// `skopeo sync --src yaml`.
    Skopeo,
    /// dregsy.
    Dregsy,
}

/// The name and the text of a file.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The name for messages.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
}

/// Returns the value of a variable, if it has one.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What an import needs beside the file.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Where skopeo copies to, which its file does not say. For image-syncer the place of images
    /// without a target.
    pub target: Option<&'a str>,
    /// Whether the whole name of a source is kept below skopeo's target.
    pub is_scoped: bool,
    /// image-syncer's second file, with its logins.
    pub auth: Option<Input<'a>>,
    /// The values of variables in names of images.
    pub set: &'a [(String, String)],
    /// The environment, for variables that are not in `set` and whose names do not suggest a secret.
    pub environment: Option<Lookup<'a>>,
}

/// What was read of a file.
#[derive(Debug)]
pub struct Imported {
    tool: Tool,
    title: String,
    import: Import,
}

impl Tool {
    /// All tools.
    pub const ALL: [Self; 4] = [Self::Regsync, Self::ImageSyncer, Self::Skopeo, Self::Dregsy];

    /// The tool's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regsync => "regsync",
            Self::ImageSyncer => "image-syncer",
            Self::Skopeo => "skopeo",
            Self::Dregsy => "dregsy",
        }
    }
}

impl FromStr for Tool {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let mut tools = Self::ALL.into_iter();
        let unknown = || Error::Usage(format!("unknown tool `{name}`"));
        tools.find(|tool| tool.name() == name).ok_or_else(unknown)
    }
}

/// Reads a file. Without a `tool` the keys of the file show whose it is.
pub fn import(
    file: Input<'_>,
    tool: Option<Tool>,
    options: &Options<'_>,
) -> Result<Imported, Error> {
    let lookup = |name: &str| {
        let set = options.set.iter().rev().find(|(known, _)| known == name);
        let set = set.map(|(_, value)| value.clone());
        let environment = options.environment.filter(|_| template::is_printable(name));
        set.or_else(|| environment.and_then(|value| value(name)))
    };
    let variables = &Variables::new(&lookup);
    let file_name = printable(file.name).into();
    let reader = &Reader {
        file: file_name,
        variables,
    };
    let shape: Value = yaml::parse(file.text, reader)?;
    if shape.is_null() {
        return Err(reader.error(
            1,
            "the file is empty",
            "name the file that lists the images",
        ));
    }
    let tool = tool.map_or_else(|| tool_of(&shape, reader), Ok)?;
    let target = target(tool, options)?;
    let mut import = match tool {
        Tool::Regsync => regsync::read(file.text, reader)?,
        Tool::Dregsy => dregsy::read(file.text, reader)?,
        Tool::ImageSyncer => {
            let has_logins = shape.get("images").is_some_and(Value::is_object);
            image_syncer::read(file.text, has_logins, target.as_ref(), reader)?
        }
        Tool::Skopeo => {
            let missing = "skopeo's file does not say where to copy to: pass the destination of \
                           its command line as --target HOST/PATH, and --scoped if it has that";
            let target = target.ok_or_else(|| Error::Usage(missing.into()))?;
            let is_scoped = options.is_scoped;
            skopeo::read(file.text, &Destination { target, is_scoped }, reader)?
        }
    };
    let missing = variables.remark(reader);
    if import.items.is_empty() && missing.is_none() {
        let help = "name the file that lists the images, and whose it is with --from";
        return Err(reader.error(1, "the file mirrors nothing", help));
    }
    add_notes(&mut import, tool, reader);
    import.remarks.extend(missing);
    if let Some(auth) = options.auth {
        let file = printable(auth.name).into();
        image_syncer::read_logins(auth.text, &Reader { file, variables }, &mut import)?;
    }
    let title = format!(
        "Made by `transship import` of {}, a file of {}. `transship check` validates it, \
         `transship plan` shows what it does.",
        reader.file,
        tool.name()
    );
    Ok(Imported {
        tool,
        title,
        import,
    })
}

/// Notes what the tool does and its file does not say. Where some entries have a schedule, the
/// others run by a command only.
fn add_notes(import: &mut Import, tool: Tool, reader: &Reader<'_>) {
    let name = tool.name();
    let mut note = |text: String| import.remarks.push(reader.note(0, text));
    if matches!(tool, Tool::Skopeo | Tool::Dregsy) {
        note(format!(
            "{name} copies one platform by default: `platforms` selects some, none all"
        ));
    }
    if matches!(tool, Tool::Skopeo | Tool::Regsync) && !import.skips_docker_config {
        note(format!(
            "{name} also uses the logins of `docker login`: for a registry that needs one, set \
             `login = \"docker-config\"`"
        ));
    }
    let entries = import.items.iter_mut().filter_map(|item| match item {
        Item::Entry(entry) => Some(&mut entry.keys),
        Item::Lost(_) => None,
    });
    let has = |keys: &Keys, name: &str| keys.iter().any(|(key, _)| *key == name);
    let (with, without): (Vec<_>, Vec<_>) =
        entries.partition(|keys| has(keys, "every") || has(keys, "schedule"));
    if with.is_empty() {
        note(
            "no entry has a schedule: set one in [defaults], or run `transship sync` by a timer"
                .into(),
        );
        return;
    }
    if with.iter().any(|keys| has(keys, "schedule")) {
        note("schedules use `timezone`, UTC by default: other tools use their machine's".into());
    }
    for keys in without {
        keys.push(("paused", Setting::True));
    }
}

impl Imported {
    /// Whose file it was.
    pub fn tool(&self) -> Tool {
        self.tool
    }

    /// Writes the `mirror.toml`. `check` returns the lines of a text that are not accepted: what
    /// they belong to is written as a comment.
    pub fn render(self, check: &dyn Fn(&str) -> Vec<Refusal>) -> Rendered {
        writer::write(self.import, &self.title, check)
    }
}

/// The target, if there is one and the tool uses it.
fn target(tool: Tool, options: &Options<'_>) -> Result<Option<Repository>, Error> {
    let name = tool.name();
    let has_auth = options.auth.is_some() && tool != Tool::ImageSyncer;
    let is_scoped = options.is_scoped && tool != Tool::Skopeo;
    let has_target = options.target.is_some() && !matches!(tool, Tool::Skopeo | Tool::ImageSyncer);
    for (is_wrong, option, tools) in [
        (has_auth, "--auth", "image-syncer"),
        (is_scoped, "--scoped", "skopeo"),
        (has_target, "--target", "skopeo and image-syncer"),
    ] {
        if is_wrong {
            let text = format!("{option} is for {tools}, and this is a file of {name}");
            return Err(Error::Usage(text));
        }
    }
    let Some(text) = options.target else {
        return Ok(None);
    };
    let text = text.strip_prefix("docker://").unwrap_or(text);
    let (registry, path) = text.split_once('/').unwrap_or((text, ""));
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    if registry.is_empty() || !registry.chars().all(is_host) {
        return Err(Error::Usage(format!(
            "bad --target: `{registry}` is not a registry's host"
        )));
    }
    Ok(Some(Repository::new(registry, path)))
}

/// Whose file it is, by its keys.
fn tool_of(shape: &Value, reader: &Reader<'_>) -> Result<Tool, Error> {
    let has_list = |key: &str| shape.get(key).is_some_and(Value::is_array);
    let empty = serde_json::Map::new();
    let values = || shape.as_object().unwrap_or(&empty).values();
    let is_registry = |value: &Value| {
        let keys = ["images", "images-by-tag-regex", "images-by-semver"];
        keys.iter().any(|key| value.get(key).is_some())
    };
    let are_rules = values().len() > 0 && !values().any(Value::is_object);
    if has_list("sync") {
        Ok(Tool::Regsync)
    } else if has_list("tasks") {
        Ok(Tool::Dregsy)
    } else if values().any(is_registry) {
        Ok(Tool::Skopeo)
    } else if are_rules || shape.get("images").is_some_and(Value::is_object) {
        Ok(Tool::ImageSyncer)
    } else {
        let help = match values().any(|value| value.get("password").is_some()) {
            true => "these are logins: name the file with the images, and this one with --auth",
            false => "name the tool with --from",
        };
        let message = "no file of regsync (`sync`), dregsy (`tasks`), skopeo (registries with \
                       `images`) or image-syncer (SOURCE: TARGET)";
        Err(reader.error(1, message, help))
    }
}

#[cfg(test)]
mod tests;
