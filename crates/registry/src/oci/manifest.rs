//! Manifests: their bytes, kept verbatim, and what can be read from them.

use std::collections::HashSet;

use bytes::Bytes;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Number, Value};

use super::{Digest, Platform};

/// The media type of an OCI image index.
pub const IMAGE_INDEX_MEDIA_TYPE: &str = OCI_IMAGE_INDEX_MEDIA_TYPE;
/// The manifest of artifacts that release candidates of OCI 1.1 had, and its forerunner
/// ([image-spec#999](https://github.com/opencontainers/image-spec/pull/999) withdrew it).
pub(crate) const WITHDRAWN_MEDIA_TYPES: [&str; 2] = [
    "application/vnd.oci.artifact.manifest.v1+json",
    "application/vnd.cncf.oras.artifact.manifest.v1+json",
];
/// The manifest types that are asked for: a registry answers 404, or schema 1, to a client
/// that does not list the type it holds.
pub const ACCEPTED_MEDIA_TYPES: [&str; 6] = [
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    WITHDRAWN_MEDIA_TYPES[0],
    WITHDRAWN_MEDIA_TYPES[1],
];

/// Most blobs or children of one manifest: images have a few dozen, indexes a few hundred.
pub(crate) const DESCRIPTORS: usize = 10_000;
/// Maximum size of a blob, 16 TiB. Sums of larger sizes could overflow.
pub(crate) const LARGEST: u64 = 1 << 44;
/// Longest media type ([RFC 6838](https://www.rfc-editor.org/rfc/rfc6838#section-4.2)).
const MEDIA_TYPE: usize = 255;

/// Most values in the JSON of a manifest, of which each takes memory however short it is: a
/// manifest with as many descriptors as it may have needs fewer.
const VALUES: usize = 300_000;

const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// A manifest as a registry served it: never re-serialised, so its digest holds.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What it is stored and served as.
    pub media_type: String,
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The body, verbatim.
    pub bytes: Bytes,
}

/// What a manifest leads to.
#[derive(Clone, Debug)]
pub enum Content {
    /// Blobs: the config and the layers of one image or artifact, each digest once.
    Image(Vec<Descriptor>),
    /// Manifests: the children of an index, each digest once.
    Index(Vec<Descriptor>),
}

/// What an entry of an index stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Provenance or an SBOM of another entry.
    Attestation,
    /// An image for a platform.
    Platform(Platform),
    /// Neither, or unknown.
    Other,
}

/// A pointer to content
/// ([descriptor.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md)).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the content, empty where a registry left it out.
    #[serde(default, deserialize_with = "or_default")]
    pub media_type: String,
    /// Its identity.
    pub digest: Digest,
    /// Its length in bytes; 0 where a builder wrote none, or a negative one. The digest decides.
    #[serde(default, deserialize_with = "length")]
    pub size: u64,
    /// The platform of an index entry.
    #[serde(default, skip_serializing)]
    pub platform: Option<Platform>,
    /// The type of the artifact, if the entry has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// The same with the size that a registry serves, after an error over the size: whether its
    /// bytes are right is for the digest to decide.
    pub fn as_served(&self, error: &crate::Error) -> Option<Self> {
        match *error.kind {
            crate::Kind::Size { served, .. } if served <= LARGEST => Some(Self {
                size: served,
                ..self.clone()
            }),
            _ => None,
        }
    }

    /// Whether an entry of an index is a manifest, by its type. Builders write caches as indexes
    /// whose entries are layers ([buildkit](https://github.com/moby/buildkit#cache)).
    pub fn is_manifest(&self) -> bool {
        let kind = &self.media_type;
        kind.is_empty()
            || ["manifest", "index", "docker.distribution"]
                .iter()
                .any(|word| kind.contains(word))
    }

    /// Whether an entry of an index may be an index, by its type.
    pub fn may_be_index(&self) -> bool {
        let kind = &self.media_type;
        kind.is_empty() || ["index", "list"].iter().any(|word| kind.contains(word))
    }
}

