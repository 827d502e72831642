//! Notices edits of `mirror.toml`, also by editors that write a new file and rename it, and reads the
//! file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;

use crate::{
    config::{
        Config,
        parse::{config_file::FileOrigin, fingerprint::FileFingerprint},
    },
    coordination::{Membership, database::ConfigVersion},
    daemon::{
        Tasks,
        event_loop::{Event, log_bug},
        reload::{self, MirrorSource},
    },
    store::folder_of,
};

/// How long an edit settles before it is read: editors write in steps.
const SETTLE: Duration = Duration::from_millis(300);

/// Watches the folder of a file, since a file that is renamed over it is another file. Watches the
/// folder of its target, too, if it is a link.
#[derive(Debug)]
struct FileWatch(#[expect(dead_code, reason = "watches until it is dropped")] RecommendedWatcher);

impl FileWatch {
    /// Starts to watch. `changed` gets a message whenever the file may have changed.
    fn start(file: &Path, changed: mpsc::Sender<()>) -> Result<Self, notify::Error> {
        let name = file.file_name().map(ToOwned::to_owned);
        let target = file.canonicalize().ok();
        let target = target.and_then(|target| target.file_name().map(ToOwned::to_owned));
        let is_meant = move |path: &PathBuf| {
            let last = path.file_name();
            // Links through `..data` are how directories of configs are replaced whole.
            let is_hidden = last.is_some_and(|last| last.to_string_lossy().starts_with(".."));
            is_hidden || last == name.as_deref() || last == target.as_deref()
        };
        let note = move |event: Result<notify::Event, notify::Error>| {
            let is_other = event.is_ok_and(|event| {
                let is_access = matches!(event.kind, EventKind::Access(_));
                is_access || (!event.paths.is_empty() && !event.paths.iter().any(&is_meant))
            });
            if !is_other {
                // One waiting message is enough.
                let _ = changed.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(note)?;
        for folder in folders(file) {
            watcher.watch(&folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Self(watcher))
    }
}

/// Watches `mirror.toml`, and knows whether it is being read.
pub(crate) struct ConfigWatcher {
    /// The text of the file when it was last read.
    pub(crate) text: String,
    /// The published mirrors that were last read with it, where workers share them.
    pub(crate) published: Option<ConfigVersion>,
    /// The fingerprint of the file when it was last checked.
    pub(crate) fingerprint: Option<FileFingerprint>,
    /// Whether the file is being read, and whether it is to be read again then.
    pub(crate) loading: Loading,
    _watch: Option<FileWatch>,
}

/// Whether `mirror.toml` is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loading {
    /// It is not.
    Idle,
    /// It is being read.
    Running,
    /// It is being read, and is to be read again for this reason.
    Again(LoadReason),
}

/// What a configuration is read from.
#[derive(Debug)]
pub(crate) struct ConfigSource {
    path: PathBuf,
    origin: FileOrigin,
    mirrors: MirrorSource,
}

impl ConfigSource {
    /// The file of the configuration in force, and for a worker the mirrors that were published last.
    pub(crate) fn new(config: &Config, membership: Option<&Arc<Membership>>) -> Self {
        Self {
            path: config.path.clone(),
            origin: config.origin,
            mirrors: match membership {
                None => MirrorSource::File,
                Some(membership) => MirrorSource::Published(membership.published()),
            },
        }
    }
}

/// Why `mirror.toml` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadReason {
    /// Somebody asked for it. It is read even if it did not change.
    Requested,
    /// Its folder changed.
    Changed,
}

impl ConfigWatcher {
    /// Watches the file of a configuration. Without a watch only SIGHUP reloads it.
    pub(crate) fn new(config: &Config, changed: mpsc::Sender<()>) -> Self {
        let watch = FileWatch::start(&config.path, changed).inspect_err(|error| {
            tracing::warn!(%error, "edits of mirror.toml are not noticed; reload it with SIGHUP");
        });
        Self {
            text: config.text.expose_secret().to_owned(),
            published: None,
            fingerprint: FileFingerprint::of(&config.path),
            loading: Loading::Idle,
            _watch: watch.ok(),
        }
    }

    /// Whether the path leads to another file than at the last check. A watch does not notice that a
    /// folder above the file was replaced.
    pub(crate) fn has_new_file(&mut self, path: &Path) -> bool {
        let fingerprint = FileFingerprint::of(path);
        let is_new = fingerprint != self.fingerprint;
        self.fingerprint = fingerprint;
        is_new
    }

    /// Starts to read the file of the configuration, beside everything else. Returns whether it does so now: not if it is
    /// being read already.
    pub(crate) fn load(
        &mut self,
        reason: LoadReason,
        source: ConfigSource,
        work: &mut Tasks,
    ) -> bool {
        match self.loading {
            Loading::Idle => {}
            Loading::Again(LoadReason::Requested) => return false,
            Loading::Running | Loading::Again(LoadReason::Changed) => {
                self.loading = Loading::Again(reason);
                return false;
            }
        }
        self.loading = Loading::Running;
        let ConfigSource {
            path,
            origin,
            mirrors,
        } = source;
        let text = self.text.clone();
        let is_known = mirrors.version() == self.published;
        work.spawn(async move {
            if reason == LoadReason::Changed {
                tokio::time::sleep(SETTLE).await;
            }
            let load = move || match origin.read(&path) {
                Ok(current) if reason == LoadReason::Changed && current == text && is_known => None,
                read => Some(reload::load(&path, origin, read, &mirrors)),
            };
            let loaded = tokio::task::spawn_blocking(load).await;
            Event::Loaded(reason, loaded.inspect_err(log_bug).ok().flatten())
        });
        true
    }

    /// The reading has ended. Returns why the file is to be read again, if it is.
    pub(crate) fn loaded(&mut self) -> Option<LoadReason> {
        match std::mem::replace(&mut self.loading, Loading::Idle) {
            Loading::Again(reason) => Some(reason),
            Loading::Idle | Loading::Running => None,
        }
    }
}

fn folders(file: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder_of(file).to_owned()];
    if let Ok(target) = file.canonicalize() {
        folders.push(folder_of(&target).to_owned());
    }
    folders
}
