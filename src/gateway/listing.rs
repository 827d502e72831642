//! Lists: the tags of a repository, and what refers to a manifest.

use std::{collections::BTreeMap, fmt, time::Duration};

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, Response, StatusCode,
        header::{CONTENT_TYPE, LINK},
    },
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    gateway::{
        Gateway, Pull,
        answer::{PullError, PullOutcome, json_response},
        request::address::WantedContent,
    },
    oci::{Digest, IMAGE_INDEX_MEDIA_TYPE, Manifest, Repository, Tag},
    registry::{Error, Kind, Operation, Referrer, Registry},
};

/// How long a registry may take for a list.
const LIST: Duration = Duration::from_secs(20);
/// How long a list waits for its turn.
const LIST_TURN: Duration = Duration::from_secs(10);
/// Most referrers that are listed for one manifest.
const REFERRERS: usize = 100;
/// Most tags of one page. Clients ask for the next by its `Link`.
const PAGE: usize = 50_000;
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Gateway {
    /// A list, when it is its turn: lists are large while they are made.
    pub(crate) async fn serve_list(
        &self,
        pull: &Pull,
        wanted: &WantedContent,
    ) -> Result<(Response<Body>, PullOutcome), PullError> {
        let turn = tokio::time::timeout(LIST_TURN, self.lists.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(PullError::unavailable("too many lists are being made"));
        };
        let (response, outcome) = match wanted {
            WantedContent::Referrers(digest) => self.serve_referrers(pull, digest).await?,
            _ => self.serve_tags(pull).await?,
        };
        Ok((self.counted_answer(response).await?, outcome))
    }

    /// An answer that counts until it is read.
    pub(crate) async fn counted_answer(
        &self,
        response: Response<Body>,
    ) -> Result<Response<Body>, PullError> {
        let counted = self.unread.count(response).await;
        counted.ok_or_else(|| PullError::unavailable("too many answers are waiting to be read"))
    }

    /// The tags of a repository, sorted: those of its copy, and where it has none those of the
    /// upstream.
    pub(crate) async fn serve_tags(
        &self,
        pull: &Pull,
    ) -> Result<(Response<Body>, PullOutcome), PullError> {
        let copy = pull.copy.as_ref().map(|copy| &copy.repository);
        let mut tags = match self.target(copy) {
            Some((registry, to)) => list(&registry, &to).await.ok().flatten(),
            None => None,
        };
        let mirror = pull
            .config
            .mirrors
            .iter()
            .find(|m| Some(&m.name) == pull.mirror.as_ref());
        if let (Some(tags), Some(mirror)) = (&mut tags, mirror) {
            *tags = tags
                .iter()
                .filter_map(|tag| mirror.source_tag(tag))
                .collect();
        }
        let mut outcome = PullOutcome::Hit;
        let mut tags = match tags {
            Some(tags) => tags,
            None => {
                outcome = PullOutcome::Miss;
                let registry = self.registry(pull.repository.registry())?;
                let listed = list(&registry, &pull.repository).await?;
                let text = || format!("the upstream has no {}", pull.repository);
                listed.ok_or_else(|| PullError::not_found("NAME_UNKNOWN", text()))?
            }
        };
        tags.sort();
        Ok((page(pull, &tags), outcome))
    }

    /// What refers to a manifest: by the referrers API of target and upstream, or by the tag that
    /// stands for it. Clients are always answered by the API.
    pub(crate) async fn serve_referrers(
        &self,
        pull: &Pull,
        digest: &Digest,
    ) -> Result<(Response<Body>, PullOutcome), PullError> {
        let copy = pull.copy.as_ref().map(|copy| &copy.repository);
        let mut found: Vec<Value> = Vec::new();
        let mut outcome = PullOutcome::Hit;
        if let Some((registry, to)) = self.target(copy) {
            found = referrers(&registry, &to, digest).await.unwrap_or_default();
        }
        if found.is_empty() {
            outcome = PullOutcome::Miss;
            let registry = self.registry(pull.repository.registry())?;
            let asked = referrers(&registry, &pull.repository, digest).await;
            found = asked.map_err(|error| PullError::of_upstream(&error, "MANIFEST_UNKNOWN"))?;
        }
        let wanted = parameter(&pull.query, "artifactType");
        if let Some(wanted) = &wanted {
            let kind = |entry: &Value| entry.get("artifactType")?.as_str().map(str::to_owned);
            found.retain(|entry| kind(entry).as_ref() == Some(wanted));
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE_INDEX_MEDIA_TYPE,
            "manifests": found,
        });
        let mut response = json_response(StatusCode::OK, index.to_string());
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(IMAGE_INDEX_MEDIA_TYPE),
        );
        if wanted.is_some() {
            headers.insert(FILTERS, HeaderValue::from_static("artifactType"));
        }
        Ok((response, outcome))
    }
}

