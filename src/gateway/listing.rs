//! Lists: the tags of a repository, and what refers to a manifest.

use std::time::Duration;

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, Response, StatusCode,
        header::{CONTENT_TYPE, LINK},
    },
};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    gateway::{
        Gateway, Pull,
        answer::{PullError, PullOutcome, json_response},
    },
    oci::{Digest, IMAGE_INDEX_MEDIA_TYPE, Manifest, Repository, Tag},
    registry::{Error, Referrer, Registry},
};

/// How long a registry may take for a list.
const LIST: Duration = Duration::from_secs(20);
/// Most referrers that are listed for one manifest.
const REFERRERS: usize = 100;
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Gateway {
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
    let shown = &rest[..rest.len().min(count.unwrap_or(usize::MAX))];
    let name = pull.repository.path();
    let body = json!({ "name": name, "tags": shown });
    let mut response = json_response(StatusCode::OK, body.to_string());
    if let (true, Some(last), Some(n)) = (shown.len() < rest.len(), shown.last(), count) {
        // Relative to what was asked for, which may have a registry before or in its path.
        let ns = parameter(&pull.query, "ns");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("n", &n.to_string())
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
    let index = index.and_then(|index| serde_json::from_slice::<Value>(&index.bytes).ok());
    let manifests = index.and_then(|index| index.get("manifests")?.as_array().cloned());
    Ok(manifests.unwrap_or_default())
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
