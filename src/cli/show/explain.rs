//! `transship explain IMAGE`: whether an image is mirrored, where to, and how current it is there.

use std::path::PathBuf;

use chrono::Utc;
use chrono_tz::Tz;

use crate::{
    cli::{Exit, Global, Refusal, context, output, show::coverage},
    locales::Language,
    status::{
        Answer, Arrival, Copy, CopyState, ExplainError, ImagePullFacts, TakingEntry, explain,
        format,
    },
    store::Store,
};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The image, by any name: nginx, quay.io/a/b:1, its name at a target, or a digest
    /// `-` reads all images of standard input: a list, pods, manifests, a rendered chart
    #[arg(required_unless_present = "file")]
    image: Option<String>,
    /// Read all images of a file: a list, JSON, or YAML
    #[arg(long, value_name = "FILE", conflicts_with = "image")]
    file: Option<PathBuf>,
    /// Print only the entries to add for images that are not mirrored
    #[arg(long, conflicts_with = "json")]
    toml: bool,
}

impl ExplainArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::known_config(global).await?;
        let store = Store::open_existing(&config.state_path).await?;
        let image = match (&self.image, &self.file) {
            (Some(image), None) if image != "-" => image,
            (_, file) => {
                let inventory = coverage::inventory(file.as_deref())?;
                return coverage::explain(&inventory, &config, store.as_ref(), global, self.toml)
                    .await;
            }
        };
        let explained = explain(image, &config, store.as_ref()).await;
        let explained = explained.map_err(|failure| match failure {
            ExplainError::Store(error) => anyhow::Error::new(error),
            name => Refusal::Usage(name.to_string()).into(),
        })?;
        if global.json {
            output::json(&explained)?;
            return Ok(Exit::Ok);
        }
        let image = &explained.image;
        match &explained.answer {
            Answer::Mirrored { entry, others } => {
                for entry in std::iter::once(entry).chain(others) {
                    print_entry(entry, config.timezone)?;
                }
            }
            Answer::NotSelected { mirror, toml } => {
                let said = "mirrors its repository, and does not select this tag; to add it:";
                output::line(&format!("{image}: `{mirror}` {said}\n\n{toml}"))?;
            }
            Answer::AtTarget { mirror } => {
                let said = "lies where it mirrors to, and no entry mirrors anything to this name";
                output::line(&format!(
                    "{image} is not mirrored: by the target of `{mirror}`, it {said}"
                ))?;
            }
            Answer::NotMirrored { toml } => {
                output::line(&format!("{image} is not mirrored; to add it:\n\n{toml}"))?;
            }
        }
        if let Some(pulls) = &explained.pulls {
            print_pulls(pulls, config.timezone)?;
        }
        Ok(Exit::Ok)
    }
}

/// What became of its pulls. The first line says what of them is stored.
fn print_pulls(pulls: &ImagePullFacts, zone: Tz) -> anyhow::Result<()> {
    let words = Language::English.words();
    output::line("\npulls through the gateway (who pulled is not stored):")?;
    if let Some(pulled) = &pulls.pulled {
        let counts = &pulled.counts;
        let parts = [
            words.pulls.count(counts.hits, words.pulls.hit),
            words.pulls.count(counts.coalesced, words.pulls.coalesced),
            words.pulls.count(counts.misses, words.pulls.miss),
            words.pulls.count(counts.stale, words.pulls.stale),
        ];
        output::line(&format!("  {}", parts.join(", ")))?;
        let (first, last) = (
            format::time(pulled.first_pull, zone),
            format::time(pulled.last_pull, zone),
        );
        output::line(&format!("  {}", words.pulls.since(first, last)))?;
        if let Some(why) = &pulled.why {
            output::line(&format!("  last stale copy: {why}"))?;
        }
    }
    if pulls.saved_bytes > 0 {
        let saved = format::bytes(u64::try_from(pulls.saved_bytes).unwrap_or_default());
        output::line(&format!("  {}", words.pulls.saved(saved)))?;
    }
    for refused in &pulls.refused {
        output::line(&format!("  {}", refused.words(Language::English, zone)))?;
        if let Some(toml) = &refused.toml {
            output::line(&format!(
                "  to let it through, add it to `allow`:\n\n{toml}"
            ))?;
        }
    }
    Ok(())
}

fn print_entry(entry: &TakingEntry, zone: Tz) -> anyhow::Result<()> {
    let TakingEntry {
        mirror,
        source,
        copies,
    } = entry;
    output::line(&match Arrival::of(copies) {
        Arrival::Come => format!("{source} is mirrored by `{mirror}`"),
        Arrival::ToCome => format!("{source} is to be mirrored by `{mirror}`"),
        Arrival::Never => {
            format!("{source} is not mirrored, though `{mirror}` mirrors its repository")
        }
    })?;
    copies.iter().try_for_each(|copy| print(copy, zone))
}

fn print(copy: &Copy, zone: Tz) -> anyhow::Result<()> {
    let state = match (copy.state, copy.lagging_since) {
        (CopyState::Current, _) => "current, by the last check".to_owned(),
        (CopyState::Behind, Some(since)) => {
            let lag = Utc::now().timestamp() - since;
            match lag >= 0 {
                true => format!("behind the source for {}", output::duration(lag)),
                false => "behind the source since a time in the future: is the clock right?".into(),
            }
        }
        (CopyState::Behind, None) => "behind the source".to_owned(),
        (CopyState::Damaged, _) => {
            let found = copy.damaged_at.map(|at| output::damaged(at, zone));
            format!("damaged, {}", found.unwrap_or_default())
        }
        (CopyState::NotYet, _) => "not copied yet".to_owned(),
        (CopyState::Absent, _) => "not copied".to_owned(),
        (CopyState::LeftOut, _) if copy.digest.is_some() => {
            "kept; left out by `latest` since".to_owned()
        }
        (CopyState::LeftOut, _) => {
            "not copied: left out by `latest`, as far as names tell".to_owned()
        }
        (CopyState::Orphaned, _) => "kept; the source no longer has it".to_owned(),
    };
    let reason = copy.reason.iter().map(|reason| format!(": {reason}"));
    let reason: String = reason.collect();
    output::line(&format!("  {}: {state}{reason}", copy.reference))?;
    if copy.digest.is_some() {
        output::line(&format!("  {}", copy.pull))?;
    }
    Ok(())
}
