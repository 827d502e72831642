//! Opens what the daemon needs, and begins: runs that were missed are made up.

use std::{net::SocketAddr, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use secrecy::ExposeSecret as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    alarms::AlarmState,
    config::{Config, Topic},
    daemon::{
        Daemon, Error, Inbox, Loading,
        config_watcher::{FileFingerprint, Watch},
        event_loop::Why,
        lock::Lock,
        scheduler::{Scheduler, Signal},
        systemd::Service,
    },
    metrics::Metrics,
    notify::Notifier,
    registry::{Registries, RetryPolicy},
    status::StatusCache,
    store::{self, AlarmRecord, Store, StoreEvent, StoreWriter, Upkeep},
    sync::Sync,
    web::{self, App, Health, SyncRequest},
};

/// Orders that wait for the loop.
const ORDERS: usize = 64;

impl Daemon {
    /// Opens everything. What fails here is told by the exit, and nothing was done.
    pub(crate) async fn open(
        config: Config,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Inbox), Error> {
        let lock = Lock::take(&config.state_path)?;
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let (store, recorder) = in_turn(&config.state_path, &stop).await?;
        let recorder = Arc::new(recorder);
        let (listener, address) = listen(&config).await?;
        let sync = sync(&config, &store, &recorder, &metrics, [&stop, &abort]).await?;
        let (clockwork, clock) = Scheduler::start().await.map_err(failed)?;
        let (changes, changed) = mpsc::channel(1);
        let watch = watch(&config, changes);
        let (orders, inbox) = Inbox::open(clock, changed)?;
        let app = App {
            board: Arc::new(StatusCache::new(store.clone(), metrics.clone())),
            alarms: Arc::default(),
            sync: Arc::new(sync),
            health: Arc::new(Health::default()),
            store: store.clone(),
            metrics: metrics.clone(),
            orders,
            config: Arc::new(ArcSwap::from_pointee(config)),
        };
        let http_stop = CancellationToken::new();
        let http = tokio::spawn(web::serve(listener, app.clone(), http_stop.clone()));
        let config = app.config.load_full();
        let daemon = Self {
            text: config.text.expose_secret().to_owned(),
            print: FileFingerprint::of(&config.path),
            notifier: Arc::new(notifier(&config, &metrics)?),
            config: app.config,
            told: AlarmState::new(told(&store, &recorder, &metrics).await?),
            making_up: Default::default(),
            outdated: Default::default(),
            owed: Default::default(),
            store,
            recorder,
            metrics,
            board: app.board,
            alarms: app.alarms,
            sync: app.sync,
            health: app.health,
            clockwork,
            service: Service::new(),
            busy: Default::default(),
            mute: Default::default(),
            loading: Loading::Idle,
            work: JoinSet::new(),
            beats: 0,
            stop,
            abort,
            address,
            http,
            http_stop,
            _watch: watch,
            _lock: lock,
        };
        Ok((daemon, inbox))
    }

    /// Takes up the config, and starts what was missed while nobody ran.
    pub(crate) async fn begin(&mut self) -> Result<(), Error> {
        let abandoned = StoreEvent::Upkeep(Upkeep::Abandoned);
        self.recorder.note(abandoned);
        self.recorder.flush().await;
        self.take_up().await?;
        self.metrics.config_read(Some(self.now()));
        self.catch_up(|_| true);
        self.look().await;
        self.begin_reports().await?;
        // It may have been edited before anybody watched: the store may have been waited for.
        self.load(Why::Changed);
        self.health.ready();
        self.service.ready();
        let (mirrors, address) = (self.config.load().mirrors.len(), self.address);
        tracing::info!(
            mirrors,
            "serving; metrics and the status page are on http://{address}"
        );
        Ok(())
    }

    /// Puts the config in force to use: schedules, metrics, and what pages show.
    pub(crate) async fn take_up(&mut self) -> Result<(), Error> {
        let config = self.config.load_full();
        self.keep_series(&config);
        self.release_what_left(&config).await?;
        self.board.keep(&config, self.now()).await?;
        self.set_clock(&config).await;
        Ok(())
    }
}

impl Daemon {
    /// Lets go of the series of what the config no longer names.
    pub(crate) fn keep_series(&self, config: &Config) {
        let mirrors: Vec<_> = config
            .mirrors
            .iter()
            .map(|mirror| (mirror.name.clone(), mirror.target_registries()))
            .collect();
        let registries = config.mirrors.iter().flat_map(|mirror| mirror.registries());
        self.metrics.keep(&mirrors, &registries.collect());
    }

