//! Wires everything for `serve`: the schedule, reloads, the shutdown, the watchdog.

pub(crate) mod alarms;
pub(crate) mod config_watcher;
mod daily;
pub(crate) mod event_loop;
mod lock;
pub(crate) mod outbox;
mod reload;
mod runs;
pub(crate) mod scheduler;
pub(crate) mod startup;
pub(crate) mod systemd;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use chrono::Utc;
use tokio::{
    signal::unix::Signal as UnixSignal,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    alarms::{ActiveAlarms, AlarmState},
    config::{self, Config},
    daemon::{
        config_watcher::{FileFingerprint, Watch},
        event_loop::Event,
        outbox::Mute,
        scheduler::{Scheduler, Signal},
        systemd::Service,
    },
    metrics::Metrics,
    notify::Notifier,
    status::StatusCache,
    store::{self, Store, StoreWriter},
    sync::{Scope, Sync},
    web::{Health, SyncRequest},
};
pub use lock::{Lock, LockError};

/// What the clock's entries are called: a mirror's name after this, and the daily report.
const MIRROR: &str = "mirror ";
const REPORT: &str = "report";
/// How long what is cut off at the end may take to notice.
const FAREWELL: Duration = Duration::from_secs(10);

/// Why the daemon cannot run, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `mirror.toml` is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// Another daemon has the store.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The address of `[http]` cannot be had.
    #[error(
        "cannot listen on {address}: {error}\n  help: stop what listens there, or name another [http] listen"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// Something that never fails did.
    #[error("cannot start: {0}")]
    Start(String),
}

/// Everything that `serve` runs.
struct Daemon {
    config: Arc<ArcSwap<Config>>,
    /// What `mirror.toml` held when it was last read.
    text: String,
    /// Which file it was when it was last looked at.
    print: Option<FileFingerprint>,
    store: Store,
    recorder: Arc<StoreWriter>,
    metrics: Arc<Metrics>,
    board: Arc<StatusCache>,
    alarms: Arc<ActiveAlarms>,
    sync: Arc<Sync>,
    health: Arc<Health>,
    notifier: Arc<Notifier>,
    clockwork: Scheduler,
    service: Service,
    /// Mirrors that run, or will once their jitter is over.
    busy: HashMap<Arc<str>, Scope>,
    /// Those of them that go by a config that is no longer in force.
    outdated: HashSet<Arc<str>>,
    /// Mirrors that were due while one image of them was under way.
    owed: HashSet<Arc<str>>,
    /// Trouble that was told and is not over.
    told: AlarmState,
    /// Mirrors whose missed runs are being made up for, and since when.
    making_up: HashMap<Arc<str>, i64>,
    /// Channels that did not take their last message.
    mute: Mute,
    /// Whether `mirror.toml` is being read, and whether it is to be read again then.
    loading: Loading,
    work: JoinSet<Event>,
    beats: u64,
    stop: CancellationToken,
    abort: CancellationToken,
    /// Where pages and metrics are.
    address: SocketAddr,
    http: JoinHandle<()>,
    http_stop: CancellationToken,
    _watch: Option<Watch>,
    _lock: Lock,
}

/// Where the reading of `mirror.toml` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loading {
    /// Nobody reads.
    Idle,
    /// It is being read.
    Busy,
    /// It is being read, and is to be read again for this reason.
    Again(event_loop::Why),
}

/// What the daemon listens to.
struct Inbox {
    clock: mpsc::Receiver<Signal>,
    orders: mpsc::Receiver<SyncRequest>,
    changed: mpsc::Receiver<()>,
    hangup: UnixSignal,
    terminate: UnixSignal,
    interrupt: UnixSignal,
}

/// Runs the daemon until it is told to end, or the store can no longer be used.
pub async fn serve(config: Config, metrics: Arc<Metrics>) -> Result<(), Error> {
    let (daemon, inbox) = Daemon::open(config, metrics).await?;
    daemon.run(inbox).await
}

impl Daemon {
    async fn run(mut self, mut inbox: Inbox) -> Result<(), Error> {
        self.begin().await?;
        loop {
            tokio::select! {
                Some(signal) = inbox.clock.recv() => self.signal(signal).await,
                Some(order) = inbox.orders.recv() => self.order(order),
                Some(event) = self.work.join_next(), if !self.work.is_empty() => {
                    self.joined(event).await;
                }
                Some(()) = inbox.changed.recv() => self.load(event_loop::Why::Changed),
                _ = inbox.hangup.recv() => self.load(event_loop::Why::Asked),
                _ = inbox.terminate.recv() => break,
                _ = inbox.interrupt.recv() => break,
                () = self.stop.cancelled() => break,
            }
        }
        self.end(inbox).await
    }

    /// What is under way gets the time of `[state] drain`, then is cut off.
    async fn end(mut self, mut inbox: Inbox) -> Result<(), Error> {
        self.service.stopping();
        self.stop.cancel();
        let drain = self.config.load().drain;
        let running = self.busy.len();
        tracing::info!(running, ?drain, "ending: no new transfers are started");
        if self.recorder.failure().is_none() {
            let all = async { while self.work.join_next().await.is_some() {} };
            tokio::select! {
                _ = tokio::time::timeout(drain, all) => {}
                _ = inbox.terminate.recv() => {}
                _ = inbox.interrupt.recv() => {}
            }
        }
        self.abort.cancel();
        let rest = async { while self.work.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, rest).await.is_err() {
            tracing::warn!("some work did not notice that it was cut off");
            self.work.abort_all();
        }
        if let Err(error) = self.clockwork.shutdown().await {
            tracing::debug!(%error, "the scheduler did not end well");
        }
        self.http_stop.cancel();
        let _ = self.http.await;
        Ok(self.recorder.close().await?)
    }

    fn now(&self) -> i64 {
        Utc::now().timestamp()
    }
}

#[cfg(test)]
mod tests;
