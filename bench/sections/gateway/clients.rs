//! What clients of a registry do: images are pushed, pulled, and read again and again.

use std::time::Instant;

use bytes::Bytes;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::stage::hand::Hand;
use crate::support::registries::corpus::OCI_MANIFEST;
use crate::support::registries::registry::Registry;

pub const MIB: f64 = 1_048_576.0;
pub const MANIFESTS: usize = 1000;
/// How often a warm blob is read.
pub const READS: usize = 3;

/// An image of the upstream: its repository, and its layers with their sizes.
pub struct Pushed {
    pub repository: String,
    pub layers: Vec<(String, u64)>,
}

impl Pushed {
    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(|(_, size)| size).sum()
    }
}

/// Pushes an image of random layers.
pub async fn push(registry: &Registry, repository: &str, layers: &[u64]) -> Pushed {
    let hand = Hand::of(registry);
    let config = Bytes::from_static(b"{\"os\":\"linux\",\"architecture\":\"amd64\"}");
    hand.put_blob(repository, config.clone()).await;
    let mut pushed = Vec::new();
    for (part, size) in (0..).zip(layers) {
        // The size is the seed of the bytes: each layer is its own.
        pushed.push((hand.stream_blob(repository, size + part).await, size + part));
    }
    let layer = |(digest, size): &(String, u64)| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": size});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": crate::support::registries::client::digest_of(&config),
            "size": config.len(),
        },
        "layers": pushed.iter().map(layer).collect::<Vec<_>>(),
    });
    let bytes = Bytes::from(manifest.to_string());
    hand.put_manifest(repository, "v1", OCI_MANIFEST, bytes)
        .await;
    Pushed {
        repository: repository.to_owned(),
        layers: pushed,
    }
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}

/// Pulls an image as a client does; the seconds to the first byte of its first layer.
pub async fn pull(base: &str, image: &Pushed) -> f64 {
    let http = client();
    manifest(&http, base, image).await;
    let blobs = image
        .layers
        .iter()
        .map(|(digest, size)| blob(&http, base, image, digest, *size));
    join_all(blobs).await[0]
}

async fn manifest(http: &reqwest::Client, base: &str, image: &Pushed) {
    let url = format!("{base}/v2/{}/manifests/v1", image.repository);
    let answer = http
        .get(url)
        .header("Accept", OCI_MANIFEST)
        .send()
        .await
        .unwrap();
    let manifest: Value = answer.error_for_status().unwrap().json().await.unwrap();
    assert_eq!(
        manifest["layers"].as_array().unwrap().len(),
        image.layers.len()
    );
}

async fn blob(http: &reqwest::Client, base: &str, image: &Pushed, digest: &str, size: u64) -> f64 {
    let start = Instant::now();
    let url = format!("{base}/v2/{}/blobs/{digest}", image.repository);
    let answer = http.get(url).send().await.unwrap();
    let mut answer = answer.error_for_status().unwrap();
    let (mut first, mut read) = (None, 0);
    while let Some(piece) = answer.chunk().await.unwrap() {
        first.get_or_insert_with(|| start.elapsed().as_secs_f64());
        read += piece.len() as u64;
    }
    assert_eq!(read, size, "a whole blob");
    first.unwrap()
}

/// One client reads the manifest many times: the seconds of each.
pub async fn read_manifests(base: &str, image: &Pushed) -> Vec<f64> {
    let (http, mut times) = (client(), Vec::new());
    for _ in 0..MANIFESTS {
        let start = Instant::now();
        manifest(&http, base, image).await;
        times.push(start.elapsed().as_secs_f64());
    }
    times
}

/// One client reads the first layer a few times: MiB a second, the median.
pub async fn read_blob(base: &str, image: &Pushed) -> f64 {
    let (http, mut rates) = (client(), Vec::new());
    let (digest, size) = &image.layers[0];
    for _ in 0..READS {
        let start = Instant::now();
        blob(&http, base, image, digest, *size).await;
        rates.push(*size as f64 / MIB / start.elapsed().as_secs_f64());
    }
    percentile(rates, 50)
}

pub fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
