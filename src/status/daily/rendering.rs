//! The daily report as a document, in a language.

use chrono_tz::Tz;

use crate::{
    locales::{Language, words::ReportWords},
    status::{
        daily::{ChangeCounts, ChangeLine, Day, Detail, MirrorTrouble, PullDay, Work},
        document::{Document, Line, Table},
        format,
        mirror_status::State,
    },
    store::ChangeKind,
};

/// Changes that a short report names.
const NAMED: usize = 5;

impl Day {
    /// The report as a document.
    pub fn document(&self, detail: Detail, language: Language) -> Document {
        let zone: Tz = self.timezone.parse().unwrap_or(Tz::UTC);
        let words = &language.words().report;
        let mut document = Document::new(self.verdict(language), self.mood());
        let section = document.add_section();
        for alarm in &self.alarms {
            section.line(Line::default().bold(alarm.get(language)));
        }
        section.line(self.work_line(language));
        section.line(self.next_line(zone, words));
        if let Some(pulls) = &self.pulls {
            section.line(pulls.words(language));
        }
        if !self.workers.is_empty() {
            document
                .add_headed(words.workers)
                .table(self.worker_table(language));
        }
        if !self.troubles.is_empty() {
            document
                .add_headed(words.troubles)
                .table(self.trouble_table(zone, language));
        }
        if !self.clusters.is_empty() {
            document
                .add_headed(language.words().coverage.title)
                .table(self.cluster_table(zone, language));
        }
        let (found, others): (Vec<&ChangeLine>, Vec<_>) =
            self.changes.iter().partition(|change| change.is_finding());
        for (head, changes) in [(words.found, found), (words.changes, others)] {
            if detail == Detail::Full && !changes.is_empty() {
                document
                    .add_headed(head)
                    .table(change_table(&changes, zone, language));
            }
        }
        document
    }

    fn verdict(&self, language: Language) -> String {
        let words = &language.words().report;
        let all = language.words().overview.mirrors(self.mirrors as u64);
        let counts = [
            (self.late, words.late),
            (self.failing, words.failing),
            (self.stale, words.stale),
            (self.never_in_sync, words.never_in_sync),
        ];
        let mut parts = Vec::new();
        for (count, state) in counts.into_iter().filter(|(count, _)| *count > 0) {
            parts.push(match parts.is_empty() {
                true => words.of_all(count, &all, state),
                false => words.count(count, state),
            });
        }
        if parts.is_empty() {
            parts.push(match self.troubles.len() {
                0 => words.in_sync(all),
                others => words.within(all, others),
            });
        }
        if self.damaged > 0 {
            parts.push(words.damaged(language.words().overview.tags(self.damaged)));
        }
        words.verdict(self.day, parts.join(words.comma))
    }

    fn work_line(&self, language: Language) -> String {
        let words = &language.words().report;
        let Work {
            runs,
            failed_runs,
            uploaded_bytes,
            saved_bytes,
            throttled,
            ..
        } = &self.work;
        let runs = words.runs(*runs);
        let mut parts = vec![match failed_runs {
            0 => runs,
            failed => words.failed_runs(runs, failed),
        }];
        parts.push(self.change_words(language));
        let mut sent = words.sent(format::bytes(*uploaded_bytes), format::bytes(*saved_bytes));
        if let Some(before) = &self.yesterday {
            let runs = words.runs(before.runs);
            sent.push_str(&words.before(format::bytes(before.uploaded_bytes), runs));
        }
        parts.push(sent);
        if *throttled > 0 {
            parts.push(words.slowed(*throttled));
        }
        parts.join(words.semicolon)
    }

    fn change_words(&self, language: Language) -> String {
        let words = &language.words().report;
        let kinds = &language.words().kind;
        let ChangeCounts {
            new,
            moved,
            removed,
            healed,
            damaged,
            repaired,
            pruned,
        } = self.counts;
        let counts = [
            (kinds.new, new),
            (kinds.moved, moved),
            (kinds.removed, removed),
            (kinds.healed, healed),
            (words.found_damaged, damaged),
            (kinds.repaired, repaired),
            (kinds.pruned, pruned),
        ];
        let counts = counts.iter().filter(|(_, count)| *count > 0);
        let counts: Vec<String> = counts
            .map(|(kind, count)| words.kind(count, kind))
            .collect();
        if counts.is_empty() {
            return words.no_change.into();
        }
        let mut changes: Vec<&ChangeLine> = self.changes.iter().collect();
        changes.sort_by_key(|change| change.rank());
        let named = changes.iter().take(NAMED);
        let mut named: Vec<String> = named.map(|change| change.words(language)).collect();
        if changes.len() > NAMED {
            named.push("…".into());
        }
        words.tags_changed(counts.join(words.comma), named.join(words.comma))
    }

    fn next_line(&self, zone: Tz, words: &ReportWords) -> String {
        match self.next.first() {
            None => words.no_next.into(),
            Some((mirror, at)) => words.next(mirror, format::clock(*at, zone), zone.name()),
        }
    }

