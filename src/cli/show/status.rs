//! `transship status`: how every mirror stands, by the store.

use chrono::Utc;
use chrono_tz::Tz;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{
    cli::{Exit, Global, context, output},
    daemon::Holder,
    status::{self, MirrorStatus, RunState, State, StoredStatus},
    store::{RunResult, Store},
};

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Which mirrors; default: all
    mirrors: Vec<String>,
    /// Show only mirrors in these states
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    state: Vec<StateName>,
    /// Show targets, times and tags of every mirror; the default for a single one
    #[arg(long)]
    long: bool,
    /// Exit with 4 if a mirror is behind, damaged, failing, unfinished or never synced
    #[arg(long)]
    exit_code: bool,
}

/// A state on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StateName {
    InSync,
    Behind,
    Damaged,
    Failing,
    Unfinished,
    NeverSynced,
}

impl StateName {
    fn is(self, state: State) -> bool {
        let own = match self {
            Self::InSync => State::InSync,
            Self::Behind => State::Behind,
            Self::Damaged => State::Damaged,
            Self::Failing => State::Failing,
            Self::Unfinished => State::Unfinished,
            Self::NeverSynced => State::NeverSynced,
        };
        own == state
    }
}

impl StatusArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::known_config(global).await?;
        let mirrors = context::mirrors(&config, &self.mirrors)?;
        let store = Store::open_existing(&config.state_path).await?;
        let holder = Holder::of(&config.state_path);
        let now = Utc::now().timestamp();
        let mut status = status::Status {
            now,
            mirrors: Vec::new(),
            clusters: Vec::new(),
        };
        for mirror in &mirrors {
            let known = match &store {
                Some(store) => StoredStatus::read(store, &mirror.name, now).await?,
                None => StoredStatus::default(),
            };
            let mut stands = known.at(&config, mirror, now);
            if stands.is_under_way {
                stands.last_result = Some(RunState::Running);
            }
            if holder == Holder::None {
                stands.next_run = None;
            }
            status.mirrors.push(stands);
        }
        let others = status.others();
        let is_shown = |mirror: &MirrorStatus| {
            self.state.is_empty() || self.state.iter().any(|state| state.is(mirror.state))
        };
        if global.json {
            status.mirrors.retain(is_shown);
            let mut printed = json!(status);
            printed["daemon"] = daemon_json(&holder);
            printed["store"] = json!({ "path": config.state_path, "exists": store.is_some() });
            output::json(&printed)?;
        } else {
            print_verdict(&status)?;
            if store.is_none() {
                let path = config.state_path.display();
                output::line(&format!("no store at {path}: nothing ran here yet"))?;
            }
            daemon_line(&holder).map_or(Ok(()), |line| output::line(&line))?;
            status.mirrors.retain(is_shown);
            self.print_mirrors(&status, config.timezone)?;
        }
        Ok(match self.exit_code && others > 0 {
            true => Exit::Differences,
            false => Exit::Ok,
        })
    }

    fn print_mirrors(&self, status: &status::Status, zone: Tz) -> anyhow::Result<()> {
        let mut mirrors = status.worst_first().into_iter();
        if self.long || mirrors.len() == 1 {
            return mirrors.try_for_each(|mirror| print(mirror, status.now, zone));
        }
        let names = status.mirrors.iter();
        let names = names.map(|mirror| mirror.name.chars().count());
        let width = names.max().unwrap_or(0);
        mirrors.try_for_each(|mirror| {
            let state = mirror.state.as_str();
            let line = format!(
                "{state:12}  {:width$}  {}",
                mirror.name,
                summary(mirror, status.now)
            );
            output::line(line.trim_end())
        })
    }
}

/// The most important of a mirror, in a few words.
fn summary(mirror: &MirrorStatus, now: i64) -> String {
    let mut parts = Vec::new();
    let behind = mirror.targets.iter().map(|target| target.behind).max();
    if let Some(behind) = behind.filter(|behind| *behind > 0) {
        let lag = output::duration(mirror.lag_seconds);
        parts.push(format!("{behind} behind for {lag}"));
    }
    if let Some(damaged) = mirror.targets.iter().map(|target| target.damaged).max()
        && damaged > 0
    {
        parts.push(format!("{damaged} damaged"));
    }
    match mirror.last_success {
        Some(at) => parts.push(format!("last success {}", output::ago(at, now))),
        None if mirror.state != State::NeverSynced => parts.push("no success yet".into()),
        None => {}
    }
    if mirror.paused {
        parts.push("paused".into());
    }
    if let (State::Failing | State::Behind | State::Unfinished, Some(error)) =
        (mirror.state, &mirror.last_error)
    {
        parts.push(error.clone());
    }
    parts.join("; ")
}

/// Whether a daemon runs, for people; nothing where that is unknown.
pub(crate) fn daemon_line(holder: &Holder) -> Option<String> {
    Some(match holder {
        Holder::Running { process, .. } => format!("daemon: running, process {process}"),
        Holder::None => {
            "daemon: not running, so no run is scheduled; start `transship serve`".into()
        }
        Holder::Unknown => return None,
    })
}

fn daemon_json(holder: &Holder) -> Value {
    match holder {
        Holder::Running { process, .. } => json!({ "is_running": true, "process": process }),
        Holder::None => json!({ "is_running": false, "process": null }),
        Holder::Unknown => Value::Null,
    }
}

fn print_verdict(status: &status::Status) -> anyhow::Result<()> {
    let all = output::count(status.mirrors.len() as u64, "mirror");
    output::line(&match status.others() {
        0 => format!("{all}, all in sync"),
        _ => format!("{all}, {}", counts(status)),
    })
}

/// How many mirrors are in each state, such as `1 failing, 2 in sync`.
fn counts(status: &status::Status) -> String {
    let counts = State::WORST_FIRST.iter().filter_map(|state| {
        let alike = status
            .mirrors
            .iter()
            .filter(|mirror| mirror.state == *state);
        let count = alike.count();
        (count > 0).then(|| format!("{count} {}", state.as_str()))
    });
    counts.collect::<Vec<_>>().join(", ")
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
