//! The history of a mirror's lag: which part of a time it was in sync, and its curve.

use std::{collections::HashMap, sync::Arc};

use crate::{status::Status, store::LagChange};

/// The lag of a mirror over a span of time. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LagSpan {
    /// How long the lag was known.
    pub known_seconds: i64,
    /// How long nothing was known to differ.
    pub in_sync_seconds: i64,
    /// The worst lag.
    pub worst_seconds: i64,
    /// The worst lag in each of equal parts of the span, oldest first; `None` where it is unknown.
    pub columns: Vec<Option<i64>>,
}

impl LagSpan {
    /// The span from `from` to `to`, in so many columns. The changes are in the order of their times.
    pub fn new(changes: &[LagChange], (from, to): (i64, i64), columns: usize) -> Self {
        let mut span = Self {
            known_seconds: 0,
            in_sync_seconds: 0,
            worst_seconds: 0,
            columns: vec![None; columns],
        };
        let ends = changes.iter().skip(1).map(|next| next.at).chain([to]);
        for (change, end) in changes.iter().zip(ends) {
            let (start, end) = (change.at.max(from), end.min(to));
            if change.is_known && start < end {
                span.add(change.lagging_since, (start, end), (from, to));
            }
        }
        span
    }

    /// Adds a stretch in which the oldest difference stands since `lagging_since`.
    fn add(
        &mut self,
        lagging_since: Option<i64>,
        (start, end): (i64, i64),
        (from, to): (i64, i64),
    ) {
        self.known_seconds += end - start;
        if lagging_since.is_none() {
            self.in_sync_seconds += end - start;
        }
        let lag_at = |at: i64| lagging_since.map_or(0, |since| (at - since).max(0));
        self.worst_seconds = self.worst_seconds.max(lag_at(end));
        let (length, count) = (to - from, self.columns.len() as i64);
        let first = (start - from) * count / length;
        let last = (end - from - 1) * count / length;
        let columns = self.columns.iter_mut().skip(first as usize);
        for (index, column) in (first..=last).zip(columns) {
            let column_end = from + (index + 1) * length / count;
            let lag = lag_at(column_end.min(end));
            *column = Some(column.map_or(lag, |known| known.max(lag)));
        }
    }

    /// The part of the known time in which nothing was known to differ, from 0 to 1.
    pub fn share_in_sync(&self) -> Option<f64> {
        let known = self.known_seconds;
        (known > 0).then(|| self.in_sync_seconds as f64 / known as f64)
    }
}

/// Finds changes of lag, to be written down.
#[derive(Debug, Default)]
pub struct LagWatch(HashMap<Arc<str>, (Option<i64>, bool)>);

impl LagWatch {
    /// A watch that knows what was written down last.
    pub fn new(last: Vec<LagChange>) -> Self {
        let last = last.into_iter();
        let known = last.map(|change| {
            let state = (change.lagging_since, change.is_known);
            (change.mirror.into(), state)
        });
        Self(known.collect())
    }

    /// What changed since the last call. Lag that grows with time is no change.
    pub fn changes(&mut self, status: &Status) -> Vec<LagChange> {
        let mut changes = Vec::new();
        // A mirror that was never compared has no history.
        let compared = status.mirrors.iter().filter(|m| m.last_checked.is_some());
        for mirror in compared {
            let is_behind = mirror.behind_tags() > 0;
            let lagging_since = is_behind.then_some(status.now - mirror.lag_seconds);
            // Nothing differs where no run has come far enough to see a difference: that is no sync.
            let is_known =
                mirror.is_compared(status.now) && (is_behind || mirror.last_success.is_some());
            let state = (lagging_since, is_known);
            if self.0.insert(mirror.name.clone(), state) != Some(state) {
                changes.push(LagChange {
                    mirror: mirror.name.to_string(),
                    at: status.now,
                    lagging_since,
                    is_known,
                });
            }
        }
        let is_mirror = |name: &Arc<str>| status.mirrors.iter().any(|m| m.name == *name);
        self.0.retain(|name, _| is_mirror(name));
        changes
    }
}

#[cfg(test)]
mod tests;
