//! What each cluster uses, by the last list that it sent, compared with what is mirrored.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::{
    config::Config,
    inventory::{Certainty, FoundImage, Inventory},
    metrics::Metrics,
    status::coverage::{Coverage, CoveredImage, ImageState},
    store::{
        self, ClusterChange, ClusterImageRecord, ClusterRecord, Store, StoreEvent, StoreWriter,
        Upkeep,
    },
};

/// Most clusters.
const MAX_CLUSTERS: usize = 50;
/// Most images of all clusters together.
const MAX_IMAGES: usize = 100_000;
/// Most letters of a place that are kept.
const MAX_PLACE: usize = 300;
/// Age of a list, in seconds, from which on its cluster no longer sends any.
const STALE: i64 = 2 * 24 * 3600;
/// One in how many parts of the time may be spent on comparing lists.
const SHARE: u32 = 5;

/// An image of a cluster that is not current.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterImage {
    /// What it is, and what the mirror has of it.
    #[serde(flatten)]
    pub covered: CoveredImage,
    /// Since when it is missing, in seconds since 1970.
    pub missing_since: Option<i64>,
}

/// How it stands with the images of a cluster.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterStatus {
    /// Its name.
    pub cluster: Arc<str>,
    /// When its list arrived, in seconds since 1970.
    pub received_at: i64,
    /// How many images it pulls.
    pub images: usize,
    /// How many of them are in each state.
    pub counts: BTreeMap<ImageState, usize>,
    /// Those that are not current, worst first.
    pub not_current: Vec<ClusterImage>,
    /// The entries to add.
    pub toml: String,
    /// How many images its list has, with those that may be none.
    #[serde(skip)]
    listed: usize,
}

impl ClusterStatus {
    pub(crate) fn new(
        record: ClusterRecord,
        coverage: Coverage,
        since: impl Fn(&str) -> i64,
    ) -> Self {
        let counts = coverage.counts();
        let toml = coverage.toml();
        let listed = coverage.images.len();
        let not_current = coverage.images.into_iter().filter(|image| {
            image.state != ImageState::Current && image.found.certainty != Certainty::Maybe
        });
        let not_current = not_current.map(|covered| ClusterImage {
            missing_since: covered
                .state
                .is_missing()
                .then(|| since(&covered.found.image)),
            covered,
        });
        Self {
            cluster: record.name.into(),
            received_at: record.received_at,
            images: counts.values().sum(),
            counts,
            not_current: not_current.collect(),
            toml,
            listed,
        }
    }

    /// How many images are in a state.
    pub fn count(&self, state: ImageState) -> usize {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    /// The images that no entry mirrors.
    pub fn not_mirrored(&self) -> impl Iterator<Item = &ClusterImage> {
        self.of_state(ImageState::NotMirrored)
    }

    /// The images that run as a digest which the mirror does not hold.
    pub fn other_digest(&self) -> impl Iterator<Item = &ClusterImage> {
        self.of_state(ImageState::OtherDigest)
    }

    fn of_state(&self, state: ImageState) -> impl Iterator<Item = &ClusterImage> {
        let images = self.not_current.iter();
        images.filter(move |image| image.covered.state == state)
    }

    /// Whether its list is so old that it no longer sends any.
    pub fn is_stale(&self, now: i64) -> bool {
        now - self.received_at > STALE
    }

    /// Since when images are missing.
    fn missing(&self) -> BTreeMap<&str, i64> {
        let images = self.not_current.iter();
        let missing = images.filter_map(|image| {
            let name = image.covered.found.image.as_str();
            Some((name, image.missing_since?))
        });
        missing.collect()
    }
}

/// Why a list is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There are too many of something.
    #[error(
        "there are more than {0}; forget clusters that are gone: DELETE /api/v1/coverage/CLUSTER"
    )]
    TooMany(&'static str),
}

