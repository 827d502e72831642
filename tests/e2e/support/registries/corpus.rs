//! Deterministic content of every kind that registries hold.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::registries::client::digest_of;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A blob and the media type under which a manifest names it.
#[derive(Clone, Debug)]
pub struct Blob {
    pub media_type: String,
    pub bytes: Bytes,
}

impl Blob {
    fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            bytes: bytes.into(),
        }
    }

    pub fn digest(&self) -> String {
        digest_of(&self.bytes)
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len() })
    }
}

/// A layer whose bytes follow from its name.
pub fn layer(name: &str, size: usize) -> Blob {
    Blob::new(OCI_LAYER, noise(name, size))
}

/// A manifest or an index, with all that it names.
#[derive(Clone, Debug)]
pub struct Image {
    pub media_type: String,
    pub bytes: Bytes,
    pub blobs: Vec<Blob>,
    pub children: Vec<Image>,
    platform: Option<Value>,
    annotations: Option<Value>,
    artifact_type: Option<Value>,
}

impl Image {
    /// A plain OCI image for linux/amd64 with two layers of its own.
    pub fn oci(name: &str) -> Self {
        Self::oci_with(
            name,
            vec![
                layer(&format!("{name} one"), 3000),
                layer(&format!("{name} two"), 700),
            ],
        )
    }

    /// An OCI image for linux/amd64 whose config says when it was made.
    pub fn made_at(name: &str, created: &str) -> Self {
        let config = config(name, "linux/amd64").replace("2024-01-01T00:00:00Z", created);
        let layers = vec![layer(name, 300)];
        Self::of(
            OCI_MANIFEST,
            Blob::new(OCI_CONFIG, config),
            layers,
            &json!({}),
        )
    }

    /// An OCI image for linux/amd64 with these layers.
    pub fn oci_with(name: &str, layers: Vec<Blob>) -> Self {
        Self::of(
            OCI_MANIFEST,
            Blob::new(OCI_CONFIG, config(name, "linux/amd64")),
            layers,
            &json!({}),
        )
    }

    /// An OCI image for a platform such as `linux/arm64/v8`.
    pub fn oci_for(name: &str, platform: &str) -> Self {
        let layers = vec![layer(&format!("{name} {platform}"), 900)];
        let config = Blob::new(OCI_CONFIG, config(name, platform));
        Self::of(OCI_MANIFEST, config, layers, &json!({})).on(platform)
    }

    /// An OCI image whose manifest alone is larger than a mebibyte.
    pub fn with_a_large_manifest(name: &str) -> Self {
        let config = Blob::new(OCI_CONFIG, config(name, "linux/amd64"));
        let extra = json!({ "annotations": { "org.example.large": "x".repeat(1_500_000) } });
        Self::of(OCI_MANIFEST, config, vec![layer(name, 500)], &extra)
    }

    /// A docker v2 image for linux/amd64.
    pub fn docker(name: &str) -> Self {
        let layers = vec![Blob::new(DOCKER_LAYER, noise(name, 2000))];
        Self::of(
            DOCKER_MANIFEST,
            Blob::new(DOCKER_CONFIG, config(name, "linux/amd64")),
            layers,
            &json!({}),
        )
    }

    /// An artifact with the empty config of OCI 1.1.
    pub fn artifact(name: &str) -> Self {
        let layers = vec![Blob::new("application/vnd.example.data", noise(name, 500))];
        let extra = json!({ "artifactType": "application/vnd.example.thing" });
        Self::of(OCI_MANIFEST, Blob::new(OCI_EMPTY, "{}"), layers, &extra)
    }

    /// An image that has a config and not a single layer.
    pub fn without_layers(name: &str) -> Self {
        Self::oci_with(name, Vec::new())
    }

    /// An image that names one layer twice.
    pub fn with_a_layer_twice(name: &str) -> Self {
        let twice = layer(name, 800);
        Self::oci_with(
            name,
            vec![twice.clone(), layer(&format!("{name} other"), 100), twice],
        )
    }

    /// An image whose layer is compressed with zstd.
    pub fn zstd(name: &str) -> Self {
        Self::oci_with(name, vec![Blob::new(OCI_LAYER_ZSTD, noise(name, 1200))])
    }

    /// An image with a layer that its vendor serves, as old Windows images have.
    pub fn with_a_foreign_layer(name: &str) -> Self {
        let kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let layers = vec![Blob::new(kind, noise(name, 400))];
        Self::of(
            DOCKER_MANIFEST,
            Blob::new(DOCKER_CONFIG, config(name, "windows/amd64")),
            layers,
            &json!({}),
        )
    }

    /// What a builder says of `subject`: a child of an index, for no platform.
    pub fn attestation(subject: &Self) -> Self {
        let name = format!("attestation of {}", subject.digest());
        let statement = json!({ "_type": "https://in-toto.io/Statement/v0.1", "subject": name });
        let layers = vec![Blob::new(
            "application/vnd.in-toto+json",
            statement.to_string(),
        )];
        let config = Blob::new(OCI_CONFIG, config(&name, "unknown/unknown"));
        let mut image = Self::of(OCI_MANIFEST, config, layers, &json!({})).on("unknown/unknown");
        image.annotations = Some(json!({
            "vnd.docker.reference.digest": subject.digest(),
            "vnd.docker.reference.type": "attestation-manifest",
        }));
        image
    }

