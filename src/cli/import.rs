//! `transship import FILE`: a mirror.toml that does what another tool's file says.

mod dregsy;
mod dregsy_tags;
mod image;
mod image_syncer;
mod layout;
mod model;
mod pattern;
mod place;
mod range;
mod regsync;
mod regsync_creds;
mod settle;
mod skopeo;
mod tags;
mod template;
mod when;
mod write;
mod yaml;

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde_json::json;

use self::{
    model::{Import as Imported, Target, Teller, printable},
    skopeo::Destination,
    write::Written,
    yaml::{BadYaml, Node},
};
use super::{Exit, Global};
use crate::{
    cli::{error::Refusal, output},
    oci::RegistryName,
};

/// Most bytes of a file: tens of thousands of images.
const MOST_BYTES: u64 = 4 << 20;

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file of regsync, image-syncer, skopeo (sync --src yaml) or dregsy; nothing is contacted
    file: PathBuf,
    /// Whose file it is; default: told by what is in it
    #[arg(long, value_name = "TOOL")]
    from: Option<Tool>,
    /// The second file of image-syncer, with its logins
    #[arg(long, value_name = "FILE")]
    auth: Option<PathBuf>,
    /// Where skopeo copies to, which its file does not say; for image-syncer its --registry/--namespace
    #[arg(long, value_name = "HOST/PATH")]
    target: Option<String>,
    /// As skopeo's: keep the whole name of each source below the target
    #[arg(long)]
    scoped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tool {
    Regsync,
    ImageSyncer,
    Skopeo,
    Dregsy,
}

/// A file that cannot be read, or is none that is known.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}\n  help: {help}")]
pub(super) struct Unreadable {
    place: String,
    message: String,
    help: String,
}

impl Import {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let text = read(&self.file)?;
        let document = parse(&self.file, &text)?;
        let at = |bad| Unreadable::at(&self.file, bad);
        let tool = self.from.map_or_else(|| tool_of(&document), Ok);
        let tool = tool.map_err(at)?;
        let target = self.target_for(tool)?;
        let teller = Teller(self.file.display().to_string().into());
        let mut imported = match (tool, target) {
            (Tool::Regsync, _) => regsync::read(&document, &teller),
            (Tool::ImageSyncer, target) => image_syncer::read(&document, &teller, target.as_ref()),
            (Tool::Dregsy, _) => dregsy::read(&document, &teller),
            (Tool::Skopeo, target) => {
                let is_scoped = self.scoped;
                let missing = "skopeo's file does not say where to copy to: name what its command \
                               line does as --target HOST/PATH, and --scoped if that does";
                let target = target.ok_or_else(|| Refusal::Usage(missing.into()))?;
                skopeo::read(&document, &teller, &Destination { target, is_scoped })
            }
        }
        .map_err(at)?;
        if imported.items.is_empty() {
            let help = "name the file that says what is mirrored, and whose it is with --from";
            let bad = BadYaml::new(document.line, "nothing in it is mirrored", help);
            return Err(at(bad).into());
        }
        self.read_auth(&mut imported)?;
        let tool = tool.name();
        let title = format!(
            "Made by `transship import` of {}, a file of {tool}. `transship check` validates it, \
             `transship plan` shows what it does.",
            printable(&teller.0)
        );
        let written = write::write(imported, &title);
        match global.json {
            true => print_json(tool, &written)?,
            false => print(&self.file, &written)?,
        }
        Ok(match written.remarks.iter().any(|remark| remark.is_loss) {
            true => Exit::SomeFailed,
            false => Exit::Ok,
        })
    }

    /// The `--target`, where it is one and the tool has a use for it.
    fn target_for(&self, tool: Tool) -> Result<Option<Target>, Refusal> {
        let refuse = |option: &str, takes: &str| {
            let tool = tool.name();
            Err(Refusal::Usage(format!(
                "{option} is for {takes}, and this is a file of {tool}"
            )))
        };
        if self.auth.is_some() && tool != Tool::ImageSyncer {
            return refuse("--auth", "image-syncer");
        }
        if self.scoped && tool != Tool::Skopeo {
            return refuse("--scoped", "skopeo");
        }
        let Some(text) = &self.target else {
            return Ok(None);
        };
        if !matches!(tool, Tool::Skopeo | Tool::ImageSyncer) {
            return refuse("--target", "skopeo and image-syncer");
        }
        let text = text
            .strip_prefix("docker://")
            .unwrap_or(text)
            .trim_end_matches('/');
        let (registry, path) = text.split_once('/').unwrap_or((text, ""));
        match registry.parse::<RegistryName>() {
            Ok(registry) => Ok(Some(Target {
                registry: registry.to_string(),
                path: path.into(),
            })),
            Err(error) => Err(Refusal::Usage(format!("bad --target: {error}"))),
        }
    }

    fn read_auth(&self, imported: &mut Imported) -> Result<(), Unreadable> {
        let Some(file) = &self.auth else {
            return Ok(());
        };
        let document = parse(file, &read(file)?)?;
        let teller = Teller(file.display().to_string().into());
        let read = image_syncer::read_auth(&document, &teller, imported);
        read.map_err(|bad| Unreadable::at(file, bad))
    }
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Regsync => "regsync",
            Self::ImageSyncer => "image-syncer",
            Self::Skopeo => "skopeo",
            Self::Dregsy => "dregsy",
        }
    }
}

