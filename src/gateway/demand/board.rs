//! The tally of pulls: what is written to the store, and what pages, alarms and metrics show of now.
//! All of it is bounded, and none of it says who pulled.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::{
    gateway::{answer::PullOutcome, request::policy::PullRefusal},
    oci::{RegistryName, Repository, Version},
    status::{BudgetStop, LiveDownload, LivePulls, RefusedClients, UpstreamTrouble},
    store::{
        HourOfPulls, ImagePulls, PullCounts, PullResult, PulledContent, RefusalReason, RefusedPulls,
    },
};

/// Most images and repositories between two writes: what comes beyond is counted in metrics only.
const COUNTED: usize = 1000;
/// Downloads that are shown.
const SHOWN: usize = 50;
/// Most characters of a reason.
const WHY: usize = 300;

/// The tally of pulls.
#[derive(Debug, Default)]
pub struct PullBoard {
    unwritten: Mutex<UnwrittenPulls>,
    live: Mutex<LivePulls>,
}

/// What is not in the store yet.
#[derive(Debug, Default)]
struct UnwrittenPulls {
    images: HashMap<(Repository, Version), ImagePulls>,
    repositories: HashMap<Repository, HourOfPulls>,
    refusals: HashMap<(Repository, PullRefusal), RefusedPulls>,
}

/// Why a client's request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientRefusal {
    /// Its address is in no network of `clients`.
    Network,
    /// It is over its limits.
    Limit,
}

impl ClientRefusal {
    /// Every refusal.
    pub(crate) const ALL: [Self; 2] = [Self::Network, Self::Limit];

    /// The label in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Limit => "limit",
        }
    }
}

impl PullBoard {
    /// What goes on now.
    pub fn live(&self, now: i64) -> LivePulls {
        let mut live = self.live.lock().clone();
        live.upstreams.retain(|upstream| upstream.is_current(now));
        live.refused = live.refused.filter(|refused| refused.is_current(now));
        live
    }

    /// A pull was answered.
    pub(crate) fn pulled(
        &self,
        repository: &Repository,
        version: &Version,
        outcome: PullOutcome,
        why: Option<&str>,
        at: i64,
    ) {
        let mut unwritten = self.unwritten.lock();
        if let Some(hour) = unwritten.hour(repository, at) {
            count(&mut hour.counts, outcome);
        }
        let name = (repository.clone(), version.clone());
        if unwritten.images.len() >= COUNTED && !unwritten.images.contains_key(&name) {
            return;
        }
        let image = unwritten.images.entry(name).or_insert_with(|| ImagePulls {
            repository: repository.clone(),
            version: version.clone(),
            first_pull: at,
            last_pull: at,
            counts: PullCounts::default(),
            outcome: None,
            why: None,
        });
        image.last_pull = at;
        count(&mut image.counts, outcome);
        image.outcome = result(outcome);
        if let Some(why) = why {
            image.why = Some(why.chars().take(WHY).collect());
        }
    }

    /// A pull failed.
    pub(crate) fn failed(&self, repository: &Repository, at: i64) {
        if let Some(hour) = self.unwritten.lock().hour(repository, at) {
            hour.counts.failed += 1;
        }
    }

    /// Blob bytes came from an upstream, or went to a client.
    pub(crate) fn moved(&self, repository: &Repository, upstream: u64, client: u64, at: i64) {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        if let Some(hour) = self.unwritten.lock().hour(repository, at) {
            hour.upstream_bytes += bytes(upstream);
            hour.client_bytes += bytes(client);
        }
    }

    /// A rule refused a pull.
    pub(crate) fn refused(&self, repository: &Repository, refusal: PullRefusal, at: i64) {
        self.note_refused(at, |refused| refused.rule += 1);
        let mut unwritten = self.unwritten.lock();
        let name = (repository.clone(), refusal);
        if unwritten.refusals.len() >= COUNTED && !unwritten.refusals.contains_key(&name) {
            return;
        }
        let refused = unwritten
            .refusals
            .entry(name)
            .or_insert_with(|| RefusedPulls {
                repository: repository.clone(),
                reason: reason(refusal),
                first_at: at,
                last_at: at,
                refusals: 0,
            });
        refused.last_at = at;
        refused.refusals += 1;
    }

    /// A client was refused whatever it asked for.
    pub(crate) fn client_refused(&self, refusal: ClientRefusal, at: i64) {
        self.note_refused(at, |refused| match refusal {
            ClientRefusal::Network => refused.network += 1,
            ClientRefusal::Limit => refused.limit += 1,
        });
    }

    fn note_refused(&self, at: i64, add: impl FnOnce(&mut RefusedClients)) {
        let mut live = self.live.lock();
        let going_on = live.refused.filter(|refused| refused.is_current(at));
        let mut refused = going_on.unwrap_or(RefusedClients {
            since: at,
            ..RefusedClients::default()
        });
        refused.last = at;
        add(&mut refused);
        live.refused = Some(refused);
    }

