//! `transship explain IMAGE`: whether an image is mirrored, where to, and how current it is there.

use chrono::Utc;

use super::{Exit, Global, Usage, open, text};
use crate::{
    report::{Answer, Copy, CopyState, Failure, explain},
    store::Store,
};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The image, by any name: nginx, quay.io/a/b:1, or as it is called at a target
    image: String,
}

impl Explain {
    pub(super) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = open::config_without_secrets(global)?;
        let store = Store::open_existing(&config.state_path).await?;
        let explained = explain(&self.image, &config, store.as_ref()).await;
        let explained = explained.map_err(|failure| match failure {
            Failure::Store(error) => anyhow::Error::new(error),
            name => Usage(name.to_string()).into(),
        })?;
        if global.json {
            text::json(&explained)?;
            return Ok(Exit::Ok);
        }
        let image = &explained.image;
        match &explained.answer {
            Answer::Mirrored { mirror, copies, .. } => {
                text::line(&format!("{image} is mirrored by `{mirror}`"))?;
                copies.iter().try_for_each(print)?;
            }
            Answer::NotSelected { mirror, toml } => {
                let said = "mirrors its repository, and does not select this tag; to add it:";
                text::line(&format!("{image}: `{mirror}` {said}\n\n{toml}"))?;
            }
            Answer::NotMirrored { toml } => {
                text::line(&format!("{image} is not mirrored; to add it:\n\n{toml}"))?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn print(copy: &Copy) -> anyhow::Result<()> {
    let state = match (copy.state, copy.lagging_since) {
        (CopyState::Current, _) => "current, by the last check".to_owned(),
        (CopyState::Behind, Some(since)) => {
            let lag = text::duration(Utc::now().timestamp() - since);
            format!("behind the source for {lag}")
        }
        (CopyState::Behind, None) => "behind the source".to_owned(),
        (CopyState::NotYet, _) => "not copied yet".to_owned(),
        (CopyState::Orphaned, _) => "kept; the source no longer has it".to_owned(),
    };
    text::line(&format!("  {}: {state}", copy.reference))?;
    if copy.state != CopyState::NotYet {
        text::line(&format!("  {}", copy.pull))?;
    }
    Ok(())
}
