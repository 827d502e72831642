//! The daily report: what a day brought and how it ends. One model; `Document` renders it.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    status::{
        document::{Document, Line, Severity, Table},
        format,
        mirror_status::{MirrorStatus, State, Status},
    },
    store::{self, Change, ChangeKind, Store, Sums},
};

const DAY: i64 = 24 * 3600;
/// Changes that a report keeps.
const CHANGES: i64 = 1000;
/// Changes that a short report names.
const NAMED: usize = 5;
/// Most seconds since the report of the day before.
const YESTERDAY: i64 = 36 * 3600;

/// What a day brought.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Day {
    /// The day on which it ends, in the config's zone.
    pub day: NaiveDate,
    /// Its start and its end, in seconds since 1970.
    pub from: i64,
    /// See `from`.
    pub to: i64,
    /// The zone of the times.
    pub timezone: String,
    /// Mirrors.
    pub mirrors: usize,
    /// Mirrors that lag no more than `max_lag`, of those whose source was compared lately.
    pub within_objective: usize,
    /// Mirrors that lag more than `max_lag`.
    #[serde(default)]
    pub late: usize,
    /// Mirrors whose last run failed in part or in whole.
    #[serde(default)]
    pub failing: usize,
    /// Mirrors whose source was not compared for several intervals.
    #[serde(default)]
    pub stale: usize,
    /// Mirrors that no run has ever left equal to their source.
    #[serde(default)]
    pub never_in_sync: usize,
    /// Tags that verification found damaged, and that no run has brought again.
    #[serde(default)]
    pub damaged: u64,
    /// Trouble with mirrors, worst first.
    pub troubles: Vec<MirrorTrouble>,
    /// Trouble with registries, the disk and the config.
    pub alarms: Vec<String>,
    /// Changes by kind: how many.
    pub counts: ChangeCounts,
    /// Changes, newest first.
    pub changes: Vec<ChangeLine>,
    /// What the runs did.
    pub work: Work,
    /// The work of the day before, if it is known.
    pub yesterday: Option<Work>,
    /// The next runs: mirror and time.
    pub next: Vec<(String, i64)>,
}

/// A mirror that is behind, damaged, failing or stale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MirrorTrouble {
    pub mirror: String,
    pub state: String,
    pub lag_seconds: i64,
    pub behind: u64,
    pub last_success: Option<i64>,
    pub reason: Option<String>,
}

/// Changes by kind.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ChangeCounts {
    pub new: u64,
    pub moved: u64,
    pub removed: u64,
    pub healed: u64,
    #[serde(default)]
    pub damaged: u64,
    #[serde(default)]
    pub repaired: u64,
    #[serde(default)]
    pub pruned: u64,
}

/// One change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangeLine {
    pub at: i64,
    pub kind: ChangeKind,
    pub reference: String,
    pub old_digest: Option<String>,
    pub new_digest: Option<String>,
}

/// What runs did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Work {
    pub runs: u64,
    pub failed_runs: u64,
    pub copied_tags: u64,
    pub uploaded_bytes: u64,
    pub saved_bytes: u64,
    pub throttled: u64,
}

/// How much a rendering shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Three lines, if nothing needs attention.
    Brief,
    /// Everything.
    Full,
}

impl Day {
    /// The day that ends now. It began `since`, when the one before ended, or 24 hours ago. It never
    /// covers more than two days. `alarms` are the messages of those that are about no mirror.
    pub async fn read(
        store: &Store,
        config: &Config,
        status: &Status,
        alarms: Vec<String>,
        since: Option<i64>,
    ) -> Result<Self, store::Error> {
        let to = status.now;
        let from = since.unwrap_or(to - DAY).clamp(to - 2 * DAY, to);
        let zone = config.timezone;
        let end = DateTime::<Utc>::from_timestamp(to, 0).unwrap_or_default();
        let day = end.with_timezone(&zone).date_naive();
        let changes = store.changes(None, from, to + 1, CHANGES).await?;
        let before = store.report_before(&day.to_string(), to).await?;
        let before = before.filter(|(made_at, _)| to - made_at < YESTERDAY);
        let before = before.and_then(|(_, body)| serde_json::from_str::<Self>(&body).ok());
        let count = |is_counted: &dyn Fn(&MirrorStatus) -> bool| {
            let mirrors = status.mirrors.iter();
            mirrors.filter(|mirror| is_counted(mirror)).count()
        };
        let mut alarms = alarms;
        alarms.extend(store.set_aside(from, to + 1).iter().map(replaced));
        Ok(Self {
            day,
            from,
            to,
            timezone: zone.name().into(),
            mirrors: status.mirrors.len(),
            within_objective: count(&|mirror| {
                mirror.last_success.is_some()
                    && mirror.is_within_objective()
                    && mirror.is_compared(to)
            }),
            late: count(&|mirror| !mirror.is_within_objective()),
            failing: count(&|mirror| mirror.state == State::Failing),
            stale: count(&|mirror| mirror.is_stale(to)),
            never_in_sync: status.never_in_sync(),
            damaged: status.mirrors.iter().map(MirrorStatus::damaged_tags).sum(),
            troubles: troubles(status),
            alarms,
            counts: counts(&store.change_counts(from, to + 1).await?),
            changes: changes.into_iter().map(line).collect(),
            work: work(&store.sums(from, to + 1).await?),
            yesterday: before.map(|before| before.work),
            next: next(status),
        })
    }