    /// An artifact that refers to `subject`: a signature, an SBOM, ...
    pub fn referring(kind: &str, subject: &Self) -> Self {
        let data = noise(&format!("{kind} of {}", subject.digest()), 300);
        let layers = vec![Blob::new("application/vnd.example.data", data)];
        let extra = json!({ "artifactType": kind, "subject": subject.descriptor() });
        let mut image = Self::of(OCI_MANIFEST, Blob::new(OCI_EMPTY, "{}"), layers, &extra);
        image.artifact_type = Some(json!(kind));
        image
    }

    /// An OCI index of these children.
    pub fn index(children: Vec<Self>) -> Self {
        Self::list(OCI_INDEX, children)
    }

    /// An index whose entries are layers, as builders write their caches.
    pub fn build_cache(name: &str) -> Self {
        let layers = vec![layer(name, 900), layer(&format!("{name} two"), 500)];
        let entries: Vec<_> = layers.iter().map(Blob::descriptor).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
        Self {
            media_type: OCI_INDEX.to_owned(),
            bytes: pretty(&index),
            blobs: layers,
            ..Self::nothing()
        }
    }

    /// An OCI index for linux/amd64 and linux/arm64.
    pub fn two_platforms(name: &str) -> Self {
        Self::index(vec![
            Self::oci_for(name, "linux/amd64"),
            Self::oci_for(name, "linux/arm64"),
        ])
    }

    /// A docker manifest list of two docker images.
    pub fn docker_list(name: &str) -> Self {
        let children = ["linux/amd64", "linux/arm64"]
            .map(|platform| Self::docker(&format!("{name} {platform}")).on(platform));
        Self::list(DOCKER_LIST, children.into())
    }

    /// The image that an index shows under a platform.
    pub fn on(mut self, platform: &str) -> Self {
        let parts: Vec<_> = platform.split('/').collect();
        let mut value = json!({ "os": parts[0], "architecture": parts[1] });
        if let Some(variant) = parts.get(2) {
            value["variant"] = json!(variant);
        }
        self.platform = Some(value);
        self
    }

    pub fn digest(&self) -> String {
        digest_of(&self.bytes)
    }

    /// How an index names this image.
    pub fn descriptor(&self) -> Value {
        let mut value = json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len() });
        for (key, member) in [
            ("platform", &self.platform),
            ("annotations", &self.annotations),
            ("artifactType", &self.artifact_type),
        ] {
            if let Some(member) = member {
                value[key] = member.clone();
            }
        }
        value
    }

    /// Every blob of the image and its children, once, with its size.
    pub fn unique_blobs(&self) -> BTreeMap<String, u64> {
        let own = self
            .blobs
            .iter()
            .map(|blob| (blob.digest(), blob.bytes.len() as u64));
        self.children
            .iter()
            .flat_map(Self::unique_blobs)
            .chain(own)
            .collect()
    }

    fn of(media_type: &str, config: Blob, layers: Vec<Blob>, extra: &Value) -> Self {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        merge(&mut manifest, extra);
        let blobs = std::iter::once(config).chain(layers).collect();
        Self {
            media_type: media_type.to_owned(),
            bytes: pretty(&manifest),
            blobs,
            ..Self::nothing()
        }
    }

    fn list(media_type: &str, children: Vec<Self>) -> Self {
        let descriptors: Vec<_> = children.iter().map(Self::descriptor).collect();
        let index =
            json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": descriptors });
        Self {
            media_type: media_type.to_owned(),
            bytes: pretty(&index),
            children,
            ..Self::nothing()
        }
    }

    fn nothing() -> Self {
        Self {
            media_type: String::new(),
            bytes: Bytes::new(),
            blobs: Vec::new(),
            children: Vec::new(),
            platform: None,
            annotations: None,
            artifact_type: None,
        }
    }
}

/// The unique blobs of several images together.
pub fn unique_blobs<'a>(images: impl IntoIterator<Item = &'a Image>) -> BTreeMap<String, u64> {
    images.into_iter().flat_map(Image::unique_blobs).collect()
}

/// The bytes of those blobs.
pub fn total_size(blobs: &BTreeMap<String, u64>) -> u64 {
    blobs.values().sum()
}

/// Spaced as no serialiser of ours would do it, so that a manifest written anew cannot pass for a copy.
fn pretty(value: &Value) -> Bytes {
    let text = serde_json::to_string_pretty(value)
        .unwrap()
        .replace("\": ", "\" :  ");
    format!("{text}\n").into()
}

fn config(name: &str, platform: &str) -> String {
    let (os, architecture) = platform.split_once('/').unwrap();
    let (architecture, variant) = architecture.split_once('/').unwrap_or((architecture, ""));
    let mut config = json!({
        "created": "2024-01-01T00:00:00Z",
        "os": os,
        "architecture": architecture,
        "config": { "Labels": { "name": name } },
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    if !variant.is_empty() {
        config["variant"] = json!(variant);
    }
    config.to_string()
}

fn merge(object: &mut Value, extra: &Value) {
    for (key, value) in extra.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
}

/// Bytes that look like a compressed layer and follow from a name alone.
fn noise(name: &str, size: usize) -> Vec<u8> {
    let blocks =
        (0..size.div_ceil(64)).map(|block| digest_of(format!("{name} {block}").as_bytes()));
    blocks
        .flat_map(|digest| digest.into_bytes().split_off("sha256:".len()))
        .take(size)
        .collect()
}
