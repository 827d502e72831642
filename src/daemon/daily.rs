//! The daily report: made at its time, kept, sent; made up once if nobody ran then.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Daemon, Error, MIRROR, REPORT};
use crate::{
    alarms::beside_mirrors,
    config::{Config, Schedule, Topic},
    daemon::outbox::Telling,
    notify::Message,
    status::{Day, Detail, Status},
    store::{self, StoreEvent, Upkeep},
};

impl Daemon {
    /// Sets the clock for every mirror that is not paused, and for the report.
    pub(crate) async fn set_clock(&mut self, config: &Config) {
        let zone = config.timezone;
        let active = config.mirrors.iter().filter(|mirror| !mirror.is_paused);
        let mut entries: Vec<(Arc<str>, Schedule, Tz)> = active
            .map(|mirror| {
                (
                    format!("{MIRROR}{}", mirror.name).into(),
                    mirror.schedule.clone(),
                    zone,
                )
            })
            .collect();
        entries.push((REPORT.into(), Schedule::daily(config.report.at), zone));
        if let Err(error) = self.clockwork.set(&entries).await {
            tracing::error!(%error, "the schedule could not be set");
        }
    }

    /// Makes the report that was missed while nobody ran, if one was.
    pub(crate) async fn begin_reports(&mut self) -> Result<(), Error> {
        let config = self.config.load_full();
        let now = Utc::now();
        let last = self.last_report(now.timestamp()).await?;
        let Some((made_at, _)) = last else {
            return Ok(());
        };
        self.metrics.report_made(made_at);
        let made_at = DateTime::from_timestamp(made_at, 0).unwrap_or_default();
        let due = Schedule::daily(config.report.at).next_after(made_at, config.timezone);
        if due.is_some_and(|due| due <= now) {
            self.make_report().await;
        }
        Ok(())
    }

    /// The last report: when it was made, and its JSON.
    async fn last_report(&self, now: i64) -> Result<Option<(i64, String)>, store::Error> {
        self.store.report_before("9999", now).await
    }

    /// The day since the report before.
    async fn read_day(&self, config: &Config, status: &Status) -> Result<Day, store::Error> {
        let since = self.last_report(status.now).await?;
        let since = since.map(|(made_at, _)| made_at);
        let alarms = beside_mirrors(&self.alarms.all(), status);
        Day::read(&self.store, config, status, alarms, since).await
    }

    /// Makes the report of the day that ends now, keeps it, and has it sent.
    pub(crate) async fn make_report(&mut self) {
        let config = self.config.load_full();
        self.recorder.flush().await;
        let status = self.board.status(&config, self.now());
        let day = match self.read_day(&config, &status).await {
            Ok(day) => day,
            Err(error) => {
                tracing::error!(%error, "the daily report could not be made");
                return;
            }
        };
        let json = serde_json::to_value(&day).unwrap_or_default();
        let reported = Upkeep::Reported {
            day: day.day.to_string(),
            at: status.now,
            body: json.to_string(),
        };
        self.recorder.note(StoreEvent::Upkeep(reported));
        let thinned = Upkeep::Thinned { now: status.now };
        self.recorder.note(StoreEvent::Upkeep(thinned));
        self.metrics.report_made(status.now);
        let document = day.document(Detail::Brief);
        tracing::info!("{}", document.title());
        self.tell(Telling::report(Message {
            topic: Topic::Report,
            mirrors: Vec::new(),
            document,
            json,
        }));
    }
}