async fn list(registry: &Registry, repository: &Repository) -> Result<Option<Vec<Tag>>, PullError> {
    let listed = tokio::time::timeout(LIST, registry.list_tags(repository)).await;
    let text = || format!("the tags of {repository} did not come in time");
    let listed = listed.map_err(|_| PullError::unavailable(text()))?;
    let listed = listed.map_err(|error| PullError::of_upstream(&error, "NAME_UNKNOWN"))?;
    Ok(listed.map(|listing| listing.tags))
}

/// One page of tags, as the specification cuts them.
fn page(pull: &Pull, tags: &[Tag]) -> Response<Body> {
    let last = parameter(&pull.query, "last");
    let count = parameter(&pull.query, "n").and_then(|n| n.parse::<usize>().ok());
    let after = tags
        .iter()
        .filter(|tag| last.as_deref().is_none_or(|last| tag.as_str() > last));
    let rest: Vec<&str> = after.map(Tag::as_str).collect();
    let count = count.unwrap_or(PAGE).min(PAGE);
    let shown = &rest[..rest.len().min(count)];
    let name = pull.repository.path();
    let body = json!({ "name": name, "tags": shown });
    let mut response = json_response(StatusCode::OK, body.to_string());
    if let (true, Some(last)) = (shown.len() < rest.len(), shown.last()) {
        // Relative to what was asked for, which may have a registry before or in its path.
        let ns = parameter(&pull.query, "ns");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("n", &count.to_string())
            .append_pair("last", last);
        if let Some(ns) = ns {
            query.append_pair("ns", &ns);
        }
        let link = format!("<list?{}>; rel=\"next\"", query.finish());
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(LINK, link);
        }
    }
    response
}

/// The entries of the list of referrers that a registry has; from the tag that stands for them where it
/// has no API.
async fn referrers(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
) -> Result<Vec<Value>, Error> {
    let timeout = |_| {
        let kind = Kind::Network("the referrers did not come in time".into());
        let subject = repository.digest(digest).to_string();
        Error::new(Operation::ListReferrers, subject, registry.name(), kind)
    };
    let asked = tokio::time::timeout(LIST, asked_referrers(registry, repository, digest));
    asked.await.map_err(timeout)?
}

async fn asked_referrers(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
) -> Result<Vec<Value>, Error> {
    let listed = registry.list_referrers(repository, digest).await?;
    let listed: Vec<Referrer> = listed.map_or_else(Vec::new, |listed| {
        listed.iter().take(REFERRERS).cloned().collect()
    });
    let mut entries = Vec::new();
    for referrer in &listed {
        let reference = repository.digest(&referrer.digest);
        let manifest = registry.get_manifest(&reference).await?;
        entries.extend(manifest.map(|manifest| descriptor(&manifest, referrer)));
    }
    if !entries.is_empty() {
        return Ok(entries);
    }
    let Ok(tag) = digest.as_str().replace(':', "-").parse::<Tag>() else {
        return Ok(Vec::new());
    };
    let index = registry.get_manifest(&repository.tag(&tag)).await?;
    Ok(index.map_or_else(Vec::new, |index| entries_of(&index)))
}

/// The first entries of an index. The rest is skipped, not kept: an index may have a million.
fn entries_of(index: &Manifest) -> Vec<Value> {
    let read = serde_json::from_slice::<ReferrerIndex>(&index.bytes);
    let entries = read.map(|index| index.manifests.0).unwrap_or_default();
    let entries = entries.iter().map(serde_json::to_value);
    entries.filter_map(Result::ok).collect()
}

/// The index that stands for the referrers of a manifest.
#[derive(Deserialize)]
struct ReferrerIndex {
    #[serde(default)]
    manifests: FirstEntries,
}

#[derive(Default)]
struct FirstEntries(Vec<ReferrerEntry>);

/// What the specification has of an entry
/// ([referrers](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers)).
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferrerEntry {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
}

impl<'de> Deserialize<'de> for FirstEntries {
    fn deserialize<D: Deserializer<'de>>(entries: D) -> Result<Self, D::Error> {
        struct TagListVisitor;
        impl<'de> Visitor<'de> for TagListVisitor {
            type Value = FirstEntries;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of descriptors")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FirstEntries, A::Error> {
                let mut first = Vec::new();
                while first.len() < REFERRERS {
                    match list.next_element()? {
                        Some(entry) => first.push(entry),
                        None => return Ok(FirstEntries(first)),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(FirstEntries(first))
            }
        }
        entries.deserialize_seq(TagListVisitor)
    }
}

/// The entry of a manifest in a list of referrers.
fn descriptor(manifest: &Manifest, referrer: &Referrer) -> Value {
    let mut entry = json!({
        "mediaType": manifest.media_type,
        "digest": manifest.digest.as_str(),
        "size": manifest.bytes.len(),
    });
    if let Some(kind) = &referrer.artifact_type {
        entry["artifactType"] = kind.as_str().into();
    }
    entry
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
