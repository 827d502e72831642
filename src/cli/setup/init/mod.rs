//! `transship init`: a first mirror.toml, from three answers.

mod mirror_file;
mod questions;
mod vendor;

use std::{
    env, fs,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    cli::{
        Exit, Global,
        error::Refusal,
        output,
        setup::init::{
            mirror_file::{Login, MirrorFile, host_of},
            vendor::{Needs, Vendor},
        },
    },
    config::Config,
};

/// Where the service reads its file, and where it keeps its store.
const SERVICE_FOLDER: &str = "/etc/transship";
const SERVICE_STORE: &str = "/var/lib/transship/state.db";
/// What is mirrored if nothing is named: small images that every cluster needs.
const FIRST_IMAGES: &str = "registry.k8s.io/pause registry.k8s.io/coredns/coredns";

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// Where images go: a registry and a path on it, such as registry.example.com/mirror
    #[arg(long, value_name = "REGISTRY/PATH")]
    target: Option<String>,
    /// Whose registry the target is; default: known by its host
    #[arg(long, value_enum, value_name = "VENDOR")]
    vendor: Option<Vendor>,
    /// The user to log in as at the target; `docker-config` uses what `docker login` stored
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// What to mirror, such as quay.io/prometheus/prometheus or docker.io/library/nginx:1.27
    #[arg(long, value_name = "IMAGE")]
    image: Vec<String>,
    /// The new file
    #[arg(short, long, value_name = "FILE", default_value = "mirror.toml")]
    output: PathBuf,
}

/// What the three questions bring.
struct Answers {
    target: String,
    vendor: Vendor,
    login: Login,
    /// The text of [`Login::Password`]'s file.
    password: Option<String>,
    images: Vec<String>,
}

impl InitArgs {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        if self.output.exists() {
            return Err(usage(
                &format!("{} exists already", self.output.display()),
                "name a new file with --output, or edit this one",
            ));
        }
        let answers = self.answers()?;
        let text = self.render(&answers);
        let config = Config::parse_without_secrets(&self.output, &text)?;
        if let (Login::Password { file, .. }, Some(password)) = (&answers.login, &answers.password)
        {
            write(Path::new(file), password, 0o600)?;
        }
        write(&self.output, &text, 0o644)?;
        if global.json {
            output::json(&serde_json::json!({ "file": self.output, "text": text }))?;
        } else {
            next_steps(&self.output, &config, &answers)
                .iter()
                .try_for_each(|l| output::line(l))?;
        }
        Ok(Exit::Ok)
    }

    fn answers(&self) -> anyhow::Result<Answers> {
        let target = self.target()?;
        let host = host_of(&target);
        let known = self.vendor.or_else(|| Vendor::of_host(host));
        let vendor = known.unwrap_or(Vendor::Distribution);
        let (login, password) = self.login(host, vendor.needs())?;
        let images = match self.image.is_empty() && is_interactive() {
            true => questions::ask(&format!(
                "3. Which images, separated by spaces? A name without a tag takes the five highest \
                 versions.\n   (default: {FIRST_IMAGES})\n   > "
            ))?,
            false => self.image.join(" "),
        };
        let images = if images.is_empty() {
            FIRST_IMAGES
        } else {
            &images
        };
        let images = images.split([' ', ',']).filter(|image| !image.is_empty());
        Ok(Answers {
            target,
            vendor,
            login,
            password,
            images: images.map(str::to_owned).collect(),
        })
    }

    fn target(&self) -> anyhow::Result<String> {
        let target = match &self.target {
            Some(target) => target.clone(),
            None if is_interactive() => questions::ask(
                "1. Where do images go? A registry and a path on it, such as \
                 registry.example.com/mirror\n   > ",
            )?,
            None => String::new(),
        };
        let target = target.trim_end_matches('/');
        let target = target.rsplit_once("://").map_or(target, |(_, rest)| rest);
        match target.is_empty() {
            true => Err(usage(
                "no target",
                "name it: transship init --target registry.example.com/mirror",
            )),
            false => Ok(target.to_owned()),
        }
    }

    fn login(&self, host: &str, needs: Needs) -> anyhow::Result<(Login, Option<String>)> {
        if let (None, Some(helper)) = (&self.username, needs.helper) {
            return Ok((Login::Helper(helper), None));
        }
        let user = match &self.username {
            Some(user) => user.clone(),
            None if is_interactive() => questions::ask(&format!(
                "2. User name at {host}? ({}; `docker-config` uses what `docker login` stored;\n   \
                 empty: no login)\n   > ",
                needs.user_hint
            ))?,
            None => String::new(),
        };
        match user.as_str() {
            "" => return Ok((Login::None, None)),
            "docker-config" => return Ok((Login::DockerConfig, None)),
            _ => {}
        }
        let password = self.password()?;
        let folder = self
            .output
            .parent()
            .filter(|folder| *folder != Path::new(""));
        let folder = std::path::absolute(folder.unwrap_or(Path::new(".")))?;
        let name = format!("{}.password", host.replace(':', "-"));
        let file = folder.join(name).display().to_string();
        Ok((Login::Password { user, file }, password))
    }

    /// The password, where one is given now.
    fn password(&self) -> anyhow::Result<Option<String>> {
        let password = match (self.password_stdin, is_interactive()) {
            (true, _) => {
                let mut text = String::new();
                io::stdin().take(64 << 10).read_to_string(&mut text)?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
            (false, true) => questions::ask_hidden("   Password (not shown; empty: later) > ")?,
            (false, false) => String::new(),
        };
        Ok(Some(password).filter(|password| !password.is_empty()))
    }

    fn render(&self, answers: &Answers) -> String {
        let is_service = std::path::absolute(&self.output)
            .is_ok_and(|output| output.parent() == Some(Path::new(SERVICE_FOLDER)));
        MirrorFile {
            timezone: &timezone(),
            state: is_service.then_some(SERVICE_STORE),
            target: &answers.target,
            login: &answers.login,
            needs: answers.vendor.needs(),
            images: &answers.images,
        }
        .render()
    }
}

