//! Which digest a tag has: from the store while that is fresh, else by one HEAD for all who ask, else
//! from the copy, with its age.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    gateway::{
        Gateway, Pull,
        access::visibility::is_refusal,
        answer::{PullError, PullOutcome},
        cache::GenerationCache,
        small_cache,
    },
    oci::{Digest, Repository, Tag},
    registry::{Error, ErrorClass},
    store::TagCheck,
    sync::copy::single_flight::SingleFlight,
};

/// How long the upstream may take for a tag of which there is a copy, and of which there is none.
const HEAD: Duration = Duration::from_secs(2);
const FIRST_HEAD: Duration = Duration::from_secs(9);
/// How long, in seconds, what is not there is not asked for again.
const MISSING: i64 = 30;
/// Tags whose last answer is remembered in one generation.
const TAGS: usize = 20_000;

type TagName = (Repository, Tag);

/// What upstreams said of tags since the process began.
#[derive(Debug)]
pub(crate) struct Heads {
    known: GenerationCache<TagName, HeadAnswer>,
    flights: SingleFlight<TagName>,
    /// When a stale copy was last logged.
    logged: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug)]
struct HeadAnswer {
    /// `None` where the upstream does not have the tag.
    digest: Option<Digest>,
    /// In seconds since 1970.
    at: i64,
}

/// What a tag stands for.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) digest: Digest,
    /// What the client reads of its age.
    pub(crate) warning: Option<String>,
    pub(crate) outcome: PullOutcome,
}

/// What came of a HEAD.
enum HeadOutcome {
    Found(Digest),
    Missing,
    Failed(Arc<str>),
    Forbidden(Error),
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            known: small_cache(TAGS),
            flights: SingleFlight::default(),
            logged: Mutex::default(),
        }
    }
}

impl Heads {
    /// Whether one more line may be logged: one each second.
    fn has_line(&self) -> bool {
        let mut logged = self.logged.lock();
        let is_due = logged.is_none_or(|at| at.elapsed() >= Duration::from_secs(1));
        if is_due {
            *logged = Some(Instant::now());
        }
        is_due
    }
}

impl Gateway {
    /// Which digest a tag has.
    pub(crate) async fn resolve(&self, pull: &Pull, tag: &Tag) -> Result<Resolved, PullError> {
        let name = (pull.repository.clone(), tag.clone());
        let check = self.tag_check(pull).await;
        let now = Utc::now().timestamp();
        let fresh = pull.gateway().map_or(0, |gateway| seconds(gateway.fresh));
        let heard = self.heads.known.get(&name);
        if let Some((digest, at)) = known_digest(check.as_ref(), heard.as_ref(), now - fresh) {
            self.answered(PullOutcome::Hit, now - at);
            return Ok(resolved(
                written(check.as_ref(), digest),
                None,
                PullOutcome::Hit,
            ));
        }
        if let Some(HeadAnswer { digest: None, at }) = heard
            && now - at < MISSING.min(fresh.max(1))
        {
            return self.missing(pull, tag, check.as_ref());
        }
        match self.ask(&name, check.is_some()).await {
            HeadOutcome::Found(digest) => {
                self.answered(PullOutcome::Hit, 0);
                let digest = written(check.as_ref(), digest);
                Ok(resolved(digest, None, PullOutcome::Hit))
            }
            HeadOutcome::Missing => self.missing(pull, tag, check.as_ref()),
            HeadOutcome::Forbidden(error) => {
                Err(PullError::of_upstream(&error, "MANIFEST_UNKNOWN"))
            }
            HeadOutcome::Failed(why) => {
                let (board, registry) = (&self.context.board, pull.repository.registry());
                board.upstream_failed(registry, &why, now);
                let stale = self.stale(pull, tag, check, &why).await;
                stale.inspect(|_| board.served_stale(registry))
            }
        }
    }

    /// Takes note of the age, in seconds, of what a tag was answered from.
    fn answered(&self, outcome: PullOutcome, age: i64) {
        let age = Duration::from_secs(age.try_into().unwrap_or_default());
        self.context.metrics.tag_answered(outcome.as_str(), age);
    }

    /// What the store knows of the tag at the target.
    async fn tag_check(&self, pull: &Pull) -> Option<TagCheck> {
        let copy = pull.copy.as_ref()?;
        let _turn = self.reads.acquire().await;
        let check = self
            .context
            .store
            .tag_check(&copy.repository, copy.tag.as_ref()?)
            .await;
        check.unwrap_or_else(|error| {
            tracing::debug!(%error, "what is known of a tag cannot be read");
            None
        })
    }

    /// Asks the upstream, once for all who want to know.
    async fn ask(&self, name: &TagName, has_copy: bool) -> HeadOutcome {
        let asked_at = Utc::now().timestamp();
        loop {
            if let Some(_lead) = self.heads.flights.lead_or_wait(name).await {
                return self.ask_once(name, has_copy).await;
            }
            // Whoever led may have learned it.
            match self.heads.known.get(name) {
                Some(HeadAnswer { digest, at }) if at >= asked_at => {
                    return digest.map_or(HeadOutcome::Missing, HeadOutcome::Found);
                }
                _ if Utc::now().timestamp() - asked_at > seconds(FIRST_HEAD) => {
                    return HeadOutcome::Failed("it does not answer in time".into());
                }
                _ if has_copy => return HeadOutcome::Failed("it does not answer in time".into()),
                _ => {}
            }
        }
    }

