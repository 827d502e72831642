//! The artifacts of a repository of a Harbor, with their tags
//! ([its API](https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml)). They add to the
//! registry's own list: in the cache of a proxy they are not all of it.

use bytes::Bytes;
use reqwest::{Method, header::HeaderMap};
use serde::Deserialize;
use url::Url;

use crate::{
    Error, Kind, Operation, Registry, TagListing,
    auth::Scope,
    client::{AuthScheme, BufferedResponse, Request},
    listing::{
        catalog::{Named, first_part, parse_catalog},
        pagination::PAGE_BYTES,
    },
    oci::{Digest, Reference, Repository, Tag},
    vendor::{BulkPage, PAGE_SIZE, TagHint, parse, seconds},
};

/// The service for which a Harbor issues tokens.
pub(crate) const TOKEN_SERVICE: &str = "harbor-registry";

#[derive(Deserialize)]
struct Artifact {
    digest: String,
    push_time: Option<String>,
    // Null for an artifact without tags.
    tags: Option<Vec<ArtifactTag>>,
}

#[derive(Deserialize)]
struct ArtifactTag {
    name: String,
    push_time: Option<String>,
}

impl Registry {
    /// Hints for the tags of a repository, from at most `limit` artifacts, or one page.
    pub(crate) async fn list_artifacts(
        &self,
        repository: &Repository,
        limit: usize,
    ) -> Option<TagListing> {
        let (project, name) = repository.path().split_once('/')?;
        let mut start = Url::clone(&self.http.base);
        // Encoded twice, because the proxy of a Harbor decodes once.
        let name = name.replace('/', "%252F");
        start.set_path(&format!(
            "/api/v2.0/projects/{project}/repositories/{name}/artifacts"
        ));
        let page_url = |number: usize| {
            let mut url = start.clone();
            url.set_query(Some(&format!(
                "with_tag=true&page_size={PAGE_SIZE}&page={number}"
            )));
            url
        };
        let mut number = 1;
        let read = |_: &Url, answer: &BufferedResponse| {
            let (hints, count) = read(answer)?;
            number += 1;
            // Artifacts without tags count, too.
            let is_worth_it = count >= PAGE_SIZE && (number - 1) * PAGE_SIZE < limit;
            Ok(BulkPage {
                hints,
                next: is_worth_it.then(|| page_url(number)),
                total: None,
            })
        };
        let hints = self.read_bulk_tags(repository, page_url(1), AuthScheme::Basic, limit, read);
        Some(hints.await)
    }

    /// A project of a Harbor
    /// ([its API](https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml)).
    pub(crate) async fn list_harbor(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let project = first_part(prefix);
        let mut start = Url::clone(&self.http.base);
        start.set_path(&format!("/api/v2.0/projects/{project}/repositories"));
        let page_url = |number: usize| {
            let mut url = start.clone();
            url.set_query(Some(&format!("page={number}&page_size={PAGE_SIZE}")));
            url
        };
        let listing = self.catalog_request(prefix, page_url(1));
        self.read_catalog(listing, AuthScheme::Basic, |url, answer| {
            let page: Vec<Named> = parse_catalog(&answer.body)?;
            let next = (page.len() >= PAGE_SIZE).then(|| page_url(number_of(url) + 1));
            Ok((page.into_iter().map(|found| found.name).collect(), next))
        })
        .await
    }

    /// Deletes one tag
    /// ([its API](https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml)); a slash in
    /// a repository's name is escaped twice.
    pub(crate) async fn delete_harbor_tag(
        &self,
        reference: &Reference,
        tag: &Tag,
    ) -> Result<(), Error> {
        let path = reference.repository.path();
        let (project, name) = path.split_once('/').unwrap_or((path, ""));
        let name = name.replace('/', "%252F");
        let mut url = Url::clone(&self.http.base);
        url.set_path(&format!(
            "/api/v2.0/projects/{project}/repositories/{name}/artifacts/{tag}/tags/{tag}"
        ));
        let request = Request {
            operation: Operation::Delete,
            subject: reference.to_string(),
            url,
            scope: Scope::catalog(),
            method: Method::DELETE,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_bytes: PAGE_BYTES,
        };
        let answer = self
            .client
            .send_as(&self.http, &request, AuthScheme::Basic)
            .await?;
        self.is_deleted(request, &answer)
    }
}

/// The hints of a page, and how many artifacts it has.
fn read(answer: &BufferedResponse) -> Result<(Vec<TagHint>, usize), Kind> {
    let page: Vec<Artifact> = parse(answer)?;
    let count = page.len();
    let hints = page.into_iter().flat_map(|artifact| {
        let digest: Option<Digest> = artifact.digest.parse().ok();
        let pushed = artifact.push_time.as_deref().and_then(seconds);
        let tags = artifact.tags.into_iter().flatten();
        tags.filter_map(move |found| {
            Some(TagHint {
                tag: found.name.parse().ok()?,
                digest: digest.clone(),
                at: found.push_time.as_deref().and_then(seconds).or(pushed),
            })
        })
    });
    Ok((hints.collect(), count))
}

/// Which page an address of [`Registry::list_harbor`] names.
fn number_of(url: &Url) -> usize {
    let mut pairs = url.query_pairs();
    let page = pairs.find(|(key, _)| key == "page");
    page.and_then(|(_, number)| number.parse().ok())
        .unwrap_or(1)
}

/// Whether nothing answers there as Harbor does.
pub(crate) fn is_no_harbor(error: &Error) -> bool {
    match &*error.kind {
        Kind::NotFound(_) | Kind::Unauthorized(_) | Kind::Protocol(_) => true,
        Kind::Rejected { status, .. } => matches!(status, 400 | 405),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
