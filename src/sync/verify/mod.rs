//! Verification: whether targets hold what was written to them, whole and right. What they do not
//! is noted in the store, and the next run copies it again.

mod examine;
mod finding;

use crate::registry::ErrorClass;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use chrono::Utc;
use futures::{StreamExt as _, stream};

use self::examine::{Examination, Trace, VerifyDepth};
use super::{Error, Sync};
use crate::{
    config::{Mirror, Route},
    oci::{Digest, Reference, Repository},
    registry::{Registry, RequestCounter},
    store::{ChangeKind, Check, NewChange, StoreEvent, TagKey, WrittenTag},
    sync::{plan::select, prune::decide},
};

pub use finding::{Fault, Finding, MirrorVerification};

/// Repositories and tags that are looked at at a time; the registry's own limits let fewer through.
const REPOSITORIES: usize = 8;
const TAGS: usize = 16;
/// Tags that are looked at at a time after a run, so that runs of other mirrors go first.
const TAGS_BESIDE: usize = 2;
/// When tags that could not be asked for after a run are asked for again, in seconds.
const AGAIN: i64 = 24 * 3600;
/// Tags that are verified after a run, at the most.
const DUE: i64 = 200;
/// Errors that are about a registry or a repository as a whole.
const AWAY: [ErrorClass; 5] = [
    ErrorClass::Network,
    ErrorClass::Stalled,
    ErrorClass::Throttled,
    ErrorClass::Auth,
    ErrorClass::Denied,
];
/// A reading of all blobs that has not come to its end after this time, in milliseconds, starts again.
const ROUND: i64 = 30 * 24 * 3_600_000;

/// What a verification looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whether everything is there, and whether the source has moved on.
    Presence,
    /// The bytes of every blob, too.
    Bytes,
}

/// What a verification of one mirror goes by.
struct VerifyRun<'a> {
    mirror: &'a Mirror,
    depth: VerifyDepth,
    pace: RateLimiter,
    meter: Arc<RequestCounter>,
}

/// On whose behalf it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RateLimiter {
    /// Somebody waits for it, and wants to know of the source, too.
    Asked,
    /// The daemon, beside other work. What cannot be asked counts as examined then, so that it
    /// does not keep others from being asked.
    Beside {
        /// When it counts as examined.
        open_at: i64,
    },
}

impl Sync {
    /// Verifies mirrors, one after the other. What was read of blobs is not read again when a
    /// verification that was stopped resumes.
    pub async fn verify(&self, mirrors: &[&Mirror], reach: Reach) -> Vec<MirrorVerification> {
        let now_ms = Utc::now().timestamp_millis();
        let mut verifications = Vec::new();
        for mirror in mirrors {
            let mut sum = MirrorVerification::new(&mirror.name);
            if let Err(error) = self.verify_mirror(mirror, reach, now_ms, &mut sum).await {
                sum.findings.push(failed(&mirror.name, &error));
            }
            verifications.push(sum);
        }
        verifications
    }

