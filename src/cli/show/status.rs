//! `transship status`: how every mirror stands, by the store.

use chrono::Utc;
use chrono_tz::Tz;

use crate::{
    cli::{Exit, Global, context, output},
    status::{self, Known, MirrorStatus, RunState},
    store::{RunResult, Store},
};

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Which mirrors; default: all
    mirrors: Vec<String>,
    /// End with 4 when a mirror is behind, damaged, failing, cut off or never synced
    #[arg(long)]
    exit_code: bool,
}

impl StatusArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config_without_secrets(global)?;
        let mirrors = context::mirrors(&config, &self.mirrors)?;
        let store = Store::open_existing(&config.state_path).await?;
        let now = Utc::now().timestamp();
        let mut known = Vec::new();
        for mirror in &mirrors {
            known.push(match &store {
                Some(store) => Known::read(store, &mirror.name, now).await?,
                None => Known::default(),
            });
        }
        let all = mirrors.iter().zip(&known);
        let status = status::Status {
            now,
            mirrors: all
                .map(|(mirror, known)| {
                    let mut status = known.at(&config, mirror, now);
                    if status.is_under_way {
                        status.last_result = Some(RunState::Running);
                    }
                    status
                })
                .collect(),
        };
        if global.json {
            output::json(&status)?;
        } else {
            print_verdict(&status)?;
            let mut mirrors = status.mirrors.iter();
            mirrors.try_for_each(|mirror| print(mirror, now, config.timezone))?;
        }
        Ok(match self.exit_code && status.others() > 0 {
            true => Exit::Differences,
            false => Exit::Ok,
        })
    }
}

fn print_verdict(status: &status::Status) -> anyhow::Result<()> {
    let all = output::count(status.mirrors.len() as u64, "mirror");
    output::line(&match status.others() {
        0 => format!("{all}, all in sync"),
        others => {
            format!("{all}, {others} of them behind, damaged, failing, cut off or never synced")
        }
    })
}

fn print(status: &MirrorStatus, now: i64, zone: Tz) -> anyhow::Result<()> {
    output::line(&format!("\n{}: {}", status.name, status.state.as_str()))?;
    for target in &status.targets {
        let tags = output::count(target.tags, "tag");
        let lag = match (target.behind, target.lag_upper_seconds) {
            (0, Some(upper)) => format!("equal {} ago", output::duration(upper)),
            (0, None) => "never proved equal".into(),
            (behind, _) => format!(
                "{behind} behind, for {}",
                output::duration(target.lag_seconds)
            ),
        };
        let orphaned = match target.orphaned {
            0 => String::new(),
            count => format!(", {count} no longer at the source"),
        };
        let damaged = match target.damaged {
            0 => String::new(),
            count => format!(", {count} damaged"),
        };
        output::line(&format!(
            "  {}: {tags}, {lag}{orphaned}{damaged}",
            target.target
        ))?;
    }
    let ago = |at: i64| format!("{} ({})", output::time(at, zone), output::ago(at, now));
    if let Some(at) = status.last_success {
        output::line(&format!("  last success  {}", ago(at)))?;
    }
    if let (Some(at), Some(result)) = (status.last_attempt, status.last_result)
        && result != RunState::Ended(RunResult::Ok)
    {
        output::line(&format!("  last attempt  {}: {}", ago(at), result.as_str()))?;
    }
    if let Some(error) = &status.last_error {
        output::line(&format!("  reason        {error}"))?;
    }
    if status.paused {
        output::line("  next run      none: it is paused")?;
    } else if let Some(at) = status.next_run {
        let left = output::duration(at - now);
        output::line(&format!(
            "  next run      {} (in {left})",
            output::time(at, zone)
        ))?;
    }
    print_tags(status, zone)
}

fn print_tags(status: &MirrorStatus, zone: Tz) -> anyhow::Result<()> {
    for tag in &status.behind {
        let lag = output::duration(tag.lag_seconds);
        let reason = tag.message.as_deref().unwrap_or("not tried since");
        output::line(&format!(
            "  behind        {} for {lag}: {reason}",
            tag.reference
        ))?;
    }
    for tag in &status.damaged {
        let found = output::damaged(tag.damaged_at, zone);
        output::line(&format!("  damaged       {}: {found}", tag.reference))?;
    }
    Ok(())
}
