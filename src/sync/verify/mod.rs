//! Verification: whether targets hold what was written to them, whole and right. What they do not
//! is noted in the store, and the next run brings it anew.

mod examine;
mod finding;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use chrono::Utc;
use futures::{StreamExt as _, stream};

use self::examine::{Depth, Examination, Trace};
use super::{Error, Sync, select};
use crate::{
    config::{Mirror, Route},
    oci::{Digest, Repository},
    registry::{Meter, Registry},
    store::{ChangeKind, Check, Fact, NewChange, TagKey, WrittenTag},
};

pub use finding::{Fault, Finding, MirrorVerification};

/// Repositories and tags that are looked at at a time; the registry's own limits let fewer through.
const REPOSITORIES: usize = 8;
const TAGS: usize = 16;
/// Tags that are verified after a run, at the most.
const DUE: i64 = 200;
/// A reading of all blobs that has not come to its end after so long, in milliseconds, begins anew.
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
struct Scope<'a> {
    mirror: &'a Mirror,
    depth: Depth,
    /// Whether the source is asked.
    asks_source: AsksSource,
    meter: Arc<Meter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AsksSource {
    Yes,
    No,
}

impl Sync {
    /// Verifies mirrors, one after the other. What was read of blobs is not read again when a
    /// verification that was stopped goes on.
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
        let due = Utc::now().timestamp().saturating_sub(every);
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
        let scope = Scope {
            mirror,
            depth: Depth::Presence,
            asks_source: AsksSource::No,
            meter: Arc::default(),
        };
        let verified = stream::iter(repositories)
            .map(async |(repository, tags)| self.verify_tags(&scope, &repository, tags).await);
        let mut verified = verified.buffer_unordered(REPOSITORIES);
        while let Some(part) = verified.next().await {
            sum.add(part);
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
            Reach::Presence => (Depth::Presence, REPOSITORIES),
            Reach::Bytes => {
                let since_ms = self.round(&mirror.name, now_ms).await?;
                // What one repository's blobs were read for, the next need not read.
                (Depth::Bytes { since_ms, now_ms }, 1)
            }
        };
        let scope = Scope {
            mirror,
            depth,
            asks_source: AsksSource::Yes,
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
            self.recorder.record(Fact::Check(ended)).await;
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
        self.recorder.record(Fact::Check(began)).await;
        Ok(now_ms)
    }

    /// Verifies tags of one target repository.
    async fn verify_tags(
        &self,
        scope: &Scope<'_>,
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
        let (depth, store) = (scope.depth, &self.store);
        let examination = Examination::new(&target, repository, depth, store, &self.recorder);
        let examined =
            stream::iter(0..tags.len()).map(|at| self.verify_tag(scope, &examination, &tags[at]));
        let mut examined = examined.buffer_unordered(TAGS);
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

    /// Verifies one tag, and notes what is wrong with it; `None` where nothing more is begun.
    async fn verify_tag(
        &self,
        scope: &Scope<'_>,
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
        let reference = tag.target.tag(&tag.tag);
        let mut findings: Vec<Finding> = traces
            .iter()
            .map(|trace| trace.fault.at(&reference))
            .collect();
        if scope.asks_source == AsksSource::Yes {
            let behind = self.behind(scope, tag).await;
            findings.extend(behind.map(|fault| fault.at(&reference)));
        }
        for finding in &findings {
            self.metrics.finding(finding.fault.class());
            let (class, mirror) = (finding.fault.class(), &scope.mirror.name);
            tracing::warn!(%mirror, class, "{}: {}", finding.reference, finding.fault);
        }
        Some(findings)
    }

    /// Notes what is wrong with a tag, so that the next run brings it anew.
    async fn note(&self, scope: &Scope<'_>, tag: &WrittenTag, traces: &[Trace]) {
        let repository = || tag.target.clone();
        let mut facts = Vec::new();
        for Trace { fault, path } in traces.iter().filter(|trace| trace.fault.is_damage()) {
            let doubt = |digest: &Digest| Fact::Check(Check::Doubted(repository(), digest.clone()));
            facts.extend(path.iter().map(doubt));
            facts.extend(match fault {
                Fault::MissingChild(digest) | Fault::MissingBlob(digest) => {
                    Some(Fact::Lacks(repository(), digest.clone()))
                }
                Fault::WrongManifest(digest, _) => Some(doubt(digest)),
                Fault::WrongSize { blob, .. } | Fault::WrongBytes(blob) => {
                    Some(Fact::Check(Check::Rotten(repository(), blob.clone())))
                }
                _ => None,
            });
        }
        let is_damaged = traces.iter().any(|trace| trace.fault.is_damage());
        if is_damaged {
            let written = Check::Doubted(repository(), tag.written.clone());
            facts.push(Fact::Check(written));
        }
        let is_open = |trace: &Trace| matches!(trace.fault, Fault::Unreachable { .. });
        let at = Utc::now().timestamp();
        if is_damaged || !traces.iter().any(is_open) {
            self.metrics.tag_verified(&scope.mirror.name);
            facts.push(Fact::Check(Check::Examined {
                repository: repository(),
                tag: tag.tag.clone(),
                at,
                is_damaged,
            }));
        }
        if let (true, false, Ok(source)) = (is_damaged, tag.is_damaged, tag.source.parse()) {
            facts.push(Fact::Changed(NewChange {
                key: TagKey {
                    mirror: scope.mirror.name.clone(),
                    source,
                    target: repository(),
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
    /// for, nor those that are no longer selected.
    async fn behind(&self, scope: &Scope<'_>, tag: &WrittenTag) -> Option<Fault> {
        let mirror = scope.mirror;
        let name = mirror.source_tag(&tag.tag)?;
        let immutable = mirror.immutable.as_ref();
        let is_settled = immutable.is_some_and(|globs| globs.is_match(name.as_str()));
        let source: Repository = tag.source.parse().ok()?;
        let goes = |route: &Route| {
            let is_it = route.source == source && route.targets.contains(&tag.target);
            is_it && select::allows(route, &name)
        };
        let found = mirror
            .discoveries
            .iter()
            .filter(|found| found.matches(&source));
        let mut found = found.filter_map(|found| found.route(&source).ok());
        let is_selected = mirror.routes.iter().any(goes) || found.any(|route| goes(&route));
        if tag.is_orphaned || is_settled || !is_selected {
            return None;
        }
        let registry: Result<Registry, _> =
            self.registries.open(source.registry(), scope.meter.clone());
        let head = match registry {
            Ok(registry) => registry.head_manifest(&source.tag(&name)).await,
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
    }
}
