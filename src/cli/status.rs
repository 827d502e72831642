//! `transship status`: how every mirror stands, by the store.

use chrono::Utc;
use chrono_tz::Tz;
use serde::Serialize;

use super::{Exit, Global, open, text};
use crate::{
    store::{BehindTag, RunRecord, Store},
    sync::Lag,
};

/// Tags that are behind and named, for each mirror.
const NAMED: i64 = 10;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// Which mirrors; default: all
    mirrors: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MirrorStatus {
    name: String,
    state: &'static str,
    targets: Vec<TargetStatus>,
    last_success: Option<i64>,
    last_attempt: Option<i64>,
    last_result: Option<String>,
    last_error: Option<String>,
    behind: Vec<Behind>,
}

#[derive(Debug, Serialize)]
struct TargetStatus {
    target: String,
    tags: u64,
    behind: u64,
    orphaned: u64,
    lag_seconds: i64,
    lag_upper_seconds: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Behind {
    source: String,
    reference: String,
    lag_seconds: i64,
    class: Option<String>,
    message: Option<String>,
}

impl Status {
    pub(super) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = open::config(global)?;
        let mirrors = open::mirrors(&config, &self.mirrors)?;
        let store = Store::open_existing(&config.state_path).await?;
        let now = Utc::now().timestamp();
        let mut statuses = Vec::new();
        for mirror in mirrors {
            statuses.push(match &store {
                Some(store) => read(store, &mirror.name, now).await?,
                None => MirrorStatus::never(&mirror.name),
            });
        }
        if global.json {
            text::json(&serde_json::json!({ "now": now, "mirrors": statuses }))?;
        } else {
            print_verdict(&statuses)?;
            statuses
                .iter()
                .try_for_each(|status| print(status, now, config.timezone))?;
        }
        Ok(Exit::Ok)
    }
}

impl MirrorStatus {
    /// The status of a mirror of which nothing is known.
    fn never(name: &str) -> Self {
        Self {
            name: name.into(),
            state: state(None, &[]),
            targets: Vec::new(),
            last_success: None,
            last_attempt: None,
            last_result: None,
            last_error: None,
            behind: Vec::new(),
        }
    }
}

async fn read(store: &Store, name: &str, now: i64) -> anyhow::Result<MirrorStatus> {
    let (last, ok) = store.last_runs(name).await?;
    let targets: Vec<TargetStatus> = store
        .mirror(name)
        .await?
        .into_iter()
        .map(|state| {
            let lag = Lag::at(now, state.lagging_since, state.last_in_sync);
            TargetStatus {
                target: state.target,
                tags: state.tags,
                behind: state.behind,
                orphaned: state.orphaned,
                lag_seconds: lag.at_least,
                lag_upper_seconds: lag.at_most,
            }
        })
        .collect();
    let behind = store.behind(name, NAMED).await?;
    Ok(MirrorStatus {
        name: name.into(),
        state: state(last.as_ref(), &targets),
        targets,
        last_success: ok.map(|run| run.finished_at.unwrap_or(run.started_at)),
        last_attempt: last.as_ref().map(|run| run.started_at),
        last_result: last
            .as_ref()
            .map(|run| run.result.clone().unwrap_or("unfinished".into())),
        last_error: last.and_then(|run| run.error_message),
        behind: behind.into_iter().map(|tag| as_behind(tag, now)).collect(),
    })
}

fn as_behind(tag: BehindTag, now: i64) -> Behind {
    Behind {
        source: tag.source,
        reference: tag.reference,
        lag_seconds: Lag::at(now, Some(tag.lagging_since), None).at_least,
        class: tag.error_class,
        message: tag.error_message,
    }
}

fn state(last: Option<&RunRecord>, targets: &[TargetStatus]) -> &'static str {
    let is_behind = targets.iter().any(|target| target.behind > 0);
    match last.map(|run| run.result.as_deref()) {
        None => "never synced",
        Some(_) if is_behind => "behind",
        Some(Some("ok")) => "in sync",
        Some(None) => "unfinished",
        Some(Some(_)) => "failing",
    }
}

fn print_verdict(statuses: &[MirrorStatus]) -> anyhow::Result<()> {
    let in_sync = statuses
        .iter()
        .filter(|status| status.state == "in sync")
        .count();
    let all = text::count(statuses.len() as u64, "mirror");
    text::line(&match statuses.len() - in_sync {
        0 => format!("{all}, all in sync"),
        others => format!("{all}, {others} of them behind, failing or never synced"),
    })
}

fn print(status: &MirrorStatus, now: i64, zone: Tz) -> anyhow::Result<()> {
    text::line(&format!("\n{}: {}", status.name, status.state))?;
    for target in &status.targets {
        let tags = text::count(target.tags, "tag");
        let lag = match (target.behind, target.lag_upper_seconds) {
            (0, Some(upper)) => format!("equal {} ago", text::duration(upper)),
            (0, None) => "never proved equal".into(),
            (behind, _) => format!(
                "{behind} behind, for {}",
                text::duration(target.lag_seconds)
            ),
        };
        let orphaned = match target.orphaned {
            0 => String::new(),
            count => format!(", {count} no longer at the source"),
        };
        text::line(&format!("  {}: {tags}, {lag}{orphaned}", target.target))?;
    }
    let ago = |at: i64| {
        format!(
            "{} ({} ago)",
            text::time(at, zone),
            text::duration(now - at)
        )
    };
    if let Some(at) = status.last_success {
        text::line(&format!("  last success  {}", ago(at)))?;
    }
    if let (Some(at), Some(result)) = (status.last_attempt, &status.last_result)
        && result != "ok"
    {
        text::line(&format!("  last attempt  {}: {result}", ago(at)))?;
    }
    if let Some(error) = &status.last_error {
        text::line(&format!("  reason        {error}"))?;
    }
    for tag in &status.behind {
        let lag = text::duration(tag.lag_seconds);
        let reason = tag.message.as_deref().unwrap_or("not tried since");
        text::line(&format!(
            "  behind        {} for {lag}: {reason}",
            tag.reference
        ))?;
    }
    Ok(())
}
