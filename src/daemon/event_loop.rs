//! What happens while the daemon runs, and what it does then. Each step can be called alone.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinError;

use crate::{
    config::Config,
    daemon::{
        Daemon, Loading, MIRROR,
        config_watcher::FileFingerprint,
        outbox::Telling,
        reload::{self, Loaded},
        scheduler::Signal,
        startup,
    },
    notify::Delivery,
    sync::MirrorReport,
};

/// How long an edit settles before it is read: editors write in steps.
const SETTLE: Duration = Duration::from_millis(300);
/// Mirrors that are looked at in one beat, of those that run and of all.
const REFRESHED: usize = 8;
/// Beats of the scheduler between two looks whether `mirror.toml` is another file.
pub(crate) const COMPARE: u64 = 5;
/// Beats of the scheduler between two looks for trouble.
const LOOK: u64 = 10;
/// Beats until channels that took no messages are sent them again: five minutes.
pub(crate) const TELL_AGAIN: u64 = 150;

/// Something that was under way has ended.
pub(crate) enum Event {
    /// A run, or what would have been one.
    Ran(Arc<str>, Option<MirrorReport>),
    /// The reading of `mirror.toml`; nothing if it holds what it held.
    Loaded(Why, Option<Loaded>),
    /// The delivery of messages.
    AlarmState(Telling, Vec<Delivery>),
}

/// Why `mirror.toml` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody asked for it.
    Asked,
    /// Its folder changed.
    Changed,
}