    async fn ask_once(&self, name: &TagName, has_copy: bool) -> HeadOutcome {
        let (repository, tag) = name;
        let registry = match self.registry(repository.registry()) {
            Ok(registry) => registry,
            Err(error) => return HeadOutcome::Failed(error.message.into()),
        };
        let patience = if has_copy { HEAD } else { FIRST_HEAD };
        let reference = repository.tag(tag);
        let asked = tokio::time::timeout(patience, registry.head_manifest(&reference)).await;
        let digest = match asked {
            Err(_) => return HeadOutcome::Failed("it does not answer in time".into()),
            Ok(Ok(head)) => head.map(|head| head.digest),
            Ok(Err(error)) if is_outage(&error) => {
                return HeadOutcome::Failed(error.to_string().into());
            }
            Ok(Err(error)) => {
                self.visibility.note_refusal(repository, is_refusal(&error));
                return HeadOutcome::Forbidden(error);
            }
        };
        self.context.board.upstream_answered(repository.registry());
        self.visibility.note_refusal(repository, false);
        let answer = HeadAnswer {
            digest: digest.clone(),
            at: Utc::now().timestamp(),
        };
        self.heads.known.insert(name.clone(), answer, 1);
        digest.map_or(HeadOutcome::Missing, HeadOutcome::Found)
    }

    /// The upstream does not have the tag. What an entry mirrors stays: that is what it is for.
    fn missing(
        &self,
        pull: &Pull,
        tag: &Tag,
        check: Option<&TagCheck>,
    ) -> Result<Resolved, PullError> {
        let reference = pull.repository.tag(tag);
        match check.and_then(|check| check.written.clone()) {
            Some(digest) if !pull.is_on_demand() => {
                let text = format!("{reference} is no longer at its source; this is the last copy");
                Ok(resolved(digest, Some(text), PullOutcome::Stale))
            }
            _ => {
                let text = format!("the upstream has no {reference}");
                Err(PullError::not_found("MANIFEST_UNKNOWN", text))
            }
        }
    }

    /// The upstream fails: the copy, if it is not too old.
    async fn stale(
        &self,
        pull: &Pull,
        tag: &Tag,
        check: Option<TagCheck>,
        why: &str,
    ) -> Result<Resolved, PullError> {
        let reference = pull.repository.tag(tag);
        let age = check
            .as_ref()
            .map(|check| Utc::now().timestamp() - check.checked_at);
        let most = pull.gateway().map_or(0, |gateway| seconds(gateway.stale));
        if age.is_some_and(|age| age > most) {
            let text = format!("the upstream fails, and the copy is too old: {why}");
            return Err(PullError::unavailable(text));
        }
        let known = check.and_then(|check| check.written);
        let digest = match known {
            Some(digest) => Some(digest),
            // A store that is lost knows nothing, and the target has it all the same.
            None => self.digest_at_target(pull).await,
        };
        let Some(digest) = digest else {
            return Err(PullError::unavailable(format!("{reference}: {why}")));
        };
        let told = match age {
            Some(age) => {
                self.answered(PullOutcome::Stale, age);
                format!("last checked {age} s ago")
            }
            None => "last checked at an unknown time".to_owned(),
        };
        let text = format!("stale copy of {reference}, {told}: {why}");
        // Clients choose how often they ask.
        match self.heads.has_line() {
            true => tracing::info!("{text}"),
            false => tracing::debug!("{text}"),
        }
        Ok(resolved(digest, Some(text), PullOutcome::Stale))
    }

    async fn digest_at_target(&self, pull: &Pull) -> Option<Digest> {
        let copy = pull.copy.as_ref()?;
        let (registry, to) = self.target(Some(&copy.repository))?;
        let reference = to.tag(copy.tag.as_ref()?);
        let head = tokio::time::timeout(HEAD, registry.head_manifest(&reference)).await;
        head.ok()?.ok()?.map(|head| head.digest)
    }
}

/// The source's digest and when that was seen, if a check is younger than `since`.
fn known_digest(
    check: Option<&TagCheck>,
    heard: Option<&HeadAnswer>,
    since: i64,
) -> Option<(Digest, i64)> {
    let heard_at = heard.map_or(0, |heard| heard.at);
    let checked_at = check.map_or(0, |check| check.checked_at);
    let at = heard_at.max(checked_at);
    if at <= since {
        return None;
    }
    let digest = match heard.filter(|_| heard_at >= checked_at) {
        Some(heard) => heard.digest.clone(),
        None => check?.seen.clone(),
    };
    Some((digest?, at))
}

/// What is served for a digest of the source: what was written for it, where a part was left out.
fn written(check: Option<&TagCheck>, source: Digest) -> Digest {
    let written = check.filter(|check| check.source.as_ref() == Some(&source));
    written
        .and_then(|check| check.written.clone())
        .unwrap_or(source)
}

/// Whether an error is the upstream's trouble, and says nothing of the image.
pub(crate) fn is_outage(error: &Error) -> bool {
    matches!(
        error.class(),
        ErrorClass::Network
            | ErrorClass::Stalled
            | ErrorClass::Server
            | ErrorClass::Throttled
            | ErrorClass::Quota
            | ErrorClass::Certificate
    )
}

fn resolved(digest: Digest, warning: Option<String>, outcome: PullOutcome) -> Resolved {
    Resolved {
        digest,
        warning,
        outcome,
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
