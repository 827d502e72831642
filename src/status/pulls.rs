//! Pulls through the gateway: what is in flight, what keeps clients from their images, and what became
//! of pulls. Who the clients are is not part of it.

use chrono_tz::Tz;
use serde::Serialize;

use crate::{
    locales::{Language, Localized},
    oci::{Repository, Version},
    status::format,
    store::{
        self, ImagePulls, PullCounts, PullResult, PullSums, RefusalReason, RefusedPulls, Store,
    },
};

/// Clients that were refused in an hour, above which that is an alarm.
const MANY: u64 = 100;
const HOUR: i64 = 3600;
/// How long, in seconds, a failure of an upstream counts, and how many requests have to fail.
const RECENT: i64 = 900;
const SEVERAL: u64 = 3;

/// What the gateway knows of the pulls of now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LivePulls {
    /// Blobs that are being pulled through, those with the most clients first.
    pub downloads: Vec<LiveDownload>,
    /// How many more there are.
    pub more_downloads: usize,
    /// Upstreams that fail.
    pub upstreams: Vec<UpstreamTrouble>,
    /// Clients that were refused lately.
    pub refused: Option<RefusedClients>,
    /// Pulls that the traffic budget stops.
    pub budget: Option<BudgetStop>,
}

/// A blob on its way from its upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveDownload {
    /// The source repository.
    pub repository: String,
    /// The blob.
    pub digest: String,
    /// Its size, and how much of it has arrived, in bytes.
    pub size: u64,
    /// See `size`.
    pub received: u64,
    /// Clients that read it.
    pub followers: usize,
}

/// An upstream that fails when clients pull.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamTrouble {
    /// The registry.
    pub registry: String,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// When it failed last.
    pub last: i64,
    /// Requests of clients that needed it since then.
    pub pulls: u64,
    /// How many of them were answered from a copy.
    pub stale: u64,
    /// Why it failed last.
    pub why: String,
}

/// Requests of clients that were refused, since they were not refused for an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusedClients {
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// When it was last.
    pub last: i64,
    /// Refused because the client is in no network of `clients`.
    pub network: u64,
    /// Refused because of `client_limits`.
    pub limit: u64,
    /// Refused because the image is not allowed.
    pub rule: u64,
}

/// Pulls that the traffic budget stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetStop {
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// How many since then.
    pub pulls: u64,
}

/// Something that keeps clients from their images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullTrouble {
    /// What it is about.
    pub about: PullTroubleKind,
    /// What is wrong, in one sentence.
    pub message: Localized<String>,
}

/// What keeps clients from their images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullTroubleKind {
    /// An upstream fails.
    Upstream(String),
    /// The traffic budget is spent.
    Budget,
    /// Many requests are refused.
    Refused,
}

/// What an operator is to know of pulls at `now`, in seconds since 1970.
pub fn pull_troubles(live: &LivePulls, now: i64) -> Vec<PullTrouble> {
    let lasting = live.upstreams.iter().filter(|known| known.is_lasting(now));
    let upstreams = lasting.map(|upstream| PullTrouble {
        about: PullTroubleKind::Upstream(upstream.registry.clone()),
        message: Localized::new(|language| upstream.message(language, now)),
    });
    let budget = live.budget.map(|stop| PullTrouble {
        about: PullTroubleKind::Budget,
        message: Localized::new(|language| {
            let words = language.words();
            let lasting = language.duration(now - stop.since);
            let pulls = words.pulls.pulls(stop.pulls);
            words.alarm.pulls_budget(pulls, lasting)
        }),
    });
    let refused = live.refused.filter(|refused| refused.are_many(now));
    let refused = refused.map(|refused| PullTrouble {
        about: PullTroubleKind::Refused,
        message: Localized::new(|language| {
            let words = language.words();
            let requests = words.pulls.requests(refused.all());
            let lasting = language.duration(now - refused.since);
            let RefusedClients {
                rule,
                network,
                limit,
                ..
            } = refused;
            words
                .alarm
                .pulls_refused(requests, lasting, rule, network, limit)
        }),
    });
    upstreams.chain(budget).chain(refused).collect()
}

impl UpstreamTrouble {
    fn message(&self, language: Language, now: i64) -> String {
        let words = language.words();
        let requests = words.pulls.requests(self.pulls);
        let lasting = language.duration(now - self.since);
        let alarm = &words.alarm;
        alarm.pulls_upstream(&self.registry, lasting, requests, self.stale, &self.why)
    }

    /// Whether it still stands: an upstream of which nobody pulls is nobody's trouble.
    pub fn is_current(&self, now: i64) -> bool {
        now - self.last < RECENT
    }

    /// Whether an operator is to know: one request that fails may be chance.
    pub fn is_lasting(&self, now: i64) -> bool {
        self.is_current(now) && self.pulls >= SEVERAL
    }
}

impl RefusedClients {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.network + self.limit + self.rule
    }

    /// Whether it still goes on.
    pub fn is_current(&self, now: i64) -> bool {
        now - self.last < HOUR
    }

    /// Whether an operator is to know: it goes on, and they are many.
    pub fn are_many(&self, now: i64) -> bool {
        self.is_current(now) && self.all() >= MANY
    }
}

/// Rows of a report of pulls.
const ROWS: i64 = 25;
const DAY: i64 = 24 * HOUR;
/// How far back the bytes are known, in seconds.
const MONTH: i64 = 32 * DAY;

