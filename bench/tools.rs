//! The tools that are measured: how each is told to mirror every tag of some repositories.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::support::registries::registry::Registry;

/// A tool that mirrors repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    Transship,
    Skopeo,
    Regsync,
    Crane,
    Ocync,
}

/// Where a tool finds a registry.
#[derive(Clone, Debug)]
pub struct Address {
    /// `127.0.0.1:PORT`.
    pub host: String,
    /// The file that vouches for its certificate; without one, it speaks plain HTTP.
    pub ca_file: Option<PathBuf>,
}

/// From where to where, and a folder that is the tool's own.
pub struct Errand<'a> {
    pub source: Address,
    pub target: Address,
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

    /// The tool and its version, on one line.
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
        // Some print their name before it, some a word such as `VCSTag:`, and some nothing.
        let line = text.lines().next().unwrap_or_default();
        let version = line.split_whitespace().next_back().unwrap_or_default();
        format!("{} {version}", self.name())
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
                let target = format!("{}/mirror", errand.target.host);
                let verify = format!("--dest-tls-verify={}", errand.target.has_tls());
                let options = "sync --all --src yaml --dest docker";
                let ends = [verify.as_str(), "skopeo.yml", &target];
                let arguments: Vec<_> = options.split(' ').chain(ends).collect();
                vec![self.command(errand, &arguments)]
            }
            Self::Regsync => {
                write("regsync.yml", regsync_yml(errand));
                vec![self.command(errand, &["once", "-c", "regsync.yml"])]
            }
            Self::Crane => errand
                .pairs()
                .map(|(from, to)| {
                    let plain = (!errand.target.has_tls()).then_some("--insecure");
                    let arguments = ["copy", "--all-tags", &from, &to].into_iter();
                    self.command(errand, &arguments.chain(plain).collect::<Vec<_>>())
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
        if let Some(authorities) = errand.authorities() {
            command.env("SSL_CERT_FILE", authorities);
        }
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

impl Address {
    /// Where a registry is found behind `host`.
    pub fn of(registry: &Registry, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            ca_file: registry.has_tls().then(|| registry.ca_file()),
        }
    }

    pub fn has_tls(&self) -> bool {
        self.ca_file.is_some()
    }

    /// `https://127.0.0.1:PORT`.
    pub fn base(&self) -> String {
        let scheme = if self.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.host)
    }

    /// Its table in `mirror.toml`, with more lines.
    pub fn toml(&self, more: &str) -> String {
        let trust = match &self.ca_file {
            Some(file) => format!("ca_file = \"{}\"", file.display()),
            None => "plain_http = true".to_owned(),
        };
        format!("[registries.\"{}\"]\n{trust}\n{more}\n", self.host)
    }
}

impl Errand<'_> {
    /// Writes the certificates of both sides' authorities into one file, for tools that read one; none without TLS.
    fn authorities(&self) -> Option<PathBuf> {
        let files = [&self.source, &self.target];
        let files = files.into_iter().filter_map(|side| side.ca_file.as_ref());
        let pem: String = files
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        let path = self.folder.join("authorities.pem");
        fs::write(&path, &pem).unwrap();
        (!pem.is_empty()).then_some(path)
    }

    /// Every repository at the source and at the target, with the hosts.
    fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        self.repositories.iter().map(|repository| {
            let name = repository.rsplit('/').next().unwrap();
            let from = format!("{}/{repository}", self.source.host);
            (from, format!("{}/mirror/{name}", self.target.host))
        })
    }

    /// A text for every repository.
    fn each(&self, text: impl Fn(&str, &str) -> String) -> String {
        self.pairs().map(|(from, to)| text(&from, &to)).collect()
    }
}

fn mirror_toml(errand: &Errand) -> String {
    let Errand { source, target, .. } = errand;
    let stall = format!("stall = \"{}s\"\n", errand.stall);
    let from = errand.each(|from, _| format!("    \"{from}\",\n"));
    format!(
        "{}{}[defaults]\ntarget = \"{}/mirror\"\npath = \"{{name}}\"\n\n\
         [[mirror]]\nname = \"bench\"\ntags = \"*\"\nfrom = [\n{from}]\n",
        source.toml(&stall),
        target.toml(&stall),
        target.host
    )
}

fn skopeo_yml(errand: &Errand) -> String {
    let images = errand.repositories.iter();
    let images: String = images.map(|name| format!("    {name}: []\n")).collect();
    format!(
        "\"{}\":\n  tls-verify: {}\n  images:\n{images}",
        errand.source.host,
        errand.source.has_tls()
    )
}

/// Sixteen requests to a registry at a time, as many as transship has blobs in flight; its default is three.
fn regsync_yml(errand: &Errand) -> String {
    let credentials = |side: &Address| {
        let tls = if side.has_tls() {
            "enabled"
        } else {
            "disabled"
        };
        let host = &side.host;
        format!("  - registry: {host}\n    tls: {tls}\n    reqConcurrent: 16\n")
    };
    let entries = errand
        .each(|from, to| format!("  - source: {from}\n    target: {to}\n    type: repository\n"));
    format!(
        "version: 1\ncreds:\n{}{}defaults:\n  parallel: 16\nsync:\n{entries}",
        credentials(&errand.source),
        credentials(&errand.target)
    )
}

fn ocync_yml(errand: &Errand) -> String {
    let images = errand.repositories.iter();
    let mappings: String = images
        .map(|from| {
            let name = from.rsplit('/').next().unwrap();
            format!("  - from: {from}\n    to: mirror/{name}\n")
        })
        .collect();
    let registry = |name: &str, side: &Address| {
        let base = side.base();
        format!("  {name}:\n    url: {base}\n    auth_type: anonymous\n")
    };
    format!(
        "registries:\n{}{}defaults:\n  source: source\n  targets: target\n  tags:\n    glob: \"*\"\nmappings:\n{mappings}",
        registry("source", &errand.source),
        registry("target", &errand.target)
    )
}
