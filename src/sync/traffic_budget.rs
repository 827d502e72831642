//! What may still be moved before the budget of traffic is spent.

mod ledger;

use std::{sync::Arc, time::Duration};

use bytesize::ByteSize;
use chrono::{NaiveDate, Utc};
use futures::FutureExt as _;
use tokio::{sync::Mutex, time::sleep};

use crate::{
    config::{Config, Period, TrafficBudget},
    coordination::{Coordination, Lease, Membership, PeriodBudget},
    metrics::Metrics,
    oci::RegistryName,
    registry::Traffic,
    store::{self, Moved, Store, StoreEvent, StoreWriter},
    sync::{
        Error,
        traffic_budget::ledger::{BudgetPeriod, Fit, Ledger},
    },
};

pub(crate) use crate::sync::traffic_budget::ledger::Reservation;

/// Percent of the budget from which on only small images are copied.
const TIGHT: u64 = 90;
/// The most that a small image may lack: this, or one percent of the budget if that is less.
const SMALL: u64 = 100_000_000;

/// How often what moves is written down: a kill loses no more.
pub(crate) const WRITTEN_EVERY: Duration = Duration::from_secs(5);
/// How soon the database of a cluster is asked again.
const RETRY: Duration = Duration::from_secs(3);

/// Counts what moves, and holds it against the budget.
#[derive(Debug)]
pub(crate) struct Budget {
    traffic: Arc<Traffic>,
    store: Store,
    recorder: Arc<StoreWriter>,
    metrics: Arc<Metrics>,
    coordination: Arc<Coordination>,
    ledger: Arc<Ledger>,
    /// One reservation is made at a time.
    reserving: Mutex<()>,
}

/// How much of a budget is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The budget.
    pub budget: TrafficBudget,
    /// What of it is used, in bytes.
    pub used_bytes: u64,
    /// The first day of the next one.
    pub ends: NaiveDate,
}

/// What a copy may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// Whatever it has to.
    All,
    /// Not more than is small.
    Small(Usage),
}