/// What became of pulls, for the page, the API and reports.
#[derive(Clone, Debug, Serialize)]
pub struct PullReport {
    /// When it was made, in seconds since 1970.
    pub now: i64,
    /// Since when pulls are counted.
    pub since: i64,
    /// What became of them.
    pub sums: PullSums,
    /// Bytes that no upstream had to send.
    pub saved_bytes: i64,
    /// What goes on now.
    pub live: LivePulls,
    /// The images that were pulled most, by all their pulls.
    pub images: Vec<PulledImage>,
    /// How many more were pulled.
    pub more_images: u64,
    /// Repositories that a rule refused, the most refused first.
    pub refused: Vec<RefusedImage>,
    /// How many more there are.
    pub more_refused: u64,
}

/// An image that was pulled.
#[derive(Clone, Debug, Serialize)]
pub struct PulledImage {
    /// The image, by its tag, or by its digest.
    pub image: String,
    /// What became of all its pulls.
    #[serde(flatten)]
    pub counts: PullCounts,
    /// What became of the last one.
    pub outcome: Option<PullResult>,
    /// Why the last stale copy was served.
    pub why: Option<String>,
    /// When it was pulled first and last, in seconds since 1970.
    pub first_pull: i64,
    /// See `first_pull`.
    pub last_pull: i64,
}

/// A repository that a rule refused.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedImage {
    /// The source repository.
    pub repository: String,
    /// The rule.
    pub reason: RefusalReason,
    /// The first and the last time, in seconds since 1970.
    pub first_at: i64,
    /// See `first_at`.
    pub last_at: i64,
    /// How often.
    pub refusals: i64,
    /// What to add to mirror.toml, where something can be added.
    pub toml: Option<String>,
}

/// What is known of the pulls of one image. Who pulled it is not stored.
#[derive(Clone, Debug, Serialize)]
pub struct ImagePullFacts {
    /// Its pulls; none where nobody pulled it.
    pub pulled: Option<PulledImage>,
    /// Blob bytes of its repository that no upstream had to send, in the last 32 days.
    pub saved_bytes: i64,
    /// What a rule refused of its repository.
    pub refused: Vec<RefusedImage>,
}

impl PullReport {
    /// The pulls of the 24 hours before `now`, in seconds since 1970.
    pub async fn read(store: &Store, live: LivePulls, now: i64) -> Result<Self, store::Error> {
        let since = now - DAY;
        let sums = store.pull_sums(since, None).await?;
        let (images, all_images) = store.top_pulls(since, ROWS).await?;
        let (refused, all_refused) = store.refused_pulls(since, None, ROWS).await?;
        let more = |all: i64, shown: usize| {
            let all = u64::try_from(all).unwrap_or_default();
            all.saturating_sub(shown as u64)
        };
        Ok(Self {
            now,
            since,
            sums,
            saved_bytes: sums.saved_bytes(),
            live,
            more_images: more(all_images, images.len()),
            images: images.into_iter().map(PulledImage::from).collect(),
            more_refused: more(all_refused, refused.len()),
            refused: refused.into_iter().map(RefusedImage::from).collect(),
        })
    }
}

impl ImagePullFacts {
    /// What is known of an image; nothing where nobody pulled it and no rule refused it.
    pub async fn read(
        store: &Store,
        repository: &Repository,
        version: &Version,
        now: i64,
    ) -> Result<Option<Self>, store::Error> {
        let pulled = store.image_pulls(repository, version).await?;
        let (refused, _) = store
            .refused_pulls(now - MONTH, Some(repository), ROWS)
            .await?;
        if pulled.is_none() && refused.is_empty() {
            return Ok(None);
        }
        let sums = store.pull_sums(now - MONTH, Some(repository)).await?;
        Ok(Some(Self {
            pulled: pulled.map(PulledImage::from),
            saved_bytes: sums.saved_bytes(),
            refused: refused.into_iter().map(RefusedImage::from).collect(),
        }))
    }
}

impl From<ImagePulls> for PulledImage {
    fn from(pulls: ImagePulls) -> Self {
        let image = match &pulls.version {
            Version::Tag(tag) => pulls.repository.tag(tag),
            Version::Digest(digest) => pulls.repository.digest(digest),
        };
        Self {
            image: image.to_string(),
            counts: pulls.counts,
            outcome: pulls.outcome,
            why: pulls.why,
            first_pull: pulls.first_pull,
            last_pull: pulls.last_pull,
        }
    }
}

impl RefusedImage {
    /// The refusal in a sentence.
    pub fn words(&self, language: Language, zone: Tz) -> String {
        let words = &language.words().pulls;
        let requests = words.requests(u64::try_from(self.refusals).unwrap_or_default());
        let first = format::time(self.first_at, zone);
        let reason = self.reason_words(language);
        words.refused_since(&self.repository, reason, requests, first)
    }

    /// Why a rule refuses it, in words.
    pub fn reason_words(&self, language: Language) -> &'static str {
        let words = &language.words().pulls;
        match self.reason {
            RefusalReason::Denied => words.denied,
            RefusalReason::NotListed => words.not_listed,
            RefusalReason::UnknownRegistry => words.unknown_registry,
        }
    }
}

impl From<RefusedPulls> for RefusedImage {
    fn from(refused: RefusedPulls) -> Self {
        let repository = refused.repository.to_string();
        let toml = match refused.reason {
            RefusalReason::Denied => None,
            RefusalReason::NotListed | RefusalReason::UnknownRegistry => {
                Some(format!("[gateway]\nallow = [\"{repository}\"]\n"))
            }
        };
        Self {
            repository,
            reason: refused.reason,
            first_at: refused.first_at,
            last_at: refused.last_at,
            refusals: refused.refusals,
            toml,
        }
    }
}