    /// An upstream failed when a client needed it.
    pub(crate) fn upstream_failed(&self, registry: &RegistryName, why: &str, at: i64) {
        let mut live = self.live.lock();
        let name = registry.as_str();
        live.upstreams.retain(|upstream| upstream.is_current(at));
        let why = why.chars().take(WHY).collect();
        match live
            .upstreams
            .iter_mut()
            .find(|upstream| upstream.registry == name)
        {
            Some(upstream) => {
                upstream.last = at;
                upstream.pulls += 1;
                upstream.why = why;
            }
            None => live.upstreams.push(UpstreamTrouble {
                registry: name.into(),
                since: at,
                last: at,
                pulls: 1,
                stale: 0,
                why,
            }),
        }
    }

    /// A copy was served because the upstream failed.
    pub(crate) fn served_stale(&self, registry: &RegistryName) {
        let mut live = self.live.lock();
        let mut upstreams = live.upstreams.iter_mut();
        if let Some(upstream) = upstreams.find(|known| known.registry == registry.as_str()) {
            upstream.stale += 1;
        }
    }

    /// An upstream answered.
    pub(crate) fn upstream_answered(&self, registry: &RegistryName) {
        let mut live = self.live.lock();
        live.upstreams
            .retain(|known| known.registry != registry.as_str());
    }

    /// The traffic budget stopped a pull, or lets pulls through.
    pub(crate) fn budget(&self, is_spent: bool, at: i64) {
        let mut live = self.live.lock();
        live.budget = is_spent.then(|| {
            let known = live.budget.map(|stop| (stop.since, stop.pulls));
            let (since, pulls) = known.unwrap_or((at, 0));
            BudgetStop {
                since,
                pulls: pulls + 1,
            }
        });
    }

    /// The downloads of now.
    pub(crate) fn set_downloads(&self, mut downloads: Vec<LiveDownload>) {
        downloads.sort_by(|a, b| (b.followers, &a.digest).cmp(&(a.followers, &b.digest)));
        let mut live = self.live.lock();
        live.more_downloads = downloads.len().saturating_sub(SHOWN);
        downloads.truncate(SHOWN);
        live.downloads = downloads;
    }

    /// Takes what is not in the store yet.
    pub(crate) fn take(&self) -> Vec<PulledContent> {
        let unwritten = std::mem::take(&mut *self.unwritten.lock());
        let images = unwritten.images.into_values().map(PulledContent::Counted);
        let hours = unwritten
            .repositories
            .into_values()
            .map(PulledContent::Hour);
        let refusals = unwritten.refusals.into_values().map(PulledContent::Refused);
        images.chain(hours).chain(refusals).collect()
    }
}

impl UnwrittenPulls {
    fn hour(&mut self, repository: &Repository, at: i64) -> Option<&mut HourOfPulls> {
        if self.repositories.len() >= COUNTED && !self.repositories.contains_key(repository) {
            return None;
        }
        let hours = &mut self.repositories;
        if hours.contains_key(repository) {
            return hours.get_mut(repository);
        }
        Some(
            hours
                .entry(repository.clone())
                .or_insert_with(|| HourOfPulls {
                    repository: repository.clone(),
                    at,
                    counts: PullCounts::default(),
                    upstream_bytes: 0,
                    client_bytes: 0,
                }),
        )
    }
}

fn result(outcome: PullOutcome) -> Option<PullResult> {
    Some(match outcome {
        PullOutcome::Hit => PullResult::Hit,
        PullOutcome::Coalesced => PullResult::Coalesced,
        PullOutcome::Miss => PullResult::Miss,
        PullOutcome::Stale => PullResult::Stale,
        PullOutcome::NotFound
        | PullOutcome::Refused
        | PullOutcome::Unauthorized
        | PullOutcome::Limited
        | PullOutcome::Failed => return None,
    })
}

fn reason(refusal: PullRefusal) -> RefusalReason {
    match refusal {
        PullRefusal::Denied => RefusalReason::Denied,
        PullRefusal::NotListed => RefusalReason::NotListed,
        PullRefusal::UnknownRegistry => RefusalReason::UnknownRegistry,
    }
}

fn count(counts: &mut PullCounts, outcome: PullOutcome) {
    match outcome {
        PullOutcome::Hit => counts.hits += 1,
        PullOutcome::Coalesced => counts.coalesced += 1,
        PullOutcome::Miss => counts.misses += 1,
        PullOutcome::Stale => counts.stale += 1,
        PullOutcome::Failed => counts.failed += 1,
        PullOutcome::NotFound
        | PullOutcome::Refused
        | PullOutcome::Unauthorized
        | PullOutcome::Limited => {}
    }
}

#[cfg(test)]
mod tests;