impl Usage {
    /// How much is used, in percent.
    pub fn percent(&self) -> u64 {
        let percent = u128::from(self.used_bytes) * 100 / u128::from(self.budget.bytes.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    /// The most that an image may lack for it to count as small.
    pub fn small_bytes(&self) -> u64 {
        SMALL.min(self.budget.bytes / 100)
    }

    /// What may be copied now; `None` for nothing.
    fn allowance(self) -> Option<Allowance> {
        match self.percent() {
            100.. => None,
            TIGHT.. => Some(Allowance::Small(self)),
            _ => Some(Allowance::All),
        }
    }

    /// How much is used, as in `93% of the traffic budget of 1.0 TB per month`.
    pub fn words(&self) -> String {
        let bytes = ByteSize(self.budget.bytes).display().si();
        let (percent, per) = (self.percent(), self.budget.per.as_str());
        format!("{percent}% of the traffic budget of {bytes} per {per} is used")
    }
}

impl Budget {
    pub(crate) fn new(
        traffic: Arc<Traffic>,
        store: Store,
        recorder: Arc<StoreWriter>,
        metrics: Arc<Metrics>,
        coordination: Arc<Coordination>,
    ) -> Self {
        Self {
            traffic,
            store,
            recorder,
            metrics,
            coordination,
            ledger: Arc::default(),
            reserving: Mutex::default(),
        }
    }

    /// Writes down what moved since the last time.
    pub(crate) async fn write(&self, config: &Config) {
        let (sent, received) = self.traffic.take();
        if sent + received > 0 {
            let moved = Moved { sent, received };
            let fact = StoreEvent::Moved(today(config), moved);
            self.recorder.record(fact).await;
        }
        let Some(traffic) = config.limits.traffic else {
            return;
        };
        let counted = traffic.count(sent, received);
        self.ledger.add(counted);
        if let Some((membership, budget)) = self.shared(config) {
            let used = membership.use_traffic(&budget, counted, self.ledger.in_flight());
            used.boxed().await;
        }
    }

    /// The budget that the workers of one egress share, where there is one.
    fn shared(&self, config: &Config) -> Option<(&Membership, PeriodBudget)> {
        let (membership, traffic) = (self.coordination.membership()?, config.limits.traffic?);
        let budget = PeriodBudget {
            period: format!(
                "{} of {}",
                traffic.per.as_str(),
                traffic.per.start(today(config))
            ),
            limit_bytes: traffic.bytes,
        };
        Some((&**membership, budget))
    }

    /// How much is used; `None` without a budget.
    pub(crate) async fn usage(&self, config: &Config) -> Result<Option<Usage>, store::Error> {
        let budget = config.limits.traffic;
        let per = budget.map_or(Period::Month, |budget| budget.per);
        let today = today(config);
        let moved = self.store.moved_since(per.start(today)).await?;
        let used = budget.map(|budget| {
            let start = per.start(today);
            let stored = budget.count(moved.sent, moved.received);
            let used = self.ledger.read(BudgetPeriod { budget, start }, stored);
            (budget.bytes, used)
        });
        let shared = self.shared(config);
        let shared = shared.and_then(|(membership, budget)| membership.traffic_used(&budget));
        // What the others of this egress moved counts, too.
        let used = used.map(|(budget, own)| (budget, own.max(shared.unwrap_or_default())));
        self.metrics.traffic(moved.sent, moved.received, used);
        Ok(budget.zip(used).map(|(budget, (_, used_bytes))| Usage {
            budget,
            used_bytes,
            ends: per.end(today),
        }))
    }

    /// What a copy to a registry may move now, or that it has to be put off.
    pub(crate) async fn allowance(
        &self,
        config: &Config,
        target: &RegistryName,
    ) -> Result<Allowance, Error> {
        if config.limits.traffic.is_none() {
            return Ok(Allowance::All);
        }
        // What others moved just now counts, too.
        self.write(config).await;
        self.recorder.flush().await;
        match self.usage(config).await? {
            None => Ok(Allowance::All),
            Some(usage) => usage.allowance().ok_or_else(|| spent(usage, target)),
        }
    }
}

impl Budget {
    /// Waits until so many bytes of a blob may be sent to a registry: what is in flight together never
    /// is more than the budget has left. Fails where they do not fit.
    pub(crate) async fn reserve(
        &self,
        config: &Config,
        (target, lease): (&RegistryName, &Lease),
        missing_bytes: u64,
    ) -> Result<Reservation, Error> {
        let Some(traffic) = config.limits.traffic else {
            return Ok(Reservation::none());
        };
        let bytes = traffic.count(missing_bytes, missing_bytes);
        loop {
            let freed = self.ledger.freed();
            match self.try_reserve(config, traffic, bytes).await? {
                Some(Fit::Reserved(reservation)) => return Ok(reservation),
                Some(Fit::Busy) => freed.await,
                Some(Fit::Spent) => {
                    let usage = self.usage(config).await?;
                    return Err(usage.map_or(Error::Interrupted, |usage| {
                        does_not_fit(usage, bytes, target)
                    }));
                }
                None if lease.covers_request() => sleep(RETRY).await,
                None => return Err(Error::Interrupted),
            }
        }
    }

    /// Reserves what a client's pull of a blob moves, if that fits at once. Pulls go on while the
    /// database of a cluster does not answer.
    pub(crate) async fn reserve_pull(
        &self,
        config: &Config,
        blob_bytes: u64,
        is_stored: bool,
    ) -> Result<Option<Reservation>, Error> {
        let Some(traffic) = config.limits.traffic else {
            return Ok(Some(Reservation::none()));
        };
        let sent = if is_stored { blob_bytes } else { 0 };
        let bytes = traffic.count(sent, blob_bytes);
        Ok(match self.try_reserve(config, traffic, bytes).await? {
            Some(Fit::Reserved(reservation)) => Some(reservation),
            Some(Fit::Busy | Fit::Spent) => None,
            None => Some(Reservation::none()),
        })
    }

    /// Reserves bytes if they fit; `None` if the database of a cluster does not tell.
    async fn try_reserve(
        &self,
        config: &Config,
        budget: TrafficBudget,
        bytes: u64,
    ) -> Result<Option<Fit>, Error> {
        let _turn = self.reserving.lock().await;
        self.write(config).await;
        let start = budget.per.start(today(config));
        if !self.ledger.knows(BudgetPeriod { budget, start }) {
            self.recorder.flush().await;
            self.usage(config).await?;
        }
        let others = self.ledger.in_flight();
        let fit = self.ledger.reserve(budget.bytes, bytes);
        let (Fit::Reserved(_), Some((membership, shared))) = (&fit, self.shared(config)) else {
            return Ok(Some(fit));
        };
        let granted = membership.grant_traffic(&shared, self.ledger.in_flight());
        Ok(match granted.boxed().await {
            Some(true) => Some(fit),
            Some(false) if others > 0 => Some(Fit::Busy),
            Some(false) => Some(Fit::Spent),
            None => None,
        })
    }
}

fn today(config: &Config) -> NaiveDate {
    Utc::now().with_timezone(&config.timezone).date_naive()
}

fn spent(usage: Usage, target: &RegistryName) -> Error {
    let message = format!(
        "put off: {}; it is copied from {} on, or once `traffic` of [limits] in mirror.toml is \
         raised",
        usage.words(),
        usage.ends
    );
    let target = target.clone();
    Error::Budget { message, target }
}

/// Why an image that lacks so much is put off.
pub(crate) fn too_large(usage: Usage, target: &RegistryName) -> Error {
    let small = ByteSize(usage.small_bytes()).display().si();
    let message = format!(
        "put off: {}, and the image lacks more than {small}; it is copied from {} on, or once \
         `traffic` of [limits] in mirror.toml is raised",
        usage.words(),
        usage.ends
    );
    let target = target.clone();
    Error::Budget { message, target }
}

/// Why a blob that counts so much is put off.
fn does_not_fit(usage: Usage, bytes: u64, target: &RegistryName) -> Error {
    let said = |bytes| ByteSize(bytes).display().si();
    let message = match bytes > usage.budget.bytes {
        true => format!(
            "put off: the image has a blob that counts {}, more than the whole traffic budget of {} \
             per {}; raise `traffic` of [limits] in mirror.toml",
            said(bytes),
            said(usage.budget.bytes),
            usage.budget.per.as_str()
        ),
        false => format!(
            "put off: {}, and the image lacks a blob that counts {}, more than is left; it is copied \
             from {} on, or once `traffic` of [limits] in mirror.toml is raised",
            usage.words(),
            said(bytes),
            usage.ends
        ),
    };
    let target = target.clone();
    Error::Budget { message, target }
}

#[cfg(test)]
mod tests;