    fn trouble_table(&self, zone: Tz, language: Language) -> Table {
        let words = &language.words().report;
        let mut table = Table::new([
            words.mirror,
            words.state,
            words.lag,
            words.behind,
            words.last_success,
            words.reason,
        ]);
        for trouble in &self.troubles {
            let lag = match trouble.lag_seconds {
                0 => "-".into(),
                lag => language.duration(lag),
            };
            let success = trouble
                .last_success
                .map_or(words.never.into(), |at| format::time(at, zone));
            table.row([
                &trouble.mirror,
                &trouble.state(language),
                &lag,
                &trouble.behind.to_string(),
                &success,
                &trouble.reason(language),
            ]);
        }
        table
    }

    fn worker_table(&self, language: Language) -> Table {
        let words = &language.words().report;
        let mut table = Table::new([
            words.worker,
            words.worker_runs,
            words.worker_failed,
            words.worker_copied,
            words.worker_sent,
        ]);
        for line in &self.workers {
            table.row([
                line.worker.clone(),
                line.work.runs.to_string(),
                line.work.failed_runs.to_string(),
                line.work.copied_tags.to_string(),
                format::bytes(line.work.uploaded_bytes),
            ]);
        }
        table
    }

    fn cluster_table(&self, zone: Tz, language: Language) -> Table {
        let words = &language.words().coverage;
        let mut table = Table::new([
            words.cluster,
            words.image,
            words.not_mirrored,
            words.not_at_target,
            words.other_digest,
            words.damaged,
            words.behind,
            words.list,
        ]);
        for line in &self.clusters {
            table.row([
                line.cluster.clone(),
                line.images.to_string(),
                line.not_mirrored.to_string(),
                line.not_at_target.to_string(),
                line.other_digest.to_string(),
                line.damaged.to_string(),
                line.behind.to_string(),
                format::time(line.received_at, zone),
            ]);
        }
        table
    }
}

impl PullDay {
    fn words(&self, language: Language) -> String {
        let words = language.words();
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        let pulls = words.pulls.pulls(count(self.sums.counts.served()));
        let saved = format::bytes(count(self.saved_bytes));
        let verdict = words.pulls.verdict(pulls, saved);
        let refused = match self.refused.is_empty() {
            true => String::new(),
            false => {
                let names = self.refused.join(words.report.comma);
                words.report.pulls_refused(names)
            }
        };
        words.report.pulled(verdict, refused)
    }
}

impl MirrorTrouble {
    fn state(&self, language: Language) -> String {
        let words = language.words();
        let Some(state) = self.standing else {
            return self.state.clone();
        };
        let state = match state {
            State::InSync => words.state.in_sync,
            State::Behind => words.state.behind,
            State::Damaged => words.state.damaged,
            State::Failing => words.state.failing,
            State::Unfinished => words.state.unfinished,
            State::NeverSynced => words.state.never_synced,
        };
        match self.is_stale {
            true => [state, words.report.stale].join(words.report.comma),
            false => state.to_owned(),
        }
    }

    fn reason(&self, language: Language) -> String {
        let class = self.class.as_deref().and_then(|class| class.parse().ok());
        match (&self.reason, self.damaged) {
            (Some(message), _) => language.error(class, message),
            (None, 0) => String::new(),
            (None, tags) => {
                let tags = language.words().overview.tags(tags);
                language.words().report.verify_found(tags)
            }
        }
    }
}

impl ChangeLine {
    fn words(&self, language: Language) -> String {
        let short = format::short_digest;
        match (&self.old_digest, &self.new_digest) {
            (Some(old), Some(new)) => {
                format!("{} {} -> {}", self.reference, short(old), short(new))
            }
            _ if self.kind == ChangeKind::New => self.reference.clone(),
            _ => format!("{} {}", self.reference, kind(self.kind, language)),
        }
    }
}

fn kind(kind: ChangeKind, language: Language) -> &'static str {
    let words = &language.words().kind;
    match kind {
        ChangeKind::New => words.new,
        ChangeKind::Moved => words.moved,
        ChangeKind::Removed => words.removed,
        ChangeKind::Healed => words.healed,
        ChangeKind::Reshaped => words.reshaped,
        ChangeKind::Damaged => words.damaged,
        ChangeKind::Repaired => words.repaired,
        ChangeKind::Pruned => words.pruned,
    }
}

fn change_table(changes: &[&ChangeLine], zone: Tz, language: Language) -> Table {
    let words = &language.words().report;
    let mut table = Table::new([words.time, words.change, words.image, words.from, words.to]);
    let short = |digest: &Option<String>| {
        let digest = digest.as_deref().map(format::short_digest);
        digest.unwrap_or("-").to_owned()
    };
    for change in changes {
        table.row([
            format::time(change.at, zone).as_str(),
            kind(change.kind, language),
            &change.reference,
            &short(&change.old_digest),
            &short(&change.new_digest),
        ]);
    }
    table
}
