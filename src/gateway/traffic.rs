//! Pulls and the traffic budget, which they share with runs.

use std::time::Duration;

use bytesize::ByteSize;
use chrono::Utc;
use tokio::time::Instant;

use crate::{
    config::Config,
    gateway::{Gateway, answer::PullError},
    sync::traffic_budget::Reservation,
};

/// How long what is known of the traffic budget is believed.
const BUDGET_AGE: Duration = Duration::from_secs(5);

impl Gateway {
    /// Fails where the traffic budget is spent: only what is mirrored is served then.
    pub(crate) async fn check_budget(&self, config: &Config) -> Result<(), PullError> {
        if config.limits.traffic.is_none() {
            return Ok(());
        }
        let known = *self.budget.lock();
        let is_spent = match known.filter(|(_, at)| at.elapsed() < BUDGET_AGE) {
            Some((is_spent, _)) => is_spent,
            None => {
                let budget = self.context.sync.budget();
                budget.write(config).await;
                let usage = budget.usage(config).await.ok().flatten();
                let is_spent = usage.is_some_and(|usage| usage.percent() >= 100);
                let now = Some((is_spent, Instant::now()));
                *self.budget.lock() = now;
                is_spent
            }
        };
        self.note_budget(is_spent);
        match is_spent {
            false => Ok(()),
            true => Err(stopped("the traffic budget is spent")),
        }
    }

    /// Reserves what the pull of a blob moves. Fails where the traffic budget does not have it.
    pub(crate) async fn reserve(
        &self,
        config: &Config,
        blob_bytes: u64,
        is_stored: bool,
    ) -> Result<Reservation, PullError> {
        let budget = self.context.sync.budget();
        match budget.reserve_pull(config, blob_bytes, is_stored).await {
            Ok(Some(reservation)) => Ok(reservation),
            Ok(None) => {
                // A manifest is no use to a client that gets no blob.
                *self.budget.lock() = Some((true, Instant::now()));
                self.note_budget(true);
                let size = ByteSize(blob_bytes).display().si();
                Err(stopped(&format!(
                    "the traffic budget has less left than this blob of {size}"
                )))
            }
            Err(error) => Err(PullError::unavailable(error.to_string())),
        }
    }

    fn note_budget(&self, is_spent: bool) {
        self.context.board.budget(is_spent, Utc::now().timestamp());
    }
}

/// What a client learns that the budget stops.
fn stopped(why: &str) -> PullError {
    PullError::unavailable(format!(
        "{why}, so that only mirrored images are served; raise `traffic` of [limits] in mirror.toml"
    ))
}
