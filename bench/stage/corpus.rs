//! What the source holds: images of several platforms that share layers, of random bytes that follow from a name.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::hand::Hand;
use crate::support::registries::client::digest_of;
use crate::support::registries::corpus::{OCI_INDEX, OCI_MANIFEST};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// Blobs that are made and pushed at a time; so many are in memory.
const BLOBS: usize = 4;
/// Small requests that are under way at a time.
const REQUESTS: usize = 16;

/// How many images of which kind.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub repositories: usize,
    /// In all repositories together.
    pub tags: usize,
    pub platforms: usize,
    /// Layers of every image that the whole corpus shares.
    pub common_layers: usize,
    /// Layers of every image that its repository shares; an image of its own has one more, of a quarter of their size.
    pub repository_layers: usize,
    pub layer_bytes: usize,
}

/// A tag, and how often it has moved.
#[derive(Clone, Copy, Debug)]
struct Edition {
    number: usize,
    generation: usize,
}

/// The source as it has been filled so far.
pub struct Corpus {
    shape: Shape,
    hand: Hand,
    /// What each layer is, and the repository in which it was pushed first.
    layers: HashMap<String, (Value, String)>,
    /// The repositories that hold a layer.
    placed: HashSet<(String, String)>,
    tags: BTreeMap<usize, usize>,
}

/// A layer that an image has in a repository.
struct Wanted {
    name: String,
    bytes: usize,
    repository: String,
}

impl Corpus {
    /// Fills a registry.
    pub async fn fill(shape: Shape, hand: Hand) -> (Self, u64) {
        let mut corpus = Self {
            shape,
            hand,
            layers: HashMap::new(),
            placed: HashSet::new(),
            tags: BTreeMap::new(),
        };
        let all = (0..shape.tags).map(|number| (number, 0)).collect();
        let bytes = corpus.push(all).await;
        (corpus, bytes)
    }

    /// Moves one tag in so many to an image with a new layer of its own; says how many bytes are new.
    pub async fn move_one_in(&mut self, many: usize) -> u64 {
        let moved = self.tags.iter().step_by(many);
        let moved = moved.map(|(number, generation)| (*number, generation + 1));
        let moved = moved.collect();
        self.push(moved).await
    }

    /// Adds one tag for so many that there are; says how many bytes are new.
    pub async fn add_one_for(&mut self, many: usize) -> u64 {
        let (first, count) = (self.tags.len(), self.tags.len().div_ceil(many));
        self.push((first..first + count).map(|number| (number, 0)).collect())
            .await
    }

    pub fn repositories(&self) -> Vec<String> {
        let count = self.shape.repositories.min(self.shape.tags);
        (0..count).map(repository_name).collect()
    }

    /// Every `(repository, tag)`.
    pub fn tags(&self) -> Vec<(String, String)> {
        let name = |number: &usize| (self.repository_of(*number), tag_name(*number));
        self.tags.keys().map(name).collect()
    }

    fn repository_of(&self, number: usize) -> String {
        repository_name(number % self.shape.repositories)
    }

    async fn push(&mut self, editions: Vec<(usize, usize)>) -> u64 {
        let edition = |(number, generation)| Edition { number, generation };
        let editions: Vec<Edition> = editions.into_iter().map(edition).collect();
        let bytes = self.push_layers(&editions).await;
        let this = &*self;
        let images = stream::iter(&editions).map(|edition| this.push_image(*edition));
        let sizes: Vec<u64> = images.buffer_unordered(REQUESTS).collect().await;
        let moved = editions.iter().map(|one| (one.number, one.generation));
        self.tags.extend(moved);
        bytes + sizes.iter().sum::<u64>()
    }

    async fn push_layers(&mut self, editions: &[Edition]) -> u64 {
        let (new, mounts) = self.sort_out(editions);
        let bytes = new.iter().map(|wanted| wanted.bytes as u64).sum();
        let hand = &self.hand;
        let pushes = stream::iter(new).map(|wanted| async move {
            let body = noise(&wanted.name, wanted.bytes);
            let descriptor = descriptor(LAYER, &body);
            hand.put_blob(&wanted.repository, body).await;
            (wanted.name, (descriptor, wanted.repository))
        });
        let pushed: Vec<_> = pushes.buffer_unordered(BLOBS).collect().await;
        self.layers.extend(pushed);
        let layers = &self.layers;
        let mounting = stream::iter(mounts).map(|wanted| async move {
            let (descriptor, from) = &layers[&wanted.name];
            let digest = descriptor["digest"].as_str().unwrap();
            hand.mount(&wanted.repository, digest, from).await;
        });
        mounting.buffer_unordered(REQUESTS).collect::<()>().await;
        bytes
    }