/// Keeps the list of each cluster, and compares it when it arrives and when mirrors change.
#[derive(Debug)]
pub struct ClusterCache {
    store: Store,
    writer: Arc<StoreWriter>,
    metrics: Arc<Metrics>,
    /// Lists are compared one after the other.
    turn: Semaphore,
    known: Mutex<BTreeMap<Arc<str>, Arc<ClusterStatus>>>,
    pace: Mutex<Pace>,
}

/// When all lists are compared again.
#[derive(Debug, Default)]
struct Pace {
    is_outdated: bool,
    is_running: bool,
    last: Option<(Instant, Duration)>,
}

impl ClusterCache {
    /// Nothing is known yet.
    pub(crate) fn new(store: Store, writer: Arc<StoreWriter>, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            writer,
            metrics,
            turn: Semaphore::new(1),
            known: Mutex::default(),
            pace: Mutex::default(),
        }
    }

    /// Every cluster, by name.
    pub fn all(&self) -> Vec<Arc<ClusterStatus>> {
        self.known.lock().values().cloned().collect()
    }

    /// A cluster.
    pub fn get(&self, cluster: &str) -> Option<Arc<ClusterStatus>> {
        self.known.lock().get(cluster).cloned()
    }

    /// Takes the list of a cluster, which replaces its last one, and compares it.
    pub async fn receive(
        &self,
        config: &Config,
        record: ClusterRecord,
        inventory: Inventory,
    ) -> Result<Arc<ClusterStatus>, ClusterError> {
        let _turn = self.turn.acquire().await;
        self.expect_room(&record.name, inventory.images().len())?;
        let images = inventory.images().map(to_record).collect();
        let coverage = Coverage::of(&inventory, config, Some(&self.store)).await?;
        self.note(ClusterChange::Replaced(record.clone(), images));
        let status = self.adopt(record, coverage);
        self.writer.flush().await;
        Ok(status)
    }

    /// Forgets a cluster. Returns whether it was known.
    pub async fn forget(&self, cluster: &str) -> bool {
        let _turn = self.turn.acquire().await;
        let is_known = self.known.lock().remove(cluster).is_some();
        if is_known {
            self.note(ClusterChange::Forgotten(cluster.into()));
            self.metrics.forget_cluster(cluster);
            self.writer.flush().await;
        }
        is_known
    }

    /// Mirrors changed: every list is to be compared again.
    pub fn outdate(&self) {
        self.pace.lock().is_outdated = true;
    }

    /// Whether the lists are to be compared now. They are begun then: [`Self::judge`] must follow.
    pub fn begin(&self) -> bool {
        let mut pace = self.pace.lock();
        let is_rested = |(began, took): (Instant, Duration)| began.elapsed() >= took * SHARE;
        let is_due = pace.is_outdated && !pace.is_running && pace.last.is_none_or(is_rested);
        if is_due {
            (pace.is_outdated, pace.is_running) = (false, true);
        }
        is_due
    }

    /// Compares every list again.
    pub async fn judge(&self, config: &Config) -> Result<(), store::Error> {
        let began = Instant::now();
        let judged = self.judge_all(config).await;
        let mut pace = self.pace.lock();
        pace.is_running = false;
        pace.last = Some((began, began.elapsed()));
        judged
    }

    async fn judge_all(&self, config: &Config) -> Result<(), store::Error> {
        self.writer.flush().await;
        for record in self.store.clusters().await? {
            let _turn = self.turn.acquire().await;
            self.judge_one(config, record).await?;
        }
        Ok(())
    }

    async fn judge_one(&self, config: &Config, record: ClusterRecord) -> Result<(), store::Error> {
        // What arrived or was forgotten meanwhile is written by now, or waits for the store.
        let mut clusters = self.store.clusters().await?.into_iter();
        let Some(record) = clusters.find(|other| other.name == record.name) else {
            return Ok(());
        };
        let known = self.get(&record.name);
        if known.is_some_and(|known| known.received_at > record.received_at) {
            return Ok(());
        }
        let (coverage, since) = compare(&self.store, config, &record.name).await?;
        self.adopt_since(record, coverage, &since);
        Ok(())
    }

    /// Takes what came of a comparison; images that were missing before keep their time.
    fn adopt(&self, record: ClusterRecord, coverage: Coverage) -> Arc<ClusterStatus> {
        let known = self.get(&record.name);
        let missing = known.iter().flat_map(|known| known.missing());
        let since = missing.map(|(image, since)| (image.to_owned(), since));
        let since = since.collect();
        self.adopt_since(record, coverage, &since)
    }

    fn adopt_since(
        &self,
        record: ClusterRecord,
        coverage: Coverage,
        before: &BTreeMap<String, i64>,
    ) -> Arc<ClusterStatus> {
        let now = chrono::Utc::now().timestamp();
        let since = |image: &str| before.get(image).map_or(now, |since| now.min(*since));
        let status = Arc::new(ClusterStatus::new(record, coverage, since));
        let missing = status.missing();
        let over = before
            .keys()
            .filter(|image| !missing.contains_key(image.as_str()));
        let over = over.map(|image| (image.as_str(), None));
        let begun = missing
            .iter()
            .filter(|(image, since)| before.get(**image) != Some(*since));
        let begun = begun.map(|(image, since)| (*image, Some(*since)));
        for (image, since) in over.chain(begun) {
            self.note(ClusterChange::Missing {
                cluster: status.cluster.to_string(),
                image: image.to_owned(),
                since,
            });
        }
        let counts = ImageState::ALL.map(|state| (state.label(), status.count(state)));
        self.metrics
            .cluster(&status.cluster, status.received_at, &counts);
        let name = status.cluster.clone();
        self.known.lock().insert(name, status.clone());
        status
    }

    fn expect_room(&self, cluster: &str, images: usize) -> Result<(), ClusterError> {
        let known = self.known.lock();
        let others = known.values().filter(|other| *other.cluster != *cluster);
        let listed: usize = others.clone().map(|other| other.listed).sum();
        if others.count() >= MAX_CLUSTERS {
            return Err(ClusterError::TooMany("50 clusters"));
        }
        match listed + images > MAX_IMAGES {
            true => Err(ClusterError::TooMany("100,000 images of all clusters")),
            false => Ok(()),
        }
    }

    fn note(&self, change: ClusterChange) {
        self.writer
            .note(StoreEvent::Upkeep(Upkeep::Cluster(change)));
    }
}

