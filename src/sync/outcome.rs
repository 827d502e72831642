//! What became of the actions of a run.

use crate::registry::ErrorClass;
use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use serde::Serialize;

use crate::{
    oci::RegistryName,
    store::{RunCounts, RunResult, TargetCounts},
    sync::{copy::RunCounters, failure_log},
};

/// Errors that a report names; the others are only counted.
const ERRORS: usize = 1000;

/// What became of one or more runs, started together.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// When they started, RFC 3339 in the config's timezone.
    pub run: String,
    /// One a mirror, in the order of the config.
    pub mirrors: Vec<MirrorReport>,
    /// The sums over all mirrors.
    pub totals: Totals,
}

/// What became of one run of one mirror.
#[derive(Debug, Serialize)]
pub struct MirrorReport {
    /// The mirror.
    pub name: String,
    /// How it went.
    pub result: RunResult,
    /// What it did.
    #[serde(flatten)]
    pub counts: Counts,
    /// Tags at each target registry.
    pub targets: BTreeMap<String, TagCounts>,
    /// What of the source could not be compared.
    #[serde(skip)]
    pub unchecked: u64,
    /// Answers that asked to slow down.
    pub throttled: u64,
    /// How long it took.
    pub duration_seconds: f64,
    /// What failed.
    pub errors: Vec<Failure>,
}

/// Sums over mirrors.
#[derive(Debug, Serialize)]
pub struct Totals {
    /// What was done.
    #[serde(flatten)]
    pub counts: Counts,
    /// How long it took.
    pub duration_seconds: f64,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tags.
    pub tags: TagCounts,
    /// Blobs.
    pub blobs: BlobCounts,
    /// Signatures, SBOMs and the like.
    pub referrers: ReferrerCounts,
    /// Bytes of blobs.
    pub bytes: ByteCounts,
    /// Requests.
    pub requests: RequestCounts,
}

/// Tags by what became of them. A repository that could not be read counts as one failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TagCounts {
    pub unchanged: u64,
    pub copied: u64,
    pub failed: u64,
    pub orphaned: u64,
    pub absent: u64,
    /// Deleted at the target.
    pub pruned: u64,
}

/// Wanted blobs by how they came to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct BlobCounts {
    pub copied: u64,
    pub mounted: u64,
    pub present: u64,
}

/// What refers to images, by what became of it. `left_out` has a type that `referrers` does not list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ReferrerCounts {
    pub copied: u64,
    pub left_out: u64,
}

/// Bytes of blobs. `saved` were wanted and not uploaded: they were there, or mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ByteCounts {
    pub downloaded: u64,
    pub uploaded: u64,
    pub saved: u64,
}

/// Requests by side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RequestCounts {
    pub source: u64,
    pub target: u64,
}

/// An action that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What it was about: a reference, or a repository that could not be read.
    pub reference: String,
    /// The error's class.
    pub class: ErrorClass,
    /// The error.
    pub message: String,
    /// The registry that it is about; empty where it is about none.
    #[serde(skip)]
    pub registry: String,
}

impl Failure {
    /// What it has in common with others of the same cause: a registry that fails whatever is
    /// asked of it is one, and every other message is one of its own.
    pub fn cause(&self) -> (ErrorClass, &str, &str) {
        // A message begins with what was asked.
        let common = self
            .message
            .split_once(": ")
            .filter(|_| failure_log::is_of_registry(self.class));
        match common {
            Some((_, message)) => (self.class, &self.registry, message),
            None => (self.class, "", &self.message),
        }
    }
}

/// What became of a part of a run: adds up.
#[derive(Debug, Default)]
pub struct Progress {
    /// Tags so far.
    pub tags: TagCounts,
    /// Failures so far, as many as a report names.
    pub failures: Vec<Failure>,
    /// Tags so far at each target registry; what could not be looked at failed at each.
    pub targets: BTreeMap<String, TagCounts>,
    /// Failures of which nobody knows what they would have brought, and where.
    pub nowhere: u64,
    /// What of the source could not be compared.
    pub unchecked: u64,
}

impl Progress {
    /// Notes a failure.
    pub fn fail(&mut self, failure: Failure) {
        self.tags.failed += 1;
        if self.failures.len() < ERRORS {
            self.failures.push(failure);
        }
    }

    /// Puts all that it counted down to target registries.
    pub fn at<'a>(mut self, registries: impl IntoIterator<Item = &'a RegistryName>) -> Self {
        for registry in registries {
            self.targets.insert(registry.to_string(), self.tags.clone());
        }
        self
    }

    /// Counts its failures against every target.
    pub fn nowhere(mut self) -> Self {
        self.nowhere = self.tags.failed;
        self
    }

    /// Adds another part.
    pub fn add(mut self, other: Self) -> Self {
        self.tags.add(&other.tags);
        self.nowhere += other.nowhere;
        self.unchecked += other.unchecked;
        for (registry, tags) in other.targets {
            self.targets.entry(registry).or_default().add(&tags);
        }
        let room = ERRORS - self.failures.len();
        self.failures.extend(other.failures.into_iter().take(room));
        self
    }
}

