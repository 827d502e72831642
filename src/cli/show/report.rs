//! `transship report`: what the last 24 hours brought.

use std::sync::Arc;

use chrono::Utc;
use clap::ValueEnum;

use crate::{
    alarms::{Alarm, beside_mirrors},
    cli::{Exit, Global, Refusal, context, output, show::status::daemon_line},
    config::{Config, Topic},
    daemon::Holder,
    locales::{Language, Localized},
    metrics::Metrics,
    notify::{Audience, Message, Notifier},
    status::{self, Day, Detail, StoredStatus},
    store::Store,
};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Send it to the channels of [report], too
    #[arg(long)]
    send: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    Text,
    /// Markdown
    Md,
    /// A fragment of HTML
    Html,
    /// For programs
    Json,
}

impl ReportArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = match self.send {
            true => context::config_with_demand(global).await?,
            false => context::known_config(global).await?.into(),
        };
        let Some(store) = Store::open_existing(&config.state_path).await? else {
            let said = "there is nothing to report";
            let path = config.state_path.display().to_string();
            return Err(Refusal::NoStore { said, path }.into());
        };
        let holder = Holder::of(&config.state_path);
        let status = read_status(&store, &config, &holder).await?;
        let alarms: Vec<Alarm> = store
            .alarms()
            .await?
            .iter()
            .filter_map(Alarm::from_record)
            .collect();
        let alarms = beside_mirrors(&alarms, &status);
        let day = Day::read(&store, &config, &status, alarms, None).await?;
        let language = config.report.language;
        if !self.send {
            self.print(&day, language, global)?;
            if let (Format::Text, false, Some(line)) =
                (self.format, global.json, daemon_line(&holder))
            {
                output::line(&line)?;
            }
            return Ok(Exit::Ok);
        }
        let notifier = Notifier::new(&config, Arc::new(Metrics::new()?))?;
        self.print(&day, language, global)?;
        let message = Message {
            topic: Topic::Report,
            audience: Audience::Everyone,
            document: Localized::new(|language| day.document(Detail::Brief, language)),
            json: serde_json::to_value(&day)?,
        };
        let deliveries = notifier.deliver(&message).await;
        let failed = deliveries
            .iter()
            .filter(|delivery| delivery.result.is_err());
        Ok(match (failed.count(), deliveries.len()) {
            (0, _) => Exit::Ok,
            (failed, all) if failed < all => Exit::SomeFailed,
            _ => Exit::AllFailed,
        })
    }

    fn print(&self, day: &Day, language: Language, global: &Global) -> anyhow::Result<()> {
        let text = match self.format {
            Format::Json => return output::json(day),
            _ if global.json => return output::json(day),
            Format::Text => day.document(Detail::Brief, language).to_text(),
            Format::Md => day.document(Detail::Full, language).to_markdown(),
            Format::Html => day.document(Detail::Full, language).to_html(),
        };
        output::line(text.trim_end())
    }
}

/// How all mirrors stand, by the store. Without a daemon there is no next run.
async fn read_status(
    store: &Store,
    config: &Config,
    holder: &Holder,
) -> anyhow::Result<status::Status> {
    let now = Utc::now().timestamp();
    let mut mirrors = Vec::new();
    for mirror in &config.mirrors {
        let known = StoredStatus::read(store, &mirror.name, now).await?;
        let mut stands = known.at(config, mirror, now);
        if *holder == Holder::None {
            stands.next_run = None;
        }
        mirrors.push(stands);
    }
    Ok(status::Status {
        now,
        mirrors,
        clusters: status::read_clusters(store, config, now).await?,
    })
}