/// A manifest that cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Docker's first format, which carries its digest inside and cannot be copied bit for bit.
    #[error(
        "it is a schema 1 manifest, which registries no longer take; rebuild the image, or pull and push it with a current docker"
    )]
    Schema1,
    /// Not JSON of the expected shape.
    #[error("its JSON is not a manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but neither image nor index.
    #[error("it has neither layers nor manifests")]
    Shapeless,
    /// More entries than any image has.
    #[error("it names {0} blobs or manifests, more than {DESCRIPTORS}")]
    Crowded(usize),
    /// More values than any manifest has.
    #[error("its JSON has more than {VALUES} values")]
    Values,
    /// A size that no blob has.
    #[error("it says that {digest} has {size} bytes, which no blob has")]
    Size {
        /// The blob.
        digest: Digest,
        /// Its announced size, in bytes.
        size: u64,
    },
    /// A type that fits in no header.
    #[error("its media type is no media type")]
    MediaType,
    /// No entry of the index is for a wanted platform.
    #[error("no entry of its index is for {0}")]
    NoPlatform(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default, deserialize_with = "length")]
    schema_version: u64,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "list")]
    layers: Option<Vec<Descriptor>>,
    #[serde(default, deserialize_with = "list")]
    blobs: Option<Vec<Descriptor>>,
    #[serde(default, deserialize_with = "list")]
    manifests: Option<Vec<Descriptor>>,
}

/// A list; null, which Go writes for one without entries, is an empty one.
fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Descriptor>>, D::Error> {
    Option::deserialize(from).map(|list| Some(list.unwrap_or_default()))
}

/// A length; 0 for one that is null or negative, as builders have written.
fn length<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match Option::<Number>::deserialize(from)? {
        None => Ok(0),
        Some(number) if number.as_i64().is_some_and(|number| number < 0) => Ok(0),
        Some(number) => number
            .as_u64()
            .ok_or_else(|| D::Error::custom(format!("{number} is no whole number"))),
    }
}

/// A member that builders may write as null.
pub(super) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl Body {
    /// Whether it is an index. One structure may serve a builder for both, and write both lists.
    fn is_index(&self) -> bool {
        let is_empty = |list: &Option<Vec<_>>| list.as_ref().is_none_or(Vec::is_empty);
        let is_image = self.config.is_some() || !is_empty(&self.layers) || !is_empty(&self.blobs);
        self.manifests.is_some() && !(is_image && is_empty(&self.manifests))
    }

    /// Refuses what no image has, before anything is begun on its account.
    fn check(&self) -> Result<(), ManifestError> {
        let lists = [&self.layers, &self.blobs, &self.manifests];
        let all = lists.into_iter().flatten().flatten().chain(&self.config);
        let mut count = 0;
        for descriptor in all {
            count += 1;
            if descriptor.size > LARGEST {
                let (digest, size) = (descriptor.digest.clone(), descriptor.size);
                return Err(ManifestError::Size { digest, size });
            }
        }
        match count > DESCRIPTORS {
            true => Err(ManifestError::Crowded(count)),
            false => Ok(()),
        }
    }
}

