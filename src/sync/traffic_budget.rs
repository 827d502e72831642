//! What may still be moved before the budget of traffic is spent.

use std::{sync::Arc, time::Duration};

use bytesize::ByteSize;
use chrono::{NaiveDate, Utc};
use futures::FutureExt as _;

use crate::{
    config::{Config, Period, TrafficBudget},
    coordination::{Coordination, Membership, PeriodBudget},
    metrics::Metrics,
    oci::RegistryName,
    registry::Traffic,
    store::{self, Moved, Store, StoreEvent, StoreWriter},
    sync::Error,
};

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
        if let Some((membership, budget)) = self.shared(config) {
            let counted = config
                .limits
                .traffic
                .map(|traffic| traffic.count(sent, received));
            let used = membership.use_traffic(&budget, counted.unwrap_or_default());
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
        let used = budget.map(|budget| (budget.bytes, budget.count(moved.sent, moved.received)));
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

#[cfg(test)]
mod tests;
