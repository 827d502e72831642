//! Opens what the daemon needs, and starts it: runs that were missed are made up for.

use std::{net::SocketAddr, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    alarms::{AlarmState, AlarmSubject},
    config::{Config, Topic},
    coordination::{Coordination, Membership},
    daemon::{
        Daemon, Error, HttpServer, Inbox,
        alarms::outbox::Outbox,
        alarms::{Alarms, announced_before, pauses::RegistryPauses},
        cluster::{LeaseKeeper, UnitRuns, without_own_mirrors},
        config_watcher::{ConfigWatcher, LoadReason},
        gateway,
        lock::Lock,
        reload::Begun,
        runs::RunQueue,
        scheduler::{Scheduler, Signal},
        services::{Services, now},
        systemd::ServiceManager,
    },
    gateway::ImageDemand,
    metrics::Metrics,
    notify::Notifier,
    registry::{Registries, RetryPolicy},
    status::{LagWatch, StatusCache},
    store::{self, Store, StoreEvent, StoreWriter, Upkeep},
    sync::Sync,
    web::{self, App, Health, SyncRequest},
};

/// Requests for runs that wait for the loop.
const REQUESTS: usize = 64;

impl Daemon {
    /// Opens everything. If something fails here, nothing was done yet.
    pub(crate) async fn open(
        config: Config,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Inbox), Error> {
        let lock = Lock::take(&config.state_path)?;
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let (changes, changed) = mpsc::channel(1);
        let coordination = coordination(&config, &changes);
        let config = without_own_mirrors(config);
        let services = services(config, metrics, coordination, [&stop, &abort]).await?;
        let (listener, address) = listen(&services.config()).await?;
        lock.note_address(address);
        let (orders, demand) = mpsc::channel(REQUESTS);
        let gateway = gateway::start(&services, orders).await?;
        let (scheduler, signals) = Scheduler::start().await.map_err(failed)?;
        let begun = Begun::of(&services.config());
        let watcher = ConfigWatcher::new(&services.config(), changes);
        let (requests, inbox) = Inbox::open(signals, changed, demand)?;
        let alarms = Alarms {
            active: Arc::default(),
            state: announced_before(&services).await?,
            outbox: Outbox::default(),
            pauses: RegistryPauses::default(),
        };
        keep_refusals(&alarms.state, &services);
        let app = App {
            config: services.active.clone(),
            board: services.status.clone(),
            alarms: alarms.active.clone(),
            store: services.store.clone(),
            writer: services.writer.clone(),
            metrics: services.metrics.clone(),
            sync: services.sync.clone(),
            coordination: services.coordination.clone(),
            pulls: services.pulls.clone(),
            health: services.health.clone(),
            orders: requests,
        };
        let http_stop = CancellationToken::new();
        let daemon = Self {
            keeper: LeaseKeeper::start(&services.coordination).await?,
            lag: LagWatch::new(services.store.last_lag_changes().await?),
            services,
            runs: RunQueue::new(scheduler),
            units: UnitRuns::default(),
            alarms,
            watcher,
            begun,
            systemd: ServiceManager::new(),
            http: HttpServer {
                address,
                task: tokio::spawn(web::serve(listener, app, http_stop.clone())),
                stop: http_stop,
            },
            gateway,
            work: JoinSet::new(),
            ticks: 0,
            stop,
            abort,
            _lock: lock,
        };
        Ok((daemon, inbox))
    }

    /// Applies the configuration, and starts what was missed while no daemon ran.
    pub(crate) async fn begin(&mut self) -> Result<(), Error> {
        let abandoned = StoreEvent::Upkeep(Upkeep::Abandoned);
        self.services.writer.note(abandoned);
        self.services.writer.flush().await;
        self.adopt_demand().await;
        self.apply_config().await?;
        self.services.metrics.config_read(Some(now()));
        self.runs.catch_up(|_| true, &self.services, &mut self.work);
        self.services.status.clusters().outdate();
        self.services.compare_clusters(&mut self.work);
        self.check_alarms().await;
        self.make_up_for_report().await?;
        // The file may have been edited before it was watched: the store may have been waited for.
        self.load(LoadReason::Changed);
        self.services.health.ready();
        self.systemd.ready();
        let (mirrors, address) = (self.services.config().mirrors.len(), self.http.address);
        if let Some(gateway) = &self.gateway {
            tracing::info!("pulls are answered on {}", gateway.address);
        }
        tracing::info!(
            mirrors,
            "serving; metrics and the status page are on http://{address}"
        );
        Ok(())
    }

