//! `transship backup` and `transship restore`: copies of the store.

use std::path::PathBuf;

use serde_json::json;

use crate::{
    cli::{Exit, Global, context, output},
    daemon::Lock,
    store::{BackupError, Store},
};

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    /// The new file
    file: PathBuf,
}

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// What `transship backup` wrote
    file: PathBuf,
}

/// Why a store is not copied, with what to do.
#[derive(Debug, thiserror::Error)]
#[error("{error}\n  help: {help}")]
pub(crate) struct NoCopy {
    error: BackupError,
    help: &'static str,
}

impl BackupArgs {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config_without_secrets(global)?;
        let store = &config.state_path;
        let bytes = Store::back_up(store, &self.file).await.map_err(no_copy)?;
        match global.json {
            true => output::json(&json!({ "store": store, "file": self.file, "bytes": bytes }))?,
            false => output::line(&format!(
                "{}: {} from {}",
                self.file.display(),
                output::bytes(bytes),
                store.display()
            ))?,
        }
        Ok(Exit::Ok)
    }
}

impl RestoreArgs {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config_without_secrets(global)?;
        let store = &config.state_path;
        let _lock = Lock::take(store)?;
        let replaced = Store::restore(&self.file, store).await.map_err(no_copy)?;
        if global.json {
            output::json(&json!({ "store": store, "file": self.file, "replaced": replaced }))?;
            return Ok(Exit::Ok);
        }
        let (store, file) = (store.display(), self.file.display());
        output::line(&format!("{store}: restored from {file}"))?;
        if let Some(replaced) = replaced {
            output::line(&format!("the old one is {}", replaced.display()))?;
        }
        Ok(Exit::Ok)
    }
}

impl NoCopy {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        self.help
    }
}

/// Adds what to do. An error of the store has its own help.
fn no_copy(error: BackupError) -> anyhow::Error {
    let help = match &error {
        BackupError::Store(error) => return error.clone().into(),
        BackupError::NoStore(_) => {
            "check [state] path in mirror.toml, or the name of the backup; a mirror that never ran \
             has no store"
        }
        BackupError::Exists(_) => "name a new file; no file is overwritten",
        BackupError::File { .. } => "check the folder, its permissions and the free space",
        BackupError::Damaged { .. } => {
            "use another backup. Without one, the next sync rebuilds the store from the target, at \
             the cost of requests"
        }
    };
    NoCopy { error, help }.into()
}