/// How it stands with the images of every cluster, by the lists in the store.
pub async fn read_clusters(
    store: &Store,
    config: &Config,
    now: i64,
) -> Result<Vec<Arc<ClusterStatus>>, store::Error> {
    let mut read = Vec::new();
    for record in store.clusters().await? {
        let (coverage, since) = compare(store, config, &record.name).await?;
        let since = |image: &str| since.get(image).copied().unwrap_or(now);
        read.push(Arc::new(ClusterStatus::new(record, coverage, since)));
    }
    Ok(read)
}

/// Compares the list in the store of a cluster, and returns since when its images are missing.
async fn compare(
    store: &Store,
    config: &Config,
    cluster: &str,
) -> Result<(Coverage, BTreeMap<String, i64>), store::Error> {
    let records = store.cluster_images(cluster).await?;
    let since = records
        .iter()
        .filter_map(|image| Some((image.image.clone(), image.missing_since?)))
        .collect();
    let inventory: Inventory = records.into_iter().map(from_record).collect();
    let coverage = Coverage::of(&inventory, config, Some(store)).await?;
    Ok((coverage, since))
}

fn to_record(found: &FoundImage) -> ClusterImageRecord {
    ClusterImageRecord {
        image: found.image.clone(),
        certainty: found.certainty.as_str().into(),
        place: found.place.chars().take(MAX_PLACE).collect(),
        places: found.places,
        running: found.running.clone(),
        missing_since: None,
    }
}

fn from_record(record: ClusterImageRecord) -> FoundImage {
    FoundImage {
        image: record.image,
        certainty: Certainty::parse(&record.certainty).unwrap_or(Certainty::Maybe),
        place: record.place,
        places: record.places,
        running: record.running,
    }
}

#[cfg(test)]
mod tests;