    /// Verifies the tags of a mirror that are due, a few at a time: for the daemon, after a run.
    pub async fn verify_due(&self, mirror: &Mirror) -> MirrorVerification {
        let mut sum = MirrorVerification::new(&mirror.name);
        let Some(every) = mirror.verify_blobs_every else {
            return sum;
        };
        let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX);
        let now = Utc::now().timestamp();
        let due = now.saturating_sub(every);
        let tags = match self.store.written_tags(&mirror.name, None, due, DUE).await {
            Ok(tags) => tags,
            Err(error) => {
                sum.findings.push(failed(&mirror.name, &error.into()));
                return sum;
            }
        };
        let mut repositories: BTreeMap<Repository, Vec<WrittenTag>> = BTreeMap::new();
        for tag in tags {
            repositories
                .entry(tag.target.clone())
                .or_default()
                .push(tag);
        }
        let scope = VerifyRun {
            mirror,
            depth: VerifyDepth::Presence,
            pace: RateLimiter::Beside {
                open_at: now.min(due.saturating_add(AGAIN)),
            },
            meter: Arc::default(),
        };
        for (repository, tags) in repositories {
            sum.add(self.verify_tags(&scope, &repository, tags).await);
        }
        sum
    }

    async fn verify_mirror(
        &self,
        mirror: &Mirror,
        reach: Reach,
        now_ms: i64,
        sum: &mut MirrorVerification,
    ) -> Result<(), Error> {
        let (depth, at_once) = match reach {
            Reach::Presence => (VerifyDepth::Presence, REPOSITORIES),
            Reach::Bytes => {
                let since_ms = self.round(&mirror.name, now_ms).await?;
                // What one repository's blobs were read for, the next need not read.
                (VerifyDepth::Bytes { since_ms, now_ms }, 1)
            }
        };
        let scope = VerifyRun {
            mirror,
            depth,
            pace: RateLimiter::Asked,
            meter: Arc::default(),
        };
        let repositories = self.store.written_repositories(&mirror.name).await?;
        let verified = stream::iter(repositories).map(|repository| {
            let scope = &scope;
            async move {
                let (name, all) = (&scope.mirror.name, (i64::MAX, -1));
                let tags = self
                    .store
                    .written_tags(name, Some(&repository), all.0, all.1);
                let part = self.verify_tags(scope, &repository, tags.await?).await;
                if at_once == 1 {
                    self.recorder.flush().await;
                }
                Ok::<_, Error>(part)
            }
        });
        let mut verified = verified.buffer_unordered(at_once);
        while let Some(part) = verified.next().await {
            sum.add(part?);
        }
        if reach == Reach::Bytes && sum.verified == sum.tags && !self.stop.is_cancelled() {
            let ended = Check::RoundEnded(mirror.name.clone());
            self.recorder.record(StoreEvent::Check(ended)).await;
        }
        Ok(())
    }

    /// When the reading of all blobs began that is not complete, or begins now.
    async fn round(&self, mirror: &Arc<str>, now_ms: i64) -> Result<i64, Error> {
        let began = self.store.round(mirror).await?;
        if let Some(began) = began.filter(|began| now_ms - began < ROUND) {
            return Ok(began);
        }
        let began = Check::RoundBegan {
            mirror: mirror.clone(),
            at_ms: now_ms,
        };
        self.recorder.record(StoreEvent::Check(began)).await;
        Ok(now_ms)
    }

    /// Verifies tags of one target repository.
    async fn verify_tags(
        &self,
        scope: &VerifyRun<'_>,
        repository: &Repository,
        tags: Vec<WrittenTag>,
    ) -> MirrorVerification {
        let mut sum = MirrorVerification::new(&scope.mirror.name);
        sum.tags = tags.len() as u64;
        let opened = self
            .registries
            .open(repository.registry(), scope.meter.clone());
        let target = match opened {
            Ok(target) => target,
            Err(error) => {
                sum.findings.push(failed(repository, &error.into()));
                return sum;
            }
        };
        if let Some(finding) = self.probe(scope, &target, &tags).await {
            sum.findings.push(finding);
            return sum;
        }
        let (depth, store) = (scope.depth, &self.store);
        let examination = Examination::new(&target, repository, depth, store, &self.recorder);
        let examination = match tags.iter().any(|tag| tag.is_damaged) {
            true => examination.with_parts(),
            false => examination,
        };
        let examined =
            stream::iter(0..tags.len()).map(|at| self.verify_tag(scope, &examination, &tags[at]));
        let at_once = match scope.pace {
            RateLimiter::Asked => TAGS,
            RateLimiter::Beside { .. } => TAGS_BESIDE,
        };
        let mut examined = examined.buffer_unordered(at_once);
        while let Some(findings) = examined.next().await {
            let Some(findings) = findings else { continue };
            let is_open = |finding: &Finding| matches!(finding.fault, Fault::Unreachable { .. });
            sum.verified += u64::from(!findings.iter().any(is_open));
            sum.findings.extend(findings);
        }
        sum.blobs = examination.blobs.load(Ordering::Relaxed);
        sum.read_blobs = examination.read_blobs.load(Ordering::Relaxed);
        sum
    }

    /// Asks for the first of some tags, so that a target that is away is not asked for each.
    async fn probe(
        &self,
        scope: &VerifyRun<'_>,
        target: &Registry,
        tags: &[WrittenTag],
    ) -> Option<Finding> {
        let first = tags.first()?;
        let reference = first.target.tag(&first.tag);
        let error = target.head_manifest(&reference).await.err()?;
        let fault = Fault::unreachable(&error);
        if !AWAY.contains(&error.class()) {
            return None;
        }
        let path = Vec::new();
        let trace = Trace {
            fault: fault.clone(),
            path,
        };
        for tag in tags {
            self.note(scope, tag, std::slice::from_ref(&trace)).await;
        }
        self.metrics.finding(fault.class());
        tracing::warn!(mirror = %scope.mirror.name, class = %error.class(), "{error}");
        Some(Finding {
            reference: reference.to_string(),
            fault,
            is_mirrored: true,
        })
    }

    /// Verifies one tag, and notes what is wrong with it; `None` where nothing more is begun.
    async fn verify_tag(
        &self,
        scope: &VerifyRun<'_>,
        examination: &Examination<'_>,
        tag: &WrittenTag,
    ) -> Option<Vec<Finding>> {
        if self.stop.is_cancelled() {
            return None;
        }
        let work = examination.tag(&tag.tag, &tag.written);
        let traces = match self.abort.run_until_cancelled(work).await? {
            Ok(traces) => traces,
            Err(error) => return Some(vec![failed(&tag.target, &error.into())]),
        };
        self.note(scope, tag, &traces).await;
        if tag.is_damaged && traces.is_empty() {
            self.note_healed(tag, &examination.contents(&tag.written))
                .await;
        }
        let source = mirrored_from(scope.mirror, tag);
        let mut faults: Vec<Fault> = traces.iter().map(|trace| trace.fault.clone()).collect();
        if let (RateLimiter::Asked, Some(source)) = (scope.pace, &source) {
            faults.extend(self.behind(scope, tag, source).await);
        }
        let findings = faults.into_iter().map(|fault| Finding {
            reference: tag.target.tag(&tag.tag).to_string(),
            fault,
            is_mirrored: source.is_some(),
        });
        let findings: Vec<Finding> = findings.collect();
        for finding in &findings {
            self.metrics.finding(finding.fault.class());
            let (class, mirror) = (finding.fault.class().as_str(), &scope.mirror.name);
            tracing::warn!(%mirror, class, "{}: {}", finding.reference, finding.fault);
        }
        Some(findings)
    }

    /// Forgets the damage of a tag that somebody else repaired: no run has to copy it again.
    async fn note_healed(&self, tag: &WrittenTag, contents: &[Digest]) {
        for digest in contents {
            let held = StoreEvent::Holds(tag.target.clone(), digest.clone());
            self.recorder.record(held).await;
        }
        let healed = Check::Healed {
            repository: tag.target.clone(),
            tag: tag.tag.clone(),
            contents: contents.to_vec(),
        };
        self.recorder.record(StoreEvent::Check(healed)).await;
    }

    /// Notes what is wrong with a tag, so that the next run copies it again.
    async fn note(&self, scope: &VerifyRun<'_>, tag: &WrittenTag, traces: &[Trace]) {
        let repository = || tag.target.clone();
        let mut facts = Vec::new();
        for Trace { fault, path } in traces.iter().filter(|trace| trace.fault.is_damage()) {
            let doubt =
                |digest: &Digest| StoreEvent::Check(Check::Suspect(repository(), digest.clone()));
            facts.extend(path.iter().map(doubt));
            facts.extend(match fault {
                Fault::MissingChild(digest) | Fault::MissingBlob(digest) => {
                    Some(StoreEvent::Lacks(repository(), digest.clone()))
                }
                Fault::WrongManifest(digest, _) => Some(doubt(digest)),
                Fault::WrongSize { blob, .. } | Fault::WrongBytes(blob) => Some(StoreEvent::Check(
                    Check::Corrupt(repository(), blob.clone()),
                )),
                _ => None,
            });
        }
        let is_damaged = traces.iter().any(|trace| trace.fault.is_damage());
        if is_damaged {
            let written = Check::Suspect(repository(), tag.written.clone());
            facts.push(StoreEvent::Check(written));
        }
        let is_open = |trace: &Trace| matches!(trace.fault, Fault::Unreachable { .. });
        let at = Utc::now().timestamp();
        let examined_at = match scope.pace {
            _ if is_damaged || !traces.iter().any(is_open) => Some(at),
            RateLimiter::Beside { open_at } => Some(open_at),
            RateLimiter::Asked => None,
        };
        if examined_at == Some(at) {
            self.metrics.tag_verified(&scope.mirror.name);
        }
        facts.extend(examined_at.map(|at| {
            StoreEvent::Check(Check::Examined {
                repository: repository(),
                tag: tag.tag.clone(),
                at,
                is_damaged,
            })
        }));
        if let (true, false, Ok(source)) = (is_damaged, tag.is_damaged, tag.source.parse()) {
            facts.push(StoreEvent::Changed(NewChange {
                key: TagKey {
                    mirror: scope.mirror.name.clone(),
                    source,
                    target: repository(),
                    source_tag: scope.mirror.source_tag(&tag.tag),
                    tag: tag.tag.clone(),
                },
                kind: ChangeKind::Damaged,
                old: Some(tag.source_digest.clone()),
                new: None,
                at,
            }));
        }
        for fact in facts {
            self.recorder.record(fact).await;
        }
    }

    /// Whether the source has moved on since a tag was written. Tags that never move are not asked
    /// for.
    async fn behind(
        &self,
        scope: &VerifyRun<'_>,
        tag: &WrittenTag,
        source: &Reference,
    ) -> Option<Fault> {
        let immutable = scope.mirror.immutable.as_ref();
        if immutable.is_some_and(|globs| globs.is_match(source.version.as_str())) {
            return None;
        }
        let registry = source.repository.registry();
        let head = match self.registries.open(registry, scope.meter.clone()) {
            Ok(registry) => registry.head_manifest(source).await,
            Err(error) => Err(error),
        };
        match head {
            Ok(Some(head)) if head.digest != tag.source_digest => Some(Fault::Behind {
                source: head.digest,
            }),
            Ok(_) => None,
            Err(error) => Some(Fault::unreachable(&error)),
        }
    }
}