    /// What these images want and the source does not hold yet: new layers, and those that another repository has.
    fn sort_out(&mut self, editions: &[Edition]) -> (Vec<Wanted>, Vec<Wanted>) {
        let wanted = editions.iter().map(|edition| self.layers_of(*edition));
        let wanted: Vec<Wanted> = wanted.flatten().collect();
        let is_missing = |wanted: &Wanted| {
            let place = (wanted.repository.clone(), wanted.name.clone());
            self.placed.insert(place)
        };
        let missing: Vec<Wanted> = wanted.into_iter().filter(is_missing).collect();
        let mut names: HashSet<String> = self.layers.keys().cloned().collect();
        let is_new = |wanted: &Wanted| names.insert(wanted.name.clone());
        missing.into_iter().partition(is_new)
    }

    /// The layers of all platforms of an image, in order.
    fn layers_of(&self, edition: Edition) -> Vec<Wanted> {
        let platforms = 0..self.shape.platforms;
        platforms
            .flat_map(|platform| self.layers_for(edition, platform))
            .collect()
    }

    fn layers_for(&self, edition: Edition, platform: usize) -> Vec<Wanted> {
        let Edition { number, generation } = edition;
        let repository = self.repository_of(number);
        let wanted = |name: String, bytes: usize| Wanted {
            name,
            bytes,
            repository: repository.clone(),
        };
        let size = self.shape.layer_bytes;
        let common = (0..self.shape.common_layers)
            .map(|layer| wanted(format!("common {layer} {platform}"), size));
        let own = (0..self.shape.repository_layers)
            .map(|layer| wanted(format!("{repository} {layer} {platform}"), size));
        let mut layers: Vec<_> = common.chain(own).collect();
        if self.shape.repository_layers > 0 {
            let name = format!("{repository} {number} {generation} {platform}");
            layers.push(wanted(name, size / 4));
        }
        layers
    }

    /// Pushes configs, manifests and the index of an image; says how many bytes of blobs are new.
    async fn push_image(&self, edition: Edition) -> u64 {
        let (mut children, mut bytes) = (Vec::new(), 0);
        let repository = self.repository_of(edition.number);
        let tag = tag_name(edition.number);
        for (platform, architecture) in (0..self.shape.platforms).zip(ARCHITECTURES) {
            let layers = self.layers_for(edition, platform);
            let layers: Vec<_> = layers.iter().map(|one| &self.layers[&one.name].0).collect();
            let config = json!({
                "os": "linux", "architecture": architecture, "created": "2024-01-01T00:00:00Z",
                "config": { "Labels": { "edition": format!("{edition:?}") } },
                "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|layer| &layer["digest"]).collect::<Vec<_>>() },
            });
            let config = Bytes::from(config.to_string());
            bytes += config.len() as u64;
            let manifest = json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST,
                "config": descriptor(CONFIG, &config), "layers": layers,
            });
            let manifest = Bytes::from(manifest.to_string());
            self.hand.put_blob(&repository, config).await;
            if self.shape.platforms == 1 {
                self.hand
                    .put_manifest(&repository, &tag, OCI_MANIFEST, manifest)
                    .await;
                return bytes;
            }
            let mut child = descriptor(OCI_MANIFEST, &manifest);
            let digest = digest_of(&manifest);
            self.hand
                .put_manifest(&repository, &digest, OCI_MANIFEST, manifest)
                .await;
            child["platform"] = json!({ "os": "linux", "architecture": architecture });
            children.push(child);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children });
        let index = Bytes::from(index.to_string());
        self.hand
            .put_manifest(&repository, &tag, OCI_INDEX, index)
            .await;
        bytes
    }
}

/// Pushes an image with one layer of any size, of which little is in memory at a time; `bench/large:v1`.
pub async fn push_large(hand: &Hand, size: u64) -> Vec<(String, String)> {
    let repository = "bench/large".to_owned();
    let digest = hand.stream_blob(&repository, size).await;
    let layer = json!({ "mediaType": LAYER, "digest": digest, "size": size });
    let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": { "type": "layers", "diff_ids": [digest] } });
    let config = Bytes::from(config.to_string());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": descriptor(CONFIG, &config), "layers": [layer],
    });
    hand.put_blob(&repository, config).await;
    let manifest = Bytes::from(manifest.to_string());
    hand.put_manifest(&repository, "v1", OCI_MANIFEST, manifest)
        .await;
    vec![(repository, "v1".to_owned())]
}

fn descriptor(media_type: &str, bytes: &Bytes) -> Value {
    json!({ "mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len() })
}

fn repository_name(number: usize) -> String {
    format!("bench/app{number:03}")
}

fn tag_name(number: usize) -> String {
    format!("v1.{number}.0")
}

/// What a file of gzip begins with: some tools compress a layer that does not look compressed.
pub const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// Bytes that no compression makes smaller.
fn noise(name: &str, size: usize) -> Bytes {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut bytes = vec![0; size];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes[..GZIP.len()].copy_from_slice(&GZIP);
    bytes.into()
}
