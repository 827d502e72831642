//! Lists of referrers under the fallback tag, for targets without the referrers API.

use std::collections::HashSet;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    oci::{Digest, IMAGE_INDEX_MEDIA_TYPE, Manifest, Tag},
    registry::Kind,
};

/// Most bytes of the annotations in an entry.
const ANNOTATIONS: usize = 64 << 10;

/// The entry of a list for a manifest, by the manifest's own word
/// ([spec.md](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers)).
pub(super) fn entry_of(manifest: &Manifest) -> Value {
    let body: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
    let mut entry = json!({
        "mediaType": manifest.media_type,
        "digest": manifest.digest.as_str(),
        "size": manifest.bytes.len(),
    });
    if let Some(kind) = manifest.artifact_type() {
        entry["artifactType"] = kind.into();
    }
    let is_short = |value: &Value| value.to_string().len() <= ANNOTATIONS;
    if body["annotations"].is_object() && is_short(&body["annotations"]) {
        entry["annotations"] = body["annotations"].clone();
    }
    entry
}

/// Whether two lists name the same manifests, of the same sizes and types.
pub(super) fn is_same_list(a: &[Value], b: &[Value]) -> bool {
    let keys = |list: &[Value]| -> HashSet<String> {
        let key = |entry: &Value| {
            format!(
                "{} {} {}",
                entry["digest"], entry["size"], entry["artifactType"]
            )
        };
        list.iter().map(key).collect()
    };
    keys(a) == keys(b)
}

/// The tag that stands in for the API: the digest with a `-`
/// ([spec.md](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema)).
pub(super) fn fallback_tag(subject: &Digest) -> Option<Tag> {
    let name: String = subject
        .as_str()
        .replace(':', "-")
        .chars()
        .take(128)
        .collect();
    name.parse().ok()
}

/// The entries of a list that have a legal digest, as they were written.
pub(super) fn entries_of(index: &Manifest) -> Vec<Value> {
    let mut index: Value = serde_json::from_slice(&index.bytes).unwrap_or_default();
    let entries = index.get_mut("manifests").and_then(Value::as_array_mut);
    let mut entries = entries.map(std::mem::take).unwrap_or_default();
    entries.retain(|entry| {
        let digest = entry.get("digest").and_then(Value::as_str);
        digest.is_some_and(|digest| digest.parse::<Digest>().is_ok())
    });
    entries
}

/// A list with these entries.
pub(super) fn fallback_index(entries: &[Value]) -> Result<Manifest, Kind> {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_INDEX_MEDIA_TYPE,
        "manifests": entries,
    });
    Manifest::new(Bytes::from(index.to_string()), None).map_err(Kind::from)
}
