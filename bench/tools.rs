//! The tools that are measured: how each is told to mirror every tag of some repositories.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

/// A tool that mirrors repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    Transship,
    Skopeo,
    Regsync,
    Crane,
    Ocync,
}

/// From where to where, and a folder that is the tool's own.
pub struct Errand<'a> {
    pub source: &'a str,
    pub target: &'a str,
    /// `bench/NAME` on the source, `mirror/NAME` on the target.
    pub repositories: &'a [String],
    pub folder: &'a Path,
    /// `stall` of mirror.toml, in seconds.
    pub stall: u64,
}

impl Tool {
    pub fn name(self) -> &'static str {
        match self {
            Self::Transship => "transship",
            Self::Skopeo => "skopeo sync",
            Self::Regsync => "regsync",
            Self::Crane => "crane copy",
            Self::Ocync => "ocync",
        }
    }

    pub fn is_installed(&self) -> bool {
        self.program().is_some()
    }

    /// What the tool says of its version, on one line.
    pub fn version(self) -> String {
        let Some(program) = self.program() else {
            return String::new();
        };
        let verb = match self {
            Self::Transship | Self::Skopeo => "--version",
            Self::Regsync | Self::Crane | Self::Ocync => "version",
        };
        let output = Command::new(program).arg(verb).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().next().unwrap_or_default().trim().to_owned()
    }

    /// The processes that run the errand, one after the other.
    pub fn commands(self, errand: &Errand) -> Vec<Command> {
        let write = |name: &str, text: String| fs::write(errand.folder.join(name), text).unwrap();
        match self {
            Self::Transship => {
                write("mirror.toml", mirror_toml(errand));
                vec![self.command(errand, &["--json", "sync"])]
            }
            Self::Skopeo => {
                write("skopeo.yml", skopeo_yml(errand));
                let target = format!("{}/mirror", errand.target);
                let options =
                    "sync --all --src yaml --dest docker --dest-tls-verify=false skopeo.yml";
                let arguments: Vec<_> = options.split(' ').chain([target.as_str()]).collect();
                vec![self.command(errand, &arguments)]
            }
            Self::Regsync => {
                write("regsync.yml", regsync_yml(errand));
                vec![self.command(errand, &["once", "-c", "regsync.yml"])]
            }
            Self::Crane => errand
                .pairs()
                .map(|(from, to)| {
                    self.command(errand, &["copy", "--insecure", "--all-tags", &from, &to])
                })
                .collect(),
            Self::Ocync => {
                write("ocync.yml", ocync_yml(errand));
                vec![self.command(errand, &["sync", "-c", "ocync.yml"])]
            }
        }
    }

    fn command(self, errand: &Errand, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program().unwrap());
        command
            .args(arguments)
            .current_dir(errand.folder)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", errand.folder)
            .env("NO_COLOR", "1");
        command
    }

    /// The program, to be started in a folder.
    pub fn in_folder(self, folder: &Path) -> Command {
        let program = self.program().expect("it is installed");
        let mut command = Command::new(fs::canonicalize(program).unwrap());
        command.current_dir(folder);
        command
    }

    /// The binary of this checkout, unless $TRANSSHIP names another, or a program on $PATH.
    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Transship => Some(transship()),
            Self::Skopeo => on_path("skopeo"),
            Self::Regsync => on_path("regsync"),
            Self::Crane => on_path("crane"),
            Self::Ocync => on_path("ocync"),
        }
    }
}

/// The binary of this checkout, unless $TRANSSHIP names another.
pub fn transship() -> PathBuf {
    let own = env::var_os("TRANSSHIP").map(PathBuf::from);
    own.unwrap_or_else(|| env!("CARGO_BIN_EXE_transship").into())
}

/// A program on $PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut programs = env::split_paths(&path).map(|folder| folder.join(name));
    programs.find(|program| program.is_file())
}

impl Errand<'_> {
    /// Every repository at the source and at the target, with the hosts.
    fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        self.repositories.iter().map(|repository| {
            let name = repository.rsplit('/').next().unwrap();
            let from = format!("{}/{repository}", self.source);
            (from, format!("{}/mirror/{name}", self.target))
        })
    }

    /// A text for every repository.
    fn each(&self, text: impl Fn(&str, &str) -> String) -> String {
        self.pairs().map(|(from, to)| text(&from, &to)).collect()
    }
}

fn mirror_toml(errand: &Errand) -> String {
    let Errand {
        source,
        target,
        stall,
        ..
    } = errand;
    let from = errand.each(|from, _| format!("    \"{from}\",\n"));
    format!(
        "[registries.\"{source}\"]\nplain_http = true\nstall = \"{stall}s\"\n\n\
         [registries.\"{target}\"]\nplain_http = true\nstall = \"{stall}s\"\n\n\
         [defaults]\ntarget = \"{target}/mirror\"\npath = \"{{name}}\"\n\n\
         [[mirror]]\nname = \"bench\"\ntags = \"*\"\nfrom = [\n{from}]\n"
    )
}

fn skopeo_yml(errand: &Errand) -> String {
    let images = errand.repositories.iter();
    let images: String = images.map(|name| format!("    {name}: []\n")).collect();
    format!(
        "\"{}\":\n  tls-verify: false\n  images:\n{images}",
        errand.source
    )
}

fn regsync_yml(errand: &Errand) -> String {
    let Errand { source, target, .. } = errand;
    let entries = errand
        .each(|from, to| format!("  - source: {from}\n    target: {to}\n    type: repository\n"));
    format!(
        "version: 1\ncreds:\n  - registry: {source}\n    tls: disabled\n  - registry: {target}\n    tls: disabled\n\
         defaults:\n  parallel: 16\nsync:\n{entries}"
    )
}

fn ocync_yml(errand: &Errand) -> String {
    let Errand { source, target, .. } = errand;
    let images = errand.repositories.iter();
    let mappings: String = images
        .map(|from| {
            let name = from.rsplit('/').next().unwrap();
            format!("  - from: {from}\n    to: mirror/{name}\n")
        })
        .collect();
    format!(
        "registries:\n  source:\n    url: http://{source}\n    auth_type: anonymous\n  \
         target:\n    url: http://{target}\n    auth_type: anonymous\n\
         defaults:\n  source: source\n  targets: target\n  tags:\n    glob: \"*\"\nmappings:\n{mappings}"
    )
}