    /// Applies the configuration in force to the schedule, the metrics and the pages.
    pub(crate) async fn apply_config(&mut self) -> Result<(), Error> {
        let config = self.services.config();
        self.services.keep_series(&config);
        self.services.release_left_routes(&config).await?;
        self.services.status.keep(&config, now()).await?;
        self.runs.schedule(&config, &self.services).await;
        Ok(())
    }

    /// Makes the daily report if it is due and no daemon made it.
    pub(crate) async fn make_up_for_report(&mut self) -> Result<(), Error> {
        if self.services.is_report_missed().await? {
            self.report().await;
        }
        Ok(())
    }
}

impl Inbox {
    fn open(
        scheduler: mpsc::Receiver<Signal>,
        changed: mpsc::Receiver<()>,
        demand: mpsc::Receiver<ImageDemand>,
    ) -> Result<(mpsc::Sender<SyncRequest>, Self), Error> {
        let (sender, requests) = mpsc::channel(REQUESTS);
        let listen = |kind| signal(kind).map_err(failed);
        let inbox = Self {
            scheduler,
            requests,
            demand,
            changed,
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        };
        Ok((sender, inbox))
    }
}

/// Opens the store and what works on it. `stop` and `abort` end the pipeline.
async fn services(
    config: Config,
    metrics: Arc<Metrics>,
    coordination: Arc<Coordination>,
    [stop, abort]: [&CancellationToken; 2],
) -> Result<Services, Error> {
    let (store, writer) = open_store(&config.state_path, stop).await?;
    let writer = Arc::new(writer);
    let learned = store.dialects().await?;
    let registries = Registries::new(
        config.registry_settings(),
        metrics.clone(),
        RetryPolicy::default(),
        learned,
    );
    if let Some(membership) = coordination.membership() {
        registries.share_accounts(membership.clone());
    }
    let sync = Sync::new(
        registries,
        store.clone(),
        writer.clone(),
        metrics.clone(),
        coordination.clone(),
        [stop.clone(), abort.clone()],
    );
    Ok(Services {
        status: Arc::new(StatusCache::new(
            store.clone(),
            writer.clone(),
            metrics.clone(),
        )),
        notifier: Arc::new(notifier(&config, &metrics)?),
        active: Arc::new(ArcSwap::from_pointee(config)),
        sync: Arc::new(sync),
        coordination,
        health: Arc::new(Health::default()),
        pulls: Arc::default(),
        stop: stop.clone(),
        store,
        writer,
        metrics,
    })
}

/// With whom the targets are shared. `changes` gets a message when other mirrors were published.
fn coordination(config: &Config, changes: &mpsc::Sender<()>) -> Arc<Coordination> {
    Arc::new(match &config.cluster {
        None => Coordination::Alone,
        Some(settings) => {
            let membership = Membership::new(settings.clone(), changes.clone());
            Coordination::Cluster(Arc::new(membership))
        }
    })
}

/// Opens the store, and waits while another process holds it.
async fn open_store(path: &Path, stop: &CancellationToken) -> Result<(Store, StoreWriter), Error> {
    let mut is_logged = false;
    loop {
        match Store::open_or_replace(path, stop.clone()).await {
            Err(error @ store::Error::Held { .. }) => {
                if !is_logged {
                    tracing::warn!("the daemon waits for the store: {error}");
                }
                is_logged = true;
            }
            opened => return Ok(opened?),
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Start(error.to_string())
}

/// Listens, and returns the address: port 0 takes a free one.
async fn listen(config: &Config) -> Result<(TcpListener, SocketAddr), Error> {
    let address = config.http.listen;
    let fail = |error| Error::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().unwrap_or(address);
    Ok((listener, bound))
}

/// A registry that refused the credentials before a restart refuses them until it accepts them.
fn keep_refusals(state: &AlarmState, services: &Services) {
    for alarm in state.announced() {
        if let (Topic::Auth, AlarmSubject::Registry(registry)) = (alarm.topic, &alarm.subject)
            && let Ok(name) = registry.parse()
        {
            services.sync.registries().assume_login_refused(&name);
            services.metrics.auth(registry, false);
        }
    }
}

/// The channels of a configuration.
pub(crate) fn notifier(config: &Config, metrics: &Arc<Metrics>) -> Result<Notifier, Error> {
    Notifier::new(config, metrics.clone()).map_err(failed)
}
