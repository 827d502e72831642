//! Wires everything for `serve`: the schedule, reloads, the shutdown, the watchdog.

mod alarms;
mod cluster;
mod config_watcher;
mod daily;
mod event_loop;
mod gateway;
mod lock;
mod reload;
mod runs;
pub(crate) mod scheduler;
mod services;
mod startup;
mod systemd;

use std::{borrow::Cow, io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    signal::unix::Signal as UnixSignal,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{self, Config},
    coordination::database,
    daemon::{
        alarms::Alarms,
        cluster::{LeaseKeeper, UnitRuns},
        config_watcher::{ConfigWatcher, LoadReason},
        event_loop::Event,
        reload::Begun,
        runs::RunQueue,
        scheduler::Signal,
        services::Services,
        systemd::ServiceManager,
    },
    gateway::ImageDemand,
    metrics::Metrics,
    status::LagWatch,
    store,
    web::SyncRequest,
};
pub use lock::{Holder, Lock, LockError};

/// How long cancelled work may take to end at shutdown.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

const FREE_ADDRESS: &str = "stop what listens there, or change [http] listen";
const FREE_GATEWAY: &str = "stop what listens there, or change `listen` of [gateway]";
const OWN_ADDRESS: &str = "set `listen` of [gateway] to an address of this machine";
const HIGH_PORT: &str = "set `listen` of [gateway] to a port above 1023, or give the service \
                         CAP_NET_BIND_SERVICE";
const CERTIFICATE: &str = "check `listen` and `tls` of [gateway]";

/// Why the daemon cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `mirror.toml` is invalid.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// Another daemon has the store.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The address of `[http]` is not free.
    #[error("listen on {address}: {error}\n  help: {FREE_ADDRESS}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        error: std::io::Error,
    },
    /// The gateway cannot listen.
    #[error(
        "listen for pulls on {address}: {error}\n  help: {}",
        gateway_remedy(error)
    )]
    Gateway {
        /// The address.
        address: SocketAddr,
        /// The error of the system, or what is wrong with the certificate.
        error: std::io::Error,
    },
    /// The database that workers share cannot be used.
    #[error(transparent)]
    Cluster(#[from] database::Error),
    /// Something that normally never fails did.
    #[error("start the daemon: {0}")]
    Start(String),
}

impl Error {
    /// What to do about it. `None` for an invalid `mirror.toml`: each of its problems has a remedy.
    pub fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Config(error) => error.remedy().map(Cow::Borrowed),
            Self::Lock(error) => Some(error.remedy().into()),
            Self::Store(error) => Some(error.remedy()),
            Self::Cluster(error) => Some(error.remedy()),
            Self::Listen { .. } => Some(FREE_ADDRESS.into()),
            Self::Gateway { error, .. } => Some(gateway_remedy(error).into()),
            Self::Start(_) => None,
        }
    }
}

/// What to do about a gateway that cannot listen.
fn gateway_remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => FREE_GATEWAY,
        ErrorKind::AddrNotAvailable => OWN_ADDRESS,
        ErrorKind::PermissionDenied => HIGH_PORT,
        _ => CERTIFICATE,
    }
}

/// Everything that `serve` runs.
struct Daemon {
    services: Services,
    runs: RunQueue,
    /// Units of a cluster that run here.
    units: UnitRuns,
    /// Keeps the lease of this worker.
    keeper: Option<LeaseKeeper>,
    alarms: Alarms,
    /// Finds changes of lag, for its history.
    lag: LagWatch,
    watcher: ConfigWatcher,
    /// What a reload cannot change.
    begun: Begun,
    systemd: ServiceManager,
    http: HttpServer,
    gateway: Option<HttpServer>,
    /// Runs, reloads and deliveries that are in flight.
    work: Tasks,
    /// Ticks of the scheduler since the start.
    ticks: u64,
    stop: CancellationToken,
    abort: CancellationToken,
    _lock: Lock,
}

/// Tasks of the daemon; each ends with an event.
type Tasks = JoinSet<Event>;

/// The server of pages, metrics and the API.
struct HttpServer {
    address: SocketAddr,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

/// What the daemon listens to.
struct Inbox {
    scheduler: mpsc::Receiver<Signal>,
    requests: mpsc::Receiver<SyncRequest>,
    demand: mpsc::Receiver<ImageDemand>,
    changed: mpsc::Receiver<()>,
    hangup: UnixSignal,
    terminate: UnixSignal,
    interrupt: UnixSignal,
}

/// Runs the daemon until it is asked to end, or the store can no longer be used.
pub async fn serve(config: Config, metrics: Arc<Metrics>) -> Result<(), Error> {
    let (daemon, inbox) = Daemon::open(config, metrics).await?;
    daemon.run(inbox).await
}

impl Daemon {
    async fn run(mut self, mut inbox: Inbox) -> Result<(), Error> {
        self.begin().await?;
        loop {
            tokio::select! {
                Some(signal) = inbox.scheduler.recv() => self.signal(signal).await,
                Some(request) = inbox.requests.recv() => self.requested(request),
                Some(image) = inbox.demand.recv() => self.demanded(image).await,
                Some(event) = self.work.join_next(), if !self.work.is_empty() => {
                    self.joined(event).await;
                }
                Some(()) = inbox.changed.recv() => self.load(LoadReason::Changed),
                _ = inbox.hangup.recv() => self.load(LoadReason::Requested),
                _ = inbox.terminate.recv() => break,
                _ = inbox.interrupt.recv() => break,
                () = self.stop.cancelled() => break,
            }
        }
        self.end(inbox).await
    }

    /// Gives transfers in flight the time of `[state] drain`, then cancels them.
    async fn end(mut self, mut inbox: Inbox) -> Result<(), Error> {
        self.systemd.stopping();
        self.stop.cancel();
        self.stop_gateway().await;
        let drain = self.services.config().drain;
        let running = self.runs.running.len();
        tracing::info!(running, ?drain, "shutting down: no new transfers start");
        if self.services.writer.failure().is_none() {
            let all = async { while self.work.join_next().await.is_some() {} };
            tokio::select! {
                _ = tokio::time::timeout(drain, all) => {}
                _ = inbox.terminate.recv() => {}
                _ = inbox.interrupt.recv() => {}
            }
        }
        self.abort.cancel();
        let rest = async { while self.work.join_next().await.is_some() {} };
        if tokio::time::timeout(CANCEL_TIMEOUT, rest).await.is_err() {
            tracing::warn!("some work did not end after it was cancelled");
            self.work.abort_all();
        }
        self.runs.shutdown().await;
        if let Some(keeper) = self.keeper {
            keeper.end().await;
        }
        self.http.stop.cancel();
        let _ = self.http.task.await;
        Ok(self.services.writer.close().await?)
    }
}

#[cfg(test)]
mod tests;
