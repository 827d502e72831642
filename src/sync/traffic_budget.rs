//! What may still be moved before the budget of traffic is spent.

mod ledger;

use std::{sync::Arc, time::Duration};

use bytesize::ByteSize;
use chrono::{NaiveDate, Utc};
use futures::FutureExt as _;
use tokio::{sync::Mutex, time::sleep};

use crate::{
    config::{Config, Period, TrafficBudget},
    coordination::{Coordination, DATABASE_RETRY, Lease, Membership, PeriodBudget},
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
        let traffic = config.limits.traffic;
        let counted = traffic.map_or(0, |traffic| traffic.count(sent, received));
        self.ledger.add(counted);
        let recording = async {
            if sent + received > 0 {
                let moved = Moved { sent, received };
                let fact = StoreEvent::Moved(today(config), moved);
                self.recorder.record(fact).await;
            }
        };
        let using = async {
            if let Some((membership, budget)) = self.shared(config) {
                let in_flight = self.ledger.in_flight();
                membership.use_traffic(&budget, counted, in_flight).await;
            }
        };
        // Both take note before they wait: whoever reserves meanwhile sees what was taken.
        futures::join!(using.boxed(), recording);
    }

    /// The budget that the workers of one egress share, where there is one.
    fn shared(&self, config: &Config) -> Option<(&Membership, PeriodBudget)> {
        let (membership, period) = (self.coordination.membership()?, period(config)?);
        let budget = PeriodBudget {
            period: format!("{} of {}", period.budget.per.as_str(), period.start),
            limit_bytes: period.budget.bytes,
        };
        Some((&**membership, budget))
    }

    /// How much is used; `None` without a budget.
    pub(crate) async fn usage(&self, config: &Config) -> Result<Option<Usage>, store::Error> {
        let (period, today) = (period(config), today(config));
        let start = period.map_or_else(|| Period::Month.start(today), |period| period.start);
        let moved = self.store.moved_since(start).await?;
        let shared = self.shared(config);
        let shared = shared.and_then(|(membership, budget)| membership.traffic_used(&budget));
        let usage = period.map(|period| {
            let budget = period.budget;
            let stored = budget.count(moved.sent, moved.received);
            let own = self.ledger.read(period, stored);
            Usage {
                budget,
                // What the others of this egress moved counts, too.
                used_bytes: own.max(shared.unwrap_or_default()),
                ends: budget.per.end(today),
            }
        });
        let used = usage.map(|usage| (usage.budget.bytes, usage.used_bytes));
        self.metrics.traffic(moved.sent, moved.received, used);
        Ok(usage)
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

    /// Waits until so many bytes of a blob may be sent to a registry: what is in flight together never
    /// is more than the budget has left. Fails where they do not fit.
    pub(crate) async fn reserve(
        &self,
        config: &Config,
        (target, lease): (&RegistryName, &Lease),
        missing_bytes: u64,
    ) -> Result<Reservation, Error> {
        let Some(period) = period(config) else {
            return Ok(Reservation::none());
        };
        let bytes = period.budget.count(missing_bytes, missing_bytes);
        loop {
            let freed = self.ledger.freed();
            match self.try_reserve(config, period, bytes).await? {
                Fit::Reserved(reservation) => return Ok(reservation),
                Fit::Busy => freed.await,
                Fit::Spent => match self.usage(config).await? {
                    Some(usage) => return Err(does_not_fit(usage, bytes, target)),
                    None => return Ok(Reservation::none()),
                },
                Fit::Unknown if lease.covers_request() => sleep(DATABASE_RETRY).await,
                Fit::Unknown => return Err(Error::Interrupted),
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
        let Some(period) = period(config) else {
            return Ok(Some(Reservation::none()));
        };
        let sent = if is_stored { blob_bytes } else { 0 };
        let bytes = period.budget.count(sent, blob_bytes);
        Ok(match self.try_reserve(config, period, bytes).await? {
            Fit::Reserved(reservation) => Some(reservation),
            Fit::Busy | Fit::Spent => None,
            Fit::Unknown => Some(Reservation::none()),
        })
    }

    /// Reserves bytes if they fit.
    async fn try_reserve(
        &self,
        config: &Config,
        period: BudgetPeriod,
        bytes: u64,
    ) -> Result<Fit, Error> {
        let _turn = self.reserving.lock().await;
        self.write(config).await;
        if !self.ledger.knows(period) {
            self.recorder.flush().await;
            self.usage(config).await?;
        }
        let others = self.ledger.in_flight();
        let fit = self.ledger.reserve(period.budget.bytes, bytes);
        let (Fit::Reserved(_), Some((membership, shared))) = (&fit, self.shared(config)) else {
            return Ok(fit);
        };
        let granted = membership.grant_traffic(&shared, self.ledger.in_flight());
        Ok(match granted.boxed().await {
            Some(true) => fit,
            Some(false) if others > 0 => Fit::Busy,
            Some(false) => Fit::Spent,
            None => Fit::Unknown,
        })
    }
}

/// The budget in its present period; `None` without one.
fn period(config: &Config) -> Option<BudgetPeriod> {
    let budget = config.limits.traffic?;
    let start = budget.per.start(today(config));
    Some(BudgetPeriod { budget, start })
}

fn today(config: &Config) -> NaiveDate {
    Utc::now().with_timezone(&config.timezone).date_naive()
}

fn spent(usage: Usage, target: &RegistryName) -> Error {
    until_next(usage, "", target)
}

/// Why an image that lacks so much is put off.
pub(crate) fn too_large(usage: Usage, target: &RegistryName) -> Error {
    let small = ByteSize(usage.small_bytes()).display().si();
    let lacks = format!(", and the image lacks more than {small}");
    until_next(usage, &lacks, target)
}

/// Why a blob that counts so much is put off.
fn does_not_fit(usage: Usage, bytes: u64, target: &RegistryName) -> Error {
    let said = |bytes| ByteSize(bytes).display().si();
    let (blob, budget) = (said(bytes), said(usage.budget.bytes));
    if bytes <= usage.budget.bytes {
        let lacks = format!(", and the image lacks a blob that counts {blob}, more than is left");
        return until_next(usage, &lacks, target);
    }
    let message = format!(
        "put off: the image has a blob that counts {blob}, more than the whole traffic budget of \
         {budget} per {}; raise `traffic` of [limits] in mirror.toml",
        usage.budget.per.as_str()
    );
    let target = target.clone();
    Error::Budget { message, target }
}

/// Something is put off until the next period.
fn until_next(usage: Usage, lacks: &str, target: &RegistryName) -> Error {
    let message = format!(
        "put off: {}{lacks}; it is copied from {} on, or once `traffic` of [limits] in mirror.toml \
         is raised",
        usage.words(),
        usage.ends
    );
    let target = target.clone();
    Error::Budget { message, target }
}

#[cfg(test)]
mod tests;
