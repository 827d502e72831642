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

use serde_json::Value;

use self::{
    formats::{
        Reader, dregsy, image_syncer, regsync,
        skopeo::{self, Destination},
    },
    model::{Entry, Import, Item, Setting},
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
    /// The values of variables in names of images. They are printed.
    pub variables: Option<Lookup<'a>>,
}

/// What was read of a file.
#[derive(Debug)]
pub struct Imported {
    tool: Tool,
    title: String,
    import: Import,
}

impl Tool {
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

/// Reads a file. Without a `tool` the keys of the file show whose it is.
pub fn import(
    file: Input<'_>,
    tool: Option<Tool>,
    options: &Options<'_>,
) -> Result<Imported, Error> {
    let variables = &Variables::new(options.variables.unwrap_or(&|_| None));
    let reader = &Reader::new(file.name, variables);
    let shape: Value = yaml::parse(file.text, reader)?;
    if shape.is_null() {
        let help = "name the file that lists the images";
        return Err(reader.error(1, "the file is empty", help));
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
    import.file = reader.file.clone();
    add_notes(&mut import, tool, reader);
    import.remarks.extend(missing);
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
    let mut note = |text: &str| import.remarks.push(reader.note(0, text));
    if matches!(tool, Tool::Skopeo | Tool::Dregsy) {
        note("the original copies one platform by default: here all are copied, or `platforms`");
    }
    if matches!(tool, Tool::Skopeo | Tool::Regsync) && !import.skips_docker_config {
        note(
            "the original also uses the logins of `docker login`: for a registry that needs one, \
             set `login = \"docker-config\"`",
        );
    }
    let has = |entry: &Entry, name| entry.keys.iter().any(|(key, _)| *key == name);
    let entries = || import.items.iter().filter_map(Item::entry);
    if entries().any(|entry| has(entry, "schedule")) {
        note("schedules use `timezone`, UTC by default: other tools use their machine's");
    } else if !entries().any(|entry| has(entry, "every")) {
        note("no entry has a schedule: set one in [defaults], or run `transship sync` by a timer");
        return;
    }
    for entry in import.entries_mut() {
        if !has(entry, "every") && !has(entry, "schedule") {
            entry.keys.push(("paused", Setting::True));
        }
    }
}

impl Imported {
    /// Whose file it was.
    pub fn tool(&self) -> Tool {
        self.tool
    }

    /// Adds the logins of image-syncer's second file.
    pub fn add_logins(&mut self, file: Input<'_>) -> Result<(), Error> {
        if self.tool != Tool::ImageSyncer {
            let name = self.tool.name();
            let text = format!("--auth is for image-syncer, and this is a file of {name}");
            return Err(Error::Usage(text));
        }
        let variables = &Variables::new(&|_| None);
        let reader = &Reader::new(file.name, variables);
        image_syncer::read_logins(file.text, reader, &mut self.import)
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
    let is_scoped = options.is_scoped && tool != Tool::Skopeo;
    let has_target = options.target.is_some() && !matches!(tool, Tool::Skopeo | Tool::ImageSyncer);
    for (is_wrong, option, tools) in [
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
