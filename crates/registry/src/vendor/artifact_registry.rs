//! The `manifest` map that gcr.io and Artifact Registry put into a page of tags, and so does
//! registry.k8s.io, which is redirected there.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, MapAccess, Visitor},
};

use crate::{
    listing::{
        json::Weight,
        pagination::{ENTRIES, legal_names},
    },
    oci::{Digest, Tag},
    vendor::TagHint,
};

/// The hints of the map.
#[derive(Debug, Default)]
pub(crate) struct ManifestMap(pub(crate) Vec<TagHint>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestUpload {
    #[serde(default, deserialize_with = "legal_names")]
    tag: Vec<Tag>,
    time_uploaded_ms: Option<String>,
}

impl ManifestUpload {
    /// The hints for its tags. Names that are not legal tags are left out.
    fn hints(self, digest: &str) -> impl Iterator<Item = TagHint> {
        let digest: Option<Digest> = match self.tag.is_empty() {
            true => None,
            false => digest.parse().ok(),
        };
        let ms = self.time_uploaded_ms.and_then(|ms| ms.parse::<i64>().ok());
        self.tag.into_iter().map(move |tag| TagHint {
            tag,
            digest: digest.clone(),
            at: ms.map(|ms| ms / 1000),
        })
    }
}

impl<'de> Deserialize<'de> for ManifestMap {
    /// Entry by entry: the map holds every manifest of the repository, tagged or not.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ManifestMapVisitor;
        impl<'de> Visitor<'de> for ManifestMapVisitor {
            type Value = ManifestMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of manifests")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ManifestMap, A::Error> {
                let mut uploads = Vec::new();
                while let Some((digest, upload)) = map.next_entry::<String, ManifestUpload>()? {
                    uploads.extend(upload.hints(&digest));
                    if uploads.len() > ENTRIES {
                        let text = format!("it names more than {ENTRIES} uploads");
                        return Err(serde::de::Error::custom(text));
                    }
                }
                Ok(ManifestMap(uploads))
            }
        }
        deserializer.deserialize_map(ManifestMapVisitor)
    }
}

/// What the tags of the map come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ManifestMapWeight(pub(crate) Weight);

#[derive(Deserialize)]
struct UploadWeight {
    #[serde(default)]
    tag: Weight,
}

impl<'de> Deserialize<'de> for ManifestMapWeight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WeightVisitor;
        impl<'de> Visitor<'de> for WeightVisitor {
            type Value = ManifestMapWeight;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of manifests")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<ManifestMapWeight, A::Error> {
                let mut sum = Weight::default();
                while let Some((_, upload)) = map.next_entry::<IgnoredAny, UploadWeight>()? {
                    sum.count += upload.tag.count;
                    sum.bytes += upload.tag.bytes;
                }
                Ok(ManifestMapWeight(sum))
            }
        }
        deserializer.deserialize_map(WeightVisitor)
    }
}

#[cfg(test)]
mod tests;