/// What a tag is mirrored from; `None` where it is no longer mirrored, as far as is known
/// without a listing.
fn mirrored_from(mirror: &Mirror, tag: &WrittenTag) -> Option<Reference> {
    let name = mirror.source_tag(&tag.tag)?;
    let source: Repository = tag.source.parse().ok()?;
    // A signature goes with the image that it refers to.
    let is_referring = mirror.referrers.is_some() && decide::is_referring(&name);
    let takes = |route: &Route| {
        let is_it = route.source == source && route.targets.contains(&tag.target);
        is_it && (is_referring || select::allows(route, &name))
    };
    let found = mirror.discoveries.iter();
    let found = found.filter(|found| found.matches(&source));
    let mut found = found.filter_map(|found| found.route(&source).ok());
    let is_taken = mirror.routes.iter().any(takes) || found.any(|route| takes(&route));
    (is_taken && !tag.is_orphaned && !tag.is_released).then(|| source.tag(&name))
}

impl MirrorVerification {
    fn add(&mut self, part: Self) {
        self.tags += part.tags;
        self.verified += part.verified;
        self.blobs += part.blobs;
        self.read_blobs += part.read_blobs;
        self.findings.extend(part.findings);
    }
}

/// What could not be looked at as a whole.
fn failed(what: &impl ToString, error: &Error) -> Finding {
    Finding {
        reference: what.to_string(),
        fault: Fault::Unreachable {
            class: error.class(),
            message: error.to_string(),
        },
        is_mirrored: true,
    }
}
