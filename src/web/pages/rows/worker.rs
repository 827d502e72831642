//! A worker of `[cluster]` on the status page.

use crate::{
    coordination::{
        Coordination,
        database::{ClusterStatus, WorkerStatus},
    },
    locales::words::Words,
    web::pages::rows::mirror_row::Badge,
};

/// A worker, and what it holds.
#[derive(Debug)]
pub(crate) struct WorkerRow {
    pub(crate) name: String,
    pub(crate) egress: String,
    pub(crate) state: Badge,
    pub(crate) units: u64,
    pub(crate) program: String,
    /// The version of the mirrors that it runs; none before it runs any.
    pub(crate) version: Option<String>,
}

/// Every worker that lives, or ended lately. None on a machine that shares nothing.
pub(crate) fn rows(coordination: &Coordination, words: &'static Words) -> Vec<WorkerRow> {
    let status = coordination.membership().and_then(|known| known.status());
    status.map_or_else(Vec::new, |status| of(&status, words))
}

fn of(status: &ClusterStatus, words: &'static Words) -> Vec<WorkerRow> {
    let rows = status.present_workers().map(|worker| WorkerRow {
        name: worker.name.clone(),
        egress: worker.egress.clone(),
        state: badge(worker, words),
        units: worker.units_held,
        program: worker.version.clone(),
        version: worker.config.map(|version| version.to_string()),
    });
    rows.collect()
}

fn badge(worker: &WorkerStatus, words: &'static Words) -> Badge {
    let words = &words.workers;
    let (class, sign, text) = match (worker.is_live(), worker.is_draining) {
        (false, false) => ("bad", "○", words.gone),
        (false, true) => ("warning", "○", words.ended),
        (true, true) => ("warning", "▲", words.draining),
        (true, false) => ("good", "●", words.live),
    };
    Badge { class, sign, text }
}

#[cfg(test)]
mod tests;
