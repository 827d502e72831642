//! `transship import FILE`: a mirror.toml that mirrors what another tool's file does.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde_json::json;
use transship_import::{Error, Input, Options, Refusal, Rendered, Tool};

use super::{Exit, Global, error, output};
use crate::{
    cli::show::coverage,
    config::{self, Config},
};

mod images;

/// Largest file in bytes: tens of thousands of images.
const MAX_BYTES: u64 = 4 << 20;

/// Words in the names of variables whose values are not printed.
const SECRET_WORDS: [&str; 5] = ["PASS", "SECRET", "TOKEN", "KEY", "CRED"];

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file of regsync, image-syncer, skopeo (sync --src yaml) or dregsy; nothing is contacted.
    /// `-` reads images of standard input: a list, pods, manifests, a rendered chart
    #[arg(required_unless_present = "preset")]
    file: Option<PathBuf>,
    /// For images: the newest N of each repository, instead of the tags; for a preset, of its first entry
    #[arg(long, value_name = "N")]
    latest: Option<usize>,
    /// For images: the versions in a range, instead of the tags, such as ">=1.31"; for a preset, of its first entry
    #[arg(long, value_name = "RANGE")]
    semver: Option<String>,
    /// Print selectors for well-known images; `list` names the presets
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    preset: Option<String>,
    /// Whose file it is, or `images` for a list or manifests; default: known by its keys
    #[arg(long, value_name = "TOOL")]
    from: Option<ImportFormat>,
    /// The second file of image-syncer, with its logins
    #[arg(long, value_name = "FILE")]
    auth: Option<PathBuf>,
    /// Where skopeo copies to, which its file does not say; for image-syncer its --registry/--namespace
    #[arg(long, value_name = "HOST/PATH")]
    target: Option<String>,
    /// As skopeo's: keep the whole name of each source below the target
    #[arg(long)]
    scoped: bool,
    /// The value of a variable in names of images, such as {{env "REG"}}; default: the environment
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    set: Vec<(String, String)>,
}

/// The tools, by the names of `--from`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ImportFormat {
    Regsync,
    ImageSyncer,
    Skopeo,
    Dregsy,
    Images,
}

/// A file that cannot be read, or has none of the known formats.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}\n  help: {help}")]
pub(super) struct Unreadable {
    place: String,
    message: String,
    help: String,
}

impl Unreadable {
    /// What to do about it.
    pub(super) fn remedy(&self) -> &str {
        &self.help
    }
}