impl Unreadable {
    fn at(file: &Path, bad: BadYaml) -> Self {
        Self {
            place: format!("{}:{}", file.display(), bad.line),
            message: printable(&bad.message),
            help: bad.help.into(),
        }
    }
}

/// The text of a file, if it is one and not too long.
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
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MOST_BYTES {
        let message = format!("it is larger than {}", output::bytes(MOST_BYTES));
        return Err(refuse(message, "name the file that says what is mirrored"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let before = &bytes[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let bad = BadYaml::new(line, "it is not text in UTF-8", "name a YAML or JSON file");
        Unreadable::at(path, bad)
    })
}

fn parse(path: &Path, text: &str) -> Result<Node, Unreadable> {
    yaml::parse(text).map_err(|bad| Unreadable::at(path, bad))
}

/// Whose file it is, by its shape.
fn tool_of(document: &Node) -> Result<Tool, BadYaml> {
    let has_list = |key: &str| document.get(key).is_some_and(|node| node.list().is_some());
    if has_list("sync") {
        return Ok(Tool::Regsync);
    }
    if has_list("tasks") {
        return Ok(Tool::Dregsy);
    }
    let pairs = document.map().unwrap_or_default();
    let is_registry = |node: &Node| {
        let keys = ["images", "images-by-tag-regex", "images-by-semver"];
        keys.iter().any(|key| node.get(key).is_some())
    };
    if pairs.iter().any(|(_, value)| is_registry(value)) {
        return Ok(Tool::Skopeo);
    }
    let is_rule = |(_, value): &(Node, Node)| value.text().is_some() || value.list().is_some();
    let has_images = document
        .get("images")
        .is_some_and(|node| node.map().is_some());
    if has_images || (!pairs.is_empty() && pairs.iter().all(is_rule)) {
        return Ok(Tool::ImageSyncer);
    }
    let is_login = |(_, value): &(Node, Node)| value.get("password").is_some();
    let help = match pairs.iter().any(is_login) {
        true => "these are logins: name the file with the images, and this one with --auth",
        false => {
            "if it is a file of regsync, image-syncer, skopeo or dregsy, say whose with --from"
        }
    };
    let message = "no file of regsync (`sync`), dregsy (`tasks`), skopeo (registries with \
                   `images`) or image-syncer (SOURCE: TARGET)";
    Err(BadYaml::new(document.line, message, help))
}

#[expect(clippy::print_stderr, reason = "warnings go beside the output")]
fn print(file: &Path, written: &Written) -> anyhow::Result<()> {
    for remark in &written.remarks {
        let kind = if remark.is_loss { "left out" } else { "note" };
        eprintln!("{}: {kind}: {}", remark.place, remark.text);
    }
    if !written.variables.is_empty() {
        let each = written
            .variables
            .iter()
            .map(|(name, of)| format!("{name} ({of})"));
        let each = each.collect::<Vec<_>>().join(", ");
        eprintln!(
            "set the environment variables that have the passwords, which are not printed: {each}"
        );
    }
    let losses = written
        .remarks
        .iter()
        .filter(|remark| remark.is_loss)
        .count();
    if losses > 0 {
        let count = output::count(losses as u64, "thing");
        eprintln!(
            "{}: {count} left out, each a comment in the output",
            file.display()
        );
    }
    output::line(written.text.trim_end())
}

fn print_json(tool: &str, written: &Written) -> anyhow::Result<()> {
    let told = |is_loss: bool| {
        let remarks = written
            .remarks
            .iter()
            .filter(move |remark| remark.is_loss == is_loss);
        let told = remarks.map(|remark| {
            let (file, line) = (&*remark.place.file, remark.place.line);
            json!({ "file": file, "line": line, "message": remark.text })
        });
        told.collect::<Vec<_>>()
    };
    let variables = written.variables.iter();
    let variables = variables.map(|(name, of)| json!({ "name": name, "registry": of }));
    output::json(&json!({
        "tool": tool,
        "toml": written.text,
        "left_out": told(true),
        "notes": told(false),
        "variables": variables.collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests;