    /// Nothing lags where no mirror goes any more.
    async fn release_what_left(&self, config: &Config) -> Result<(), Error> {
        for (name, source, target) in self.store.lagging().await? {
            let mut mirrors = config.mirrors.iter();
            let mirror = mirrors.find(|mirror| *mirror.name == *name);
            // The history of a mirror that is gone stays as it is.
            if mirror.is_some_and(|mirror| !mirror.goes(&source, &target)) {
                let left = Upkeep::Left {
                    mirror: name,
                    source: source.to_string(),
                    target,
                };
                self.recorder.note(StoreEvent::Upkeep(left));
            }
        }
        self.recorder.flush().await;
        Ok(())
    }
}

impl Inbox {
    fn open(
        clock: mpsc::Receiver<Signal>,
        changed: mpsc::Receiver<()>,
    ) -> Result<(mpsc::Sender<SyncRequest>, Self), Error> {
        let (sender, orders) = mpsc::channel(ORDERS);
        let listen = |kind| signal(kind).map_err(failed);
        let inbox = Self {
            clock,
            orders,
            changed,
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        };
        Ok((sender, inbox))
    }
}

/// Opens the store as soon as no other process holds it.
async fn in_turn(path: &Path, stop: &CancellationToken) -> Result<(Store, StoreWriter), Error> {
    let mut is_told = false;
    loop {
        match Store::open_or_replace(path, stop.clone()).await {
            Err(error @ store::Error::Held { .. }) => {
                if !is_told {
                    tracing::warn!("the daemon begins as soon as it can: {error}");
                }
                is_told = true;
            }
            opened => return Ok(opened?),
        }
    }
}

/// Watches for edits. Without it there are none but those that SIGHUP tells of.
fn watch(config: &Config, changes: mpsc::Sender<()>) -> Option<Watch> {
    let watch = Watch::start(&config.path, changes);
    watch
        .inspect_err(|error| {
            tracing::warn!(%error, "edits of mirror.toml are not noticed; ask for a reload with SIGHUP");
        })
        .ok()
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Start(error.to_string())
}

/// The pipeline. `stop` and `abort` end it.
async fn sync(
    config: &Config,
    store: &Store,
    recorder: &Arc<StoreWriter>,
    metrics: &Arc<Metrics>,
    [stop, abort]: [&CancellationToken; 2],
) -> Result<Sync, Error> {
    let learned = store.dialects().await?;
    let registries = Registries::new(config, metrics.clone(), RetryPolicy::default(), learned);
    Ok(Sync::new(
        registries,
        store.clone(),
        recorder.clone(),
        metrics.clone(),
        stop.clone(),
        abort.clone(),
    ))
}

/// A listener, and where it listens: the config's port may be any that is free.
async fn listen(config: &Config) -> Result<(TcpListener, SocketAddr), Error> {
    let address = config.http.listen;
    let fail = |error| Error::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().unwrap_or(address);
    Ok((listener, bound))
}

/// The trouble that was told before, of what can be known now. Pauses and channels that fail belong to
/// a process: nobody is told that they are over because another one began.
async fn told(
    store: &Store,
    recorder: &StoreWriter,
    metrics: &Metrics,
) -> Result<Vec<AlarmRecord>, Error> {
    let mut told = store.alarms().await?;
    let is_of_the_process = |alarm: &AlarmRecord| {
        let is_channel = alarm.subject.starts_with("channel ");
        is_channel || alarm.topic == Topic::Throttled.as_str()
    };
    for alarm in told.extract_if(.., |alarm| is_of_the_process(alarm)) {
        let cleared = Upkeep::Cleared(alarm.topic, alarm.subject);
        recorder.note(StoreEvent::Upkeep(cleared));
    }
    // Until the registry says otherwise, it refuses what it refused.
    let refusing = told
        .iter()
        .filter(|alarm| alarm.topic == Topic::Auth.as_str());
    refusing.for_each(|alarm| metrics.refused_before(&alarm.subject));
    Ok(told)
}

/// Where messages go.
pub(crate) fn notifier(config: &Config, metrics: &Arc<Metrics>) -> Result<Notifier, Error> {
    Notifier::new(config, metrics.clone()).map_err(failed)
}
