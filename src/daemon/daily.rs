//! The daily report: made at its time, kept, sent; made up for once if no daemon ran then.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::timeout;

use crate::{
    alarms::{Alarm, beside_mirrors},
    config::{Config, Schedule, Topic},
    daemon::services::{Services, now},
    locales::Localized,
    notify::{Audience, Message},
    status::{Day, Detail, Status},
    store::{self, StoreEvent, Upkeep},
};

/// Changes of other workers that a report shows.
const SHARED_CHANGES: u32 = 1000;
/// How long a report waits for the database of the workers.
const SHARING: Duration = Duration::from_secs(10);

impl Services {
    /// Whether a report is due that no daemon made.
    pub(crate) async fn is_report_missed(&self) -> Result<bool, store::Error> {
        let config = self.config();
        let Some((made_at, _)) = self.last_report(now()).await? else {
            return Ok(false);
        };
        self.metrics.report_made(made_at);
        let made_at = DateTime::from_timestamp(made_at, 0).unwrap_or_default();
        let due = Schedule::daily(config.report.at).next_after(made_at, config.timezone);
        Ok(due.is_some_and(|due| due <= Utc::now()))
    }

    /// Makes the report of the day that ends now, and keeps it. Returns its message.
    pub(crate) async fn make_report(&self, alarms: &[Alarm]) -> Option<Message> {
        let config = self.config();
        self.writer.flush().await;
        let status = self.status();
        let day = self.read_day(&config, &status, alarms).await;
        let day = day.inspect_err(|error| tracing::error!(%error, "no daily report was made"));
        let mut day = day.ok()?;
        let is_sender = self.share_report(&mut day).await;
        let json = serde_json::to_value(&day).unwrap_or_default();
        let reported = Upkeep::Reported {
            day: day.day.to_string(),
            at: status.now,
            body: json.to_string(),
        };
        self.writer.note(StoreEvent::Upkeep(reported));
        let thinned = Upkeep::Thinned { now: status.now };
        self.writer.note(StoreEvent::Upkeep(thinned));
        self.metrics.report_made(status.now);
        let document = Localized::new(|language| day.document(Detail::Brief, language));
        tracing::info!("{}", document.title());
        if !is_sender {
            tracing::info!("another worker sends the report of {}", day.day);
            return None;
        }
        Some(Message {
            topic: Topic::Report,
            audience: Audience::Everyone,
            document,
            json,
        })
    }

    /// Adds what the other workers of a cluster did. Returns whether this worker sends the report:
    /// one does, and each does while the database is away.
    async fn share_report(&self, day: &mut Day) -> bool {
        let Some(membership) = self.coordination.membership() else {
            return true;
        };
        let since = u64::try_from(day.to - day.from).unwrap_or_default();
        let sharing = async {
            let since = Duration::from_secs(since);
            match membership.work_since(since, SHARED_CHANGES).await {
                Ok((sums, changes)) => {
                    day.add_others(&membership.settings().name, sums, &changes);
                }
                Err(error) => {
                    tracing::warn!(%error, "the report shows only what this worker did");
                }
            }
            membership.sends_report(&day.day.to_string()).await
        };
        timeout(SHARING, sharing).await.unwrap_or(true)
    }

    /// The last report: when it was made, and its JSON.
    async fn last_report(&self, now: i64) -> Result<Option<(i64, String)>, store::Error> {
        self.store.report_before("9999", now).await
    }

    /// The day since the last report.
    async fn read_day(
        &self,
        config: &Config,
        status: &Status,
        alarms: &[Alarm],
    ) -> Result<Day, store::Error> {
        let since = self.last_report(status.now).await?;
        let since = since.map(|(made_at, _)| made_at);
        let alarms = beside_mirrors(alarms, status);
        Day::read(&self.store, config, status, alarms, since).await
    }
}