impl Daemon {
    /// The scheduler says something.
    pub(crate) async fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Beat => self.beat().await,
            Signal::Tick { name, .. } => match name.strip_prefix(MIRROR) {
                Some(mirror) => self.tick(mirror),
                None => self.make_report().await,
            },
        }
    }

    /// Something has ended.
    pub(crate) async fn joined(&mut self, event: Result<Event, JoinError>) {
        match event {
            Ok(Event::Ran(name, report)) => self.ran(&name, report).await,
            Ok(Event::Loaded(why, loaded)) => self.loaded(why, loaded).await,
            Ok(Event::AlarmState(telling, deliveries)) => self.delivered(&telling, deliveries),
            Err(error) => bug(&error),
        }
    }

    /// The scheduler moves: the watchdog is fed, and what runs is looked at. A few mirrors are looked
    /// at in turn, too: somebody may have run one by hand.
    async fn beat(&mut self) {
        self.health.beat();
        self.service.beat();
        self.beats += 1;
        let config = self.config.load_full();
        let all = config.mirrors.iter().map(|mirror| mirror.name.clone());
        let in_turn = turn(all.collect(), self.beats).into_iter();
        let running = turn(self.busy.keys().cloned().collect(), self.beats);
        for name in in_turn.chain(running) {
            self.refresh(&name).await;
        }
        if self.beats.is_multiple_of(COMPARE) {
            self.compare_file();
        }
        if self.beats.is_multiple_of(LOOK) {
            self.look().await;
        }
        if self.beats.is_multiple_of(TELL_AGAIN) {
            self.tell_again();
        }
    }

    pub(crate) async fn refresh(&self, name: &str) {
        let config = self.config.load_full();
        let Some(mirror) = config.mirrors.iter().find(|mirror| *mirror.name == *name) else {
            return;
        };
        if let Err(error) = self.board.refresh(&config, mirror, self.now()).await {
            tracing::warn!(%error, mirror = name, "what pages and metrics tell is old");
        }
    }

    /// Reads `mirror.toml` anew if it is another file: of a folder on its path that is swapped, nobody
    /// who watches folders hears.
    fn compare_file(&mut self) {
        let print = FileFingerprint::of(&self.config.load().path);
        if print != self.print {
            self.print = print;
            self.load(Why::Changed);
        }
    }

    /// Reads `mirror.toml` anew, beside everything else.
    pub(crate) fn load(&mut self, why: Why) {
        match self.loading {
            Loading::Idle => {}
            // Whoever asked has it read even if it holds what it held.
            Loading::Again(Why::Asked) => return,
            Loading::Busy | Loading::Again(Why::Changed) => {
                self.loading = Loading::Again(why);
                return;
            }
        }
        self.loading = Loading::Busy;
        if why == Why::Asked {
            self.service.reloading();
        }
        let (path, text) = (self.config.load().path.clone(), self.text.clone());
        self.work.spawn(async move {
            if why == Why::Changed {
                tokio::time::sleep(SETTLE).await;
                // What cannot be read now is told by the load.
                if tokio::fs::read_to_string(&path)
                    .await
                    .is_ok_and(|now| now == text)
                {
                    return Event::Loaded(why, None);
                }
            }
            let loaded = tokio::task::spawn_blocking(move || reload::load(&path)).await;
            Event::Loaded(why, loaded.inspect_err(bug).ok())
        });
    }

    async fn loaded(&mut self, why: Why, loaded: Option<Loaded>) {
        let before = std::mem::replace(&mut self.loading, Loading::Idle);
        if let Some(Loaded { text, config }) = loaded {
            self.text = text;
            match config {
                Ok(config) => self.adopt(config).await,
                Err(error) => {
                    tracing::error!(
                        "mirror.toml is not taken up; the config before it stays in force\n{error}"
                    );
                    self.metrics.config_read(None);
                    self.board.set_config_error(Some(error.to_string()));
                }
            }
            self.look().await;
        }
        if why == Why::Asked {
            self.sync.registries().forget_refusals();
            self.service.ready();
        }
        if let Loading::Again(why) = before {
            self.load(why);
        }
    }

    /// Puts a config in force. Runs under way go on with the one they began with.
    async fn adopt(&mut self, config: Config) {
        let said = reload::differences(&self.config.load(), &config);
        for difference in &said {
            tracing::info!("mirror.toml: {difference}");
        }
        if said.is_empty() {
            tracing::info!("mirror.toml was read again; nothing that it says is different");
        }
        if !config.warnings.is_empty() {
            tracing::warn!("{}", config.warnings);
        }
        match startup::notifier(&config, &self.metrics) {
            Ok(notifier) => self.notifier = Arc::new(notifier),
            Err(error) => tracing::error!(%error, "messages go where they went"),
        }
        self.sync.registries().reload(&config);
        let timezone = config.timezone;
        let before = self.config.swap(Arc::new(config));
        self.outdated.extend(self.busy.keys().cloned());
        let config = self.config.load_full();
        self.mute.keep(|name| has_channel(&config, name));
        self.board.set_config_error(None);
        self.metrics.config_read(Some(self.now()));
        if let Err(error) = self.take_up().await {
            tracing::warn!(%error, "what pages and metrics tell is old");
        }
        self.catch_up(|mirror| {
            let mut mirrors = before.mirrors.iter();
            let old = mirrors.find(|old| old.name == mirror.name);
            let is_as_it_was = old.is_some_and(|old| {
                !old.is_paused && old.schedule == mirror.schedule && before.timezone == timezone
            });
            !is_as_it_was
        });
        // A report that is due earlier now may have been due just now.
        if let Err(error) = self.begin_reports().await {
            tracing::warn!(%error, "whether a report is due is not known");
        }
    }
}

/// Whether a config has a channel of this name.
pub(crate) fn has_channel(config: &Config, name: &str) -> bool {
    config.channels.iter().any(|channel| *channel.name == *name)
}

/// Some of these: others at the next beat, until it begins anew.
fn turn(mut names: Vec<Arc<str>>, beat: u64) -> Vec<Arc<str>> {
    names.sort();
    let turns = names.len().div_ceil(REFRESHED).max(1);
    let at = usize::try_from(beat).unwrap_or_default() % turns;
    let chosen = names.into_iter().skip(at * REFRESHED);
    chosen.take(REFRESHED).collect()
}

/// A part of the daemon failed in a way that nobody foresaw.
pub(crate) fn bug(error: &JoinError) {
    tracing::error!(%error, "a part of the daemon failed; this is a bug");
}
