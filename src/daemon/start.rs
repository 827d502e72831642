//! Opens what the daemon needs, and begins: runs that were missed are made up.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::Utc;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Daemon, Error, Inbox, Loading,
    clockwork::{Clockwork, Signal},
    due,
    lock::Lock,
    service::Service,
    watch::Watch,
};
use crate::{
    config::Config,
    http_server::{self, App, Health, Order},
    metrics::Metrics,
    notify::Notifier,
    registry::{Registries, Retry},
    report::{Board, MirrorStatus},
    store::{Fact, Store, Upkeep},
    sync::{Scope, Sync},
};

/// Orders that wait for the loop.
const ORDERS: usize = 64;

impl Daemon {
    /// Opens everything. What fails here is told by the exit, and nothing was done.
    pub(super) async fn open(
        config: Config,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Inbox), Error> {
        let lock = Lock::take(&config.state_path)?;
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let (store, recorder) = Store::open(&config.state_path, stop.clone()).await?;
        let recorder = Arc::new(recorder);
        let listener = listen(&config).await?;
        let address = listener.local_addr().unwrap_or(config.http.listen);
        let sync = Sync::new(
            Registries::new(&config, metrics.clone(), Retry::default()),
            store.clone(),
            recorder.clone(),
            metrics.clone(),
            stop.clone(),
            abort.clone(),
        );
        let (clockwork, clock) = Clockwork::start().await.map_err(failed)?;
        let (changes, changed) = mpsc::channel(1);
        let watch = watch(&config, changes);
        let (orders, ordered) = mpsc::channel(ORDERS);
        let inbox = Inbox::open(clock, ordered, changed)?;
        let app = App {
            board: Arc::new(Board::new(store.clone(), metrics.clone())),
            sync: Arc::new(sync),
            health: Arc::new(Health::default()),
            store: store.clone(),
            metrics: metrics.clone(),
            orders,
            config: Arc::new(ArcSwap::from_pointee(config)),
        };
        let http_stop = CancellationToken::new();
        let http = tokio::spawn(http_server::serve(listener, app.clone(), http_stop.clone()));
        let config = app.config.load_full();
        let daemon = Self {
            // A file that cannot be read now is read anew once it changes.
            text: std::fs::read_to_string(&config.path).unwrap_or_default(),
            notifier: Arc::new(notifier(&config, &metrics)?),
            config: app.config,
            told: store.alarms().await?,
            store,
            recorder,
            metrics,
            board: app.board,
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
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        let abandoned = Fact::Upkeep(Upkeep::Abandoned);
        self.recorder.record(abandoned).await;
        self.recorder.flush().await;
        self.take_up().await?;
        self.metrics.config_read(Some(self.now()));
        self.catch_up(|_| true);
        self.begin_reports().await?;
        self.look().await;
        self.health.ready();
        self.service.ready();
        let (mirrors, address) = (self.config.load().mirrors.len(), self.address);
        tracing::info!(
            mirrors,
            "serving; metrics and the status page are on http://{address}"
        );
        Ok(())
    }

    /// Starts the runs that mirrors have missed, or never had.
    pub(super) fn catch_up(&mut self, is_meant: impl Fn(&Arc<str>) -> bool) {
        let config = self.config.load_full();
        let now = Utc::now();
        let meant = config
            .mirrors
            .iter()
            .filter(|mirror| is_meant(&mirror.name));
        for mirror in meant {
            let status = self.board.mirror(&config, &mirror.name, now.timestamp());
            // A run that was cut off is made up like one that never began.
            let is_whole = |status: &MirrorStatus| {
                let result = status.last_result.as_deref();
                result.is_some_and(|result| result != "interrupted")
            };
            let last = status
                .filter(is_whole)
                .and_then(|status| status.last_attempt);
            let is_idle = !self.busy.contains(&mirror.name);
            if is_idle && due::is_missed(mirror, config.timezone, last, now) {
                self.start(&mirror.name, Scope::Whole, mirror.jitter);
            }
        }
    }

    /// Puts the config in force to use: schedules, metrics, and what pages show.
    pub(super) async fn take_up(&mut self) -> Result<(), Error> {
        let config = self.config.load_full();
        let mirrors: Vec<_> = config
            .mirrors
            .iter()
            .map(|mirror| (mirror.name.clone(), mirror.target_registries()))
            .collect();
        let registries = config.mirrors.iter().flat_map(|mirror| mirror.registries());
        self.metrics.keep(&mirrors, &registries.collect());
        self.board.keep(&config, self.now()).await?;
        self.set_clock(&config).await;
        Ok(())
    }
}

impl Inbox {
    fn open(
        clock: mpsc::Receiver<Signal>,
        orders: mpsc::Receiver<Order>,
        changed: mpsc::Receiver<()>,
    ) -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(failed);
        Ok(Self {
            clock,
            orders,
            changed,
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
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

async fn listen(config: &Config) -> Result<TcpListener, Error> {
    let address = config.http.listen;
    let fail = |error| Error::Listen { address, error };
    TcpListener::bind(address).await.map_err(fail)
}

/// Where messages go.
pub(super) fn notifier(config: &Config, metrics: &Arc<Metrics>) -> Result<Notifier, Error> {
    Notifier::new(config, metrics.clone()).map_err(failed)
}