impl MirrorReport {
    /// The report of a run that is over.
    pub fn new(name: &str, progress: Progress, tally: &RunCounters, took: Duration) -> Self {
        let Progress {
            tags,
            failures,
            mut targets,
            nowhere,
            unchecked,
        } = progress;
        for tags in targets.values_mut() {
            tags.failed += nowhere;
        }
        let result = tags.result();
        let counts = Counts {
            tags,
            blobs: BlobCounts {
                copied: tally.blobs_copied.load(Ordering::Relaxed),
                mounted: tally.blobs_mounted.load(Ordering::Relaxed),
                present: tally.blobs_present.load(Ordering::Relaxed),
            },
            referrers: ReferrerCounts {
                copied: tally.referrers_copied.load(Ordering::Relaxed),
                left_out: tally.referrers_left_out.load(Ordering::Relaxed),
            },
            bytes: ByteCounts {
                downloaded: tally.source.bytes(),
                uploaded: tally.target.bytes(),
                saved: tally.saved_bytes.load(Ordering::Relaxed),
            },
            requests: RequestCounts {
                source: tally.source.requests(),
                target: tally.target.requests(),
            },
        };
        let duration_seconds = took.as_secs_f64();
        Self {
            name: name.into(),
            result,
            counts,
            targets,
            unchecked,
            throttled: tally.source.throttled() + tally.target.throttled(),
            duration_seconds,
            errors: failures,
        }
    }

    /// Whether all that failed is what it did not get to, because a signal ended it.
    pub fn is_cut(&self) -> bool {
        let is_cut = |failure: &Failure| failure.class == ErrorClass::Interrupted;
        !self.errors.is_empty() && self.errors.iter().all(is_cut)
    }

    /// The run at each target, as the store keeps it.
    pub fn target_counts(&self) -> Vec<TargetCounts> {
        let counts = self.targets.iter().map(|(registry, tags)| TargetCounts {
            registry: registry.clone(),
            unchanged: tags.unchanged,
            copied: tags.copied,
            failed: tags.failed,
        });
        counts.collect()
    }

    /// The run as the store keeps it.
    pub fn run_counts(&self) -> RunCounts {
        let Counts {
            tags,
            blobs,
            bytes,
            requests,
            ..
        } = &self.counts;
        RunCounts {
            unchanged: tags.unchanged,
            copied: tags.copied,
            failed: tags.failed,
            orphaned: tags.orphaned,
            unchecked: self.unchecked,
            throttled: self.throttled,
            blobs_copied: blobs.copied,
            blobs_mounted: blobs.mounted,
            blobs_present: blobs.present,
            downloaded_bytes: bytes.downloaded,
            uploaded_bytes: bytes.uploaded,
            saved_bytes: bytes.saved,
            source_requests: requests.source,
            target_requests: requests.target,
        }
    }
}

impl RunReport {
    /// The report of mirrors that ran together.
    pub fn new(run: String, mirrors: Vec<MirrorReport>, took: Duration) -> Self {
        let mut counts = Counts::default();
        for mirror in &mirrors {
            counts.add(&mirror.counts);
        }
        Self {
            run,
            mirrors,
            totals: Totals {
                counts,
                duration_seconds: took.as_secs_f64(),
            },
        }
    }

    /// How everything together went.
    pub fn result(&self) -> RunResult {
        self.totals.counts.tags.result()
    }

    /// Whether a registry refused the credentials.
    pub fn is_unauthorized(&self) -> bool {
        self.mirrors
            .iter()
            .flat_map(|mirror| &mirror.errors)
            .any(|error| error.class == ErrorClass::Auth)
    }
}

impl TagCounts {
    /// What the counts come to.
    pub fn result(&self) -> RunResult {
        match (self.failed, self.unchanged + self.copied) {
            (0, _) => RunResult::Ok,
            (_, 0) => RunResult::Failed,
            _ => RunResult::Partial,
        }
    }

    fn add(&mut self, other: &Self) {
        self.unchanged += other.unchanged;
        self.copied += other.copied;
        self.failed += other.failed;
        self.orphaned += other.orphaned;
        self.absent += other.absent;
        self.pruned += other.pruned;
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.tags.add(&other.tags);
        self.blobs.copied += other.blobs.copied;
        self.blobs.mounted += other.blobs.mounted;
        self.blobs.present += other.blobs.present;
        self.referrers.copied += other.referrers.copied;
        self.referrers.left_out += other.referrers.left_out;
        self.bytes.downloaded += other.bytes.downloaded;
        self.bytes.uploaded += other.bytes.uploaded;
        self.bytes.saved += other.bytes.saved;
        self.requests.source += other.requests.source;
        self.requests.target += other.requests.target;
    }
}