    /// How serious it is.
    pub fn mood(&self) -> Severity {
        let failed = self.late + self.stale;
        if failed > 0 || !self.alarms.is_empty() {
            Severity::Bad
        } else if self.troubles.is_empty() {
            Severity::Good
        } else {
            Severity::Warning
        }
    }

    /// The report as a document.
    pub fn document(&self, detail: Detail) -> Document {
        let zone: Tz = self.timezone.parse().unwrap_or(Tz::UTC);
        let mut document = Document::new(self.verdict(), self.mood());
        let section = document.add_section();
        for alarm in &self.alarms {
            section.line(Line::default().bold(alarm));
        }
        section.line(self.work_line()).line(self.next_line(zone));
        if !self.troubles.is_empty() {
            document
                .add_headed("Behind, damaged, failing or stale")
                .table(self.trouble_table(zone));
        }
        let (found, others): (Vec<&ChangeLine>, Vec<_>) =
            self.changes.iter().partition(|change| change.is_finding());
        for (head, changes) in [("Found and repaired", found), ("Changes", others)] {
            if detail == Detail::Full && !changes.is_empty() {
                document
                    .add_headed(head)
                    .table(change_table(&changes, zone));
            }
        }
        document
    }

    fn verdict(&self) -> String {
        let all = format::count(self.mirrors as u64, "mirror");
        let day = self.day;
        let damaged = match self.damaged {
            0 => String::new(),
            tags => format!(", {} damaged", format::count(tags, "tag")),
        };
        let counts = [
            (self.late, "late"),
            (self.failing, "failing"),
            (self.stale, "stale"),
            (self.never_in_sync, "never in sync"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let mut counts: Vec<String> = counts.map(|(n, word)| format!("{n} {word}")).collect();
        if let Some(first) = counts.first_mut() {
            *first = first.replacen(' ', &format!(" of {all} "), 1);
        }
        let verdict = match (counts.is_empty(), self.troubles.len()) {
            (false, _) => counts.join(", "),
            (true, 0) => format!("{all}, all in sync"),
            (true, others) => format!("{all}, all within their objective, {others} to look at"),
        };
        format!("{day}: {verdict}{damaged}")
    }

    fn work_line(&self) -> String {
        let Work {
            runs,
            failed_runs,
            uploaded_bytes,
            saved_bytes,
            throttled,
            ..
        } = &self.work;
        let mut parts = vec![format::count(*runs, "run")];
        if *failed_runs > 0 {
            parts[0].push_str(&format!(", {failed_runs} of them with failures"));
        }
        parts.push(self.change_words());
        let mut sent = format!(
            "sent {}, saved {} by dedup",
            format::bytes(*uploaded_bytes),
            format::bytes(*saved_bytes)
        );
        if let Some(before) = &self.yesterday {
            sent.push_str(&format!(
                " (the day before: {} in {})",
                format::bytes(before.uploaded_bytes),
                format::count(before.runs, "run")
            ));
        }
        parts.push(sent);
        if *throttled > 0 {
            parts.push(format!(
                "{} asked to slow down",
                format::count(*throttled, "answer")
            ));
        }
        parts.join("; ")
    }

    fn change_words(&self) -> String {
        let ChangeCounts {
            new,
            moved,
            removed,
            healed,
            damaged,
            repaired,
            pruned,
        } = self.counts;
        let kinds = [
            ("new", new),
            ("moved", moved),
            ("removed", removed),
            ("healed", healed),
            ("found damaged", damaged),
            ("repaired", repaired),
            ("pruned", pruned),
        ];
        let kinds = kinds.iter().filter(|(_, count)| *count > 0);
        let kinds: Vec<String> = kinds
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        if kinds.is_empty() {
            return "no tag changed".into();
        }
        let mut changes: Vec<&ChangeLine> = self.changes.iter().collect();
        changes.sort_by_key(|change| change.rank());
        let named = changes.iter().take(NAMED).map(|change| change.words());
        let mut named: Vec<String> = named.collect();
        if changes.len() > NAMED {
            named.push("…".into());
        }
        format!("tags: {} ({})", kinds.join(", "), named.join(", "))
    }

    fn next_line(&self, zone: Tz) -> String {
        match self.next.first() {
            None => "no run is scheduled".into(),
            Some((mirror, at)) => format!(
                "next run: {mirror} at {} {}",
                format::clock(*at, zone),
                zone.name()
            ),
        }
    }

    fn trouble_table(&self, zone: Tz) -> Table {
        let mut table = Table::new(["mirror", "state", "lag", "behind", "last success", "reason"]);
        for trouble in &self.troubles {
            let lag = match trouble.lag_seconds {
                0 => "-".into(),
                lag => format::duration(lag),
            };
            let success = trouble
                .last_success
                .map_or("never".into(), |at| format::time(at, zone));
            let reason = trouble.reason.clone().unwrap_or_default();
            table.row([
                &trouble.mirror,
                &trouble.state,
                &lag,
                &trouble.behind.to_string(),
                &success,
                &reason,
            ]);
        }
        table
    }
}

impl ChangeLine {
    /// Whether verification found it, or it was put right after that.
    fn is_finding(&self) -> bool {
        matches!(self.kind, ChangeKind::Damaged | ChangeKind::Repaired)
    }

    /// The order of changes: moved tags come first.
    fn rank(&self) -> usize {
        match self.kind {
            ChangeKind::Moved => 0,
            ChangeKind::Damaged => 1,
            ChangeKind::Repaired => 2,
            ChangeKind::Removed => 3,
            ChangeKind::Pruned => 4,
            ChangeKind::Healed => 5,
            ChangeKind::New => 6,
            ChangeKind::Reshaped => 7,
        }
    }

    fn words(&self) -> String {
        let short = format::short_digest;
        match (&self.old_digest, &self.new_digest) {
            (Some(old), Some(new)) => {
                format!("{} {} -> {}", self.reference, short(old), short(new))
            }
            _ if self.kind == ChangeKind::New => self.reference.clone(),
            _ => format!("{} {}", self.reference, self.kind),
        }
    }
}

fn change_table(changes: &[&ChangeLine], zone: Tz) -> Table {
    let mut table = Table::new(["time", "change", "image", "from", "to"]);
    let short = |digest: &Option<String>| {
        digest
            .as_deref()
            .map(format::short_digest)
            .unwrap_or("-")
            .to_owned()
    };
    for change in changes {
        table.row([
            format::time(change.at, zone).as_str(),
            change.kind.as_str(),
            &change.reference,
            &short(&change.old_digest),
            &short(&change.new_digest),
        ]);
    }
    table
}

fn troubles(status: &Status) -> Vec<MirrorTrouble> {
    let mirrors = status.worst_first().into_iter();
    let in_trouble =
        mirrors.filter(|mirror| mirror.state != State::InSync || mirror.is_stale(status.now));
    in_trouble
        .map(|mirror| trouble(mirror, status.now))
        .collect()
}

fn trouble(mirror: &MirrorStatus, now: i64) -> MirrorTrouble {
    let state = match mirror.is_stale(now) {
        true => format!("{}, stale", mirror.state.as_str()),
        false => mirror.state.as_str().to_owned(),
    };
    let damage = || match mirror.damaged_tags() {
        0 => None,
        tags => {
            let tags = format::count(tags, "tag");
            Some(format!(
                "verify found {tags} damaged; the next sync brings them again"
            ))
        }
    };
    let of_tag = || mirror.behind.iter().find_map(|tag| tag.message.clone());
    MirrorTrouble {
        mirror: mirror.name.to_string(),
        state,
        lag_seconds: mirror.lag_seconds,
        behind: mirror.behind_tags(),
        last_success: mirror.last_success,
        reason: mirror.last_error.clone().or_else(of_tag).or_else(damage),
    }
}

/// The line about a damaged store that was replaced.
fn replaced(aside: &String) -> String {
    format!("the store was damaged: a new one is rebuilt from the targets; the old is {aside}")
}

fn counts(counted: &[(ChangeKind, u64)]) -> ChangeCounts {
    let of = |kind: ChangeKind| {
        let found = counted.iter().find(|(known, _)| *known == kind);
        found.map_or(0, |(_, count)| *count)
    };
    ChangeCounts {
        new: of(ChangeKind::New),
        moved: of(ChangeKind::Moved),
        removed: of(ChangeKind::Removed),
        healed: of(ChangeKind::Healed),
        damaged: of(ChangeKind::Damaged),
        repaired: of(ChangeKind::Repaired),
        pruned: of(ChangeKind::Pruned),
    }
}

fn line(change: Change) -> ChangeLine {
    ChangeLine {
        at: change.at,
        reference: format!("{}:{}", change.target, change.tag),
        kind: change.kind,
        old_digest: change.old_digest,
        new_digest: change.new_digest,
    }
}

fn work(sums: &Sums) -> Work {
    Work {
        runs: sums.runs,
        failed_runs: sums.runs - sums.ok.min(sums.runs),
        copied_tags: sums.copied,
        uploaded_bytes: sums.uploaded_bytes,
        saved_bytes: sums.saved_bytes,
        throttled: sums.throttled,
    }
}

fn next(status: &Status) -> Vec<(String, i64)> {
    let next = |mirror: &MirrorStatus| Some((mirror.name.to_string(), mirror.next_run?));
    let mut runs: Vec<(String, i64)> = status.mirrors.iter().filter_map(next).collect();
    runs.sort_by_key(|(_, at)| *at);
    runs.truncate(10);
    runs
}

#[cfg(test)]
mod tests;
