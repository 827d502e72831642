//! Turns the files of regsync, image-syncer, `skopeo sync` and dregsy into a `mirror.toml` that
//! mirrors the same tags to the same places.
//!
//! Nothing is contacted. What cannot be carried over is a [`Remark`] with its line, no tag is
//! selected that was not selected before, and no password is printed.

mod diagnostics;
mod formats;
mod model;
mod reader;
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
    formats::{dregsy, image_syncer, regsync, skopeo},
    model::{Entry, Import, Toml},
    reader::Reader,
    reference::Repository,
    template::Syntax,
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

    fn refuse(self, option: &str, tools: &str) -> Error {
        let name = self.name();
        Error::Usage(format!(
            "{option} is for {tools}, and this is a file of {name}"
        ))
    }
}

/// Reads a file. Without a `tool` the keys of the file show whose it is.
pub fn import(
    file: Input<'_>,
    tool: Option<Tool>,
    options: &Options<'_>,
) -> Result<Imported, Error> {
    let reader = Reader::new(file.name, options.variables.unwrap_or(&|_| None));
    let (mut import, tool) = read(file.text, tool, options, &reader)?;
    note_schedules(&mut import, &reader);
    import.title = format!(
        "Made by `transship import` of {}, a file of {}. `transship check` validates it, \
         `transship plan` shows what it does.",
        reader.file,
        tool.name()
    );
    import.file = reader.file.clone();
    import.remarks = reader.remarks.into_inner();
    Ok(Imported { tool, import })
}

fn read(
    text: &str,
    tool: Option<Tool>,
    options: &Options<'_>,
    reader: &Reader<'_>,
) -> Result<(Import, Tool), Error> {
    let shape: Value = yaml::parse(text, reader)?;
    if shape.is_null() {
        let help = "name the file that lists the images";
        return Err(reader.error(1, "the file is empty", help));
    }
    let tool = tool.map_or_else(|| tool_of(&shape, reader), Ok)?;
    let target = target(tool, options)?;
    let import = match tool {
        Tool::Regsync => regsync::read(text, reader)?,
        Tool::Dregsy => dregsy::read(text, reader)?,
        Tool::ImageSyncer => {
            let has_logins = shape.get("images").is_some_and(Value::is_object);
            image_syncer::read(text, has_logins, target.as_ref(), reader)?
        }
        Tool::Skopeo => {
            let missing = "skopeo's file does not say where to copy to: pass the destination of \
                           its command line as --target HOST/PATH, and --scoped if it has that";
            let target = target.ok_or_else(|| Error::Usage(missing.into()))?;
            skopeo::read(text, &target, options, reader)?
        }
    };
    if import.count == 0 {
        let help = "name the file that lists the images, and whose it is with --from";
        return Err(reader.error(1, "the file mirrors nothing", help));
    }
    Ok((import, tool))
}

/// Notes when the entries run. Where some have a schedule, the others run by a command only.
fn note_schedules(import: &mut Import, reader: &Reader<'_>) {
    let has = |entry: &Entry, name| entry.keys.iter().any(|(key, _)| *key == name);
    let has_any = |name| import.entries.iter().any(|entry| has(entry, name));
    if has_any("schedule") {
        let text = "schedules use `timezone`, UTC by default: other tools use their machine's";
        reader.note(0, text);
    } else if !has_any("every") {
        let text = "no entry has a schedule: set one in [defaults], or run `transship sync` by a \
                    timer";
        return reader.note(0, text);
    }
    for entry in &mut import.entries {
        if !has(entry, "every") && !has(entry, "schedule") {
            entry.keys.push(("paused", Toml::yes()));
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
            return Err(self.tool.refuse("--auth", "image-syncer"));
        }
        let reader = Reader::new(file.name, &|_| None);
        let logins = yaml::parse(file.text, &reader)?;
        image_syncer::add_logins(logins, Syntax::Shell, &reader, &mut self.import);
        self.import.remarks.extend(reader.remarks.into_inner());
        Ok(())
    }

    /// Writes the `mirror.toml`. `check` returns the lines of a text that are not accepted: what
    /// they belong to is written as a comment.
    pub fn render(self, check: &dyn Fn(&str) -> Vec<Refusal>) -> Rendered {
        writer::write(self.import, check)
    }
}

/// The target, if there is one and the tool uses it.
fn target(tool: Tool, options: &Options<'_>) -> Result<Option<Repository>, Error> {
    if options.is_scoped && tool != Tool::Skopeo {
        return Err(tool.refuse("--scoped", "skopeo"));
    }
    let Some(text) = options.target else {
        return Ok(None);
    };
    if !matches!(tool, Tool::Skopeo | Tool::ImageSyncer) {
        return Err(tool.refuse("--target", "skopeo and image-syncer"));
    }
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
    let has = |key: &str, is: fn(&Value) -> bool| shape.get(key).is_some_and(is);
    let values = shape.as_object().into_iter().flat_map(|map| map.values());
    let values: Vec<&Value> = values.collect();
    let any_has = |key: &str| values.iter().any(|value| value.get(key).is_some());
    let lists = ["images", "images-by-tag-regex", "images-by-semver"];
    let are_rules = !values.is_empty() && !values.iter().any(|value| value.is_object());
    if has("sync", Value::is_array) {
        Ok(Tool::Regsync)
    } else if has("tasks", Value::is_array) {
        Ok(Tool::Dregsy)
    } else if lists.into_iter().any(any_has) {
        Ok(Tool::Skopeo)
    } else if are_rules || has("images", Value::is_object) {
        Ok(Tool::ImageSyncer)
    } else {
        let help = match any_has("password") {
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