impl Import {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let Some(file) = &self.file else {
            return images::preset(self.preset.as_deref().unwrap_or_default(), self, global);
        };
        let is_stdin = file.as_os_str() == "-";
        if is_stdin || matches!(self.from, Some(ImportFormat::Images)) {
            let file = Some(file.as_path()).filter(|_| !is_stdin);
            return images::import(&coverage::inventory(file)?, self, global);
        }
        let (name, text) = (file.display().to_string(), read(file)?);
        let options = Options {
            target: self.target.as_deref(),
            is_scoped: self.scoped,
            variables: Some(&|name| self.variable(name)),
        };
        let tool = self.from.and_then(|format| match format {
            ImportFormat::Regsync => Some(Tool::Regsync),
            ImportFormat::ImageSyncer => Some(Tool::ImageSyncer),
            ImportFormat::Skopeo => Some(Tool::Skopeo),
            ImportFormat::Dregsy => Some(Tool::Dregsy),
            ImportFormat::Images => None,
        });
        let input = Input {
            name: &name,
            text: &text,
        };
        let mut imported = transship_import::import(input, tool, &options).map_err(refused)?;
        if let Some(path) = &self.auth {
            let is_used = imported.tool() == Tool::ImageSyncer;
            let text = if is_used { read(path)? } else { String::new() };
            let (name, text) = (&path.display().to_string(), &text);
            imported.add_logins(Input { name, text }).map_err(refused)?;
        }
        let tool = imported.tool().name();
        let rendered = imported.render(&check);
        match global.json {
            true => print_json(tool, &rendered)?,
            false => print(file, &rendered)?,
        }
        Ok(match rendered.remarks.iter().any(|remark| remark.is_loss) {
            true => Exit::SomeFailed,
            false => Exit::Ok,
        })
    }

    /// The value of a variable in a name: of `--set`, or of the environment unless its name
    /// suggests a secret, because it is printed.
    fn variable(&self, name: &str) -> Option<String> {
        if let Some((_, value)) = self.set.iter().rev().find(|(known, _)| known == name) {
            return Some(value.clone());
        }
        let upper = name.to_uppercase();
        let is_secret = SECRET_WORDS.iter().any(|word| upper.contains(word));
        std::env::var(name).ok().filter(|_| !is_secret)
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

fn refused(error: Error) -> anyhow::Error {
    match error {
        Error::Usage(text) => error::Refusal::Usage(text).into(),
        Error::File {
            place,
            message,
            help,
        } => Unreadable {
            place: place.to_string(),
            message,
            help: help.into(),
        }
        .into(),
    }
}

/// What the parser of mirror.toml refuses.
fn check(text: &str) -> Vec<Refusal> {
    let Err(config::Error::Invalid(report)) =
        Config::parse_without_secrets(Path::new("mirror.toml"), text)
    else {
        return Vec::new();
    };
    let errors = report.records().into_iter();
    let errors = errors.filter(|record| record.severity == "error");
    let refusals = errors.map(|record| Refusal {
        line: record.line,
        reason: format!("{}; {}", record.message, record.remedy),
    });
    refusals.collect()
}

/// The text of a file, if it is a file and not too large.
fn read(path: &Path) -> Result<String, Unreadable> {
    let refuse = |message: String, help: &str| Unreadable {
        place: path.display().to_string(),
        message,
        help: help.into(),
    };
    let io =
        |error: std::io::Error| refuse(error.to_string(), "check the path and its permissions");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("it is larger than {}", output::bytes(MAX_BYTES));
        return Err(refuse(message, "name the file that lists the images"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Unreadable {
            place: format!("{}:{line}", path.display()),
            ..refuse("it is not text in UTF-8".into(), "name a YAML or JSON file")
        }
    })
}

#[expect(clippy::print_stderr, reason = "warnings go beside the output")]
fn print(file: &Path, rendered: &Rendered) -> anyhow::Result<()> {
    for remark in &rendered.remarks {
        let kind = if remark.is_loss { "left out" } else { "note" };
        eprintln!("{}: {kind}: {}", remark.place, remark.text);
    }
    if !rendered.variables.is_empty() {
        let variables = rendered.variables.iter();
        let each = variables.map(|variable| format!("{} ({})", variable.name, variable.registry));
        let each = each.collect::<Vec<_>>().join(", ");
        eprintln!(
            "set these environment variables to the passwords, which are not printed: {each}"
        );
    }
    let remarks = rendered.remarks.iter();
    let losses = remarks.filter(|remark| remark.is_loss).count();
    if losses > 0 {
        let count = output::count(losses as u64, "thing");
        eprintln!(
            "{}: {count} left out, each a comment in the output",
            file.display()
        );
    }
    output::line(rendered.toml.trim_end())
}

fn print_json(tool: &str, rendered: &Rendered) -> anyhow::Result<()> {
    let of_kind = |is_loss: bool| {
        let remarks = rendered.remarks.iter();
        let remarks = remarks.filter(move |remark| remark.is_loss == is_loss);
        let records = remarks.map(|remark| {
            let (file, line) = (&*remark.place.file, remark.place.line);
            json!({ "file": file, "line": line, "message": remark.text })
        });
        records.collect::<Vec<_>>()
    };
    let variables = rendered.variables.iter();
    let variables = variables.map(|it| json!({ "name": it.name, "registry": it.registry }));
    output::json(&json!({
        "tool": tool,
        "toml": rendered.toml,
        "left_out": of_kind(true),
        "notes": of_kind(false),
        "variables": variables.collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests;