/// What the operator does next.
fn next_steps(file: &Path, config: &Config, answers: &Answers) -> Vec<String> {
    let needs = answers.vendor.needs();
    let (host, file) = (host_of(&answers.target), file.display());
    let repositories: usize = config.mirrors.iter().map(|m| m.routes.len()).sum();
    let noun = if repositories == 1 {
        "repository"
    } else {
        "repositories"
    };
    let mut lines = vec![format!(
        "{file}: {repositories} {noun} to {}",
        answers.target
    )];
    let page = format!("docs/registries/{}.md", needs.page);
    lines.push(match needs.create_first {
        Some(what) => format!("create first at {host}: {what} ({page})"),
        None => format!("what {host} needs: {page}"),
    });
    if let (Login::Password { file, .. }, None) = (&answers.login, &answers.password) {
        lines.push(format!(
            "store the password: install -m 600 /dev/stdin {file}"
        ));
    }
    let config = match *file.to_string() == *"mirror.toml" {
        true => String::new(),
        false => format!(" --config {file}"),
    };
    lines.push("next:".into());
    for command in ["check --online", "plan", "sync"] {
        lines.push(format!("  transship{config} {command}"));
    }
    lines
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        usage(
            &format!("cannot write {}: {error}", path.display()),
            "name a new file with --output, in a folder that this user may write to",
        )
    })
}

fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The zone of this machine, by its usual places; UTC where they do not tell.
fn timezone() -> String {
    let link = fs::read_link("/etc/localtime").unwrap_or_default();
    let linked = link.to_string_lossy();
    let linked = linked
        .split_once("zoneinfo/")
        .map(|(_, zone)| zone.to_owned());
    let zones = [env::var("TZ").ok(), linked];
    let is_known = |zone: &String| zone.parse::<chrono_tz::Tz>().is_ok();
    zones
        .into_iter()
        .flatten()
        .find(is_known)
        .unwrap_or("UTC".into())
}

fn usage(message: &str, help: &str) -> anyhow::Error {
    Refusal::mistake(message.into(), help).into()
}