impl Manifest {
    /// Takes a body in. The type comes from the body, else from the answer's Content-Type, else
    /// from the body's shape: registries get the header wrong now and then.
    pub fn new(bytes: Bytes, content_type: Option<&str>) -> Result<Self, ManifestError> {
        if values(&bytes) > VALUES {
            return Err(ManifestError::Values);
        }
        let body: Body = serde_json::from_slice(&bytes)?;
        if body.schema_version == 1 {
            return Err(ManifestError::Schema1);
        }
        body.check()?;
        let declared = content_type.map(|t| t.split(';').next().unwrap_or(t).trim());
        let shaped = if body.is_index() {
            OCI_IMAGE_INDEX_MEDIA_TYPE
        } else {
            OCI_IMAGE_MEDIA_TYPE
        };
        let media_type = body
            .media_type
            .or_else(|| {
                declared
                    .filter(|t| t.starts_with("application/vnd."))
                    .map(Into::into)
            })
            .unwrap_or_else(|| shaped.into());
        // It becomes a header, and is shown.
        if media_type.len() > MEDIA_TYPE || !media_type.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ManifestError::MediaType);
        }
        Ok(Self {
            media_type,
            digest: Digest::of(&bytes),
            bytes,
        })
    }

    /// Reads what the manifest leads to.
    pub fn content(&self) -> Result<Content, ManifestError> {
        let body: Body = serde_json::from_slice(&self.bytes)?;
        if body.is_index() {
            let children = body.manifests.into_iter().flatten();
            return Ok(Content::Index(once_each(children)));
        }
        if body.config.is_none() && body.layers.is_none() && body.blobs.is_none() {
            return Err(ManifestError::Shapeless);
        }
        let blobs = body
            .config
            .into_iter()
            .chain(body.layers.into_iter().flatten());
        Ok(Content::Image(once_each(
            blobs.chain(body.blobs.into_iter().flatten()),
        )))
    }

    /// The type of an artifact: declared, else that of its config
    /// ([manifest.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage)).
    pub fn artifact_type(&self) -> Option<String> {
        let body: Body = serde_json::from_slice(&self.bytes).ok()?;
        body.artifact_type
            .or_else(|| body.config.map(|config| config.media_type))
    }

    /// The config of an image; an index has none.
    pub fn config(&self) -> Option<Descriptor> {
        serde_json::from_slice::<Body>(&self.bytes).ok()?.config
    }

    /// The same index with only the entries of `platforms` and their attestations. Kept entries stay
    /// as they were written. A manifest that is not an index, or loses no entry, stays
    /// byte-identical.
    pub fn for_platforms(&self, platforms: &[Platform]) -> Result<Self, ManifestError> {
        // A cache, whose entries are layers, is for no platform and copied whole.
        let is_cache = match self.content()? {
            Content::Index(children) => !children.iter().any(Descriptor::is_manifest),
            Content::Image(_) => false,
        };
        if is_cache {
            return Ok(self.clone());
        }
        self.retain(|entries| {
            let kept = wanted_digests(entries, platforms);
            if kept.is_empty() {
                let wanted: Vec<String> = platforms.iter().map(ToString::to_string).collect();
                return Err(ManifestError::NoPlatform(wanted.join(", ")));
            }
            let is_kept = |digest: Option<&str>| digest.is_some_and(|d| kept.contains(d));
            entries.retain(|entry| is_kept(text(entry, &["digest"])) || is_kept(attested(entry)));
            Ok(())
        })
    }

    /// The same index without the attestations that builders put beside the images.
    pub fn without_attestations(&self) -> Result<Self, ManifestError> {
        self.retain(|entries| {
            entries.retain(|entry| attested(entry).is_none());
            Ok(())
        })
    }

    /// What an entry of an index stands for: an attestation, or an image of a platform.
    pub fn entry_kind(&self, digest: &Digest) -> EntryKind {
        let index: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        let entries = index.get("manifests").and_then(Value::as_array);
        let is_it = |entry: &&Value| text(entry, &["digest"]) == Some(digest.as_str());
        let Some(entry) = entries.into_iter().flatten().find(is_it) else {
            return EntryKind::Other;
        };
        let platform = entry.get("platform").cloned().unwrap_or_default();
        match serde_json::from_value::<Platform>(platform) {
            _ if attested(entry).is_some() => EntryKind::Attestation,
            Ok(platform) if !platform.is_unknown() => EntryKind::Platform(platform),
            _ => EntryKind::Other,
        }
    }

    fn retain(
        &self,
        retain: impl FnOnce(&mut Vec<Value>) -> Result<(), ManifestError>,
    ) -> Result<Self, ManifestError> {
        let mut index: Value = serde_json::from_slice(&self.bytes)?;
        let Some(entries) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
            return Ok(self.clone());
        };
        let before = entries.len();
        retain(entries)?;
        if entries.len() == before {
            return Ok(self.clone());
        }
        let bytes = Bytes::from(serde_json::to_vec(&index)?);
        Ok(Self {
            media_type: self.media_type.clone(),
            digest: Digest::of(&bytes),
            bytes,
        })
    }
}

/// At most how many values JSON has: each but the first follows a `,`, a `[` or a `{`.
fn values(json: &[u8]) -> usize {
    let (mut count, mut is_text, mut is_escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b',' | b'[' | b'{' if !is_text => count += 1,
            _ => {}
        }
    }
    count
}

/// The image that an entry of an index attests, if the entry is an attestation
/// ([attestation-storage.md](https://github.com/moby/buildkit/blob/v0.17.0/docs/attestations/attestation-storage.md)).
fn attested(entry: &Value) -> Option<&str> {
    text(entry, &["annotations", REFERENCE_DIGEST])
}

fn once_each(descriptors: impl IntoIterator<Item = Descriptor>) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    descriptors
        .into_iter()
        .filter(|d| seen.insert(d.digest.clone()))
        .collect()
}

fn wanted_digests(entries: &[Value], platforms: &[Platform]) -> HashSet<String> {
    let is_wanted = |entry: &&Value| {
        let platform = entry.get("platform").cloned().unwrap_or_default();
        serde_json::from_value::<Platform>(platform)
            .is_ok_and(|entry| platforms.iter().any(|wanted| wanted.selects(&entry)))
    };
    let digest = |entry: &Value| text(entry, &["digest"]).map(str::to_owned);
    entries
        .iter()
        .filter(is_wanted)
        .filter_map(digest)
        .collect()
}

fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter()
        .try_fold(value, |value, key| value.get(key))?
        .as_str()
}
